//! `floe snapshots`.

use floe::Result;
use serde_json::json;

use crate::args::TableArgs;
use crate::exit::internal;
use crate::output::plain_table;
use crate::render;
use crate::ui::{Report, Ui};
use crate::warehouse::Location;

/// Lists the snapshots of a table, newest first.
pub(super) async fn run(command: &str, args: TableArgs, location: &Location, ui: &Ui) -> Result<()> {
    let manager = location.open().await?;
    let snapshots = manager.list_snapshots(&args.table.ident()).await?;
    let mut table = plain_table(
        &["SNAPSHOT", "TIME", "OPERATION", "ROWS ADDED", "FILES ADDED", "TOTAL ROWS", "REFS"],
        ui.layout(),
    );
    for snapshot in &snapshots {
        let total = snapshot.summary.get("total-records").and_then(|n| n.parse().ok()).map(render::count);
        table.add_row([
            snapshot.snapshot_id.to_string(),
            render::time(snapshot.timestamp),
            snapshot.operation.clone(),
            render::count(snapshot.added_records),
            render::count(snapshot.added_files),
            total.unwrap_or_default(),
            snapshot.refs.join(", "),
        ]);
    }
    table.right(&[3, 4, 5]);
    let text = if snapshots.is_empty() {
        format!("{} has no snapshots yet: it is empty.", args.table)
    } else {
        table.trim_fmt()
    };
    let current = snapshots.iter().find(|s| s.current).map(|s| s.snapshot_id);
    let list = serde_json::to_value(&snapshots).map_err(|e| internal(e.to_string()))?;
    let report = Report::new(command)
        .with("table", args.table.to_string())
        .id("snapshot_id", current)
        .with("snapshots", if snapshots.is_empty() { json!([]) } else { list })
        .lines(text);
    ui.print(&report)
}
