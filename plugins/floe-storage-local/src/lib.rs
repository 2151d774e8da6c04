//! floe storage plugin `local`: a warehouse in a folder of this machine.
//!
//! A file becomes visible whole or not at all, because it is written beside its place and renamed into it.
//! Folders are made with the first file in them.
//!
//! A file that was written survives the end of the process, however it ends. It survives a crash of the
//! machine only once the operating system has flushed it, which takes it up to half a minute; with
//! `local.sync = true` each write waits for that, some milliseconds for each file. Off by default, because a
//! commit writes three small files and takes four milliseconds in all without it.
//!
//! ```
//! use floe_core::{PluginConfig, Properties, StoragePlugin};
//! use floe_storage_local::LocalStoragePlugin;
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! # let folder = tempfile::tempdir().unwrap();
//! # let folder = folder.path().display().to_string();
//! let config = PluginConfig::new("lake", &Properties::default().with("warehouse", &folder))?;
//! let storage = LocalStoragePlugin::new().connect(&config).await?;
//! assert_eq!(storage.warehouse(), format!("file://{folder}"));
//! storage.check().await?;
//! # Ok::<(), floe_core::Error>(())
//! # }).unwrap();
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod client;
mod config;
mod error;

use std::sync::Arc;

use async_trait::async_trait;
use floe_core::{PluginConfig, PluginDescriptor, PluginKind, Result, StorageClient, StoragePlugin};

pub use config::LocalStorageConfig;

floe_core::register_storage!(|| Arc::new(LocalStoragePlugin::new()));

/// The storage plugin `local`, scheme `file`.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalStoragePlugin;

impl LocalStoragePlugin {
    /// The plugin.
    pub fn new() -> Self {
        Self
    }
}

#[async_trait]
impl StoragePlugin for LocalStoragePlugin {
    fn descriptor(&self) -> PluginDescriptor {
        PluginDescriptor {
            kind: PluginKind::Storage,
            name: "local",
            summary: "A warehouse in a folder of this machine",
            version: env!("CARGO_PKG_VERSION"),
            schemes: client::SCHEMES,
            config_schema: schemars::schema_for!(LocalStorageConfig),
        }
    }

    async fn connect(&self, config: &PluginConfig) -> Result<Arc<dyn StorageClient>> {
        let parsed: LocalStorageConfig = config.parse()?;
        let warehouse = parsed.warehouse_path().map_err(error::in_warehouse)?;
        Ok(Arc::new(client::connect(&warehouse, parsed.sync)?))
    }
}
