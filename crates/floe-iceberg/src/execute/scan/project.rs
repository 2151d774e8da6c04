//! From the columns of a file to the columns of the table: by field id, whatever became of names, order and types
//! since the file was written (Iceberg spec, "Column Projection" and "Schema Evolution").

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, ListArray, MapArray, RecordBatch, RecordBatchOptions, StructArray, make_array,
};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields, SchemaRef, TimeUnit};
use floe_core::{Error, ErrorKind, Result};
use floe_plan::convert::type_name;
use iceberg::spec::{Datum, Literal, NestedField, NestedFieldRef, PrimitiveLiteral, PrimitiveType, Type};

use super::ids::field_id;
use crate::footer::{check_calendar, is_int96, of_old_calendar};

/// The values of columns that a file need not hold, by field id: those of its partition.
pub(super) type Constants = HashMap<i32, Option<Datum>>;

/// How batches of one file become batches of the table.
#[derive(Debug, Clone)]
pub(super) struct Projection {
    /// The leaf columns of the file to read.
    pub(super) leaves: Vec<usize>,
    columns: Vec<Column>,
    schema: SchemaRef,
}

#[derive(Debug, Clone)]
enum Column {
    /// The file's column at this position among those that are read.
    Read(usize, Step),
    Constant(Option<Literal>, DataType),
}

#[derive(Debug, Clone)]
enum Step {
    Keep,
    Cast(DataType),
    /// Of the same values, another name for the type.
    Retype(DataType),
    Timestamp(TimeUnit, DataType),
    /// Values that may be of an old calendar are looked at first.
    OldCalendar(Box<Step>),
    Struct(Fields, Vec<Column>),
    List(FieldRef, Box<Step>),
    Map(FieldRef, bool, Fields, Box<(Step, Step)>),
}

impl Projection {
    /// Plans the projection of a file with `file_fields` (with ids) to `fields`, whose Arrow form is `schema`.
    pub(super) fn new(
        file_fields: &Fields,
        fields: &[NestedFieldRef],
        schema: SchemaRef,
        constants: &Constants,
    ) -> Result<Self> {
        let mut leaves = Vec::new();
        let mut next_leaf = 0;
        let mut read: Vec<FieldRef> = Vec::new();
        for file_field in file_fields {
            let target = field_id(file_field).and_then(|id| fields.iter().find(|field| field.id == id));
            let target = target.map(|field| &*field.field_type);
            if let Some(selected) = select(file_field, target, &mut next_leaf, &mut leaves) {
                read.push(selected);
            }
        }
        let columns = columns(&read.into(), fields, schema.fields(), constants)?;
        Ok(Self { leaves, columns, schema })
    }

