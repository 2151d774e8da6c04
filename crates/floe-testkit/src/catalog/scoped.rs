//! A part of a catalog as a catalog of its own.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use floe_core::{
    CatalogCapabilities, CatalogClient, CommitOutcome, CommitTurn, LoadedTable, Result, StorageClient,
    TableChange, TablesOutcome,
};
use iceberg::{Namespace, NamespaceIdent, TableCreation, TableIdent, TableRequirement, TableUpdate};

/// Everything below one namespace of a catalog, as an empty catalog for a test: on a server that others use too,
/// each test takes a namespace of its own. For catalogs whose namespaces nest. Errors name the whole identifiers.
#[derive(Debug, Clone)]
pub struct ScopedCatalog {
    inner: Arc<dyn CatalogClient>,
    scope: NamespaceIdent,
}

impl ScopedCatalog {
    /// What is below `scope` in `inner`; `scope` must be there.
    pub fn new(inner: Arc<dyn CatalogClient>, scope: NamespaceIdent) -> Self {
        Self { inner, scope }
    }

    fn down(&self, namespace: &NamespaceIdent) -> NamespaceIdent {
        let parts = self.scope.as_ref().iter().chain(namespace.as_ref());
        NamespaceIdent::from_strs(parts).expect("a scope has a level")
    }

    fn down_table(&self, table: &TableIdent) -> TableIdent {
        TableIdent::new(self.down(table.namespace()), table.name().to_owned())
    }

    fn up(&self, namespace: &NamespaceIdent) -> NamespaceIdent {
        NamespaceIdent::from_strs(&namespace.as_ref()[self.scope.len()..]).expect("it is below the scope")
    }

    fn up_table(&self, table: &TableIdent) -> TableIdent {
        TableIdent::new(self.up(table.namespace()), table.name().to_owned())
    }

    fn loaded(&self, table: LoadedTable) -> LoadedTable {
        LoadedTable { ident: self.up_table(&table.ident), ..table }
    }
}

#[async_trait]
impl CatalogClient for ScopedCatalog {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> CatalogCapabilities {
        self.inner.capabilities()
    }

    async fn list_namespaces(&self, parent: Option<&NamespaceIdent>) -> Result<Vec<NamespaceIdent>> {
        let parent = parent.map_or_else(|| self.scope.clone(), |parent| self.down(parent));
        let found = self.inner.list_namespaces(Some(&parent)).await?;
        Ok(found.iter().map(|namespace| self.up(namespace)).collect())
    }

    async fn create_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<Namespace> {
        let made = self.inner.create_namespace(&self.down(namespace), properties).await?;
        Ok(Namespace::with_properties(self.up(made.name()), made.properties().clone()))
    }

    async fn load_namespace(&self, namespace: &NamespaceIdent) -> Result<Namespace> {
        let loaded = self.inner.load_namespace(&self.down(namespace)).await?;
        Ok(Namespace::with_properties(self.up(loaded.name()), loaded.properties().clone()))
    }

    async fn namespace_exists(&self, namespace: &NamespaceIdent) -> Result<bool> {
        self.inner.namespace_exists(&self.down(namespace)).await
    }

    async fn update_namespace(
        &self,
        namespace: &NamespaceIdent,
        set: HashMap<String, String>,
        remove: Vec<String>,
    ) -> Result<()> {
        self.inner.update_namespace(&self.down(namespace), set, remove).await
    }

    async fn drop_namespace(&self, namespace: &NamespaceIdent) -> Result<()> {
        self.inner.drop_namespace(&self.down(namespace)).await
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        let found = self.inner.list_tables(&self.down(namespace)).await?;
        Ok(found.iter().map(|table| self.up_table(table)).collect())
    }

    async fn table_exists(&self, table: &TableIdent) -> Result<bool> {
        self.inner.table_exists(&self.down_table(table)).await
    }

    async fn create_table(&self, namespace: &NamespaceIdent, creation: TableCreation) -> Result<LoadedTable> {
        Ok(self.loaded(self.inner.create_table(&self.down(namespace), creation).await?))
    }

    async fn load_table(&self, table: &TableIdent) -> Result<LoadedTable> {
        Ok(self.loaded(self.inner.load_table(&self.down_table(table)).await?))
    }

    async fn table_storage(&self, table: &TableIdent) -> Result<Option<Arc<dyn StorageClient>>> {
        self.inner.table_storage(&self.down_table(table)).await
    }

    async fn rename_table(&self, from: &TableIdent, to: &TableIdent) -> Result<()> {
        self.inner.rename_table(&self.down_table(from), &self.down_table(to)).await
    }

    async fn drop_table(&self, table: &TableIdent) -> Result<()> {
        self.inner.drop_table(&self.down_table(table)).await
    }

    async fn purge_table(&self, table: &TableIdent) -> Result<()> {
        self.inner.purge_table(&self.down_table(table)).await
    }

    async fn register_table(&self, table: &TableIdent, metadata_location: &str) -> Result<LoadedTable> {
        Ok(self.loaded(self.inner.register_table(&self.down_table(table), metadata_location).await?))
    }

    async fn turn(&self, table: &TableIdent) -> CommitTurn {
        self.inner.turn(&self.down_table(table)).await
    }

    async fn commit(
        &self,
        table: &TableIdent,
        requirements: &[TableRequirement],
        updates: &[TableUpdate],
    ) -> Result<CommitOutcome> {
        Ok(match self.inner.commit(&self.down_table(table), requirements, updates).await? {
            CommitOutcome::Committed(table) => CommitOutcome::Committed(self.loaded(table)),
            other => other,
        })
    }

    async fn commit_tables(&self, changes: &[TableChange]) -> Result<TablesOutcome> {
        let down =
            |change: &TableChange| TableChange { table: self.down_table(&change.table), ..change.clone() };
        self.inner.commit_tables(&changes.iter().map(down).collect::<Vec<_>>()).await
    }
}
