//! Which cargo feature of this crate links which plugin: said also of those that are switched off, so that the error
//! of a plugin that is not linked names the feature to switch on.

use floe_core::{PluginFeature, PluginKind};

floe_core::announce_features!(PLUGINS);

/// Every plugin that this crate can link.
const PLUGINS: &[PluginFeature] = &[
    catalog("catalog-local", &["local"]),
    catalog("catalog-polaris", &["polaris", "rest"]),
    catalog("catalog-glue", &["glue"]),
    storage("storage-local", &["local"], &["file"]),
    storage("storage-s3", &["s3"], &["s3", "s3a", "s3n"]),
    storage("storage-gcs", &["gcs"], &["gs", "gcs"]),
    storage("storage-azure", &["azure"], &["abfss", "abfs", "wasbs", "wasb"]),
];

const fn catalog(feature: &'static str, names: &'static [&'static str]) -> PluginFeature {
    PluginFeature { kind: PluginKind::Catalog, names, schemes: &[], package: "floe", feature }
}

const fn storage(
    feature: &'static str,
    names: &'static [&'static str],
    schemes: &'static [&'static str],
) -> PluginFeature {
    PluginFeature { kind: PluginKind::Storage, names, schemes, package: "floe", feature }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use floe_core::Registry;

    use super::*;

    #[test]
    fn every_linked_plugin_is_announced_as_it_describes_itself() {
        let linked: BTreeSet<_> =
            Registry::linked().descriptors().iter().map(|d| (d.kind, d.name, d.schemes.to_vec())).collect();
        let announced = PLUGINS.iter().flat_map(|f| f.names.iter().map(|n| (f.kind, *n, f.schemes.to_vec())));
        let announced: BTreeSet<_> = announced.collect();
        let surplus: Vec<_> = linked.difference(&announced).collect();
        assert!(surplus.is_empty(), "not announced: {surplus:?}");
        if cfg!(feature = "full") {
            assert_eq!(linked, announced);
        }
    }

    #[test]
    fn the_features_are_those_of_the_manifest() {
        let manifest = include_str!("../Cargo.toml");
        for PluginFeature { feature, .. } in PLUGINS {
            assert!(manifest.contains(&format!("\n{feature} = ")), "{feature}");
        }
    }
}
