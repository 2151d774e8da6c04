//! The one way from a change of rows to a snapshot.

use std::time::Duration;

use floe_core::{LoadedTable, Result, span};
use floe_plan::backoff::RetryPolicy;
use iceberg::TableIdent;
use iceberg::spec::SnapshotRef;
use tracing::Span;

use super::IcebergTableManager;
use super::execute::Executed;
use crate::base::TableBase;
use crate::commit::{CommitRequest, CommitStrategy, Committed, commit, find_done};
use crate::model::{ChangeOptions, WriteOutcome};

impl IcebergTableManager {
    /// Executes a change of rows and commits it; or gives the outcome of an earlier one with the same key.
    pub(super) async fn change(
        &self,
        table: &TableIdent,
        options: &ChangeOptions,
        fingerprint: String,
        execute: impl AsyncFnOnce(&TableBase) -> Result<Executed>,
    ) -> Result<WriteOutcome> {
        Span::current().record(span::COMMIT_STRATEGY, self.strategy(options).as_str());
        let base = self.base(table).await?;
        if let Some(key) = &options.idempotency_key {
            let place = (options.branch(), options.staged);
            if let Some(snapshot) = find_done(base.metadata(), place, key, Some(&fingerprint))? {
                return Ok(replayed(&snapshot));
            }
        }
        // A property that is not valid is told before anything is written.
        let retry = self.retry_policy(&base.table)?;
        if !options.dry_run {
            self.check_storage().await?;
        }
        let executed = execute(&base).await?;
        if options.dry_run || executed.change.is_empty() {
            let snapshot_id = base.metadata().snapshot_for_ref(options.branch()).map(|s| s.snapshot_id());
            return Ok(WriteOutcome { snapshot_id, dry_run: options.dry_run, ..executed.outcome });
        }
        let outcome = executed.outcome.clone();
        let request = CommitRequest {
            retry,
            fingerprint: options.idempotency_key.is_some().then_some(fingerprint),
            ..self.request(executed, options)
        };
        let table = base.table.clone();
        let committed = commit(&*self.catalog, base, request, &*self.environment).await?;
        self.drop_unused(&table, &committed).await;
        Ok(concluded(committed, outcome))
    }

    /// How what was executed is committed.
    pub(super) fn request(&self, executed: Executed, options: &ChangeOptions) -> CommitRequest {
        CommitRequest {
            guards: executed.guards,
            read_snapshot_id: executed.read_snapshot_id,
            staged: options.staged,
            strategy: self.strategy(options),
            branch: options.branch().to_owned(),
            snapshot_properties: options.snapshot_properties.clone().into_iter().collect(),
            token: options.idempotency_key.clone(),
            delete_added_on_failure: true,
            ..CommitRequest::new(executed.change)
        }
    }

    fn strategy(&self, options: &ChangeOptions) -> CommitStrategy {
        options.commit_strategy.unwrap_or(self.config.default_commit_strategy)
    }

    /// Clears away files that an earlier commit with the same token made superfluous.
    pub(super) async fn drop_unused(&self, table: &LoadedTable, committed: &Committed) {
        for file in &committed.unused_files {
            if let Err(error) = table.file_io.delete(file).await {
                tracing::warn!(file, error = %error.kind(), "a file that is not used stays behind");
            }
        }
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

/// What a call says whose work an earlier one has done.
pub(super) fn replayed(snapshot: &SnapshotRef) -> WriteOutcome {
    WriteOutcome {
        snapshot_id: Some(snapshot.snapshot_id()),
        replayed: true,
        summary: snapshot.summary().additional_properties.clone().into_iter().collect(),
        ..WriteOutcome::default()
    }
}

/// What a call says whose change is committed; `outcome` is what the change does.
fn concluded(committed: Committed, outcome: WriteOutcome) -> WriteOutcome {
    // Another process did the same write meanwhile: this one added nothing.
    let replayed = committed.attempts == 0;
    let outcome = if replayed { WriteOutcome::default() } else { outcome };
    let span = Span::current();
    span.record(span::SNAPSHOT_ID, committed.snapshot_id);
    span.record(span::RECORDS_ADDED, outcome.rows);
    span.record(span::FILES_ADDED, outcome.files);
    WriteOutcome {
        snapshot_id: Some(committed.snapshot_id),
        attempts: committed.attempts,
        replayed,
        summary: committed.summary.additional_properties.into_iter().collect(),
        ..outcome
    }
}
