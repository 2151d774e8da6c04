//! Which snapshot of a table to read.

use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use floe_core::{Error, ErrorKind, LoadedTable, Result};
use iceberg::spec::{MAIN_BRANCH, SchemaRef, SnapshotRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Names a snapshot of a table.
///
/// ```
/// use floe_iceberg::base::SnapshotSelector;
///
/// assert_eq!(SnapshotSelector::parse("3051729675574597004"), SnapshotSelector::SnapshotId(3051729675574597004));
/// assert_eq!(SnapshotSelector::parse("2013-01-02"), SnapshotSelector::Timestamp(1_357_084_800_000));
/// assert_eq!(SnapshotSelector::parse("audit"), SnapshotSelector::Ref("audit".into()));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotSelector {
    /// The head of the main branch.
    #[default]
    Current,
    /// The snapshot with this id.
    SnapshotId(i64),
    /// The snapshot that was current at this time, in milliseconds since 1970-01-01T00:00:00Z (Iceberg spec, "Point
    /// in Time Reads (Time Travel)").
    Timestamp(i64),
    /// The snapshot of a tag, or the head of a branch.
    Ref(String),
}

/// A snapshot, with the schema that its rows are read in.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// `None` when the table has no snapshot yet: it is empty.
    pub snapshot: Option<SnapshotRef>,
    /// The table's current schema for the head of a branch, so that a change of schema shows at once; otherwise
    /// the schema of the snapshot.
    pub schema: SchemaRef,
}

impl SnapshotSelector {
    /// Reads what a user typed: a number is a snapshot id; a date, or a date and time, is a timestamp (in UTC unless
    /// it has an offset); anything else is the name of a tag or a branch.
    pub fn parse(text: &str) -> Self {
        if let Ok(id) = text.parse() {
            return Self::SnapshotId(id);
        }
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Self::Timestamp(time.timestamp_millis());
        }
        for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"] {
            if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
                return Self::Timestamp(time.and_utc().timestamp_millis());
            }
        }
        if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            return Self::Timestamp(date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis());
        }
        Self::Ref(text.to_owned())
    }

    /// Finds the snapshot, and the schema to read it in. Fails with `SnapshotNotFound`.
    pub fn resolve(&self, table: &LoadedTable) -> Result<Resolved> {
        let metadata = &table.metadata;
        let not_found = |why: String, hint: &str| {
            Error::new(ErrorKind::SnapshotNotFound, why).with_table(&table.ident).with_hint(hint)
        };
        let travelled = |snapshot: &SnapshotRef| -> Result<Resolved> {
            let schema = snapshot.schema(metadata).map_err(|e| Error::from(e).with_table(&table.ident))?;
            Ok(Resolved { snapshot: Some(snapshot.clone()), schema })
        };
        match self {
            Self::Current => Ok(Resolved {
                snapshot: metadata.current_snapshot().cloned(),
                schema: metadata.current_schema().clone(),
            }),
            Self::SnapshotId(id) => match metadata.snapshot_by_id(*id) {
                Some(snapshot) => travelled(snapshot),
                None => Err(not_found(
                    format!("there is no snapshot {id}"),
                    "list the snapshots; it may have expired",
                )),
            },
            Self::Timestamp(ms) => {
                // The log is in order of time, and of two entries at one time the later one counts.
                let entry = metadata.history().iter().rfind(|entry| entry.timestamp_ms <= *ms);
                let Some(entry) = entry else {
                    return Err(not_found(
                        format!("the table had no snapshot at {self}"),
                        "list the snapshots, and choose a later time",
                    ));
                };
                match metadata.snapshot_by_id(entry.snapshot_id) {
                    Some(snapshot) => travelled(snapshot),
                    None => Err(not_found(
                        format!("snapshot {} of {self} is gone", entry.snapshot_id),
                        "it has expired: choose a later time",
                    )),
                }
            }
            Self::Ref(name) => {
                let Some(snapshot) = metadata.snapshot_for_ref(name) else {
                    if name == MAIN_BRANCH && metadata.current_snapshot().is_none() {
                        return Self::Current.resolve(table);
                    }
                    return Err(not_found(
                        format!("there is no tag or branch named '{name}'"),
                        "list the table's tags and branches",
                    ));
                };
                if is_tag(table, name)? {
                    travelled(snapshot)
                } else {
                    Ok(Resolved {
                        snapshot: Some(snapshot.clone()),
                        schema: metadata.current_schema().clone(),
                    })
                }
            }
        }
    }
}

impl fmt::Display for SnapshotSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Current => f.write_str("the current snapshot"),
            Self::SnapshotId(id) => write!(f, "{id}"),
            Self::Timestamp(ms) => match DateTime::from_timestamp_millis(*ms) {
                Some(time) => f.write_str(&time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)),
                None => write!(f, "{ms} ms"),
            },
            Self::Ref(name) => f.write_str(name),
        }
    }
}

/// The crate does not give the kind of a reference; its JSON form does (Iceberg spec, "Snapshot References").
fn is_tag(table: &LoadedTable, name: &str) -> Result<bool> {
    if name == MAIN_BRANCH {
        return Ok(false);
    }
    let json = serde_json::to_value(&*table.metadata).map_err(|e| {
        Error::new(ErrorKind::Internal, "the table metadata cannot be written as JSON")
            .with_table(&table.ident)
            .with_source(e)
    })?;
    Ok(json["refs"][name]["type"] == "tag")
}
