//! Which catalog a command works on, and opening it.

use std::path::{Path, PathBuf};

use floe::config::{TYPE, WAREHOUSE};
use floe::limits::Limits;
use floe::{EMBEDDED_CATALOG, Error, ErrorKind, FloeConfig, IcebergTableManager, Properties, Result};

use crate::args::GlobalArgs;
use crate::configuration::{Configuration, Origin, absolute, variable};
use crate::undo::quoted;

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
    /// Where they come from, the last first; nowhere for an embedded warehouse.
    pub(crate) origins: Vec<Origin>,
    /// Memory that a write may take, in bytes, if not the default.
    memory: Option<u64>,
    /// Bounds on what others wrote, as configured.
    limits: Properties,
    /// What the user should know of the configuration.
    pub(crate) notes: Vec<String>,
}

impl Location {
    /// The catalog that options, environment and configuration files choose.
    pub(crate) fn find(global: &GlobalArgs) -> Result<Self> {
        let found = Self::choose(global, &environment(), &std::env::current_dir()?)?;
        let limits = Limits::from_properties(&found.limits)?;
        floe::limits::install(match global.memory {
            Some(bytes) => limits.within(bytes),
            None => limits,
        });
        Ok(Self { memory: global.memory, ..found })
    }

    /// As [`Location::find`], but never the catalog of a PyIceberg user who said nothing of it.
    pub(crate) fn find_own(global: &GlobalArgs) -> Result<Self> {
        let found = Self::find(global)?;
        let borrowed = found.option.is_empty() && found.origins.iter().any(Origin::is_pyiceberg);
        let named = global.catalog.is_some() || std::env::var_os("FLOE_CATALOG").is_some();
        match borrowed && !named {
            true => {
                let own = Self::embedded(&std::env::current_dir()?, DEFAULT_WAREHOUSE)?;
                Ok(Self { memory: global.memory, limits: found.limits, ..own })
            }
            false => Ok(found),
        }
    }

    fn choose(global: &GlobalArgs, env: &[(String, String)], folder: &Path) -> Result<Self> {
        if global.warehouse.is_some() && global.catalog.is_some() {
            return Err(Error::validation("--warehouse and --catalog cannot be given together"));
        }
        if let Some(warehouse) = &global.warehouse {
            let mut location = Self::embedded(folder, &warehouse.to_string_lossy())?;
            location.option = format!(" --warehouse {}", quoted(&warehouse.to_string_lossy()));
            location.limits = limits_of(env);
            return Ok(location);
        }
        let named = match (&global.catalog, variable(env, "FLOE_WAREHOUSE")) {
            (Some(name), _) => Some(name.as_str()),
            (None, Some(warehouse)) => {
                return Ok(Self { limits: limits_of(env), ..Self::embedded(folder, warehouse)? });
            }
            (None, None) => variable(env, "FLOE_CATALOG"),
        };
        let all = Configuration::load(env, folder, global.config(env).as_deref())?;
        let config = &all.config;
        if named.is_none() && config.default_catalog.is_none() && config.catalogs.is_empty() {
            let embedded = Self::embedded(folder, DEFAULT_WAREHOUSE)?;
            return Ok(Self { limits: config.limits.clone(), notes: all.notes, ..embedded });
        }
        let (name, properties) = config.catalog(named)?;
        all.check_trust(name)?;
        let option = global.catalog.as_ref().map(|name| format!(" --catalog {}", quoted(name)));
        Ok(Self {
            option: option.unwrap_or_default(),
            name: name.to_owned(),
            properties: properties.clone(),
            origins: all.origins_of(name).to_vec(),
            memory: None,
            limits: config.limits.clone(),
            notes: all.notes.clone(),
        })
    }

    fn embedded(folder: &Path, warehouse: &str) -> Result<Self> {
        if warehouse.is_empty() {
            return Err(Error::validation("the warehouse folder has an empty name"));
        }
        let properties =
            Properties::default().with(TYPE, "local").with(WAREHOUSE, absolute(folder, warehouse));
        let name = EMBEDDED_CATALOG.to_owned();
        Ok(Self {
            option: String::new(),
            name,
            properties,
            origins: Vec::new(),
            memory: None,
            limits: Properties::default(),
            notes: Vec::new(),
        })
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
        let manager = floe::connect(&self.name, &self.properties).await?;
        match self.memory {
            Some(bytes) => manager.with_write_memory(bytes),
            None => Ok(manager),
        }
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

/// The limits that variables set, where no file is read.
fn limits_of(env: &[(String, String)]) -> Properties {
    FloeConfig::default().with_env(env.iter().cloned()).limits
}

/// The variables of the environment that are text.
pub(crate) fn environment() -> Vec<(String, String)> {
    std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect()
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
            memory: None,
            config: None,
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
