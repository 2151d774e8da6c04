//! Manifest lists and manifests in memory, shared by tables and by versions of tables.

use std::fmt;
use std::sync::Arc;

use floe_core::guard::Guard;
use floe_core::{Error, ErrorKind, LoadedTable, Result};
use iceberg::io::FileIO;
use iceberg::spec::ManifestFile;
use moka::future::Cache;

use super::avro::Broken;
use super::header::Known;
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
            let list = Guard::new("the reader of manifest lists", location).call(|| {
                manifest_list::decode(&bytes).map_err(|broken| unreadable_list(location, &broken))
            })?;
            Ok(Kept::List(Arc::new(list)))
        };
        match self.entries.try_get_with_by_ref(location, read).await.map_err(|e: Arc<Error>| (*e).clone())? {
            Kept::List(list) => Ok(list),
            Kept::Manifest(_) => {
                Err(unreadable_list(location, &Broken::new("it is a manifest, not a manifest list")))
            }
        }
    }

    /// Keeps a manifest list that was just written, so that the next commit does not read it.
    pub(crate) async fn keep_list(&self, location: &str, list: Arc<Vec<ManifestFile>>) {
        self.entries.insert(location.to_owned(), Kept::List(list)).await;
    }

    /// A manifest. Fails with `Corrupted` or `FileNotFound`, naming the file; `Unsupported` when it is encrypted,
    /// or may be sound and has what floe does not read.
    /// What the file leaves out is taken from the table and from `file`.
    pub async fn manifest(&self, table: &LoadedTable, file: &ManifestFile) -> Result<Arc<Manifest>> {
        let location = &file.manifest_path;
        if file.key_metadata.as_ref().is_some_and(|key| !key.is_empty()) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the manifest {location} is encrypted, which floe does not read"),
            ));
        }
        let decode = async {
            let bytes = read(&table.file_io, location, "manifest").await?;
            if (bytes.len() as u64) < u64::try_from(file.manifest_length).unwrap_or(0) {
                let (has, says) = (bytes.len(), file.manifest_length);
                let why = format!("it has {has} bytes, and the manifest list says {says}");
                return Err(Broken::new(why).error(&format!("the manifest {location}")));
            }
            let name = location.clone();
            let known = Known { table: table.metadata.clone(), listed: file.clone() };
            // Decoding takes milliseconds: not on a thread that serves IO.
            let guard = Guard::new(super::READER, name.as_str());
            let decode = move || guard.call(|| Manifest::decode(&name, &bytes, Some(&known)));
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
            Kept::List(_) => {
                let why = Broken::new("it is a manifest list, not a manifest");
                Err(why.error(&format!("the manifest {location}")))
            }
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
    // What the storage says to do about it stays.
    read.await.map_err(|e| Error::from(e).context(format!("the {what} {location} cannot be read")))
}

fn unreadable_list(location: &str, broken: &Broken) -> Error {
    broken.error(&format!("the manifest list {location}"))
}
