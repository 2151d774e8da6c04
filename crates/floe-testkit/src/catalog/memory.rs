//! A catalog in memory.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use floe_core::metadata_file::{PointedFiles, Written};
use floe_core::names::{self, no_namespace, no_table, table_exists};
use floe_core::{
    CatalogCapabilities, CatalogClient, CatalogPlugin, CommitOutcome, Environment, LoadedTable, PluginConfig,
    PluginDescriptor, PluginKind, Result, StorageClient, SystemEnvironment,
};
use iceberg::io::FileIO;
use iceberg::{Namespace, NamespaceIdent, TableCreation, TableIdent, TableRequirement, TableUpdate};

/// The plugin `memory`: a catalog that lives as long as its clients. Each `connect` makes a new one.
#[derive(Debug, Clone, Copy, Default)]
pub struct MemoryCatalogPlugin;

#[async_trait]
impl CatalogPlugin for MemoryCatalogPlugin {
    fn descriptor(&self) -> PluginDescriptor {
        PluginDescriptor {
            kind: PluginKind::Catalog,
            name: "memory",
            summary: "in memory, for tests",
            version: env!("CARGO_PKG_VERSION"),
            schemes: &[],
            config_schema: schemars::json_schema!({ "type": "object", "properties": {} }),
        }
    }

    async fn connect(
        &self,
        _config: &PluginConfig,
        storage: Arc<dyn StorageClient>,
    ) -> Result<Arc<dyn CatalogClient>> {
        Ok(Arc::new(MemoryCatalog::new(storage.as_ref(), Arc::new(SystemEnvironment))))
    }
}

/// A catalog in memory, over any storage. A clone is another client of the same catalog.
///
/// Every call yields to the scheduler once before it looks at the state, so that tasks on one thread
/// interleave; with a seeded environment and a single-threaded runtime a run repeats itself, the names of
/// metadata files included.
#[derive(Clone)]
pub struct MemoryCatalog {
    state: Arc<Mutex<State>>,
    files: Arc<PointedFiles>,
    env: Arc<dyn Environment>,
    file_io: FileIO,
    warehouse: String,
}

#[derive(Default)]
struct State {
    namespaces: BTreeMap<Vec<String>, HashMap<String, String>>,
    tables: BTreeMap<TableIdent, String>,
}

impl MemoryCatalog {
    /// An empty catalog whose tables go below the warehouse of `storage`. `env` names the metadata files.
    pub fn new(storage: &dyn StorageClient, env: Arc<dyn Environment>) -> Self {
        Self {
            state: Arc::default(),
            files: Arc::new(PointedFiles::new(storage.file_io(), env.clone())),
            env,
            file_io: storage.file_io(),
            warehouse: storage.warehouse().trim_end_matches('/').to_owned(),
        }
    }

    /// Another client of the same catalog with a metadata cache of its own, as another process has.
    pub fn another_client(&self) -> Self {
        let files = PointedFiles::new(self.file_io.clone(), self.env.clone());
        Self { files: Arc::new(files), ..self.clone() }
    }

