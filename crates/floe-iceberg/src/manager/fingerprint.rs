//! What an operation with an idempotency key is, so that the key cannot stand for another one.
//!
//! A fingerprint is the kind of the operation and a hash of what it aims at: filter, join columns, rules. Not of the data,
//! which may be a stream that cannot be read twice, nor of how the work is done (mode, isolation, strategy), nor of the
//! branch, whose history decides whether the work is there. A hash, since filters hold data values.

use std::fmt::Write;

use floe_core::Result;
use floe_plan::expr::Expr;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::commit::STAGED;
use crate::execute::upsert::{WhenMatched, WhenNotMatched, WhenNotMatchedBySource};
use crate::model::{ChangeOptions, MergeConfig, WriteConfig};

/// The bytes of the hash that are kept.
const BYTES: usize = 12;

/// The fingerprint of an operation of this kind with this target.
pub(super) fn fingerprint(kind: &str, target: &impl Serialize, staged: bool) -> Result<String> {
    let json = serde_json::to_vec(target).map_err(|e| {
        floe_core::Error::new(floe_core::ErrorKind::Internal, "an operation cannot be hashed").with_source(e)
    })?;
    let hash = Sha256::digest(json);
    let mut hex = String::with_capacity(2 * BYTES);
    for byte in &hash[..BYTES] {
        // A string takes everything.
        let _ = write!(hex, "{byte:02x}");
    }
    Ok(format!("{}{kind}-{hex}", if staged { STAGED } else { "" }))
}

/// The fingerprint of a write of rows.
pub(super) fn of_write(config: &WriteConfig) -> Result<String> {
    fingerprint(config.mode.as_str(), &write_target(config)?, config.options.staged)
}

/// The fingerprint of a delete.
pub(super) fn of_delete(filter: &Expr, options: &ChangeOptions) -> Result<String> {
    fingerprint("delete", &filter.to_string(), options.staged)
}

/// The fingerprint of a merge.
pub(super) fn of_merge(config: &MergeConfig) -> Result<String> {
    fingerprint("merge", &config.spec(), config.options.staged)
}

/// What a write aims at. Its form must not change from one version to the next, or a repeated call would be refused.
#[derive(Debug, Serialize)]
pub(super) struct WriteTarget<'c> {
    overwrite_filter: Option<String>,
    overwrite_partitions: bool,
    join_columns: &'c [String],
    when_matched: WhenMatched,
    when_not_matched: WhenNotMatched,
    when_not_matched_by_source: WhenNotMatchedBySource,
}

pub(super) fn write_target(config: &WriteConfig) -> Result<WriteTarget<'_>> {
    let filter = config.overwrite_filter.as_deref().map(Expr::parse).transpose()?;
    Ok(WriteTarget {
        overwrite_filter: filter.map(|filter| filter.to_string()),
        overwrite_partitions: config.overwrite_partitions,
        join_columns: &config.join_columns,
        when_matched: config.when_matched,
        when_not_matched: config.when_not_matched,
        when_not_matched_by_source: config.when_not_matched_by_source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::WriteMode;

    #[test]
    fn a_fingerprint_tells_targets_apart_and_not_ways() {
        let overwrite = |filter: &str| WriteConfig {
            mode: WriteMode::Overwrite,
            overwrite_filter: Some(filter.into()),
            ..WriteConfig::default()
        };
        let one = of_write(&overwrite("a = 1")).unwrap();
        assert!(one.starts_with("overwrite-") && !one.contains("a = 1"), "{one}");
        assert_eq!(one, of_write(&overwrite("a   =  1")).unwrap());
        assert_ne!(one, of_write(&overwrite("a = 2")).unwrap());
        let dev = ChangeOptions { branch: Some("dev".into()), dry_run: true, ..ChangeOptions::default() };
        assert_eq!(one, of_write(&WriteConfig { options: dev, ..overwrite("a = 1") }).unwrap());
        let staged = ChangeOptions { staged: true, ..ChangeOptions::default() };
        let staged = of_write(&WriteConfig { options: staged, ..overwrite("a = 1") }).unwrap();
        assert_eq!(staged, format!("staged-{one}"));
        let upsert = |when_matched| WriteConfig {
            mode: WriteMode::Upsert,
            join_columns: vec!["id".into()],
            when_matched,
            ..WriteConfig::default()
        };
        let all = of_write(&upsert(WhenMatched::UpdateAll)).unwrap();
        assert_ne!(all, of_write(&upsert(WhenMatched::Delete)).unwrap());
    }
}
