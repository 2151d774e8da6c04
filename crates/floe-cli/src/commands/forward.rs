//! `floe fast-forward`, `floe cherry-pick` and `floe publish`: bringing changes into a branch.

use floe::refs::history;
use floe::{IcebergTableManager, LoadedTable, Result};
use iceberg::spec::MAIN_BRANCH;

use super::moved;
use super::rollback::snapshot;
use crate::args::{CherryPickArgs, FastForwardArgs, PublishArgs};
use crate::ui::Ui;
use crate::undo::{self, Undo};
use crate::values::TableName;
use crate::warehouse::Location;

/// Moves a branch forward to another branch or a tag.
pub(super) async fn fast_forward(
    command: &str,
    args: FastForwardArgs,
    location: &Location,
    ui: &Ui,
) -> Result<()> {
    let manager = location.open().await?;
    let ident = args.table.ident();
    let before = manager.load_table(&ident).await?;
    manager.fast_forward(&ident, &args.branch, &args.to).await?;
    let after = manager.load_table(&ident).await?;
    let report =
        moved::report(command, "Moved", &args.table, Some(&args.branch), (&before, &after), location)
            .with("to", args.to);
    ui.print(&report)
}

/// Applies the change of a snapshot to a branch.
pub(super) async fn cherry_pick(
    command: &str,
    args: CherryPickArgs,
    location: &Location,
    ui: &Ui,
) -> Result<()> {
    let manager = location.open().await?;
    let ident = args.table.ident();
    let before = manager.load_table(&ident).await?;
    let branch = args.branch.as_deref();
    let (source, note) = snapshot(&args.snapshot, &before, &args.table)?;
    let id = manager.cherry_pick(&ident, branch, source).await?;
    let after = manager.load_table(&ident).await?;
    let verb = format!("Picked snapshot {source} into");
    let report = moved::applied(command, &verb, &args.table, branch, (&before, &after), id);
    let undo = taken_back(&manager, &args.table, branch, (&before, &after), id).await;
    ui.print(&report.id("source_snapshot_id", source).undo(&undo, location).maybe_note(note))
}

/// Publishes a staged snapshot.
pub(super) async fn publish(command: &str, args: PublishArgs, location: &Location, ui: &Ui) -> Result<()> {
    let manager = location.open().await?;
    let ident = args.table.ident();
    let before = manager.load_table(&ident).await?;
    let branch = args.branch.as_deref();
    let id = manager.publish(&ident, branch, &args.wap_id).await?;
    let after = manager.load_table(&ident).await?;
    let verb = format!("Published {} on", args.wap_id);
    let report = moved::applied(command, &verb, &args.table, branch, (&before, &after), id);
    let undo = taken_back(&manager, &args.table, branch, (&before, &after), id).await;
    ui.print(&report.with("wap_id", args.wap_id).undo(&undo, location))
}

/// Takes back that a branch got the change of a snapshot; nothing where it had it before.
async fn taken_back(
    manager: &IcebergTableManager,
    table: &TableName,
    branch: Option<&str>,
    (before, after): (&LoadedTable, &LoadedTable),
    id: i64,
) -> Undo {
    let name = branch.unwrap_or(MAIN_BRANCH);
    let had = |table: &LoadedTable| history(&table.metadata, name).any(|s| s.snapshot_id() == id);
    if had(before) || !had(after) {
        return Undo::Nothing;
    }
    undo::written(manager, table, branch, Some(id)).await
}
