//! Configuration of the local catalog.

#[cfg(feature = "postgres")]
mod postgres;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

#[cfg(not(feature = "postgres"))]
use floe_core::ErrorKind;
#[cfg(feature = "postgres")]
use floe_core::hosts;
use floe_core::{Error, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::database::Database;
#[cfg(feature = "postgres")]
use crate::database::PostgresStore;

/// The catalog's name where none is configured.
const DEFAULT_NAME: &str = "default";
/// The catalog file in a warehouse folder.
const FILE_NAME: &str = "catalog.db";
/// How long to wait for a connection to PostgreSQL.
#[cfg(feature = "postgres")]
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);

/// Properties of a catalog of `type = "local"`.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct LocalCatalogConfig {
    /// The SQLite file: `sqlite:///relative.db`, `sqlite:////absolute.db` (as PyIceberg spells it), a `file:`
    /// URI or a path. Or a PostgreSQL database, in builds that have the driver:
    /// `postgresql://user:password@host:5432/database?sslmode=verify-full`, `postgresql+psycopg2://` as well. Without
    /// `sslmode` other hosts are spoken to over TLS only (`require`).
    /// Default: `catalog.db` in the warehouse folder.
    pub uri: Option<String>,
    /// The PostgreSQL schema of the catalog's tables. Default: the one of the user's search path that has them; for a new
    /// catalog the first one of it.
    pub schema: Option<String>,
    /// The name under which the catalog is kept in the database; PyIceberg must use the same. Default: the name
    /// of the configured catalog, or `default`.
    pub catalog_name: Option<String>,
    /// How long to wait for another process that holds a lock in the database, in milliseconds. Default: 10000, and
    /// 8000 at most on PostgreSQL.
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
        if is_database(uri) {
            return Err(Error::validation("`uri` of the local catalog names no file").with_hint(
                "write a database as postgresql://user:password@host/database, a file as its path",
            ));
        }
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

    /// Whether the catalog is kept in a PostgreSQL database.
    pub fn is_postgres(&self) -> bool {
        let scheme =
            self.uri.as_deref().and_then(|uri| uri.split_once("://")).map_or("", |(scheme, _)| scheme);
        matches!(scheme.split('+').next(), Some("postgresql" | "postgres"))
    }

    /// Whether the catalog is kept in a database on another host.
    pub fn is_remote(&self) -> bool {
        #[cfg(feature = "postgres")]
        if self.is_postgres()
            && let Ok((options, _)) = postgres::parse(self.uri.as_deref().unwrap_or_default())
        {
            let is_socket = options.get_socket().is_some() || options.get_host().starts_with('/');
            return !is_socket && !hosts::is_loopback(options.get_host());
        }
        false
    }

    /// The catalog's database; `warehouse` and `configured` as for [`LocalCatalogConfig::path`] and
    /// [`LocalCatalogConfig::name`].
    pub(crate) fn database(&self, warehouse: &str, configured: &str) -> Result<Database> {
        if self.is_postgres() {
            return self.postgres(configured);
        }
        if self.schema.is_some() {
            return Err(Error::validation("`schema` is for catalogs in PostgreSQL: a SQLite file has none")
                .with_hint("leave it out"));
        }
        Ok(Database::sqlite(self.path(warehouse)?, self.name(configured), self.busy_timeout()?))
    }

    #[cfg(feature = "postgres")]
    fn postgres(&self, configured: &str) -> Result<Database> {
        let (options, wait) = postgres::parse(self.uri.as_deref().unwrap_or_default())?;
        let store = PostgresStore::new(
            options,
            self.schema.clone(),
            wait.unwrap_or(CONNECT_TIMEOUT),
            self.busy_timeout()?,
        );
        Ok(Database::postgres(store, self.name(configured)))
    }

    #[cfg(not(feature = "postgres"))]
    fn postgres(&self, _configured: &str) -> Result<Database> {
        Err(Error::new(ErrorKind::Unsupported, "this build keeps catalogs in SQLite files only")
            .with_hint("build floe with its feature `catalog-postgres`"))
    }

    /// The name under which the catalog is kept in the database; `configured` is the name of the configured
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

impl fmt::Debug for LocalCatalogConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URI of a server holds a password, however it is spelled.
        let uri = self.uri.as_deref().map(|uri| {
            let server = is_database(uri) || uri.contains("://") && self.path("").is_err();
            if server { "***" } else { uri }
        });
        f.debug_struct("LocalCatalogConfig")
            .field("uri", &uri)
            .field("schema", &self.schema)
            .field("catalog_name", &self.catalog_name)
            .field("busy_timeout_ms", &self.busy_timeout_ms)
            .finish()
    }
}

/// Whether a text begins as the URI of a database on a server does, rightly spelled or not: then it may hold a password.
fn is_database(uri: &str) -> bool {
    let scheme = uri.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let scheme = scheme.split('+').next().unwrap_or_default();
    uri.contains(':')
        && ["postgresql", "postgres", "mysql", "mariadb", "mssql", "oracle", "jdbc"].contains(&scheme)
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

    #[tokio::test]
    async fn the_uri_of_a_server_is_known_as_such_and_not_shown() {
        let config = |uri: &str| LocalCatalogConfig { uri: Some(uri.into()), ..Default::default() };
        for uri in
            ["postgresql://ann:hunter2@db/lake", "postgres://db/x", "postgresql+psycopg2://ann:hunter2@db/l"]
        {
            assert!(config(uri).is_postgres(), "{uri}");
            assert!(!format!("{:?}", config(uri)).contains("hunter2"));
            assert_eq!(config(uri).database("/lake", "c").is_ok(), cfg!(feature = "postgres"));
        }
        for uri in ["sqlite:////postgresql://x", "/lake/postgresql.db", "mysql://db/x"] {
            assert!(!config(uri).is_postgres(), "{uri}");
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_database_on_another_host_is_remote() {
        let remote =
            |uri: &str| LocalCatalogConfig { uri: Some(uri.into()), ..Default::default() }.is_remote();
        for uri in [
            "postgresql://ann:x@db.example/lake",
            "postgres://10.0.0.7:5432/lake",
            "postgresql+psycopg2://a@h/l",
        ] {
            assert!(remote(uri), "{uri}");
        }
        for uri in [
            "postgresql://ann@127.0.0.1/lake",
            "postgresql://ann@localhost:5432/lake",
            "postgresql://ann@[::1]/lake",
            "postgresql://ann@/lake?host=/run/postgresql",
            "sqlite:////lake/catalog.db",
            "/lake/catalog.db",
        ] {
            assert!(!remote(uri), "{uri}");
        }
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
