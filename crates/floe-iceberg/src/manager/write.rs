//! Writing rows: append, overwrite, delete. Each gives a change, and all changes take one way to a snapshot.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use floe_core::{LoadedTable, Result, span};
use floe_plan::backoff::RetryPolicy;
use floe_plan::change::ChangeSet;
use floe_plan::expr::Expr;
use floe_plan::guard::{Guard, Isolation};
use iceberg::TableIdent;
use iceberg::spec::MAIN_BRANCH;
use tracing::Span;

use super::IcebergTableManager;
use super::traced::{operation_span, traced};
use crate::base::TableBase;
use crate::commit::{CommitRequest, CommitStrategy, commit, find_token};
use crate::data::BatchStream;
use crate::execute::delete::delete;
use crate::execute::overwrite::{Overwritten, overwrite};
use crate::execute::rows::{RowChange, RowCounts, RowMode, RowOptions};
use crate::execute::upsert::{UpsertOptions, upsert};
use crate::execute::write::{ProgressFn, WriteOptions, write_data_files_with_progress};
use crate::model::{DeleteConfig, WriteConfig, WriteMode, WriteOutcome};

/// What was executed, ready to be committed.
#[derive(Debug, Default)]
pub(super) struct Executed {
    pub(super) change: ChangeSet,
    pub(super) guards: Vec<Guard>,
    pub(super) read_snapshot_id: Option<i64>,
    /// What the change adds, and what it does to rows that were there.
    pub(super) outcome: WriteOutcome,
}

/// How it is to be committed.
#[derive(Debug)]
pub(super) struct Intent<'a> {
    pub(super) branch: Option<&'a str>,
    pub(super) token: Option<&'a str>,
    pub(super) snapshot_properties: &'a BTreeMap<String, String>,
    pub(super) strategy: CommitStrategy,
    pub(super) staged: bool,
    pub(super) dry_run: bool,
}

impl Intent<'_> {
    pub(super) fn branch(&self) -> &str {
        self.branch.unwrap_or(MAIN_BRANCH)
    }
}

impl IcebergTableManager {
    /// Writes `data` to a table in one snapshot (FR-005, FR-022): all of it or nothing (FR-026).
    ///
    /// Columns are matched by name. An append of no rows makes no snapshot. Errors: `NoSuchTable`,
    /// `Validation`, `SchemaMismatch` (nothing is written), `CommitConflict` when another writer changed what
    /// this write builds on or every attempt met another commit, `CommitStateUnknown` when the catalog's last
    /// answer was lost (repeat the call with the same `idempotency_key` to find out), and what storage and
    /// `data` answer.
    pub async fn write_data(
        &self,
        table: &TableIdent,
        data: BatchStream,
        config: &WriteConfig,
    ) -> Result<WriteOutcome> {
        self.write_data_with_progress(table, data, config, None).await
    }

    /// The same as [`IcebergTableManager::write_data`], telling `progress` how far it is.
    pub async fn write_data_with_progress(
        &self,
        table: &TableIdent,
        data: BatchStream,
        config: &WriteConfig,
        progress: Option<ProgressFn>,
    ) -> Result<WriteOutcome> {
        let span = operation_span!("write_data", table.to_string());
        span.record(span::WRITE_MODE, config.mode.as_str());
        let intent = Intent {
            branch: config.branch.as_deref(),
            token: config.idempotency_key.as_deref(),
            snapshot_properties: &config.snapshot_properties,
            strategy: config.commit_strategy.unwrap_or(self.config.default_commit_strategy),
            staged: config.staged,
            dry_run: config.dry_run,
        };
        let write = async {
            config.validate()?;
            let base = match self.begin(table, &intent).await? {
                ControlFlow::Continue(base) => base,
                ControlFlow::Break(replayed) => return Ok(replayed),
            };
            let executed = match config.mode {
                WriteMode::Append => self.append(&base, data, progress).await?,
                WriteMode::Overwrite => self.overwrite(&base, intent.branch(), data, config).await?,
                WriteMode::Upsert => self.upsert(&base, intent.branch(), data, config).await?,
            };
            self.conclude(base, &intent, executed).await
        };
        // On the heap: a write holds much across its pauses.
        traced(span, Box::pin(write)).await.map_err(|e| e.with_table(table))
    }

    /// Deletes the rows that `filter` is true for, in one snapshot; rows for which it is false or unknown stay.
    /// Files that match as a whole are removed unread. Nothing to delete makes no snapshot.
    ///
    /// Fails as [`IcebergTableManager::write_data`] does.
    pub async fn delete_data(
        &self,
        table: &TableIdent,
        filter: &Expr,
        config: &DeleteConfig,
    ) -> Result<WriteOutcome> {
        let intent = Intent {
            branch: config.branch.as_deref(),
            token: config.idempotency_key.as_deref(),
            snapshot_properties: &config.snapshot_properties,
            strategy: self.config.default_commit_strategy,
            staged: false,
            dry_run: config.dry_run,
        };
        let options = self.row_options(config.row_mode, config.isolation, config.dry_run);
        let run = async {
            config.validate()?;
            let base = match self.begin(table, &intent).await? {
                ControlFlow::Continue(base) => base,
                ControlFlow::Break(replayed) => return Ok(replayed),
            };
            let rows = delete(&base, intent.branch(), filter, &options, &*self.environment).await?;
            self.conclude(base, &intent, rows.into()).await
        };
        let span = operation_span!("delete_data", table.to_string());
        traced(span, Box::pin(run)).await.map_err(|e| e.with_table(table))
    }

