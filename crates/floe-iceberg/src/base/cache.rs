//! Manifest lists and manifests in memory, shared by tables and by versions of tables.

use std::fmt;
use std::sync::Arc;

use floe_core::guard::Guard;
use floe_core::{Error, ErrorKind, Result};
use iceberg::io::FileIO;
use iceberg::spec::ManifestFile;
use moka::future::Cache;

use super::avro::Broken;
use super::{Manifest, manifest_list};

/// How many bytes a [`ManifestCache`] holds by default: 64 MiB, about 80,000 files.
pub const DEFAULT_CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Manifest lists and manifests by location. Such a file never changes, so that an entry is always right; the
/// cache is bounded by bytes and gives up what was used least. Several readers that miss the same file read it
/// once.
#[derive(Clone)]
pub struct ManifestCache {
    entries: Cache<String, Kept>,
}

#[derive(Clone)]
enum Kept {
    List(Arc<Vec<ManifestFile>>),
    Manifest(Arc<Manifest>),
}

impl ManifestCache {
    /// A cache of about `max_bytes` bytes at most. With 0, nothing is kept.
    pub fn new(max_bytes: u64) -> Self {
        let weigh = |location: &String, kept: &Kept| {
            u32::try_from(location.len() + kept.memory()).unwrap_or(u32::MAX)
        };
        Self { entries: Cache::builder().max_capacity(max_bytes).weigher(weigh).build() }
    }

    /// The manifests that a manifest list names. Fails with `Corrupted` or `FileNotFound`, naming the file.
    pub async fn manifest_list(&self, file_io: &FileIO, location: &str) -> Result<Arc<Vec<ManifestFile>>> {
        let read = async {
            let bytes = read(file_io, location, "manifest list").await?;
            let list = Guard::new("the reader of manifest lists", location)
                .call(|| manifest_list::decode(&bytes).map_err(|broken| corrupted_list(location, &broken)))?;
            Ok(Kept::List(Arc::new(list)))
        };
        match self.entries.try_get_with_by_ref(location, read).await.map_err(|e: Arc<Error>| (*e).clone())? {
            Kept::List(list) => Ok(list),
            Kept::Manifest(_) => {
                Err(corrupted_list(location, &Broken("it is a manifest, not a manifest list".into())))
            }
        }
    }

    /// Keeps a manifest list that was just written, so that the next commit does not read it.
    pub(crate) async fn keep_list(&self, location: &str, list: Arc<Vec<ManifestFile>>) {
        self.entries.insert(location.to_owned(), Kept::List(list)).await;
    }

    /// A manifest. Fails with `Corrupted` or `FileNotFound`, naming the file; `Unsupported` when it is encrypted.
    pub async fn manifest(&self, file_io: &FileIO, file: &ManifestFile) -> Result<Arc<Manifest>> {
        let location = &file.manifest_path;
        if file.key_metadata.is_some() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the manifest {location} is encrypted, which floe does not read"),
            ));
        }
        let decode = async {
            let bytes = read(file_io, location, "manifest").await?;
            if (bytes.len() as u64) < u64::try_from(file.manifest_length).unwrap_or(0) {
                return Err(Error::new(
                    ErrorKind::Corrupted,
                    format!(
                        "the manifest {location} has {} bytes, and the manifest list says {}",
                        bytes.len(),
                        file.manifest_length
                    ),
                ));
            }
            let name = location.clone();
            // Decoding takes milliseconds: not on a thread that serves IO.
            let guard = Guard::new(super::READER, name.as_str());
            let decode = move || guard.call(|| Manifest::decode(&name, &bytes));
            let manifest = tokio::task::spawn_blocking(decode).await.map_err(|e| {
                Error::new(ErrorKind::Internal, "decoding a manifest failed").with_source(e)
            })??;
            Ok(Kept::Manifest(Arc::new(manifest)))
        };
        match self
            .entries
            .try_get_with_by_ref(location, decode)
            .await
            .map_err(|e: Arc<Error>| (*e).clone())?
        {
            Kept::Manifest(manifest) => Ok(manifest),
            Kept::List(_) => Err(Error::new(
                ErrorKind::Corrupted,
                format!("the manifest {location} is a manifest list, not a manifest"),
            )),
        }
    }
}

impl Default for ManifestCache {
    fn default() -> Self {
        Self::new(DEFAULT_CACHE_BYTES)
    }
}

impl fmt::Debug for ManifestCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManifestCache")
            .field("entries", &self.entries.entry_count())
            .field("bytes", &self.entries.weighted_size())
            .finish()
    }
}

impl Kept {
    fn memory(&self) -> usize {
        match self {
            Self::List(list) => list
                .iter()
                .map(|file| {
                    let summaries = file.partitions.as_ref().map_or(0, Vec::len);
                    size_of::<ManifestFile>() + file.manifest_path.len() + summaries * 128
                })
                .sum(),
            Self::Manifest(manifest) => manifest.memory(),
        }
    }
}

async fn read(file_io: &FileIO, location: &str, what: &str) -> Result<bytes::Bytes> {
    let read = async { file_io.new_input(location)?.read().await };
    read.await.map_err(|e| {
        let source = Error::from(e);
        Error::new(source.kind(), format!("the {what} {location} cannot be read: {}", source.message()))
            .with_source(source)
    })
}

fn corrupted_list(location: &str, broken: &Broken) -> Error {
    Error::new(ErrorKind::Corrupted, format!("the manifest list {location} cannot be read: {}", broken.0))
        .with_hint("roll the table back to a snapshot that does not use this file")
}
