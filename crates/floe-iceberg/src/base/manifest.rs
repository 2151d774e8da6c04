//! Decoding of manifests (Iceberg spec, "Manifests").
//!
//! A manifest is kept as its decompressed Avro data with an index of where the parts of each entry begin. Planning
//! looks at a few counts and bounds of many files and drops most of them, so that building a [`DataFile`] for each
//! would be most of the work; one is built on demand.

use std::collections::HashMap;

use floe_core::{Error, Result};
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, FormatVersion, Literal,
    ManifestContentType, ManifestFile, ManifestMetadata, ManifestStatus, NestedFieldRef, PartitionSpec,
    PrimitiveLiteral, PrimitiveType, SchemaRef, Struct, StructType, Type,
};

use uuid::Uuid;

use super::avro::{AvroType, Broken, Container, Cursor, Decoded, broken};
use super::header::Known;
use super::layout::{ABSENT, Head, Layout, Part, Shapes, partition_order};
use super::{bound, header};

/// A manifest in memory. It never changes.
#[derive(Debug)]
pub struct Manifest {
    location: String,
    metadata: ManifestMetadata,
    partition_type: StructType,
    /// The types of the partition values, in the order they were written.
    partition_fields: Vec<AvroType>,
    /// Where among them each field of the spec is, unless they are in its order.
    partition_order: Option<Vec<usize>>,
    shapes: Shapes,
    definitions: Vec<AvroType>,
    data: Vec<u8>,
    heads: Vec<Head>,
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
    /// Decodes a whole manifest. `known` is what the table and the manifest list say, for what the file leaves out.
    ///
    /// Fails with `Corrupted`, or with `Unsupported` for what may be sound; both name `location`.
    pub(super) fn decode(location: &str, bytes: &[u8], known: Option<&Known>) -> Result<Self> {
        let unreadable = |broken: Broken| unreadable(location, &broken);
        let container = Container::read(bytes).map_err(unreadable)?;
        let layout = Layout::of(&container.schema).map_err(unreadable)?;
        let (metadata, partition_type) =
            header::parse(&container.metadata, &layout.partition, known).map_err(unreadable)?;
        let Some(order) = partition_order(&layout.partition, &partition_type) else {
            return Err(unreadable(Broken::new("its partition values do not fit its partition spec")));
        };
        let in_order = order.iter().enumerate().all(|(index, at)| index == *at);
        container.check_records(size_of::<Head>()).map_err(unreadable)?;
        let heads =
            container.records(|cursor| layout.head(cursor, &container.definitions)).map_err(unreadable)?;
        Ok(Self {
            location: location.to_owned(),
            partition_type,
            partition_fields: layout.partition.into_iter().map(|field| field.ty).collect(),
            partition_order: (!in_order).then_some(order),
            shapes: layout.shapes,
            definitions: container.definitions,
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
                return Err(unreadable(&self.location, &Broken::new("an entry has no sequence number")));
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
        self.required(Part::Path, "file_path")?.string().map_err(|e| self.unreadable(&e))
    }

    /// The format of the file. One that floe does not know is `Unsupported`.
    pub fn format(&self) -> Result<DataFileFormat> {
        let name = self.required(Part::Format, "file_format")?.string().map_err(|e| self.unreadable(&e))?;
        name.parse().map_err(|e: iceberg::Error| {
            let name: String = name.chars().take(20).collect();
            let why = format!("an entry has the file format {name:?}, which floe does not know");
            self.unreadable(&Broken::unsupported(why)).with_source(e)
        })
    }

    /// The partition values of the file, of type [`Manifest::partition_type`].
    pub fn partition(&self) -> Result<Struct> {
        self.partition_values().map_err(|e| self.unreadable(&e))
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
        self.part(Part::ReferencedFile).map(|mut c| c.string()).transpose().map_err(|e| self.unreadable(&e))
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
            .map_err(|e| self.unreadable(&e))
    }

    /// Where the row groups of the file begin.
    pub fn split_offsets(&self) -> Result<Option<Vec<i64>>> {
        self.numbers(Part::SplitOffsets).map_err(|e| self.unreadable(&e))
    }

    /// Everything about the file. Bounds have the types of the manifest's own schema.
    pub fn data_file(&self) -> Result<DataFile> {
        self.build().map_err(|e| self.unreadable(&e))
    }

    fn build(&self) -> Decoded<DataFile> {
        let plain = |e: Error| Broken { why: e.message().to_owned(), kind: e.kind(), limit: None };
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
        self.part(part).ok_or_else(|| self.unreadable(&Broken::new(format!("an entry has no {name}"))))
    }

    /// The count of one column, without building the map. A map was walked once when its entry was indexed, so
    /// that it cannot fail here; were it to, nothing would be known.
    fn count(&self, part: Part, field_id: i32) -> Option<u64> {
        let mut found = None;
        let see = |key, value| {
            if key == field_id {
                found = u64::try_from(value).ok();
            }
        };
        self.pairs(part, Cursor::long, see).ok()?;
        found
    }

    fn bytes(&self, part: Part, field_id: i32) -> Option<&'m [u8]> {
        let mut found = None;
        let see = |key, value| {
            if key == field_id {
                found = Some(value);
            }
        };
        self.pairs(part, Cursor::bytes, see).ok()?;
        found
    }

    fn counts(&self, part: Part) -> Decoded<HashMap<i32, u64>> {
        let mut counts = HashMap::new();
        self.pairs(part, Cursor::long, |key, count| {
            // A negative count means that it is not known.
            if let Ok(count) = u64::try_from(count) {
                counts.insert(key, count);
            }
        })?;
        Ok(counts)
    }

    fn bounds(&self, part: Part) -> Decoded<HashMap<i32, Datum>> {
        let schema = self.manifest.schema();
        let mut bounds = HashMap::new();
        self.pairs(part, Cursor::bytes, |key, value| {
            let ty = match schema.field_by_id(key) {
                Some(field) => field.field_type.as_primitive_type(),
                None => bound::metadata_column_type(key),
            };
            // A bound that cannot be decoded bounds nothing, and is written again as it is.
            let datum = ty.and_then(|ty| bound::decode(value, ty));
            bounds.insert(key, datum.unwrap_or_else(|| Datum::binary(value.iter().copied())));
        })?;
        Ok(bounds)
    }

    /// Calls `pair` at every key of a map, with its value.
    fn pairs<V>(
        &self,
        part: Part,
        read: impl Fn(&mut Cursor<'m>) -> Decoded<V>,
        pair: impl FnMut(i32, V),
    ) -> Decoded<()> {
        let Some(mut cursor) = self.part(part) else { return Ok(()) };
        let manifest = self.manifest;
        manifest.shapes.of(part).each_pair(&mut cursor, &manifest.definitions, read, pair)
    }

    fn numbers(&self, part: Part) -> Decoded<Option<Vec<i64>>> {
        let shape = self.manifest.shapes.of(part);
        self.part(part).map(|mut cursor| shape.numbers(&mut cursor)).transpose()
    }

    fn partition_values(&self) -> Decoded<Struct> {
        let manifest = self.manifest;
        let fields = manifest.partition_type.fields();
        if fields.is_empty() {
            return Ok(Struct::empty());
        }
        let Some(mut cursor) = self.part(Part::Partition) else {
            return broken("an entry has no partition values");
        };
        let value = |cursor: &mut Cursor<'_>, field: &NestedFieldRef, avro: &AvroType| {
            let Type::Primitive(ty) = &*field.field_type else {
                return broken("its partition values are not primitive");
            };
            partition_value(cursor, avro, ty)
        };
        let Some(order) = &manifest.partition_order else {
            let values = fields.iter().zip(&manifest.partition_fields);
            let values = values.map(|(field, avro)| value(&mut cursor, field, avro));
            return values.collect::<Decoded<Vec<_>>>().map(Struct::from_iter);
        };
        let mut starts = Vec::with_capacity(manifest.partition_fields.len());
        for avro in &manifest.partition_fields {
            starts.push(cursor.position());
            cursor.skip(avro, &manifest.definitions)?;
        }
        let values = fields.iter().zip(order).map(|(field, at)| {
            value(&mut Cursor::at(&manifest.data, starts[*at]), field, &manifest.partition_fields[*at])
        });
        values.collect::<Decoded<Vec<_>>>().map(Struct::from_iter)
    }

    fn unreadable(&self, broken: &Broken) -> Error {
        unreadable(&self.manifest.location, broken)
    }
}

fn unreadable(location: &str, broken: &Broken) -> Error {
    broken.error(&format!("the manifest {location}"))
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
        // Iceberg writes 16 bytes; Avro's own form of UUIDs is text.
        AvroType::String if ty == &PrimitiveType::Uuid => match Uuid::try_parse(cursor.string()?) {
            Ok(uuid) => uuid.into_bytes().to_vec(),
            Err(_) => return broken("a partition value is no UUID"),
        },
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
