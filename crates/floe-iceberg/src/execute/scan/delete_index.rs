//! Which delete files apply to which data files (Iceberg spec, "Scan Planning").

use std::collections::HashMap;

use floe_core::location::masked;
use floe_core::{Error, ErrorKind, Result};
use floe_plan::change::DroppedSources;
use iceberg::spec::{DataContentType, DataFileFormat, Datum, PartitionSpec, PrimitiveType, Struct};

use super::request::DeleteFile;
use crate::base::bound::DELETE_FILE_PATH;
use crate::base::{Entry, Manifest};

/// A delete file with what decides where it applies.
#[derive(Debug)]
pub(super) struct PlannedDelete {
    file: DeleteFile,
    content: DataContentType,
    format: DataFileFormat,
    sequence_number: i64,
    spec_id: i32,
    unpartitioned: bool,
    partition: Struct,
    referenced: Option<String>,
    /// Bounds of the paths that a position delete file names.
    paths: (Option<Datum>, Option<Datum>),
}

impl PlannedDelete {
    pub(super) fn new(manifest: &Manifest, entry: &Entry<'_>) -> Result<Self> {
        let path = entry.path()?;
        let equality_ids = match entry.content() {
            DataContentType::PositionDeletes => None,
            DataContentType::EqualityDeletes => match entry.equality_ids()? {
                Some(ids) if !ids.is_empty() => Some(ids),
                _ => {
                    return Err(Error::new(
                        ErrorKind::Corrupted,
                        format!("the manifest does not say by which columns {} deletes", masked(path)),
                    ));
                }
            },
            DataContentType::Data => {
                return Err(Error::new(
                    ErrorKind::Corrupted,
                    format!("the data file {} is listed in a manifest of delete files", masked(path)),
                ));
            }
        };
        Ok(Self {
            file: DeleteFile { path: path.to_owned(), file_size: entry.file_size(), equality_ids },
            content: entry.content(),
            format: entry.format()?,
            sequence_number: entry.sequence_number,
            spec_id: manifest.partition_spec().spec_id(),
            unpartitioned: manifest.partition_spec().is_unpartitioned(),
            partition: entry.partition()?,
            referenced: entry.referenced_data_file()?.map(str::to_owned),
            paths: (
                entry.lower(DELETE_FILE_PATH, &PrimitiveType::String),
                entry.upper(DELETE_FILE_PATH, &PrimitiveType::String),
            ),
        })
    }

    /// Whether this applies to a data file that may be in the same partition.
    fn applies(
        &self,
        path: &str,
        sequence_number: i64,
        partition: &Struct,
        dropped: &DroppedSources,
    ) -> Result<bool> {
        match self.content {
            DataContentType::PositionDeletes => {
                let named = if let Some(referenced) = &self.referenced {
                    referenced == path
                } else {
                    let path = Datum::string(path);
                    self.paths.0.as_ref().is_none_or(|lower| *lower <= path)
                        && self.paths.1.as_ref().is_none_or(|upper| *upper >= path)
                };
                Ok(named && sequence_number <= self.sequence_number)
            }
            DataContentType::EqualityDeletes if sequence_number >= self.sequence_number => Ok(false),
            DataContentType::EqualityDeletes if self.unpartitioned => Ok(true),
            DataContentType::EqualityDeletes => {
                dropped.same(self.spec_id, &self.partition, partition).ok_or_else(|| {
                    Error::new(
                        ErrorKind::Corrupted,
                        format!(
                            "whether the delete file {} applies to the data file {} is not known: a writer lost the \
                             partition of one of them, whose source column was dropped",
                            masked(&self.file.path),
                            masked(path)
                        ),
                    )
                    .with_hint("read the snapshot before the one that wrote the manifests anew")
                })
            }
            DataContentType::Data => Ok(false),
        }
    }
}

/// The delete files of a snapshot, by partition.
#[derive(Debug)]
pub(super) struct DeleteIndex {
    global: Vec<PlannedDelete>,
    by_partition: HashMap<(i32, Struct), Vec<PlannedDelete>>,
    dropped: DroppedSources,
}

impl DeleteIndex {
    pub(super) fn new(deletes: Vec<PlannedDelete>, dropped: DroppedSources) -> Self {
        let mut index = Self { global: Vec::new(), by_partition: HashMap::new(), dropped };
        for delete in deletes {
            if delete.unpartitioned && delete.content == DataContentType::EqualityDeletes {
                index.global.push(delete);
            } else {
                let key = (delete.spec_id, index.dropped.known_part(delete.spec_id, &delete.partition));
                index.by_partition.entry(key).or_default().push(delete);
            }
        }
        index
    }

    pub(super) fn is_empty(&self) -> bool {
        self.global.is_empty() && self.by_partition.is_empty()
    }

    /// The delete files that apply to a data file. Fails with `Unsupported` when one of them cannot be read: it must
    /// never be ignored.
    pub(super) fn for_file(
        &self,
        path: &str,
        sequence_number: i64,
        spec: &PartitionSpec,
        partition: &Struct,
    ) -> Result<Vec<DeleteFile>> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let place = (spec.spec_id(), self.dropped.known_part(spec.spec_id(), partition));
        let here = self.by_partition.get(&place);
        let candidates = self.global.iter().chain(here.into_iter().flatten());
        let mut found = Vec::new();
        for delete in candidates {
            if !delete.applies(path, sequence_number, partition, &self.dropped)? {
                continue;
            }
            if delete.format != DataFileFormat::Parquet {
                let what = match delete.format {
                    DataFileFormat::Puffin => "a deletion vector".to_owned(),
                    other => format!("a delete file in {other}"),
                };
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!(
                        "{what}, {}, applies to the data file {}; floe does not read it",
                        masked(&delete.file.path),
                        masked(path)
                    ),
                )
                .with_hint("compact the table with the engine that wrote the deletes"));
            }
            found.push(delete.file.clone());
        }
        Ok(found)
    }
}
