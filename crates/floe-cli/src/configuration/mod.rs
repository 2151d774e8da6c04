//! The catalogs that are configured: by files and the environment, one laid over the other.

mod owner;
mod pyiceberg;
mod search;
mod source;
pub(crate) mod trust;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use floe::config::{ENV_PREFIX, WAREHOUSE};
use floe::{Error, ErrorKind, FloeConfig, Properties, Result};

pub(crate) use self::source::owner_of;
use self::source::{Document, Reason};

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
    /// What the user should know.
    pub(crate) notes: Vec<String>,
    /// What a file that is not trusted does with secrets, by catalog and property.
    withheld: BTreeMap<String, BTreeMap<String, Withheld>>,
}

/// What needs the user's trust.
#[derive(Debug, Clone)]
struct Withheld {
    file: PathBuf,
    what: String,
}

/// The key of what is not about one property.
const WHOLE: &str = "";

impl Configuration {
    /// Reads the user's file, the one that is `named`, or else the project's (in `folder` or the first one above it that has
    /// one), and the environment. Where none of them names a catalog, PyIceberg's configuration is read in their place.
    ///
    /// Files of others, and files that others may write, are refused with `PermissionDenied`.
    pub(crate) fn load(env: &Variables, folder: &Path, named: Option<&Path>) -> Result<Self> {
        let mut all = Self::default();
        let user =
            trust::user_folder(env).map(|folder| folder.join(CONFIG_FILE)).filter(|path| path.is_file());
        if let Some(path) = &user {
            all.read(path, Reason::User, env)?;
        }
        if let Some(path) = named {
            all.read(&folder.join(path), Reason::Named, env)?;
        } else {
            let home = variable(env, "HOME").map(Path::new);
            let found = search::upwards(folder, CONFIG_FILE, home);
            let is_users = |path: &PathBuf| user.as_ref().is_some_and(|user| is_same(user, path));
            if let Some(path) = found.file.filter(|path| !is_users(path)) {
                all.read(&path, Reason::Project, env)?;
            }
            if let Some((path, why)) = found.beyond {
                let path = path.display();
                all.notes.push(format!("{path} lies {why} and is not read; --config {path} reads it"));
            }
        }
        all.lay(FloeConfig::default().with_env(env.iter().cloned()), &Origin::Environment);
        if all.config.catalogs.is_empty() && all.config.default_catalog.is_none() {
            let (notes, limits) = (all.notes, all.config.limits);
            let mut theirs = pyiceberg::load(env, folder)?;
            theirs.notes.splice(..0, notes);
            theirs.config.limits = limits;
            return Ok(theirs);
        }
        Ok(all)
    }

    /// The file that `floe trust` means in a folder, and whether it is PyIceberg's.
    pub(crate) fn of_project(env: &Variables, folder: &Path) -> Option<PathBuf> {
        let found = search::upwards(folder, CONFIG_FILE, variable(env, "HOME").map(Path::new));
        let pyiceberg = || Some(folder.join(pyiceberg::FILE)).filter(|path| path.is_file());
        found.file.or(found.beyond.map(|(path, _)| path)).or_else(pyiceberg)
    }

    /// The file in a folder, or the file itself, that configures catalogs.
    pub(crate) fn file_at(path: &Path) -> PathBuf {
        let names = [CONFIG_FILE, pyiceberg::FILE].map(|name| path.join(name));
        names.into_iter().find(|path| path.is_file()).unwrap_or_else(|| path.to_owned())
    }

    /// What a configuration file takes from variables and other files: catalog, property, and which.
    pub(crate) fn references_in(path: &Path, content: &[u8]) -> Result<Vec<(String, String, String)>> {
        let named = |e: Error| e.context(format!("configuration file {}", path.display()));
        let text = std::str::from_utf8(content).map_err(|_| named(Error::validation("it is not UTF-8")))?;
        let config = match path.file_name().is_some_and(|name| name == pyiceberg::FILE) {
            true => pyiceberg::parse(text),
            false => FloeConfig::from_toml(text),
        };
        let config = config.map_err(named)?;
        let of = |(name, properties): (&String, &Properties)| -> Vec<_> {
            let all = properties.references();
            all.map(|(key, reference)| (name.clone(), key.to_owned(), reference.to_string())).collect()
        };
        Ok(config.catalogs.iter().flat_map(of).collect())
    }

