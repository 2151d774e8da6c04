//! Decoding of manifests (Iceberg spec, "Manifests").
//!
//! A manifest is kept as its decompressed Avro data with an index of where the parts of each entry begin. Planning
//! looks at a few counts and bounds of many files and drops most of them, so that building a [`DataFile`] for each
//! would be most of the work; one is built on demand.

use std::collections::HashMap;

use floe_core::{Error, ErrorKind, Result};
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, FormatVersion, Literal,
    ManifestContentType, ManifestFile, ManifestMetadata, ManifestStatus, PartitionSpec, PrimitiveLiteral,
    PrimitiveType, SchemaRef, Struct, StructType, Type,
};

use super::avro::{AvroField, AvroType, Broken, Container, Cursor, Decoded, broken};
use super::{bound, header};

/// A manifest in memory. It never changes.
#[derive(Debug)]
pub struct Manifest {
    location: String,
    metadata: ManifestMetadata,
    partition_type: StructType,
    partition_fields: Vec<AvroType>,
    data: Vec<u8>,
    heads: Vec<Head>,
}

/// The parts of an entry that are not read along with its head.
#[derive(Debug, Clone, Copy)]
#[repr(usize)]
enum Part {
    Path,
    Format,
    Partition,
    ColumnSizes,
    ValueCounts,
    NullCounts,
    NanCounts,
    LowerBounds,
    UpperBounds,
    KeyMetadata,
    SplitOffsets,
    EqualityIds,
    SortOrderId,
    ReferencedFile,
    ContentOffset,
    ContentSize,
}

const PARTS: usize = 16;
/// Marks a part that is NULL or not in the file.
const ABSENT: u32 = u32::MAX;

#[derive(Debug, Clone)]
struct Head {
    status: ManifestStatus,
    content: DataContentType,
    snapshot_id: Option<i64>,
    sequence_number: Option<i64>,
    file_sequence_number: Option<i64>,
    first_row_id: Option<i64>,
    record_count: u64,
    file_size: u64,
    parts: [u32; PARTS],
}

/// An entry of a manifest, with what it inherits from the manifest list (Iceberg spec, "Sequence Number
/// Inheritance" and "First Row ID Inheritance").
#[derive(Debug, Clone, Copy)]
pub struct Entry<'m> {
    manifest: &'m Manifest,
    head: &'m Head,
    /// The snapshot that added the file, or deleted it.
    pub snapshot_id: i64,
    /// The data sequence number: which deletes apply to the file.
    pub sequence_number: i64,
    /// The sequence number of the snapshot that added the file.
    pub file_sequence_number: Option<i64>,
    /// The row id of the file's first row, in tables with row lineage.
    pub first_row_id: Option<i64>,
}

impl Manifest {
    /// Decodes a whole manifest. Fails with `Corrupted`, naming `location`.
    pub(super) fn decode(location: &str, bytes: &[u8]) -> Result<Self> {
        let corrupted = |broken: Broken| corrupted(location, &broken);
        let container = Container::read(bytes).map_err(corrupted)?;
        let layout = Layout::of(&container.schema).map_err(corrupted)?;
        let metadata = header::parse(&container.metadata, &layout.partition)
            .map_err(|e| corrupted(Broken(e.message().to_owned())).with_source(e))?;
        let partition_type = metadata
            .partition_spec
            .partition_type(&metadata.schema)
            .map_err(|e| corrupted(Broken(e.message().to_owned())).with_source(e))?;
        if layout.partition.len() != partition_type.fields().len() {
            return Err(corrupted(Broken("its partition values do not fit its partition spec".into())));
        }
        if u32::try_from(container.data.len()).is_err() {
            return Err(corrupted(Broken("it is larger than 4 GiB".into())));
        }
        let mut cursor = Cursor::new(&container.data);
        let heads = (0..container.count)
            .map(|_| layout.head(&mut cursor))
            .collect::<Decoded<Vec<_>>>()
            .map_err(corrupted)?;
        Ok(Self {
            location: location.to_owned(),
            partition_type,
            partition_fields: layout.partition.iter().map(|f| f.ty.clone()).collect(),
            metadata,
            data: container.data,
            heads,
        })
    }

    /// Where the manifest is stored.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The schema of the table when the manifest was written.
    pub fn schema(&self) -> &SchemaRef {
        &self.metadata.schema
    }

    /// The partition spec of every file of the manifest.
    pub fn partition_spec(&self) -> &PartitionSpec {
        &self.metadata.partition_spec
    }

