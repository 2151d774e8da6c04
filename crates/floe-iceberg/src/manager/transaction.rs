//! Several operations on one table in one commit.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use floe_core::{CommitTurn, Error, ErrorKind, LoadedTable, Result, span};
use floe_plan::change::ChangeSet;
use floe_plan::evolve::{SchemaEvolution, evolve};
use floe_plan::expr::Expr;
use floe_plan::summary::input::InputDigest;
use iceberg::spec::{MAIN_BRANCH, SnapshotRef, TableMetadata};
use iceberg::{TableIdent, TableUpdate};
use serde::Serialize;
use serde_json::{Value, json};
use tracing::Span;

use super::IcebergTableManager;
use super::change::check_inputs;
use super::fingerprint::{fingerprint, write_target};
use super::traced::{operation_span, traced};
use super::work::reruns_by_default;
use crate::commit::{CommitRequest, Pending, Refused, find_done, input_of, later, prepared};
use crate::data::Input;
use crate::model::{
    ChangeOptions, DeleteConfig, MergeConfig, RerunOptions, WriteConfig, WriteMode, WriteOutcome,
};
use crate::refs::{self, BranchRetention, Pick};
use crate::{base::TableBase, properties};

/// Operations on one table that take effect together: each sees the table as those before it leave it, and others see
/// all of them, or none, as one version of the table. Data operations add a snapshot each, all in that version.
///
/// Nothing happens before [`Transaction::commit`].
///
/// ```no_run
/// # async fn f(
/// #     manager: &floe_iceberg::IcebergTableManager,
/// #     table: &iceberg::TableIdent,
/// #     data: floe_iceberg::data::BatchStream,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// use floe_iceberg::model::{WriteConfig, WriteMode};
///
/// let evolution = serde_json::from_str(
///     r#"{"changes": [{"add_column": {"column": "country", "type": "string"}}]}"#,
/// )?;
/// let overwrite = WriteConfig { mode: WriteMode::Overwrite, ..WriteConfig::default() };
/// let done = manager
///     .transaction(table)
///     .evolve_schema(evolution)
///     .write(data, overwrite)
///     .set_properties([("owner", "sales")])
///     .idempotency_key("load-2024-05-01")
///     .commit()
///     .await?;
/// assert_eq!(done.snapshot_ids.len(), 1);
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing happens before it is committed"]
pub struct Transaction<'m> {
    manager: &'m IcebergTableManager,
    table: TableIdent,
    steps: Vec<Step>,
    key: Option<String>,
    any_input: bool,
    rerun: RerunOptions,
    dry_run: bool,
}

type Build = Arc<dyn Fn(&TableMetadata) -> Result<Vec<TableUpdate>> + Send + Sync>;
type Make = Box<dyn Fn(&LoadedTable) -> Result<Input> + Send + Sync>;

enum Step {
    /// Updates of the metadata, and what they are for.
    Metadata(&'static str, Value, Build),
    /// The same, at a snapshot that the caller chose.
    Pinned(&'static str, Value, Build),
    Write(Rows, WriteConfig),
    Merge(Rows, MergeConfig),
    Delete(Expr, DeleteConfig),
    /// The branch that a snapshot is applied to.
    Pick(String, Picked),
}

/// The rows of an operation.
struct Rows {
    make: Option<Make>,
    /// Those that were made last, or were given.
    input: Option<Input>,
}

impl Rows {
    /// The rows for a table as it is then.
    fn made_for(&mut self, table: &LoadedTable) -> Result<&mut Input> {
        if let Some(make) = &self.make {
            self.input = Some(make(table)?);
        }
        self.input.as_mut().ok_or_else(|| Error::new(ErrorKind::Internal, "an operation has no input"))
    }

    fn is_repeatable(&self) -> bool {
        self.input.as_ref().is_some_and(Input::is_repeatable)
    }
}

/// Which snapshot is applied.
enum Picked {
    Snapshot(i64),
    /// The staged one with this `wap.id`.
    Staged(String),
}

/// What a transaction did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TransactionOutcome {
    /// The snapshots that were added, in order.
    pub snapshot_ids: Vec<i64>,
    /// Commit attempts; 0 when nothing was committed.
    pub attempts: u32,
    /// How often the transaction was run again, because another writer changed what it read.
    pub reruns: u32,
    /// Whether an earlier transaction with the same idempotency key had done this already.
    pub replayed: bool,
    /// Whether this only says what would happen.
    pub dry_run: bool,
    /// What each operation did, in order; empty when it was done before.
    pub steps: Vec<StepOutcome>,
}

/// What an operation of a transaction did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepOutcome {
    /// The kind of the operation: `evolve_schema`, `append`, `delete`, …
    pub operation: &'static str,
    /// Whether the table was as the operation would have it already.
    pub unchanged: bool,
    /// Rows and files, for data operations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write: Option<WriteOutcome>,
}

