//! A storage in memory: Iceberg's side.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use floe_core::{Environment, Error, ErrorKind, FileEntry, Result, SystemEnvironment};
use futures::StreamExt;
use futures::stream::BoxStream;
use iceberg::io::{
    FileMetadata, FileRead, FileWrite, InputFile, OutputFile, Storage, StorageConfig, StorageFactory,
};
use serde::{Deserialize, Serialize};

/// Files by location. Clones share them. Serialises as nothing: another process has files of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "()", into = "()")]
pub(super) struct Files {
    files: Arc<Mutex<BTreeMap<String, File>>>,
    environment: Arc<dyn Environment>,
}

#[derive(Debug, Clone)]
struct File {
    content: Bytes,
    last_modified: DateTime<Utc>,
}

impl Default for Files {
    fn default() -> Self {
        Self::with_environment(Arc::new(SystemEnvironment))
    }
}

impl From<()> for Files {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl From<Files> for () {
    fn from(_: Files) {}
}

impl Files {
    pub(super) fn with_environment(environment: Arc<dyn Environment>) -> Self {
        Self { files: Arc::default(), environment }
    }

    pub(super) fn below(&self, prefix: &str) -> Vec<FileEntry> {
        let prefix = folder(prefix);
        let files = self.lock();
        files
            .range(prefix.clone()..)
            .take_while(|(location, _)| location.starts_with(&prefix))
            .map(|(location, file)| FileEntry {
                location: location.clone(),
                size: file.content.len() as u64,
                last_modified: file.last_modified,
            })
            .collect()
    }

    pub(super) fn remove(&self, location: &str) {
        self.lock().remove(location);
    }

    pub(super) fn set_last_modified(&self, location: &str, time: DateTime<Utc>) -> Result<()> {
        self.change(location, |file| file.last_modified = time)
    }

    pub(super) fn damage(&self, location: &str, content: Bytes) -> Result<()> {
        self.change(location, |file| file.content = content)
    }

    fn change(&self, location: &str, change: impl FnOnce(&mut File)) -> Result<()> {
        self.lock().get_mut(location).map(change).ok_or_else(|| missing(location))
    }

    fn get(&self, location: &str) -> Result<Bytes> {
        self.lock().get(location).map(|file| file.content.clone()).ok_or_else(|| missing(location))
    }

    fn put(&self, location: &str, content: Bytes) {
        let now = DateTime::from_timestamp_millis(self.environment.now_ms()).unwrap_or_default();
        self.lock().insert(location.to_owned(), File { content, last_modified: now });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, File>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The prefix with exactly one final slash, so that `a/b` is not a prefix of `a/bc`.
fn folder(prefix: &str) -> String {
    if prefix.ends_with("://") {
        return prefix.to_owned();
    }
    format!("{}/", prefix.trim_end_matches('/'))
}

fn missing(location: &str) -> Error {
    Error::new(ErrorKind::FileNotFound, format!("there is no file {}", floe_core::location::masked(location)))
}

/// `Validation` for a location with another scheme, as every storage has it.
fn checked(location: &str) -> Result<&str> {
    if location.starts_with("memory:/") {
        Ok(location)
    } else {
        Err(Error::validation(format!("the location '{location}' is not in memory")))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct MemoryFactory {
    files: Files,
}

impl MemoryFactory {
    pub(super) fn new(files: Files) -> Self {
        Self { files }
    }
}

#[typetag::serde(name = "floe-memory")]
impl StorageFactory for MemoryFactory {
    fn build(&self, _config: &StorageConfig) -> iceberg::Result<Arc<dyn Storage>> {
        Ok(Arc::new(MemoryIo { files: self.files.clone() }))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct MemoryIo {
    files: Files,
}

#[async_trait]
#[typetag::serde(name = "floe-memory")]
impl Storage for MemoryIo {
    async fn exists(&self, path: &str) -> iceberg::Result<bool> {
        Ok(self.files.get(checked(path)?).is_ok())
    }

    async fn metadata(&self, path: &str) -> iceberg::Result<FileMetadata> {
        Ok(FileMetadata { size: self.files.get(checked(path)?)?.len() as u64 })
    }

    async fn read(&self, path: &str) -> iceberg::Result<Bytes> {
        Ok(self.files.get(checked(path)?)?)
    }

    async fn reader(&self, path: &str) -> iceberg::Result<Box<dyn FileRead>> {
        let (files, location) = (self.files.clone(), checked(path)?.to_owned());
        Ok(Box::new(MemoryReader { files, location }))
    }

    async fn write(&self, path: &str, bs: Bytes) -> iceberg::Result<()> {
        self.files.put(checked(path)?, bs);
        Ok(())
    }

    async fn writer(&self, path: &str) -> iceberg::Result<Box<dyn FileWrite>> {
        let (files, location) = (self.files.clone(), checked(path)?.to_owned());
        Ok(Box::new(MemoryWriter { files, location, buffer: Some(BytesMut::new()) }))
    }

    async fn delete(&self, path: &str) -> iceberg::Result<()> {
        self.files.remove(checked(path)?);
        Ok(())
    }

    async fn delete_prefix(&self, path: &str) -> iceberg::Result<()> {
        for entry in self.files.below(checked(path)?) {
            self.files.remove(&entry.location);
        }
        Ok(())
    }

    async fn delete_stream(&self, mut paths: BoxStream<'static, String>) -> iceberg::Result<()> {
        while let Some(path) = paths.next().await {
            self.files.remove(checked(&path)?);
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

#[derive(Debug)]
struct MemoryReader {
    files: Files,
    location: String,
}

#[async_trait]
impl FileRead for MemoryReader {
    async fn read(&self, range: Range<u64>) -> iceberg::Result<Bytes> {
        let content = self.files.get(&self.location)?;
        if range.start > range.end || range.end > content.len() as u64 {
            let message = format!("the range ends behind the end of {}", self.location);
            return Err(Error::new(ErrorKind::Corrupted, message).into());
        }
        Ok(content.slice(range.start as usize..range.end as usize))
    }
}

#[derive(Debug)]
struct MemoryWriter {
    files: Files,
    location: String,
    buffer: Option<BytesMut>,
}

impl MemoryWriter {
    fn closed(&self) -> Error {
        Error::new(ErrorKind::Io, format!("writing {}: the file is closed already", self.location))
    }
}

#[async_trait]
impl FileWrite for MemoryWriter {
    async fn write(&mut self, bs: Bytes) -> iceberg::Result<()> {
        match &mut self.buffer {
            Some(buffer) => {
                buffer.extend_from_slice(&bs);
                Ok(())
            }
            None => Err(self.closed().into()),
        }
    }

    async fn close(&mut self) -> iceberg::Result<()> {
        let buffer = self.buffer.take().ok_or_else(|| self.closed())?;
        self.files.put(&self.location, buffer.freeze());
        Ok(())
    }
}
