//! One storage over all storage plugins: the location of each file says which of them serves it.

mod io;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use iceberg::io::{FileIO, FileIOBuilder};
use tokio::sync::Mutex;

use crate::config::{PLACED_BY_SERVER, WAREHOUSE};
use crate::location::parts;
use crate::{
    CredentialProvider, Error, FileEntry, PluginConfig, Registry, Result, StorageCapabilities, StorageClient,
    StoragePlugin,
};

/// Files deleted together by [`StorageClient::delete_many`]; what one request of S3 takes.
const DELETED_TOGETHER: usize = 1000;

/// A [`StorageClient`] for catalogs whose server decides where tables go ([`crate::CatalogPlugin::places_tables`]).
///
/// Files of this machine are served only where the storage plugin was named: no server has any business with them.
///
/// Storage plugins are connected when the first location of theirs is used, once for each scheme and authority
/// (bucket, container), with the properties of the catalog and that location's root as their `warehouse`.
/// Clones share the connections.
#[derive(Clone)]
pub struct StorageRouter {
    plugins: Arc<Plugins>,
    /// Laid over the plugins' own properties, if the catalog gave any.
    credentials: Option<Arc<dyn CredentialProvider>>,
    /// By [`root`].
    clients: Arc<RwLock<HashMap<String, Arc<dyn StorageClient>>>>,
}

struct Plugins {
    registry: Registry,
    only: Option<Arc<dyn StoragePlugin>>,
    config: PluginConfig,
    connected: Mutex<HashMap<String, Arc<dyn StorageClient>>>,
}

impl StorageRouter {
    /// A router over the storage plugins of `registry`, or over `only` one of them whatever the scheme. Each is
    /// connected with the properties of `config`. Connects nothing yet.
    pub fn new(registry: Registry, only: Option<Arc<dyn StoragePlugin>>, config: PluginConfig) -> Self {
        let plugins = Arc::new(Plugins { registry, only, config, connected: Mutex::default() });
        Self { plugins, credentials: None, clients: Arc::default() }
    }

    /// The storage that serves `location`, connected at the first call.
    ///
    /// `NoSuchPlugin` when no linked plugin serves its scheme; `Validation` for files of this machine where no storage was
    /// named; else what connecting failed with.
    pub async fn client(&self, location: &str) -> Result<Arc<dyn StorageClient>> {
        let root = self.root(location)?;
        if let Some(client) = self.clients.read().unwrap_or_else(PoisonError::into_inner).get(&root) {
            return Ok(client.clone());
        }
        let base = self.plugins.connect(&root).await?;
        let client = match &self.credentials {
            Some(credentials) => base.with_credentials(credentials.clone()).unwrap_or(base),
            None => base,
        };
        let mut clients = self.clients.write().unwrap_or_else(PoisonError::into_inner);
        Ok(clients.entry(root).or_insert(client).clone())
    }

    fn root(&self, location: &str) -> Result<String> {
        let (root, is_local) = root(location)?;
        if is_local && self.plugins.only.is_none() {
            return Err(no_local_files(&format!("the location '{}'", location.escape_debug())));
        }
        Ok(root)
    }
}

/// `Validation` where a catalog on a server would have floe use files of this machine.
pub fn no_local_files(what: &str) -> Error {
    let why = format!("{what} is on this machine, and its catalog is on a server: local files are not used");
    Error::validation(why).with_hint(
        "if the server's word is to count for files of this machine, set storage = \"local\" for the catalog",
    )
}

impl Plugins {
    async fn connect(&self, root: &str) -> Result<Arc<dyn StorageClient>> {
        let mut connected = self.connected.lock().await;
        if let Some(client) = connected.get(root) {
            return Ok(client.clone());
        }
        let plugin = match &self.only {
            Some(only) => only.clone(),
            None => self.registry.storage_for_uri(root)?,
        };
        let config = self.config.clone().with(WAREHOUSE, root).with(PLACED_BY_SERVER, "true");
        let client = plugin.connect(&config).await.map_err(|e| {
            e.context(format!("the storage '{}' of {root} cannot be opened", plugin.descriptor().name))
        })?;
        connected.insert(root.to_owned(), client.clone());
        Ok(client)
    }
}

#[async_trait]
impl StorageClient for StorageRouter {
    fn file_io(&self) -> FileIO {
        FileIOBuilder::new(Arc::new(io::RouterFactory::new(self.clone()))).build()
    }

    fn with_credentials(&self, credentials: Arc<dyn CredentialProvider>) -> Option<Arc<dyn StorageClient>> {
        Some(Arc::new(Self {
            plugins: self.plugins.clone(),
            credentials: Some(credentials),
            clients: Arc::default(),
        }))
    }

