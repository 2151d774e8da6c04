//! The catalog plugin contract.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use iceberg::io::FileIO;
use iceberg::spec::TableMetadataRef;
use iceberg::{Namespace, NamespaceIdent, TableCreation, TableIdent, TableRequirement, TableUpdate};
use serde::Serialize;

use crate::{CommitTurn, Error, ErrorKind, PluginConfig, PluginDescriptor, Result, StorageClient};

/// A kind of catalog: knows how to connect, holds no connection.
///
/// Register an implementation with [`crate::register_catalog!`], and prove it with the catalog contract suite
/// of `floe-testkit`.
#[async_trait]
pub trait CatalogPlugin: Send + Sync + fmt::Debug {
    /// Name and configuration schema.
    fn descriptor(&self) -> PluginDescriptor;

    /// Whether a server decides where tables go. Then `warehouse` is a name that the server knows, not a location,
    /// and the storage of a table is chosen by the table's own location.
    fn places_tables(&self) -> bool {
        false
    }

    /// Whether the catalog, configured so, is on another machine: others decide then what it says about tables, and files
    /// of this machine are not used on its word ([`crate::Reach::OwnSchemes`], `storage = "local"`).
    fn is_remote(&self, _config: &PluginConfig) -> bool {
        self.places_tables()
    }

    /// Opens the catalog (FR-009). Table metadata is read and written through `storage`, unless the catalog
    /// does that on its own side.
    async fn connect(
        &self,
        config: &PluginConfig,
        storage: Arc<dyn StorageClient>,
    ) -> Result<Arc<dyn CatalogClient>>;
}

/// An open catalog.
///
/// Errors carry the kinds that the methods name; a method that names none may still fail with
/// `Unavailable`, `Timeout`, `Unauthenticated`, `PermissionDenied` or `Io`.
#[async_trait]
pub trait CatalogClient: Send + Sync + fmt::Debug {
    /// The name of the catalog, as its own server or file knows it.
    fn name(&self) -> &str;

    /// What this catalog can do.
    fn capabilities(&self) -> CatalogCapabilities;

    /// The namespaces directly below `parent`, or the top ones; sorted. `NoSuchNamespace` when `parent` is
    /// not there.
    async fn list_namespaces(&self, parent: Option<&NamespaceIdent>) -> Result<Vec<NamespaceIdent>>;

    /// Makes a namespace. `NamespaceAlreadyExists`.
    async fn create_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<Namespace>;

    /// A namespace with its properties. `NoSuchNamespace`.
    async fn load_namespace(&self, namespace: &NamespaceIdent) -> Result<Namespace>;

    /// Whether the namespace is there.
    async fn namespace_exists(&self, namespace: &NamespaceIdent) -> Result<bool>;

    /// Sets and removes properties of a namespace, in one step. `NoSuchNamespace`.
    async fn update_namespace(
        &self,
        namespace: &NamespaceIdent,
        set: HashMap<String, String>,
        remove: Vec<String>,
    ) -> Result<()>;

    /// Drops an empty namespace. `NoSuchNamespace`, `NamespaceNotEmpty`.
    async fn drop_namespace(&self, namespace: &NamespaceIdent) -> Result<()>;

    /// The tables directly in a namespace, sorted. `NoSuchNamespace`.
    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>>;

    /// Whether the table is there.
    async fn table_exists(&self, table: &TableIdent) -> Result<bool>;

    /// Makes an empty table. `NoSuchNamespace`, `TableAlreadyExists`.
    async fn create_table(&self, namespace: &NamespaceIdent, creation: TableCreation) -> Result<LoadedTable>;

    /// The table as it is now. `NoSuchTable`, `Corrupted`.
    async fn load_table(&self, table: &TableIdent) -> Result<LoadedTable>;

    /// The storage of a table's files with the credentials that the catalog gives for them, to look beside the
    /// files that the table knows; nothing, as here by default, where the storage that the catalog was connected
    /// with serves. `NoSuchTable`.
    async fn table_storage(&self, _table: &TableIdent) -> Result<Option<Arc<dyn StorageClient>>> {
        Ok(None)
    }

    /// Renames a table. `NoSuchTable`, `TableAlreadyExists`, `NoSuchNamespace` for the target's namespace.
    async fn rename_table(&self, from: &TableIdent, to: &TableIdent) -> Result<()>;

    /// Forgets a table; its files stay. `NoSuchTable`.
    async fn drop_table(&self, table: &TableIdent) -> Result<()>;

