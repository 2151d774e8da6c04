//! One storage over all storage plugins: the location of each file says which of them serves it.

mod io;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use iceberg::io::{FileIO, FileIOBuilder};
use tokio::sync::Mutex;

use crate::config::WAREHOUSE;
use crate::{
    CredentialProvider, FileEntry, PluginConfig, Registry, Result, StorageCapabilities, StorageClient,
    StoragePlugin,
};

/// Files deleted together by [`StorageClient::delete_many`]; what one request of S3 takes.
const DELETED_TOGETHER: usize = 1000;

/// A [`StorageClient`] for catalogs whose server decides where tables go ([`crate::CatalogPlugin::places_tables`]).
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
    /// `NoSuchPlugin` when no linked plugin serves its scheme, else what connecting failed with.
    pub async fn client(&self, location: &str) -> Result<Arc<dyn StorageClient>> {
        let root = root(location);
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
        let client = plugin.connect(&self.config.clone().with(WAREHOUSE, root)).await.map_err(|e| {
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
                for location in locations {
                    by_root.entry(root(&location)).or_default().push(location);
                }
                let mut deletions = Vec::new();
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

/// Scheme and authority of a location: `s3://bucket`. Local files have no authority, and no plugin takes the root
/// of the file system for a warehouse: their first folder stands in.
fn root(location: &str) -> String {
    if let Some((scheme, rest)) = location.split_once("://") {
        let authority = rest.split('/').next().unwrap_or_default();
        if !authority.is_empty() {
            return format!("{scheme}://{authority}");
        }
    }
    let path = location.strip_prefix("file:").unwrap_or(location).trim_start_matches('/');
    format!("file:///{}", path.split('/').next().unwrap_or_default())
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
        ] {
            assert_eq!(root(location), expected, "{location}");
        }
    }
}
