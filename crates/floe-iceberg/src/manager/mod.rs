//! `IcebergTableManager`: the operations of the table lifecycle, each in one span.

mod change;
mod connect;
mod evolve;
mod execute;
mod fingerprint;
mod listing;
mod merge;
mod names;
mod namespaces;
mod read;
mod refs;
mod rerun;
mod rooted;
#[cfg(test)]
mod send;
mod settle;
mod snapshots;
mod tables;
#[cfg(test)]
mod tests;
mod traced;
mod transaction;
mod work;
mod write;

use std::fmt;
use std::sync::Arc;

use floe_core::{CatalogClient, Environment, Error, Reach, Result, StorageClient, SystemEnvironment};
use iceberg::TableIdent;
use tokio::sync::OnceCell;

pub use listing::{NamespaceListing, SkippedNamespace};
pub use names::DroppedTable;
pub use read::Scan;
pub use transaction::{StepOutcome, Transaction, TransactionOutcome};

use self::rooted::RootedCatalog;
use crate::base::ManifestCache;
use crate::model::IcebergTableManagerConfig;

/// Creates, reads and writes Iceberg tables through one catalog and one storage, which it is given (FR-004).
///
/// Cheap to clone; clones share connections and caches. Every operation is a span called
/// `IcebergTableManager.<operation>` (FR-041).
///
/// The storage is checked before the first write (FR-047); a manager that only reads writes nothing.
#[derive(Clone)]
pub struct IcebergTableManager {
    catalog: Arc<dyn CatalogClient>,
    storage: Arc<dyn StorageClient>,
    config: Arc<IcebergTableManagerConfig>,
    environment: Arc<dyn Environment>,
    manifests: Arc<ManifestCache>,
    checked: Arc<OnceCell<()>>,
}

impl IcebergTableManager {
    /// A manager over an open catalog and an open storage. Fails with `Validation` when `config` is not valid.
    ///
    /// Each table writes and deletes below its own roots alone ([`floe_core::TableRoots`]); files elsewhere are read where
    /// the storage reaches.
    pub fn new(
        catalog: Arc<dyn CatalogClient>,
        storage: Arc<dyn StorageClient>,
        config: IcebergTableManagerConfig,
    ) -> Result<Self> {
        Self::within(catalog, storage, config, Reach::Anywhere)
    }

    /// As [`Self::new`], and how far reading goes beyond each table's own roots.
    fn within(
        catalog: Arc<dyn CatalogClient>,
        storage: Arc<dyn StorageClient>,
        config: IcebergTableManagerConfig,
        reach: Reach,
    ) -> Result<Self> {
        config.validate()?;
        let manifests = Arc::new(ManifestCache::new(config.manifest_cache_bytes));
        Ok(Self {
            catalog: Arc::new(RootedCatalog::new(catalog, reach)),
            storage,
            config: Arc::new(config),
            environment: Arc::new(SystemEnvironment),
            manifests,
            checked: Arc::default(),
        })
    }

    /// Takes time and randomness from `environment`, so that a run can be replayed.
    pub fn with_environment(mut self, environment: Arc<dyn Environment>) -> Self {
        self.environment = environment;
        self
    }

    /// Gives one operation this many bytes of memory, in place of the configuration's `write_memory_bytes`. Fails with
    /// `Validation` for less than 16 MiB.
    pub fn with_write_memory(mut self, bytes: u64) -> Result<Self> {
        let config = IcebergTableManagerConfig { write_memory_bytes: bytes, ..(*self.config).clone() };
        config.validate()?;
        self.config = Arc::new(config);
        Ok(self)
    }

    /// The catalog.
    pub fn catalog(&self) -> &Arc<dyn CatalogClient> {
        &self.catalog
    }

    /// The storage.
    pub fn storage(&self) -> &Arc<dyn StorageClient> {
        &self.storage
    }

    /// The configuration.
    pub fn config(&self) -> &IcebergTableManagerConfig {
        &self.config
    }

    /// Proves that the warehouse can be written, read, listed and deleted from (FR-047). Done by itself, once,
    /// before the first write. Where the catalog's server decides where tables go, there is no warehouse to check:
    /// see [`Self::check_table_storage`].
    pub async fn check_storage(&self) -> Result<()> {
        self.checked.get_or_try_init(|| self.storage.check()).await.copied()
    }

    /// Proves the same of the location of one table, with the credentials that the catalog gives for it, and answers
    /// the location. Writes one small file there, and deletes it. `NoSuchTable`, and what the storage fails with.
    pub async fn check_table_storage(&self, table: &TableIdent) -> Result<String> {
        let check = async {
            let location = self.load_table(table).await?.metadata.location().to_owned();
            let storage = self.catalog.table_storage(table).await?.unwrap_or_else(|| self.storage.clone());
            storage.check_at(&location).await?;
            Ok(location)
        };
        check.await.map_err(|e: Error| e.with_table(table))
    }
}

impl fmt::Debug for IcebergTableManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IcebergTableManager")
            .field("catalog", &self.catalog)
            .field("storage", &self.storage)
            .finish_non_exhaustive()
    }
}
