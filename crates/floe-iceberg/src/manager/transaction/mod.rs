//! Several operations on one table in one commit.

mod run;
mod step;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use floe_core::{LoadedTable, Result};
use floe_plan::evolve::{SchemaEvolution, evolve};
use floe_plan::expr::Expr;
use iceberg::spec::{MAIN_BRANCH, TableMetadata};
use iceberg::{TableIdent, TableUpdate};
use serde::Serialize;
use serde_json::{Value, json};

use super::IcebergTableManager;
use super::traced::{operation_span, traced};
use crate::data::Input;
use crate::model::{DeleteConfig, MergeConfig, RerunOptions, WriteConfig, WriteOutcome};
use crate::properties;
use crate::refs::{self, BranchRetention};
use step::{Picked, Step, given, made};

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
/// let overwrite = WriteConfig { mode: WriteMode::Overwrite, overwrite_all: true, ..WriteConfig::default() };
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

/// What a transaction did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TransactionOutcome {
    /// The snapshots that were added, in order.
    #[serde(with = "floe_core::json_id::list")]
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
