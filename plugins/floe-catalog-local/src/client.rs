//! The catalog client.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use async_trait::async_trait;
use floe_core::metadata_file::{self, MetadataCache};
use floe_core::{
    CatalogCapabilities, CatalogClient, CommitOutcome, CommitTurn, Error, ErrorKind, LoadedTable, Result,
    StorageClient,
};
use iceberg::io::FileIO;
use iceberg::spec::TableMetadataRef;
use iceberg::{Namespace, NamespaceIdent, TableCreation, TableIdent, TableRequirement, TableUpdate};

use crate::config::LocalCatalogConfig;
use crate::database::{Database, encode};
use crate::turn::Turns;

/// The property of a namespace that says where its tables go.
const LOCATION: &str = "location";

/// An open catalog in a SQLite file.
#[derive(Debug)]
pub struct LocalCatalog {
    database: Database,
    file_io: FileIO,
    warehouse: String,
    metadata: MetadataCache,
    turns: Turns,
}

impl LocalCatalog {
    /// Opens the catalog that `config` describes; `configured` is the name of the configured catalog. Touches
    /// no file yet.
    pub fn new(config: &LocalCatalogConfig, configured: &str, storage: &dyn StorageClient) -> Result<Self> {
        let warehouse = storage.warehouse().trim_end_matches('/').to_owned();
        let path = config.path(&warehouse)?;
        Ok(Self {
            turns: Turns::new(&path),
            database: Database::new(path, config.name(configured), config.busy_timeout()?),
            file_io: storage.file_io(),
            warehouse,
            metadata: MetadataCache::default(),
        })
    }

    /// The SQLite file.
    pub fn path(&self) -> &Path {
        self.database.path()
    }

    /// Makes the file and its tables where they are missing, as the first command that writes would.
    pub async fn set_up(&self) -> Result<()> {
        self.database.set_up().await
    }

