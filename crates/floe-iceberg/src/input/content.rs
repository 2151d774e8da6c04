//! A hash of rows: of their values, in order, however they are divided into batches and encoded.

use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, FixedSizeListArray, LargeListArray, ListArray, RecordBatch, StructArray};
use arrow_cast::cast;
use arrow_row::{RowConverter, SortField};
use arrow_schema::{DataType, Field, FieldRef, Fields, SchemaRef};
use floe_core::Result;
use futures::StreamExt;
use futures::stream::BoxStream;
use sha2::{Digest, Sha256};

use crate::execute::join::arrow_error;

/// The bytes of a hash that are kept.
const BYTES: usize = 12;
/// Rows that are encoded at a time.
const ROWS: usize = 1024;

/// What was read so far.
pub(super) struct Content {
    hash: Sha256,
    rows: u64,
    ended: bool,
}

impl Content {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        let mut hash = Sha256::new();
        names(schema.fields(), &mut hash);
        Self { hash, rows: 0, ended: false }
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        for start in (0..batch.num_rows()).step_by(ROWS) {
            let some = batch.slice(start, ROWS.min(batch.num_rows() - start));
            let columns = some.columns().iter().map(plain).collect::<Result<Vec<_>>>()?;
            let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
            let converter = RowConverter::new(fields).map_err(arrow_error)?;
            let rows = converter.convert_columns(&columns).map_err(arrow_error)?;
            for row in &rows {
                self.hash.update((row.as_ref().len() as u64).to_le_bytes());
                self.hash.update(row.as_ref());
            }
        }
        Ok(())
    }

    /// How many rows there were, and their hash; `None` before the end.
    pub(super) fn finished(&self) -> Option<(u64, String)> {
        self.ended.then(|| (self.rows, hex(&self.hash.clone().finalize())))
    }
}

/// The same rows, which `content` sees on their way.
pub(super) fn looked_at(
    rows: BoxStream<'static, Result<RecordBatch>>,
    content: Arc<Mutex<Content>>,
) -> BoxStream<'static, Result<RecordBatch>> {
    let end = content.clone();
    let seen = rows.map(move |batch| {
        let batch = batch?;
        content.lock().unwrap_or_else(PoisonError::into_inner).add(&batch)?;
        Ok(batch)
    });
    let end = futures::stream::poll_fn(move |_| {
        end.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        std::task::Poll::Ready(None)
    });
    seen.chain(end).boxed()
}

/// A hash of bytes.
pub(super) fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(hash: &[u8]) -> String {
    let mut hex = String::with_capacity(2 * BYTES);
    for byte in &hash[..BYTES] {
        // A string takes everything.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// The names of columns, and of the fields in them.
fn names(fields: &Fields, hash: &mut Sha256) {
    hash.update((fields.len() as u64).to_le_bytes());
    for field in fields {
        hash.update((field.name().len() as u64).to_le_bytes());
        hash.update(field.name());
        if let DataType::Struct(inner) = field.data_type() {
            names(inner, hash);
        }
    }
}

/// The same values in the widest type of their kind, since the column of a table may be widened from one run to the next,
/// without dictionaries, and maps as lists.
fn plain(array: &ArrayRef) -> Result<ArrayRef> {
    use DataType as T;
    let to = |of: &DataType| cast(array, of).map_err(arrow_error);
    Ok(match array.data_type() {
        T::Int8 | T::Int16 | T::Int32 | T::UInt8 | T::UInt16 | T::UInt32 => to(&T::Int64)?,
        T::Float16 | T::Float32 => to(&T::Float64)?,
        T::Dictionary(_, values) => plain(&to(values)?)?,
        T::RunEndEncoded(_, values) => plain(&to(values.data_type())?)?,
        T::Struct(fields) => {
            let array = array.as_struct();
            let columns = array.columns().iter().map(plain).collect::<Result<Vec<_>>>()?;
            let fields: Fields =
                fields.iter().zip(&columns).map(|(field, column)| of(field, column)).collect();
            let made = StructArray::try_new_with_length(fields, columns, array.nulls().cloned(), array.len());
            Arc::new(made.map_err(arrow_error)?)
        }
        T::List(field) => {
            let list = array.as_list::<i32>();
            let values = plain(list.values())?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Arc::new(ListArray::try_new(of(field, &values), offsets, values, nulls).map_err(arrow_error)?)
        }
        T::LargeList(field) => {
            let list = array.as_list::<i64>();
            let values = plain(list.values())?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Arc::new(
                LargeListArray::try_new(of(field, &values), offsets, values, nulls).map_err(arrow_error)?,
            )
        }
        T::FixedSizeList(field, size) => {
            let list = array.as_fixed_size_list();
            let values = plain(list.values())?;
            let made = FixedSizeListArray::try_new(of(field, &values), *size, values, list.nulls().cloned());
            Arc::new(made.map_err(arrow_error)?)
        }
        T::Map(field, _) => {
            let map = array.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            let values = plain(&entries)?;
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            Arc::new(ListArray::try_new(of(field, &values), offsets, values, nulls).map_err(arrow_error)?)
        }
        _ => array.clone(),
    })
}

fn of(field: &FieldRef, values: &ArrayRef) -> FieldRef {
    Arc::new(Field::new(field.name(), values.data_type().clone(), true))
}
