//! Configuration of the local catalog.

use std::path::PathBuf;
use std::time::Duration;

use floe_core::{Error, Result};
use schemars::JsonSchema;
use serde::Deserialize;

/// The catalog's name where none is configured.
const DEFAULT_NAME: &str = "default";
/// The catalog file in a warehouse folder.
const FILE_NAME: &str = "catalog.db";

/// Properties of a catalog of `type = "local"`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct LocalCatalogConfig {
    /// The SQLite file: `sqlite:///relative.db`, `sqlite:////absolute.db` (as PyIceberg spells it), a `file:`
    /// URI or a path. Default: `catalog.db` in the warehouse folder.
    pub uri: Option<String>,
    /// The name under which the catalog is kept in the file; PyIceberg must use the same. Default: the name
    /// of the configured catalog, or `default`.
    pub catalog_name: Option<String>,
    /// How long to wait for another process that holds the file locked, in milliseconds. Default: 10000.
    #[schemars(range(min = 1, max = 3_600_000))]
    pub busy_timeout_ms: Option<u64>,
}

impl LocalCatalogConfig {
    /// The path of the SQLite file. `warehouse` is the URI of the warehouse, used where no `uri` is given.
    ///
    /// Fails with `Validation` when neither names a local file.
    ///
    /// ```
    /// # use floe_catalog_local::LocalCatalogConfig;
    /// let config = LocalCatalogConfig::default();
    /// assert_eq!(config.path("file:///lake").unwrap(), std::path::Path::new("/lake/catalog.db"));
    /// ```
    pub fn path(&self, warehouse: &str) -> Result<PathBuf> {
        let Some(uri) = self.uri.as_deref() else {
            return Ok(local_path(warehouse)
                .ok_or_else(|| {
                    Error::validation(
                        "the catalog file cannot be kept in a warehouse that is no local folder",
                    )
                    .with_hint("set `uri` to the path of the catalog file")
                })?
                .join(FILE_NAME));
        };
        let path = match uri.strip_prefix("sqlite://").or_else(|| uri.strip_prefix("sqlite+pysqlite://")) {
            // SQLAlchemy: what follows the third slash is the path.
            Some(rest) => rest.strip_prefix('/').map(PathBuf::from),
            None => local_path(uri),
        };
        match path {
            Some(path) if !path.as_os_str().is_empty() && path.as_os_str() != ":memory:" => Ok(path),
            _ => Err(Error::validation("`uri` of the local catalog names no file")
                .with_hint("write sqlite:////absolute/path/catalog.db, or a path")),
        }
    }

    /// The name under which the catalog is kept in the file; `configured` is the name of the configured
    /// catalog, which may be empty.
    pub fn name(&self, configured: &str) -> String {
        match &self.catalog_name {
            Some(name) => name.clone(),
            None if configured.is_empty() => DEFAULT_NAME.to_owned(),
            None => configured.to_owned(),
        }
    }

    /// How long to wait for a locked file.
    pub fn busy_timeout(&self) -> Result<Duration> {
        match self.busy_timeout_ms.unwrap_or(10_000) {
            ms @ 1..=3_600_000 => Ok(Duration::from_millis(ms)),
            _ => Err(Error::validation("`busy-timeout-ms` must be between 1 and 3600000")),
        }
    }
}

/// The path that a `file:` URI or a plain path names; Iceberg URIs are not percent-encoded.
fn local_path(uri: &str) -> Option<PathBuf> {
    if let Some(rest) = uri.strip_prefix("file:") {
        let path = rest.strip_prefix("//").unwrap_or(rest);
        let path = path.strip_prefix("localhost/").map_or_else(|| path.to_owned(), |p| format!("/{p}"));
        return Some(path.into());
    }
    (!uri.contains("://")).then(|| uri.into())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn path(uri: &str) -> Result<PathBuf> {
        LocalCatalogConfig { uri: Some(uri.into()), ..Default::default() }.path("s3://bucket/lake")
    }

    #[test]
    fn every_spelling_of_a_file_names_it() {
        for (uri, expected) in [
            ("sqlite:////lake/catalog.db", "/lake/catalog.db"),
            ("sqlite+pysqlite:////lake/catalog.db", "/lake/catalog.db"),
            ("sqlite:///catalog.db", "catalog.db"),
            ("file:///lake/catalog.db", "/lake/catalog.db"),
            ("file:/lake/catalog.db", "/lake/catalog.db"),
            ("file://localhost/lake/c.db", "/lake/c.db"),
            ("/lake/a b%20.db", "/lake/a b%20.db"),
        ] {
            assert_eq!(path(uri).unwrap(), Path::new(expected), "{uri}");
        }
    }

    #[test]
    fn what_is_no_file_is_refused() {
        for uri in ["sqlite://", "sqlite:///:memory:", "postgresql://host/db", "", ":memory:"] {
            assert_eq!(path(uri).unwrap_err().kind(), floe_core::ErrorKind::Validation, "{uri}");
        }
        assert!(LocalCatalogConfig::default().path("s3://bucket/lake").is_err());
    }

    #[test]
    fn the_configured_name_is_the_catalogs_name() {
        let config = LocalCatalogConfig::default();
        assert_eq!(config.name(""), "default");
        assert_eq!(config.name("prod"), "prod");
        let named = LocalCatalogConfig { catalog_name: Some("x".into()), ..Default::default() };
        assert_eq!(named.name("prod"), "x");
    }
}
