//! Tags and branches, of every format version.

use std::collections::{BTreeMap, HashMap};

use iceberg::spec::{FormatVersion, MAIN_BRANCH, SnapshotReference, TableMetadata};
use serde::Deserialize;

use super::build::marker;
use crate::{Error, ErrorKind, Result};

/// Every tag and branch of a table, by name.
///
/// `TableMetadata` has no accessor for them: they are taken from its serialised form, which costs time in
/// proportion to the number of snapshots.
pub fn references(metadata: &TableMetadata) -> Result<BTreeMap<String, SnapshotReference>> {
    #[derive(Deserialize)]
    struct References {
        #[serde(default)]
        refs: BTreeMap<String, SnapshotReference>,
    }
    let unreadable =
        |e| Error::new(ErrorKind::Internal, "the references of the table cannot be read").with_source(e);
    let json = match metadata.format_version() {
        // The crate does not write them there.
        FormatVersion::V1 => serde_json::to_string(&upgraded(metadata)?),
        _ => serde_json::to_string(metadata),
    };
    let References { refs } = serde_json::from_str(&json.map_err(unreadable)?).map_err(unreadable)?;
    Ok(refs)
}

fn upgraded(metadata: &TableMetadata) -> Result<TableMetadata> {
    // The builder refuses metadata of a clock ahead of ours.
    let builder = metadata.clone().into_builder(None).add_snapshot(marker(metadata))?;
    Ok(builder.upgrade_format_version(FormatVersion::V2)?.build()?.metadata)
}

/// `metadata` with `refs`. Nothing else differs, but that its log of snapshots lacks those that have expired. The main
/// branch stays as it is: what is said of how long it is kept stays in the text alone.
///
/// The crate reads no references in format version 1, where Java and PyIceberg write them all the same. Its builder
/// takes them, but sets the time of the last update to now; so a snapshot of that time is added, and taken out again.
pub(super) fn with_references(
    metadata: TableMetadata,
    refs: &HashMap<String, SnapshotReference>,
) -> iceberg::Result<TableMetadata> {
    let marker = marker(&metadata);
    let id = marker.snapshot_id();
    let mut builder = metadata.into_builder(None).add_snapshot(marker)?;
    for (name, reference) in refs.iter().filter(|(name, _)| *name != MAIN_BRANCH) {
        builder = builder.set_ref(name, reference.clone())?;
    }
    Ok(builder.remove_snapshots(&[id]).build()?.metadata)
}
