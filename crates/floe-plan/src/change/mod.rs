//! What an operation wants to change, and what must not have happened meanwhile.

mod partition;

use std::collections::HashSet;
use std::fmt;

use floe_core::location::masked;
use floe_core::{Error, ErrorKind, Result};
use iceberg::spec::{
    DataContentType, DataFile, DataFileFormat, FormatVersion, Operation, PartitionField, PartitionSpec,
    PrimitiveLiteral, PrimitiveType, SchemaRef, Struct, StructType, TableMetadata, Transform,
};
use serde::{Deserialize, Serialize};

pub use partition::{DroppedSources, widened};

/// The kind of a snapshot (Iceberg spec, "Snapshots", `operation`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// Only data files are added.
    #[default]
    Append,
    /// Rows are added and removed.
    Overwrite,
    /// Rows are removed.
    Delete,
    /// Files are replaced by others with the same rows.
    Replace,
}

impl OperationKind {
    /// The name in a snapshot summary.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Overwrite => "overwrite",
            Self::Delete => "delete",
            Self::Replace => "replace",
        }
    }
}

impl From<OperationKind> for Operation {
    fn from(kind: OperationKind) -> Self {
        match kind {
            OperationKind::Append => Self::Append,
            OperationKind::Overwrite => Self::Overwrite,
            OperationKind::Delete => Self::Delete,
            OperationKind::Replace => Self::Replace,
        }
    }
}

/// A data or delete file, with the partition spec its partition values belong to.
///
/// `DataFile` knows its spec, but does not tell.
#[derive(Clone, PartialEq)]
pub struct TableFile {
    /// The id of the partition spec.
    pub spec_id: i32,
    /// The file.
    pub file: DataFile,
}

/// Without values of the table's data.
impl fmt::Debug for TableFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableFile")
            .field("path", &masked(self.file.file_path()))
            .field("spec_id", &self.spec_id)
            .field("content", &self.file.content_type())
            .field("record_count", &self.file.record_count())
            .finish_non_exhaustive()
    }
}

/// A file that a commit takes out of the table, with what is needed to find and to count it.
#[derive(Clone, PartialEq)]
pub struct RemovedFile {
    /// Where the file is stored.
    pub path: String,
    /// Data or deletes.
    pub content: DataContentType,
    /// The partition spec of the file.
    pub spec_id: i32,
    /// The partition values of the file.
    pub partition: Struct,
    /// The rows, or deletes, in the file.
    pub record_count: u64,
    /// The size of the file in bytes.
    pub file_size_in_bytes: u64,
    /// The data sequence number of the file; 0 when it is not known.
    pub sequence_number: i64,
}

/// Without values of the table's data.
impl fmt::Debug for RemovedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemovedFile")
            .field("path", &masked(&self.path))
            .field("content", &self.content)
            .field("spec_id", &self.spec_id)
            .field("record_count", &self.record_count)
            .field("sequence_number", &self.sequence_number)
            .finish_non_exhaustive()
    }
}

impl RemovedFile {
    /// A file as a scan found it.
    pub fn new(spec_id: i32, file: &DataFile, sequence_number: i64) -> Self {
        Self {
            path: file.file_path().to_owned(),
            content: file.content_type(),
            spec_id,
            partition: file.partition().clone(),
            record_count: file.record_count(),
            file_size_in_bytes: file.file_size_in_bytes(),
            sequence_number,
        }
    }
}

/// What one commit changes in a table. Operations differ by this value only.
///
/// ```
/// use floe_plan::change::{ChangeSet, OperationKind};
///
/// let nothing = ChangeSet::append(0, vec![]);
/// assert_eq!(nothing.operation, OperationKind::Append);
/// assert!(nothing.is_empty());
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChangeSet {
    /// The kind of the snapshot.
    pub operation: OperationKind,
    /// Files that become part of the table. Whether one holds data or deletes is in its content type.
    pub added: Vec<TableFile>,
    /// Files that are no longer part of the table. Each must be live when the commit takes effect.
    pub removed: Vec<RemovedFile>,
    /// The files that are added take the place of everything that was in their partitions; the snapshot's summary says so.
    /// Such a snapshot can be applied to another branch. Never with delete files.
    pub replaces_partitions: bool,
}