    /// A batch of the table from a batch of the file.
    pub(super) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let rows = batch.num_rows();
        let columns = self.columns.iter().map(|column| match column {
            Column::Read(at, step) => step.apply(batch.column(*at)),
            Column::Constant(literal, ty) => repeat(literal.as_ref(), ty, rows),
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
    }

    /// Bytes of text and binary that each row has for columns that are not in the file.
    pub(super) fn constant_bytes(&self) -> u64 {
        self.columns.iter().map(Column::constant_bytes).fold(0, u64::saturating_add)
    }

    /// The batch of one row of a file that holds none of the columns.
    pub(super) fn one_row(&self) -> Result<RecordBatch, ArrowError> {
        let options = RecordBatchOptions::new().with_row_count(Some(1));
        let empty = Arc::new(arrow_schema::Schema::empty());
        self.apply(&RecordBatch::try_new_with_options(empty, Vec::new(), &options)?)
    }
}

/// Picks the leaves that `target` needs, and gives the field that the reader then returns.
fn select(
    field: &FieldRef,
    target: Option<&Type>,
    next_leaf: &mut usize,
    leaves: &mut Vec<usize>,
) -> Option<FieldRef> {
    let first = *next_leaf;
    match field.data_type() {
        DataType::Struct(children) => {
            let picked_before = leaves.len();
            let mut kept = Vec::new();
            for child in children {
                let wanted = match target {
                    Some(Type::Struct(target)) => field_id(child).and_then(|id| target.field_by_id(id)),
                    _ => None,
                };
                kept.extend(select(child, wanted.map(|f| &*f.field_type), next_leaf, leaves));
            }
            target?;
            if leaves.len() == picked_before {
                // None of its fields is wanted, but whether the struct is NULL: that takes its leaves.
                leaves.extend(first..*next_leaf);
                return Some(field.clone());
            }
            Some(retyped(field, DataType::Struct(kept.into())))
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            let wanted = match target {
                Some(Type::List(list)) => Some(&*list.element_field.field_type),
                _ => None,
            };
            let item = select(item, wanted, next_leaf, leaves)?;
            Some(retyped(
                field,
                match field.data_type() {
                    DataType::LargeList(_) => DataType::LargeList(item),
                    DataType::FixedSizeList(_, size) => DataType::FixedSizeList(item, *size),
                    _ => DataType::List(item),
                },
            ))
        }
        DataType::Map(entries, sorted) => {
            let DataType::Struct(pair) = entries.data_type() else { return None };
            let (key, value) = match target {
                Some(Type::Map(map)) => {
                    (Some(&*map.key_field.field_type), Some(&*map.value_field.field_type))
                }
                _ => (None, None),
            };
            let key = select(&pair[0], key, next_leaf, leaves);
            let value = select(&pair[1], value, next_leaf, leaves);
            let entries = retyped(entries, DataType::Struct(vec![key?, value?].into()));
            Some(retyped(field, DataType::Map(entries, *sorted)))
        }
        _ => {
            *next_leaf += 1;
            target?;
            leaves.push(first);
            Some(field.clone())
        }
    }
}

fn retyped(field: &FieldRef, data_type: DataType) -> FieldRef {
    Arc::new(Field::clone(field).with_data_type(data_type))
}

fn columns(
    read: &Fields,
    fields: &[NestedFieldRef],
    targets: &Fields,
    constants: &Constants,
) -> Result<Vec<Column>> {
    let column = |(field, target): (&NestedFieldRef, &FieldRef)| {
        let found = read.iter().position(|read| field_id(read) == Some(field.id));
        match found {
            Some(at) => Ok(Column::Read(at, Step::new(&read[at], field, target)?)),
            None => absent(field, target, constants),
        }
    };
    fields.iter().zip(targets).map(column).collect()
}

/// A column that is not in the file: the value of its partition, else its initial default, else NULL.
fn absent(field: &NestedField, target: &FieldRef, constants: &Constants) -> Result<Column> {
    let literal = match constants.get(&field.id) {
        Some(datum) => datum.as_ref().map(|datum| Literal::Primitive(datum.literal().clone())),
        None => field.initial_default.clone(),
    };
    if literal.is_none() && field.required {
        return Err(Error::new(
            ErrorKind::Corrupted,
            format!("column '{}' is required, has no default, and is not in the file", field.name),
        ));
    }
    if let Some(literal) = &literal {
        // Tells at once, not in the middle of the scan, if the value cannot be made.
        floe_plan::constant::repeat(Some(literal), target.data_type(), 0).map_err(|_| {
            Error::new(
                ErrorKind::Unsupported,
                format!("column '{}' has a default of a type that floe does not read", field.name),
            )
        })?;
    }
    Ok(Column::Constant(literal, target.data_type().clone()))
}

impl Column {
    fn constant_bytes(&self) -> u64 {
        match self {
            Self::Constant(Some(literal), _) => literal_bytes(literal),
            Self::Read(_, Step::Struct(_, columns)) => {
                columns.iter().map(Self::constant_bytes).fold(0, u64::saturating_add)
            }
            // Those below a list or a map are as many as its values.
            Self::Constant(None, _) | Self::Read(..) => 0,
        }
    }
}

fn literal_bytes(literal: &Literal) -> u64 {
    match literal {
        Literal::Primitive(PrimitiveLiteral::String(text)) => text.len() as u64,
        Literal::Primitive(PrimitiveLiteral::Binary(bytes)) => bytes.len() as u64,
        _ => 0,
    }
}

impl Step {
    fn new(read: &FieldRef, field: &NestedField, target: &FieldRef) -> Result<Self> {
        let misfit = || {
            Error::new(
                ErrorKind::Unsupported,
                format!(
                    "column '{}' is {} in the file, which floe does not read as {}",
                    field.name,
                    type_name(read.data_type()),
                    field.field_type
                ),
            )
            .with_hint("write the file anew with the type of the column, by an engine that reads it")
        };
        match (&*field.field_type, read.data_type(), target.data_type()) {
            (Type::Struct(ty), DataType::Struct(read), DataType::Struct(targets)) => {
                let columns = columns(read, ty.fields(), targets, &Constants::new())?;
                Ok(Self::Struct(targets.clone(), columns))
            }
            (
                Type::List(ty),
                DataType::List(read) | DataType::LargeList(read) | DataType::FixedSizeList(read, _),
                DataType::List(target),
            ) => {
                let step = Self::new(read, &ty.element_field, target)?;
                Ok(Self::List(target.clone(), Box::new(step)))
            }
            (Type::Map(ty), DataType::Map(read, _), DataType::Map(target, sorted)) => {
                let (DataType::Struct(read), DataType::Struct(pair)) = (read.data_type(), target.data_type())
                else {
                    return Err(misfit());
                };
                let steps = (
                    Self::new(&read[0], &ty.key_field, &pair[0])?,
                    Self::new(&read[1], &ty.value_field, &pair[1])?,
                );
                Ok(Self::Map(target.clone(), *sorted, pair.clone(), Box::new(steps)))
            }
            (Type::Primitive(PrimitiveType::TimestampNs | PrimitiveType::TimestamptzNs), ..)
                if is_int96(read) =>
            {
                Err(Error::new(
                    ErrorKind::Unsupported,
                    format!(
                        "column '{}' is INT96 in the file, of which floe reads microseconds only, and the column is {}",
                        field.name, field.field_type
                    ),
                )
                .with_hint("write the file anew with timestamps of nanoseconds, by an engine that reads it"))
            }
            (Type::Primitive(ty), stored, target) => {
                let step = Self::primitive(ty, stored, target).ok_or_else(misfit)?;
                Ok(if of_old_calendar(read) { Self::OldCalendar(Box::new(step)) } else { step })
            }
            _ => Err(misfit()),
        }
    }

