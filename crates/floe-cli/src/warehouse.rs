//! Which catalog a command works on, and opening it.

use std::path::{Path, PathBuf};

use floe::config::{TYPE, WAREHOUSE};
use floe::{EMBEDDED_CATALOG, Error, ErrorKind, FloeConfig, IcebergTableManager, Properties, Result};

use crate::args::GlobalArgs;

/// The name of the configuration file.
const CONFIG_FILE: &str = "floe.toml";
/// The warehouse when nothing is configured.
const DEFAULT_WAREHOUSE: &str = "warehouse";

/// A catalog that can be opened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Location {
    /// The option that chooses it again, with a space before it; empty when none is needed.
    option: String,
    /// The catalog's name.
    pub(crate) name: String,
    /// Its properties.
    pub(crate) properties: Properties,
}

impl Location {
    /// The catalog that options, environment and configuration files choose.
    pub(crate) fn find(global: &GlobalArgs) -> Result<Self> {
        let folder = std::env::current_dir()?;
        let env: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
            .collect();
        Self::choose(global, &env, &folder)
    }

    fn choose(global: &GlobalArgs, env: &[(String, String)], folder: &Path) -> Result<Self> {
        let variable =
            |name: &str| env.iter().find(|(k, v)| k == name && !v.is_empty()).map(|(_, v)| v.as_str());
        if global.warehouse.is_some() && global.catalog.is_some() {
            return Err(Error::validation("--warehouse and --catalog cannot be given together"));
        }
        if let Some(warehouse) = &global.warehouse {
            let mut location = Self::embedded(folder, &warehouse.to_string_lossy())?;
            location.option = format!(" --warehouse {}", quoted(&warehouse.to_string_lossy()));
            return Ok(location);
        }
        let named = match (&global.catalog, variable("FLOE_WAREHOUSE")) {
            (Some(name), _) => Some(name.as_str()),
            (None, Some(warehouse)) => return Self::embedded(folder, warehouse),
            (None, None) => variable("FLOE_CATALOG"),
        };
        let config = load_config(env, folder)?;
        if named.is_none() && config.default_catalog.is_none() && config.catalogs.is_empty() {
            return Self::embedded(folder, DEFAULT_WAREHOUSE);
        }
        let (name, properties) = config.catalog(named)?;
        let option = global.catalog.as_ref().map(|name| format!(" --catalog {}", quoted(name)));
        Ok(Self { option: option.unwrap_or_default(), name: name.to_owned(), properties: properties.clone() })
    }

    fn embedded(folder: &Path, warehouse: &str) -> Result<Self> {
        if warehouse.is_empty() {
            return Err(Error::validation("the warehouse folder has an empty name"));
        }
        let properties =
            Properties::default().with(TYPE, "local").with(WAREHOUSE, absolute(folder, warehouse));
        Ok(Self { option: String::new(), name: EMBEDDED_CATALOG.to_owned(), properties })
    }

    /// The warehouse as configured, for messages.
    pub(crate) fn warehouse(&self) -> &str {
        self.properties.get(WAREHOUSE).unwrap_or("")
    }

    /// The option that chooses this catalog again, for examples: ` --warehouse DIR`, or nothing.
    pub(crate) fn option(&self) -> &str {
        &self.option
    }

    /// Opens the catalog to read, or to change tables that are there.
    pub(crate) async fn open(&self) -> Result<IcebergTableManager> {
        floe::connect(&self.name, &self.properties).await
    }

