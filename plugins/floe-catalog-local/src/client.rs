//! The catalog client.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use floe_core::metadata_file::{PointedFiles, Written};
use floe_core::names::{self, no_namespace, no_table};
use floe_core::{
    CatalogCapabilities, CatalogClient, CommitOutcome, CommitTurn, ErrorKind, LoadedTable, Result,
    StorageClient, SystemEnvironment,
};
use iceberg::{Namespace, NamespaceIdent, TableCreation, TableIdent, TableRequirement, TableUpdate};

use crate::config::LocalCatalogConfig;
use crate::database::{Database, encode};

/// The property of a namespace that says where its tables go.
const LOCATION: &str = "location";

/// An open catalog in a SQLite file or a PostgreSQL database.
#[derive(Debug)]
pub struct LocalCatalog {
    path: Option<PathBuf>,
    database: Database,
    files: PointedFiles,
    warehouse: String,
}

impl LocalCatalog {
    /// Opens the catalog that `config` describes; `configured` is the name of the configured catalog. Touches
    /// no file and connects to nothing yet.
    pub fn new(config: &LocalCatalogConfig, configured: &str, storage: &dyn StorageClient) -> Result<Self> {
        let warehouse = storage.warehouse().trim_end_matches('/').to_owned();
        Ok(Self {
            path: if config.is_postgres() { None } else { Some(config.path(&warehouse)?) },
            database: config.database(&warehouse, configured)?,
            files: PointedFiles::new(storage.file_io(), Arc::new(SystemEnvironment)),
            warehouse,
        })
    }

    /// The SQLite file, if it is in one.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Makes the database's tables, and the file, where they are missing, as the first command that writes would.
    pub async fn set_up(&self) -> Result<()> {
        self.database.set_up().await
    }

    /// Where the tables of a namespace go by default, as PyIceberg has it: the namespace's property
    /// `location`, or `<warehouse>/<namespace>`; then the table's name.
    async fn default_location(&self, table: &TableIdent) -> Result<String> {
        names::check_folder(table)?;
        let name = table.name();
        let properties = self.database.properties(table.namespace()).await?;
        Ok(match properties.get(LOCATION) {
            Some(location) => format!("{}/{name}", location.trim_end_matches('/')),
            None => format!("{}/{}/{name}", self.warehouse, encode(table.namespace())),
        })
    }

    /// Where the metadata of a table is. `NoSuchTable`.
    async fn head(&self, table: &TableIdent) -> Result<String> {
        self.database
            .metadata_location(table)
            .await
            .map_err(|e| e.with_table(table))?
            .ok_or_else(|| no_table(table))
    }

    /// Adds a table whose metadata file is there.
    async fn insert(&self, table: &TableIdent, location: &str) -> Result<()> {
        let mut change = self.database.change().await?;
        if !change.namespace_exists(table.namespace()).await? {
            return Err(no_namespace(table.namespace()));
        }
        change.insert_table(table, location).await?;
        change.commit().await
    }

    async fn require_namespace(&self, namespace: &NamespaceIdent) -> Result<()> {
        if self.database.namespace_exists(namespace).await? { Ok(()) } else { Err(no_namespace(namespace)) }
    }
}

#[async_trait]
impl CatalogClient for LocalCatalog {
    fn name(&self) -> &str {
        self.database.catalog()
    }

    fn capabilities(&self) -> CatalogCapabilities {
        CatalogCapabilities {
            nested_namespaces: true,
            namespace_properties: true,
            rename_table: true,
            register_table: true,
            shared: true,
            ..Default::default()
        }
    }

    async fn list_namespaces(&self, parent: Option<&NamespaceIdent>) -> Result<Vec<NamespaceIdent>> {
        if let Some(parent) = parent {
            check_namespace(parent)?;
            self.require_namespace(parent).await?;
        }
        let found = self.database.namespaces(parent).await?;
        names::children(parent, found.iter().map(|name| name.split('.').collect::<Vec<_>>()))
    }

    async fn create_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<Namespace> {
        check_namespace(namespace)?;
        if !self.database.is_set_up().await? {
            self.database.set_up().await?;
        }
        let mut change = self.database.change().await?;
        if change.namespace_exists(namespace).await? {
            return Err(names::namespace_exists(namespace));
        }
        change.set_properties(namespace, &properties, &[]).await?;
        change.commit().await?;
        Ok(Namespace::with_properties(namespace.clone(), properties))
    }

    async fn load_namespace(&self, namespace: &NamespaceIdent) -> Result<Namespace> {
        check_namespace(namespace)?;
        self.require_namespace(namespace).await?;
        let properties = self.database.properties(namespace).await?;
        Ok(Namespace::with_properties(namespace.clone(), properties))
    }

    async fn namespace_exists(&self, namespace: &NamespaceIdent) -> Result<bool> {
        check_namespace(namespace)?;
        or_absent(self.database.namespace_exists(namespace).await)
    }

