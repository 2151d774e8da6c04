//! Which snapshot of a table to read.

use std::fmt;

use floe_core::{Error, LoadedTable, Result};
use floe_plan::state::{State, States, time_text};
use iceberg::spec::{SchemaRef, SnapshotRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Names a snapshot of a table.
///
/// What a user typed is [`SnapshotSelector::Named`], which is resolved upon the table: a branch or tag of that very name,
/// else a snapshot id, else a time ([`floe_plan::state`]).
///
/// ```
/// use floe_iceberg::base::SnapshotSelector;
///
/// assert_eq!(SnapshotSelector::from("audit"), SnapshotSelector::Named("audit".into()));
/// assert_eq!(SnapshotSelector::default(), SnapshotSelector::Current);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotSelector {
    /// The head of the main branch.
    #[default]
    Current,
    /// The snapshot with this id.
    SnapshotId(
        #[serde(with = "floe_core::json_id")]
        #[schemars(with = "String")]
        i64,
    ),
    /// The snapshot that was current at this time, in milliseconds since 1970-01-01T00:00:00Z (Iceberg spec, "Point
    /// in Time Reads (Time Travel)").
    Timestamp(i64),
    /// The snapshot of a tag, or the head of a branch.
    Ref(String),
    /// What a user typed: a branch or tag of exactly that name, else a snapshot id (`N`, `id:N`), else a time (`ms:N`, a
    /// date, or a date and time).
    Named(String),
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
    /// Finds the snapshot, and the schema to read it in. Fails with `SnapshotNotFound`, or `Validation` for a
    /// [`SnapshotSelector::Named`] that is malformed.
    pub fn resolve(&self, table: &LoadedTable) -> Result<Resolved> {
        let metadata = &table.metadata;
        let Some(state) = self.state(table)? else {
            let snapshot = metadata.current_snapshot().cloned();
            return Ok(Resolved { snapshot, schema: metadata.current_schema().clone() });
        };
        let snapshot = state.snapshot_id.and_then(|id| metadata.snapshot_by_id(id)).cloned();
        let schema = match &snapshot {
            Some(snapshot) if !state.is_branch => {
                snapshot.schema(metadata).map_err(|e| Error::from(e).with_table(&table.ident))?
            }
            _ => metadata.current_schema().clone(),
        };
        Ok(Resolved { snapshot, schema })
    }

    /// The state of the table that is named, with what else it could mean; nothing for [`SnapshotSelector::Current`]. Fails
    /// as [`SnapshotSelector::resolve`] does.
    pub fn state(&self, table: &LoadedTable) -> Result<Option<State>> {
        let metadata = &table.metadata;
        let find = || match self {
            Self::Current => Ok(None),
            Self::SnapshotId(id) => States::without_references(metadata).snapshot(*id).map(Some),
            Self::Timestamp(ms) => States::without_references(metadata).at_time(*ms).map(Some),
            Self::Ref(name) => States::of(metadata)?.reference(name).map(Some),
            Self::Named(text) => States::of(metadata)?.resolve(text).map(Some),
        };
        find().map_err(|e: Error| e.with_table(&table.ident))
    }
}

impl From<&str> for SnapshotSelector {
    fn from(text: &str) -> Self {
        Self::Named(text.to_owned())
    }
}

impl fmt::Display for SnapshotSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Current => f.write_str("the current snapshot"),
            Self::SnapshotId(id) => write!(f, "{id}"),
            Self::Timestamp(ms) => f.write_str(&time_text(*ms)),
            Self::Ref(name) | Self::Named(name) => f.write_str(name),
        }
    }
}
