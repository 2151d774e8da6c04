//! Iceberg's view of the router.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use iceberg::io::{
    FileIO, FileMetadata, FileRead, FileWrite, InputFile, OutputFile, Storage, StorageConfig, StorageFactory,
};
use serde::{Deserialize, Serialize};

use super::StorageRouter;
use crate::{Error, ErrorKind, Result, StorageClient};

/// Builds [`RouterStorage`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct RouterFactory {
    #[serde(skip)]
    router: Option<StorageRouter>,
}

impl RouterFactory {
    pub(super) fn new(router: StorageRouter) -> Self {
        Self { router: Some(router) }
    }
}

#[typetag::serde(name = "floe-router")]
impl StorageFactory for RouterFactory {
    fn build(&self, _config: &StorageConfig) -> iceberg::Result<Arc<dyn Storage>> {
        Ok(Arc::new(RouterStorage { router: self.router.clone() }))
    }
}

/// Hands each file to the storage that serves its location. Plugins and credentials belong to a process: what was
/// serialised is of no use in another one, and says so.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct RouterStorage {
    #[serde(skip)]
    router: Option<StorageRouter>,
}

impl RouterStorage {
    async fn at(&self, location: &str) -> Result<FileIO> {
        let Some(router) = &self.router else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the storage of a table cannot be taken to another process",
            )
            .with_hint("load the table from its catalog there"));
        };
        Ok(router.client(location).await?.file_io())
    }
}

#[async_trait]
#[typetag::serde(name = "floe-router")]
impl Storage for RouterStorage {
    async fn exists(&self, path: &str) -> iceberg::Result<bool> {
        self.at(path).await?.exists(path).await
    }

    async fn metadata(&self, path: &str) -> iceberg::Result<FileMetadata> {
        self.at(path).await?.new_input(path)?.metadata().await
    }

    async fn read(&self, path: &str) -> iceberg::Result<Bytes> {
        self.at(path).await?.new_input(path)?.read().await
    }

    async fn reader(&self, path: &str) -> iceberg::Result<Box<dyn FileRead>> {
        self.at(path).await?.new_input(path)?.reader().await
    }

    async fn write(&self, path: &str, bytes: Bytes) -> iceberg::Result<()> {
        self.at(path).await?.new_output(path)?.write(bytes).await
    }

    async fn writer(&self, path: &str) -> iceberg::Result<Box<dyn FileWrite>> {
        self.at(path).await?.new_output(path)?.writer().await
    }

    async fn delete(&self, path: &str) -> iceberg::Result<()> {
        self.at(path).await?.delete(path).await
    }

    async fn delete_prefix(&self, path: &str) -> iceberg::Result<()> {
        self.at(path).await?.delete_prefix(path).await
    }

    async fn delete_stream(&self, paths: BoxStream<'static, String>) -> iceberg::Result<()> {
        let Some(router) = &self.router else { return Ok(self.at("").await.map(drop)?) };
        let mut deleted = router.delete_many(paths);
        let mut failed = None;
        while let Some((_, result)) = deleted.next().await {
            failed = failed.or(result.err());
        }
        failed.map_or(Ok(()), |e| Err(e.into()))
    }

    fn new_input(&self, path: &str) -> iceberg::Result<InputFile> {
        Ok(InputFile::new(Arc::new(self.clone()), path.to_owned()))
    }

    fn new_output(&self, path: &str) -> iceberg::Result<OutputFile> {
        Ok(OutputFile::new(Arc::new(self.clone()), path.to_owned()))
    }
}
