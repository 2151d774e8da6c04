//! How many bytes rows take, and batches that are cut by that.
//!
//! Rows are counted as they are when each value is stored on its own: a value of a dictionary, or one that several views
//! share, counts wherever it is.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, GenericListArray, MapArray, OffsetSizeTrait, RecordBatch,
    RecordBatchOptions, StructArray, make_array,
};
use arrow_buffer::OffsetBuffer;
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields, Schema};

/// What a text or a binary of 32-bit offsets can hold, in bytes: the values of a column of a batch together.
pub const MOST_OF_A_COLUMN: u64 = i32::MAX as u64;

/// Bytes that the rows of `array` take, without the rest of the buffers they are in.
///
/// ```
/// use arrow_array::StringArray;
/// use floe_plan::rows::size::array_bytes;
///
/// let texts = StringArray::from(vec!["one", "three"]);
/// assert_eq!(array_bytes(&texts), 3 + 5 + 2 * 4);
/// ```
pub fn array_bytes(array: &dyn Array) -> u64 {
    let rows = array.len() as u64;
    let nulls = array.nulls().map_or(0, |_| rows.div_ceil(8));
    let values = match array.data_type() {
        DataType::Null => 0,
        DataType::Boolean => rows.div_ceil(8),
        DataType::Utf8 => 4 * rows + span(array.as_string::<i32>().offsets()),
        DataType::LargeUtf8 => 8 * rows + span(array.as_string::<i64>().offsets()),
        DataType::Binary => 4 * rows + span(array.as_binary::<i32>().offsets()),
        DataType::LargeBinary => 8 * rows + span(array.as_binary::<i64>().offsets()),
        DataType::Utf8View => 4 * rows + viewed(array, array.as_string_view().views()),
        DataType::BinaryView => 4 * rows + viewed(array, array.as_binary_view().views()),
        DataType::FixedSizeBinary(width) => rows * u64::try_from(*width).unwrap_or(0),
        DataType::Dictionary(..) => dictionary(array),
        DataType::List(_) => 4 * rows + below(array.as_list::<i32>()),
        DataType::LargeList(_) => 8 * rows + below(array.as_list::<i64>()),
        DataType::Map(..) => {
            let map = array.as_map();
            let (start, length) = range(map.offsets());
            4 * rows + array_bytes(&map.entries().slice(start, length))
        }
        DataType::FixedSizeList(..) => array_bytes(array.as_fixed_size_list().values()),
        DataType::Struct(_) => array.as_struct().columns().iter().map(|c| array_bytes(c)).sum(),
        other => match other.primitive_width() {
            Some(width) => rows * width as u64,
            None => array.get_array_memory_size() as u64,
        },
    };
    values + nulls
}

/// Bytes that the rows of `batch` take; at least one for each row.
pub fn batch_bytes(batch: &RecordBatch) -> u64 {
    let bytes: u64 = batch.columns().iter().map(|column| array_bytes(column)).sum();
    bytes.max(batch.num_rows() as u64)
}

/// Bytes that each row of `batch` takes, about: NULLs count nothing.
pub fn row_bytes(batch: &RecordBatch) -> Vec<u64> {
    let mut rows = vec![0; batch.num_rows()];
    for column in batch.columns() {
        match column.data_type() {
            DataType::Utf8 => lengths(column.as_string::<i32>().offsets(), &mut rows),
            DataType::LargeUtf8 => lengths(column.as_string::<i64>().offsets(), &mut rows),
            DataType::Binary => lengths(column.as_binary::<i32>().offsets(), &mut rows),
            DataType::LargeBinary => lengths(column.as_binary::<i64>().offsets(), &mut rows),
            DataType::Boolean => rows.iter_mut().for_each(|row| *row += 1),
            DataType::FixedSizeBinary(width) => {
                let width = u64::try_from(*width).unwrap_or(0);
                for row in &mut rows {
                    *row += width;
                }
            }
            other => match other.primitive_width() {
                Some(width) => rows.iter_mut().for_each(|row| *row += width as u64),
                None => {
                    for (at, row) in rows.iter_mut().enumerate() {
                        *row += array_bytes(&column.slice(at, 1));
                    }
                }
            },
        }
    }
    rows
}

fn lengths<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>, rows: &mut [u64]) {
    for (row, ends) in rows.iter_mut().zip(offsets.windows(2)) {
        *row += (ends[1] - ends[0]).as_usize() as u64 + size_of::<O>() as u64;
    }
}

