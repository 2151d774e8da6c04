//! Running a transaction: once, or again when another writer changed what it read.

use std::collections::BTreeSet;

use floe_core::{CommitTurn, Error, Result, span};
use floe_plan::change::ChangeSet;
use floe_plan::summary::input::InputDigest;
use iceberg::TableUpdate;
use iceberg::spec::{MAIN_BRANCH, SnapshotRef, TableMetadata};
use serde_json::Value;
use tracing::Span;

use super::step::{Build, Rows, Step};
use super::{Transaction, TransactionOutcome};
use crate::base::TableBase;
use crate::commit::{CommitRequest, Pending, Refused, commit_updates, find_done, input_of, later, prepared};
use crate::manager::change::check_inputs;
use crate::manager::fingerprint::fingerprint;

impl Transaction<'_> {
    pub(super) async fn run(mut self) -> Result<TransactionOutcome> {
        self.validate()?;
        let manager = self.manager;
        let mut runs = manager.first_run();
        let mut turn = CommitTurn::none();
        loop {
            let base = manager.base(&self.table).await?;
            let policy = manager.rerun_policy(&base.table, &self.rerun, self.reruns_by_default())?;
            let may_rerun = policy.max_attempts > 0 && !self.is_pinned();
            let refused = match self.once(base, may_rerun, turn).await {
                Ok(outcome) => {
                    Span::current().record(span::COMMIT_RERUNS, runs.again);
                    return Ok(TransactionOutcome { reruns: runs.again, ..outcome });
                }
                Err(refused) => refused,
            };
            if !may_rerun {
                return Err(refused.error);
            }
            let repeatable = self.steps.iter().filter_map(Step::rows).all(Rows::is_repeatable);
            turn = manager.next_run(&self.table, &mut runs, refused, policy, repeatable).await?;
        }
    }

    async fn once(
        &mut self,
        base: TableBase,
        may_rerun: bool,
        turn: CommitTurn,
    ) -> Result<TransactionOutcome, Refused> {
        let (manager, dry_run) = (self.manager, self.dry_run);
        let env = &*manager.environment;
        let name = self.key.is_some().then(|| self.fingerprint()).transpose()?;
        let named = self.key.is_some() && !self.any_input;
        if let Some(earlier) = self.done_before(&base, name.as_deref())? {
            if named && input_of(&earlier).is_some() {
                let rows = self.steps.iter_mut().filter_map(Step::rows_mut);
                let inputs = rows.map(|rows| rows.of_replay(&base.table)).collect::<Result<Vec<_>>>()?;
                check_inputs(&earlier, inputs).await?;
            }
            let snapshot_ids = vec![earlier.snapshot_id()];
            return Ok(TransactionOutcome { snapshot_ids, replayed: true, ..TransactionOutcome::default() });
        }
        let retry = manager.retry_policy(&base.table)?;
        manager.check_storage().await?;
        let mut pending = Pending::new(base, retry, self.key.clone(), name);
        let mut steps = Vec::with_capacity(self.steps.len());
        let mut builds = Vec::new();
        let mut digests = named.then(Vec::new);
        for (number, step) in self.steps.iter_mut().enumerate() {
            let what = step.name();
            match step.run(manager, &mut pending, &mut builds, &mut digests, may_rerun).await {
                Ok(done) => steps.push(done),
                Err(e) => {
                    let error = e.context(format!("operation {} of the transaction, {what}", number + 1));
                    return Err(pending.discard(error).await.into());
                }
            }
        }
        let outcome = TransactionOutcome { dry_run, steps, ..TransactionOutcome::default() };
        if dry_run {
            pending.forget().await;
            return Ok(outcome);
        }
        if outcome.steps.iter().all(|step| step.unchanged) {
            return Ok(outcome);
        }
        if pending.snapshot_ids().is_empty() {
            if self.key.is_none() {
                let retry = manager.retry_policy(&pending.base().table)?;
                let build = |table: &TableMetadata| all_updates(table, &builds);
                let done = commit_updates(&*manager.catalog, pending.base(), build, &retry, env).await?;
                return Ok(TransactionOutcome { attempts: done.attempts, ..outcome });
            }
            let spec_id = pending.now().metadata().default_partition_spec_id();
            let empty = CommitRequest::new(ChangeSet::append(spec_id, Vec::new()));
            if let Err(e) = pending.snapshot(empty, env).await {
                return Err(pending.discard(e).await.into());
            }
        }
        if let Some(digests) = digests.filter(|digests| !digests.is_empty()) {
            pending.name_input(Some(InputDigest::join(&digests)));
        }
        let table = pending.base().table.clone();
        let committed = pending.commit_in(&*manager.catalog, turn, env).await?;
        manager.drop_unused(&table, &committed).await;
        Span::current().record(span::SNAPSHOT_ID, committed.snapshot_id);
        let replayed = committed.attempts == 0;
        Ok(TransactionOutcome {
            snapshot_ids: committed.snapshot_ids,
            attempts: committed.attempts,
            replayed,
            steps: if replayed { Vec::new() } else { outcome.steps },
            ..outcome
        })
    }

    /// One `Validation` error for the first operation that cannot be part of a transaction.
    fn validate(&self) -> Result<()> {
        if self.steps.is_empty() {
            return Err(Error::validation("a transaction needs at least one operation"));
        }
        if self.key.as_ref().is_some_and(|key| !(1..=255).contains(&key.len())) {
            return Err(Error::validation("idempotency_key must have 1 to 255 bytes"));
        }
        for step in &self.steps {
            let options = match step {
                Step::Metadata(..) | Step::Pinned(..) | Step::Pick(..) => continue,
                Step::Write(_, config) => {
                    config.validate()?;
                    &config.options
                }
                Step::Merge(_, config) => {
                    config.validate()?;
                    &config.options
                }
                Step::Delete(_, config) => {
                    config.validate()?;
                    &config.options
                }
            };
            let own = options.any_input || !options.rerun.is_default();
            if options.idempotency_key.is_some() || options.dry_run || own {
                return Err(Error::validation(
                    "idempotency_key, any_input, rerun and dry_run are for the transaction, not for its operations",
                ));
            }
        }
        Ok(())
    }

    /// What the transaction is, so that its key cannot stand for another one.
    fn fingerprint(&self) -> Result<String> {
        let targets: Vec<Value> = self.steps.iter().map(Step::target).collect::<Result<_>>()?;
        fingerprint("transaction", &targets, false)
    }

    /// The snapshot of an earlier transaction with the same key.
    fn done_before(&self, base: &TableBase, name: Option<&str>) -> Result<Option<SnapshotRef>> {
        let Some(key) = &self.key else { return Ok(None) };
        let mut places = BTreeSet::from([(MAIN_BRANCH, false)]);
        places.extend(self.steps.iter().filter_map(Step::place));
        let mut done = None;
        for place in places {
            done = later(done, find_done(base.metadata(), place, key, name)?);
        }
        Ok(done)
    }

    /// Whether it is run again after a conflict unless the caller says otherwise: all operations that read rows of the table
    /// would be, and there is one.
    fn reruns_by_default(&self) -> bool {
        let mut reading = self.steps.iter().filter_map(Step::reruns_by_default).peekable();
        reading.peek().is_some() && reading.all(|by_default| by_default)
    }

    /// Whether an operation is about a snapshot that the caller chose: on another state it would be another operation.
    fn is_pinned(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Pinned(..) | Step::Pick(..)))
    }
}

/// The updates that all of `builds` make, one upon the other.
fn all_updates(table: &TableMetadata, builds: &[Build]) -> Result<Vec<TableUpdate>> {
    let mut updates = Vec::new();
    for build in builds {
        let more = build(&*prepared(table, &updates)?)?;
        updates.extend(more);
    }
    Ok(updates)
}
