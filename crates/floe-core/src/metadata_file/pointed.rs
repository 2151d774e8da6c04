//! The metadata files of a catalog that keeps a pointer to each table's newest one.

use std::collections::HashSet;
use std::sync::Arc;

use iceberg::io::FileIO;
use iceberg::spec::{TableMetadata, TableMetadataRef};
use iceberg::{TableCreation, TableIdent, TableRequirement, TableUpdate};

use super::{MetadataCache, MetadataText, apply, create, may_sweep, next_location_with, write_text};
use crate::{CommitOutcome, Environment, Error, ErrorKind, LoadedTable, Result};

/// The property that says whether metadata files go with the entries of the table's log that are dropped.
const DELETE_AFTER_COMMIT: &str = "write.metadata.delete-after-commit.enabled";

/// The metadata files of a catalog that keeps a pointer to each table's newest one, and swaps it: SQL, Glue, memory.
///
/// The catalog says where the pointer points and how it is swapped; what is written, read, kept in memory and
/// removed again, and what the outcome of a commit is, is decided here, once for all such catalogs.
#[derive(Debug)]
pub struct PointedFiles {
    file_io: FileIO,
    cache: MetadataCache,
    env: Arc<dyn Environment>,
}

/// A metadata file that was written and that no pointer points to yet.
#[derive(Debug, Clone)]
pub struct Written {
    /// Where it is.
    pub location: String,
    /// What it holds.
    pub metadata: TableMetadataRef,
}

impl PointedFiles {
    /// Files written and read through `file_io`; `env` draws the UUIDs in their names.
    pub fn new(file_io: FileIO, env: Arc<dyn Environment>) -> Self {
        Self { file_io, cache: MetadataCache::default(), env }
    }

    /// The table whose pointer points to `location`. `Corrupted` when the file is missing or is no table metadata.
    pub async fn load(&self, table: &TableIdent, location: String) -> Result<LoadedTable> {
        let metadata = self.read(table, &location).await?;
        Ok(self.loaded(table, location, metadata))
    }

    /// The table of a metadata file that no pointer points to yet. `FileNotFound` when there is no such file,
    /// `Corrupted` when it is no table metadata.
    pub async fn open(&self, table: &TableIdent, location: &str) -> Result<LoadedTable> {
        let metadata =
            self.cache.get_or_read(&self.file_io, location).await.map_err(|e| e.with_table(table))?;
        Ok(self.loaded(table, location.to_owned(), metadata))
    }

    /// Writes the first metadata file of a table, its location given, and has `insert` make the pointer. When
    /// `insert` fails for certain the file is removed again; it stays after `CommitStateUnknown`.
    pub async fn create<F, Fut>(
        &self,
        table: &TableIdent,
        mut creation: TableCreation,
        insert: F,
    ) -> Result<LoadedTable>
    where
        F: FnOnce(Written) -> Fut + Send,
        Fut: Future<Output = Result<()>> + Send,
    {
        creation.location = creation.location.map(|location| location.trim_end_matches('/').to_owned());
        let of_table = |e: Error| e.with_table(table);
        let metadata = create(creation).map_err(of_table)?;
        let location = next_location_with(&metadata, None, self.env.random_uuid()).map_err(of_table)?;
        let text = MetadataText::new(&metadata).map_err(of_table)?;
        write_text(&self.file_io, &location, text.json()).await.map_err(of_table)?;
        let metadata = TableMetadataRef::new(metadata);
        let written = Written { location: location.clone(), metadata: metadata.clone() };
        if let Err(error) = insert(written).await {
            if error.kind() != ErrorKind::CommitStateUnknown {
                self.sweep(&location).await;
            }
            return Err(of_table(error));
        }
        self.cache.put_written(&location, metadata.clone(), text);
        Ok(self.loaded(table, location, metadata))
    }