/// The batch in slices of at most `most` bytes, in order; a row that has more is a slice of its own. Nothing is copied.
///
/// ```
/// use std::sync::Arc;
/// use arrow_array::{ArrayRef, Int64Array, RecordBatch};
/// use floe_plan::rows::size::split;
///
/// let numbers = Arc::new(Int64Array::from_iter_values(0..10)) as ArrayRef;
/// let batch = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
/// let rows: Vec<_> = split(batch, 32).iter().map(RecordBatch::num_rows).collect();
/// assert!(rows.iter().all(|rows| *rows <= 4) && rows.iter().sum::<usize>() == 10);
/// ```
pub fn split(batch: RecordBatch, most: u64) -> Vec<RecordBatch> {
    let mut slices = Vec::with_capacity(1);
    cut(batch, most.max(1), &mut slices);
    slices
}

fn cut(batch: RecordBatch, most: u64, slices: &mut Vec<RecordBatch>) {
    let rows = batch.num_rows();
    let bytes = if rows > 1 { batch_bytes(&batch) } else { 0 };
    if bytes <= most {
        slices.push(batch);
        return;
    }
    let parts = usize::try_from(bytes.div_ceil(most)).unwrap_or(rows).clamp(2, rows);
    let step = rows.div_ceil(parts);
    for at in (0..rows).step_by(step) {
        cut(batch.slice(at, step.min(rows - at)), most, slices);
    }
}

/// The name of a column of `batch` with a text or a binary, at whatever depth, whose values are more than one can hold; see
/// [`MOST_OF_A_COLUMN`]. Of the batches that [`split`] gives only those of one row can have one.
pub fn oversized(batch: &RecordBatch) -> Option<String> {
    let schema = batch.schema();
    let mut columns = batch.columns().iter().zip(schema.fields());
    columns.find(|(column, _)| largest_leaf(column) > MOST_OF_A_COLUMN).map(|(_, field)| field.name().clone())
}

fn largest_leaf(array: &dyn Array) -> u64 {
    match array.data_type() {
        // Most are small.
        _ if array_bytes(array) <= MOST_OF_A_COLUMN => 0,
        DataType::Struct(_) => array.as_struct().columns().iter().map(|c| largest_leaf(c)).max().unwrap_or(0),
        DataType::List(_) => {
            let (start, length) = range(array.as_list::<i32>().offsets());
            largest_leaf(&array.as_list::<i32>().values().slice(start, length))
        }
        DataType::LargeList(_) => {
            let (start, length) = range(array.as_list::<i64>().offsets());
            largest_leaf(&array.as_list::<i64>().values().slice(start, length))
        }
        DataType::Map(..) => {
            let (start, length) = range(array.as_map().offsets());
            largest_leaf(&array.as_map().entries().slice(start, length))
        }
        DataType::FixedSizeList(..) => largest_leaf(array.as_fixed_size_list().values()),
        DataType::LargeBinary => 0,
        _ => array_bytes(array),
    }
}

/// The batch with texts and binaries in place of views of them, at whatever depth; what a slice does not show is left
/// behind.
///
/// Fails when the values of a column do not fit into one: see [`oversized`].
pub fn plain(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    if !schema.fields().iter().any(|field| has_views(field.data_type())) {
        return Ok(batch.clone());
    }
    let columns = batch.columns().iter().map(plain_array).collect::<Result<Vec<_>, _>>()?;
    let fields = schema.fields().iter().map(|field| retyped(field, plain_type)).collect::<Fields>();
    let schema = Schema::new_with_metadata(fields, schema.metadata().clone());
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(schema), columns, &options)
}

/// The schema with views in place of texts and binaries, at whatever depth. [`plain`] undoes it.
pub fn with_views(schema: &Schema) -> Schema {
    let fields = schema.fields().iter().map(|field| retyped(field, view_type)).collect::<Fields>();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

fn view_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8 => DataType::Utf8View,
        DataType::Binary => DataType::BinaryView,
        other => nested_type(other, view_type),
    }
}

fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        other => nested_type(other, plain_type),
    }
}

fn nested_type(data_type: &DataType, change: fn(&DataType) -> DataType) -> DataType {
    match data_type {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|f| retyped(f, change)).collect()),
        DataType::List(item) => DataType::List(retyped(item, change)),
        DataType::LargeList(item) => DataType::LargeList(retyped(item, change)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(retyped(item, change), *size),
        DataType::Map(entries, sorted) => DataType::Map(retyped(entries, change), *sorted),
        other => other.clone(),
    }
}

