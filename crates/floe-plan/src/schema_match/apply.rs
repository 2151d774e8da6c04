//! Carrying out a mapping for one batch.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, ListArray, MapArray, RecordBatch, RecordBatchOptions, StructArray, new_null_array,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{ArrowError, DataType, Field};
use floe_core::{Error, ErrorKind, Result};

use super::check::check_columns;
use super::{ColumnMapping, Conversion, FieldMapping, Source};
use crate::constant::repeat;
use crate::convert::{ConvertOptions, Unfit, convert, type_name};

/// Gives `batch` the table's Arrow schema: columns in the table's order, with its types and field ids.
///
/// # Errors
/// [`ErrorKind::SchemaMismatch`] when the batch does not have the schema that the mapping was made for, when a
/// value does not fit, or when a required column holds NULL. Says the column and the row, counted from 1 in the batch.
pub fn apply(mapping: &ColumnMapping, batch: &RecordBatch) -> Result<RecordBatch> {
    apply_from(mapping, batch, 0)
}

/// As [`apply`], for a batch that comes after `before` rows: errors count rows from the first of them.
///
/// # Errors
/// As [`apply`].
pub fn apply_from(mapping: &ColumnMapping, batch: &RecordBatch, before: u64) -> Result<RecordBatch> {
    if batch.num_columns() != mapping.source_columns {
        return Err(mismatch(format!(
            "a batch has {} columns, the first one had {}",
            batch.num_columns(),
            mapping.source_columns
        )));
    }
    let rows = batch.num_rows();
    let convert = Convert { options: mapping.options, before };
    let columns = convert.fields(&mapping.fields, batch.columns(), rows, &|row| row)?;
    check_columns(mapping.target.fields(), &columns)?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(mapping.target.clone(), columns, &options).map_err(failed("the batch"))
}

struct Convert {
    options: ConvertOptions,
    /// Rows before the batch.
    before: u64,
}

/// The row of the batch that a row of an array within it belongs to.
type RowOf<'a> = &'a dyn Fn(usize) -> usize;

impl Convert {
    fn fields(
        &self,
        fields: &[FieldMapping],
        columns: &[ArrayRef],
        rows: usize,
        row_of: RowOf<'_>,
    ) -> Result<Vec<ArrayRef>> {
        fields
            .iter()
            .map(|field| match &field.source {
                Source::Null => Ok(new_null_array(field.target.data_type(), rows)),
                Source::Default(value) => repeat(Some(value), field.target.data_type(), rows)
                    .map_err(|error| error.context(&field.name).with_hint("give the column in the data")),
                Source::Column { index, conversion } => {
                    let column = columns
                        .get(*index)
                        .ok_or_else(|| mismatch(format!("{}: a batch lacks this column", field.name)))?;
                    self.one(conversion, column, &field.target, &field.name, row_of)
                }
            })
            .collect()
    }

    fn one(
        &self,
        conversion: &Conversion,
        array: &ArrayRef,
        target: &Field,
        name: &str,
        row_of: RowOf<'_>,
    ) -> Result<ArrayRef> {
        match (conversion, target.data_type()) {
            (Conversion::Keep, to) if array.data_type() == to => Ok(array.clone()),
            (Conversion::Keep, to) => {
                Err(mismatch(format!("{name}: a batch has {} where {to} was announced", array.data_type())))
            }
            (Conversion::Cast | Conversion::ExactCast | Conversion::Checked, to) => {
                convert(array, to, &self.options).map_err(|unfit| self.unfit(unfit, array, to, name, row_of))
            }
            (Conversion::UuidText, _) => uuid_texts(array).ok_or_else(|| unexpected(array, name)),
            (Conversion::Struct(fields), DataType::Struct(to)) => {
                let from = array.as_struct_opt().ok_or_else(|| unexpected(array, name))?;
                let columns = self.fields(fields, from.columns(), from.len(), row_of)?;
                check_nested(to, &columns, from.nulls(), name)?;
                let out = if to.is_empty() {
                    StructArray::new_empty_fields(from.len(), from.nulls().cloned())
                } else {
                    StructArray::try_new(to.clone(), columns, from.nulls().cloned()).map_err(failed(name))?
                };
                Ok(Arc::new(out))
            }
            (Conversion::List(element), DataType::List(to)) => {
                let from = as_list(array, name)?;
                // Only the elements that the offsets reach: a slice shares its parent's elements.
                let (values, offsets) = trimmed(from.values(), from.offsets());
                let row_of = |element: usize| row_of(holder(&offsets, element));
                let values = self.one(element, &values, to, name, &row_of)?;
                check_columns(std::slice::from_ref(to), std::slice::from_ref(&values))
                    .map_err(|error| error.context(name))?;
                let out = ListArray::try_new(to.clone(), offsets.clone(), values, from.nulls().cloned())
                    .map_err(failed(name))?;
                Ok(Arc::new(out))
            }
            (Conversion::Map(key, value), DataType::Map(entries, sorted)) => {
                let from = array.as_map_opt().ok_or_else(|| unexpected(array, name))?;
                let DataType::Struct(to) = entries.data_type() else { return Err(unexpected(array, name)) };
                let (keys, offsets) = trimmed(from.keys(), from.offsets());
                let (values, _) = trimmed(from.values(), from.offsets());
                let row_of = |entry: usize| row_of(holder(&offsets, entry));
                let columns = vec![
                    self.one(key, &keys, &to[0], name, &row_of)?,
                    self.one(value, &values, &to[1], name, &row_of)?,
                ];
                check_columns(to, &columns).map_err(|error| error.context(name))?;
                let inner = StructArray::try_new(to.clone(), columns, None).map_err(failed(name))?;
                MapArray::try_new(entries.clone(), offsets.clone(), inner, from.nulls().cloned(), *sorted)
                    .map(|out| Arc::new(out) as ArrayRef)
                    .map_err(failed(name))
            }
            _ => Err(unexpected(array, name)),
        }
    }

