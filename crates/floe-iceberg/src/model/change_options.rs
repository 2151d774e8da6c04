//! What all changes of rows have in common.

use std::collections::BTreeMap;

use floe_plan::guard::Isolation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RerunOptions;
use super::faults::Faults;
use crate::commit::CommitStrategy;
use crate::execute::rows::RowMode;

/// How a change of rows is made and committed: the part of a configuration that every kind of write has. Its fields
/// stand beside those of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ChangeOptions {
    /// How the change is committed; the manager's default when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_strategy: Option<CommitStrategy>,
    /// How rows of data files are removed; what the table's properties (`write.delete.mode`, `write.merge.mode` …) say
    /// when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row_mode: Option<RowMode>,
    /// What other writers may do meanwhile; what the table's properties (`write.delete.isolation-level` …) say when
    /// absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// Only count what would change; nothing is written. Not for appends.
    pub dry_run: bool,
    /// Properties that the snapshot's summary carries.
    pub snapshot_properties: BTreeMap<String, String>,
    /// The snapshot is added to the table, and the branch stays where it is until it is published
    /// (write-audit-publish). Give it a `wap.id` in `snapshot_properties`.
    pub staged: bool,
    /// The branch to write to; `main` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// A name for this very write, 1 to 255 bytes. The same write again, with the same key, finds the first one's
    /// snapshot and writes nothing, so that a caller may repeat a call whose answer was lost. Another write with the
    /// key of an earlier one is refused, and so is the same write with another input.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub idempotency_key: Option<String>,
    /// The key alone decides whether a write was done before: its input is not compared.
    pub any_input: bool,
    /// How often the change is made anew when another writer changes what it read.
    #[serde(skip_serializing_if = "RerunOptions::is_default")]
    pub rerun: RerunOptions,
}

impl ChangeOptions {
    /// Notes what is wrong with the options.
    pub(super) fn check(&self, faults: &mut Faults) {
        faults.check(self.branch.as_ref().is_none_or(|b| !b.is_empty()), || "branch is empty".into());
        faults.check(self.idempotency_key.as_ref().is_none_or(|k| (1..=255).contains(&k.len())), || {
            "idempotency_key must have 1 to 255 bytes".into()
        });
    }
}