fn retyped(field: &FieldRef, change: fn(&DataType) -> DataType) -> FieldRef {
    let changed = change(field.data_type());
    if changed == *field.data_type() {
        return field.clone();
    }
    Arc::new(Field::clone(field).with_data_type(changed))
}

fn has_views(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8View | DataType::BinaryView => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_views(field.data_type())),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => has_views(field.data_type()),
        _ => false,
    }
}

fn plain_array(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if !has_views(array.data_type()) {
        return Ok(array.clone());
    }
    Ok(match array.data_type() {
        DataType::Utf8View => cast(&fitting(array)?, &DataType::Utf8)?,
        DataType::BinaryView => cast(&fitting(array)?, &DataType::Binary)?,
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns().iter().map(plain_array);
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            let fields = fields.iter().map(|field| retyped(field, plain_type)).collect();
            let nulls = array.nulls().cloned();
            Arc::new(StructArray::try_new_with_length(fields, columns, nulls, array.len())?)
        }
        DataType::List(item) => plain_list(array.as_list::<i32>(), item)?,
        DataType::LargeList(item) => plain_list(array.as_list::<i64>(), item)?,
        DataType::FixedSizeList(item, size) => {
            let values = plain_array(array.as_fixed_size_list().values())?;
            let (item, nulls) = (retyped(item, plain_type), array.nulls().cloned());
            Arc::new(FixedSizeListArray::try_new_with_length(item, *size, values, nulls, array.len())?)
        }
        DataType::Map(entries, sorted) => {
            let map = array.as_map();
            let (start, length) = range(map.offsets());
            let pairs: ArrayRef = Arc::new(map.entries().slice(start, length));
            let pairs = plain_array(&pairs)?.as_struct().clone();
            let (offsets, nulls) = (rebased(map.offsets())?, map.nulls().cloned());
            Arc::new(MapArray::try_new(retyped(entries, plain_type), offsets, pairs, nulls, *sorted)?)
        }
        _ => make_array(array.to_data()),
    })
}

fn plain_list<O: OffsetSizeTrait>(
    list: &GenericListArray<O>,
    item: &FieldRef,
) -> Result<ArrayRef, ArrowError> {
    let (start, length) = range(list.offsets());
    let values = plain_array(&list.values().slice(start, length))?;
    let (offsets, nulls) = (rebased(list.offsets())?, list.nulls().cloned());
    Ok(Arc::new(GenericListArray::<O>::try_new(retyped(item, plain_type), offsets, values, nulls)?))
}

/// Whoever makes texts and binaries of more stops the process.
fn fitting(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let bytes = array_bytes(array);
    if bytes > MOST_OF_A_COLUMN {
        return Err(ArrowError::OffsetOverflowError(usize::try_from(bytes).unwrap_or(usize::MAX)));
    }
    Ok(array.clone())
}

/// Where the values of a list begin, and how many there are.
fn range<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> (usize, usize) {
    let (start, end) = (offsets[0].as_usize(), offsets[offsets.len() - 1].as_usize());
    (start, end - start)
}

fn rebased<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> Result<OffsetBuffer<O>, ArrowError> {
    let first = offsets[0];
    if first == O::zero() {
        return Ok(offsets.clone());
    }
    Ok(OffsetBuffer::new(offsets.iter().map(|offset| *offset - first).collect::<Vec<_>>().into()))
}

fn span<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> u64 {
    range(offsets).1 as u64
}

/// The length of a value is in the lowest four bytes of its view (Arrow format, "Variable-size Binary View"). That of NULL may
/// be anything.
fn viewed(array: &dyn Array, views: &[u128]) -> u64 {
    let lengths = views.iter().map(|view| u64::from(*view as u32));
    match array.nulls() {
        Some(nulls) => lengths.zip(nulls).map(|(length, valid)| if valid { length } else { 0 }).sum(),
        None => lengths.sum(),
    }
}

fn below<O: OffsetSizeTrait>(list: &GenericListArray<O>) -> u64 {
    let (start, length) = range(list.offsets());
    array_bytes(&list.values().slice(start, length))
}

fn dictionary(array: &dyn Array) -> u64 {
    let dictionary = array.as_any_dictionary();
    let values = dictionary.values();
    if values.is_empty() || array.is_empty() {
        return 0;
    }
    if let Some(width) = values.data_type().primitive_width() {
        return array.len() as u64 * width as u64;
    }
    let sizes: Vec<u64> = (0..values.len()).map(|value| array_bytes(&values.slice(value, 1))).collect();
    dictionary.normalized_keys().into_iter().map(|key| sizes[key]).sum()
}

#[cfg(test)]
mod tests;