    /// The table to work on; or the outcome of an earlier write with the same key, which is not done again.
    pub(super) async fn begin(
        &self,
        table: &TableIdent,
        intent: &Intent<'_>,
    ) -> Result<ControlFlow<WriteOutcome, TableBase>> {
        Span::current().record(span::COMMIT_STRATEGY, intent.strategy.as_str());
        let base = self.base(table).await?;
        if let Some(token) = intent.token
            && let Some(snapshot) = find_token(base.metadata(), intent.branch(), token)
        {
            return Ok(ControlFlow::Break(WriteOutcome {
                snapshot_id: Some(snapshot.snapshot_id()),
                replayed: true,
                summary: snapshot.summary().additional_properties.clone().into_iter().collect(),
                ..WriteOutcome::default()
            }));
        }
        // A property that is not valid is told before anything is written.
        self.retry_policy(&base.table)?;
        if !intent.dry_run {
            self.check_storage().await?;
        }
        Ok(ControlFlow::Continue(base))
    }

    /// Commits what was executed; nothing when there is nothing to commit.
    pub(super) async fn conclude(
        &self,
        base: TableBase,
        intent: &Intent<'_>,
        executed: Executed,
    ) -> Result<WriteOutcome> {
        if intent.dry_run || executed.change.is_empty() {
            let snapshot_id = base.metadata().snapshot_for_ref(intent.branch()).map(|s| s.snapshot_id());
            return Ok(WriteOutcome { snapshot_id, dry_run: intent.dry_run, ..executed.outcome });
        }
        let request = CommitRequest {
            guards: executed.guards,
            read_snapshot_id: executed.read_snapshot_id,
            staged: intent.staged,
            strategy: intent.strategy,
            branch: intent.branch().to_owned(),
            snapshot_properties: intent.snapshot_properties.clone().into_iter().collect(),
            retry: self.retry_policy(&base.table)?,
            token: intent.token.map(str::to_owned),
            delete_added_on_failure: true,
            ..CommitRequest::new(executed.change)
        };
        self.commit(base, request, executed.outcome).await
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

    async fn overwrite(
        &self,
        base: &TableBase,
        branch: &str,
        data: BatchStream,
        config: &WriteConfig,
    ) -> Result<Executed> {
        let options = self.row_options(config.row_mode, config.isolation, config.dry_run);
        let filter = config.overwrite_filter.as_deref().map(Expr::parse).transpose()?;
        let what = match &filter {
            Some(filter) => Overwritten::Matching(filter),
            None if config.overwrite_partitions => Overwritten::Partitions,
            None => Overwritten::All,
        };
        overwrite(base, branch, data, what, &options, &*self.environment).await.map(Executed::from)
    }

    async fn upsert(
        &self,
        base: &TableBase,
        branch: &str,
        data: BatchStream,
        config: &WriteConfig,
    ) -> Result<Executed> {
        let options = UpsertOptions {
            join_columns: config.join_columns.clone(),
            when_matched: config.when_matched,
            when_not_matched: config.when_not_matched,
            when_not_matched_by_source: config.when_not_matched_by_source,
            branch: branch.to_owned(),
            rows: self.row_options(config.row_mode, config.isolation, config.dry_run),
        };
        let merged = upsert(base, data, &options, &*self.environment).await?;
        let mut executed = Executed::from(merged.rows);
        executed.outcome.merged = Some(merged.counts);
        Ok(executed)
    }

    pub(super) fn row_options(
        &self,
        mode: Option<RowMode>,
        isolation: Option<Isolation>,
        dry_run: bool,
    ) -> RowOptions {
        let memory_bytes = self.config.write_memory_bytes;
        RowOptions { mode, isolation, dry_run, memory_bytes, ..RowOptions::default() }
    }

    /// Commits, and clears away files that an earlier commit with the same token made superfluous.
    async fn commit(
        &self,
        base: TableBase,
        request: CommitRequest,
        outcome: WriteOutcome,
    ) -> Result<WriteOutcome> {
        let file_io = base.table.file_io.clone();
        let committed = commit(&*self.catalog, base, request, &*self.environment).await?;
        for file in &committed.unused_files {
            if let Err(error) = file_io.delete(file).await {
                tracing::warn!(file, error = %error.kind(), "a file that is not used stays behind");
            }
        }
        // Another process did the same write meanwhile: this one added nothing.
        let replayed = committed.attempts == 0;
        let outcome = if replayed { WriteOutcome::default() } else { outcome };
        let span = Span::current();
        span.record(span::SNAPSHOT_ID, committed.snapshot_id);
        span.record(span::RECORDS_ADDED, outcome.rows);
        span.record(span::FILES_ADDED, outcome.files);
        Ok(WriteOutcome {
            snapshot_id: Some(committed.snapshot_id),
            attempts: committed.attempts,
            replayed,
            summary: committed.summary.additional_properties.into_iter().collect(),
            ..outcome
        })
    }

    /// The table's `commit.retry.*` properties over the manager's configuration.
    pub(super) fn retry_policy(&self, table: &LoadedTable) -> Result<RetryPolicy> {
        let policy = RetryPolicy {
            max_retries: self.config.max_commit_retries,
            base_delay: Duration::from_secs_f64(self.config.retry_base_delay_seconds),
            ..RetryPolicy::default()
        };
        policy.with_properties(table.metadata.properties())
    }
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
