//! A catalog in one SQLite file, or in a PostgreSQL database, in the layout of PyIceberg's `SqlCatalog`: both open the
//! same one under the same catalog name. Those that Iceberg's JDBC catalog for Java made (schema versions V0 and V1)
//! open as well.
//!
//! In a SQLite file, the embedded default:
//!
//! - The file and its tables are made by the first command that writes; reading never makes them.
//! - Several processes may share the file. A commit is one compare-and-swap `UPDATE` on the location of the
//!   table's metadata file.
//! - Writers of a table queue, in a process and across processes, at locked files in the folder
//!   `<catalog file>-turns`. That is advice: the folder may be removed while nobody writes, and other engines need
//!   not know it.
//! - The journal mode of the file is left as it is. A file made here keeps SQLite's rollback journal with full
//!   synchronisation: a catalog stays one file, which can be copied and read from read-only media, and a swap
//!   takes well under a millisecond on a local SSD.
//!
//! In a PostgreSQL database (feature `postgres`, `uri = postgresql://…`), for several hosts:
//!
//! - A commit is the same `UPDATE`. A connection that breaks in the middle of it leaves an unknown outcome; what the
//!   server rolled back, or gave up for a lock, is tried again.
//! - Statements end after 8 seconds on the server. A connection that broke while it was idle is found out before a
//!   commit is sent on it. There are 8 connections at most.
//! - Changes of namespaces and names queue at an advisory lock; writers of a table take turns at another.
//! - TLS is as `sslmode` in the URI says: `prefer` by default, `verify-full` where it matters.
//!
//! In both:
//!
//! - Namespaces are kept as their parts joined by dots, so that a part cannot hold a dot itself.
//!
//! ```
//! use floe_core::{CatalogPlugin, PluginKind};
//! use floe_catalog_local::LocalCatalogPlugin;
//!
//! let descriptor = LocalCatalogPlugin.descriptor();
//! assert_eq!((descriptor.kind, descriptor.name), (PluginKind::Catalog, "local"));
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod client;
mod config;
mod database;
mod error;
mod turn;

use std::sync::Arc;

use async_trait::async_trait;
use floe_core::{
    CatalogClient, CatalogPlugin, PluginConfig, PluginDescriptor, PluginKind, Result, StorageClient,
};

pub use client::LocalCatalog;
pub use config::LocalCatalogConfig;

/// The plugin `local`: a catalog in a SQLite file or a PostgreSQL database.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalCatalogPlugin;

floe_core::register_catalog!(|| Arc::new(LocalCatalogPlugin));

impl LocalCatalogPlugin {
    /// Opens the catalog as [`CatalogPlugin::connect`] does, but as its own type, for
    /// [`LocalCatalog::set_up`] and [`LocalCatalog::path`].
    pub fn open(&self, config: &PluginConfig, storage: &dyn StorageClient) -> Result<LocalCatalog> {
        LocalCatalog::new(&config.parse()?, config.name(), storage)
    }
}

#[async_trait]
impl CatalogPlugin for LocalCatalogPlugin {
    fn descriptor(&self) -> PluginDescriptor {
        PluginDescriptor {
            kind: PluginKind::Catalog,
            name: "local",
            summary: if cfg!(feature = "postgres") {
                "a SQLite file or a PostgreSQL database, shared with PyIceberg's SqlCatalog"
            } else {
                "a SQLite file, shared with PyIceberg's SqlCatalog"
            },
            version: env!("CARGO_PKG_VERSION"),
            schemes: &[],
            config_schema: schemars::schema_for!(LocalCatalogConfig),
        }
    }

    /// A database on another host.
    fn is_remote(&self, config: &PluginConfig) -> bool {
        config.parse().is_ok_and(|config: LocalCatalogConfig| config.is_remote())
    }

    async fn connect(
        &self,
        config: &PluginConfig,
        storage: Arc<dyn StorageClient>,
    ) -> Result<Arc<dyn CatalogClient>> {
        Ok(Arc::new(self.open(config, storage.as_ref())?))
    }
}
