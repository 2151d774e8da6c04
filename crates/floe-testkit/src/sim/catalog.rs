//! The catalog of a simulated writer.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use floe_core::{CatalogCapabilities, CatalogClient, CommitOutcome, Error, ErrorKind, LoadedTable, Result};
use iceberg::{Namespace, NamespaceIdent, TableCreation, TableIdent, TableRequirement, TableUpdate};

use super::faults::{CommitFault, Moment};
use super::{Actor, FaultRates, Ledger};
use crate::catalog::MemoryCatalog;

/// Changes commits on their way to the catalog, as a broken catalog would: to prove that a simulation notices.
pub type Tampering = Arc<dyn Fn(Commit<'_>) -> Tampered + Send + Sync>;

/// A commit on its way.
#[derive(Debug)]
pub struct Commit<'a> {
    /// The table as it is.
    pub head: &'a LoadedTable,
    /// What must hold.
    pub requirements: &'a [TableRequirement],
    /// What is to change.
    pub updates: &'a [TableUpdate],
}

/// What a broken catalog makes of a commit.
#[derive(Debug)]
pub struct Tampered {
    /// What must hold.
    pub requirements: Vec<TableRequirement>,
    /// What is changed.
    pub updates: Vec<TableUpdate>,
    /// A success is reported as a definite failure of this kind.
    pub deny: Option<ErrorKind>,
}

/// Passes every call on to a [`MemoryCatalog`], at a gate, with faults, and notes in the ledger what took effect.
pub struct SimCatalog {
    /// Over the writer's own storage.
    inner: MemoryCatalog,
    /// Over the storage without faults: carries out what happens later.
    server: MemoryCatalog,
    actor: Actor,
    rates: FaultRates,
    ledger: Ledger,
    operation: Arc<AtomicUsize>,
    tampering: Option<Tampering>,
}

impl SimCatalog {
    /// The catalog of `actor`: `inner` reads and writes through its storage, `server` through one that works.
    /// `operation` is the number of the operation that the actor carries out at the time.
    pub fn new(
        inner: MemoryCatalog,
        server: MemoryCatalog,
        actor: &Actor,
        rates: FaultRates,
        ledger: &Ledger,
        operation: Arc<AtomicUsize>,
    ) -> Self {
        let (actor, ledger) = (actor.clone(), ledger.clone());
        Self { inner, server, actor, rates, ledger, operation, tampering: None }
    }

    /// Breaks the catalog.
    pub fn with_tampering(mut self, tampering: Option<Tampering>) -> Self {
        self.tampering = tampering;
        self
    }

    async fn gate(&self) {
        let slow = self.actor.chance(self.rates.delay);
        self.actor.pause(if slow { Duration::from_secs(2) } else { Duration::ZERO }).await;
    }

    /// Any call but a commit.
    async fn call<T>(&self, what: &str, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        self.gate().await;
        if self.actor.chance(self.rates.crash) {
            self.last(what).await;
        }
        if self.actor.chance(self.rates.catalog_error) {
            self.ledger.fault();
            // Whoever cannot look at the table deletes nothing.
            self.ledger.excuse(self.operation.load(Ordering::SeqCst));
            self.actor.note(format_args!("{what} fails"));
            return Err(injected(ErrorKind::Unavailable));
        }
        self.actor.note(what);
        call.await
    }

    /// The call that a crash comes with.
    async fn last(&self, what: &str) {
        self.ledger.fault();
        self.ledger.excuse(self.operation.load(Ordering::SeqCst));
        self.actor.note(format_args!("{what} is its last call"));
        self.actor.crash();
        std::future::pending::<()>().await;
    }