impl ChangeSet {
    /// Adds data files that were written with one partition spec.
    pub fn append(spec_id: i32, files: Vec<DataFile>) -> Self {
        let added = files.into_iter().map(|file| TableFile { spec_id, file }).collect();
        Self { added, ..Self::default() }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }

    /// Whether this can become a snapshot of the table, judged without its files: partition specs are known and
    /// fit the partition values, no file comes twice, and files are of a kind that the operation and the
    /// table's format version allow.
    ///
    /// Fails with `Validation`.
    pub fn check(&self, metadata: &TableMetadata) -> Result<()> {
        let mut paths = HashSet::with_capacity(self.added.len() + self.removed.len());
        let mut types: Vec<(i32, StructType)> = Vec::new();
        for TableFile { spec_id, file } in &self.added {
            if !paths.insert(file.file_path()) {
                return Err(refused(file.file_path(), "is added twice"));
            }
            self.check_kind(file, metadata)?;
            if !types.iter().any(|(id, _)| id == spec_id) {
                types.push((*spec_id, partition_type(metadata, *spec_id)?));
            }
            let fits = types.iter().any(|(id, of)| id == spec_id && partition_fits(file, of));
            if !fits {
                let why = format!("has partition values that do not fit spec {spec_id}");
                return Err(refused(file.file_path(), &why));
            }
        }
        for removed in &self.removed {
            if self.operation == OperationKind::Append {
                return Err(refused(&removed.path, "is removed, which an append cannot do"));
            }
            if !paths.insert(&removed.path) {
                return Err(refused(&removed.path, "is removed twice, or added too"));
            }
            if metadata.partition_spec_by_id(removed.spec_id).is_none() {
                return Err(refused(
                    &removed.path,
                    &format!("is of spec {}, which is not there", removed.spec_id),
                ));
            }
        }
        Ok(())
    }

    fn check_kind(&self, file: &DataFile, metadata: &TableMetadata) -> Result<()> {
        let deletes = file.content_type() != DataContentType::Data;
        let why = match self.operation {
            OperationKind::Append if deletes => "holds deletes, which an append cannot add",
            OperationKind::Delete if !deletes => "holds data, which a delete cannot add: it is an overwrite",
            _ if deletes && metadata.format_version() == FormatVersion::V1 => {
                "holds deletes, which a table of format version 1 cannot have"
            }
            _ if file.content_type() == DataContentType::PositionDeletes
                && metadata.format_version() == FormatVersion::V3
                && file.file_format() != DataFileFormat::Puffin =>
            {
                "is a position delete file, which a table of format version 3 cannot take: it has deletion vectors"
            }
            _ => return Ok(()),
        };
        Err(refused(file.file_path(), why))
    }
}

/// The type of the partition values of a spec.
///
/// Fails with `Validation` when the table has no such spec, or no schema that it fits.
pub fn partition_type(metadata: &TableMetadata, spec_id: i32) -> Result<StructType> {
    partition_schema(metadata, spec_id).map(|(_, partition)| partition)
}

/// The schema that a spec takes its source columns from, and the type of its partition values. A source column may
/// have been dropped: then it is the newest schema that has all of them.
///
/// Fails with `Validation` when the table has no such spec, or no schema that it fits; `Unsupported` when floe does not
/// know a transform of the spec, and so not the type of its values.
pub fn partition_schema(metadata: &TableMetadata, spec_id: i32) -> Result<(&SchemaRef, StructType)> {
    let spec = metadata
        .partition_spec_by_id(spec_id)
        .ok_or_else(|| Error::validation(format!("the table has no partition spec {spec_id}")))?;
    check_transforms(spec)?;
    let current = metadata.current_schema();
    let error = match spec.partition_type(current) {
        Ok(partition) => return Ok((current, partition)),
        Err(e) => e,
    };
    let mut older: Vec<&SchemaRef> = metadata.schemas_iter().collect();
    older.sort_unstable_by_key(|schema| std::cmp::Reverse(schema.schema_id()));
    older.into_iter().find_map(|schema| Some((schema, spec.partition_type(schema).ok()?))).ok_or_else(|| {
        Error::validation(format!("partition spec {spec_id} fits no schema of the table")).with_source(error)
    })
}

