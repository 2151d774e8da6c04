//! Changes that are made one upon the other and committed together: a transaction.

use floe_core::{CatalogClient, CommitTurn, Environment, Error, Result};
use floe_plan::backoff::RetryPolicy;
use iceberg::TableUpdate;

use super::operation::Operation;
use super::prepared::prepared_base;
use super::{CommitRequest, Committed, Refused, drive};
use crate::base::TableBase;

/// A commit of several changes on its way: each sees the table as those before it left it, and nobody else sees any of
/// them until all are committed, as one version of the table.
///
/// End it with [`Pending::commit`], [`Pending::discard`] or [`Pending::forget`]. Dropping it leaves the deletion of its files
/// to the runtime.
#[derive(Debug)]
pub struct Pending {
    base: TableBase,
    now: TableBase,
    operation: Operation,
}

impl Pending {
    /// Nothing yet, on `base`. `token` names the operation, as [`CommitRequest::token`] does; those of the single changes
    /// do not count.
    pub fn new(
        base: TableBase,
        retry: RetryPolicy,
        token: Option<String>,
        fingerprint: Option<String>,
    ) -> Self {
        let operation = Operation::new(&base, retry, token, fingerprint);
        Self { now: base.clone(), base, operation }
    }

    /// The table as the changes so far make it.
    pub fn now(&self) -> &TableBase {
        &self.now
    }

    /// The table as the catalog has it.
    pub fn base(&self) -> &TableBase {
        &self.base
    }

    /// The snapshots that will be added, in order.
    pub fn snapshot_ids(&self) -> Vec<i64> {
        self.operation.snapshot_ids().collect()
    }

    /// Adds updates of the metadata. Fails with `Validation` when one does not fit.
    pub async fn update(&mut self, updates: Vec<TableUpdate>, env: &dyn Environment) -> Result<()> {
        self.operation.add_updates(&self.base, updates)?;
        self.look(env).await
    }

    /// Adds a snapshot. Its manifests are written. Fails as [`commit`](super::commit()) does before it asks the catalog;
    /// then the pending commit is to be discarded.
    pub async fn snapshot(&mut self, request: CommitRequest, env: &dyn Environment) -> Result<()> {
        // What it read is checked against what others did since the transaction began, not since its own last step.
        self.add(CommitRequest { read_snapshot_id: None, ..request }, env).await
    }

    /// Adds a snapshot whose change was made before, upon `request.read_snapshot_id` if that is given.
    ///
    /// Fails as [`Pending::snapshot`] does, and with `Validation` when the change depends on what the branch had and the
    /// changes so far moved the branch: what they did is nobody's to check against.
    pub async fn picked(&mut self, request: CommitRequest, env: &dyn Environment) -> Result<()> {
        let head =
            |table: &TableBase| table.metadata().snapshot_for_ref(&request.branch).map(|s| s.snapshot_id());
        if request.read_snapshot_id.is_some() && head(&self.now) != head(&self.base) {
            let what = format!(
                "it replaces whole partitions of '{}', which an operation before it moves",
                request.branch
            );
            return Err(Error::validation(what).with_hint("pick it first, or in a commit of its own"));
        }
        self.add(request, env).await
    }

    async fn add(&mut self, request: CommitRequest, env: &dyn Environment) -> Result<()> {
        self.operation.add_snapshot(&self.base, &self.now, request, env)?;
        self.look(env).await
    }

    async fn look(&mut self, env: &dyn Environment) -> Result<()> {
        let updates = self.operation.lay_out(&self.base, env).await?;
        self.now = prepared_base(&self.base, &updates)?.into_owned();
        self.operation.keep_lists(&self.base).await;
        Ok(())
    }

    /// Commits all, with one proposal to the catalog, and tries again as [`commit`](super::commit()) does. There must be
    /// a snapshot.
    pub async fn commit(self, catalog: &dyn CatalogClient, env: &dyn Environment) -> Result<Committed> {
        let ident = self.base.table.ident.clone();
        self.commit_in(catalog, CommitTurn::none(), env).await.map_err(|e| e.error.with_table(ident))
    }

    /// The same in a turn that is held already; tells whether what failed may be run again.
    pub(crate) async fn commit_in(
        self,
        catalog: &dyn CatalogClient,
        turn: CommitTurn,
        env: &dyn Environment,
    ) -> Result<Committed, Refused> {
        drive(catalog, self.base, self.operation, turn, env).await
    }

    /// Says what the operation took as its input; see [`CommitRequest::input`].
    pub(crate) fn name_input(&mut self, input: Option<String>) {
        self.operation.name_input(input);
    }

    /// Deletes every file that was written, and gives `error` back. Nothing was committed.
    pub async fn discard(self, error: Error) -> Error {
        self.operation.give_up(&self.base, error).await
    }

    /// Deletes every file that was written.
    pub async fn forget(self) {
        self.operation.sweep(&self.base).await;
    }
}
