//! A catalog that fails on demand.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use floe_core::{
    CatalogCapabilities, CatalogClient, CommitOutcome, CommitTurn, Environment, Error, ErrorKind,
    LoadedTable, Result, StorageClient,
};
use iceberg::{Namespace, NamespaceIdent, TableCreation, TableIdent, TableRequirement, TableUpdate};

/// A method of [`CatalogClient`] that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Method {
    ListNamespaces,
    CreateNamespace,
    LoadNamespace,
    NamespaceExists,
    UpdateNamespace,
    DropNamespace,
    ListTables,
    TableExists,
    CreateTable,
    LoadTable,
    RenameTable,
    DropTable,
    RegisterTable,
    Commit,
}

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call fails with this kind, and nothing happens.
    Error(ErrorKind),
    /// The call takes effect, and then fails with this kind. A commit answers [`CommitOutcome::Unknown`] with
    /// an error of this kind, as a catalog must that cannot tell.
    ErrorAfter(ErrorKind),
    /// The request never arrives. Nothing happens, but the caller cannot tell: a commit answers
    /// [`CommitOutcome::Unknown`], any other call fails with `CommitStateUnknown`.
    LostRequest,
    /// The reply never arrives. The call took effect, but the caller cannot tell; as [`Fault::LostRequest`].
    LostReply,
    /// A commit answers [`CommitOutcome::Conflict`] though nobody else committed; nothing happens. Any other
    /// call fails with `CommitConflict`.
    SpuriousConflict,
    /// The call waits this long (by the environment's clock) before it starts, and then works.
    Delay(Duration),
}

/// Which calls go wrong: by their number, or by chance.
#[derive(Debug, Clone, Default)]
pub struct FaultPlan {
    numbered: BTreeMap<(Method, u64), Fault>,
    chances: Vec<(Method, f64, Fault)>,
}

impl FaultPlan {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self::default()
    }

    /// The `nth` call of `method` (the first is 1) goes wrong.
    pub fn at(mut self, method: Method, nth: u64, fault: Fault) -> Self {
        self.numbered.insert((method, nth), fault);
        self
    }

    /// Each call of `method` goes wrong with a probability between 0 and 1. The first that strikes, in the
    /// order they were given, decides.
    pub fn with_chance(mut self, method: Method, probability: f64, fault: Fault) -> Self {
        self.chances.push((method, probability, fault));
        self
    }
}

/// A catalog that passes every call on to another one, except where a [`FaultPlan`] says otherwise, and counts
/// the calls.
///
/// Chances are drawn from the environment: with a seeded one a run repeats itself.
pub struct FaultyCatalog {
    inner: Arc<dyn CatalogClient>,
    env: Arc<dyn Environment>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    plan: FaultPlan,
    calls: BTreeMap<Method, u64>,
    injected: Vec<(Method, u64, Fault)>,
}

impl FaultyCatalog {
    /// Wraps `inner`.
    pub fn new(inner: Arc<dyn CatalogClient>, plan: FaultPlan, env: Arc<dyn Environment>) -> Self {
        Self { inner, env, state: Mutex::new(State { plan, ..State::default() }) }
    }

    /// Makes the next call of `method` go wrong.
    pub fn fail_next(&self, method: Method, fault: Fault) {
        let mut state = self.lock();
        let nth = state.calls.get(&method).copied().unwrap_or(0) + 1;
        state.plan.numbered.insert((method, nth), fault);
    }

    /// How often `method` was called.
    pub fn calls(&self, method: Method) -> u64 {
        self.lock().calls.get(&method).copied().unwrap_or(0)
    }

    /// The faults so far: the method, the number of its call, and what went wrong.
    pub fn injected(&self) -> Vec<(Method, u64, Fault)> {
        self.lock().injected.clone()
    }

    /// Counts a call; what goes wrong with it.
    fn draw(&self, method: Method) -> Option<Fault> {
        let mut state = self.lock();
        let calls = state.calls.entry(method).or_default();
        *calls += 1;
        let nth = *calls;
        let mut fault = state.plan.numbered.get(&(method, nth)).copied();
        for (_, probability, by_chance) in state.plan.chances.iter().filter(|(m, ..)| *m == method) {
            // Drawn for every call, so that one fault more or less does not shift the others.
            let strikes = self.env.random_unit() < *probability;
            fault = fault.or(strikes.then_some(*by_chance));
        }
        state.injected.extend(fault.map(|fault| (method, nth, fault)));
        fault
    }