    fn draw(&self) -> Option<CommitFault> {
        let FaultRates { catalog_error, commit_unknown, commit_conflict, crash, .. } = self.rates;
        let third = |of: [CommitFault; 3]| of[self.actor.below(3) as usize];
        if self.actor.chance(crash) {
            return Some(third([Moment::Before, Moment::After, Moment::Late].map(CommitFault::Crash)));
        }
        if self.actor.chance(commit_unknown) {
            return Some(third([CommitFault::LostRequest, CommitFault::LostReply, CommitFault::Late]));
        }
        if self.actor.chance(commit_conflict) {
            return Some(CommitFault::SpuriousConflict);
        }
        if self.actor.chance(catalog_error) {
            let denied = self.actor.below(4) == 0;
            return Some(if denied { CommitFault::Denied } else { CommitFault::Refused });
        }
        None
    }

    /// A commit that takes effect, or not.
    async fn commit_now(
        &self,
        client: &MemoryCatalog,
        operation: usize,
        table: &TableIdent,
        requirements: &[TableRequirement],
        updates: &[TableUpdate],
    ) -> Result<CommitOutcome> {
        let outcome = client.commit(table, requirements, updates).await;
        if let Ok(CommitOutcome::Committed(table)) = &outcome
            && !updates.is_empty()
        {
            self.ledger.committed(operation, table);
        }
        outcome
    }

    /// Carries a commit out some time later.
    fn later(&self, table: &TableIdent, requirements: &[TableRequirement], updates: &[TableUpdate]) {
        let ghost = self.actor.scheduler().actor(format!("{}'", self.actor.name()));
        let (server, ledger) = (self.server.another_client(), self.ledger.clone());
        let operation = self.operation.load(Ordering::SeqCst);
        let (table, requirements, updates) = (table.clone(), requirements.to_vec(), updates.to_vec());
        ledger.late(operation);
        tokio::spawn(async move {
            ghost.pause(Duration::from_millis(ghost.below(4000))).await;
            match server.commit(&table, &requirements, &updates).await {
                Ok(CommitOutcome::Committed(table)) => {
                    ledger.committed(operation, &table);
                    ghost.note(format_args!("the late commit of operation {operation} takes effect"));
                }
                _ => ghost.note(format_args!("the late commit of operation {operation} is refused")),
            }
            ghost.end();
        });
    }
}

fn injected(kind: ErrorKind) -> Error {
    Error::new(kind, "a fault was injected")
}

impl fmt::Debug for SimCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimCatalog").field("actor", &self.actor).finish_non_exhaustive()
    }
}

#[async_trait]
impl CatalogClient for SimCatalog {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> CatalogCapabilities {
        self.inner.capabilities()
    }

    async fn list_namespaces(&self, parent: Option<&NamespaceIdent>) -> Result<Vec<NamespaceIdent>> {
        self.call("lists namespaces", self.inner.list_namespaces(parent)).await
    }

    async fn create_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<Namespace> {
        self.call("creates a namespace", self.inner.create_namespace(namespace, properties)).await
    }

    async fn load_namespace(&self, namespace: &NamespaceIdent) -> Result<Namespace> {
        self.call("loads a namespace", self.inner.load_namespace(namespace)).await
    }

    async fn namespace_exists(&self, namespace: &NamespaceIdent) -> Result<bool> {
        self.call("asks for a namespace", self.inner.namespace_exists(namespace)).await
    }

    async fn update_namespace(
        &self,
        namespace: &NamespaceIdent,
        set: HashMap<String, String>,
        remove: Vec<String>,
    ) -> Result<()> {
        self.call("changes a namespace", self.inner.update_namespace(namespace, set, remove)).await
    }

    async fn drop_namespace(&self, namespace: &NamespaceIdent) -> Result<()> {
        self.call("drops a namespace", self.inner.drop_namespace(namespace)).await
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        self.call("lists tables", self.inner.list_tables(namespace)).await
    }

    async fn table_exists(&self, table: &TableIdent) -> Result<bool> {
        self.call("asks for the table", self.inner.table_exists(table)).await
    }

    async fn create_table(&self, namespace: &NamespaceIdent, creation: TableCreation) -> Result<LoadedTable> {
        self.call("creates a table", self.inner.create_table(namespace, creation)).await
    }

