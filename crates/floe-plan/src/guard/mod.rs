//! What must not have happened since an operation read the table.
//!
//! An operation gives its guards with its change set. The commit gathers what other writers did since the snapshot
//! that was read, and [`check`] compares the two.

mod isolation;
#[cfg(test)]
mod key_tests;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fmt;

use floe_core::location::masked;
use floe_core::{Error, ErrorKind, Result};
use iceberg::spec::{
    DataContentType, DataFile, Datum, Operation, PartitionSpecRef, PrimitiveLiteral, Struct, TableMetadata,
};

pub use isolation::{Isolation, RowOperation};

use crate::change::{DroppedSources, partition_type, widened};
use crate::expr::BoundExpr;
use crate::prune::FilePruner;
use crate::rows::path::partition_path;

/// The field id of `file_path` in position delete files (Iceberg spec, "Reserved Field IDs").
const DELETE_FILE_PATH: i32 = 2_147_483_546;

/// A data file whose rows an operation read.
#[derive(Clone, PartialEq)]
pub struct ReadFile {
    /// Where the file is stored.
    pub path: String,
    /// The partition spec of the file.
    pub spec_id: i32,
    /// The partition values of the file.
    pub partition: Struct,
}

/// Without values of the table's data.
impl fmt::Debug for ReadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadFile")
            .field("path", &masked(&self.path))
            .field("spec_id", &self.spec_id)
            .finish_non_exhaustive()
    }
}

/// Something that must hold for the history since the snapshot that an operation read.
#[derive(Debug, Clone, PartialEq)]
pub enum Guard {
    /// No delete was added that may apply to one of these data files: it would be lost with a file that is
    /// replaced, and applied twice by rows that are written again.
    NoNewDeletesFor {
        /// The files.
        files: Vec<ReadFile>,
    },
    /// These files are still part of the table. Files that the change set removes need no guard: they always
    /// have to be there.
    FilesStillLive {
        /// The files.
        files: Vec<ReadFile>,
    },
    /// No data file was added that may hold a row that matches. For serializable isolation.
    NoNewDataMatching {
        /// The filter of the operation.
        filter: BoundExpr,
    },
    /// No data or delete file was added to these partitions. For a dynamic overwrite.
    NoNewFilesInPartitions {
        /// Spec id and partition values.
        partitions: Vec<(i32, Struct)>,
    },
}

impl Guard {
    /// The guards of an operation that replaces or deletes rows of `files`, which it read: copy-on-write removes the
    /// files, merge-on-read adds deletes that refer to them.
    ///
    /// With serializable isolation, no data may have been added that matches `filter`.
    pub fn for_rows(files: Vec<ReadFile>, filter: BoundExpr, isolation: Isolation) -> Vec<Self> {
        let mut guards = Vec::with_capacity(3);
        if !files.is_empty() {
            guards.push(Self::FilesStillLive { files: files.clone() });
            guards.push(Self::NoNewDeletesFor { files });
        }
        if isolation == Isolation::Serializable {
            guards.push(Self::NoNewDataMatching { filter });
        }
        guards
    }
}

/// A file that a commit added.
#[derive(Debug, Clone)]
pub struct NewFile {
    /// The partition spec of the file.
    pub spec: PartitionSpecRef,
    /// The file.
    pub file: DataFile,
}

/// What one commit of another writer did.
#[derive(Debug, Clone)]
pub struct OtherCommit {
    /// The snapshot.
    pub snapshot_id: i64,
    /// Its operation.
    pub operation: Operation,
    /// The files it added.
    pub added: Vec<NewFile>,
}

/// Whether `guards` hold, as far as files that `others` added decide that. [`Guard::FilesStillLive`] is decided by the
/// manifests alone, and passes here.
///
/// Fails with `CommitConflict`, saying which snapshot, by which operation, touched which partition.
pub fn check<'a>(
    guards: &[Guard],
    others: impl IntoIterator<Item = &'a OtherCommit>,
    metadata: &TableMetadata,
) -> Result<()> {
    let dropped = DroppedSources::of(metadata);
    let mut checks: Vec<Check<'_>> = guards.iter().map(|guard| Check::new(guard, &dropped)).collect();
    for other in others {
        for new in &other.added {
            for check in &mut checks {
                if let Some(what) = check.violated_by(other, new, &dropped) {
                    return Err(conflict(other, new, what, metadata));
                }
            }
        }
    }
    Ok(())
}

