//! References (branches and tags) of a table.

use std::collections::BTreeMap;

use floe_core::{Error, ErrorKind, Result};
use iceberg::TableUpdate;
use iceberg::spec::{SnapshotReference, SnapshotRetention, TableMetadata};
use serde::Deserialize;

/// Every branch and tag, by name.
///
/// `TableMetadata` has no accessor for them: they are taken from its serialised form, which costs time in
/// proportion to the number of snapshots. Use [`branch`] for one branch.
pub fn all(metadata: &TableMetadata) -> Result<BTreeMap<String, SnapshotReference>> {
    #[derive(Deserialize)]
    struct Refs {
        #[serde(default)]
        refs: BTreeMap<String, SnapshotReference>,
    }
    let internal = |e: serde_json::Error| {
        Error::new(ErrorKind::Internal, "the references of the table metadata cannot be read").with_source(e)
    };
    let json = serde_json::to_vec(metadata).map_err(internal)?;
    let refs: Refs = serde_json::from_slice(&json).map_err(internal)?;
    Ok(refs.refs)
}

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
    match all(metadata)?.remove(name) {
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