/// Whether rows can be written to a table at all.
///
/// Fails with `Unsupported`, naming it, when the table is partitioned by a transform that floe does not know (Iceberg
/// spec, "Partition Transforms": it can be read all the same), or is encrypted.
pub fn check_writable(metadata: &TableMetadata) -> Result<()> {
    check_transforms(metadata.default_partition_spec())?;
    let key = metadata.properties().get(ENCRYPTION_KEY_ID).is_some_and(|key| !key.is_empty());
    if key || metadata.encryption_keys_iter().len() > 0 {
        let why = "the table is encrypted, and what floe writes would not be";
        return Err(Error::new(ErrorKind::Unsupported, why)
            .with_hint("write to the table with an engine that encrypts, such as Spark"));
    }
    Ok(())
}

/// The property that says by which key the files of a table are encrypted.
const ENCRYPTION_KEY_ID: &str = "encryption.key-id";

/// The first field of a spec whose transform floe does not know.
pub fn unknown_field(spec: &PartitionSpec) -> Option<&PartitionField> {
    spec.fields().iter().find(|field| field.transform == Transform::Unknown)
}

fn check_transforms(spec: &PartitionSpec) -> Result<()> {
    match unknown_field(spec) {
        None => Ok(()),
        Some(field) => Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the partition field '{}' of spec {} has a transform that floe does not know",
                field.name,
                spec.spec_id()
            ),
        )
        .with_hint("the table can be read; write to it with the engine that partitioned it")),
    }
}

/// A partition value as one of type `kind`, to which the source column may have been widened since the value was
/// written (Iceberg spec, "Schema Evolution"); `None` if it cannot be.
pub fn widened_to(kind: &PrimitiveType, literal: PrimitiveLiteral) -> Option<PrimitiveLiteral> {
    use PrimitiveLiteral as L;
    use PrimitiveType as P;
    match (kind, literal) {
        (P::Long, L::Int(v)) => Some(L::Long(v.into())),
        (P::Double, L::Float(v)) => Some(L::Double(f64::from(v.0).into())),
        (P::Timestamp, L::Int(days)) => Some(L::Long(i64::from(days) * 86_400_000_000)),
        (P::TimestampNs, L::Int(days)) => i64::from(days).checked_mul(86_400_000_000_000).map(L::Long),
        (P::Fixed(size), L::Binary(v)) if v.len() as u64 != *size => None,
        (kind, literal) => kind.compatible(&literal).then_some(literal),
    }
}

fn partition_fits(file: &DataFile, of: &StructType) -> bool {
    let values = file.partition().fields();
    values.len() == of.fields().len()
        && values.iter().zip(of.fields()).all(|(value, field)| match value {
            None => true,
            Some(value) => match (value.as_primitive_literal(), field.field_type.as_primitive_type()) {
                (Some(literal), Some(kind)) => widened_to(kind, literal).is_some(),
                _ => false,
            },
        })
}

fn refused(path: &str, why: &str) -> Error {
    Error::validation(format!("the file {} {why}", masked(path)))
}

#[cfg(test)]
mod tests {
    use floe_core::ErrorKind;

    use super::*;
    use crate::test_table::{data_file, delete_file, metadata, without_category};

    #[test]
    fn an_append_of_fitting_files_is_accepted() {
        let change = ChangeSet::append(0, vec![data_file("a", Some("x")), data_file("b", None)]);
        change.check(&metadata(FormatVersion::V2)).unwrap();
    }

