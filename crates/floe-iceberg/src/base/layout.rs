//! Where the fields of manifest entries are in the records of a file, by the schema that its writer declared (Avro
//! specification, "Schema Resolution"): any order, unions with null anywhere, fields that floe does not know.

use iceberg::spec::{DataContentType, ManifestStatus, StructType};

use super::avro::{AvroField, AvroType, Broken, Cursor, Decoded, broken};
use super::pairs::PairShape;

/// The parts of an entry that are not read along with its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Part {
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

pub(super) const PARTS: usize = 16;
/// Marks a part that is NULL or not in the file.
pub(super) const ABSENT: u32 = u32::MAX;

#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) status: ManifestStatus,
    pub(super) content: DataContentType,
    pub(super) snapshot_id: Option<i64>,
    pub(super) sequence_number: Option<i64>,
    pub(super) file_sequence_number: Option<i64>,
    pub(super) first_row_id: Option<i64>,
    pub(super) record_count: u64,
    pub(super) file_size: u64,
    pub(super) parts: [u32; PARTS],
}

/// Where the fields are in the records of a manifest, in the order they were written.
#[derive(Debug)]
pub(super) struct Layout {
    entry: Vec<(EntryField, AvroType)>,
    file: Vec<(FileField, AvroType)>,
    /// The fields of partition values; none if the file has no partition values.
    pub(super) partition: Vec<AvroField>,
    /// How the lists and maps of the file are laid out.
    pub(super) shapes: Shapes,
}

/// How the items of each part are laid out that has items.
#[derive(Debug, Clone)]
pub(super) struct Shapes([PairShape; PARTS]);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EntryField {
    Status,
    SnapshotId,
    SequenceNumber,
    FileSequenceNumber,
    DataFile,
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileField {
    Content,
    RecordCount,
    FileSize,
    FirstRowId,
    Part(Part),
    Unknown,
}

impl Shapes {
    pub(super) fn of(&self, part: Part) -> &PairShape {
        &self.0[part as usize]
    }
}

impl Layout {
    pub(super) fn of(schema: &AvroType) -> Decoded<Self> {
        let AvroType::Record(entry_fields) = schema else {
            return broken("its entries are no records");
        };
        let mut layout = Self {
            entry: Vec::with_capacity(entry_fields.len()),
            file: Vec::new(),
            partition: Vec::new(),
            shapes: Shapes(std::array::from_fn(|_| PairShape::Plain)),
        };
        for field in entry_fields {
            let kind = entry_field(field);
            let fits = match kind {
                EntryField::DataFile => record_of(&field.ty).is_some(),
                EntryField::Unknown => true,
                _ => is_integer(&field.ty),
            };
            if !fits {
                return wrong_type(field);
            }
            if kind != EntryField::Unknown && layout.entry.iter().any(|(other, _)| *other == kind) {
                return twice(field);
            }
            if let (EntryField::DataFile, Some(fields)) = (kind, record_of(&field.ty)) {
                layout.file_fields(fields)?;
            }
            layout.entry.push((kind, field.ty.clone()));
        }
        match layout.entry.iter().any(|(kind, _)| *kind == EntryField::DataFile) {
            true => Ok(layout),
            false => broken("its schema has no data_file"),
        }
    }

    fn file_fields(&mut self, fields: &[AvroField]) -> Decoded<()> {
        for field in fields {
            let kind = file_field(field);
            if !kind.fits(&field.ty) {
                return wrong_type(field);
            }
            if kind != FileField::Unknown && self.file.iter().any(|(other, _)| *other == kind) {
                return twice(field);
            }
            match kind {
                FileField::Part(Part::Partition) => {
                    self.partition = record_of(&field.ty).map(<[_]>::to_vec).unwrap_or_default();
                }
                FileField::Part(part) => {
                    let shape = each_branch_of(&field.ty).find_map(|ty| part.shape(ty));
                    self.shapes.0[part as usize] = shape.unwrap_or(PairShape::Plain);
                }
                _ => {}
            }
            self.file.push((kind, field.ty.clone()));
        }
        Ok(())
    }

