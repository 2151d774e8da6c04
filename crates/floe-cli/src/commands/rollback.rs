//! `floe rollback` and `floe set-current`.

use floe::base::SnapshotSelector;
use floe::{Error, ErrorKind, LoadedTable, Result};

use super::moved;
use crate::args::{RollbackArgs, SetCurrentArgs};
use crate::ui::Ui;
use crate::values::TableName;
use crate::warehouse::Location;

/// Sets a branch back to a snapshot, tag or time of its own history.
pub(super) async fn run(command: &str, args: RollbackArgs, location: &Location, ui: &Ui) -> Result<()> {
    let manager = location.open().await?;
    let ident = args.table.ident();
    let before = manager.load_table(&ident).await?;
    let branch = args.branch.as_deref();
    match SnapshotSelector::parse(&args.to) {
        SnapshotSelector::Timestamp(ms) => manager.rollback_to_timestamp(&ident, branch, ms).await?,
        selector => {
            let id = snapshot(&selector, &before, &args.table)?;
            manager.rollback_to_snapshot(&ident, branch, id).await?;
        }
    }
    let after = manager.load_table(&ident).await?;
    ui.print(&moved::report(command, "Rolled back", &args.table, branch, (&before, &after)))
}

/// Sets a branch to any snapshot of the table.
pub(super) async fn set_current(
    command: &str,
    args: SetCurrentArgs,
    location: &Location,
    ui: &Ui,
) -> Result<()> {
    let manager = location.open().await?;
    let ident = args.table.ident();
    let before = manager.load_table(&ident).await?;
    let branch = args.branch.as_deref();
    let id = snapshot(&SnapshotSelector::parse(&args.to), &before, &args.table)?;
    manager.set_current_snapshot(&ident, branch, id).await?;
    let after = manager.load_table(&ident).await?;
    ui.print(&moved::report(command, "Set", &args.table, branch, (&before, &after)))
}

fn snapshot(selector: &SnapshotSelector, table: &LoadedTable, name: &TableName) -> Result<i64> {
    super::at::snapshot_id(selector, table)?.ok_or_else(|| {
        Error::new(ErrorKind::SnapshotNotFound, "the table has no snapshot yet").with_table(name)
    })
}
