//! The catalogs that are configured: by files and the environment, one laid over the other.

mod pyiceberg;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use floe::config::{ENV_PREFIX, WAREHOUSE};
use floe::{FloeConfig, Result};

/// The name of the configuration file.
const CONFIG_FILE: &str = "floe.toml";

/// Variables of the environment, or of a test.
pub(crate) type Variables = [(String, String)];

/// Where configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `floe.toml`, the user's or the project's.
    File(PathBuf),
    /// `FLOE_CATALOG__…`.
    Environment,
    /// PyIceberg's `.pyiceberg.yaml`.
    PyIcebergFile(PathBuf),
    /// `PYICEBERG_CATALOG__…`.
    PyIcebergEnvironment,
}

impl Origin {
    /// Whether it is PyIceberg's configuration.
    pub(crate) fn is_pyiceberg(&self) -> bool {
        matches!(self, Self::PyIcebergFile(_) | Self::PyIcebergEnvironment)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) | Self::PyIcebergFile(path) => write!(f, "{}", path.display()),
            Self::Environment => write!(f, "{ENV_PREFIX}…"),
            Self::PyIcebergEnvironment => write!(f, "{}…", pyiceberg::ENV_PREFIX),
        }
    }
}

/// Every configured catalog, and where each comes from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Configuration {
    /// The catalogs.
    pub(crate) config: FloeConfig,
    /// Where each catalog's properties come from, the last first.
    pub(crate) origins: BTreeMap<String, Vec<Origin>>,
    /// Properties of PyIceberg's configuration that floe does not have, by catalog.
    pub(crate) ignored: BTreeMap<String, Vec<String>>,
}

impl Configuration {
    /// Reads the user's file, the project's (in `folder` or the first one above it that has one) and the
    /// environment. Where none of them names a catalog, PyIceberg's configuration is read in their place.
    pub(crate) fn load(env: &Variables, folder: &Path) -> Result<Self> {
        let mut all = Self::default();
        let user = variable(env, "XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| variable(env, "HOME").map(|home| Path::new(home).join(".config")))
            .map(|config| config.join("floe").join(CONFIG_FILE))
            .filter(|path| path.is_file());
        let project = folder.ancestors().map(|f| f.join(CONFIG_FILE)).find(|path| path.is_file());
        for path in [user, project].into_iter().flatten() {
            let mut layer = FloeConfig::from_file(&path)?;
            let beside = path.parent().unwrap_or(folder);
            for properties in layer.catalogs.values_mut() {
                // A path in a file counts from the file's own folder, wherever the command runs.
                if let Some(warehouse) = properties.get(WAREHOUSE)
                    && is_relative_path(warehouse, properties.get("type"))
                {
                    properties.set(WAREHOUSE, absolute(beside, warehouse));
                }
            }
            all.lay(layer, &Origin::File(path));
        }
        all.lay(FloeConfig::default().with_env(env.iter().cloned()), &Origin::Environment);
        if all.config.catalogs.is_empty() && all.config.default_catalog.is_none() {
            let mut theirs = pyiceberg::load(env, folder)?;
            theirs.config.limits = all.config.limits;
            return Ok(theirs);
        }
        Ok(all)
    }

    fn lay(&mut self, layer: FloeConfig, origin: &Origin) {
        for name in layer.catalogs.keys() {
            self.origins.entry(name.clone()).or_default().insert(0, origin.clone());
        }
        self.config = std::mem::take(&mut self.config).merge(layer);
    }

    /// Where a catalog comes from, the last first.
    pub(crate) fn origins_of(&self, name: &str) -> &[Origin] {
        self.origins.get(name).map_or(&[], Vec::as_slice)
    }
}

/// A variable that is set to something.
pub(crate) fn variable<'a>(env: &'a Variables, name: &str) -> Option<&'a str> {
    env.iter().find(|(k, v)| k == name && !v.is_empty()).map(|(_, v)| v.as_str())
}

/// A path that does not depend on the working directory; URIs stay as they are.
pub(crate) fn absolute(folder: &Path, path: &str) -> String {
    if path.contains("://") || path.starts_with("file:/") {
        return path.to_owned();
    }
    let joined = folder.join(path);
    std::path::absolute(&joined).unwrap_or(joined).to_string_lossy().into_owned()
}

/// Whether a warehouse is a path: catalogs on a server may have names for theirs.
fn is_relative_path(warehouse: &str, catalog_type: Option<&str>) -> bool {
    !warehouse.contains(':') && catalog_type.is_none_or(|t| t == "local")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn origins_name_every_layer_the_last_first() {
        let home = tempfile::tempdir().unwrap();
        let project = tempfile::tempdir().unwrap();
        let user = home.path().join(".config/floe/floe.toml");
        fs::create_dir_all(user.parent().unwrap()).unwrap();
        fs::write(&user, "[catalogs.a]\ntype='local'\nwarehouse='/a'\n[catalogs.b]\ntype='local'").unwrap();
        let own = project.path().join("floe.toml");
        fs::write(&own, "[catalogs.a]\nwarehouse='here'").unwrap();
        let env = env(&[("HOME", home.path().to_str().unwrap()), ("FLOE_CATALOG__B__WAREHOUSE", "/b")]);
        let all = Configuration::load(&env, project.path()).unwrap();
        assert_eq!(all.origins_of("a"), [Origin::File(own), Origin::File(user.clone())]);
        assert_eq!(all.origins_of("b"), [Origin::Environment, Origin::File(user)]);
        let (_, a) = all.config.catalog(Some("a")).unwrap();
        assert_eq!(a.get(WAREHOUSE), Some(project.path().join("here").to_str().unwrap()));
    }

    #[test]
    fn pyiceberg_is_read_only_when_there_is_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let yaml =
            "catalog:\n  lake:\n    type: sql\n    uri: sqlite:////lake/c.db\n    warehouse: file:///lake\n";
        fs::write(home.path().join(".pyiceberg.yaml"), yaml).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let env = env(&[("HOME", home.path().to_str().unwrap())]);
        let all = Configuration::load(&env, folder.path()).unwrap();
        assert!(all.origins_of("lake")[0].is_pyiceberg());
        fs::write(folder.path().join("floe.toml"), "[catalogs.a]\ntype='local'\nwarehouse='x'").unwrap();
        let all = Configuration::load(&env, folder.path()).unwrap();
        assert_eq!(all.config.catalogs.keys().collect::<Vec<_>>(), ["a"]);
    }
}
