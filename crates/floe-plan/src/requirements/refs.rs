//! References (branches and tags) of a table.

use floe_core::metadata_file::references;
use floe_core::{Error, Result};
use iceberg::TableUpdate;
use iceberg::spec::{SnapshotReference, SnapshotRetention, TableMetadata};

/// The branch called `name` with its retention settings, or `None` when there is no such reference.
///
/// A commit moves a branch and must hand its retention settings on. Fails with `Validation` when `name` is a
/// tag.
pub fn branch(metadata: &TableMetadata, name: &str) -> Result<Option<SnapshotReference>> {
    let Some(head) = metadata.snapshot_for_ref(name) else { return Ok(None) };
    let plain = SnapshotReference::new(head.snapshot_id(), SnapshotRetention::branch(None, None, None));
    if is_exactly(metadata, name, &plain) {
        return Ok(Some(plain));
    }
    match references(metadata)?.remove(name) {
        Some(reference) if !reference.is_branch() => {
            Err(Error::validation(format!("'{name}' is a tag: only a branch can be written to")))
        }
        reference => Ok(reference),
    }
}

/// Whether the reference called `name` is certain to equal `reference`: setting it then changes nothing.
fn is_exactly(metadata: &TableMetadata, name: &str, reference: &SnapshotReference) -> bool {
    let set = metadata.clone().into_builder(None).set_ref(name, reference.clone());
    // The builder refuses metadata from a clock ahead of ours.
    let Ok(built) = set.and_then(|builder| builder.build()) else { return false };
    !built.changes.iter().any(|change| matches!(change, TableUpdate::SetSnapshotRef { .. }))
}