    /// Commits to the table whose pointer points to `head`: checks `requirements`, writes the metadata after
    /// `updates`, and has `swap` move the pointer there if it still points to `head`; see
    /// [`crate::CatalogClient::commit`].
    ///
    /// `swap` answers whether it moved the pointer: `false` is a conflict; the error `CommitStateUnknown` is an
    /// outcome that is not known, after which the file stays; after any other error nothing has moved for certain.
    pub async fn commit<F, Fut>(
        &self,
        table: &TableIdent,
        head: &str,
        requirements: &[TableRequirement],
        updates: &[TableUpdate],
        swap: F,
    ) -> Result<CommitOutcome>
    where
        F: FnOnce(Written) -> Fut + Send,
        Fut: Future<Output = Result<bool>> + Send,
    {
        let of_table = |e: Error| e.with_table(table);
        let current = self.read(table, head).await?;
        let metadata = match apply(table, &current, head, requirements, updates) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == ErrorKind::CommitConflict => return Ok(CommitOutcome::Conflict(e)),
            Err(e) => return Err(e),
        };
        if updates.is_empty() {
            return Ok(CommitOutcome::Committed(self.loaded(table, head.to_owned(), current)));
        }
        let next = next_location_with(&metadata, Some(head), self.env.random_uuid()).map_err(of_table)?;
        let text = self
            .cache
            .write_next(&self.file_io, (head, &current), (&next, &metadata), updates)
            .await
            .map_err(of_table)?;
        let metadata = TableMetadataRef::new(metadata);
        let written = Written { location: next.clone(), metadata: metadata.clone() };
        match swap(written).await {
            Ok(true) => {
                self.cache.put_written(&next, metadata.clone(), text);
                self.drop_previous(&next, &current, &metadata).await;
                Ok(CommitOutcome::Committed(self.loaded(table, next, metadata)))
            }
            Ok(false) => {
                self.sweep(&next).await;
                let error = Error::new(ErrorKind::CommitConflict, "another commit came first");
                Ok(CommitOutcome::Conflict(error.with_table(table).with_hint("load the table and try again")))
            }
            Err(e) if e.kind() == ErrorKind::CommitStateUnknown => Ok(CommitOutcome::Unknown(of_table(e))),
            Err(e) => {
                self.sweep(&next).await;
                Err(of_table(e))
            }
        }
    }

    async fn read(&self, table: &TableIdent, location: &str) -> Result<TableMetadataRef> {
        self.cache.get_or_read(&self.file_io, location).await.map_err(|e| match e.kind() {
            ErrorKind::FileNotFound => Error::new(
                ErrorKind::Corrupted,
                format!("the metadata file {location} is missing"),
            )
            .with_table(table)
            .with_hint(
                "restore it from a backup or from the storage's earlier versions; do not drop the table",
            )
            .with_source(e),
            _ => e.with_table(table),
        })
    }

    fn loaded(&self, table: &TableIdent, location: String, metadata: TableMetadataRef) -> LoadedTable {
        LoadedTable {
            ident: table.clone(),
            metadata,
            metadata_location: location,
            file_io: self.file_io.clone(),
        }
    }

    /// Deletes the metadata files that the table's log had and has no more, if the table says so
    /// (`write.metadata.delete-after-commit.enabled`, `write.metadata.previous-versions-max`). Only after a commit that
    /// is certain, which put the pointer to `head`. The log is the word of whoever writes the table's files: see [`may_sweep`].
    async fn drop_previous(&self, head: &str, before: &TableMetadata, after: &TableMetadata) {
        let enabled = after.properties().get(DELETE_AFTER_COMMIT);
        if !enabled.is_some_and(|enabled| enabled.trim().eq_ignore_ascii_case("true")) {
            return;
        }
        let kept: HashSet<&str> = after.metadata_log().iter().map(|log| log.metadata_file.as_str()).collect();
        for log in before.metadata_log().iter().filter(|log| !kept.contains(log.metadata_file.as_str())) {
            match may_sweep(head, after, &log.metadata_file) {
                Ok(()) => self.sweep(&log.metadata_file).await,
                Err(why) => tracing::warn!(
                    location = log.metadata_file,
                    %why,
                    "an earlier metadata file is not deleted ({DELETE_AFTER_COMMIT})"
                ),
            }
        }
    }

    /// Removes a metadata file of ours that is not, or no more, the table's.
    async fn sweep(&self, location: &str) {
        if let Err(error) = self.file_io.delete(location).await {
            tracing::warn!(location, kind = %error.kind(), "a metadata file that is not used stays behind");
        }
    }
}