    /// Forgets a table and has the server delete its files: unlike a drop, nothing brings it back. `NoSuchTable`; `Unsupported` by default, see
    /// [`CatalogCapabilities::purge_table`].
    async fn purge_table(&self, table: &TableIdent) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "this catalog does not delete the files of a table")
            .with_table(table)
            .with_hint("drop the table, and delete its files with the storage's own tools"))
    }

    /// Adds a table whose metadata file is already there. `TableAlreadyExists`, `NoSuchNamespace`,
    /// `Corrupted` when the file is no table metadata.
    async fn register_table(&self, table: &TableIdent, metadata_location: &str) -> Result<LoadedTable>;

    /// Waits for a turn at committing to the table, so that writers queue rather than collide.
    ///
    /// Advice only: what keeps commits apart are the requirements of [`CatalogClient::commit`], and whoever does
    /// not wait, or has waited too long, may commit all the same. Hold a turn from before the table is loaded
    /// until the outcome of the commit, never during a pause. A catalog that does not queue its writers, as
    /// here by default, gives a turn that holds nobody up.
    async fn turn(&self, _table: &TableIdent) -> CommitTurn {
        CommitTurn::none()
    }

    /// Applies `updates` to the table if `requirements` hold for its state at that moment; all or nothing
    /// (Iceberg REST specification, `CommitTableRequest`).
    ///
    /// The outcome is a value, because each calls for something else: see [`CommitOutcome`]. An `Err` means
    /// that the commit *certainly* did not happen and that trying again as it is will not help
    /// (`NoSuchTable`, `Validation`, `PermissionDenied`, …).
    async fn commit(
        &self,
        table: &TableIdent,
        requirements: &[TableRequirement],
        updates: &[TableUpdate],
    ) -> Result<CommitOutcome>;

    /// Applies changes to several tables at once; all or nothing (Iceberg REST specification,
    /// `CommitTransactionRequest`). `Unsupported` by default, see [`CatalogCapabilities::multi_table_commit`].
    async fn commit_tables(&self, _changes: &[TableChange]) -> Result<TablesOutcome> {
        Err(Error::new(ErrorKind::Unsupported, "this catalog commits to one table at a time")
            .with_hint("commit the tables one by one"))
    }
}

/// What one table contributes to a commit of several; see [`CatalogClient::commit_tables`].
#[derive(Debug, Clone)]
pub struct TableChange {
    /// The table.
    pub table: TableIdent,
    /// What must hold for it.
    pub requirements: Vec<TableRequirement>,
    /// What is done to it.
    pub updates: Vec<TableUpdate>,
}

/// How a commit of several tables ended; each outcome means what it means in [`CommitOutcome`].
#[derive(Debug, Clone)]
pub enum TablesOutcome {
    /// It happened. Load the tables to see them after it.
    Committed,
    /// It certainly did not happen.
    Conflict(Error),
    /// It may or may not have happened.
    Unknown(Error),
}

/// How a commit ended.
#[derive(Debug, Clone)]
pub enum CommitOutcome {
    /// It happened; this is the table after it.
    Committed(LoadedTable),
    /// It certainly did not happen, because a requirement did not hold or another commit came first. Load the
    /// table and try again.
    Conflict(Error),
    /// It may or may not have happened: the reply was lost, or the server failed in the middle. Look for the
    /// snapshot in the table's history; delete nothing until its absence is certain.
    Unknown(Error),
}

/// A table as a catalog gave it: metadata pinned at one version.
#[derive(Debug, Clone)]
pub struct LoadedTable {
    /// Namespace and name.
    pub ident: TableIdent,
    /// The table metadata of this version. Never changes.
    pub metadata: TableMetadataRef,
    /// Where that metadata is stored. Each version has a location of its own.
    pub metadata_location: String,
    /// File IO for this table, with the credentials that the catalog gave for it, if any.
    pub file_io: FileIO,
}

/// What a catalog can do. A capability that is absent is declared here, never found out by failing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CatalogCapabilities {
    /// Namespaces may have namespaces below them.
    pub nested_namespaces: bool,
    /// Namespaces carry properties.
    pub namespace_properties: bool,
    /// Tables can be renamed.
    pub rename_table: bool,
    /// Tables can be registered from a metadata file.
    pub register_table: bool,
    /// Several processes, or hosts, may use the catalog at once.
    pub shared: bool,
    /// A server reads and writes the metadata files, so that it alone can say what is wrong with one.
    pub server_side_metadata: bool,
    /// Several tables can be committed to at once.
    pub multi_table_commit: bool,
    /// A dropped table's files can be deleted with it.
    pub purge_table: bool,
    /// What names new namespaces and tables may have; another one is `Validation`.
    pub names: NameRules,
}

/// What names a catalog takes for new namespaces and tables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NameRules {
    /// Any text, kept as it is.
    #[default]
    Any,
    /// Any text without upper-case letters.
    LowerCase,
    /// Lower-case ASCII letters, digits and underscores.
    Plain,
}

impl NameRules {
    /// Whether the catalog takes `name`.
    pub fn takes(self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::LowerCase => !name.chars().any(char::is_uppercase),
            Self::Plain => name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'),
        }
    }
}
