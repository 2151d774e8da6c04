//! Finding plugins by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{CatalogPlugin, Error, ErrorKind, PluginDescriptor, Result, StoragePlugin};

/// A catalog plugin that some linked crate registered with [`crate::register_catalog!`].
pub struct CatalogRegistration(pub fn() -> Arc<dyn CatalogPlugin>);

/// A storage plugin that some linked crate registered with [`crate::register_storage!`].
pub struct StorageRegistration(pub fn() -> Arc<dyn StoragePlugin>);

inventory::collect!(CatalogRegistration);
inventory::collect!(StorageRegistration);

/// Registers a catalog plugin for every [`Registry::linked`] of the binary this crate is linked into.
///
/// A crate that is only listed as a dependency is not linked: name it once (`use my_plugin as _;`).
#[macro_export]
macro_rules! register_catalog {
    ($make:expr) => {
        $crate::inventory::submit! { $crate::CatalogRegistration($make) }
    };
}

/// Registers a storage plugin for every [`Registry::linked`] of the binary this crate is linked into.
///
/// A crate that is only listed as a dependency is not linked: name it once (`use my_plugin as _;`).
#[macro_export]
macro_rules! register_storage {
    ($make:expr) => {
        $crate::inventory::submit! { $crate::StorageRegistration($make) }
    };
}

/// The plugins an application can use, by name.
///
/// [`Registry::linked`] holds what the linked crates registered by themselves; [`Registry::with_catalog`] and
/// [`Registry::with_storage`] add more by an explicit call.
#[derive(Clone, Default)]
pub struct Registry {
    catalogs: BTreeMap<&'static str, Arc<dyn CatalogPlugin>>,
    storages: BTreeMap<&'static str, Arc<dyn StoragePlugin>>,
}

impl Registry {
    /// A registry without plugins.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The plugins that the crates linked into this binary registered.
    pub fn linked() -> Self {
        let mut registry = Self::empty();
        for registration in inventory::iter::<CatalogRegistration> {
            registry = registry.with_catalog((registration.0)());
        }
        for registration in inventory::iter::<StorageRegistration> {
            registry = registry.with_storage((registration.0)());
        }
        registry
    }

    /// Adds a catalog plugin, in place of one of the same name.
    pub fn with_catalog(mut self, plugin: Arc<dyn CatalogPlugin>) -> Self {
        self.catalogs.insert(plugin.descriptor().name, plugin);
        self
    }

    /// Adds a storage plugin, in place of one of the same name.
    pub fn with_storage(mut self, plugin: Arc<dyn StoragePlugin>) -> Self {
        self.storages.insert(plugin.descriptor().name, plugin);
        self
    }

    /// The catalog plugin called `name`; [`ErrorKind::NoSuchPlugin`] names those there are.
    pub fn catalog(&self, name: &str) -> Result<Arc<dyn CatalogPlugin>> {
        self.catalogs.get(name).cloned().ok_or_else(|| missing("catalog", name, self.catalogs.keys()))
    }

    /// The storage plugin called `name`; [`ErrorKind::NoSuchPlugin`] names those there are.
    pub fn storage(&self, name: &str) -> Result<Arc<dyn StoragePlugin>> {
        self.storages.get(name).cloned().ok_or_else(|| missing("storage", name, self.storages.keys()))
    }

    /// The storage plugin that serves the scheme of `uri`; a path without a scheme counts as `file`.
    pub fn storage_for_uri(&self, uri: &str) -> Result<Arc<dyn StoragePlugin>> {
        let scheme = match uri.split_once("://") {
            Some((scheme, _)) => scheme,
            None => uri.split_once(":/").map_or("file", |(scheme, _)| scheme),
        };
        self.storages
            .values()
            .find(|plugin| plugin.descriptor().schemes.contains(&scheme))
            .cloned()
            .ok_or_else(|| missing("storage for scheme", scheme, self.storages.keys()))
    }

    /// What every plugin says about itself, catalogs first, by name.
    pub fn descriptors(&self) -> Vec<PluginDescriptor> {
        let catalogs = self.catalogs.values().map(|p| p.descriptor());
        catalogs.chain(self.storages.values().map(|p| p.descriptor())).collect()
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("catalogs", &self.catalogs.keys().collect::<Vec<_>>())
            .field("storages", &self.storages.keys().collect::<Vec<_>>())
            .finish()
    }
}

fn missing<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a &'static str>) -> Error {
    let known: Vec<&str> = known.copied().collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Error::new(
        ErrorKind::NoSuchPlugin,
        format!("no {what} plugin called '{name}' is linked into this binary"),
    )
    .with_hint(format!("linked: {known}; plugins are chosen by cargo features"))
}