    fn unfit(&self, unfit: Unfit, array: &ArrayRef, to: &DataType, name: &str, row_of: RowOf<'_>) -> Error {
        let row = self.before + row_of(unfit.row) as u64 + 1;
        let from = array.data_type();
        mismatch(format!("{name}: row {row}: a value of {from} does not fit {}: {unfit}", type_name(to)))
            .with_hint("change the value, or evolve the column to a type that holds it")
    }
}

/// The row of a list that holds an element.
fn holder(offsets: &OffsetBuffer<i32>, element: usize) -> usize {
    offsets.partition_point(|offset| *offset as usize <= element).saturating_sub(1)
}

/// UUIDs as they are written.
fn uuid_texts(array: &ArrayRef) -> Option<ArrayRef> {
    let bytes = array.as_fixed_size_binary_opt()?;
    let texts = bytes.iter().map(|bytes| match bytes {
        Some(bytes) => uuid::Uuid::from_slice(bytes).ok().map(|uuid| Some(uuid.to_string())),
        None => Some(None),
    });
    Some(Arc::new(texts.collect::<Option<arrow_array::StringArray>>()?))
}

/// Required fields inside a struct may be NULL only where the struct is.
fn check_nested(
    fields: &arrow_schema::Fields,
    columns: &[ArrayRef],
    outer: Option<&arrow_buffer::NullBuffer>,
    name: &str,
) -> Result<()> {
    for (field, column) in fields.iter().zip(columns) {
        let Some(nulls) = column.logical_nulls().filter(|_| !field.is_nullable()) else { continue };
        let bad = match outer {
            None => nulls.null_count(),
            Some(outer) => nulls.iter().zip(outer.iter()).filter(|(valid, outer)| *outer && !valid).count(),
        };
        if bad > 0 {
            return Err(super::check::null_fault(&format!("{name}.{}", field.name()), bad));
        }
    }
    Ok(())
}

fn as_list(array: &ArrayRef, name: &str) -> Result<ListArray> {
    if let Some(list) = array.as_list_opt::<i32>() {
        return Ok(list.clone());
    }
    let element = match array.data_type() {
        DataType::LargeList(e)
        | DataType::FixedSizeList(e, _)
        | DataType::ListView(e)
        | DataType::LargeListView(e) => e.clone(),
        _ => return Err(unexpected(array, name)),
    };
    let list = arrow_cast::cast(array, &DataType::List(element)).map_err(failed(name))?;
    Ok(list.as_list::<i32>().clone())
}

fn trimmed(values: &ArrayRef, offsets: &OffsetBuffer<i32>) -> (ArrayRef, OffsetBuffer<i32>) {
    let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
    if first == 0 && last as usize == values.len() {
        return (values.clone(), offsets.clone());
    }
    let moved: Vec<i32> = offsets.iter().map(|o| o - first).collect();
    (values.slice(first as usize, (last - first) as usize), OffsetBuffer::new(moved.into()))
}

fn unexpected(array: &ArrayRef, name: &str) -> Error {
    mismatch(format!("{name}: a batch has type {}, which was not announced", array.data_type()))
}

fn mismatch(message: String) -> Error {
    Error::new(ErrorKind::SchemaMismatch, message)
}

/// The error itself is not kept: it may quote a value.
fn failed(name: &str) -> impl Fn(ArrowError) -> Error {
    move |_| {
        Error::new(ErrorKind::Internal, format!("{name}: fitting a batch to the table's schema failed"))
            .with_hint("the batch is not of the form that its own schema announces")
    }
}
