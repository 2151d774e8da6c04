//! Finding plugins by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{CatalogPlugin, Error, ErrorKind, PluginDescriptor, PluginKind, Result, StoragePlugin};

/// A catalog plugin that some linked crate registered with [`crate::register_catalog!`].
pub struct CatalogRegistration(pub fn() -> Arc<dyn CatalogPlugin>);

/// A storage plugin that some linked crate registered with [`crate::register_storage!`].
pub struct StorageRegistration(pub fn() -> Arc<dyn StoragePlugin>);

/// The cargo feature that links a plugin, so that the error of one that is missing can name it. Announced with
/// [`crate::announce_features!`] by a crate that chooses plugins by features, whether they are switched on or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PluginFeature {
    /// Catalog or storage.
    pub kind: PluginKind,
    /// The names of the plugins that the feature links.
    pub names: &'static [&'static str],
    /// The URI schemes that they serve; empty for catalogs.
    pub schemes: &'static [&'static str],
    /// The crate that has the feature.
    pub package: &'static str,
    /// The feature.
    pub feature: &'static str,
}

/// The features that some linked crate announced with [`crate::announce_features!`].
pub struct FeatureAnnouncement(pub &'static [PluginFeature]);

inventory::collect!(CatalogRegistration);
inventory::collect!(StorageRegistration);
inventory::collect!(FeatureAnnouncement);

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

/// Announces which cargo features link which plugins: a `&'static` slice of [`PluginFeature`].
#[macro_export]
macro_rules! announce_features {
    ($features:expr) => {
        $crate::inventory::submit! { $crate::FeatureAnnouncement($features) }
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

    /// The catalog plugin called `name`; [`ErrorKind::NoSuchPlugin`] names those there are, and the cargo feature
    /// that links the missing one where a crate announced it.
    pub fn catalog(&self, name: &str) -> Result<Arc<dyn CatalogPlugin>> {
        self.catalogs.get(name).cloned().ok_or_else(|| {
            let feature = announced(|f| f.kind == PluginKind::Catalog && f.names.contains(&name));
            missing(&format!("catalog plugin called '{name}'"), feature, self.catalogs.keys())
        })
    }

    /// The storage plugin called `name`; fails as [`Registry::catalog`] does.
    pub fn storage(&self, name: &str) -> Result<Arc<dyn StoragePlugin>> {
        self.storages.get(name).cloned().ok_or_else(|| {
            let feature = announced(|f| f.kind == PluginKind::Storage && f.names.contains(&name));
            missing(&format!("storage plugin called '{name}'"), feature, self.storages.keys())
        })
    }

    /// The storage plugin that serves the scheme of `uri`; a path without a scheme counts as `file`. Fails as
    /// [`Registry::catalog`] does.
    pub fn storage_for_uri(&self, uri: &str) -> Result<Arc<dyn StoragePlugin>> {
        let scheme = match uri.split_once("://") {
            Some((scheme, _)) => scheme,
            None => uri.split_once(":/").map_or("file", |(scheme, _)| scheme),
        };
        self.storages
            .values()
            .find(|plugin| plugin.descriptor().schemes.contains(&scheme))
            .cloned()
            .ok_or_else(|| {
                let feature = announced(|f| f.schemes.contains(&scheme));
                missing(&format!("storage plugin for the scheme '{scheme}'"), feature, self.storages.keys())
            })
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

/// The first announced feature that `serves`.
fn announced(serves: impl Fn(&PluginFeature) -> bool) -> Option<&'static PluginFeature> {
    inventory::iter::<FeatureAnnouncement>.into_iter().flat_map(|a| a.0).find(|feature| serves(feature))
}

fn missing<'a>(
    what: &str,
    feature: Option<&PluginFeature>,
    known: impl Iterator<Item = &'a &'static str>,
) -> Error {
    let known: Vec<&str> = known.copied().collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let hint = match feature {
        Some(PluginFeature { package, feature, .. }) => {
            format!("switch on the cargo feature `{feature}` of `{package}`; linked: {known}")
        }
        None => format!("linked: {known}; plugins are chosen by cargo features"),
    };
    Error::new(ErrorKind::NoSuchPlugin, format!("no {what} is linked into this binary")).with_hint(hint)
}