    /// The type of the partition values.
    pub fn partition_type(&self) -> &StructType {
        &self.partition_type
    }

    /// The format version that the manifest is written in.
    pub fn format_version(&self) -> FormatVersion {
        self.metadata.format_version
    }

    /// Whether the manifest holds data files or delete files.
    pub fn content(&self) -> ManifestContentType {
        self.metadata.content
    }

    /// How many entries there are, live or deleted.
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether there is no entry at all.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Every entry, deleted ones too, with what it inherits from `file`, this manifest's own entry in the
    /// manifest list. An entry that lacks what it cannot inherit is `Corrupted`.
    pub fn entries<'m>(&'m self, file: &'m ManifestFile) -> impl Iterator<Item = Result<Entry<'m>>> {
        let mut next_row_id = match self.content() {
            ManifestContentType::Data => file.first_row_id.and_then(|id| i64::try_from(id).ok()),
            ManifestContentType::Deletes => None,
        };
        self.heads.iter().map(move |head| {
            let inherits = head.status == ManifestStatus::Added || file.sequence_number == 0;
            let sequence_number = head.sequence_number.or(inherits.then_some(file.sequence_number));
            let Some(sequence_number) = sequence_number else {
                return Err(corrupted(&self.location, &Broken("an entry has no sequence number".into())));
            };
            let mut first_row_id = head.first_row_id;
            if first_row_id.is_none() && head.status != ManifestStatus::Deleted {
                first_row_id = next_row_id;
                next_row_id = next_row_id.and_then(|id| id.checked_add_unsigned(head.record_count));
            }
            Ok(Entry {
                manifest: self,
                head,
                snapshot_id: head.snapshot_id.unwrap_or(file.added_snapshot_id),
                sequence_number,
                file_sequence_number: head.file_sequence_number.or(inherits.then_some(file.sequence_number)),
                first_row_id,
            })
        })
    }

    /// About how many bytes of memory this takes.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + self.data.len() + self.heads.len() * size_of::<Head>() + 4096
    }
}

impl<'m> Entry<'m> {
    /// Whether the file was added, kept or deleted by the snapshot that wrote the manifest.
    pub fn status(&self) -> ManifestStatus {
        self.head.status
    }

    /// Whether the file is part of the table.
    pub fn is_live(&self) -> bool {
        self.head.status != ManifestStatus::Deleted
    }

    /// What the file holds.
    pub fn content(&self) -> DataContentType {
        self.head.content
    }

    /// The rows of the file.
    pub fn record_count(&self) -> u64 {
        self.head.record_count
    }

    /// The size of the file in bytes.
    pub fn file_size(&self) -> u64 {
        self.head.file_size
    }

