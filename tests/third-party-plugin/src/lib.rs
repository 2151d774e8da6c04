//! A catalog plugin of a third party: catalogs in memory, one for each warehouse and as long-lived as the process, which
//! refuse commits beyond a limit.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use async_trait::async_trait;
use floe_core::{
    CatalogCapabilities, CatalogClient, CatalogPlugin, CommitOutcome, Error, ErrorKind, LoadedTable,
    PluginConfig, PluginDescriptor, PluginKind, Result, StorageClient, SystemEnvironment,
};
use floe_testkit::catalog::MemoryCatalog;
use iceberg::{Namespace, NamespaceIdent, TableCreation, TableIdent, TableRequirement, TableUpdate};

floe_core::register_catalog!(|| Arc::new(AuditedCatalogPlugin));

/// The plugin `audited`.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditedCatalogPlugin;

/// Properties of a catalog of `type = "audited"`.
#[derive(Debug, Clone, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct AuditedCatalogConfig {
    /// How many commits are let through. Default: all.
    pub max_commits: Option<u64>,
}

#[async_trait]
impl CatalogPlugin for AuditedCatalogPlugin {
    fn descriptor(&self) -> PluginDescriptor {
        PluginDescriptor {
            kind: PluginKind::Catalog,
            name: "audited",
            summary: "in memory, with a limit on commits",
            version: env!("CARGO_PKG_VERSION"),
            schemes: &[],
            config_schema: schemars::schema_for!(AuditedCatalogConfig),
        }
    }

    async fn connect(
        &self,
        config: &PluginConfig,
        storage: Arc<dyn StorageClient>,
    ) -> Result<Arc<dyn CatalogClient>> {
        let limit = config.parse::<AuditedCatalogConfig>()?.max_commits.unwrap_or(u64::MAX);
        let inner = catalog_of(storage.as_ref()).another_client();
        Ok(Arc::new(AuditedCatalog { inner, limit, commits: AtomicU64::new(0) }))
    }
}

/// The catalog of a warehouse, which all its clients share.
fn catalog_of(storage: &dyn StorageClient) -> MemoryCatalog {
    static CATALOGS: LazyLock<Mutex<HashMap<String, MemoryCatalog>>> = LazyLock::new(Mutex::default);
    let mut catalogs = CATALOGS.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || MemoryCatalog::new(storage, Arc::new(SystemEnvironment));
    catalogs.entry(storage.warehouse().to_owned()).or_insert_with(make).clone()
}

/// A client that counts its commits.
#[derive(Debug)]
struct AuditedCatalog {
    inner: MemoryCatalog,
    limit: u64,
    commits: AtomicU64,
}

#[async_trait]
impl CatalogClient for AuditedCatalog {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> CatalogCapabilities {
        self.inner.capabilities()
    }

    async fn list_namespaces(&self, parent: Option<&NamespaceIdent>) -> Result<Vec<NamespaceIdent>> {
        self.inner.list_namespaces(parent).await
    }

    async fn create_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<Namespace> {
        self.inner.create_namespace(namespace, properties).await
    }

    async fn load_namespace(&self, namespace: &NamespaceIdent) -> Result<Namespace> {
        self.inner.load_namespace(namespace).await
    }

    async fn namespace_exists(&self, namespace: &NamespaceIdent) -> Result<bool> {
        self.inner.namespace_exists(namespace).await
    }

    async fn update_namespace(
        &self,
        namespace: &NamespaceIdent,
        set: HashMap<String, String>,
        remove: Vec<String>,
    ) -> Result<()> {
        self.inner.update_namespace(namespace, set, remove).await
    }

    async fn drop_namespace(&self, namespace: &NamespaceIdent) -> Result<()> {
        self.inner.drop_namespace(namespace).await
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        self.inner.list_tables(namespace).await
    }

    async fn table_exists(&self, table: &TableIdent) -> Result<bool> {
        self.inner.table_exists(table).await
    }

    async fn create_table(&self, namespace: &NamespaceIdent, creation: TableCreation) -> Result<LoadedTable> {
        self.inner.create_table(namespace, creation).await
    }

    async fn load_table(&self, table: &TableIdent) -> Result<LoadedTable> {
        self.inner.load_table(table).await
    }

    async fn rename_table(&self, from: &TableIdent, to: &TableIdent) -> Result<()> {
        self.inner.rename_table(from, to).await
    }

    async fn drop_table(&self, table: &TableIdent) -> Result<()> {
        self.inner.drop_table(table).await
    }

    async fn register_table(&self, table: &TableIdent, metadata_location: &str) -> Result<LoadedTable> {
        self.inner.register_table(table, metadata_location).await
    }

    async fn commit(
        &self,
        table: &TableIdent,
        requirements: &[TableRequirement],
        updates: &[TableUpdate],
    ) -> Result<CommitOutcome> {
        if self.commits.fetch_add(1, Ordering::Relaxed) >= self.limit {
            return Err(
                Error::new(ErrorKind::PermissionDenied, "the limit of commits is reached").with_table(table)
            );
        }
        self.inner.commit(table, requirements, updates).await
    }
}
