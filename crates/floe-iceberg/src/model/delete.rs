//! Configuration of a delete.

use std::collections::BTreeMap;

use floe_core::Result;
use floe_plan::guard::Isolation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::faults::Faults;
use crate::execute::rows::RowMode;

/// How rows are deleted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeleteConfig {
    /// How rows of data files are removed; what `write.delete.mode` of the table says when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row_mode: Option<RowMode>,
    /// What other writers may do meanwhile; what `write.delete.isolation-level` of the table says when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// Only count what would change; nothing is written.
    pub dry_run: bool,
    /// Properties that the snapshot's summary carries.
    pub snapshot_properties: BTreeMap<String, String>,
    /// The branch to delete from; `main` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// A name for this very delete; see [`WriteConfig::idempotency_key`](super::WriteConfig::idempotency_key).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub idempotency_key: Option<String>,
}

impl DeleteConfig {
    /// Checks what can be checked without the table; one `Validation` error names all faults.
    pub fn validate(&self) -> Result<()> {
        let mut faults = Faults::default();
        faults.check(self.branch.as_ref().is_none_or(|b| !b.is_empty()), || "branch is empty".into());
        faults.check(self.idempotency_key.as_ref().is_none_or(|k| (1..=255).contains(&k.len())), || {
            "idempotency_key must have 1 to 255 bytes".into()
        });
        faults.into_result("the delete configuration")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_key_or_branch_is_refused() {
        let empty = || Some(String::new());
        assert!(DeleteConfig::default().validate().is_ok());
        assert!(DeleteConfig { idempotency_key: empty(), ..DeleteConfig::default() }.validate().is_err());
        assert!(DeleteConfig { branch: empty(), ..DeleteConfig::default() }.validate().is_err());
    }
}