    /// Where the file is stored.
    pub fn path(&self) -> Result<&'m str> {
        self.required(Part::Path, "file_path")?.string().map_err(|e| self.corrupted(&e))
    }

    /// The format of the file.
    pub fn format(&self) -> Result<DataFileFormat> {
        let name = self.required(Part::Format, "file_format")?.string().map_err(|e| self.corrupted(&e))?;
        name.parse().map_err(|e: iceberg::Error| {
            self.corrupted(&Broken("an entry has a file format that is not known".into())).with_source(e)
        })
    }

    /// The partition values of the file, of type [`Manifest::partition_type`].
    pub fn partition(&self) -> Result<Struct> {
        self.partition_values().map_err(|e| self.corrupted(&e))
    }

    /// How many values the column has, NULLs and NaNs included.
    pub fn value_count(&self, field_id: i32) -> Option<u64> {
        self.count(Part::ValueCounts, field_id)
    }

    /// How many NULLs the column has.
    pub fn null_count(&self, field_id: i32) -> Option<u64> {
        self.count(Part::NullCounts, field_id)
    }

    /// How many NaNs the column has.
    pub fn nan_count(&self, field_id: i32) -> Option<u64> {
        self.count(Part::NanCounts, field_id)
    }

    /// The lower bound of the column as a value of type `ty`, to which the column may have been promoted since.
    pub fn lower(&self, field_id: i32, ty: &PrimitiveType) -> Option<Datum> {
        bound::decode(self.bytes(Part::LowerBounds, field_id)?, ty)
    }

    /// The upper bound of the column; see [`Self::lower`].
    pub fn upper(&self, field_id: i32, ty: &PrimitiveType) -> Option<Datum> {
        bound::decode(self.bytes(Part::UpperBounds, field_id)?, ty)
    }

    /// For a position delete file or a deletion vector: the one data file that it refers to.
    pub fn referenced_data_file(&self) -> Result<Option<&'m str>> {
        self.part(Part::ReferencedFile).map(|mut c| c.string()).transpose().map_err(|e| self.corrupted(&e))
    }

    /// For an equality delete file: the columns whose values it deletes by.
    pub fn equality_ids(&self) -> Result<Option<Vec<i32>>> {
        self.numbers(Part::EqualityIds)
            .and_then(|ids| {
                ids.map(|ids| {
                    ids.into_iter().map(|id| i32::try_from(id).or_else(|_| out_of_range())).collect()
                })
                .transpose()
            })
            .map_err(|e| self.corrupted(&e))
    }

    /// Where the row groups of the file begin.
    pub fn split_offsets(&self) -> Result<Option<Vec<i64>>> {
        self.numbers(Part::SplitOffsets).map_err(|e| self.corrupted(&e))
    }

    /// Everything about the file. Bounds have the types of the manifest's own schema.
    pub fn data_file(&self) -> Result<DataFile> {
        self.build().map_err(|e| self.corrupted(&e))
    }

    fn build(&self) -> Decoded<DataFile> {
        let plain = |e: Error| Broken(e.message().to_owned());
        let mut builder = DataFileBuilder::default();
        builder
            .content(self.head.content)
            .file_path(self.path().map_err(plain)?.to_owned())
            .file_format(self.format().map_err(plain)?)
            .partition(self.partition_values()?)
            .record_count(self.head.record_count)
            .file_size_in_bytes(self.head.file_size)
            .column_sizes(self.counts(Part::ColumnSizes)?)
            .value_counts(self.counts(Part::ValueCounts)?)
            .null_value_counts(self.counts(Part::NullCounts)?)
            .nan_value_counts(self.counts(Part::NanCounts)?)
            .lower_bounds(self.bounds(Part::LowerBounds)?)
            .upper_bounds(self.bounds(Part::UpperBounds)?)
            .key_metadata(
                self.part(Part::KeyMetadata).map(|mut c| c.bytes()).transpose()?.map(<[u8]>::to_vec),
            )
            .split_offsets(self.numbers(Part::SplitOffsets)?)
            .equality_ids(self.equality_ids().map_err(plain)?)
            .first_row_id(self.first_row_id)
            .partition_spec_id(self.manifest.partition_spec().spec_id())
            .referenced_data_file(self.referenced_data_file().map_err(plain)?.map(str::to_owned))
            .content_offset(self.part(Part::ContentOffset).map(|mut c| c.long()).transpose()?)
            .content_size_in_bytes(self.part(Part::ContentSize).map(|mut c| c.long()).transpose()?);
        if let Some(mut cursor) = self.part(Part::SortOrderId) {
            builder.sort_order_id(cursor.int()?);
        }
        builder.build().or_else(|_| broken("an entry is incomplete"))
    }

    fn part(&self, part: Part) -> Option<Cursor<'m>> {
        match self.head.parts[part as usize] {
            ABSENT => None,
            at => Some(Cursor::at(&self.manifest.data, at as usize)),
        }
    }

    fn required(&self, part: Part, name: &str) -> Result<Cursor<'m>> {
        self.part(part).ok_or_else(|| self.corrupted(&Broken(format!("an entry has no {name}"))))
    }

    /// The count of one column, without building the map. A map was walked once when its entry was indexed, so
    /// that it cannot fail here; were it to, nothing would be known.
    fn count(&self, part: Part, field_id: i32) -> Option<u64> {
        let mut found = None;
        self.part(part)?
            .each(|c| {
                let key = c.long()?;
                let value = c.long()?;
                if key == i64::from(field_id) {
                    found = u64::try_from(value).ok();
                }
                Ok(())
            })
            .ok()?;
        found
    }

    fn bytes(&self, part: Part, field_id: i32) -> Option<&'m [u8]> {
        let mut found = None;
        self.part(part)?
            .each(|c| {
                let key = c.long()?;
                let value = c.bytes()?;
                if key == i64::from(field_id) {
                    found = Some(value);
                }
                Ok(())
            })
            .ok()?;
        found
    }

    fn counts(&self, part: Part) -> Decoded<HashMap<i32, u64>> {
        let mut counts = HashMap::new();
        if let Some(mut cursor) = self.part(part) {
            cursor.each(|c| {
                let key = c.int()?;
                // A negative count means that it is not known.
                if let Ok(count) = u64::try_from(c.long()?) {
                    counts.insert(key, count);
                }
                Ok(())
            })?;
        }
        Ok(counts)
    }

    fn bounds(&self, part: Part) -> Decoded<HashMap<i32, Datum>> {
        let schema = self.manifest.schema();
        let mut bounds = HashMap::new();
        if let Some(mut cursor) = self.part(part) {
            cursor.each(|c| {
                let (key, value) = (c.int()?, c.bytes()?);
                let ty = match schema.field_by_id(key) {
                    Some(field) => field.field_type.as_primitive_type(),
                    None => bound::metadata_column_type(key),
                };
                // A bound that cannot be decoded bounds nothing.
                if let Some(datum) = ty.and_then(|ty| bound::decode(value, ty)) {
                    bounds.insert(key, datum);
                }
                Ok(())
            })?;
        }
        Ok(bounds)
    }

    fn numbers(&self, part: Part) -> Decoded<Option<Vec<i64>>> {
        let Some(mut cursor) = self.part(part) else {
            return Ok(None);
        };
        let mut numbers = Vec::new();
        cursor.each(|c| {
            numbers.push(c.long()?);
            Ok(())
        })?;
        Ok(Some(numbers))
    }

    fn partition_values(&self) -> Decoded<Struct> {
        let fields = self.manifest.partition_type.fields();
        if fields.is_empty() {
            return Ok(Struct::empty());
        }
        let Some(mut cursor) = self.part(Part::Partition) else {
            return broken("an entry has no partition values");
        };
        let values = fields.iter().zip(&self.manifest.partition_fields).map(|(field, avro)| {
            let Type::Primitive(ty) = &*field.field_type else {
                return broken("its partition values are not primitive");
            };
            partition_value(&mut cursor, avro, ty)
        });
        values.collect::<Decoded<Vec<_>>>().map(Struct::from_iter)
    }

    fn corrupted(&self, broken: &Broken) -> Error {
        corrupted(&self.manifest.location, broken)
    }
}

