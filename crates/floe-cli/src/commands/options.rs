//! Options on the command line as the library has them.

use std::collections::BTreeMap;

use floe::execute::rows::RowMode;
use floe::model::{ChangeOptions, CommitStrategy, RerunOptions};
use floe::plan::expr::Expr;
use floe::plan::guard::Isolation;
use floe::{Error, Result};

use crate::args::{CommitArgs, IsolationLevel, Mode, RerunArgs, RowArgs, Strategy};
use crate::values::TableName;

impl From<Mode> for RowMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::CopyOnWrite => Self::CopyOnWrite,
            Mode::MergeOnRead => Self::MergeOnRead,
        }
    }
}

impl From<IsolationLevel> for Isolation {
    fn from(level: IsolationLevel) -> Self {
        match level {
            IsolationLevel::Serializable => Self::Serializable,
            IsolationLevel::Snapshot => Self::Snapshot,
        }
    }
}

impl From<Strategy> for CommitStrategy {
    fn from(strategy: Strategy) -> Self {
        match strategy {
            Strategy::FastAppend => Self::FastAppend,
            Strategy::MergeCommit => Self::MergeCommit,
        }
    }
}

impl From<RerunArgs> for RerunOptions {
    fn from(args: RerunArgs) -> Self {
        Self {
            max_attempts: args.reruns,
            total_timeout_ms: args.rerun_timeout.map(|seconds| u64::from(seconds) * 1000),
        }
    }
}

/// What all changes of rows have in common. `Validation` for a snapshot property that is given twice.
pub(super) fn change_options(
    commit: &CommitArgs,
    rows: Option<&RowArgs>,
    table: &TableName,
) -> Result<ChangeOptions> {
    Ok(ChangeOptions {
        row_mode: rows.and_then(|rows| rows.mode).map(Into::into),
        isolation: rows.and_then(|rows| rows.isolation).map(Into::into),
        dry_run: rows.is_some_and(|rows| rows.dry_run),
        snapshot_properties: snapshot_properties(commit, table)?,
        branch: commit.branch.clone(),
        idempotency_key: commit.idempotency_key.clone(),
        any_input: commit.any_input,
        rerun: rows.map_or_else(RerunOptions::default, |rows| rows.rerun.into()),
        ..ChangeOptions::default()
    })
}

/// The properties of the snapshot. `Validation` for one that is given twice.
fn snapshot_properties(commit: &CommitArgs, table: &TableName) -> Result<BTreeMap<String, String>> {
    let mut properties = BTreeMap::new();
    for pair in &commit.snapshot_property {
        if properties.insert(pair.key.clone(), pair.value.clone()).is_some() {
            return Err(Error::validation(format!("the snapshot property '{}' is given twice", pair.key))
                .with_table(table));
        }
    }
    Ok(properties)
}

/// A filter. `Validation` where it is malformed.
pub(super) fn filter(text: &str, table: &TableName) -> Result<Expr> {
    Expr::parse(text).map_err(|e| e.with_table(table))
}
