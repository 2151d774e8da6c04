//! PyIceberg's configuration: `.pyiceberg.yaml` and `PYICEBERG_CATALOG__…`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use floe::config::{TYPE, WAREHOUSE, unknown_keys};
use floe::{Error, FloeConfig, PluginKind, Properties, Registry, Result};
use serde::Deserialize;

use super::source::{self, Reason};
use super::{Configuration, Origin, Variables, variable};

/// The name of the file.
pub(super) const FILE: &str = ".pyiceberg.yaml";
/// What variables that set a property begin with; upper or lower case.
pub(super) const ENV_PREFIX: &str = "PYICEBERG_CATALOG__";
/// The catalog that PyIceberg opens when none is named.
const DEFAULT: &str = "default";

/// What floe reads of the file. Scalars are text, as PyIceberg takes them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct File {
    catalog: Option<BTreeMap<String, Option<BTreeMap<String, Option<String>>>>>,
    default_catalog: Option<String>,
}

/// Reads the first file there is (in `PYICEBERG_HOME`, the home, `folder`) and lays the environment over it.
pub(super) fn load(env: &Variables, folder: &Path) -> Result<Configuration> {
    let homes = [variable(env, "PYICEBERG_HOME"), variable(env, "HOME")];
    let homes = homes.into_iter().flatten().map(|home| (PathBuf::from(home), Reason::User));
    let places = homes.chain([(folder.to_owned(), Reason::Project)]);
    let found = places.map(|(place, reason)| (place.join(FILE), reason)).find(|(path, _)| path.is_file());
    let mut all = Configuration::default();
    if let Some((path, reason)) = found {
        let document = source::read(&path, reason, env)?;
        let layer =
            parse(&document.text).map_err(|e| e.context(format!("configuration file {}", path.display())))?;
        all.lay_document(layer, &document, &Origin::PyIcebergFile(path.clone()), &path);
    }
    all.lay(from_env(env), &Origin::PyIcebergEnvironment);
    let registry = Registry::linked();
    for (name, properties) in &mut all.config.catalogs {
        let (translated, ignored) = translate(properties, &registry);
        *properties = translated;
        if !ignored.is_empty() {
            all.ignored.insert(name.clone(), ignored);
        }
    }
    if all.config.default_catalog.is_none() && all.config.catalogs.contains_key(DEFAULT) {
        all.config.default_catalog = Some(DEFAULT.to_owned());
    }
    Ok(all)
}

pub(super) fn parse(text: &str) -> Result<FloeConfig> {
    let file: File = serde_saphyr::from_str(text).map_err(|e| {
        // The message may quote the file, which may hold a secret: tell the place only.
        let place = e.location().map(|l| format!(" at line {}", l.line())).unwrap_or_default();
        Error::validation(format!("not what PyIceberg's configuration looks like{place}"))
            .with_hint("expected `catalog:`, below it a name for each catalog, below that `key: value` pairs")
    })?;
    let mut config = FloeConfig { default_catalog: file.default_catalog, ..FloeConfig::default() };
    for (name, properties) in file.catalog.unwrap_or_default() {
        let pairs = properties
            .unwrap_or_default()
            .into_iter()
            .map(|(key, value)| (key.to_lowercase(), value.unwrap_or_default()));
        config.catalogs.insert(name.to_lowercase(), pairs.collect());
    }
    Ok(config)
}

/// `PYICEBERG_CATALOG__NAME__S3__ACCESS_KEY_ID` is `s3.access-key-id` of `name`.
fn from_env(env: &Variables) -> FloeConfig {
    let mut config = FloeConfig::default();
    for (variable, value) in env {
        let variable = variable.to_lowercase();
        if variable == "pyiceberg_default_catalog" {
            config.default_catalog = Some(value.clone());
        } else if let Some((name, key)) =
            variable.strip_prefix(&ENV_PREFIX.to_lowercase()).and_then(|rest| rest.split_once("__"))
        {
            let name = name.replace('_', "-");
            let key = key.replace("__", ".").replace('_', "-");
            config.catalogs.entry(name).or_default().set(key, value);
        }
    }
    config
}