    /// Opens the catalog to make tables in it. Fails with `FileNotFound` where a local warehouse holds tables
    /// but has lost its catalog file: a new one would hide them.
    pub(crate) async fn open_to_create(&self) -> Result<IcebergTableManager> {
        let folder = Path::new(self.warehouse());
        let is_plain = self.properties.get(TYPE) == Some("local") && self.properties.get("uri").is_none();
        if is_plain && folder.is_absolute() && !folder.join("catalog.db").exists() && holds_tables(folder) {
            return Err(Error::new(
                ErrorKind::FileNotFound,
                format!("{} holds tables, but its catalog.db is missing", folder.display()),
            )
            .with_hint("restore the file, or start a new catalog beside those tables with `floe init`"));
        }
        self.open().await
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+:".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// Configuration files and the environment, one laid over the other.
fn load_config(env: &[(String, String)], folder: &Path) -> Result<FloeConfig> {
    let variable = |name: &str| env.iter().find(|(k, v)| k == name && !v.is_empty()).map(|(_, v)| v);
    let user = variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(home).join(".config")))
        .map(|config| config.join("floe").join(CONFIG_FILE))
        .filter(|path| path.is_file());
    let project = folder.ancestors().map(|f| f.join(CONFIG_FILE)).find(|path| path.is_file());
    let mut config = FloeConfig::default();
    for path in [user, project].into_iter().flatten() {
        let mut layer = FloeConfig::from_file(&path)?;
        let beside = path.parent().unwrap_or(folder);
        for properties in layer.catalogs.values_mut() {
            // A path in a file counts from the file's own folder, wherever the command runs.
            if let Some(warehouse) = properties.get(WAREHOUSE)
                && !warehouse.contains(':')
            {
                properties.set(WAREHOUSE, absolute(beside, warehouse));
            }
        }
        config = config.merge(layer);
    }
    Ok(config.with_env(env.iter().cloned()))
}

/// A path that does not depend on the working directory; URIs stay as they are.
fn absolute(folder: &Path, path: &str) -> String {
    if path.contains("://") || path.starts_with("file:/") {
        return path.to_owned();
    }
    let joined = folder.join(path);
    std::path::absolute(&joined).unwrap_or(joined).to_string_lossy().into_owned()
}

/// Whether metadata of tables lies where this warehouse would keep it: `NAMESPACE/TABLE/metadata`.
fn holds_tables(folder: &Path) -> bool {
    let folders = |path: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|e| e.path()).filter(|p| p.is_dir()).take(1000).collect()
    };
    folders(folder).iter().any(|ns| folders(ns).iter().any(|table| table.join("metadata").is_dir()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn global(warehouse: Option<&str>, catalog: Option<&str>) -> GlobalArgs {
        GlobalArgs {
            warehouse: warehouse.map(PathBuf::from),
            catalog: catalog.map(str::to_owned),
            json: false,
            quiet: false,
            verbose: 0,
        }
    }

    fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn options_win_over_environment_over_files_over_the_default() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let none = Location::choose(&global(None, None), &[], root).unwrap();
        assert_eq!(
            (none.name.as_str(), none.warehouse()),
            ("default", root.join("warehouse").to_str().unwrap())
        );

        let text = "default-catalog = 'a'\n[catalogs.a]\ntype='local'\nwarehouse='x'\n[catalogs.b]\ntype='local'\nwarehouse='/y'";
        fs::write(root.join("floe.toml"), text).unwrap();
        let below = root.join("deep/er");
        fs::create_dir_all(&below).unwrap();
        let choose = |g: GlobalArgs, e: &[(&str, &str)]| Location::choose(&g, &env(e), &below).unwrap();
        let file = choose(global(None, None), &[]);
        assert_eq!((file.name.as_str(), file.warehouse()), ("a", root.join("x").to_str().unwrap()));
        let by_env = choose(global(None, None), &[("FLOE_CATALOG", "b")]);
        assert_eq!((by_env.name.as_str(), by_env.warehouse()), ("b", "/y"));
        let both = choose(global(None, None), &[("FLOE_CATALOG", "b"), ("FLOE_WAREHOUSE", "/w")]);
        assert_eq!(both.warehouse(), "/w");
        let option = choose(global(None, Some("a")), &[("FLOE_WAREHOUSE", "/w")]);
        assert_eq!(option.name, "a");
        let option = choose(global(Some("v"), None), &[("FLOE_CATALOG", "b")]);
        assert_eq!(option.warehouse(), below.join("v").to_str().unwrap());
    }

    #[test]
    fn warehouse_and_catalog_exclude_each_other() {
        let error = Location::choose(&global(Some("w"), Some("c")), &[], Path::new("/")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
    }

    #[test]
    fn an_unknown_catalog_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = Location::choose(&global(None, Some("nope")), &[], folder.path()).unwrap_err();
        assert!(error.to_string().contains("'nope'"), "{error}");
    }

    #[test]
    fn tables_without_a_catalog_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!holds_tables(folder.path()));
        assert!(!holds_tables(&folder.path().join("missing")));
        fs::create_dir_all(folder.path().join("ns/t/metadata")).unwrap();
        assert!(holds_tables(folder.path()));
    }
}