    /// Runs any call but a commit.
    async fn run<T>(&self, method: Method, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        match self.draw(method) {
            None => call.await,
            Some(Fault::Delay(pause)) => {
                self.env.sleep(pause).await;
                call.await
            }
            Some(Fault::Error(kind)) => Err(injected(kind)),
            Some(Fault::SpuriousConflict) => Err(injected(ErrorKind::CommitConflict)),
            Some(Fault::LostRequest) => Err(injected(ErrorKind::CommitStateUnknown)),
            Some(Fault::ErrorAfter(kind)) => call.await.and_then(|_| Err(injected(kind))),
            Some(Fault::LostReply) => call.await.and_then(|_| Err(injected(ErrorKind::CommitStateUnknown))),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn injected(kind: ErrorKind) -> Error {
    Error::new(kind, "a fault was injected")
}

impl fmt::Debug for FaultyCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyCatalog").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[async_trait]
impl CatalogClient for FaultyCatalog {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> CatalogCapabilities {
        self.inner.capabilities()
    }

    async fn list_namespaces(&self, parent: Option<&NamespaceIdent>) -> Result<Vec<NamespaceIdent>> {
        self.run(Method::ListNamespaces, self.inner.list_namespaces(parent)).await
    }

    async fn create_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<Namespace> {
        self.run(Method::CreateNamespace, self.inner.create_namespace(namespace, properties)).await
    }

    async fn load_namespace(&self, namespace: &NamespaceIdent) -> Result<Namespace> {
        self.run(Method::LoadNamespace, self.inner.load_namespace(namespace)).await
    }

    async fn namespace_exists(&self, namespace: &NamespaceIdent) -> Result<bool> {
        self.run(Method::NamespaceExists, self.inner.namespace_exists(namespace)).await
    }

    async fn update_namespace(
        &self,
        namespace: &NamespaceIdent,
        set: HashMap<String, String>,
        remove: Vec<String>,
    ) -> Result<()> {
        self.run(Method::UpdateNamespace, self.inner.update_namespace(namespace, set, remove)).await
    }

    async fn drop_namespace(&self, namespace: &NamespaceIdent) -> Result<()> {
        self.run(Method::DropNamespace, self.inner.drop_namespace(namespace)).await
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        self.run(Method::ListTables, self.inner.list_tables(namespace)).await
    }

    async fn table_exists(&self, table: &TableIdent) -> Result<bool> {
        self.run(Method::TableExists, self.inner.table_exists(table)).await
    }

    async fn create_table(&self, namespace: &NamespaceIdent, creation: TableCreation) -> Result<LoadedTable> {
        self.run(Method::CreateTable, self.inner.create_table(namespace, creation)).await
    }

    async fn load_table(&self, table: &TableIdent) -> Result<LoadedTable> {
        self.run(Method::LoadTable, self.inner.load_table(table)).await
    }

    async fn table_storage(&self, table: &TableIdent) -> Result<Option<Arc<dyn StorageClient>>> {
        self.inner.table_storage(table).await
    }

    async fn rename_table(&self, from: &TableIdent, to: &TableIdent) -> Result<()> {
        self.run(Method::RenameTable, self.inner.rename_table(from, to)).await
    }

    async fn drop_table(&self, table: &TableIdent) -> Result<()> {
        self.run(Method::DropTable, self.inner.drop_table(table)).await
    }

    async fn purge_table(&self, table: &TableIdent) -> Result<()> {
        self.run(Method::DropTable, self.inner.purge_table(table)).await
    }

    async fn register_table(&self, table: &TableIdent, metadata_location: &str) -> Result<LoadedTable> {
        self.run(Method::RegisterTable, self.inner.register_table(table, metadata_location)).await
    }

    async fn turn(&self, table: &TableIdent) -> CommitTurn {
        self.inner.turn(table).await
    }

    async fn commit(
        &self,
        table: &TableIdent,
        requirements: &[TableRequirement],
        updates: &[TableUpdate],
    ) -> Result<CommitOutcome> {
        let lost = |outcome, kind| match outcome {
            CommitOutcome::Committed(_) => CommitOutcome::Unknown(injected(kind).with_table(table)),
            // What did not happen is answered as it is: only a success can be lost sight of here.
            other => other,
        };
        let call = self.inner.commit(table, requirements, updates);
        match self.draw(Method::Commit) {
            None => call.await,
            Some(Fault::Delay(pause)) => {
                self.env.sleep(pause).await;
                call.await
            }
            Some(Fault::Error(kind)) => Err(injected(kind).with_table(table)),
            Some(Fault::SpuriousConflict) => {
                Ok(CommitOutcome::Conflict(injected(ErrorKind::CommitConflict).with_table(table)))
            }
            Some(Fault::LostRequest) => {
                Ok(CommitOutcome::Unknown(injected(ErrorKind::CommitStateUnknown).with_table(table)))
            }
            Some(Fault::ErrorAfter(kind)) => Ok(lost(call.await?, kind)),
            Some(Fault::LostReply) => Ok(lost(call.await?, ErrorKind::CommitStateUnknown)),
        }
    }
}