/// The properties in floe's words, and those that no plugin of this binary has.
fn translate(properties: &Properties, registry: &Registry) -> (Properties, Vec<String>) {
    let given = properties.get(TYPE).map(str::to_lowercase);
    let kind = given.or_else(|| inferred(properties.get("uri").unwrap_or_default()).map(str::to_owned));
    let kind = kind.as_deref().map(|kind| if kind == "sql" { "local" } else { kind });
    let places = kind.and_then(|kind| registry.catalog(kind).ok()).is_some_and(|c| c.places_tables());
    // Without a location of its own, any storage may serve a table.
    let warehouse = properties.get(WAREHOUSE).filter(|_| !places);
    let storage = warehouse.and_then(|w| registry.storage_for_uri(w).ok()).map(|s| s.descriptor().name);
    let mut plugins = registry.descriptors();
    plugins.retain(|plugin| match plugin.kind {
        PluginKind::Catalog => Some(plugin.name) == kind,
        PluginKind::Storage => storage.is_none_or(|name| name == plugin.name),
    });
    let ignored = unknown_keys(properties.keys(), &plugins.iter().collect::<Vec<_>>());
    let kept = properties.keys().filter(|key| !ignored.iter().any(|i| i == key));
    let mut translated: Properties =
        kept.filter_map(|key| properties.get(key).map(|value| (key, value))).collect();
    if let Some(kind) = kind {
        translated.set(TYPE, kind);
    }
    (translated, ignored)
}

/// The type that PyIceberg infers from the URI.
fn inferred(uri: &str) -> Option<&'static str> {
    let scheme = uri.split(':').next().unwrap_or_default();
    match scheme.split('+').next().unwrap_or_default() {
        "http" | "https" => Some("rest"),
        "sqlite" | "postgresql" | "postgres" => Some("sql"),
        "thrift" => Some("hive"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const YAML: &str = r"
catalog:
  Lake:
    type: sql
    uri: sqlite:////lake/catalog.db
    warehouse: file:///lake
    py-io-impl: pyiceberg.io.pyarrow.PyArrowFileIO
    busy-timeout-ms: 0700
  server:
    uri: https://catalog.example.com
    token:
max-workers: 4
default-catalog: lake
";

    fn load_text(text: &str, env: &[(&str, &str)]) -> Result<Configuration> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), text).unwrap();
        let mut all: Vec<(String, String)> =
            env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        all.push(("PYICEBERG_HOME".into(), folder.path().to_string_lossy().into_owned()));
        load(&all, Path::new("/"))
    }

    #[test]
    fn types_are_translated_and_values_stay_text() {
        let all = load_text(YAML, &[]).unwrap();
        let (name, lake) = all.config.catalog(None).unwrap();
        assert_eq!(
            (name, lake.get(TYPE), lake.get("warehouse")),
            ("lake", Some("local"), Some("file:///lake"))
        );
        assert_eq!(lake.get("busy-timeout-ms"), Some("0700"));
        assert_eq!(all.ignored["lake"], ["py-io-impl"]);
        assert_eq!(all.config.catalogs["server"].get(TYPE), Some("rest"), "inferred from the URI");
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let env = [
            ("PYICEBERG_CATALOG__LAKE__WAREHOUSE", "file:///other"),
            ("pyiceberg_catalog__extra__uri", "sqlite:////x.db"),
            ("PYICEBERG_DEFAULT_CATALOG", "extra"),
        ];
        let all = load_text(YAML, &env).unwrap();
        assert_eq!(all.config.catalogs["lake"].get("warehouse"), Some("file:///other"));
        assert_eq!(all.config.catalog(None).unwrap().0, "extra");
        assert_eq!(all.origins_of("lake")[0], Origin::PyIcebergEnvironment);
    }

    #[test]
    fn the_catalog_called_default_is_the_default() {
        let all =
            load_text("catalog:\n  default:\n    uri: sqlite:////x.db\n  other:\n    uri: http://h\n", &[]);
        assert_eq!(all.unwrap().config.catalog(None).unwrap().0, "default");
    }

    #[test]
    fn a_broken_file_is_named_and_not_quoted() {
        for text in ["catalog:\n  a:\n    token: [hunter2\n", "catalog:\n  a: hunter2\n", "catalog: hunter2"]
        {
            let error = load_text(text, &[]).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(FILE) && !shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn without_a_file_there_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let all = load(&[], folder.path()).unwrap();
        assert!(all.config.catalogs.is_empty() && all.config.default_catalog.is_none());
    }
}
