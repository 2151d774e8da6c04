//! From configuration to a manager.

use floe_core::config::{STORAGE, TYPE, WAREHOUSE, unknown_keys};
use floe_core::{Error, PluginConfig, Properties, Registry, Result};

use super::IcebergTableManager;
use crate::model::IcebergTableManagerConfig;

impl IcebergTableManager {
    /// Opens the catalog `name` as its `properties` say: `type` names the catalog plugin, `storage` the
    /// storage plugin (absent, the scheme of `warehouse` decides), the rest is theirs.
    ///
    /// Fails with `NoSuchPlugin`, or with `Validation` for a property that neither plugin knows.
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
        let storage = match (plugin.get(STORAGE), plugin.get(WAREHOUSE)) {
            (Some(storage), _) => registry.storage(storage)?,
            (None, Some(warehouse)) => registry.storage_for_uri(warehouse)?,
            (None, None) => {
                return Err(Error::validation(format!("catalog '{name}' has no warehouse"))
                    .with_hint("set warehouse to the URI or folder where tables are kept"));
            }
        };
        let unknown = unknown_keys(plugin.keys(), &[&catalog.descriptor(), &storage.descriptor()]);
        if !unknown.is_empty() {
            return Err(Error::validation(format!(
                "catalog '{name}' has unknown properties: {}",
                unknown.join(", ")
            ))
            .with_hint("`floe plugins --json` shows what each plugin knows"));
        }
        let storage = storage.connect(&plugin).await?;
        let catalog = catalog.connect(&plugin, storage.clone()).await?;
        Self::new(catalog, storage, config)
    }
}
