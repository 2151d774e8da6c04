//! floe storage plugin `azure`: a warehouse in Azure Blob Storage, with or without the hierarchical namespace of
//! Data Lake Storage.
//!
//! Properties are those of PyIceberg and of Iceberg for Java (`adls.account-key`, `adls.sas-token.HOST` …).
//! Credentials come from the first of: `adls.anon`; a shared access signature; the shared key; `adls.token`; the
//! service principal of `adls.client-secret`; a workload identity (`AZURE_FEDERATED_TOKEN_FILE`); the managed
//! identity of the machine. A signature or key that belongs to another account is not sent.
//!
//! `abfss://c@account.dfs.core.windows.net/x`, `wasbs://c@account.blob.core.windows.net/x` and, with
//! `adls.account-name`, `abfss://c/x` name the same file.
//!
//! ```
//! use floe_core::{PluginConfig, Properties, StoragePlugin};
//! use floe_storage_azure::AzureStoragePlugin;
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let properties = Properties::default()
//!     .with("warehouse", "abfss://lake@devstoreaccount1.dfs.core.windows.net/tables")
//!     .with("adls.connection-string", "UseDevelopmentStorage=true");
//! let storage = AzureStoragePlugin::new().connect(&PluginConfig::new("lake", &properties)?).await?;
//! assert_eq!(storage.warehouse(), "abfss://lake@devstoreaccount1.dfs.core.windows.net/tables");
//! # Ok::<(), floe_core::Error>(())
//! # }).unwrap();
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod client;
mod config;
mod connection_string;
mod error;
mod location;
mod sas;
mod vended;

use std::sync::Arc;

use async_trait::async_trait;
use floe_core::{PluginConfig, PluginDescriptor, PluginKind, Result, StorageClient, StoragePlugin};
use schemars::Schema;

pub use config::AzureStorageConfig;

floe_core::register_storage!(|| Arc::new(AzureStoragePlugin::new()));

/// The storage plugin `azure`, schemes `abfss`, `abfs`, `wasbs` and `wasb`.
#[derive(Debug, Clone, Copy, Default)]
pub struct AzureStoragePlugin;

impl AzureStoragePlugin {
    /// The plugin.
    pub fn new() -> Self {
        Self
    }
}

#[async_trait]
impl StoragePlugin for AzureStoragePlugin {
    fn descriptor(&self) -> PluginDescriptor {
        PluginDescriptor {
            kind: PluginKind::Storage,
            name: "azure",
            summary: "A warehouse in Azure Blob Storage or Data Lake Storage",
            version: env!("CARGO_PKG_VERSION"),
            schemes: client::SCHEMES,
            config_schema: schema(),
        }
    }

    async fn connect(&self, config: &PluginConfig) -> Result<Arc<dyn StorageClient>> {
        Ok(Arc::new(client::connect(AzureStorageConfig::new(config)?)?))
    }
}

/// The schema of the configuration, with the properties whose keys end in the host of an account.
fn schema() -> Schema {
    let mut schema = schemars::schema_for!(AzureStorageConfig);
    let of = |description: &str| serde_json::json!({"type": "string", "description": description});
    let patterns = serde_json::json!({
        "^adls\\.sas-token\\.": of("The shared access signature of this account."),
        "^adls\\.sas-token-expires-at-ms\\.": of("When that signature ends; set by a catalog that vends it."),
        "^adls\\.connection-string\\.": of("The connection string of this account."),
    });
    schema.insert("patternProperties".to_owned(), patterns);
    schema
}