    fn primitive(ty: &PrimitiveType, read: &DataType, target: &DataType) -> Option<Self> {
        use DataType as D;
        let stored = match read {
            D::Dictionary(_, values) => values,
            other => other,
        };
        if read == target {
            return Some(Self::Keep);
        }
        let cast = Some(Self::Cast(target.clone()));
        match (ty, stored) {
            (PrimitiveType::Int, D::Int8 | D::Int16 | D::Int32 | D::UInt8 | D::UInt16) => cast,
            (
                PrimitiveType::Long,
                D::Int8 | D::Int16 | D::Int32 | D::Int64 | D::UInt8 | D::UInt16 | D::UInt32,
            ) => cast,
            (PrimitiveType::Float, D::Float16 | D::Float32) => cast,
            (PrimitiveType::Double, D::Float16 | D::Float32 | D::Float64) => cast,
            (
                PrimitiveType::Decimal { precision, scale },
                D::Decimal32(p, s) | D::Decimal64(p, s) | D::Decimal128(p, s) | D::Decimal256(p, s),
            ) if i64::from(*s) == i64::from(*scale) && u32::from(*p) <= *precision => cast,
            (PrimitiveType::Time, D::Time32(_) | D::Time64(_)) => cast,
            (PrimitiveType::Date, D::Date32) => cast,
            (
                PrimitiveType::Timestamp
                | PrimitiveType::Timestamptz
                | PrimitiveType::TimestampNs
                | PrimitiveType::TimestamptzNs,
                D::Timestamp(unit, _),
            ) => {
                let D::Timestamp(wanted, _) = target else { return None };
                if unit == wanted && stored == read {
                    Some(Self::Retype(target.clone()))
                } else {
                    Some(Self::Timestamp(*wanted, target.clone()))
                }
            }
            (PrimitiveType::Timestamp | PrimitiveType::TimestampNs, D::Date32) => cast,
            (
                PrimitiveType::String,
                D::Utf8 | D::LargeUtf8 | D::Utf8View | D::Binary | D::LargeBinary | D::BinaryView,
            ) => cast,
            (
                PrimitiveType::Binary,
                D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_) | D::Utf8 | D::LargeUtf8,
            ) => cast,
            (
                PrimitiveType::Fixed(_) | PrimitiveType::Uuid,
                D::FixedSizeBinary(_) | D::Binary | D::LargeBinary,
            ) => cast,
            _ => None,
        }
    }

