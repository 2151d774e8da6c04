//! The one way from a change of rows to a snapshot.

use std::collections::HashMap;
use std::time::Duration;

use floe_core::location::masked;
use floe_core::{CommitTurn, LoadedTable, Result, span};
use floe_plan::backoff::RetryPolicy;
use floe_plan::summary::input::{InputDigest, Sameness};
use iceberg::TableIdent;
use iceberg::spec::SnapshotRef;
use tracing::Span;

use super::IcebergTableManager;
use super::execute::Executed;
use super::work::Task;
use crate::base::TableBase;
use crate::commit::{
    CommitRequest, CommitStrategy, Committed, Refused, check_settings, commit_in, find_done, input_of,
    other_input,
};
use crate::data::Input;
use crate::model::{ChangeOptions, WriteOutcome};

/// One run of a change.
struct Run<'a> {
    options: &'a ChangeOptions,
    fingerprint: &'a str,
    /// Whether another one may follow.
    may_rerun: bool,
    /// The turn that is held, if any.
    turn: CommitTurn,
}

impl IcebergTableManager {
    /// Does a change of rows and commits it, again when another writer changed what it read; or gives the outcome of an
    /// earlier one with the same key.
    pub(super) async fn change(
        &self,
        table: &TableIdent,
        options: &ChangeOptions,
        fingerprint: String,
        mut task: Task<'_>,
    ) -> Result<WriteOutcome> {
        Span::current().record(span::COMMIT_STRATEGY, self.strategy(options).as_str());
        let mut runs = self.first_run();
        let mut turn = CommitTurn::none();
        loop {
            let base = self.base(table).await?;
            let policy = self.rerun_policy(&base.table, &options.rerun, task.work.reruns_by_default())?;
            let may_rerun = policy.max_attempts > 0 && task.work.reads();
            let run = Run { options, fingerprint: &fingerprint, may_rerun, turn };
            let refused = match self.run(base, run, &mut task).await {
                Ok(outcome) => {
                    Span::current().record(span::COMMIT_RERUNS, runs.again);
                    return Ok(WriteOutcome { reruns: runs.again, ..outcome });
                }
                Err(refused) => refused,
            };
            turn = self.next_run(table, &mut runs, refused, policy, task.is_repeatable()).await?;
        }
    }

    async fn run(&self, base: TableBase, run: Run<'_>, task: &mut Task<'_>) -> Result<WriteOutcome, Refused> {
        let Run { options, fingerprint, may_rerun, turn } = run;
        let mut named = false;
        if let Some(key) = &options.idempotency_key {
            named = !options.any_input;
            let place = (options.branch(), options.staged);
            if let Some(snapshot) = find_done(base.metadata(), place, key, Some(fingerprint))? {
                if named {
                    check_inputs(&snapshot, task.input.iter_mut().collect()).await?;
                }
                return Ok(replayed(&snapshot));
            }
        }
        // What is not valid is told before anything is written.
        let retry = self.retry_policy(&base.table)?;
        check_settings(base.metadata(), &properties_of(options))?;
        if !options.dry_run {
            self.check_storage().await?;
        }
        let executed = self.run_task(&base, task, named, may_rerun).await?;
        if options.dry_run || executed.change.is_empty() {
            let snapshot_id = base.metadata().snapshot_for_ref(options.branch()).map(|s| s.snapshot_id());
            return Ok(WriteOutcome { snapshot_id, dry_run: options.dry_run, ..executed.outcome });
        }
        let outcome = executed.outcome.clone();
        let digest = task.input.as_ref().filter(|_| named).and_then(Input::digest);
        let request = CommitRequest {
            retry,
            fingerprint: options.idempotency_key.is_some().then(|| fingerprint.to_owned()),
            input: digest.map(|digest| digest.to_string()),
            ..self.request(executed, options)
        };
        let table = base.table.clone();
        let committed = commit_in(&*self.catalog, base, request, turn, &*self.environment).await?;
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
            snapshot_properties: properties_of(options),
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
                tracing::warn!(file = %masked(file), error = %error.kind(), "a file that is not used stays behind");
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

/// Fails with `Validation` when the operation that made `snapshot` had other inputs than these. Rows are read where nothing else
/// tells. Snapshots of earlier versions do not tell what their input was, and have any.
pub(super) async fn check_inputs(snapshot: &SnapshotRef, inputs: Vec<&mut Input>) -> Result<()> {
    let Some(was) = input_of(snapshot) else { return Ok(()) };
    let Some(was) = InputDigest::parse_all(was) else {
        return Err(other_input(snapshot, Sameness::Incomparable));
    };
    if was.len() != inputs.len() {
        return Err(other_input(snapshot, Sameness::Other));
    }
    for (was, input) in was.iter().zip(inputs) {
        let same = input.is_same(was).await?;
        if same != Sameness::Same {
            return Err(other_input(snapshot, same));
        }
    }
    Ok(())
}

/// The properties that the caller gives to the snapshot.
pub(super) fn properties_of(options: &ChangeOptions) -> HashMap<String, String> {
    options.snapshot_properties.clone().into_iter().collect()
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
