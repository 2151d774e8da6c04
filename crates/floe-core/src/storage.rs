//! The storage plugin contract.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use iceberg::io::FileIO;
use serde::Serialize;

use crate::{CredentialProvider, PluginConfig, PluginDescriptor, Result};

/// A kind of storage: knows how to connect, holds no connection.
///
/// Register an implementation with [`crate::register_storage!`], and prove it with the storage contract suite
/// of `floe-testkit`.
#[async_trait]
pub trait StoragePlugin: Send + Sync + fmt::Debug {
    /// Name, schemes and configuration schema.
    fn descriptor(&self) -> PluginDescriptor;

    /// Opens the storage. Checks the configuration (FR-045), but not yet the far end: see
    /// [`StorageClient::check`].
    async fn connect(&self, config: &PluginConfig) -> Result<Arc<dyn StorageClient>>;
}

/// An open storage: where a warehouse lives.
#[async_trait]
pub trait StorageClient: Send + Sync + fmt::Debug {
    /// File IO for Iceberg, sharing this client's connections (FR-010).
    fn file_io(&self) -> FileIO;

    /// The same storage with the credentials that a catalog gives for one table, asked for again as they end.
    ///
    /// For each location, the entry of [`crate::VendedCredentials::longest`] is laid over the properties that
    /// this storage was connected with. Where none covers it, or the one that does holds no credentials although
    /// another does, the location is refused with `Validation` unless [`CredentialProvider::allows_own`]; where the
    /// catalog gave no credentials at all, this storage's own serve it.
    ///
    /// `None`, as here by default, from a storage that takes none from a catalog (local files): use the storage
    /// itself.
    fn with_credentials(&self, _credentials: Arc<dyn CredentialProvider>) -> Option<Arc<dyn StorageClient>> {
        None
    }

    /// The URI of the warehouse, without a final slash (FR-011). Empty where the catalog alone knows where
    /// tables go.
    fn warehouse(&self) -> &str;

    /// What this storage can do.
    fn capabilities(&self) -> StorageCapabilities;

    /// Every file below `prefix` (an absolute URI), in no order. A prefix that is not there lists nothing.
    fn list(&self, prefix: &str) -> BoxStream<'static, Result<FileEntry>>;

    /// Deletes `locations` (absolute URIs), many at a time. A file that is not there counts as deleted. Yields
    /// one result for each location, in no order; one failure does not stop the others.
    fn delete_many(&self, locations: BoxStream<'static, String>) -> BoxStream<'static, (String, Result<()>)>;

    /// Proves that the warehouse can be written to, read, listed and deleted from, as [`Self::check_at`] does
    /// (FR-047). Nothing to prove where the catalog alone knows where tables go.
    async fn check(&self) -> Result<()> {
        match self.warehouse() {
            "" => Ok(()),
            warehouse => self.check_at(warehouse).await,
        }
    }

    /// Proves that files below `location` (an absolute URI) can be written, read, listed and deleted, with one
    /// small file of its own below a name that begins with `.floe-check-`. That file alone is deleted again. The
    /// error says which of it is not possible, and what to check.
    async fn check_at(&self, location: &str) -> Result<()>;
}

/// A file that a listing found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Absolute URI, in the same form as in [`StorageClient::warehouse`].
    pub location: String,
    /// Size in bytes.
    pub size: u64,
    /// When it was last written.
    pub last_modified: DateTime<Utc>,
}

/// What a storage can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StorageCapabilities {
    /// A file can be created on condition that none is there.
    pub create_if_absent: bool,
    /// A file becomes visible whole or not at all.
    pub atomic_write: bool,
    /// Many files are deleted by one request.
    pub bulk_delete: bool,
}
