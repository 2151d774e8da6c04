//! Running an operation again that met a conflict.

use floe_plan::rerun::RerunPolicy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How often, and for how long, an operation that met a conflict is run again on the table as it is then.
///
/// It is run again when another writer changed what it read: removed a file, added deletes, or rows that match. Not after an
/// unknown outcome, and not when its input cannot be read again.
///
/// ```
/// use floe_iceberg::model::{DeleteConfig, RerunOptions};
///
/// let config: DeleteConfig = serde_json::from_str(r#"{"rerun": {"max_attempts": 3}}"#)?;
/// assert_eq!(config.options.rerun.max_attempts, Some(3));
/// assert_ne!(config.options.rerun, RerunOptions::default());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RerunOptions {
    /// Runs after the first one, 0 for none. When absent, what the table's property `commit.rerun.max-attempts` says, or else
    /// the manager's configuration, for deletes, upserts, merges and dynamic overwrites; none for other overwrites. Appends
    /// meet no such conflict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// Milliseconds after which no run starts any more. When absent, what `commit.rerun.total-timeout-ms` of the table says,
    /// or else the manager's configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_timeout_ms: Option<u64>,
}

impl RerunOptions {
    /// Whether nothing is said.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What is said here over `policy`.
    pub(crate) fn over(&self, policy: RerunPolicy) -> RerunPolicy {
        RerunPolicy {
            max_attempts: self.max_attempts.unwrap_or(policy.max_attempts),
            total: self.total_timeout_ms.map_or(policy.total, Duration::from_millis),
        }
    }
}
