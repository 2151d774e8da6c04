//! The AWS Glue Data Catalog, in the layout of Iceberg's `GlueCatalog` for Java: tables of Java, PyIceberg, Athena
//! and floe are one another's.
//!
//! - A namespace is a database; it has one part. Its properties `location` and `comment` are the database's location
//!   and description.
//! - A table's parameters point to its metadata file. A commit writes the next file and moves the pointer by
//!   UpdateTable with the `VersionId` that it read: Glue refuses it when another commit came first.
//! - The SDK never repeats a commit. Where the reply was lost the table is read: it shows that the commit happened,
//!   that another one made it impossible, or neither, and then the outcome is unknown and nothing is deleted.
//! - Writers of one process queue for a table; writers of several meet at the `VersionId`.
//! - Glue cannot rename: the table is made under its new name and dropped under its old one. Its DeleteTable takes no
//!   version, so that a commit by another writer in the moment of the drop would be lost: stop writers to rename.
//! - Glue's DeleteDatabase drops tables as well; floe asks for an empty database first, which a table made in that
//!   moment defeats.
//!
//! ```
//! use floe_catalog_glue::GlueCatalogPlugin;
//! use floe_core::{CatalogPlugin, PluginKind};
//!
//! let descriptor = GlueCatalogPlugin.descriptor();
//! assert_eq!((descriptor.kind, descriptor.name), (PluginKind::Catalog, "glue"));
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod client;
mod commit;
mod config;
mod database;
mod error;
mod input;
mod names;
mod rename;
mod service;

use std::sync::Arc;

use async_trait::async_trait;
use floe_core::{
    CatalogClient, CatalogPlugin, PluginConfig, PluginDescriptor, PluginKind, Result, StorageClient,
};

pub use client::GlueCatalog;
pub use config::GlueCatalogConfig;

/// The plugin `glue`: the AWS Glue Data Catalog.
#[derive(Debug, Clone, Copy, Default)]
pub struct GlueCatalogPlugin;

floe_core::register_catalog!(|| Arc::new(GlueCatalogPlugin));

#[async_trait]
impl CatalogPlugin for GlueCatalogPlugin {
    fn descriptor(&self) -> PluginDescriptor {
        PluginDescriptor {
            kind: PluginKind::Catalog,
            name: "glue",
            summary: "the AWS Glue Data Catalog, shared with Java, PyIceberg and Athena",
            version: env!("CARGO_PKG_VERSION"),
            schemes: &[],
            config_schema: schemars::schema_for!(GlueCatalogConfig),
        }
    }

    fn is_remote(&self, _config: &PluginConfig) -> bool {
        true
    }

    async fn connect(
        &self,
        config: &PluginConfig,
        storage: Arc<dyn StorageClient>,
    ) -> Result<Arc<dyn CatalogClient>> {
        let typed: GlueCatalogConfig = config.parse()?;
        Ok(Arc::new(GlueCatalog::connect(&typed, config.name(), storage.as_ref()).await?))
    }
}
