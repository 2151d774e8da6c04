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

use iceberg::spec::{FormatVersion, MAIN_BRANCH, SnapshotReference, SortOrder, TableMetadata, Transform};
use serde::Deserialize;
use serde_json::Value;

use super::references::with_references;
use crate::Result;

pub use parts::UNKNOWN_OPERATION;
pub(super) use reason::corrupted;
pub use spec::transform;
pub(super) use spec::written_transform;

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
    let refs = references_of_version_1(&value)
        .map_err(|name| reason::corrupted(location, &format!("its branch or tag '{name}' is not valid")))?;
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
    with_references(metadata, &refs).map_err(|e| {
        let what = format!("has branches and tags that floe cannot read: {}", e.message());
        reason::unsupported(location, &what)
    })
}

/// The metadata as the crate reads it, if it misses nothing that has a meaning.
fn as_it_is(json: &[u8]) -> Option<TableMetadata> {
    let metadata: TableMetadata = serde_json::from_slice(json).ok()?;
    let whole = match metadata.format_version() {
        FormatVersion::V1 => false,
        FormatVersion::V2 => true,
        // Transforms of several columns are taken for those of one, and defaults that do not read for none.
        FormatVersion::V3 => {
            let text = std::str::from_utf8(json).ok()?;
            !text.contains("\"source-ids\"") && !text.contains("-default\"")
        }
    };
    // A parameter of 0 divides by nothing.
    let odd = |transform: &Transform| matches!(transform, Transform::Bucket(0) | Transform::Truncate(0));
    let specs = metadata.partition_specs_iter().flat_map(|spec| spec.fields());
    let orders = metadata.sort_orders_iter().flat_map(|order| &order.fields);
    if specs.map(|f| f.transform).chain(orders.map(|f| f.transform)).any(|transform| odd(&transform)) {
        return None;
    }
    let schema = metadata.current_schema();
    let spec = metadata.default_partition_spec().as_ref().clone().into_unbound();
    let order = metadata.default_sort_order().fields.clone();
    let fits =
        || spec.bind(schema.clone()).is_ok() && SortOrder::builder().with_fields(order).build(schema).is_ok();
    (whole && fits()).then_some(metadata)
}

/// The references of a table of format version 1, which the crate leaves unread, or the name of one that is not valid.
/// Empty for other versions.
fn references_of_version_1(value: &Value) -> std::result::Result<HashMap<String, SnapshotReference>, String> {
    if value["format-version"] != 1 {
        return Ok(HashMap::new());
    }
    let refs = value["refs"].as_object().into_iter().flatten();
    let read = |(name, value): (&String, &Value)| {
        let reference = SnapshotReference::deserialize(value).map_err(|_| name.clone())?;
        Ok((name.clone(), reference))
    };
    refs.map(read).collect()
}

/// The crate's builder refuses a log that does not end at the current snapshot, though nothing rests on it.
fn soften_log(value: &mut Value) {
    let Some(current) = value["current-snapshot-id"].as_i64().filter(|id| *id >= 0) else { return };
    if value["format-version"] != 1 {
        return;
    }
    let last = value["snapshot-log"].as_array().and_then(|log| log.last());
    if last.and_then(|entry| entry["snapshot-id"].as_i64()) != Some(current) {
        let mut snapshots = value["snapshots"].as_array().into_iter().flatten();
        let made = snapshots.find(|snapshot| snapshot["snapshot-id"] == current);
        let times = [made, last].map(|entry| entry.and_then(|entry| entry["timestamp-ms"].as_i64()));
        let entry = serde_json::json!({
            "snapshot-id": current,
            "timestamp-ms": times.into_iter().flatten().max(),
        });
        match value["snapshot-log"].as_array_mut() {
            Some(log) => log.push(entry),
            None => value["snapshot-log"] = serde_json::json!([entry]),
        }
    }
}

#[cfg(test)]
mod tests;
