//! From configurations to changes of a table that is pinned at one version. Nothing is committed here.

use floe_core::Result;
use floe_core::metadata_file::transform_at;
use floe_plan::change::{ChangeSet, check_writable, unknown_field};
use floe_plan::expr::Expr;
use floe_plan::guard::Guard;
use iceberg::spec::MAIN_BRANCH;

use super::IcebergTableManager;
use crate::base::TableBase;
use crate::data::BatchStream;
use crate::execute::delete::delete;
use crate::execute::merge::{HeldSource, MergeOptions, merge_held};
use crate::execute::overwrite::{Overwritten, overwrite};
use crate::execute::rows::{RowChange, RowCounts, RowOptions};
use crate::execute::upsert::{UpsertOptions, upsert_held};
use crate::execute::write::{ProgressFn, WriteOptions, write_data_files_with_progress};
use crate::model::{ChangeOptions, DeleteConfig, MergeConfig, WriteConfig, WriteMode, WriteOutcome};

/// What was executed, ready to be committed.
#[derive(Debug, Default)]
pub(super) struct Executed {
    pub(super) change: ChangeSet,
    pub(super) guards: Vec<Guard>,
    pub(super) read_snapshot_id: Option<i64>,
    /// What the change adds, and what it does to rows that were there.
    pub(super) outcome: WriteOutcome,
}

impl From<RowChange> for Executed {
    fn from(rows: RowChange) -> Self {
        let RowCounts { rows_added, files_added, bytes_added, .. } = rows.counts;
        let outcome = WriteOutcome {
            rows: rows_added,
            files: files_added,
            bytes: bytes_added,
            changes: Some(rows.counts),
            ..WriteOutcome::default()
        };
        Self { change: rows.change, guards: rows.guards, read_snapshot_id: rows.read_snapshot_id, outcome }
    }
}

/// Fails as [`check_writable`] does, and names a transform that is not known.
async fn writable(base: &TableBase) -> Result<()> {
    let Err(error) = check_writable(base.metadata()) else { return Ok(()) };
    let (table, spec) = (&base.table, base.metadata().default_partition_spec());
    let Some(field) = unknown_field(spec) else { return Err(error) };
    let written =
        transform_at(&table.file_io, &table.metadata_location, spec.spec_id(), field.field_id).await;
    Err(match written {
        // It is somebody's text.
        Some(name) => {
            let name: String = name.escape_debug().take(LONGEST_NAME).collect();
            error.context(format!("the transform '{name}'"))
        }
        None => error,
    })
}

/// More characters of a name are not shown.
const LONGEST_NAME: usize = 60;

impl ChangeOptions {
    /// The branch to write to.
    pub(super) fn branch(&self) -> &str {
        self.branch.as_deref().unwrap_or(MAIN_BRANCH)
    }
}

impl IcebergTableManager {
    /// Writes the files of a write of rows.
    pub(super) async fn execute_write(
        &self,
        base: &TableBase,
        data: BatchStream,
        held: Option<&mut HeldSource>,
        config: &WriteConfig,
        progress: Option<ProgressFn>,
    ) -> Result<Executed> {
        writable(base).await?;
        match config.mode {
            WriteMode::Append => self.append(base, data, progress).await,
            WriteMode::Overwrite => self.overwrite(base, data, config).await,
            WriteMode::Upsert => self.upsert(base, data, held, config).await,
        }
    }

    /// Writes the files of a delete.
    pub(super) async fn execute_delete(
        &self,
        base: &TableBase,
        filter: &Expr,
        config: &DeleteConfig,
    ) -> Result<Executed> {
        writable(base).await?;
        let options = self.row_options(&config.options);
        delete(base, config.options.branch(), filter, &options, &*self.environment).await.map(Executed::from)
    }

    /// Writes the files of a merge.
    pub(super) async fn execute_merge(
        &self,
        base: &TableBase,
        source: BatchStream,
        held: Option<&mut HeldSource>,
        config: &MergeConfig,
    ) -> Result<Executed> {
        writable(base).await?;
        let options = MergeOptions {
            spec: config.spec(),
            branch: config.options.branch().to_owned(),
            rows: self.row_options(&config.options),
        };
        let merged = merge_held(base, source, held, &options, &*self.environment).await?;
        let mut executed = Executed::from(merged.rows);
        executed.outcome.merged = Some(merged.counts);
        Ok(executed)
    }

    async fn append(
        &self,
        base: &TableBase,
        data: BatchStream,
        progress: Option<ProgressFn>,
    ) -> Result<Executed> {
        let options =
            WriteOptions { memory_bytes: self.config.write_memory_bytes, ..WriteOptions::default() };
        let written =
            write_data_files_with_progress(&base.table, data, &options, &*self.environment, progress).await?;
        let outcome = WriteOutcome {
            rows: written.rows,
            files: written.files.len() as u64,
            bytes: written.bytes,
            ..WriteOutcome::default()
        };
        let spec_id = base.metadata().default_partition_spec_id();
        Ok(Executed { change: ChangeSet::append(spec_id, written.files), outcome, ..Executed::default() })
    }

    async fn overwrite(&self, base: &TableBase, data: BatchStream, config: &WriteConfig) -> Result<Executed> {
        let options = RowOptions { allow_empty: config.allow_empty, ..self.row_options(&config.options) };
        let filter = config.overwrite_filter.as_deref().map(Expr::parse).transpose()?;
        let what = match &filter {
            Some(filter) => Overwritten::Matching(filter),
            None if config.overwrite_partitions => Overwritten::Partitions,
            None => Overwritten::All,
        };
        let branch = config.options.branch();
        overwrite(base, branch, data, what, &options, &*self.environment).await.map(Executed::from)
    }

    async fn upsert(
        &self,
        base: &TableBase,
        data: BatchStream,
        held: Option<&mut HeldSource>,
        config: &WriteConfig,
    ) -> Result<Executed> {
        let options = UpsertOptions {
            join_columns: config.join_columns.clone(),
            when_matched: config.when_matched,
            when_not_matched: config.when_not_matched,
            when_not_matched_by_source: config.when_not_matched_by_source,
            branch: config.options.branch().to_owned(),
            rows: self.row_options(&config.options),
        };
        let merged = upsert_held(base, data, held, &options, &*self.environment).await?;
        let mut executed = Executed::from(merged.rows);
        executed.outcome.merged = Some(merged.counts);
        Ok(executed)
    }

    /// How rows are changed, with the manager's memory setting.
    pub(super) fn row_options(&self, options: &ChangeOptions) -> RowOptions {
        RowOptions {
            mode: options.row_mode,
            isolation: options.isolation,
            dry_run: options.dry_run,
            memory_bytes: self.config.write_memory_bytes,
            ..RowOptions::default()
        }
    }
}