fn corrupted(location: &str, broken: &Broken) -> Error {
    Error::new(ErrorKind::Corrupted, format!("the manifest {location} cannot be read: {}", broken.0))
        .with_hint("roll the table back to a snapshot that does not use this file")
}

fn out_of_range<T>() -> Decoded<T> {
    broken("it holds a number that is out of range")
}

/// One partition value. It is written as the Avro type of `ty`, or as one that can be promoted to it.
fn partition_value(cursor: &mut Cursor<'_>, avro: &AvroType, ty: &PrimitiveType) -> Decoded<Option<Literal>> {
    let avro = match avro {
        AvroType::Union(branches) => cursor.branch(branches)?,
        avro => avro,
    };
    let bytes = match avro {
        AvroType::Null => return Ok(None),
        AvroType::Boolean => vec![u8::from(cursor.boolean()?)],
        AvroType::Int => cursor.int()?.to_le_bytes().to_vec(),
        AvroType::Long => {
            let long = cursor.long()?;
            match ty {
                PrimitiveType::Int | PrimitiveType::Date => {
                    i32::try_from(long).or_else(|_| out_of_range())?.to_le_bytes().to_vec()
                }
                _ => long.to_le_bytes().to_vec(),
            }
        }
        AvroType::Float => cursor.take(4)?.to_vec(),
        AvroType::Double => cursor.take(8)?.to_vec(),
        AvroType::Bytes | AvroType::String => cursor.bytes()?.to_vec(),
        AvroType::Fixed(size) => cursor.take(*size)?.to_vec(),
        _ => return broken("its partition values are not primitive"),
    };
    let datum = bound::decode(&bytes, ty);
    let literal: Option<PrimitiveLiteral> = datum.map(|datum| datum.literal().clone());
    match literal {
        Some(literal) => Ok(Some(Literal::Primitive(literal))),
        None => broken("a partition value does not have the type of its partition field"),
    }
}

/// Where the fields are in the records of a manifest, in the order they were written.
#[derive(Debug)]
struct Layout {
    entry: Vec<(EntryField, AvroType)>,
    file: Vec<(FileField, AvroType)>,
    partition: Vec<AvroField>,
}

#[derive(Debug, Clone, Copy)]
enum EntryField {
    Status,
    SnapshotId,
    SequenceNumber,
    FileSequenceNumber,
    DataFile,
    Unknown,
}

