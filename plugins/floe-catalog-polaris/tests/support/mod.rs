//! Servers for the tests, and connections to them.

#![allow(dead_code, clippy::print_stdout)]

pub(crate) mod fake;

use std::sync::Arc;

use floe_catalog_polaris::{RestCatalog, RestCatalogPlugin};
use floe_core::{
    CatalogClient, Environment, PluginConfig, Properties, Result, StorageClient, StoragePlugin,
    SystemEnvironment,
};
use floe_storage_local::LocalStoragePlugin;
use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};
use iceberg::{NamespaceIdent, TableCreation};

/// The Iceberg REST fixture: its address and the folder of its warehouse.
#[derive(Debug, Clone)]
pub(crate) struct Fixture {
    pub(crate) uri: String,
    pub(crate) warehouse: String,
}

/// The fixture, or `None` where `FLOE_SKIP_SERVICES=1` leaves the tests with servers out. Panics when there is
/// neither: a test that did not run must not look like one that passed.
pub(crate) fn fixture() -> Option<Fixture> {
    if std::env::var("FLOE_SKIP_SERVICES").is_ok_and(|value| value == "1") {
        println!("NOT RUN: FLOE_SKIP_SERVICES=1 leaves out the tests with servers");
        return None;
    }
    let variable = |name: &str| {
        std::env::var(name).unwrap_or_else(|_| {
            panic!(
                "{name} is not set: run `cargo xtask test` or `cargo xtask integration`, or set \
                 FLOE_SKIP_SERVICES=1 to leave these tests out"
            )
        })
    };
    Some(Fixture { uri: variable("FLOE_TEST_REST_URI"), warehouse: variable("FLOE_TEST_REST_WAREHOUSE") })
}

pub(crate) fn config(pairs: &[(&str, &str)]) -> PluginConfig {
    PluginConfig::new("test", &pairs.iter().copied().collect::<Properties>()).unwrap()
}

/// Local files, with their warehouse in `folder`.
pub(crate) async fn local(folder: &str) -> Arc<dyn StorageClient> {
    LocalStoragePlugin::new().connect(&config(&[("warehouse", folder)])).await.unwrap()
}

/// A catalog of the plugin `rest` over local files.
pub(crate) async fn open(pairs: &[(&str, &str)]) -> Result<RestCatalog> {
    open_at(pairs, Arc::new(SystemEnvironment)).await
}

pub(crate) async fn open_at(pairs: &[(&str, &str)], env: Arc<dyn Environment>) -> Result<RestCatalog> {
    RestCatalogPlugin::rest().open(&config(pairs), local("/tmp/floe-no-warehouse").await, env).await
}

/// A namespace that no other test uses, made.
pub(crate) async fn fresh(client: &dyn CatalogClient) -> NamespaceIdent {
    let namespace = NamespaceIdent::new(format!("t{}", uuid::Uuid::new_v4().simple()));
    client.create_namespace(&namespace, Default::default()).await.unwrap();
    namespace
}

pub(crate) fn schema() -> Schema {
    let fields = vec![NestedField::required(1, "id", Type::Primitive(PrimitiveType::Long)).into()];
    Schema::builder().with_fields(fields).build().unwrap()
}

pub(crate) fn creation(name: &str) -> TableCreation {
    TableCreation::builder().name(name.into()).schema(schema()).build()
}