    #[test]
    fn each_fault_is_refused_and_names_the_file() {
        let metadata = metadata(FormatVersion::V2);
        let twice = ChangeSet::append(0, vec![data_file("a", None), data_file("a", None)]);
        let deletes = ChangeSet::append(0, vec![delete_file("d", None)]);
        for (change, file) in [(twice, "/a"), (deletes, "/d")] {
            let error = change.check(&metadata).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Validation);
            assert!(error.to_string().contains(file), "{error}");
        }
        let unknown = ChangeSet::append(9, vec![data_file("a", None)]);
        assert!(unknown.check(&metadata).unwrap_err().to_string().contains("spec 9"));
    }

    #[test]
    fn a_removed_file_comes_once_and_not_in_an_append() {
        let metadata = metadata(FormatVersion::V2);
        let gone = |name| RemovedFile::new(0, &data_file(name, Some("x")), 1);
        let change = |operation, removed| ChangeSet { operation, removed, ..ChangeSet::default() };
        change(OperationKind::Delete, vec![gone("a"), gone("b")]).check(&metadata).unwrap();
        for change in [
            change(OperationKind::Delete, vec![gone("a"), gone("a")]),
            change(OperationKind::Append, vec![gone("a")]),
            change(OperationKind::Delete, vec![RemovedFile { spec_id: 7, ..gone("a") }]),
            ChangeSet {
                operation: OperationKind::Overwrite,
                removed: vec![gone("a")],
                ..ChangeSet::append(0, vec![data_file("a", Some("x"))])
            },
            ChangeSet {
                operation: OperationKind::Delete,
                ..ChangeSet::append(0, vec![data_file("a", None)])
            },
        ] {
            assert_eq!(change.check(&metadata).unwrap_err().kind(), ErrorKind::Validation);
        }
    }

    #[test]
    fn a_table_of_version_1_takes_no_delete_files() {
        let mut change = ChangeSet::append(0, vec![delete_file("d", None)]);
        change.operation = OperationKind::Delete;
        change.check(&metadata(FormatVersion::V2)).unwrap();
        assert!(change.check(&metadata(FormatVersion::V1)).is_err());
    }

    #[test]
    fn partition_values_of_another_shape_are_refused() {
        let mut builder = iceberg::spec::DataFileBuilder::default();
        builder.content(DataContentType::Data).file_path("memory:///t/data/a".into());
        builder.file_format(iceberg::spec::DataFileFormat::Parquet).record_count(1).file_size_in_bytes(1);
        let wrong = |values| {
            let file = builder.clone().partition(values).build().unwrap();
            ChangeSet::append(0, vec![file]).check(&metadata(FormatVersion::V2)).unwrap_err().kind()
        };
        assert_eq!(wrong(iceberg::spec::Struct::empty()), ErrorKind::Validation);
        let long = iceberg::spec::Struct::from_iter([Some(iceberg::spec::Literal::long(1))]);
        assert_eq!(wrong(long), ErrorKind::Validation);
    }

    #[test]
    fn values_from_before_a_column_was_widened_fit() {
        use PrimitiveLiteral as L;
        use PrimitiveType as P;
        assert_eq!(widened_to(&P::Long, L::Int(-7)), Some(L::Long(-7)));
        assert_eq!(widened_to(&P::Double, L::Float(0.5.into())), Some(L::Double(0.5.into())));
        assert_eq!(widened_to(&P::Timestamp, L::Int(-1)), Some(L::Long(-86_400_000_000)));
        assert_eq!(widened_to(&P::Int, L::Long(1)), None);
        assert_eq!(widened_to(&P::Fixed(2), L::Binary(vec![1])), None);
    }

    #[test]
    fn a_spec_whose_source_was_dropped_keeps_its_type() {
        let table = metadata(FormatVersion::V2);
        let before = partition_type(&table, 0).unwrap();
        let table = without_category();
        assert_eq!(partition_type(&table, 0).unwrap(), before);
        ChangeSet::append(0, vec![data_file("a", Some("x"))]).check(&table).unwrap();
        assert!(partition_type(&table, 9).is_err());
    }
}
