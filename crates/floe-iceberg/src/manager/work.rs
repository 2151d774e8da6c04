//! What an operation does to rows, as a value, so that it can be done again.

use floe_core::{Error, ErrorKind, Result};
use floe_plan::expr::Expr;

use super::IcebergTableManager;
use super::execute::Executed;
use crate::base::TableBase;
use crate::data::{BatchStream, Input};
use crate::execute::merge::HeldSource;
use crate::execute::write::ProgressFn;
use crate::model::{DeleteConfig, MergeConfig, WriteConfig, WriteMode};

/// A change of rows.
pub(super) enum Work<'a> {
    /// Rows are written.
    Write(&'a WriteConfig, Option<ProgressFn>),
    /// Rows are merged.
    Merge(&'a MergeConfig),
    /// Rows are deleted.
    Delete(&'a Expr, &'a DeleteConfig),
}

impl Work<'_> {
    /// Whether it is run again after a conflict unless the call says otherwise. Whoever overwrites everything, or what a
    /// filter finds, has seen what is there: what came since is not to be lost unseen.
    pub(super) fn reruns_by_default(&self) -> bool {
        match self {
            Self::Write(config, _) => reruns_by_default(config),
            Self::Merge(_) | Self::Delete(..) => true,
        }
    }

    /// Whether it reads the table, so that another writer can overtake it.
    pub(super) fn reads(&self) -> bool {
        !matches!(self, Self::Write(config, _) if config.mode == WriteMode::Append)
    }
}

/// Whether a write of rows is run again after a conflict unless the call says otherwise.
pub(super) fn reruns_by_default(config: &WriteConfig) -> bool {
    match config.mode {
        WriteMode::Append => false,
        WriteMode::Overwrite => config.overwrite_partitions,
        WriteMode::Upsert => true,
    }
}

/// An operation that may be run several times.
pub(super) struct Task<'a> {
    pub(super) work: Work<'a>,
    /// The rows that it takes.
    pub(super) input: Option<Input>,
    /// Rows that can be read once only, as a merge holds them.
    held: HeldSource,
}

impl<'a> Task<'a> {
    pub(super) fn new(work: Work<'a>, input: Option<Input>) -> Self {
        Self { work, input, held: HeldSource::default() }
    }

    /// Whether its input can be read again.
    pub(super) fn is_repeatable(&self) -> bool {
        self.held.is_taken() || self.input.as_ref().is_none_or(Input::is_repeatable)
    }
}

impl IcebergTableManager {
    /// Does the work on a table that is pinned at one version. Nothing is committed. `named` is whether the operation has an
    /// idempotency key that stands for its input, too; `may_rerun` whether it may be run again.
    pub(super) async fn run_task(
        &self,
        base: &TableBase,
        task: &mut Task<'_>,
        named: bool,
        may_rerun: bool,
    ) -> Result<Executed> {
        let Task { work, input, held } = task;
        let Some(input) = input else {
            return match work {
                Work::Delete(filter, config) => self.execute_delete(base, filter, config).await,
                _ => Err(Error::new(ErrorKind::Internal, "an operation has no input")),
            };
        };
        let merges = match work {
            Work::Write(config, _) => config.mode == WriteMode::Upsert,
            Work::Merge(_) => true,
            Work::Delete(..) => false,
        };
        let hold = held.is_taken() || (may_rerun && merges && !input.is_repeatable());
        let data = if held.is_taken() {
            // The rows are there, and were looked at.
            BatchStream::from_batches(input.schema().clone(), Vec::new())
        } else {
            self.open(input, named, may_rerun && !hold)?
        };
        let held = hold.then_some(held);
        match work {
            Work::Write(config, progress) => {
                self.execute_write(base, data, held, config, progress.take()).await
            }
            Work::Merge(config) => self.execute_merge(base, data, held, config).await,
            Work::Delete(filter, config) => self.execute_delete(base, filter, config).await,
        }
    }

    /// Opens the rows of an operation. What can be read once only is kept if `keep`, and if it is small.
    pub(super) fn open(&self, input: &mut Input, named: bool, keep: bool) -> Result<BatchStream> {
        input.open(named, if keep { self.config.write_memory_bytes / 8 } else { 0 })
    }
}
