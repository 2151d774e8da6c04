//! A storage in memory: plugin and client.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use floe_core::{
    Environment, Error, ErrorKind, FileEntry, PluginConfig, PluginDescriptor, PluginKind, Result,
    StorageCapabilities, StorageClient, StoragePlugin,
};
use futures::StreamExt;
use futures::stream::BoxStream;
use iceberg::io::{FileIO, FileIOBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::memory_io::{Files, MemoryFactory};

/// The storage plugin `memory`, scheme `memory`. All clients of one plugin value see the same files.
#[derive(Debug, Clone, Default)]
pub struct MemoryStoragePlugin {
    files: Files,
}

/// Configuration of the storage plugin `memory`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MemoryStorageConfig {
    /// Where new tables go: a URI with the scheme `memory`.
    #[serde(default = "default_warehouse")]
    pub warehouse: String,
}

fn default_warehouse() -> String {
    MemoryStorage::WAREHOUSE.to_owned()
}

#[async_trait]
impl StoragePlugin for MemoryStoragePlugin {
    fn descriptor(&self) -> PluginDescriptor {
        PluginDescriptor {
            kind: PluginKind::Storage,
            name: "memory",
            summary: "Files in the memory of this process, for tests",
            version: env!("CARGO_PKG_VERSION"),
            schemes: &["memory"],
            config_schema: schemars::schema_for!(MemoryStorageConfig),
        }
    }

    async fn connect(&self, config: &PluginConfig) -> Result<Arc<dyn StorageClient>> {
        let config: MemoryStorageConfig = config.parse()?;
        if !config.warehouse.starts_with("memory://") {
            return Err(Error::validation("the warehouse must be a URI with the scheme memory"));
        }
        Ok(Arc::new(MemoryStorage::over(self.files.clone(), config.warehouse.trim_end_matches('/'))))
    }
}

/// An open storage in memory.
///
/// ```
/// use floe_core::StorageClient;
/// use floe_testkit::storage::MemoryStorage;
///
/// let storage = MemoryStorage::new();
/// assert_eq!(storage.warehouse(), "memory://warehouse");
/// ```
#[derive(Debug, Clone)]
pub struct MemoryStorage {
    files: Files,
    file_io: FileIO,
    warehouse: String,
}

impl MemoryStorage {
    /// The warehouse where none is configured.
    pub const WAREHOUSE: &str = "memory://warehouse";

    /// An empty storage with the warehouse [`MemoryStorage::WAREHOUSE`].
    pub fn new() -> Self {
        Self::over(Files::default(), Self::WAREHOUSE)
    }

    /// An empty storage whose files carry the time of `environment`.
    pub fn with_environment(environment: Arc<dyn Environment>) -> Self {
        Self::over(Files::with_environment(environment), Self::WAREHOUSE)
    }

    fn over(files: Files, warehouse: &str) -> Self {
        let factory = MemoryFactory::new(files.clone());
        Self {
            file_io: FileIOBuilder::new(Arc::new(factory)).build(),
            files,
            warehouse: warehouse.to_owned(),
        }
    }

    /// Sets when a file was last written, as if it were older. `FileNotFound`.
    pub fn set_last_modified(&self, location: &str, time: DateTime<Utc>) -> Result<()> {
        self.files.set_last_modified(location, time)
    }

    /// Replaces the content of a file as damage would: no writer, no new time. `FileNotFound`.
    pub fn damage(&self, location: &str, content: Bytes) -> Result<()> {
        self.files.damage(location, content)
    }

    /// Every location, sorted.
    pub fn locations(&self) -> Vec<String> {
        self.files.below("memory://").into_iter().map(|entry| entry.location).collect()
    }
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl StorageClient for MemoryStorage {
    fn file_io(&self) -> FileIO {
        self.file_io.clone()
    }

    fn warehouse(&self) -> &str {
        &self.warehouse
    }

    fn capabilities(&self) -> StorageCapabilities {
        StorageCapabilities { create_if_absent: false, atomic_write: true, bulk_delete: true }
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<FileEntry>> {
        futures::stream::iter(self.files.below(prefix).into_iter().map(Ok)).boxed()
    }

    fn delete_many(&self, locations: BoxStream<'static, String>) -> BoxStream<'static, (String, Result<()>)> {
        let files = self.files.clone();
        locations
            .map(move |location| {
                files.remove(&location);
                (location, Ok(()))
            })
            .boxed()
    }

    async fn check_at(&self, location: &str) -> Result<()> {
        let location = format!("{location}/.floe-check");
        self.file_io.new_output(&location)?.write(Bytes::from_static(b"check")).await?;
        let read = self.file_io.new_input(&location)?.read().await?;
        self.files.remove(&location);
        if read == "check" {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Corrupted, format!("{location} reads back differently")))
        }
    }
}