    /// Where the tables of a namespace go by default, as PyIceberg has it: the namespace's property
    /// `location`, or `<warehouse>/<namespace>`; then the table's name.
    async fn default_location(&self, table: &TableIdent) -> Result<String> {
        let name = table.name();
        let unsafe_part = |part: &str| part.contains(['/', '\\']) || part == "." || part == "..";
        if unsafe_part(name) || table.namespace().iter().any(|part| unsafe_part(part)) {
            return Err(Error::validation("no folder can be named after this table")
                .with_table(table)
                .with_hint("give the table a location"));
        }
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

    async fn read(&self, table: &TableIdent, location: &str) -> Result<TableMetadataRef> {
        self.metadata.get_or_read(&self.file_io, location).await.map_err(|e| match e.kind() {
            ErrorKind::FileNotFound => {
                Error::new(ErrorKind::Corrupted, format!("the metadata file {location} is missing"))
                    .with_table(table)
                    .with_hint("restore the file, or drop the table and register it from an earlier one")
                    .with_source(e)
            }
            _ => e.with_table(table),
        })
    }

    fn loaded(&self, table: &TableIdent, location: String, metadata: TableMetadataRef) -> LoadedTable {
        LoadedTable {
            ident: table.clone(),
            metadata,
            metadata_location: location,
            file_io: self.file_io.clone(),
        }
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

    /// Removes a metadata file of ours that was never the table's.
    async fn sweep(&self, location: &str) {
        if let Err(error) = self.file_io.delete(location).await {
            tracing::warn!(location, kind = %error.kind(), "a metadata file that is not used stays behind");
        }
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
        let depth = parent.map_or(0, |p| p.len()) + 1;
        let found = self.database.namespaces(parent).await?;
        let children: BTreeSet<Vec<&str>> =
            found.iter().map(|name| name.split('.').take(depth).collect()).collect();
        children.into_iter().map(|parts| Ok(NamespaceIdent::from_strs(parts)?)).collect()
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
            return Err(Error::new(
                ErrorKind::NamespaceAlreadyExists,
                format!("namespace '{namespace}' is there already"),
            ));
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
        if let Some(key) = remove.iter().find(|key| set.contains_key(*key)) {
            return Err(Error::validation(format!("property '{key}' is both set and removed")));
        }
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
            return Err(Error::new(
                ErrorKind::NamespaceNotEmpty,
                format!("namespace '{namespace}' is not empty"),
            )
            .with_hint("drop its tables, views and namespaces first"));
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
            return Err(
                Error::new(ErrorKind::TableAlreadyExists, "the table is there already").with_table(&table)
            );
        }
        creation.location = Some(match creation.location {
            Some(location) => location.trim_end_matches('/').to_owned(),
            None => self.default_location(&table).await?,
        });
        let metadata = metadata_file::create(creation).map_err(|e| e.with_table(&table))?;
        let location = metadata_file::next_location(&metadata, None).map_err(|e| e.with_table(&table))?;
        metadata_file::write(&self.file_io, &location, &metadata).await.map_err(|e| e.with_table(&table))?;
        if let Err(error) = self.insert(&table, &location).await {
            if error.kind() != ErrorKind::CommitStateUnknown {
                self.sweep(&location).await;
            }
            return Err(error.with_table(&table));
        }
        let metadata = TableMetadataRef::new(metadata);
        self.metadata.put(&location, metadata.clone());
        Ok(self.loaded(&table, location, metadata))
    }

    async fn load_table(&self, table: &TableIdent) -> Result<LoadedTable> {
        check_table(table)?;
        let location = self.head(table).await?;
        let metadata = self.read(table, &location).await?;
        Ok(self.loaded(table, location, metadata))
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
        let read = self.metadata.get_or_read(&self.file_io, metadata_location).await;
        let metadata = read.map_err(|e| e.with_table(table))?;
        self.insert(table, metadata_location).await.map_err(|e| e.with_table(table))?;
        Ok(self.loaded(table, metadata_location.to_owned(), metadata))
    }

    async fn turn(&self, table: &TableIdent) -> CommitTurn {
        self.turns.wait(table).await
    }

    async fn commit(
        &self,
        table: &TableIdent,
        requirements: &[TableRequirement],
        updates: &[TableUpdate],
    ) -> Result<CommitOutcome> {
        check_table(table)?;
        let head = self.head(table).await?;
        let current = self.read(table, &head).await?;
        let metadata = match metadata_file::apply(table, &current, &head, requirements, updates) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == ErrorKind::CommitConflict => return Ok(CommitOutcome::Conflict(e)),
            Err(e) => return Err(e),
        };
        if updates.is_empty() {
            return Ok(CommitOutcome::Committed(self.loaded(table, head, current)));
        }
        let next = metadata_file::next_location(&metadata, Some(&head)).map_err(|e| e.with_table(table))?;
        let text = self
            .metadata
            .write_next(&self.file_io, (&head, &current), (&next, &metadata), updates)
            .await
            .map_err(|e| e.with_table(table))?;
        match self.database.swap(table, &head, &next).await {
            Ok(true) => {
                let metadata = TableMetadataRef::new(metadata);
                self.metadata.put_written(&next, metadata.clone(), text);
                Ok(CommitOutcome::Committed(self.loaded(table, next, metadata)))
            }
            Ok(false) => {
                self.sweep(&next).await;
                // Another commit, or the table was dropped or renamed.
                self.head(table).await?;
                let error = Error::new(ErrorKind::CommitConflict, "another commit came first");
                Ok(CommitOutcome::Conflict(error.with_table(table).with_hint("load the table and try again")))
            }
            Err(e) if e.kind() == ErrorKind::CommitStateUnknown => {
                Ok(CommitOutcome::Unknown(e.with_table(table)))
            }
            Err(e) => {
                self.sweep(&next).await;
                Err(e.with_table(table))
            }
        }
    }
}

/// A part of a namespace cannot hold a dot: the file keeps the parts joined by dots.
fn check_namespace(namespace: &NamespaceIdent) -> Result<()> {
    for part in namespace.iter() {
        if part.is_empty() || part.contains(['.', '\0']) {
            return Err(Error::validation(format!("'{part}' cannot be part of a namespace"))
                .with_hint("the local catalog takes any text without dots"));
        }
    }
    if namespace.is_empty() {
        return Err(Error::validation("a namespace needs a name"));
    }
    Ok(())
}

fn check_table(table: &TableIdent) -> Result<()> {
    check_namespace(table.namespace()).map_err(|e| e.with_table(table))?;
    if table.name().is_empty() || table.name().contains('\0') {
        return Err(Error::validation(format!("a table in '{}' needs a name", table.namespace())));
    }
    Ok(())
}

/// In a catalog that is not there yet, nothing exists.
fn or_absent(found: Result<bool>) -> Result<bool> {
    match found {
        Err(e) if e.kind() == ErrorKind::FileNotFound => Ok(false),
        found => found,
    }
}

fn no_table(table: &TableIdent) -> Error {
    Error::new(ErrorKind::NoSuchTable, "there is no such table").with_table(table)
}

fn no_namespace(namespace: &NamespaceIdent) -> Error {
    Error::new(ErrorKind::NoSuchNamespace, format!("there is no namespace '{namespace}'"))
}
