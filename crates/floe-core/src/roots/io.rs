//! File IO that keeps to a table's roots.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use iceberg::io::{
    FileIO, FileIOBuilder, FileMetadata, FileRead, FileWrite, InputFile, OutputFile, Storage, StorageConfig,
    StorageFactory,
};
use serde::{Deserialize, Serialize};

use super::TableRoots;
use crate::{Error, ErrorKind, Result};

/// The same file IO, which reads, writes and deletes what `roots` allow, and refuses everything else before it asks the
/// storage. A file that was opened is passed on as it is.
pub fn guarded(file_io: FileIO, roots: TableRoots) -> FileIO {
    let inner = Some(Arc::new(Inner { file_io, roots }));
    FileIOBuilder::new(Arc::new(GuardedFactory { inner })).build()
}

#[derive(Debug)]
struct Inner {
    file_io: FileIO,
    roots: TableRoots,
}

/// Builds [`GuardedStorage`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct GuardedFactory {
    #[serde(skip)]
    inner: Option<Arc<Inner>>,
}

#[typetag::serde(name = "floe-roots")]
impl StorageFactory for GuardedFactory {
    fn build(&self, _config: &StorageConfig) -> iceberg::Result<Arc<dyn Storage>> {
        Ok(Arc::new(GuardedStorage { inner: self.inner.clone() }))
    }
}

/// What was serialised has lost its storage, and says so.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct GuardedStorage {
    #[serde(skip)]
    inner: Option<Arc<Inner>>,
}

impl GuardedStorage {
    fn inner(&self) -> Result<&Inner> {
        self.inner.as_deref().ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "the storage of a table cannot be taken to another process")
                .with_hint("load the table from its catalog there")
        })
    }

    fn input(&self, path: &str) -> iceberg::Result<InputFile> {
        let inner = self.inner()?;
        inner.roots.check_read(path)?;
        inner.file_io.new_input(path)
    }

    fn output(&self, path: &str) -> iceberg::Result<OutputFile> {
        let inner = self.inner()?;
        inner.roots.check_write(path)?;
        inner.file_io.new_output(path)
    }
}

#[async_trait]
#[typetag::serde(name = "floe-roots")]
impl Storage for GuardedStorage {
    async fn exists(&self, path: &str) -> iceberg::Result<bool> {
        self.input(path)?.exists().await
    }

    async fn metadata(&self, path: &str) -> iceberg::Result<FileMetadata> {
        self.input(path)?.metadata().await
    }

    async fn read(&self, path: &str) -> iceberg::Result<Bytes> {
        self.input(path)?.read().await
    }

    async fn reader(&self, path: &str) -> iceberg::Result<Box<dyn FileRead>> {
        self.input(path)?.reader().await
    }

    async fn write(&self, path: &str, bytes: Bytes) -> iceberg::Result<()> {
        self.output(path)?.write(bytes).await
    }

    async fn writer(&self, path: &str) -> iceberg::Result<Box<dyn FileWrite>> {
        self.output(path)?.writer().await
    }

    async fn delete(&self, path: &str) -> iceberg::Result<()> {
        let inner = self.inner()?;
        inner.roots.check_delete(path)?;
        inner.file_io.delete(path).await
    }

    async fn delete_prefix(&self, path: &str) -> iceberg::Result<()> {
        let inner = self.inner()?;
        inner.roots.check_delete(path.trim_end_matches('/'))?;
        inner.file_io.delete_prefix(path).await
    }

    async fn delete_stream(&self, paths: BoxStream<'static, String>) -> iceberg::Result<()> {
        let inner = self.inner()?;
        let refused: Arc<Mutex<Option<Error>>> = Arc::default();
        let (roots, first) = (inner.roots.clone(), refused.clone());
        let own = paths.filter(move |path| {
            let refusal = roots.check_delete(path).err();
            let is_own = refusal.is_none();
            if let Some(error) = refusal {
                first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
            std::future::ready(is_own)
        });
        inner.file_io.delete_stream(own).await?;
        let refused = refused.lock().unwrap_or_else(PoisonError::into_inner).take();
        refused.map_or(Ok(()), |error| Err(error.into()))
    }

    fn new_input(&self, path: &str) -> iceberg::Result<InputFile> {
        Ok(InputFile::new(Arc::new(self.clone()), path.to_owned()))
    }

    fn new_output(&self, path: &str) -> iceberg::Result<OutputFile> {
        Ok(OutputFile::new(Arc::new(self.clone()), path.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reach;

    #[tokio::test]
    async fn files_of_others_are_read_and_left_as_they_are() {
        let plain = FileIO::new_with_memory();
        let put = |path: &'static str| {
            let plain = plain.clone();
            async move { plain.new_output(path).expect("output").write("x".into()).await.expect("writes") }
        };
        put("memory://lake/other/1").await;
        put("memory://lake/t/1").await;
        let io = guarded(plain.clone(), TableRoots::new(["memory://lake/t"], Reach::OwnSchemes));
        assert!(io.exists("memory://lake/other/1").await.expect("is looked at"));
        assert_eq!(io.new_input("memory://lake/other/1").expect("input").read().await.expect("reads"), "x");
        for refused in [
            io.delete("memory://lake/other/1").await,
            io.delete_prefix("memory://lake/t").await,
            io.delete_prefix("memory://lake/t/").await,
            io.delete_prefix("memory://lake").await,
            io.new_output("memory://lake/other/2").expect("output").write("y".into()).await,
            io.new_output("memory://lake/t2/2").expect("output").writer().await.map(drop),
            io.new_input("file:///etc/hostname").expect("input").read().await.map(drop),
            io.delete_stream(futures::stream::iter([
                "memory://lake/other/1".to_owned(),
                "memory://lake/t/1".into(),
            ]))
            .await,
        ] {
            let error = Error::from(refused.expect_err("refused"));
            assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
        }
        assert!(plain.exists("memory://lake/other/1").await.expect("looks"), "it is left");
        assert!(!plain.exists("memory://lake/t/1").await.expect("looks"), "the table's own file is deleted");
        assert!(!plain.exists("memory://lake/other/2").await.expect("looks"), "nothing was written");
    }
}