    /// Reads `floe.toml` and lays it over what is there.
    fn read(&mut self, path: &Path, reason: Reason, env: &Variables) -> Result<()> {
        let document = source::read(path, reason, env)?;
        let layer = FloeConfig::from_toml(&document.text)
            .map_err(|e| e.context(format!("configuration file {}", path.display())))?;
        self.lay_document(layer, &document, &Origin::File(path.to_owned()), path);
        Ok(())
    }

    fn lay_document(&mut self, mut layer: FloeConfig, document: &Document, origin: &Origin, path: &Path) {
        let literal = layer.catalogs.iter().find_map(|(name, of)| Some((name, source::literal_secret(of)?)));
        if let (Some((name, key)), true) = (literal, document.is_public) {
            self.notes.push(format!(
                "everybody can read {0}, which holds a secret, `{key}` of '{name}': run `chmod 600 {0}`, or keep secrets \
                 elsewhere, as env:NAME or file:/path",
                path.display()
            ));
        }
        let beside = path.parent().unwrap_or(Path::new("."));
        for properties in layer.catalogs.values_mut() {
            // A path in a file counts from the file's own folder, wherever the command runs.
            if matches!(origin, Origin::File(_))
                && let Some(warehouse) = properties.get(WAREHOUSE)
                && is_relative_path(warehouse, properties.get("type"))
            {
                properties.set(WAREHOUSE, absolute(beside, warehouse));
            }
        }
        let mut withheld = BTreeMap::new();
        if !document.trusted {
            for (name, properties) in &layer.catalogs {
                let withhold = |what| Withheld { file: path.to_owned(), what };
                let mut of: BTreeMap<String, Withheld> = properties
                    .references()
                    .map(|(key, from)| (key.to_owned(), withhold(format!("takes `{key}` from {from}"))))
                    .collect();
                // What is laid over the user's own catalog could send its secrets elsewhere.
                if self.config.catalogs.get(name).is_some_and(source::has_secrets) {
                    of.insert(WHOLE.into(), withhold("changes a catalog of yours that has secrets".into()));
                }
                withheld.insert(name.clone(), of);
            }
        }
        self.lay(layer, origin);
        for (name, of) in withheld {
            self.withheld.entry(name).or_default().extend(of);
        }
    }

    fn lay(&mut self, layer: FloeConfig, origin: &Origin) {
        for (name, properties) in &layer.catalogs {
            self.origins.entry(name.clone()).or_default().insert(0, origin.clone());
            // A property that is given anew no longer comes from the file.
            if let Some(withheld) = self.withheld.get_mut(name) {
                withheld.retain(|key, _| properties.get(key).is_none());
            }
        }
        self.config = std::mem::take(&mut self.config).merge(layer);
    }

    /// Fails with `PermissionDenied` for a catalog that takes secrets, or has them sent, as a file says that the user does
    /// not trust.
    pub(crate) fn check_trust(&self, name: &str) -> Result<()> {
        let Some(Withheld { file, what }) = self.withheld.get(name).and_then(|of| of.values().next()) else {
            return Ok(());
        };
        let shown = file.display();
        let of = source::owner_of(file).map(|owner| format!(", a file of {owner},")).unwrap_or_default();
        let why = format!("catalog '{name}': {shown}{of} {what}, and you have not said that you trust it");
        let hint = format!(
            "read it; then allow its content with `floe trust {shown}`, or name it with --config {shown}"
        );
        Err(Error::new(ErrorKind::PermissionDenied, why).with_hint(hint))
    }

    /// Where a catalog comes from, the last first.
    pub(crate) fn origins_of(&self, name: &str) -> &[Origin] {
        self.origins.get(name).map_or(&[], Vec::as_slice)
    }
}

/// Whether both are one file.
fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
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
        let all = Configuration::load(&env, project.path(), None).unwrap();
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
        let all = Configuration::load(&env, folder.path(), None).unwrap();
        assert!(all.origins_of("lake")[0].is_pyiceberg());
        fs::write(folder.path().join("floe.toml"), "[catalogs.a]\ntype='local'\nwarehouse='x'").unwrap();
        let all = Configuration::load(&env, folder.path(), None).unwrap();
        assert_eq!(all.config.catalogs.keys().collect::<Vec<_>>(), ["a"]);
    }
}
