//! `floe rollback` and `floe set-current`.

use floe::plan::state::{Reading, States};
use floe::{Error, ErrorKind, LoadedTable, Result};

use super::{at, moved};
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
    let meaning = States::of(&before.metadata)?.meaning(&args.to).map_err(|e| e.with_table(&args.table))?;
    let note = match meaning {
        // Of this branch, which need not have been where the main branch was.
        Reading::Time(ms) => {
            manager.rollback_to_timestamp(&ident, branch, ms).await?;
            None
        }
        Reading::Snapshot(_) | Reading::Name(_) => {
            let (id, note) = snapshot(&args.to, &before, &args.table)?;
            manager.rollback_to_snapshot(&ident, branch, id).await?;
            note
        }
    };
    let after = manager.load_table(&ident).await?;
    let report = moved::report(command, "Rolled back", &args.table, branch, (&before, &after), location);
    ui.print(&report.maybe_note(note))
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
    let (id, note) = snapshot(&args.to, &before, &args.table)?;
    manager.set_current_snapshot(&ident, branch, id).await?;
    let after = manager.load_table(&ident).await?;
    let report = moved::report(command, "Set", &args.table, branch, (&before, &after), location);
    ui.print(&report.maybe_note(note))
}

/// The snapshot that `to` names, and what else it could mean.
pub(super) fn snapshot(to: &str, table: &LoadedTable, name: &TableName) -> Result<(i64, Option<String>)> {
    let chosen = at::choose(Some(to), table)?;
    let id = chosen.snapshot_id.ok_or_else(|| {
        Error::new(ErrorKind::SnapshotNotFound, "the table has no snapshot yet").with_table(name)
    })?;
    Ok((id, chosen.note))
}