impl IcebergTableManager {
    /// Begins a transaction on a table; see [`Transaction`].
    pub fn transaction(&self, table: &TableIdent) -> Transaction<'_> {
        Transaction {
            manager: self,
            table: table.clone(),
            steps: Vec::new(),
            key: None,
            any_input: false,
            rerun: RerunOptions::default(),
            dry_run: false,
        }
    }
}

impl Transaction<'_> {
    /// Changes the schema; see [`IcebergTableManager::evolve_schema`].
    pub fn evolve_schema(self, evolution: SchemaEvolution) -> Self {
        let target = json!(evolution);
        self.metadata("evolve_schema", target, move |table| evolve(table, &evolution))
    }

    /// Sets properties of the table.
    pub fn set_properties<K: Into<String>, V: Into<String>>(
        self,
        properties: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let set: BTreeMap<String, String> =
            properties.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        self.metadata("set_properties", json!(set), move |table| properties::update(table, &set, &[]))
    }

    /// Removes properties of the table, as far as it has them.
    pub fn remove_properties<K: Into<String>>(self, keys: impl IntoIterator<Item = K>) -> Self {
        let keys: Vec<String> = keys.into_iter().map(Into::into).collect();
        let none = BTreeMap::new();
        self.metadata("remove_properties", json!(keys), move |table| properties::update(table, &none, &keys))
    }

    /// Writes rows, as [`IcebergTableManager::write_data`] does. `config` must have no key and be no dry run: the
    /// transaction has these.
    pub fn write(mut self, data: impl Into<Input>, config: WriteConfig) -> Self {
        self.steps.push(Step::Write(given(data), config));
        self
    }

    /// Writes rows that depend on the table as the operations before leave it, such as on its columns. `rows` is called
    /// again when the transaction is run again.
    pub fn write_from<I: Into<Input>>(
        mut self,
        rows: impl Fn(&LoadedTable) -> Result<I> + Send + Sync + 'static,
        config: WriteConfig,
    ) -> Self {
        self.steps.push(Step::Write(made(rows), config));
        self
    }

    /// Merges rows, as [`IcebergTableManager::merge_data`] does.
    pub fn merge(mut self, source: impl Into<Input>, config: MergeConfig) -> Self {
        self.steps.push(Step::Merge(given(source), config));
        self
    }

    /// Merges rows that depend on the table as the operations before leave it; see [`Transaction::write_from`].
    pub fn merge_from<I: Into<Input>>(
        mut self,
        source: impl Fn(&LoadedTable) -> Result<I> + Send + Sync + 'static,
        config: MergeConfig,
    ) -> Self {
        self.steps.push(Step::Merge(made(source), config));
        self
    }

    /// Deletes rows, as [`IcebergTableManager::delete_data`] does.
    pub fn delete(mut self, filter: Expr, config: DeleteConfig) -> Self {
        self.steps.push(Step::Delete(filter, config));
        self
    }

    /// Makes a tag at `snapshot_id`, or at the current snapshot, which may be one of this transaction; with `replace`,
    /// moves one that is there.
    pub fn tag(
        self,
        name: &str,
        snapshot_id: Option<i64>,
        max_ref_age_ms: Option<i64>,
        replace: bool,
    ) -> Self {
        let (name, make) = (name.to_owned(), if replace { refs::replace_tag } else { refs::create_tag });
        let target = json!([name, snapshot_id, replace]);
        let build = move |table: &TableMetadata| make(table, &name, snapshot_id, max_ref_age_ms);
        if snapshot_id.is_some() {
            self.pinned("tag", target, build)
        } else {
            self.metadata("tag", target, build)
        }
    }

    /// Drops a tag.
    pub fn drop_tag(self, name: &str) -> Self {
        let name = name.to_owned();
        self.metadata("drop_tag", json!(name), move |table| refs::drop_tag(table, &name))
    }

    /// Makes a branch at `snapshot_id`, or at the current snapshot; with `replace`, moves one that is there. Operations
    /// after it can write to the branch.
    pub fn branch(
        self,
        name: &str,
        snapshot_id: Option<i64>,
        retention: BranchRetention,
        replace: bool,
    ) -> Self {
        let (name, make) =
            (name.to_owned(), if replace { refs::replace_branch } else { refs::create_branch });
        let target = json!([name, snapshot_id, replace]);
        let build = move |table: &TableMetadata| make(table, &name, snapshot_id, retention);
        match snapshot_id {
            Some(_) => self.pinned("branch", target, build),
            None => self.metadata("branch", target, build),
        }
    }

    /// Drops a branch.
    pub fn drop_branch(self, name: &str) -> Self {
        let name = name.to_owned();
        self.metadata("drop_branch", json!(name), move |table| refs::drop_branch(table, &name))
    }

    /// Sets a branch (`main` when `None`) back to a snapshot of its own history.
    pub fn rollback_to_snapshot(self, branch: Option<&str>, snapshot_id: i64) -> Self {
        let branch = branch.unwrap_or(MAIN_BRANCH).to_owned();
        let target = json!([branch, snapshot_id]);
        self.pinned("rollback", target, move |table| refs::rollback_to_snapshot(table, &branch, snapshot_id))
    }

    /// Moves a branch forward to the tag or branch `to`, whose history must hold the branch's head.
    pub fn fast_forward(self, branch: &str, to: &str) -> Self {
        let (branch, to) = (branch.to_owned(), to.to_owned());
        let target = json!([branch, to]);
        self.pinned("fast_forward", target, move |table| refs::fast_forward(table, &branch, &to))
    }

    /// Applies the change of a snapshot to a branch (`main` when `None`), as [`IcebergTableManager::cherry_pick`] does: the
    /// branch is moved where that will do, and a snapshot with the same files is added where it will not.
    ///
    /// An overwrite of whole partitions cannot be applied to a branch that an operation before it moves.
    pub fn cherry_pick(mut self, branch: Option<&str>, snapshot_id: i64) -> Self {
        let branch = branch.unwrap_or(MAIN_BRANCH).to_owned();
        self.steps.push(Step::Pick(branch, Picked::Snapshot(snapshot_id)));
        self
    }

    /// Publishes the staged snapshot with this `wap.id` on a branch (`main` when `None`); see
    /// [`Transaction::cherry_pick`].
    pub fn publish(mut self, branch: Option<&str>, wap_id: &str) -> Self {
        let branch = branch.unwrap_or(MAIN_BRANCH).to_owned();
        self.steps.push(Step::Pick(branch, Picked::Staged(wap_id.to_owned())));
        self
    }

    /// Names this very transaction, 1 to 255 bytes: the same one again, with the same key, finds what the first one did
    /// and does nothing, so that a caller may repeat a call whose answer was lost. A transaction with a key that would add
    /// no snapshot adds an empty one, which carries the key, unless there is nothing to do at all.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The idempotency key alone decides whether the transaction was done before: its inputs are not compared.
    pub fn any_input(mut self, any_input: bool) -> Self {
        self.any_input = any_input;
        self
    }

    /// How often, and for how long, the transaction is run again when another writer changed what it read. By default as one
    /// of its operations alone would be, if all of them would that read rows of the table. Never when it has an operation
    /// that names a snapshot, such as a roll-back, and not when rows cannot be read again.
    pub fn rerun(mut self, rerun: RerunOptions) -> Self {
        self.rerun = rerun;
        self
    }

    /// Only says what would happen. Files are written, as later operations read them, and deleted again.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Runs the operations and commits them. After any error but `CommitStateUnknown` the table is as it was.
    ///
    /// When others commit first, the snapshots are laid out upon theirs, as for single writes. Fails with
    /// `CommitConflict` when what they did does not go together with this: when they changed the schema or a reference
    /// that this changes too, or data that this read. For other errors see the operations.
    pub async fn commit(self) -> Result<TransactionOutcome> {
        let table = self.table.clone();
        let span = operation_span!("transaction", table.to_string());
        traced(span, Box::pin(self.run())).await.map_err(|e| e.with_table(table))
    }

    fn metadata(
        mut self,
        what: &'static str,
        target: Value,
        build: impl Fn(&TableMetadata) -> Result<Vec<TableUpdate>> + Send + Sync + 'static,
    ) -> Self {
        self.steps.push(Step::Metadata(what, target, Arc::new(build)));
        self
    }

    fn pinned(
        mut self,
        what: &'static str,
        target: Value,
        build: impl Fn(&TableMetadata) -> Result<Vec<TableUpdate>> + Send + Sync + 'static,
    ) -> Self {
        self.steps.push(Step::Pinned(what, target, Arc::new(build)));
        self
    }

    async fn run(mut self) -> Result<TransactionOutcome> {
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
                crate::commit::commit_updates(&*manager.catalog, pending.base(), build, &retry, env).await?;
                return Ok(TransactionOutcome { attempts: 1, ..outcome });
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

impl Rows {
    /// The rows to compare with those of an earlier transaction, which need not be made anew.
    fn of_replay(&mut self, table: &LoadedTable) -> Result<&mut Input> {
        if self.input.is_none() {
            return self.made_for(table);
        }
        self.input.as_mut().ok_or_else(|| Error::new(ErrorKind::Internal, "an operation has no input"))
    }
}

fn given(rows: impl Into<Input>) -> Rows {
    Rows { make: None, input: Some(rows.into()) }
}

fn made<I: Into<Input>>(rows: impl Fn(&LoadedTable) -> Result<I> + Send + Sync + 'static) -> Rows {
    Rows { make: Some(Box::new(move |table| rows(table).map(Into::into))), input: None }
}

impl Step {
    fn name(&self) -> &'static str {
        match self {
            Self::Metadata(what, ..) | Self::Pinned(what, ..) => what,
            Self::Write(_, config) => config.mode.as_str(),
            Self::Merge(..) => "merge",
            Self::Delete(..) => "delete",
            Self::Pick(_, Picked::Snapshot(_)) => "cherry_pick",
            Self::Pick(_, Picked::Staged(_)) => "publish",
        }
    }

    /// The branch it writes to, and whether its snapshot is staged.
    fn place(&self) -> Option<(&str, bool)> {
        match self {
            Self::Pick(branch, _) => Some((branch, false)),
            other => other.options().map(|options| (options.branch(), options.staged)),
        }
    }

    fn options(&self) -> Option<&ChangeOptions> {
        match self {
            Self::Metadata(..) | Self::Pinned(..) | Self::Pick(..) => None,
            Self::Write(_, config) => Some(&config.options),
            Self::Merge(_, config) => Some(&config.options),
            Self::Delete(_, config) => Some(&config.options),
        }
    }

    fn rows(&self) -> Option<&Rows> {
        match self {
            Self::Write(rows, _) | Self::Merge(rows, _) => Some(rows),
            _ => None,
        }
    }

    fn rows_mut(&mut self) -> Option<&mut Rows> {
        match self {
            Self::Write(rows, _) | Self::Merge(rows, _) => Some(rows),
            _ => None,
        }
    }

    /// Whether it is run again by default; `None` if it does not read rows of the table.
    fn reruns_by_default(&self) -> Option<bool> {
        match self {
            Self::Write(_, config) if config.mode == WriteMode::Append => None,
            Self::Write(_, config) => Some(reruns_by_default(config)),
            Self::Merge(..) | Self::Delete(..) => Some(true),
            Self::Metadata(..) | Self::Pinned(..) | Self::Pick(..) => None,
        }
    }

    fn target(&self) -> Result<Value> {
        let target = match self {
            Self::Metadata(_, target, _) | Self::Pinned(_, target, _) => target.clone(),
            Self::Write(_, config) => json!(write_target(config)?),
            Self::Merge(_, config) => json!(config.spec()),
            Self::Delete(filter, _) => json!(filter.to_string()),
            Self::Pick(_, Picked::Snapshot(id)) => json!(id),
            Self::Pick(_, Picked::Staged(wap_id)) => json!(wap_id),
        };
        Ok(json!([self.name(), target, self.place()]))
    }

    async fn run(
        &mut self,
        manager: &IcebergTableManager,
        pending: &mut Pending,
        builds: &mut Vec<Build>,
        digests: &mut Option<Vec<InputDigest>>,
        may_rerun: bool,
    ) -> Result<StepOutcome> {
        let operation = self.name();
        let env = &*manager.environment;
        let (executed, options) = match self {
            Self::Metadata(_, _, build) | Self::Pinned(_, _, build) => {
                let updates = build(pending.now().metadata())?;
                let unchanged = updates.is_empty();
                if !unchanged {
                    pending.update(updates, env).await?;
                }
                builds.push(build.clone());
                return Ok(StepOutcome { operation, unchanged, write: None });
            }
            Self::Pick(branch, picked) => {
                let now = pending.now();
                let metadata = now.table.metadata.clone();
                let id = match picked {
                    Picked::Snapshot(id) => *id,
                    Picked::Staged(wap_id) => refs::staged(&metadata, wap_id)?.snapshot_id(),
                };
                let (updates, unchanged) = match refs::pick(now, branch, id).await? {
                    Pick::Commit(request) => {
                        pending.picked(*request, env).await?;
                        return Ok(StepOutcome { operation, unchanged: false, write: None });
                    }
                    Pick::Done(_) => (Vec::new(), true),
                    Pick::FastForward(updates) => (updates, false),
                };
                builds.push(Arc::new(refs::move_for_pick(metadata, branch, id, updates.clone())));
                if !unchanged {
                    pending.update(updates, env).await?;
                }
                return Ok(StepOutcome { operation, unchanged, write: None });
            }
            Self::Write(rows, config) => {
                let now = pending.now();
                let input = rows.made_for(&now.table)?;
                let data = manager.open(input, digests.is_some(), may_rerun)?;
                let executed = manager.execute_write(now, data, None, config, None).await?;
                read(input, digests);
                (executed, &config.options)
            }
            Self::Merge(rows, config) => {
                let now = pending.now();
                let input = rows.made_for(&now.table)?;
                let data = manager.open(input, digests.is_some(), may_rerun)?;
                let executed = manager.execute_merge(now, data, None, config).await?;
                read(input, digests);
                (executed, &config.options)
            }
            Self::Delete(filter, config) => {
                (manager.execute_delete(pending.now(), filter, config).await?, &config.options)
            }
        };
        let mut write = executed.outcome.clone();
        let unchanged = executed.change.is_empty();
        if !unchanged {
            let digests = digests.as_ref().filter(|digests| !digests.is_empty());
            let input = digests.map(|digests| InputDigest::join(digests));
            let request = CommitRequest { input, ..manager.request(executed, options) };
            pending.snapshot(request, env).await?;
            write.snapshot_id = pending.snapshot_ids().last().copied();
        }
        Ok(StepOutcome { operation, unchanged, write: Some(write) })
    }
}

/// Notes what an input was that has been read.
fn read(input: &Input, digests: &mut Option<Vec<InputDigest>>) {
    if let Some(digests) = digests {
        digests.extend(input.digest());
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

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<&str> = self.steps.iter().map(Step::name).collect();
        f.debug_struct("Transaction")
            .field("table", &self.table)
            .field("steps", &steps)
            .finish_non_exhaustive()
    }
}
