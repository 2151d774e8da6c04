//! `floe drop`, `floe register` and `floe rename`: tables under their names.

use std::path::Path;

use floe::{ErrorKind, Result};

use crate::args::{DropArgs, RegisterArgs, RenameArgs};
use crate::ui::{Report, Ui};
use crate::undo::{Line, Undo};
use crate::values::TableName;
use crate::warehouse::Location;

/// Drops a table from its catalog. Its files stay, so that no data is lost by it.
pub(super) async fn run(command: &str, args: DropArgs, location: &Location, ui: &Ui) -> Result<()> {
    let manager = location.open().await?;
    let dropped = match manager.drop_table(&args.table.ident()).await {
        Ok(dropped) => Some(dropped),
        Err(e) if args.if_exists && matches!(e.kind(), ErrorKind::NoSuchTable | ErrorKind::FileNotFound) => {
            None
        }
        Err(e) => return Err(e),
    };
    let metadata = dropped.as_ref().and_then(|dropped| dropped.metadata_location.clone());
    let undo = match (&dropped, &metadata) {
        (None, _) => Undo::Nothing,
        (_, Some(file)) => Undo::by(Line::new("register").name(&args.table).name(file)),
        (_, None) => Undo::Not("the table's metadata could not be read, and its place is not known".into()),
    };
    let text = match (&metadata, dropped.is_some()) {
        (_, false) => format!("There is no table {}.", args.table),
        (Some(metadata), true) => {
            format!("Dropped {}. Its files stay; its metadata is {metadata}", args.table)
        }
        (None, true) => format!("Dropped {}. Its files stay.", args.table),
    };
    let report = Report::new(command)
        .with("table", args.table.to_string())
        .with("dropped", dropped.is_some())
        .with("metadata_location", metadata)
        .undo(&undo, location)
        .text(text);
    ui.print(&report)
}

/// Adds a table whose metadata file is there already.
pub(super) async fn register(command: &str, args: RegisterArgs, location: &Location, ui: &Ui) -> Result<()> {
    let file = address(&args.metadata)?;
    let manager = location.open_to_create().await?;
    let table = manager.register_table(&args.table.ident(), &file).await?;
    let metadata = &table.metadata;
    let columns = metadata.current_schema().as_struct().fields().len();
    let snapshot = match metadata.current_snapshot_id() {
        Some(id) => format!("at snapshot {id}"),
        None => "without snapshots".to_owned(),
    };
    let report = Report::new(command)
        .with("table", args.table.to_string())
        .with("metadata_location", table.metadata_location.as_str())
        .with("location", metadata.location())
        .with("table_uuid", metadata.uuid().to_string())
        .with("format_version", metadata.format_version() as u8)
        .id("snapshot_id", metadata.current_snapshot_id())
        .undo(&dropping(&args.table), location)
        .text(format!("Registered {} with {columns} columns, {snapshot}", args.table));
    ui.print(&report)
}

/// Gives a table another name.
pub(super) async fn rename(command: &str, args: RenameArgs, location: &Location, ui: &Ui) -> Result<()> {
    let manager = location.open().await?;
    manager.rename_table(&args.table.ident(), &args.to.ident()).await?;
    let undo = Undo::by(Line::new("rename").name(&args.to).name(&args.table));
    let report = Report::new(command)
        .with("table", args.to.to_string())
        .with("previous_table", args.table.to_string())
        .undo(&undo, location)
        .text(format!("Renamed {} to {}; its files stay where they are", args.table, args.to));
    ui.print(&report)
}

/// Takes back that a table was made known.
pub(super) fn dropping(table: &TableName) -> Undo {
    Undo::by(Line::new("drop").name(table))
}

/// A metadata file as catalogs name it: a URI as it is, a path from the root.
fn address(file: &Path) -> Result<String> {
    let text = file.to_string_lossy();
    if text.contains("://") {
        return Ok(text.into_owned());
    }
    Ok(format!("file://{}", std::path::absolute(file)?.to_string_lossy()))
}