    /// Another client of the same catalog, which reads and writes metadata files through `storage` and takes
    /// their names from `env`; it has a metadata cache of its own.
    pub fn client_over(&self, storage: &dyn StorageClient, env: Arc<dyn Environment>) -> Self {
        Self {
            state: self.state.clone(),
            metadata: Arc::default(),
            env,
            file_io: storage.file_io(),
            warehouse: storage.warehouse().trim_end_matches('/').to_owned(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn turn(&self) {
        tokio::task::yield_now().await;
    }

    fn head(&self, table: &TableIdent) -> Result<String> {
        self.lock().tables.get(table).cloned().ok_or_else(|| no_table(table))
    }
}

impl State {
    fn exists(&self, namespace: &[String]) -> bool {
        self.namespaces.keys().any(|name| name.starts_with(namespace))
    }

    fn require(&self, namespace: &NamespaceIdent) -> Result<()> {
        if self.exists(namespace) { Ok(()) } else { Err(no_namespace(namespace)) }
    }

    fn insert(&mut self, table: &TableIdent, location: &str) -> Result<()> {
        self.require(table.namespace())?;
        if self.tables.contains_key(table) {
            return Err(table_exists(table));
        }
        self.tables.insert(table.clone(), location.to_owned());
        Ok(())
    }
}

impl fmt::Debug for MemoryCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tables = self.lock().tables.len();
        f.debug_struct("MemoryCatalog")
            .field("warehouse", &self.warehouse)
            .field("tables", &tables)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl CatalogClient for MemoryCatalog {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn capabilities(&self) -> CatalogCapabilities {
        CatalogCapabilities {
            nested_namespaces: true,
            namespace_properties: true,
            rename_table: true,
            register_table: true,
            shared: false,
            ..Default::default()
        }
    }

    async fn list_namespaces(&self, parent: Option<&NamespaceIdent>) -> Result<Vec<NamespaceIdent>> {
        self.turn().await;
        let state = self.lock();
        if let Some(parent) = parent {
            state.require(parent)?;
        }
        names::children(parent, state.namespaces.keys())
    }

    async fn create_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<Namespace> {
        check_namespace(namespace)?;
        self.turn().await;
        let mut state = self.lock();
        if state.exists(namespace) {
            return Err(names::namespace_exists(namespace));
        }
        state.namespaces.insert(namespace.to_vec(), properties.clone());
        Ok(Namespace::with_properties(namespace.clone(), properties))
    }

    async fn load_namespace(&self, namespace: &NamespaceIdent) -> Result<Namespace> {
        self.turn().await;
        let state = self.lock();
        state.require(namespace)?;
        let properties = state.namespaces.get(&namespace[..]).cloned().unwrap_or_default();
        Ok(Namespace::with_properties(namespace.clone(), properties))
    }

    async fn namespace_exists(&self, namespace: &NamespaceIdent) -> Result<bool> {
        self.turn().await;
        Ok(self.lock().exists(namespace))
    }

    async fn update_namespace(
        &self,
        namespace: &NamespaceIdent,
        set: HashMap<String, String>,
        remove: Vec<String>,
    ) -> Result<()> {
        names::check_properties(&set, &remove)?;
        self.turn().await;
        let mut state = self.lock();
        state.require(namespace)?;
        let properties = state.namespaces.entry(namespace.to_vec()).or_default();
        properties.retain(|key, _| !remove.contains(key));
        properties.extend(set);
        Ok(())
    }

    async fn drop_namespace(&self, namespace: &NamespaceIdent) -> Result<()> {
        self.turn().await;
        let mut state = self.lock();
        state.require(namespace)?;
        let has_table = state.tables.keys().any(|t| t.namespace() == namespace);
        let has_child =
            state.namespaces.keys().any(|n| n.len() > namespace.len() && n.starts_with(namespace));
        if has_table || has_child {
            return Err(names::namespace_not_empty(namespace));
        }
        state.namespaces.remove(&namespace[..]);
        Ok(())
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        self.turn().await;
        let state = self.lock();
        state.require(namespace)?;
        Ok(state.tables.keys().filter(|t| t.namespace() == namespace).cloned().collect())
    }

    async fn table_exists(&self, table: &TableIdent) -> Result<bool> {
        self.turn().await;
        Ok(self.lock().tables.contains_key(table))
    }

    async fn create_table(
        &self,
        namespace: &NamespaceIdent,
        mut creation: TableCreation,
    ) -> Result<LoadedTable> {
        let table = TableIdent::new(namespace.clone(), creation.name.clone());
        check_name(&table)?;
        self.turn().await;
        {
            let state = self.lock();
            state.require(namespace)?;
            if state.tables.contains_key(&table) {
                return Err(table_exists(&table));
            }
        }
        let default = || format!("{}/{}/{}", self.warehouse, namespace.join("."), table.name());
        creation.location = Some(creation.location.unwrap_or_else(default));
        let insert = async |written: Written| {
            self.turn().await;
            self.lock().insert(&table, &written.location)
        };
        self.files.create(&table, creation, insert).await
    }

    async fn load_table(&self, table: &TableIdent) -> Result<LoadedTable> {
        self.turn().await;
        let location = self.head(table)?;
        self.files.load(table, location).await
    }

    async fn rename_table(&self, from: &TableIdent, to: &TableIdent) -> Result<()> {
        check_name(to)?;
        self.turn().await;
        let mut state = self.lock();
        state.require(to.namespace()).map_err(|e| e.with_table(to))?;
        let location = state.tables.get(from).cloned().ok_or_else(|| no_table(from))?;
        if from != to {
            state.insert(to, &location)?;
            state.tables.remove(from);
        }
        Ok(())
    }

    async fn drop_table(&self, table: &TableIdent) -> Result<()> {
        self.turn().await;
        self.lock().tables.remove(table).map(drop).ok_or_else(|| no_table(table))
    }

    async fn register_table(&self, table: &TableIdent, metadata_location: &str) -> Result<LoadedTable> {
        check_name(table)?;
        self.turn().await;
        self.lock().require(table.namespace())?;
        let loaded = self.files.open(table, metadata_location).await?;
        self.lock().insert(table, metadata_location)?;
        Ok(loaded)
    }

    async fn commit(
        &self,
        table: &TableIdent,
        requirements: &[TableRequirement],
        updates: &[TableUpdate],
    ) -> Result<CommitOutcome> {
        self.turn().await;
        let head = self.head(table)?;
        let swap = async |written: Written| {
            self.turn().await;
            match self.lock().tables.get_mut(table) {
                Some(location) if *location == head => {
                    *location = written.location;
                    Ok(true)
                }
                Some(_) => Ok(false),
                None => Err(no_table(table)),
            }
        };
        self.files.commit(table, &head, requirements, updates, swap).await
    }
}

/// Namespaces are joined by dots in the default location.
fn check_namespace(namespace: &NamespaceIdent) -> Result<()> {
    names::check_namespace(namespace, &['.'])
}

fn check_name(table: &TableIdent) -> Result<()> {
    names::check_table(table, &['.'])
}
