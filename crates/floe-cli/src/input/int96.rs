//! Timestamps that are stored as INT96: nanoseconds, of all years.
//!
//! Read as nanoseconds they become other times before 1677 and after 2262, read as microseconds they lose three digits. So both
//! are read, and what would be lost is refused.

use std::fs::File;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampMicrosecondType, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use floe::{Error, ErrorKind, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

/// Reads the columns of a file that are INT96 a second time, for their last digits.
pub(super) struct LastDigits {
    columns: Vec<usize>,
    nanos: ParquetRecordBatchReader,
}

impl LastDigits {
    /// For batches of so many rows behind the first `offset` ones. `None` if the file has no such columns.
    pub(super) fn of(
        file: File,
        footer: Arc<ParquetMetaData>,
        batch_rows: usize,
        offset: usize,
    ) -> Result<Option<Self>, ParquetError> {
        let schema = footer.file_metadata().schema_descr_ptr();
        let columns = schema.columns().iter().enumerate();
        let columns: Vec<usize> = columns
            .filter(|(_, column)| column.physical_type() == Type::INT96)
            .map(|(index, _)| index)
            .collect();
        if columns.is_empty() {
            return Ok(None);
        }
        let mask = ProjectionMask::leaves(&schema, columns.iter().copied());
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = ArrowReaderMetadata::try_new(footer, options)?;
        let nanos = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
            .with_projection(mask)
            .with_batch_size(batch_rows)
            .with_offset(offset)
            .build()?;
        Ok(Some(Self { columns, nanos }))
    }

    /// Fails with `SchemaMismatch` if a value of the next batch, which came as microseconds, has more digits.
    pub(super) fn check(&mut self, batch: &RecordBatch, label: &str) -> Result<()> {
        let lost = || {
            Error::new(
                ErrorKind::Corrupted,
                format!("{label}: the timestamps of this Parquet file end too early"),
            )
        };
        let nanos = match self.nanos.next() {
            Some(Ok(nanos)) => leaves(&nanos),
            Some(Err(_)) | None => return Err(lost()),
        };
        let micros = leaves(batch);
        for (column, nanos) in self.columns.iter().zip(&nanos) {
            let micros = micros.get(*column).ok_or_else(lost)?;
            if finer(micros, nanos).ok_or_else(lost)? {
                return Err(Error::new(
                    ErrorKind::SchemaMismatch,
                    format!(
                        "{label}: a column has timestamps finer than microseconds, which the table cannot hold"
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// Whether a value has digits after its microseconds. Nanoseconds are those of the value, whatever was cut above.
fn finer(micros: &ArrayRef, nanos: &ArrayRef) -> Option<bool> {
    let micros = micros.as_primitive_opt::<TimestampMicrosecondType>()?;
    let nanos = nanos.as_primitive_opt::<TimestampNanosecondType>()?;
    if micros.len() != nanos.len() {
        return None;
    }
    let finer = (0..micros.len())
        .any(|row| micros.is_valid(row) && nanos.value(row) != micros.value(row).wrapping_mul(1000));
    Some(finer)
}

/// The leaf arrays of a batch, in the order of the columns of the file.
fn leaves(batch: &RecordBatch) -> Vec<ArrayRef> {
    fn add(array: &ArrayRef, into: &mut Vec<ArrayRef>) {
        match array.data_type() {
            DataType::Struct(_) => {
                for column in array.as_struct().columns() {
                    add(column, into);
                }
            }
            DataType::List(_) => add(array.as_list::<i32>().values(), into),
            DataType::LargeList(_) => add(array.as_list::<i64>().values(), into),
            DataType::FixedSizeList(..) => add(array.as_fixed_size_list().values(), into),
            DataType::Map(..) => {
                for column in array.as_map().entries().columns() {
                    add(column, into);
                }
            }
            _ => into.push(array.clone()),
        }
    }
    let mut all = Vec::new();
    for column in batch.columns() {
        add(column, &mut all);
    }
    all
}
