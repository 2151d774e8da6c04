//! From configuration to a manager.

use std::sync::Arc;

use floe_core::config::{OTHER_SCHEMES, STORAGE, TYPE, WAREHOUSE, unknown_keys};
use floe_core::{
    Error, PluginConfig, PluginKind, Properties, Reach, Registry, Result, StorageClient, StorageRouter,
    no_local_files,
};

use super::IcebergTableManager;
use crate::model::IcebergTableManagerConfig;

impl IcebergTableManager {
    /// Opens the catalog `name` as its `properties` say: `type` names the catalog plugin, `storage` the
    /// storage plugin (absent, the scheme of `warehouse` decides; where the catalog's server decides where tables
    /// go, the location of each table), the rest is theirs.
    ///
    /// Where the catalog is on a server ([`floe_core::CatalogPlugin::is_remote`]), files of this machine are used only if
    /// `storage` names the plugin for them, and tables are read in their own kind of storage alone unless
    /// `other-schemes-enabled` is true.
    ///
    /// Fails with `NoSuchPlugin`, or with `Validation` for a property that neither plugin knows, and for local files that
    /// are not asked for.
    pub async fn connect(
        registry: &Registry,
        name: &str,
        properties: &Properties,
        config: IcebergTableManagerConfig,
    ) -> Result<Self> {
        let plugin = PluginConfig::new(name, properties)?;
        let catalog_type = plugin.get(TYPE).ok_or_else(|| {
            let types: Vec<&str> = registry.descriptors().iter().map(|d| d.name).collect();
            Error::validation(format!("catalog '{name}' has no type"))
                .with_hint(format!("set type to one of: {}", types.join(", ")))
        })?;
        let catalog = registry.catalog(catalog_type)?;
        let descriptor = catalog.descriptor();
        let named = plugin.get(STORAGE).map(|name| registry.storage(name)).transpose()?;
        let storages = match (&named, plugin.get(WAREHOUSE)) {
            (Some(storage), _) => vec![storage.descriptor()],
            // The location of each table decides, which only the server knows.
            (None, _) if catalog.places_tables() => {
                registry.descriptors().into_iter().filter(|d| d.kind == PluginKind::Storage).collect()
            }
            (None, Some(warehouse)) => vec![registry.storage_for_uri(warehouse)?.descriptor()],
            (None, None) => {
                return Err(Error::validation(format!("catalog '{name}' has no warehouse"))
                    .with_hint("set warehouse to the URI or folder where tables are kept"));
            }
        };
        let known: Vec<_> = storages.iter().chain([&descriptor]).collect();
        let unknown = unknown_keys(plugin.keys(), &known);
        if !unknown.is_empty() {
            return Err(Error::validation(format!(
                "catalog '{name}' has unknown properties: {}",
                unknown.join(", ")
            ))
            .with_hint("`floe plugins --json` shows what each plugin knows"));
        }
        let is_remote = catalog.is_remote(&plugin);
        if is_remote && named.is_none() && !catalog.places_tables() && storages[0].schemes.contains(&"file") {
            return Err(no_local_files(&format!("the warehouse of the catalog '{name}'")));
        }
        let reach = match (is_remote, others(&plugin)?) {
            (true, false) => Reach::OwnSchemes,
            _ => Reach::Anywhere,
        };
        let storage: Arc<dyn StorageClient> = if catalog.places_tables() {
            Arc::new(StorageRouter::new(registry.clone(), named, plugin.clone()))
        } else {
            registry.storage(storages[0].name)?.connect(&plugin).await?
        };
        let catalog = catalog.connect(&plugin, storage.clone()).await?;
        Self::within(catalog, storage, config, reach)
    }
}

/// Whether the user lets tables have files in other kinds of storage than their own.
fn others(config: &PluginConfig) -> Result<bool> {
    match config.get(OTHER_SCHEMES).map(str::to_ascii_lowercase).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Error::validation(format!("property '{OTHER_SCHEMES}' must be true or false"))),
    }
}
