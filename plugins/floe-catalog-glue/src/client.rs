//! The catalog client.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_glue::types::Table;
use floe_core::metadata_file::{PointedFiles, Written};
use floe_core::names::{self, no_namespace, no_table};
use floe_core::{
    CatalogCapabilities, CatalogClient, CommitOutcome, CommitTurn, Error, ErrorKind, LoadedTable, Result,
    StorageClient, SystemEnvironment, TaskQueues,
};
use iceberg::{Namespace, NamespaceIdent, TableCreation, TableIdent, TableRequirement, TableUpdate};

use crate::config::GlueCatalogConfig;
use crate::database::{LOCATION, database_input, is_s3_tables, properties};
use crate::input::{is_iceberg, kind, metadata_location};
use crate::names::Names;
use crate::service::Service;

/// An open Data Catalog.
#[derive(Debug)]
pub struct GlueCatalog {
    name: String,
    pub(crate) service: Service,
    pub(crate) files: PointedFiles,
    warehouse: String,
    pub(crate) names: Names,
    turns: TaskQueues,
}

/// An Iceberg table as Glue keeps it now.
pub(crate) struct Found {
    pub(crate) table: Table,
    /// Where its metadata is.
    pub(crate) location: String,
    /// The version that an update must name.
    pub(crate) version: String,
}

impl GlueCatalog {
    /// Opens the catalog that `config` describes; `configured` is the name of the configured catalog. Looks for
    /// region and credentials, and does not call Glue yet.
    pub async fn connect(
        config: &GlueCatalogConfig,
        configured: &str,
        storage: &dyn StorageClient,
    ) -> Result<Self> {
        let sdk = config.sdk().await?;
        Ok(Self {
            name: if configured.is_empty() { "glue".to_owned() } else { configured.to_owned() },
            service: Service::new(&sdk, config.endpoint.as_deref(), config.id.clone(), config.skip_archive()),
            files: PointedFiles::new(storage.file_io(), Arc::new(SystemEnvironment)),
            warehouse: storage.warehouse().trim_end_matches('/').to_owned(),
            names: Names::new(config.skip_name_validation.unwrap_or(false)),
            turns: TaskQueues::default(),
        })
    }

    /// A table, which must be an Iceberg one. `NoSuchTable`, `Unsupported`, `Corrupted`.
    pub(crate) async fn found(&self, table: &TableIdent) -> Result<Found> {
        let (database, name) = Names::table(table)?;
        let of_table = |e: Error| e.with_table(table);
        let found =
            self.service.table(database, name).await.map_err(of_table)?.ok_or_else(|| no_table(table))?;
        if !is_iceberg(&found) {
            return Err(not_iceberg(table, &found));
        }
        let Some(location) = metadata_location(&found).map(str::to_owned) else {
            return Err(Error::new(ErrorKind::Corrupted, "Glue does not say where the table's metadata is")
                .with_table(table)
                .with_hint("set the table's parameter `metadata_location` to its newest metadata file"));
        };
        let Some(version) = found.version_id.clone() else {
            return Err(Error::new(ErrorKind::Unsupported, "the service gives no version of the table")
                .with_table(table)
                .with_hint("without one a commit could overwrite another's"));
        };
        Ok(Found { table: found, location, version })
    }

    /// Where a new table goes, as Java has it: the database's location, or `<warehouse>/<database>.db`; then the
    /// table's name. `NoSuchNamespace`.
    async fn default_location(&self, table: &TableIdent) -> Result<String> {
        let (database, name) = Names::table(table)?;
        let properties =
            properties(&self.database(table.namespace()).await.map_err(|e| e.with_table(table))?);
        names::check_folder(table)?;
        Ok(match properties.get(LOCATION) {
            Some(location) => format!("{}/{name}", location.trim_end_matches('/')),
            None => format!("{}/{database}.db/{name}", self.warehouse),
        })
    }

    /// A database. `NoSuchNamespace`.
    pub(crate) async fn database(&self, namespace: &NamespaceIdent) -> Result<aws_sdk_glue::types::Database> {
        let name = Names::database(namespace)?;
        self.service.database(name).await?.ok_or_else(|| self.no_database(namespace))
    }

    pub(crate) fn no_database(&self, namespace: &NamespaceIdent) -> Error {
        no_namespace(namespace).with_hint(format!("Glue was asked in region {}", self.service.region()))
    }
}

#[async_trait]
impl CatalogClient for GlueCatalog {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> CatalogCapabilities {
        CatalogCapabilities {
            nested_namespaces: false,
            namespace_properties: true,
            rename_table: true,
            register_table: true,
            shared: true,
            names: self.names.rules,
            ..Default::default()
        }
    }

    async fn list_namespaces(&self, parent: Option<&NamespaceIdent>) -> Result<Vec<NamespaceIdent>> {
        if let Some(parent) = parent {
            self.database(parent).await?;
            return Ok(Vec::new());
        }
        let found = self.service.databases().await?;
        names::children(None, found.iter().map(|database| [database.name()]))
    }

    async fn create_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<Namespace> {
        let name = Names::database(namespace)?;
        self.names.check_new(name)?;
        self.service.create_database(database_input(name, properties.clone(), None)?).await.map_err(|e| {
            match e.kind() {
                ErrorKind::TableAlreadyExists => names::namespace_exists(namespace),
                _ => e,
            }
        })?;
        Ok(Namespace::with_properties(namespace.clone(), properties))
    }

