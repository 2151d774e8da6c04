//! Namespaces and tables: create, load, list.

use std::collections::HashMap;

use floe_core::{ErrorKind, LoadedTable, Result};
use iceberg::{NamespaceIdent, TableIdent};

use super::IcebergTableManager;
use super::traced::{operation_span, traced};
use crate::model::TableConfig;

impl IcebergTableManager {
    /// Makes a table (FR-001). The whole configuration is checked first (FR-015).
    ///
    /// Fails with `Validation`, `NoSuchNamespace`, or `TableAlreadyExists`, in place of which `if_not_exists`
    /// gives the table that is there, whatever its schema (FR-016).
    pub async fn create_table(&self, config: &TableConfig, if_not_exists: bool) -> Result<LoadedTable> {
        traced(operation_span!("create_table", config.identifier()), async {
            let creation = config.to_creation(&self.config.default_table_properties)?;
            let ident = config.ident()?;
            let namespace = config.namespace_ident()?;
            if if_not_exists && self.catalog.table_exists(&ident).await? {
                return self.catalog.load_table(&ident).await;
            }
            self.check_storage().await?;
            match self.catalog.create_table(&namespace, creation).await {
                Err(e) if if_not_exists && e.kind() == ErrorKind::TableAlreadyExists => {
                    self.catalog.load_table(&ident).await
                }
                other => other,
            }
        })
        .await
        .map_err(|e| e.with_table(config.identifier()))
    }

    /// The table as it is now. `NoSuchTable`.
    pub async fn load_table(&self, table: &TableIdent) -> Result<LoadedTable> {
        let load = self.catalog.load_table(table);
        traced(operation_span!("load_table", table.to_string()), load).await.map_err(|e| e.with_table(table))
    }

    /// Whether the table is there.
    pub async fn table_exists(&self, table: &TableIdent) -> Result<bool> {
        let exists = self.catalog.table_exists(table);
        traced(operation_span!("table_exists", table.to_string()), exists)
            .await
            .map_err(|e| e.with_table(table))
    }

    /// The tables of a namespace, sorted. `NoSuchNamespace`.
    pub async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        traced(operation_span!("list_tables"), self.catalog.list_tables(namespace)).await
    }

    /// Makes a namespace, and those above it, unless they are there. Those that were made are answered, the topmost first.
    pub async fn ensure_namespace(&self, namespace: &NamespaceIdent) -> Result<Vec<NamespaceIdent>> {
        traced(operation_span!("ensure_namespace"), async {
            let (mut path, mut made): (Vec<String>, Vec<NamespaceIdent>) = Default::default();
            for part in namespace.as_ref() {
                path.push(part.clone());
                let ident = NamespaceIdent::from_vec(path.clone())?;
                if self.catalog.namespace_exists(&ident).await? {
                    continue;
                }
                self.check_storage().await?;
                match self.catalog.create_namespace(&ident, HashMap::new()).await {
                    Err(e) if e.kind() == ErrorKind::NamespaceAlreadyExists => {}
                    Err(e) => return Err(e),
                    Ok(_) => made.push(ident),
                }
            }
            Ok(made)
        })
        .await
    }

    /// The namespaces directly below `parent`, or the top ones; sorted.
    pub async fn list_namespaces(&self, parent: Option<&NamespaceIdent>) -> Result<Vec<NamespaceIdent>> {
        traced(operation_span!("list_namespaces"), self.catalog.list_namespaces(parent)).await
    }
}
