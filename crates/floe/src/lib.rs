//! The complete Apache Iceberg table lifecycle in Rust, on the official `iceberg` crates.
//!
//! This crate is the door: it re-exports the manager and links the plugins that its cargo features choose
//! (`catalog-local` and `storage-local` by default; `storage-s3`, `storage-gcs`, `storage-azure`; `full` for all).
//!
//! ```
//! use floe::model::{FieldType, SchemaField, TableConfig, TableSchema};
//!
//! # #[tokio::main]
//! # async fn main() -> floe::Result<()> {
//! # let folder = tempfile::tempdir()?;
//! # let warehouse = folder.path();
//! let manager = floe::embedded(warehouse).await?;
//! let fields = vec![SchemaField::new(1, "id", FieldType::Long, true)];
//! let config = TableConfig::new("sales", "orders", TableSchema { fields });
//! manager.ensure_namespace(config.ident()?.namespace()).await?;
//! let table = manager.create_table(&config, false).await?;
//! assert_eq!(table.ident.to_string(), "sales.orders");
//! # Ok(())
//! # }
//! ```

mod features;

// A crate that is only listed as a dependency is not linked, and then registers nothing.
#[cfg(feature = "catalog-glue")]
use floe_catalog_glue as _;
#[cfg(feature = "catalog-local")]
use floe_catalog_local as _;
#[cfg(feature = "catalog-polaris")]
use floe_catalog_polaris as _;
#[cfg(feature = "storage-azure")]
use floe_storage_azure as _;
#[cfg(feature = "storage-gcs")]
use floe_storage_gcs as _;
#[cfg(feature = "storage-local")]
use floe_storage_local as _;
#[cfg(feature = "storage-s3")]
use floe_storage_s3 as _;

pub use floe_core::{
    Action, CommitTurn, Error, ErrorKind, FloeConfig, LoadedTable, PluginDescriptor, PluginKind, Properties,
    Registry, Result, catalog, config, env, guard, json_id, limits, location, metadata_file, names, plugin,
    secret, span, storage, text,
};
pub use floe_iceberg::{
    DroppedTable, IcebergTableManager, NamespaceListing, Scan, SkippedNamespace, StepOutcome, Transaction,
    TransactionOutcome, base, commit, data, execute, footer, model, refs, settled,
};
pub use floe_plan as plan;
pub use iceberg;

/// The catalog name of an embedded warehouse, as PyIceberg must be told it.
pub const EMBEDDED_CATALOG: &str = "default";

/// Opens the embedded default: a warehouse folder that holds its own SQLite catalog, `catalog.db`, and local
/// files. Nothing is written until the first write; a missing folder is made then.
///
/// PyIceberg opens the same folder as
/// `load_catalog("default", type="sql", uri="sqlite:///FOLDER/catalog.db")`.
#[cfg(all(feature = "catalog-local", feature = "storage-local"))]
pub async fn embedded(warehouse: impl AsRef<std::path::Path>) -> Result<IcebergTableManager> {
    let properties = Properties::default()
        .with(config::TYPE, "local")
        .with(config::STORAGE, "local")
        .with(config::WAREHOUSE, warehouse.as_ref().to_string_lossy());
    connect(EMBEDDED_CATALOG, &properties).await
}

/// Opens the catalog `name` with the plugins linked into this binary; see [`IcebergTableManager::connect`].
pub async fn connect(name: &str, properties: &Properties) -> Result<IcebergTableManager> {
    IcebergTableManager::connect(
        &Registry::linked(),
        name,
        properties,
        model::IcebergTableManagerConfig::default(),
    )
    .await
}