    async fn load_namespace(&self, namespace: &NamespaceIdent) -> Result<Namespace> {
        let database = self.database(namespace).await?;
        Ok(Namespace::with_properties(namespace.clone(), properties(&database)))
    }

    async fn namespace_exists(&self, namespace: &NamespaceIdent) -> Result<bool> {
        Ok(self.service.database(Names::database(namespace)?).await?.is_some())
    }

    async fn update_namespace(
        &self,
        namespace: &NamespaceIdent,
        set: HashMap<String, String>,
        remove: Vec<String>,
    ) -> Result<()> {
        names::check_properties(&set, &remove)?;
        let before = self.database(namespace).await?;
        let mut properties = properties(&before);
        properties.retain(|key, _| !remove.contains(key));
        properties.extend(set);
        let name = Names::database(namespace)?;
        let done = self.service.update_database(name, database_input(name, properties, Some(&before))?).await;
        done.map_err(|e| match e.kind() {
            ErrorKind::NoSuchTable => self.no_database(namespace),
            _ => e,
        })
    }

    async fn drop_namespace(&self, namespace: &NamespaceIdent) -> Result<()> {
        let name = Names::database(namespace)?;
        let absent = |e: Error| match e.kind() {
            ErrorKind::NoSuchTable => self.no_database(namespace),
            _ => e,
        };
        // Glue would drop the tables with it, those of other kinds as well.
        if self.service.has_tables(name).await.map_err(absent)? {
            return Err(names::namespace_not_empty(namespace));
        }
        self.service.delete_database(name).await.map_err(absent)
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        let found = self.service.tables(Names::database(namespace)?).await.map_err(|e| match e.kind() {
            ErrorKind::NoSuchTable => self.no_database(namespace),
            _ => e,
        })?;
        let found = found.iter().filter(|table| is_iceberg(table));
        let mut tables: Vec<_> =
            found.map(|table| TableIdent::new(namespace.clone(), table.name().to_owned())).collect();
        tables.sort_unstable();
        Ok(tables)
    }

    async fn table_exists(&self, table: &TableIdent) -> Result<bool> {
        let (database, name) = Names::table(table)?;
        let found = self.service.table(database, name).await.map_err(|e| e.with_table(table))?;
        Ok(found.is_some_and(|found| is_iceberg(&found)))
    }

    async fn create_table(
        &self,
        namespace: &NamespaceIdent,
        mut creation: TableCreation,
    ) -> Result<LoadedTable> {
        let table = TableIdent::new(namespace.clone(), creation.name.clone());
        let of_table = |e: Error| e.with_table(&table);
        let (database, name) = Names::table(&table)?;
        self.names.check_new(name).map_err(of_table)?;
        if is_s3_tables(&self.database(namespace).await.map_err(of_table)?) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the tables of this database lie in S3 Tables, which places them",
            )
            .with_table(&table)
            .with_hint("use the REST endpoint of S3 Tables or of Glue, with a catalog of type `rest`"));
        }
        if self.service.table(database, name).await.map_err(of_table)?.is_some() {
            return Err(names::table_exists(&table));
        }
        if creation.location.is_none() {
            creation.location = Some(self.default_location(&table).await?);
        }
        self.files.create(&table, creation, |written| self.insert(&table, written)).await
    }

    async fn load_table(&self, table: &TableIdent) -> Result<LoadedTable> {
        let found = self.found(table).await?;
        self.files.load(table, found.location).await
    }

    async fn rename_table(&self, from: &TableIdent, to: &TableIdent) -> Result<()> {
        self.rename(from, to).await
    }

    async fn drop_table(&self, table: &TableIdent) -> Result<()> {
        let (database, name) = Names::table(table)?;
        let found = self.service.table(database, name).await.map_err(|e| e.with_table(table))?;
        let found = found.ok_or_else(|| no_table(table))?;
        if !is_iceberg(&found) {
            return Err(not_iceberg(table, &found));
        }
        self.service.delete_table(database, name).await.map_err(|e| match e.kind() {
            ErrorKind::NoSuchTable => no_table(table),
            _ => e.with_table(table),
        })
    }

    async fn register_table(&self, table: &TableIdent, metadata_location: &str) -> Result<LoadedTable> {
        let (_, name) = Names::table(table)?;
        self.names.check_new(name).map_err(|e| e.with_table(table))?;
        self.database(table.namespace()).await.map_err(|e| e.with_table(table))?;
        let loaded = self.files.open(table, metadata_location).await?;
        let written = Written { location: metadata_location.to_owned(), metadata: loaded.metadata.clone() };
        self.insert(table, written).await.map_err(|e| e.with_table(table))?;
        Ok(loaded)
    }

    async fn turn(&self, table: &TableIdent) -> CommitTurn {
        self.turns.turn(table).await
    }

    async fn commit(
        &self,
        table: &TableIdent,
        requirements: &[TableRequirement],
        updates: &[TableUpdate],
    ) -> Result<CommitOutcome> {
        let found = self.found(table).await?;
        let swap = |written| self.swap(table, &found, written);
        self.files.commit(table, &found.location, requirements, updates, swap).await
    }
}

fn not_iceberg(table: &TableIdent, found: &Table) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("this is no Iceberg table: Glue says that it is {}", kind(found)),
    )
    .with_table(table)
    .with_hint("convert it with the tool that made it, or name another table")
}
