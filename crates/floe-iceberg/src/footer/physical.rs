//! The Arrow form of a Parquet file, by its physical types.

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::{RowNumber, is_virtual_column};
use parquet::basic::Type as Physical;
use parquet::errors::Result;
use parquet::file::metadata::ParquetMetaData;
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

use super::calendar::marked_leaves;

/// The Arrow form of a file, taken from its Parquet types alone: what the writer noted besides may be of types that
/// floe would have to convert. With `row_number`, a last column of that name gives the positions of the rows.
///
/// INT96, at any depth, comes as microseconds, which reach all years that Iceberg allows. It would come as nanoseconds, which
/// silently become other times before 1677 and after 2262.
pub fn arrow_metadata(footer: Arc<ParquetMetaData>, row_number: Option<&str>) -> Result<ArrowReaderMetadata> {
    let options = || {
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let Some(name) = row_number else { return Ok(options) };
        let number = Field::new(name, DataType::Int64, false).with_extension_type(RowNumber);
        options.with_virtual_columns(vec![Arc::new(number)])
    };
    let metadata = ArrowReaderMetadata::try_new(footer.clone(), options()?)?;
    let parquet = footer.file_metadata().schema_descr();
    if !parquet.columns().iter().any(|column| column.physical_type() == Physical::INT96) {
        return Ok(metadata);
    }
    let mut next = 0;
    let own = metadata.schema().fields().iter().filter(|field| !is_virtual_column(field));
    let fields: Fields = own.map(|field| in_micros(field, parquet, &mut next)).collect();
    let schema = Schema::new_with_metadata(fields, metadata.schema().metadata().clone());
    ArrowReaderMetadata::try_new(footer.clone(), options()?.with_schema(Arc::new(schema)))
}

/// Marks a column that is stored as INT96.
const MARK: &str = "floe.int96";

/// The columns of a file, those marked that are stored as INT96, at any depth. [`arrow_metadata`] gives microseconds of them,
/// whatever more digits they have.
pub(crate) fn with_int96(fields: Fields, parquet: &SchemaDescriptor) -> Fields {
    let int96 = |column: &ColumnDescriptor| column.physical_type() == Physical::INT96;
    if !parquet.columns().iter().any(|column| int96(column)) {
        return fields;
    }
    marked_leaves(&fields, parquet, MARK, &int96)
}

/// Whether a column was marked by [`with_int96`].
pub(crate) fn is_int96(field: &Field) -> bool {
    field.metadata().contains_key(MARK)
}

/// The field, with microseconds for each leaf that is INT96. `next` is the number of its first leaf.
fn in_micros(field: &FieldRef, parquet: &SchemaDescriptor, next: &mut usize) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| in_micros(field, parquet, next)).collect())
        }
        DataType::List(item) => DataType::List(in_micros(item, parquet, next)),
        DataType::LargeList(item) => DataType::LargeList(in_micros(item, parquet, next)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(in_micros(item, parquet, next), *size),
        DataType::Map(entries, sorted) => DataType::Map(in_micros(entries, parquet, next), *sorted),
        other => {
            let leaf = *next;
            *next += 1;
            let int96 =
                leaf < parquet.num_columns() && parquet.column(leaf).physical_type() == Physical::INT96;
            match other {
                DataType::Timestamp(_, zone) if int96 => {
                    DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
                }
                _ => return field.clone(),
            }
        }
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}
