//! Writing rows.

use std::collections::HashMap;
use std::time::Duration;

use floe_core::{LoadedTable, Result, span};
use floe_plan::backoff::RetryPolicy;
use floe_plan::change::ChangeSet;
use iceberg::TableIdent;
use iceberg::spec::MAIN_BRANCH;
use tracing::Span;

use super::IcebergTableManager;
use super::traced::{operation_span, traced};
use crate::base::TableBase;
use crate::commit::{CommitRequest, Committed, commit, find_token};
use crate::data::BatchStream;
use crate::execute::write::{ProgressFn, WriteOptions, WrittenFiles, write_data_files_with_progress};
use crate::model::{WriteConfig, WriteOutcome};

impl IcebergTableManager {
    /// Writes `data` to a table in one snapshot (FR-005, FR-022): all of it or nothing (FR-026).
    ///
    /// Columns are matched by name. No rows make no snapshot. Errors: `NoSuchTable`, `Validation`,
    /// `SchemaMismatch` (nothing is written), `CommitConflict` when every attempt met another commit,
    /// `CommitStateUnknown` when the catalog's last answer was lost (repeat the call with the same
    /// `idempotency_key` to find out), and what storage and `data` answer.
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
        // On the heap: a write holds much across its pauses.
        traced(span, Box::pin(self.append(table, data, config, progress)))
            .await
            .map_err(|e| e.with_table(table))
    }

    async fn append(
        &self,
        table: &TableIdent,
        data: BatchStream,
        config: &WriteConfig,
        progress: Option<ProgressFn>,
    ) -> Result<WriteOutcome> {
        config.validate()?;
        let strategy = config.commit_strategy.unwrap_or(self.config.default_commit_strategy);
        Span::current().record(span::WRITE_MODE, config.mode.as_str());
        Span::current().record(span::COMMIT_STRATEGY, strategy.as_str());
        let base = self.base(table).await?;
        let branch = config.branch.clone().unwrap_or_else(|| MAIN_BRANCH.to_owned());
        if let Some(token) = &config.idempotency_key
            && let Some(snapshot) = find_token(base.metadata(), &branch, token)
        {
            return Ok(replayed(&snapshot));
        }
        let retry = self.retry_policy(&base.table)?;
        self.check_storage().await?;
        let options =
            WriteOptions { memory_bytes: self.config.write_memory_bytes, ..WriteOptions::default() };
        let written =
            write_data_files_with_progress(&base.table, data, &options, &*self.environment, progress).await?;
        if written.files.is_empty() {
            let snapshot_id = base.metadata().snapshot_for_ref(&branch).map(|s| s.snapshot_id());
            return Ok(WriteOutcome { snapshot_id, ..WriteOutcome::default() });
        }
        let spec_id = base.metadata().default_partition_spec_id();
        let request = CommitRequest {
            strategy,
            branch,
            snapshot_properties: config.snapshot_properties.clone().into_iter().collect::<HashMap<_, _>>(),
            retry,
            token: config.idempotency_key.clone(),
            delete_added_on_failure: true,
            ..CommitRequest::new(ChangeSet::append(spec_id, written.files.clone()))
        };
        let committed = self.commit(base, request).await?;
        Ok(outcome(&written, committed))
    }

    /// Commits, and clears away files that an earlier commit with the same token made superfluous.
    async fn commit(&self, base: TableBase, request: CommitRequest) -> Result<Committed> {
        let file_io = base.table.file_io.clone();
        let committed = commit(&*self.catalog, base, request, &*self.environment).await?;
        for file in &committed.unused_files {
            if let Err(error) = file_io.delete(file).await {
                tracing::warn!(file, error = %error.kind(), "a file that is not used stays behind");
            }
        }
        Span::current().record(span::SNAPSHOT_ID, committed.snapshot_id);
        Ok(committed)
    }

    /// The table's `commit.retry.*` properties over the manager's configuration.
    fn retry_policy(&self, table: &LoadedTable) -> Result<RetryPolicy> {
        let policy = RetryPolicy {
            max_retries: self.config.max_commit_retries,
            base_delay: Duration::from_secs_f64(self.config.retry_base_delay_seconds),
            ..RetryPolicy::default()
        };
        policy.with_properties(table.metadata.properties())
    }
}

fn outcome(written: &WrittenFiles, committed: Committed) -> WriteOutcome {
    let span = Span::current();
    span.record(span::RECORDS_ADDED, written.rows);
    span.record(span::FILES_ADDED, written.files.len());
    let replayed = !committed.unused_files.is_empty();
    WriteOutcome {
        snapshot_id: Some(committed.snapshot_id),
        rows: if replayed { 0 } else { written.rows },
        files: if replayed { 0 } else { written.files.len() as u64 },
        bytes: if replayed { 0 } else { written.bytes },
        attempts: committed.attempts,
        replayed,
        summary: committed.summary.additional_properties.into_iter().collect(),
    }
}

/// The answer for a write that an earlier one with the same key has done: nothing was written now.
fn replayed(snapshot: &iceberg::spec::Snapshot) -> WriteOutcome {
    WriteOutcome {
        snapshot_id: Some(snapshot.snapshot_id()),
        replayed: true,
        summary: snapshot.summary().additional_properties.clone().into_iter().collect(),
        ..WriteOutcome::default()
    }
}
