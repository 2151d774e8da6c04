//! floe storage plugin `gcs`: a warehouse in Google Cloud Storage.
//!
//! Properties are those of PyIceberg and of Iceberg for Java (`gcs.oauth2.token`, `gcs.service.host` …).
//! Credentials come from the first of: `gcs.no-auth`; `gcs.oauth2.token`; the service account of
//! `gcs.credentials-json` or `gcs.credentials-file`; application default credentials
//! (`GOOGLE_APPLICATION_CREDENTIALS`, those of `gcloud`, the service account of the machine).
//!
//! The store is spoken to by its XML interface, which knows uploads in parts; Google serves it beside the JSON
//! interface at the same address. Emulators that know the JSON interface alone cannot be used directly.
//!
//! ```
//! use floe_core::{PluginConfig, Properties, StoragePlugin};
//! use floe_storage_gcs::GcsStoragePlugin;
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let properties = Properties::default().with("warehouse", "gs://lake/tables").with("gcs.no-auth", "true");
//! let storage = GcsStoragePlugin::new().connect(&PluginConfig::new("lake", &properties)?).await?;
//! assert_eq!(storage.warehouse(), "gs://lake/tables");
//! # Ok::<(), floe_core::Error>(())
//! # }).unwrap();
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod client;
mod config;
mod credentials;
mod error;
mod names;

use std::sync::Arc;

use async_trait::async_trait;
use floe_core::{PluginConfig, PluginDescriptor, PluginKind, Result, StorageClient, StoragePlugin};

pub use config::GcsStorageConfig;

floe_core::register_storage!(|| Arc::new(GcsStoragePlugin::new()));

/// The storage plugin `gcs`, schemes `gs` and `gcs`.
#[derive(Debug, Clone, Copy, Default)]
pub struct GcsStoragePlugin;

impl GcsStoragePlugin {
    /// The plugin.
    pub fn new() -> Self {
        Self
    }
}

#[async_trait]
impl StoragePlugin for GcsStoragePlugin {
    fn descriptor(&self) -> PluginDescriptor {
        PluginDescriptor {
            kind: PluginKind::Storage,
            name: "gcs",
            summary: "A warehouse in Google Cloud Storage",
            version: env!("CARGO_PKG_VERSION"),
            schemes: client::SCHEMES,
            config_schema: schemars::schema_for!(GcsStorageConfig),
        }
    }

    async fn connect(&self, config: &PluginConfig) -> Result<Arc<dyn StorageClient>> {
        Ok(Arc::new(client::connect(GcsStorageConfig::new(config)?)?))
    }
}
