//! Metadata as updates make it.

use std::collections::HashMap;

use chrono::Utc;
use iceberg::TableUpdate;
use iceberg::spec::{FormatVersion, Operation, Snapshot, Summary, TableMetadata};

use super::{lenient, references};
use crate::{Error, ErrorKind, Result};

/// Readers allow for clocks that are so far apart.
const TOLERANCE_MS: i64 = 60_000;

/// `head` after `updates`; `location`, if given, is where `head` is, and goes into its log.
///
/// Fails with `Validation` when an update does not fit.
///
/// A table may have been changed by a writer whose clock is ahead of ours. The crate would give the version after it an
/// earlier time, which it and other readers take for an error, for ever. Here the time of the last change does not go back.
pub fn updated(
    head: &TableMetadata,
    location: Option<&str>,
    updates: &[TableUpdate],
) -> Result<TableMetadata> {
    let refused = |e: iceberg::Error| {
        Error::validation(format!("an update does not fit the table: {}", e.message())).with_source(e)
    };
    let oldest = head.last_updated_ms().saturating_sub(TOLERANCE_MS);
    let told = |update: &TableUpdate| match update {
        TableUpdate::AddSnapshot { snapshot } => snapshot.timestamp_ms() >= oldest,
        _ => false,
    };
    let ahead = Utc::now().timestamp_millis() < oldest && !updates.iter().any(told);
    let marker = ahead.then(|| marker(head));
    let mut builder = head.clone().into_builder(location.map(str::to_owned));
    if let Some(marker) = &marker {
        builder = builder.add_snapshot(marker.clone()).map_err(refused)?;
    }
    for update in updates {
        builder = update.clone().apply(builder).map_err(refused)?;
    }
    let metadata = builder.build().map_err(refused)?.metadata;
    match marker {
        None => Ok(metadata),
        Some(marker) => without(&metadata, marker.snapshot_id()),
    }
}

/// A snapshot that is in no table, of the time of the last change: with it the builder goes by that time, and not by the
/// clock.
pub(super) fn marker(head: &TableMetadata) -> Snapshot {
    // One of so many ids is free.
    let mut ids = 1..=head.snapshots().len() as i64 + 1;
    let id = ids.find(|id| head.snapshot_by_id(*id).is_none()).unwrap_or(i64::MAX);
    let marker = Snapshot::builder()
        .with_snapshot_id(id)
        .with_sequence_number(head.last_sequence_number())
        .with_timestamp_ms(head.last_updated_ms())
        .with_manifest_list("")
        .with_summary(Summary { operation: Operation::Append, additional_properties: HashMap::new() });
    match head.format_version() {
        FormatVersion::V3 => marker.with_row_range(head.next_row_id(), 0).build(),
        _ => marker.build(),
    }
}

/// The metadata without a snapshot, and otherwise the same: the builder would rewrite the log of snapshots.
fn without(metadata: &TableMetadata, snapshot_id: i64) -> Result<TableMetadata> {
    let unwritable =
        |e| Error::new(ErrorKind::Internal, "the metadata cannot be written as JSON").with_source(e);
    let mut value = serde_json::to_value(metadata).map_err(unwritable)?;
    value["refs"] = serde_json::to_value(references(metadata)?).map_err(unwritable)?;
    if let Some(snapshots) = value["snapshots"].as_array_mut() {
        snapshots.retain(|snapshot| snapshot["snapshot-id"] != snapshot_id);
    }
    lenient::parse(value.to_string().as_bytes(), metadata.location())
}