    async fn update_namespace(
        &self,
        namespace: &NamespaceIdent,
        set: HashMap<String, String>,
        remove: Vec<String>,
    ) -> Result<()> {
        check_namespace(namespace)?;
        names::check_properties(&set, &remove)?;
        let mut change = self.database.change().await?;
        if !change.namespace_exists(namespace).await? {
            return Err(no_namespace(namespace));
        }
        change.set_properties(namespace, &set, &remove).await?;
        change.commit().await
    }

    async fn drop_namespace(&self, namespace: &NamespaceIdent) -> Result<()> {
        check_namespace(namespace)?;
        let mut change = self.database.change().await?;
        if !change.namespace_exists(namespace).await? {
            return Err(no_namespace(namespace));
        }
        if change.namespace_is_used(namespace).await? {
            return Err(names::namespace_not_empty(namespace));
        }
        change.drop_namespace(namespace).await?;
        change.commit().await
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        check_namespace(namespace)?;
        self.require_namespace(namespace).await?;
        let names = self.database.tables(namespace).await?;
        Ok(names.into_iter().map(|name| TableIdent::new(namespace.clone(), name)).collect())
    }

    async fn table_exists(&self, table: &TableIdent) -> Result<bool> {
        check_table(table)?;
        or_absent(self.database.metadata_location(table).await.map(|found| found.is_some()))
            .map_err(|e| e.with_table(table))
    }

    async fn create_table(
        &self,
        namespace: &NamespaceIdent,
        mut creation: TableCreation,
    ) -> Result<LoadedTable> {
        let table = TableIdent::new(namespace.clone(), creation.name.clone());
        check_table(&table)?;
        if !or_absent(self.database.namespace_exists(namespace).await)? {
            return Err(no_namespace(namespace).with_table(&table));
        }
        if self.database.metadata_location(&table).await?.is_some() {
            return Err(names::table_exists(&table));
        }
        if creation.location.is_none() {
            creation.location = Some(self.default_location(&table).await?);
        }
        let insert = async |written: Written| self.insert(&table, &written.location).await;
        self.files.create(&table, creation, insert).await
    }

    async fn load_table(&self, table: &TableIdent) -> Result<LoadedTable> {
        check_table(table)?;
        let location = self.head(table).await?;
        self.files.load(table, location).await
    }

    async fn rename_table(&self, from: &TableIdent, to: &TableIdent) -> Result<()> {
        check_table(from)?;
        check_table(to)?;
        let mut change = self.database.change().await.map_err(|e| e.with_table(from))?;
        if !change.namespace_exists(to.namespace()).await? {
            return Err(no_namespace(to.namespace()).with_table(to));
        }
        if !change.rename_table(from, to).await? {
            return Err(no_table(from));
        }
        change.commit().await.map_err(|e| e.with_table(from))
    }

    async fn drop_table(&self, table: &TableIdent) -> Result<()> {
        check_table(table)?;
        let mut change = self.database.change().await.map_err(|e| e.with_table(table))?;
        if !change.delete_table(table).await? {
            return Err(no_table(table));
        }
        change.commit().await.map_err(|e| e.with_table(table))
    }

    async fn register_table(&self, table: &TableIdent, metadata_location: &str) -> Result<LoadedTable> {
        check_table(table)?;
        if !or_absent(self.database.namespace_exists(table.namespace()).await)? {
            return Err(no_namespace(table.namespace()).with_table(table));
        }
        let loaded = self.files.open(table, metadata_location).await?;
        self.insert(table, metadata_location).await.map_err(|e| e.with_table(table))?;
        Ok(loaded)
    }

    async fn turn(&self, table: &TableIdent) -> CommitTurn {
        self.database.turn(table).await
    }

    async fn commit(
        &self,
        table: &TableIdent,
        requirements: &[TableRequirement],
        updates: &[TableUpdate],
    ) -> Result<CommitOutcome> {
        check_table(table)?;
        let head = self.head(table).await?;
        let swap = async |written: Written| {
            let swapped = self.database.swap(table, &head, &written.location).await?;
            if !swapped {
                // Another commit, or the table was dropped or renamed.
                self.head(table).await?;
            }
            Ok(swapped)
        };
        self.files.commit(table, &head, requirements, updates, swap).await
    }
}

/// A part of a namespace cannot hold a dot: the database keeps the parts joined by dots.
fn check_namespace(namespace: &NamespaceIdent) -> Result<()> {
    names::check_namespace(namespace, &['.'])
}

fn check_table(table: &TableIdent) -> Result<()> {
    names::check_table(table, &['.'])
}

/// In a catalog that is not there yet, nothing exists.
fn or_absent(found: Result<bool>) -> Result<bool> {
    match found {
        Err(e) if e.kind() == ErrorKind::FileNotFound => Ok(false),
        found => found,
    }
}
