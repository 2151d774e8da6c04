//! What an operation does to rows, as a value, so that it can be done again.

use floe_core::{Error, ErrorKind, Result};
use floe_plan::expr::Expr;

use super::IcebergTableManager;
use super::execute::Executed;
use crate::base::TableBase;
use crate::data::{BatchStream, Input};
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

impl IcebergTableManager {
    /// Does the work on a table that is pinned at one version. Nothing is committed.
    pub(super) async fn do_work(
        &self,
        base: &TableBase,
        work: &mut Work<'_>,
        data: Option<BatchStream>,
    ) -> Result<Executed> {
        let data = || data.ok_or_else(|| Error::new(ErrorKind::Internal, "an operation has no input"));
        match work {
            Work::Write(config, progress) => self.execute_write(base, data()?, config, progress.take()).await,
            Work::Merge(config) => self.execute_merge(base, data()?, config).await,
            Work::Delete(filter, config) => self.execute_delete(base, filter, config).await,
        }
    }

    /// Opens the rows of an operation. `named` is whether it has an idempotency key that stands for its input.
    pub(super) fn open(&self, input: &mut Input, named: bool, may_rerun: bool) -> Result<BatchStream> {
        // What can be read once only is kept, if it is small.
        let keep = if may_rerun { self.config.write_memory_bytes / 8 } else { 0 };
        input.open(named, keep)
    }
}