    async fn load_table(&self, table: &TableIdent) -> Result<LoadedTable> {
        let loaded = self.call("loads the table", self.inner.load_table(table)).await?;
        self.ledger.saw(self.operation.load(Ordering::SeqCst), &loaded);
        Ok(loaded)
    }

    async fn rename_table(&self, from: &TableIdent, to: &TableIdent) -> Result<()> {
        self.call("renames the table", self.inner.rename_table(from, to)).await
    }

    async fn drop_table(&self, table: &TableIdent) -> Result<()> {
        self.call("drops the table", self.inner.drop_table(table)).await
    }

    async fn register_table(&self, table: &TableIdent, metadata_location: &str) -> Result<LoadedTable> {
        self.call("registers a table", self.inner.register_table(table, metadata_location)).await
    }

    async fn commit(
        &self,
        table: &TableIdent,
        requirements: &[TableRequirement],
        updates: &[TableUpdate],
    ) -> Result<CommitOutcome> {
        self.gate().await;
        let operation = self.operation.load(Ordering::SeqCst);
        let fault = self.draw();
        if let Some(fault) = fault {
            self.ledger.fault();
            self.actor.note(format_args!("commits: {fault:?}"));
            // Nor does whoever does not know.
            if matches!(fault, CommitFault::LostRequest | CommitFault::LostReply | CommitFault::Late) {
                self.ledger.excuse(operation);
            }
        }
        let tampered = match &self.tampering {
            Some(tampering) => {
                let head = self.server.load_table(table).await?;
                Some(tampering(Commit { head: &head, requirements, updates }))
            }
            None => None,
        };
        let (requirements, updates) = match &tampered {
            Some(tampered) => (tampered.requirements.as_slice(), tampered.updates.as_slice()),
            None => (requirements, updates),
        };
        let lost = || CommitOutcome::Unknown(injected(ErrorKind::CommitStateUnknown).with_table(table));
        match fault {
            Some(CommitFault::Refused) => return Err(injected(ErrorKind::Unavailable)),
            Some(CommitFault::Denied) => return Err(injected(ErrorKind::PermissionDenied)),
            Some(CommitFault::LostRequest) => return Ok(lost()),
            Some(CommitFault::SpuriousConflict) => {
                return Ok(CommitOutcome::Conflict(injected(ErrorKind::CommitConflict)));
            }
            Some(CommitFault::Late) => {
                self.later(table, requirements, updates);
                return Ok(lost());
            }
            Some(CommitFault::Crash(Moment::Before)) => self.last("the commit").await,
            Some(CommitFault::Crash(Moment::Late)) => {
                self.later(table, requirements, updates);
                self.last("the commit, which is on its way,").await;
            }
            Some(CommitFault::Crash(Moment::After)) => {
                let outcome = self.commit_now(&self.server, operation, table, requirements, updates).await;
                self.note_outcome(operation, &outcome);
                self.last("the commit").await;
            }
            Some(CommitFault::LostReply) | None => {}
        }
        let outcome = self.commit_now(&self.inner, operation, table, requirements, updates).await;
        self.note_outcome(operation, &outcome);
        match (outcome, fault, tampered.and_then(|tampered| tampered.deny)) {
            (Ok(CommitOutcome::Committed(_)), _, Some(kind)) => Err(injected(kind)),
            (Ok(CommitOutcome::Committed(_)), Some(CommitFault::LostReply), _) => Ok(lost()),
            (outcome, ..) => outcome,
        }
    }
}

impl SimCatalog {
    fn note_outcome(&self, operation: usize, outcome: &Result<CommitOutcome>) {
        let what = match outcome {
            Ok(CommitOutcome::Committed(_)) => "takes effect",
            Ok(CommitOutcome::Conflict(_)) => "meets a conflict",
            Ok(CommitOutcome::Unknown(_)) => "is lost",
            Err(_) => "fails",
        };
        self.actor.note(format_args!("the commit of operation {operation} {what}"));
    }
}