    fn warehouse(&self) -> &'static str {
        ""
    }

    /// What every storage can do.
    fn capabilities(&self) -> StorageCapabilities {
        StorageCapabilities { create_if_absent: false, atomic_write: true, bulk_delete: false }
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<FileEntry>> {
        let (router, prefix) = (self.clone(), prefix.to_owned());
        let listing = async move {
            match router.client(&prefix).await {
                Ok(client) => client.list(&prefix),
                Err(e) => stream::once(async { Err(e) }).boxed(),
            }
        };
        stream::once(listing).flatten().boxed()
    }

    fn delete_many(&self, locations: BoxStream<'static, String>) -> BoxStream<'static, (String, Result<()>)> {
        let router = self.clone();
        let deleting = move |locations: Vec<String>| {
            let router = router.clone();
            async move {
                let mut by_root: HashMap<String, Vec<String>> = HashMap::new();
                let mut refused = Vec::new();
                for location in locations {
                    match router.root(&location) {
                        Ok(root) => by_root.entry(root).or_default().push(location),
                        Err(e) => refused.push((location, Err(e))),
                    }
                }
                let mut deletions = vec![stream::iter(refused).boxed()];
                for (root, locations) in by_root {
                    let locations = stream::iter(locations).boxed();
                    deletions.push(match router.client(&root).await {
                        Ok(client) => client.delete_many(locations),
                        Err(e) => locations.map(move |location| (location, Err(e.clone()))).boxed(),
                    });
                }
                stream::select_all(deletions)
            }
        };
        locations.chunks(DELETED_TOGETHER).then(deleting).flatten().boxed()
    }

    async fn check_at(&self, location: &str) -> Result<()> {
        self.client(location).await?.check_at(location).await
    }
}

impl fmt::Debug for StorageRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clients = self.clients.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("StorageRouter")
            .field("connected", &clients.keys().collect::<Vec<_>>())
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

/// Scheme and authority of a location: `s3://bucket`, and whether it is on this machine. Local files have no authority,
/// and no plugin takes the root of the file system for a warehouse: their first folder stands in.
fn root(location: &str) -> Result<(String, bool)> {
    let parts = parts(location).ok_or_else(|| {
        let location = location.escape_debug();
        Error::validation(format!("the location '{location}' is neither a URI nor an absolute path"))
    })?;
    let (is_local, authority) = (parts.is_local(), parts.authority);
    let scheme = if is_local { "file" } else { parts.scheme };
    let first = || parts.path.trim_start_matches('/').split('/').next().unwrap_or_default();
    Ok(match authority {
        "" => (format!("{scheme}:///{}", first()), is_local),
        _ => (format!("{scheme}://{authority}"), is_local),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_a_bucket_or_a_first_folder() {
        for (location, expected) in [
            ("s3://bucket/a/b.parquet", "s3://bucket"),
            ("s3://bucket", "s3://bucket"),
            ("abfss://box@host.dfs.core.windows.net/a", "abfss://box@host.dfs.core.windows.net"),
            ("file:///lake/a/b", "file:///lake"),
            ("file:/lake/a/b", "file:///lake"),
            ("/lake/a", "file:///lake"),
            ("FILE:///lake/a", "file:///lake"),
        ] {
            let (found, is_local) = root(location).expect(location);
            assert_eq!((&*found, is_local), (expected, expected.starts_with("file:")), "{location}");
        }
        assert!(root("lake/a").is_err());
    }

    #[tokio::test]
    async fn no_spelling_of_a_local_file_is_served_unless_the_storage_is_named() {
        let router = StorageRouter::new(Registry::default(), None, PluginConfig::default());
        for location in [
            "file:///etc/passwd",
            "file:/etc/passwd",
            "/etc/passwd",
            "FILE:///etc",
            "file://localhost/x",
            "file://h/x",
        ] {
            let error = router.client(location).await.expect_err(location);
            assert_eq!(error.kind(), crate::ErrorKind::Validation, "{location}: {error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("storage = \"local\"")), "{error}");
            let listed: Vec<_> = router.list(location).collect().await;
            assert!(matches!(&listed[..], [Err(_)]), "{location}");
            let deleted: Vec<_> =
                router.delete_many(stream::iter([location.to_owned()]).boxed()).collect().await;
            assert!(matches!(&deleted[..], [(_, Err(_))]), "{location}");
            assert!(router.file_io().new_input(location).expect("input").read().await.is_err(), "{location}");
        }
    }
}