#[derive(Debug, Clone, Copy)]
enum FileField {
    Content,
    RecordCount,
    FileSize,
    FirstRowId,
    Part(Part),
    Unknown,
}

impl Layout {
    fn of(schema: &AvroType) -> Decoded<Self> {
        let AvroType::Record(entry_fields) = schema else {
            return broken("its entries are no records");
        };
        let (mut entry, mut file, mut partition) = (Vec::new(), Vec::new(), None);
        for field in entry_fields {
            let kind = match (field.id, field.name.as_str()) {
                (Some(0), _) | (None, "status") => EntryField::Status,
                (Some(1), _) | (None, "snapshot_id") => EntryField::SnapshotId,
                (Some(3), _) | (None, "sequence_number") => EntryField::SequenceNumber,
                (Some(4), _) | (None, "file_sequence_number") => EntryField::FileSequenceNumber,
                (Some(2), _) | (None, "data_file") => EntryField::DataFile,
                _ => EntryField::Unknown,
            };
            let fits = match kind {
                EntryField::DataFile => matches!(field.ty, AvroType::Record(_)),
                EntryField::Unknown => true,
                _ => is_integer(&field.ty),
            };
            if !fits {
                return broken(format!("its field {} has a wrong type", field.name));
            }
            if let (EntryField::DataFile, AvroType::Record(fields)) = (kind, &field.ty) {
                for field in fields {
                    let kind = file_field(field);
                    if !kind.fits(&field.ty) {
                        return broken(format!("its field {} has a wrong type", field.name));
                    }
                    if let (FileField::Part(Part::Partition), AvroType::Record(fields)) = (kind, &field.ty) {
                        partition = Some(fields.clone());
                    }
                    file.push((kind, field.ty.clone()));
                }
            }
            entry.push((kind, field.ty.clone()));
        }
        match partition {
            Some(partition) => Ok(Self { entry, file, partition }),
            None => broken("its schema has no data_file.partition"),
        }
    }

    fn head(&self, cursor: &mut Cursor<'_>) -> Decoded<Head> {
        let mut head = Head {
            status: ManifestStatus::Existing,
            content: DataContentType::Data,
            snapshot_id: None,
            sequence_number: None,
            file_sequence_number: None,
            first_row_id: None,
            record_count: 0,
            file_size: 0,
            parts: [ABSENT; PARTS],
        };
        let (mut status, mut records, mut size) = (None, None, None);
        for (kind, ty) in &self.entry {
            match kind {
                EntryField::Status => status = optional_long(cursor, ty)?,
                EntryField::SnapshotId => head.snapshot_id = optional_long(cursor, ty)?,
                EntryField::SequenceNumber => head.sequence_number = optional_long(cursor, ty)?,
                EntryField::FileSequenceNumber => head.file_sequence_number = optional_long(cursor, ty)?,
                EntryField::Unknown => cursor.skip(ty)?,
                EntryField::DataFile => {
                    for (kind, ty) in &self.file {
                        match kind {
                            FileField::RecordCount => records = optional_long(cursor, ty)?,
                            FileField::FileSize => size = optional_long(cursor, ty)?,
                            FileField::FirstRowId => head.first_row_id = optional_long(cursor, ty)?,
                            FileField::Content => {
                                head.content = match optional_long(cursor, ty)? {
                                    None | Some(0) => DataContentType::Data,
                                    Some(1) => DataContentType::PositionDeletes,
                                    Some(2) => DataContentType::EqualityDeletes,
                                    Some(_) => return broken("an entry has a content that is not known"),
                                }
                            }
                            FileField::Unknown => cursor.skip(ty)?,
                            FileField::Part(part) => {
                                let ty = match ty {
                                    AvroType::Union(branches) => cursor.branch(branches)?,
                                    ty => ty,
                                };
                                if ty != &AvroType::Null {
                                    head.parts[*part as usize] = cursor.position() as u32;
                                    cursor.skip(ty)?;
                                }
                            }
                        }
                    }
                }
            }
        }
        head.status = match status {
            Some(0) => ManifestStatus::Existing,
            Some(1) => ManifestStatus::Added,
            Some(2) => ManifestStatus::Deleted,
            _ => return broken("an entry has no status that is known"),
        };
        let natural = |number: Option<i64>, name: &str| {
            number
                .and_then(|n| u64::try_from(n).ok())
                .ok_or_else(|| Broken(format!("an entry has no valid {name}")))
        };
        head.record_count = natural(records, "record_count")?;
        head.file_size = natural(size, "file_size_in_bytes")?;
        Ok(head)
    }
}