    /// The next entry. `definitions` are those of the file.
    pub(super) fn head(&self, cursor: &mut Cursor<'_>, definitions: &[AvroType]) -> Decoded<Head> {
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
        let (mut status, mut counts) = (None, (None, None));
        for (kind, ty) in &self.entry {
            match kind {
                EntryField::Status => status = optional_long(cursor, ty)?,
                EntryField::SnapshotId => head.snapshot_id = optional_long(cursor, ty)?,
                EntryField::SequenceNumber => head.sequence_number = optional_long(cursor, ty)?,
                EntryField::FileSequenceNumber => head.file_sequence_number = optional_long(cursor, ty)?,
                EntryField::Unknown => cursor.skip(ty, definitions)?,
                EntryField::DataFile => {
                    if present(cursor, ty)? == &AvroType::Null {
                        return broken("an entry has no data_file");
                    }
                    counts = self.data_file(cursor, &mut head, definitions)?;
                }
            }
        }
        head.status = match status {
            Some(0) => ManifestStatus::Existing,
            Some(1) => ManifestStatus::Added,
            Some(2) => ManifestStatus::Deleted,
            None => return broken("an entry has no status"),
            Some(other) => return unknown("status", other),
        };
        head.record_count = natural(counts.0, "record_count")?;
        head.file_size = natural(counts.1, "file_size_in_bytes")?;
        Ok(head)
    }

    /// Reads the parts of a file into `head`; gives its rows and its size.
    fn data_file(
        &self,
        cursor: &mut Cursor<'_>,
        head: &mut Head,
        definitions: &[AvroType],
    ) -> Decoded<(Option<i64>, Option<i64>)> {
        let (mut records, mut size) = (None, None);
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
                        Some(other) => return unknown("content", other),
                    }
                }
                FileField::Unknown => cursor.skip(ty, definitions)?,
                FileField::Part(part) => {
                    let ty = present(cursor, ty)?;
                    if ty != &AvroType::Null {
                        head.parts[*part as usize] = cursor.position() as u32;
                        cursor.skip(ty, definitions)?;
                    }
                }
            }
        }
        Ok((records, size))
    }
}

/// Where the value of each field of a partition is among the fields that were written. `None` if one is missing.
///
/// By field id, else by name. Where neither is told for all of them, they are in the order of the spec.
pub(super) fn partition_order(written: &[AvroField], partition: &StructType) -> Option<Vec<usize>> {
    let fields = partition.fields();
    let all = |fits: &dyn Fn(&AvroField, usize) -> bool| -> Option<Vec<usize>> {
        (0..fields.len()).map(|index| written.iter().position(|field| fits(field, index))).collect()
    };
    let by_id = all(&|field, index| field.id == Some(fields[index].id));
    let by_name = || all(&|field, index| field.is_called(&fields[index].name));
    let in_order = || (written.len() == fields.len()).then(|| (0..fields.len()).collect());
    by_id.or_else(by_name).or_else(in_order)
}

fn entry_field(field: &AvroField) -> EntryField {
    use EntryField as E;
    field
        .resolve(&[
            (0, "status", E::Status),
            (1, "snapshot_id", E::SnapshotId),
            (2, "data_file", E::DataFile),
            (3, "sequence_number", E::SequenceNumber),
            (4, "file_sequence_number", E::FileSequenceNumber),
        ])
        .unwrap_or(E::Unknown)
}

fn file_field(field: &AvroField) -> FileField {
    use FileField as F;
    field
        .resolve(&[
            (134, "content", F::Content),
            (100, "file_path", F::Part(Part::Path)),
            (101, "file_format", F::Part(Part::Format)),
            (102, "partition", F::Part(Part::Partition)),
            (103, "record_count", F::RecordCount),
            (104, "file_size_in_bytes", F::FileSize),
            (108, "column_sizes", F::Part(Part::ColumnSizes)),
            (109, "value_counts", F::Part(Part::ValueCounts)),
            (110, "null_value_counts", F::Part(Part::NullCounts)),
            (137, "nan_value_counts", F::Part(Part::NanCounts)),
            (125, "lower_bounds", F::Part(Part::LowerBounds)),
            (128, "upper_bounds", F::Part(Part::UpperBounds)),
            (131, "key_metadata", F::Part(Part::KeyMetadata)),
            (132, "split_offsets", F::Part(Part::SplitOffsets)),
            (135, "equality_ids", F::Part(Part::EqualityIds)),
            (140, "sort_order_id", F::Part(Part::SortOrderId)),
            (142, "first_row_id", F::FirstRowId),
            (143, "referenced_data_file", F::Part(Part::ReferencedFile)),
            (144, "content_offset", F::Part(Part::ContentOffset)),
            (145, "content_size_in_bytes", F::Part(Part::ContentSize)),
        ])
        .unwrap_or(F::Unknown)
}

