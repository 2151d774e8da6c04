//! A catalog whose tables keep to their roots.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use floe_core::{
    CatalogCapabilities, CatalogClient, CommitOutcome, CommitTurn, LoadedTable, Reach, Result, StorageClient,
    TableChange, TableRoots, TablesOutcome, guarded,
};
use iceberg::{Namespace, NamespaceIdent, TableCreation, TableIdent, TableRequirement, TableUpdate};

/// The same catalog; the file IO of each table that it gives is [`guarded`] by the roots that its metadata names.
#[derive(Debug)]
pub(super) struct RootedCatalog {
    inner: Arc<dyn CatalogClient>,
    reach: Reach,
}

impl RootedCatalog {
    pub(super) fn new(inner: Arc<dyn CatalogClient>, reach: Reach) -> Self {
        Self { inner, reach }
    }

    fn rooted(&self, table: LoadedTable) -> LoadedTable {
        let roots = TableRoots::of(&table.metadata, self.reach);
        LoadedTable { file_io: guarded(table.file_io, roots), ..table }
    }
}

#[async_trait]
impl CatalogClient for RootedCatalog {
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
        Ok(self.rooted(self.inner.create_table(namespace, creation).await?))
    }

    async fn load_table(&self, table: &TableIdent) -> Result<LoadedTable> {
        Ok(self.rooted(self.inner.load_table(table).await?))
    }

    async fn table_storage(&self, table: &TableIdent) -> Result<Option<Arc<dyn StorageClient>>> {
        self.inner.table_storage(table).await
    }

    async fn rename_table(&self, from: &TableIdent, to: &TableIdent) -> Result<()> {
        self.inner.rename_table(from, to).await
    }

    async fn drop_table(&self, table: &TableIdent) -> Result<()> {
        self.inner.drop_table(table).await
    }

    async fn purge_table(&self, table: &TableIdent) -> Result<()> {
        self.inner.purge_table(table).await
    }

    async fn register_table(&self, table: &TableIdent, metadata_location: &str) -> Result<LoadedTable> {
        Ok(self.rooted(self.inner.register_table(table, metadata_location).await?))
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
        Ok(match self.inner.commit(table, requirements, updates).await? {
            CommitOutcome::Committed(table) => CommitOutcome::Committed(self.rooted(table)),
            other => other,
        })
    }

    async fn commit_tables(&self, changes: &[TableChange]) -> Result<TablesOutcome> {
        self.inner.commit_tables(changes).await
    }
}