fn file_field(field: &AvroField) -> FileField {
    use FileField as F;
    match (field.id, field.name.as_str()) {
        (Some(134), _) | (None, "content") => F::Content,
        (Some(100), _) | (None, "file_path") => F::Part(Part::Path),
        (Some(101), _) | (None, "file_format") => F::Part(Part::Format),
        (Some(102), _) | (None, "partition") => F::Part(Part::Partition),
        (Some(103), _) | (None, "record_count") => F::RecordCount,
        (Some(104), _) | (None, "file_size_in_bytes") => F::FileSize,
        (Some(108), _) | (None, "column_sizes") => F::Part(Part::ColumnSizes),
        (Some(109), _) | (None, "value_counts") => F::Part(Part::ValueCounts),
        (Some(110), _) | (None, "null_value_counts") => F::Part(Part::NullCounts),
        (Some(137), _) | (None, "nan_value_counts") => F::Part(Part::NanCounts),
        (Some(125), _) | (None, "lower_bounds") => F::Part(Part::LowerBounds),
        (Some(128), _) | (None, "upper_bounds") => F::Part(Part::UpperBounds),
        (Some(131), _) | (None, "key_metadata") => F::Part(Part::KeyMetadata),
        (Some(132), _) | (None, "split_offsets") => F::Part(Part::SplitOffsets),
        (Some(135), _) | (None, "equality_ids") => F::Part(Part::EqualityIds),
        (Some(140), _) | (None, "sort_order_id") => F::Part(Part::SortOrderId),
        (Some(142), _) | (None, "first_row_id") => F::FirstRowId,
        (Some(143), _) | (None, "referenced_data_file") => F::Part(Part::ReferencedFile),
        (Some(144), _) | (None, "content_offset") => F::Part(Part::ContentOffset),
        (Some(145), _) | (None, "content_size_in_bytes") => F::Part(Part::ContentSize),
        _ => F::Unknown,
    }
}

impl FileField {
    fn fits(self, ty: &AvroType) -> bool {
        match self {
            Self::Content | Self::RecordCount | Self::FileSize | Self::FirstRowId => is_integer(ty),
            Self::Unknown => true,
            Self::Part(Part::Partition) => matches!(ty, AvroType::Record(_)),
            Self::Part(part) => each_branch(ty, |ty| match part {
                Part::Path | Part::Format | Part::ReferencedFile => ty == &AvroType::String,
                Part::KeyMetadata => ty == &AvroType::Bytes,
                Part::SortOrderId | Part::ContentOffset | Part::ContentSize => is_integer(ty),
                Part::SplitOffsets | Part::EqualityIds => {
                    matches!(ty, AvroType::Array(item) if matches!(**item, AvroType::Int | AvroType::Long))
                }
                Part::ColumnSizes | Part::ValueCounts | Part::NullCounts | Part::NanCounts => {
                    is_int_map(ty, |value| matches!(value, AvroType::Int | AvroType::Long))
                }
                Part::LowerBounds | Part::UpperBounds => is_int_map(ty, |value| value == &AvroType::Bytes),
                Part::Partition => false,
            }),
        }
    }
}

/// A map with int keys is written as an array of records of key and value.
fn is_int_map(ty: &AvroType, value: impl Fn(&AvroType) -> bool) -> bool {
    let AvroType::Array(item) = ty else { return false };
    let AvroType::Record(fields) = &**item else { return false };
    matches!(fields.as_slice(), [k, v] if matches!(k.ty, AvroType::Int | AvroType::Long) && value(&v.ty))
}

fn is_integer(ty: &AvroType) -> bool {
    each_branch(ty, |ty| matches!(ty, AvroType::Int | AvroType::Long))
}

/// Whether `fits` holds for the type, or for all branches of an optional one.
fn each_branch(ty: &AvroType, fits: impl Fn(&AvroType) -> bool) -> bool {
    match ty {
        AvroType::Union(branches) => branches.iter().all(|ty| ty == &AvroType::Null || fits(ty)),
        ty => fits(ty),
    }
}

fn optional_long(cursor: &mut Cursor<'_>, ty: &AvroType) -> Decoded<Option<i64>> {
    if let AvroType::Union(branches) = ty
        && cursor.branch(branches)? == &AvroType::Null
    {
        return Ok(None);
    }
    cursor.long().map(Some)
}
