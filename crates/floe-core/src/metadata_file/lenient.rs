//! Reading metadata that is valid and that the crate's model has no room for.
//!
//! The format asks readers to read on where they do not know everything (Iceberg spec, "Partition Transforms"), and
//! other writers are freer than the crate expects. What it cannot represent is put in a form that it can, in a copy of the
//! text: the copy is read, and never written. A commit changes the text that was read, see
//! [`MetadataText`](super::MetadataText).

mod parts;
mod reason;
mod spec;

use std::collections::HashMap;

use iceberg::spec::{FormatVersion, MAIN_BRANCH, SnapshotReference, SortOrder, TableMetadata};
use serde::Deserialize;
use serde_json::Value;

use super::references::with_references;
use crate::{Error, Result};

pub use parts::UNKNOWN_OPERATION;
pub(super) use reason::corrupted;
pub use spec::transform;

/// The metadata in `json`, which was read from `location`.
///
/// Fails with `Unsupported`, naming it, for what floe does not know and cannot leave alone; with `Corrupted`, and the
/// place, for what is no table metadata.
pub(super) fn parse(json: &[u8], location: &str) -> Result<TableMetadata> {
    if let Some(metadata) = as_it_is(json) {
        return Ok(metadata);
    }
    let mut value: Value = serde_json::from_slice(json).map_err(|e| reason::not_json(&e, location))?;
    reason::check(&value, location)?;
    parts::soften(&mut value);
    let refs = references_of_version_1(&mut value);
    soften_log(&mut value);
    spec::soften(&mut value);
    // The parser's message may quote values of properties: `reason` says where, not what.
    let metadata = TableMetadata::deserialize(&value).map_err(|_| reason::find(&value, location))?;
    reason::check_defaults(&value, &metadata, location)?;
    if refs.is_empty() {
        return Ok(metadata);
    }
    let unreadable = |why: &str| reason::corrupted(location, why);
    if let Some(main) = refs.get(MAIN_BRANCH)
        && Some(main.snapshot_id) != metadata.current_snapshot_id()
    {
        return Err(unreadable("its main branch is not where its current snapshot is"));
    }
    if let Some((name, _)) = refs.iter().find(|(_, r)| metadata.snapshot_by_id(r.snapshot_id).is_none()) {
        return Err(unreadable(&format!("the snapshot of the branch or tag '{name}' is not there")));
    }
    with_references(metadata, &refs)
        .map_err(|e| Error::from(e).context(format!("the branches and tags of {location} cannot be read")))
}

/// The metadata as the crate reads it, if it misses nothing that has a meaning.
fn as_it_is(json: &[u8]) -> Option<TableMetadata> {
    let has = |text: &[u8]| json.windows(text.len()).any(|window| window == text);
    if has(b"\"source-ids\"") || has(b"-default\"") {
        return None;
    }
    let metadata: TableMetadata = serde_json::from_slice(json).ok()?;
    let schema = metadata.current_schema();
    let spec = metadata.default_partition_spec().as_ref().clone().into_unbound();
    let order = metadata.default_sort_order().fields.clone();
    let whole = metadata.format_version() != FormatVersion::V1
        && spec.bind(schema.clone()).is_ok()
        && SortOrder::builder().with_fields(order).build(schema).is_ok();
    whole.then_some(metadata)
}

/// The references of a table of format version 1, which the crate leaves unread; those that do not read as one are
/// left to the text. Empty for other versions.
fn references_of_version_1(value: &mut Value) -> HashMap<String, SnapshotReference> {
    if value["format-version"] != 1 {
        return HashMap::new();
    }
    let refs = value.get("refs").and_then(Value::as_object).into_iter().flatten();
    refs.filter_map(|(name, value)| Some((name.clone(), SnapshotReference::deserialize(value).ok()?)))
        .collect()
}

/// The crate's builder refuses a log that does not end at the current snapshot, though nothing rests on it.
fn soften_log(value: &mut Value) {
    let Some(current) = value["current-snapshot-id"].as_i64().filter(|id| *id >= 0) else { return };
    if value["format-version"] != 1 {
        return;
    }
    let ends = value["snapshot-log"].as_array().and_then(|log| log.last()?["snapshot-id"].as_i64());
    if ends != Some(current) {
        let entry = serde_json::json!({
            "snapshot-id": current,
            "timestamp-ms": value["last-updated-ms"],
        });
        match value["snapshot-log"].as_array_mut() {
            Some(log) => log.push(entry),
            None => value["snapshot-log"] = serde_json::json!([entry]),
        }
    }
}

#[cfg(test)]
mod tests;
