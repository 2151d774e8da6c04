//! `floe files`.

use std::fmt::Write;

use floe::Result;

use super::at;
use crate::args::FilesArgs;
use crate::exit::internal;
use crate::output::plain_table;
use crate::render;
use crate::ui::{Report, Ui};
use crate::warehouse::Location;

/// Lists the files of a snapshot.
pub(super) async fn run(command: &str, args: FilesArgs, location: &Location, ui: &Ui) -> Result<()> {
    let manager = location.open().await?;
    let ident = args.table.ident();
    let loaded = manager.load_table(&ident).await?;
    let at::Chosen { selector, snapshot_id, note } = at::choose(args.at.as_deref(), &loaded)?;
    // Pinned by its id: another commit may come between.
    let selector = snapshot_id.map_or(selector, floe::base::SnapshotSelector::SnapshotId);
    let mut files = manager.list_files(&ident, &selector).await?;
    files.sort_by(|a, b| a.partition.cmp(&b.partition).then_with(|| a.path.cmp(&b.path)));
    let (rows, bytes) = files
        .iter()
        .filter(|f| f.content == "data")
        .fold((0, 0), |(rows, bytes), f| (rows + f.rows, bytes + f.bytes));
    let mut table = plain_table(&["CONTENT", "PARTITION", "ROWS", "SIZE", "FILE"], ui.layout());
    let root = format!("{}/", loaded.metadata.location().trim_end_matches('/'));
    for file in &files {
        table.add_row([
            file.content.as_str(),
            file.partition.as_str(),
            &render::count(file.rows),
            &render::bytes(file.bytes),
            file.path.strip_prefix(&root).unwrap_or(&file.path),
        ]);
    }
    table.right(&[2, 3]);
    let mut text = if files.is_empty() { String::new() } else { format!("{}\n\n", table.trim_fmt()) };
    let _ = write!(
        text,
        "{}, {}, {}",
        render::counted(files.len() as u64, "file"),
        render::counted(rows, "row"),
        render::bytes(bytes)
    );
    let list = serde_json::to_value(&files).map_err(|e| internal(e.to_string()))?;
    let report = Report::new(command)
        .with("table", args.table.to_string())
        .id("snapshot_id", snapshot_id)
        .with("rows", rows)
        .with("files", files.len())
        .with("bytes", bytes)
        .with("data_files", list)
        .maybe_note(note)
        .lines(text);
    ui.print(&report)
}
