//! A table pinned at one version: metadata, manifest lists and manifests, read through a shared cache.

mod avro;
pub(crate) mod bound;
mod cache;
mod files;
#[cfg(test)]
mod foreign_tests;
mod header;
mod layout;
mod manifest;
mod manifest_list;
mod pairs;
mod selector;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use floe_core::guard::Guard;
use floe_core::{Error, ErrorKind, LoadedTable, Result};
use futures::{StreamExt, TryStreamExt};
use iceberg::spec::{DataFile, ManifestFile, ManifestStatus, Snapshot, TableMetadata};

pub use cache::{DEFAULT_CACHE_BYTES, ManifestCache};
pub use files::{ColumnBounds, TableFile};
pub use manifest::{Entry, Manifest};
pub use selector::{Resolved, SnapshotSelector};

/// What a panic while manifests are decoded is laid to.
pub(crate) const READER: &str = "the manifest reader";

/// How many manifests are read at a time.
pub(crate) const MANIFESTS_AT_A_TIME: usize = 8;

/// A table as it was loaded, and the cache that its manifests are read through.
#[derive(Debug, Clone)]
pub struct TableBase {
    /// The table. Its metadata never changes.
    pub table: LoadedTable,
    /// Shared with other tables, and with later versions of this one.
    pub cache: Arc<ManifestCache>,
}

/// A live file of a table, as the commit path needs it to write it into another manifest.
#[derive(Debug, Clone)]
pub struct LiveFile {
    /// The file. Its `first_row_id` is set, if the table has row lineage.
    pub data_file: DataFile,
    /// Whether the snapshot that wrote the manifest added the file or kept it.
    pub status: ManifestStatus,
    /// The snapshot that added the file.
    pub snapshot_id: i64,
    /// The data sequence number: which deletes apply to the file.
    pub sequence_number: i64,
    /// The sequence number of the snapshot that added the file.
    pub file_sequence_number: Option<i64>,
}

impl LiveFile {
    /// The file of a live entry.
    pub fn new(entry: &Entry<'_>) -> Result<Self> {
        Ok(Self {
            data_file: entry.data_file()?,
            status: entry.status(),
            snapshot_id: entry.snapshot_id,
            sequence_number: entry.sequence_number,
            file_sequence_number: entry.file_sequence_number,
        })
    }
}

impl TableBase {
    /// A table with the cache to use.
    pub fn new(table: LoadedTable, cache: Arc<ManifestCache>) -> Self {
        Self { table, cache }
    }

    /// The metadata of the table.
    pub fn metadata(&self) -> &TableMetadata {
        &self.table.metadata
    }

    /// The snapshot that `selector` names, and the schema to read it in. Fails with `SnapshotNotFound`.
    pub fn resolve(&self, selector: &SnapshotSelector) -> Result<Resolved> {
        selector.resolve(&self.table)
    }

    /// The manifests of a snapshot. Fails with `Corrupted` or `FileNotFound`, naming the manifest list; `Unsupported` when
    /// it is encrypted.
    pub async fn manifest_files(&self, snapshot: &Snapshot) -> Result<Arc<Vec<ManifestFile>>> {
        if snapshot.encryption_key_id().is_some() {
            return Err(self.encrypted(&format!("the manifest list {}", snapshot.manifest_list())));
        }
        self.cache
            .manifest_list(&self.table.file_io, snapshot.manifest_list())
            .await
            .map_err(|e| e.with_table(&self.table.ident))
    }

    /// A manifest. Fails with `Corrupted` or `FileNotFound`, naming it; `Unsupported` when it is encrypted.
    pub async fn manifest(&self, file: &ManifestFile) -> Result<Arc<Manifest>> {
        if file.key_metadata.as_ref().is_some_and(|key| !key.is_empty()) {
            return Err(self.encrypted(&format!("the manifest {}", file.manifest_path)));
        }
        self.cache.manifest(&self.table, file).await.map_err(|e| e.with_table(&self.table.ident))
    }

    fn encrypted(&self, what: &str) -> Error {
        Error::new(ErrorKind::Unsupported, format!("{what} is encrypted, which floe cannot read"))
            .with_table(&self.table.ident)
            .with_hint("read the table with an engine that has its keys, such as Spark")
    }

    /// The live files of a manifest, in its order, with what they inherit from `file`.
    pub async fn live_files(&self, file: &ManifestFile) -> Result<Vec<LiveFile>> {
        let manifest = self.manifest(file).await?;
        let live = manifest.entries(file).filter(|entry| entry.as_ref().map_or(true, Entry::is_live));
        Guard::new(READER, file.manifest_path.as_str())
            .call(|| live.map(|entry| LiveFile::new(&entry?)).collect::<Result<_>>())
            .map_err(|e| e.with_table(&self.table.ident))
    }

    /// Every live file of a snapshot, data and deletes, in the order of its manifests.
    pub async fn files(&self, selector: &SnapshotSelector) -> Result<Vec<TableFile>> {
        let resolved = self.resolve(selector)?;
        let Some(snapshot) = resolved.snapshot else {
            return Ok(Vec::new());
        };
        let list = self.manifest_files(&snapshot).await?;
        let files: Vec<Vec<TableFile>> = futures::stream::iter(list.iter().cloned())
            .map(|file| {
                let schema = resolved.schema.clone();
                async move {
                    let manifest = self.manifest(&file).await?;
                    let guard = Guard::new(READER, file.manifest_path.as_str());
                    guard
                        .call(|| files::list(&manifest, &file, &schema))
                        .map_err(|e| e.with_table(&self.table.ident))
                }
            })
            .buffered(MANIFESTS_AT_A_TIME)
            .try_collect()
            .await?;
        Ok(files.into_iter().flatten().collect())
    }
}
