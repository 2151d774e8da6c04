//! `--at`: which snapshot is meant.

use floe::{LoadedTable, Result};
use iceberg::spec::TableMetadata;

use floe::base::SnapshotSelector;

/// What `--at` selects: a number is a snapshot id if there is such a snapshot, and else milliseconds since
/// 1970; then come times; anything else is a branch or tag. A branch or tag goes first if it has that very name.
pub(super) fn selector(at: Option<&str>, metadata: &TableMetadata) -> SnapshotSelector {
    let Some(at) = at else { return SnapshotSelector::Current };
    match SnapshotSelector::parse(at) {
        SnapshotSelector::SnapshotId(id) if metadata.snapshot_by_id(id).is_none() => {
            if metadata.snapshot_for_ref(at).is_some() {
                return SnapshotSelector::Ref(at.to_owned());
            }
            SnapshotSelector::Timestamp(id)
        }
        other => other,
    }
}

/// The snapshot that `--at` selects: its id, none for a table without snapshots. `SnapshotNotFound`.
pub(super) fn snapshot_id(selector: &SnapshotSelector, table: &LoadedTable) -> Result<Option<i64>> {
    Ok(selector.resolve(table)?.snapshot.map(|s| s.snapshot_id()))
}