impl AvroField {
    /// What the field is: by its id, if it has one, else by its name or another name of it.
    pub(super) fn resolve<T: Copy>(&self, known: &[(i32, &str, T)]) -> Option<T> {
        let found = known.iter().find(|(id, name, _)| match self.id {
            Some(own) => own == *id,
            None => self.is_called(name),
        });
        found.map(|(_, _, what)| *what)
    }

    pub(super) fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }
}

impl FileField {
    fn fits(self, ty: &AvroType) -> bool {
        match self {
            Self::Content | Self::RecordCount | Self::FileSize | Self::FirstRowId => is_integer(ty),
            Self::Unknown => true,
            Self::Part(part) => each_branch_of(ty).all(|ty| part.fits(ty)) && one_shape(ty, part),
        }
    }
}

impl Part {
    /// Whether values of this type are read. Text and bytes are encoded alike, and so are int and long.
    fn fits(self, ty: &AvroType) -> bool {
        match self {
            Self::Path | Self::Format | Self::ReferencedFile | Self::KeyMetadata => is_bytes(ty),
            Self::SortOrderId | Self::ContentOffset | Self::ContentSize => is_number(ty),
            Self::Partition => matches!(ty, AvroType::Record(_)),
            _ => self.shape(ty).is_some(),
        }
    }

    /// How the items of a list or a map of this type are laid out.
    fn shape(self, ty: &AvroType) -> Option<PairShape> {
        match self {
            Self::SplitOffsets | Self::EqualityIds => PairShape::of_list(ty),
            Self::ColumnSizes | Self::ValueCounts | Self::NullCounts | Self::NanCounts => {
                PairShape::of_map(ty, is_number)
            }
            Self::LowerBounds | Self::UpperBounds => PairShape::of_map(ty, is_bytes),
            _ => None,
        }
    }
}

/// A field that could be laid out in two ways would have to tell which with every value.
fn one_shape(ty: &AvroType, part: Part) -> bool {
    let shaped = each_branch_of(ty).filter(|ty| part == Part::Partition || part.shape(ty).is_some());
    shaped.count() <= 1
}

pub(super) fn is_number(ty: &AvroType) -> bool {
    matches!(ty, AvroType::Int | AvroType::Long)
}

pub(super) fn is_bytes(ty: &AvroType) -> bool {
    matches!(ty, AvroType::Bytes | AvroType::String)
}

fn is_integer(ty: &AvroType) -> bool {
    each_branch_of(ty).all(is_number)
}

/// The type, or the branches of an optional one that are not null.
pub(super) fn each_branch_of(ty: &AvroType) -> impl Iterator<Item = &AvroType> {
    let branches = match ty {
        AvroType::Union(branches) => branches.as_slice(),
        ty => std::slice::from_ref(ty),
    };
    branches.iter().filter(|ty| **ty != AvroType::Null)
}

/// The fields of a record, or of an optional one.
fn record_of(ty: &AvroType) -> Option<&[AvroField]> {
    let mut records = each_branch_of(ty);
    match (records.next(), records.next()) {
        (Some(AvroType::Record(fields)), None) => Some(fields),
        _ => None,
    }
}

/// The type of the value that comes next: of a union, the branch that was written.
pub(super) fn present<'t>(cursor: &mut Cursor<'_>, ty: &'t AvroType) -> Decoded<&'t AvroType> {
    match ty {
        AvroType::Union(branches) => cursor.branch(branches),
        ty => Ok(ty),
    }
}

fn optional_long(cursor: &mut Cursor<'_>, ty: &AvroType) -> Decoded<Option<i64>> {
    match present(cursor, ty)? {
        AvroType::Null => Ok(None),
        _ => cursor.long().map(Some),
    }
}

fn natural(number: Option<i64>, name: &str) -> Decoded<u64> {
    match number {
        // Iceberg's Java library wrote it for files that it had not counted.
        Some(-1) => Err(Broken::unsupported(format!("the {name} of an entry is -1, that is, not known"))),
        Some(number) if number >= 0 => Ok(number as u64),
        _ => broken(format!("an entry has no valid {name}")),
    }
}

fn unknown<T>(what: &str, number: i64) -> Decoded<T> {
    Err(Broken::unsupported(format!("an entry has the {what} {number}, which floe does not know")))
}

fn wrong_type<T>(field: &AvroField) -> Decoded<T> {
    Err(Broken::unsupported(format!("its field {} has a type that floe does not read there", field.name)))
}

fn twice<T>(field: &AvroField) -> Decoded<T> {
    broken(format!("its field {} comes twice", field.name))
}
