//! `--at` and `--to`: which state of a table is meant.

use floe::base::SnapshotSelector;
use floe::{LoadedTable, Result};

/// A state that a user named, found in the table as it was loaded.
#[derive(Debug)]
pub(super) struct Chosen {
    /// What selects it again in a table that may have moved on: a branch by its name, all else by the snapshot.
    pub(super) selector: SnapshotSelector,
    /// Its snapshot; `None` for a table without one.
    pub(super) snapshot_id: Option<i64>,
    /// What else the user could have meant.
    pub(super) note: Option<String>,
}

/// The state that `at` names; the current one when `None`. `SnapshotNotFound`, `Validation`.
pub(super) fn choose(at: Option<&str>, table: &LoadedTable) -> Result<Chosen> {
    let Some(text) = at else {
        let snapshot_id = table.metadata.current_snapshot_id();
        return Ok(Chosen { selector: SnapshotSelector::Current, snapshot_id, note: None });
    };
    let selector = SnapshotSelector::from(text);
    let Some(state) = selector.state(table)? else { return choose(None, table) };
    let selector = match state.snapshot_id {
        _ if state.is_branch => SnapshotSelector::Ref(text.to_owned()),
        Some(id) => SnapshotSelector::SnapshotId(id),
        None => SnapshotSelector::Current,
    };
    Ok(Chosen { selector, snapshot_id: state.snapshot_id, note: state.note })
}
