//! Namespaces and tables: create, load, list.

use std::collections::HashMap;

use floe_core::text::escape;
use floe_core::{Error, ErrorKind, LoadedTable, Result, location, names};
use iceberg::{NamespaceIdent, TableIdent};

use super::IcebergTableManager;
use super::traced::{operation_span, traced};
use crate::model::TableConfig;

impl IcebergTableManager {
    /// Makes a table (FR-001). The whole configuration is checked first (FR-015).
    ///
    /// Fails with `Validation`, `NoSuchNamespace`, or `TableAlreadyExists`, in place of which `if_not_exists`
    /// gives the table that is there, whatever its schema (FR-016). `TableAlreadyExists` all the same where the name is
    /// taken by something that is no table, such as a view. A location whose files floe and other engines would not
    /// look for in one place is refused; see [`location::check_new`].
    pub async fn create_table(&self, config: &TableConfig, if_not_exists: bool) -> Result<LoadedTable> {
        self.create_or_load(config, if_not_exists).await.map(|(table, _)| table)
    }

    /// As [`Self::create_table`] with `if_not_exists`, and whether the table is new.
    pub async fn create_table_if_missing(&self, config: &TableConfig) -> Result<(LoadedTable, bool)> {
        self.create_or_load(config, true).await
    }

    async fn create_or_load(&self, config: &TableConfig, if_not_exists: bool) -> Result<(LoadedTable, bool)> {
        traced(operation_span!("create_table", config.identifier()), async {
            let creation = config.to_creation(&self.config.default_table_properties)?;
            let ident = config.ident()?;
            let namespace = config.namespace_ident()?;
            if if_not_exists && self.catalog.table_exists(&ident).await? {
                return Ok((self.catalog.load_table(&ident).await?, false));
            }
            self.check_storage().await?;
            match self.catalog.create_table(&namespace, creation).await {
                Ok(table) => {
                    // Where the server decides, its location is known only now.
                    location::check(table.metadata.location())
                        .map_err(|e| e.context("the table was made, at a location that cannot be used"))?;
                    Ok((table, true))
                }
                Err(taken) if if_not_exists && taken.kind() == ErrorKind::TableAlreadyExists => {
                    match self.catalog.load_table(&ident).await {
                        Err(e) if e.kind() == ErrorKind::NoSuchTable => Err(taken
                            .context("the name is taken by something that is no table, such as a view")
                            .with_hint(
                                "choose another name, or drop what has it with the tool that made it",
                            )),
                        other => other.map(|table| (table, false)),
                    }
                }
                Err(e) => Err(e),
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

    /// Makes a namespace, and those above it, unless they are there; those that were made are answered, the topmost first.
    /// One that the caller may not look at is taken to be there.
    pub async fn ensure_namespace(&self, namespace: &NamespaceIdent) -> Result<Vec<NamespaceIdent>> {
        traced(operation_span!("ensure_namespace"), async {
            let (mut path, mut made): (Vec<String>, Vec<NamespaceIdent>) = Default::default();
            // The whole is asked for first: a catalog that cannot have it says so before a part of it is made.
            match self.catalog.namespace_exists(namespace).await {
                Ok(true) => return Ok(made),
                Err(e) if e.kind() != ErrorKind::PermissionDenied => return Err(e),
                _ => {}
            }
            for part in namespace.as_ref() {
                path.push(part.clone());
                let ident = NamespaceIdent::from_vec(path.clone())?;
                match self.catalog.namespace_exists(&ident).await {
                    Ok(true) => continue,
                    Ok(false) => {}
                    // Who may use a namespace need not be allowed to look at those above it, nor at itself: what is done
                    // in it tells.
                    Err(e) if e.kind() == ErrorKind::PermissionDenied => continue,
                    Err(e) => return Err(e),
                }
                if let Some(why) = names::unfit_for_new(part) {
                    let part = escape(part);
                    return Err(Error::validation(format!("'{part}' cannot name a namespace: {why}")));
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