/// A guard, prepared for many files.
enum Check<'g> {
    Deletes(HashMap<(i32, Struct), Vec<&'g str>>, usize),
    Data(&'g BoundExpr, Vec<(i32, FilePruner)>),
    Partitions(HashSet<(i32, Struct)>),
    Nothing,
}

impl<'g> Check<'g> {
    fn new(guard: &'g Guard, dropped: &DroppedSources) -> Self {
        match guard {
            Guard::NoNewDeletesFor { files } => {
                let mut by_partition: HashMap<(i32, Struct), Vec<&str>> = HashMap::new();
                for file in files {
                    let key = (file.spec_id, dropped.known_part(file.spec_id, &file.partition));
                    by_partition.entry(key).or_default().push(&file.path);
                }
                Self::Deletes(by_partition, files.len())
            }
            Guard::NoNewDataMatching { filter } => Self::Data(filter, Vec::new()),
            Guard::NoNewFilesInPartitions { partitions } => {
                Self::Partitions(partitions.iter().map(|(id, of)| (*id, widened(of))).collect())
            }
            Guard::FilesStillLive { .. } => Self::Nothing,
        }
    }

    /// What the new file does that must not be.
    fn violated_by(
        &mut self,
        other: &OtherCommit,
        new: &NewFile,
        dropped: &DroppedSources,
    ) -> Option<&'static str> {
        let spec_id = new.spec.spec_id();
        let data = new.file.content_type() == DataContentType::Data;
        // Files that replace others have no new rows and no new deletes.
        if other.operation == Operation::Replace {
            return None;
        }
        match self {
            Self::Deletes(files, count) if !data => {
                let place = (spec_id, dropped.known_part(spec_id, new.file.partition()));
                let here = files.get(&place).map_or(&[][..], Vec::as_slice);
                let hit = match new.file.content_type() {
                    DataContentType::EqualityDeletes if new.spec.is_unpartitioned() => *count > 0,
                    DataContentType::EqualityDeletes => !here.is_empty(),
                    _ => here.iter().any(|path| may_refer_to(&new.file, path)),
                };
                hit.then_some("added deletes for files that this operation read")
            }
            Self::Data(filter, pruners) if data => {
                if !pruners.iter().any(|(id, _)| *id == spec_id) {
                    pruners.push((spec_id, FilePruner::new(filter, &new.spec)));
                }
                let (_, pruner) = pruners.iter_mut().find(|(id, _)| *id == spec_id)?;
                let verdict = pruner.judge(new.file.partition(), &new.file);
                verdict.may_match().then_some("added data that may match what this operation read")
            }
            Self::Partitions(partitions) => {
                // Partitions of different specs cannot be told apart without reading.
                let known = partitions.iter().any(|(id, _)| *id == spec_id);
                (!known || partitions.contains(&(spec_id, widened(new.file.partition()))))
                    .then_some("added files to a partition that this operation replaces")
            }
            _ => None,
        }
    }
}

/// Whether a position delete file may hold a position of the data file (Iceberg spec, "Position Delete Files").
fn may_refer_to(deletes: &DataFile, path: &str) -> bool {
    if let Some(referenced) = deletes.referenced_data_file() {
        return referenced == path;
    }
    let text = |datum: Option<&Datum>| match datum.map(Datum::literal) {
        Some(PrimitiveLiteral::String(text)) => Some(text.clone()),
        _ => None,
    };
    let lower = text(deletes.lower_bounds().get(&DELETE_FILE_PATH));
    let upper = text(deletes.upper_bounds().get(&DELETE_FILE_PATH));
    lower.is_none_or(|lower| lower.as_str() <= path) && upper.is_none_or(|upper| upper.as_str() >= path)
}

fn conflict(other: &OtherCommit, new: &NewFile, what: &str, metadata: &TableMetadata) -> Error {
    let place = place(metadata, &new.spec, new.file.partition());
    let OtherCommit { snapshot_id, operation, .. } = other;
    Error::new(
        ErrorKind::CommitConflict,
        format!("snapshot {snapshot_id}, by operation {}, {what}: {place}", operation.as_str()),
    )
    .with_hint("run the operation again on the table as it is now")
}

/// Names a partition, without its values, which are data.
fn place(metadata: &TableMetadata, spec: &PartitionSpecRef, partition: &Struct) -> String {
    if spec.is_unpartitioned() {
        return "the table has no partitions".to_owned();
    }
    match partition_type(metadata, spec.spec_id()) {
        Ok(of) => format!("partition {}", masked(&partition_path(spec, &of, partition))),
        Err(_) => format!("a partition of spec {}", spec.spec_id()),
    }
}
