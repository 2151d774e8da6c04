//! Taking back what happened to the rows of a branch.

use floe::plan::state::States;
use floe::{IcebergTableManager, LoadedTable};
use iceberg::spec::MAIN_BRANCH;

use super::{Line, Undo};
use crate::values::TableName;

/// Takes back that `snapshot` was added to a branch (`main` when `None`): back to the one it was made upon.
pub(crate) async fn written(
    manager: &IcebergTableManager,
    table: &TableName,
    branch: Option<&str>,
    snapshot: Option<i64>,
) -> Undo {
    let Some(id) = snapshot else { return Undo::Nothing };
    // The change is made, whatever becomes of this look.
    let Ok(now) = manager.load_table(&table.ident()).await else {
        return Undo::Not("the table could not be looked at after the change".into());
    };
    let Some(snapshot) = now.metadata.snapshot_by_id(id) else {
        return Undo::Not(format!("snapshot {id} is not there any more"));
    };
    back(&now, table, branch, snapshot.parent_snapshot_id(), "rollback")
}

/// Takes back that a branch was moved, from the snapshot where it was.
pub(crate) fn moved(now: &LoadedTable, table: &TableName, branch: Option<&str>, was: Option<i64>) -> Undo {
    // Not every move went forward, and a rollback only goes back.
    back(now, table, branch, was, "set-current")
}

fn back(
    now: &LoadedTable,
    table: &TableName,
    branch: Option<&str>,
    to: Option<i64>,
    command: &'static str,
) -> Undo {
    let branch = branch.filter(|branch| *branch != MAIN_BRANCH);
    let line = |command| Line::new(command).name(table);
    let Some(id) = to else {
        // A branch cannot be set back to before its first snapshot, but it can be emptied.
        return Undo::by(line("delete").option("filter", "true").maybe("branch", branch));
    };
    let Ok(states) = States::of(&now.metadata) else {
        return Undo::Not("the table's branches and tags cannot be read".into());
    };
    if !states.snapshots.contains(&id) {
        return Undo::Not(format!("snapshot {id}, which came before, is not there any more"));
    }
    match states.name_of(id) {
        Some(id) => Undo::by(line(command).option("to", id).maybe("branch", branch)),
        None => Undo::Not(format!("branches or tags are named like snapshot {id}")),
    }
}