    fn apply(&self, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        match self {
            Self::Keep => Ok(array.clone()),
            Self::Cast(ty) => strict_cast(array, ty),
            Self::Retype(ty) => retype(array, ty),
            Self::OldCalendar(step) => {
                check_calendar(array)?;
                step.apply(array)
            }
            Self::Timestamp(unit, ty) => {
                // By way of a type without a zone, so that values never shift.
                let plain = match array.data_type() {
                    DataType::Timestamp(unit, Some(_)) => retype(array, &DataType::Timestamp(*unit, None))?,
                    _ => array.clone(),
                };
                retype(&strict_cast(&plain, &DataType::Timestamp(*unit, None))?, ty)
            }
            Self::Struct(fields, columns) => {
                let array = array.as_struct();
                let rows = array.len();
                let children = columns.iter().map(|column| match column {
                    Column::Read(at, step) => step.apply(array.column(*at)),
                    Column::Constant(literal, ty) => repeat(literal.as_ref(), ty, rows),
                });
                let children = children.collect::<Result<Vec<_>, _>>()?;
                let nulls = array.nulls().cloned();
                let array = StructArray::try_new_with_length(fields.clone(), children, nulls, rows)?;
                Ok(Arc::new(array))
            }
            Self::List(field, step) => list(array, field, step),
            Self::Map(entries, sorted, pair, steps) => {
                let map = array.as_map();
                let columns = vec![steps.0.apply(map.keys())?, steps.1.apply(map.values())?];
                let pair = StructArray::try_new(pair.clone(), columns, None)?;
                let nulls = map.nulls().cloned();
                Ok(Arc::new(MapArray::try_new(entries.clone(), map.offsets().clone(), pair, nulls, *sorted)?))
            }
        }
    }
}

fn list(array: &ArrayRef, field: &FieldRef, step: &Step) -> Result<ArrayRef, ArrowError> {
    let array: ArrayRef = match array.data_type() {
        DataType::LargeList(item) => strict_cast(array, &DataType::List(item.clone()))?,
        DataType::FixedSizeList(item, _) => strict_cast(array, &DataType::List(item.clone()))?,
        _ => array.clone(),
    };
    let list: &ListArray = array.as_list();
    let values = step.apply(list.values())?;
    let nulls = list.nulls().cloned();
    Ok(Arc::new(ListArray::try_new(field.clone(), list.offsets().clone(), values, nulls)?))
}

fn strict_cast(array: &ArrayRef, ty: &DataType) -> Result<ArrayRef, ArrowError> {
    floe_plan::rows::promote::strict_cast(array, ty)
}

fn repeat(literal: Option<&Literal>, ty: &DataType, rows: usize) -> Result<ArrayRef, ArrowError> {
    floe_plan::constant::repeat(literal, ty, rows).map_err(|e| ArrowError::ExternalError(Box::new(e)))
}

/// The same values under another type of the same layout.
fn retype(array: &ArrayRef, ty: &DataType) -> Result<ArrayRef, ArrowError> {
    Ok(make_array(array.to_data().into_builder().data_type(ty.clone()).build()?))
}
