//! Which manifests a snapshot consists of.

mod holds;
mod merge;
mod new;

use std::collections::HashMap;

use floe_core::{Error, Result};

pub use holds::may_list;
pub use merge::{Slot, plan_merges};
pub use new::{NewManifest, estimated_entry_size, new_manifests};

/// The table property for [`LayoutPolicy::target_size_bytes`].
pub const TARGET_SIZE_BYTES: &str = "commit.manifest.target-size-bytes";
/// The table property for [`LayoutPolicy::min_count_to_merge`].
pub const MIN_COUNT_TO_MERGE: &str = "commit.manifest.min-count-to-merge";
/// The table property for [`LayoutPolicy::merge_enabled`].
pub const MERGE_ENABLED: &str = "commit.manifest-merge.enabled";

/// How big manifests get, and when small ones are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayoutPolicy {
    /// The size manifests are cut at and merged up to, in bytes.
    pub target_size_bytes: u64,
    /// The newest manifests stay as they are while there are fewer than this many to merge.
    pub min_count_to_merge: usize,
    /// Whether a merging commit merges at all.
    pub merge_enabled: bool,
}

impl Default for LayoutPolicy {
    /// The defaults of Iceberg's table properties: 8 MiB, 100, true.
    fn default() -> Self {
        Self { target_size_bytes: 8 * 1024 * 1024, min_count_to_merge: 100, merge_enabled: true }
    }
}

impl LayoutPolicy {
    /// What a table's `commit.manifest*` properties say.
    ///
    /// Fails with `Validation` when one of them cannot be read.
    pub fn from_properties(properties: &HashMap<String, String>) -> Result<Self> {
        let default = Self::default();
        Ok(Self {
            target_size_bytes: parsed(properties, TARGET_SIZE_BYTES)?.unwrap_or(default.target_size_bytes),
            min_count_to_merge: parsed(properties, MIN_COUNT_TO_MERGE)?.unwrap_or(default.min_count_to_merge),
            merge_enabled: parsed(properties, MERGE_ENABLED)?.unwrap_or(default.merge_enabled),
        })
    }
}

fn parsed<T: std::str::FromStr>(properties: &HashMap<String, String>, key: &str) -> Result<Option<T>> {
    let Some(text) = properties.get(key) else { return Ok(None) };
    text.trim().to_ascii_lowercase().parse().map(Some).map_err(|_| {
        Error::validation(format!("the table property {key} cannot be read"))
            .with_hint("set it to a valid value, or remove it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_change_the_defaults_one_by_one() {
        let properties = HashMap::from([(MIN_COUNT_TO_MERGE.to_owned(), "3".to_owned())]);
        let policy = LayoutPolicy::from_properties(&properties).unwrap();
        assert_eq!(policy, LayoutPolicy { min_count_to_merge: 3, ..LayoutPolicy::default() });
    }

    #[test]
    fn a_property_that_cannot_be_read_is_named() {
        let properties = HashMap::from([(MERGE_ENABLED.to_owned(), "maybe".to_owned())]);
        let error = LayoutPolicy::from_properties(&properties).unwrap_err();
        assert!(error.to_string().contains(MERGE_ENABLED));
    }
}
