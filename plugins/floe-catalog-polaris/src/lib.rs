//! The Iceberg REST protocol: Apache Polaris, and every other catalog that speaks it (Lakekeeper, Nessie, Gravitino,
//! Unity, the REST endpoints of Glue and S3 Tables).
//!
//! Two plugins are registered, which differ in what they ask for by themselves: `polaris` asks for the OAuth2 scope
//! `PRINCIPAL_ROLE:ALL`, `rest` for `catalog`. The properties are those of PyIceberg and of Iceberg's Java library.
//!
//! - Where tables go is the server's decision; `warehouse` is a name that the server knows.
//! - Calls that the server does not list are not made.
//! - A commit is sent once. What came of it is `Committed`, `Conflict` or `Unknown`, never a guess.
//! - Credentials that the server gives for a table's storage are handed to the storage and renewed as they end.
//!
//! ```
//! use floe_catalog_polaris::RestCatalogPlugin;
//! use floe_core::{CatalogPlugin, PluginKind};
//!
//! let descriptor = RestCatalogPlugin::polaris().descriptor();
//! assert_eq!((descriptor.kind, descriptor.name), (PluginKind::Catalog, "polaris"));
//! assert!(RestCatalogPlugin::rest().places_tables());
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod auth;
mod client;
mod commit;
mod config;
mod connection;
mod credentials;
mod endpoints;
mod error;
mod http;
mod look;
mod message;
mod paths;
mod reply;
mod signing;
mod tables;
mod trust;
mod types;

use std::sync::Arc;

use async_trait::async_trait;
use floe_core::{
    CatalogClient, CatalogPlugin, Environment, PluginConfig, PluginDescriptor, PluginKind, Result,
    StorageClient, SystemEnvironment,
};

pub use client::RestCatalog;
pub use config::RestCatalogConfig;

/// The plugins `polaris` and `rest`.
#[derive(Debug, Clone, Copy)]
pub struct RestCatalogPlugin {
    name: &'static str,
    summary: &'static str,
    scope: &'static str,
}

floe_core::register_catalog!(|| Arc::new(RestCatalogPlugin::polaris()));
floe_core::register_catalog!(|| Arc::new(RestCatalogPlugin::rest()));

impl RestCatalogPlugin {
    /// The plugin `polaris`: Apache Polaris.
    pub const fn polaris() -> Self {
        Self { name: "polaris", summary: "Apache Polaris", scope: "PRINCIPAL_ROLE:ALL" }
    }

    /// The plugin `rest`: any server of the protocol.
    pub const fn rest() -> Self {
        Self { name: "rest", summary: "any catalog that speaks the Iceberg REST protocol", scope: "catalog" }
    }

    /// Opens the catalog as [`CatalogPlugin::connect`] does, but as its own type, for [`RestCatalog::stage_table`],
    /// and with time and randomness from `env`.
    pub async fn open(
        &self,
        config: &PluginConfig,
        storage: Arc<dyn StorageClient>,
        env: Arc<dyn Environment>,
    ) -> Result<RestCatalog> {
        RestCatalog::open(config, self.scope, storage, env).await
    }
}

#[async_trait]
impl CatalogPlugin for RestCatalogPlugin {
    fn descriptor(&self) -> PluginDescriptor {
        PluginDescriptor {
            kind: PluginKind::Catalog,
            name: self.name,
            summary: self.summary,
            version: env!("CARGO_PKG_VERSION"),
            schemes: &[],
            config_schema: schemars::schema_for!(RestCatalogConfig),
        }
    }

    fn places_tables(&self) -> bool {
        true
    }

    async fn connect(
        &self,
        config: &PluginConfig,
        storage: Arc<dyn StorageClient>,
    ) -> Result<Arc<dyn CatalogClient>> {
        Ok(Arc::new(self.open(config, storage, Arc::new(SystemEnvironment)).await?))
    }
}
