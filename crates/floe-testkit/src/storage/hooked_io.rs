//! A storage whose calls pass a hook: Iceberg's side.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use floe_core::{Error, Result};
use futures::StreamExt;
use futures::stream::BoxStream;
use iceberg::io::{
    FileIO, FileMetadata, FileRead, FileWrite, InputFile, OutputFile, Storage, StorageConfig, StorageFactory,
};
use serde::{Deserialize, Serialize};

use super::faults::{Call, Operation};
use super::hooked::{After, StorageHook, Unhooked};

/// What all file IO of one hooked storage shares.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) file_io: FileIO,
    pub(super) hook: Arc<dyn StorageHook>,
}

impl Default for Shared {
    /// What deserialising gives: an empty memory without faults.
    fn default() -> Self {
        Self { file_io: FileIO::new_with_memory(), hook: Arc::new(Unhooked) }
    }
}

impl Shared {
    /// Asks the hook about a call.
    pub(super) async fn enter(&self, operation: Operation, location: &str, bytes: u64) -> Result<After> {
        self.hook.before(&Call { operation, location: location.to_owned() }, bytes).await
    }
}

/// Gives the result, unless the reply gets lost.
fn leave<T>(verdict: After, result: T) -> iceberg::Result<T> {
    verdict.error.map_or(Ok(result), |e: Error| Err(e.into()))
}

fn cut(verdict: &After, bytes: Bytes) -> Bytes {
    match verdict.truncate {
        Some(length) if length < bytes.len() => bytes.slice(..length),
        _ => bytes,
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct HookedFactory {
    #[serde(skip)]
    shared: Arc<Shared>,
}

impl HookedFactory {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

#[typetag::serde(name = "floe-hooked")]
impl StorageFactory for HookedFactory {
    fn build(&self, _config: &StorageConfig) -> iceberg::Result<Arc<dyn Storage>> {
        Ok(Arc::new(HookedIo { shared: Arc::clone(&self.shared) }))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct HookedIo {
    #[serde(skip)]
    shared: Arc<Shared>,
}

#[async_trait]
#[typetag::serde(name = "floe-hooked")]
impl Storage for HookedIo {
    async fn exists(&self, path: &str) -> iceberg::Result<bool> {
        let verdict = self.shared.enter(Operation::Exists, path, 0).await?;
        leave(verdict, self.shared.file_io.exists(path).await?)
    }

    async fn metadata(&self, path: &str) -> iceberg::Result<FileMetadata> {
        let verdict = self.shared.enter(Operation::Metadata, path, 0).await?;
        leave(verdict, self.shared.file_io.new_input(path)?.metadata().await?)
    }

    async fn read(&self, path: &str) -> iceberg::Result<Bytes> {
        let verdict = self.shared.enter(Operation::Read, path, 0).await?;
        let bytes = cut(&verdict, self.shared.file_io.new_input(path)?.read().await?);
        leave(verdict, bytes)
    }

    async fn reader(&self, path: &str) -> iceberg::Result<Box<dyn FileRead>> {
        let inner = self.shared.file_io.new_input(path)?.reader().await?;
        Ok(Box::new(HookedReader { shared: Arc::clone(&self.shared), location: path.to_owned(), inner }))
    }

    async fn write(&self, path: &str, bs: Bytes) -> iceberg::Result<()> {
        let verdict = self.shared.enter(Operation::Write, path, bs.len() as u64).await?;
        self.shared.file_io.new_output(path)?.write(bs).await?;
        leave(verdict, ())
    }

    async fn writer(&self, path: &str) -> iceberg::Result<Box<dyn FileWrite>> {
        let inner = Some(self.shared.file_io.new_output(path)?.writer().await?);
        Ok(Box::new(HookedWriter { shared: Arc::clone(&self.shared), location: path.to_owned(), inner }))
    }

    async fn delete(&self, path: &str) -> iceberg::Result<()> {
        let verdict = self.shared.enter(Operation::Delete, path, 0).await?;
        self.shared.file_io.delete(path).await?;
        leave(verdict, ())
    }

    async fn delete_prefix(&self, path: &str) -> iceberg::Result<()> {
        let verdict = self.shared.enter(Operation::DeletePrefix, path, 0).await?;
        self.shared.file_io.delete_prefix(path).await?;
        leave(verdict, ())
    }

    async fn delete_stream(&self, mut paths: BoxStream<'static, String>) -> iceberg::Result<()> {
        while let Some(path) = paths.next().await {
            self.delete(&path).await?;
        }
        Ok(())
    }

    fn new_input(&self, path: &str) -> iceberg::Result<InputFile> {
        Ok(InputFile::new(Arc::new(self.clone()), path.to_owned()))
    }

    fn new_output(&self, path: &str) -> iceberg::Result<OutputFile> {
        Ok(OutputFile::new(Arc::new(self.clone()), path.to_owned()))
    }
}

struct HookedReader {
    shared: Arc<Shared>,
    location: String,
    inner: Box<dyn FileRead>,
}

#[async_trait]
impl FileRead for HookedReader {
    async fn read(&self, range: Range<u64>) -> iceberg::Result<Bytes> {
        let verdict = self.shared.enter(Operation::ReadRange, &self.location, 0).await?;
        let bytes = cut(&verdict, self.inner.read(range).await?);
        leave(verdict, bytes)
    }
}

/// A writer whose call failed drops what it wraps, which therefore never becomes visible.
struct HookedWriter {
    shared: Arc<Shared>,
    location: String,
    inner: Option<Box<dyn FileWrite>>,
}

impl HookedWriter {
    fn gone(&self) -> Error {
        let message = format!("writing {}: the file is closed, or a write failed", self.location);
        Error::new(floe_core::ErrorKind::Io, message)
    }
}

#[async_trait]
impl FileWrite for HookedWriter {
    async fn write(&mut self, bs: Bytes) -> iceberg::Result<()> {
        let mut inner = self.inner.take().ok_or_else(|| self.gone())?;
        let verdict = self.shared.enter(Operation::WritePiece, &self.location, bs.len() as u64).await?;
        inner.write(bs).await?;
        leave(verdict, ())?;
        self.inner = Some(inner);
        Ok(())
    }

    async fn close(&mut self) -> iceberg::Result<()> {
        let mut inner = self.inner.take().ok_or_else(|| self.gone())?;
        let verdict = self.shared.enter(Operation::Close, &self.location, 0).await?;
        inner.close().await?;
        leave(verdict, ())
    }
}
