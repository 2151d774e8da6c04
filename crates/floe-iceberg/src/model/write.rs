//! Configuration and outcome of a write.

use std::collections::BTreeMap;

use floe_core::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::faults::Faults;
use crate::commit::CommitStrategy;

/// What a write does with the rows that are there (FR-005).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WriteMode {
    /// Adds rows.
    #[default]
    Append,
}

impl WriteMode {
    /// The `snake_case` name, as configuration and spans carry it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Append => "append",
        }
    }
}

/// How data is written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WriteConfig {
    /// What happens to the rows that are there.
    pub mode: WriteMode,
    /// How the write is committed; the manager's default when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_strategy: Option<CommitStrategy>,
    /// Properties that the snapshot's summary carries.
    pub snapshot_properties: BTreeMap<String, String>,
    /// The branch to write to; `main` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// A name for this very write. The same write again, with the same key, finds the first one's snapshot
    /// and writes nothing, so that a caller may repeat a call whose answer was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub idempotency_key: Option<String>,
}

impl WriteConfig {
    /// Checks what can be checked without the table; one `Validation` error names all faults.
    pub fn validate(&self) -> Result<()> {
        let mut faults = Faults::default();
        faults.check(self.branch.as_ref().is_none_or(|b| !b.is_empty()), || "branch is empty".into());
        faults.check(self.idempotency_key.as_ref().is_none_or(|k| (1..=255).contains(&k.len())), || {
            "idempotency_key must have 1 to 255 bytes".into()
        });
        faults.into_result("the write configuration")
    }
}

/// What a write did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct WriteOutcome {
    /// The snapshot that holds the rows; the table's current one, if any, when there were no rows.
    pub snapshot_id: Option<i64>,
    /// Rows that were added.
    pub rows: u64,
    /// Data files that were added.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
    /// Commit attempts; 0 when nothing was committed.
    pub attempts: u32,
    /// Whether an earlier write with the same idempotency key had done this already.
    pub replayed: bool,
    /// The snapshot's summary.
    pub summary: BTreeMap<String, String>,
}
