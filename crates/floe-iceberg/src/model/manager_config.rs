//! Configuration of the manager.

use std::collections::BTreeMap;

use floe_core::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::faults::Faults;
use crate::commit::CommitStrategy;

/// How an `IcebergTableManager` behaves when neither the call nor the table says otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IcebergTableManagerConfig {
    /// New attempts after a commit conflict, 1 to 10. A table's `commit.retry.num-retries` wins.
    #[schemars(range(min = 1, max = 10))]
    pub max_commit_retries: u32,
    /// Seconds before the first new attempt, 0.1 to 30; doubles from one to the next, with jitter. A table's
    /// `commit.retry.min-wait-ms` wins.
    #[schemars(range(min = 0.1, max = 30.0))]
    pub retry_base_delay_seconds: f64,
    /// How often an operation is run again when another writer changed what it read, 0 to 1000. A table's
    /// `commit.rerun.max-attempts` wins, and a call's own options win over that.
    #[schemars(range(max = 1000))]
    pub max_reruns: u32,
    /// Seconds after which an operation is not run again, 0 to 86400. A table's `commit.rerun.total-timeout-ms` wins.
    #[schemars(range(min = 0.0, max = 86400.0))]
    pub rerun_timeout_seconds: f64,
    /// Days that snapshots are kept by default when they are expired, 1 to 365.
    #[schemars(range(min = 1, max = 365))]
    pub default_retention_days: u32,
    /// Snapshots that are kept whatever their age, 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub min_snapshots_to_keep: u32,
    /// How writes are committed when the call does not say.
    pub default_commit_strategy: CommitStrategy,
    /// Properties that new tables get unless their configuration sets them.
    pub default_table_properties: BTreeMap<String, String>,
    /// Memory that one write may hold, in bytes.
    #[schemars(range(min = 16_777_216))]
    pub write_memory_bytes: u64,
    /// Memory that the cache of manifests may hold, in bytes.
    pub manifest_cache_bytes: u64,
}

impl IcebergTableManagerConfig {
    /// Checks every range; one `Validation` error names all faults.
    pub fn validate(&self) -> Result<()> {
        let mut faults = Faults::default();
        let mut range = |name: &str, value: f64, min: f64, max: f64| {
            faults.check((min..=max).contains(&value), || format!("{name} must be {min} to {max}"));
        };
        range("max_commit_retries", self.max_commit_retries.into(), 1.0, 10.0);
        range("retry_base_delay_seconds", self.retry_base_delay_seconds, 0.1, 30.0);
        range("max_reruns", self.max_reruns.into(), 0.0, 1000.0);
        range("rerun_timeout_seconds", self.rerun_timeout_seconds, 0.0, 86_400.0);
        range("default_retention_days", self.default_retention_days.into(), 1.0, 365.0);
        range("min_snapshots_to_keep", self.min_snapshots_to_keep.into(), 1.0, 100.0);
        faults.check(self.write_memory_bytes >= 16 << 20, || {
            "write_memory_bytes must be 16 MiB or more".into()
        });
        faults.into_result("the manager configuration")
    }
}

impl Default for IcebergTableManagerConfig {
    fn default() -> Self {
        let properties = [
            ("write.format.default", "parquet"),
            ("write.target-file-size-bytes", "134217728"),
            ("write.parquet.row-group-size-bytes", "134217728"),
        ];
        Self {
            max_commit_retries: 3,
            retry_base_delay_seconds: 1.0,
            max_reruns: 10,
            rerun_timeout_seconds: 1800.0,
            default_retention_days: 7,
            min_snapshots_to_keep: 10,
            default_commit_strategy: CommitStrategy::FastAppend,
            default_table_properties: properties.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            write_memory_bytes: 256 << 20,
            manifest_cache_bytes: 64 << 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_an_empty_object_gives_it() {
        let config: IcebergTableManagerConfig = serde_json::from_str("{}").unwrap();
        assert_eq!(config, IcebergTableManagerConfig::default());
        config.validate().unwrap();
    }

    #[test]
    fn all_faults_are_named_at_once() {
        let config = IcebergTableManagerConfig {
            max_commit_retries: 11,
            retry_base_delay_seconds: f64::NAN,
            ..Default::default()
        };
        let message = config.validate().unwrap_err().to_string();
        assert!(message.contains("max_commit_retries") && message.contains("retry_base_delay"), "{message}");
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(serde_json::from_str::<IcebergTableManagerConfig>(r#"{"max_retries": 1}"#).is_err());
    }
}
