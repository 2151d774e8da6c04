//! What a snapshot is, for people and machines.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use floe_core::Result;
use floe_core::metadata_file::{UNKNOWN_OPERATION, references};
use iceberg::spec::{Snapshot, SnapshotReference, TableMetadata};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A snapshot's metadata (FR-025).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotInfo {
    /// The snapshot's id.
    #[serde(with = "floe_core::json_id")]
    #[schemars(with = "String")]
    pub snapshot_id: i64,
    /// The snapshot it was made from.
    #[serde(with = "floe_core::json_id::option")]
    #[schemars(with = "Option<String>")]
    pub parent_snapshot_id: Option<i64>,
    /// Sequence number; 0 in format version 1.
    pub sequence_number: i64,
    /// When it was made.
    pub timestamp: DateTime<Utc>,
    /// `append`, `overwrite`, `delete` or `replace`; another name as the writer gave it, `unknown` where it gave none.
    pub operation: String,
    /// The whole summary.
    pub summary: BTreeMap<String, String>,
    /// Data files it added.
    pub added_files: u64,
    /// Rows it added.
    pub added_records: u64,
    /// Tags and branches that point at it, sorted.
    pub refs: Vec<String>,
    /// Whether it is the table's current snapshot.
    pub current: bool,
}

impl SnapshotInfo {
    /// Every snapshot of a table, newest first (FR-006).
    pub fn list(metadata: &TableMetadata) -> Result<Vec<Self>> {
        let refs = references(metadata)?;
        let mut list: Vec<Self> = metadata.snapshots().map(|s| Self::new(s, metadata, &refs)).collect();
        list.sort_by_key(|s| std::cmp::Reverse((s.sequence_number, s.timestamp, s.snapshot_id)));
        Ok(list)
    }

    fn new(
        snapshot: &Snapshot,
        metadata: &TableMetadata,
        refs: &BTreeMap<String, SnapshotReference>,
    ) -> Self {
        let mut summary: BTreeMap<String, String> =
            snapshot.summary().additional_properties.clone().into_iter().collect();
        let operation = match summary.remove(UNKNOWN_OPERATION) {
            None => snapshot.summary().operation.as_str().to_owned(),
            Some(name) if name.is_empty() => "unknown".to_owned(),
            Some(name) => name,
        };
        let count = |key: &str| summary.get(key).and_then(|v| v.parse().ok()).unwrap_or(0);
        let points_here = |r: &&SnapshotReference| r.snapshot_id == snapshot.snapshot_id();
        let names = refs.iter().filter(|(_, r)| points_here(r)).map(|(name, _)| name.clone()).collect();
        Self {
            snapshot_id: snapshot.snapshot_id(),
            parent_snapshot_id: snapshot.parent_snapshot_id(),
            sequence_number: snapshot.sequence_number(),
            timestamp: DateTime::from_timestamp_millis(snapshot.timestamp_ms()).unwrap_or_default(),
            operation,
            added_files: count("added-data-files"),
            added_records: count("added-records"),
            summary,
            refs: names,
            current: metadata.current_snapshot_id() == Some(snapshot.snapshot_id()),
        }
    }
}
