//! Arrow types that Iceberg does not have, as those it has.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use floe::{Error, ErrorKind, Result};

use crate::schema_from::{EXTENSION, UUID};

/// The time zone in which Iceberg keeps instants.
pub(super) const UTC: &str = "+00:00";

/// `schema` with types that Iceberg has: dictionaries and views are plain, small integers are int, times and
/// timestamps count microseconds, instants are in UTC. Metadata (field ids of another table) is left behind.
pub(crate) fn normal_schema(schema: &Schema, label: &str) -> Result<SchemaRef> {
    let fields = schema.fields().iter().map(|field| normal_field(field, label, field.name()));
    Ok(Arc::new(Schema::new(fields.collect::<Result<Vec<_>>>()?)))
}

/// `batch` with the types of `schema`, which is [`normal_schema`] of its own. For data whose values are known: those of
/// inputs are converted by [`floe::plan::convert`].
pub(crate) fn normalise(batch: &RecordBatch, schema: &SchemaRef, label: &str) -> Result<RecordBatch> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        cast(column, field.data_type()).map_err(|what| {
            Error::new(ErrorKind::SchemaMismatch, format!("{label}: column '{}' {what}", field.name()))
        })
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(|e| {
        Error::new(ErrorKind::Corrupted, format!("{label}: a batch does not have the schema of its file"))
            .with_source(e)
    })
}

fn cast(column: &ArrayRef, to: &DataType) -> Result<ArrayRef, String> {
    if column.data_type() == to {
        return Ok(column.clone());
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, to, &options)
        .map_err(|_| format!("has values that do not fit {to}, as which {} is read", column.data_type()))
}

fn normal_field(field: &FieldRef, label: &str, path: &str) -> Result<FieldRef> {
    let data_type = normal_type(field.data_type(), label, path)?;
    let mut normal = Field::new(field.name(), data_type, field.is_nullable());
    if field.metadata().get(EXTENSION).is_some_and(|name| name == UUID) {
        normal.set_metadata([(EXTENSION.to_owned(), UUID.to_owned())].into());
    }
    Ok(Arc::new(normal))
}

fn normal_type(data_type: &DataType, label: &str, path: &str) -> Result<DataType> {
    let below = |field: &FieldRef| normal_field(field, label, &format!("{path}.{}", field.name()));
    Ok(match data_type {
        DataType::Boolean
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Date32
        | DataType::Utf8
        | DataType::FixedSizeBinary(_) => data_type.clone(),
        DataType::Null | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(_, Some(_)) => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => DataType::LargeBinary,
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s) if *s >= 0 => {
            DataType::Decimal128(*p, *s)
        }
        DataType::Dictionary(_, values) => normal_type(values, label, path)?,
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(below).collect::<Result<_>>()?),
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
            DataType::List(below(element)?)
        }
        DataType::Map(entries, sorted) => DataType::Map(below(entries)?, *sorted),
        other => {
            return Err(Error::new(
                ErrorKind::SchemaMismatch,
                format!("{label}: column '{path}' has the type {other}, which Iceberg does not have"),
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int32Type;
    use arrow_array::{DictionaryArray, StringArray};

    use super::*;

    fn through(column: ArrayRef) -> Result<ArrayRef> {
        let batch = RecordBatch::try_from_iter([("c", column)]).unwrap();
        let schema = normal_schema(&batch.schema(), "f")?;
        Ok(normalise(&batch, &schema, "f")?.column(0).clone())
    }

    #[test]
    fn dictionaries_become_plain() {
        let column: DictionaryArray<Int32Type> = ["a", "b", "a"].into_iter().collect();
        let plain = through(Arc::new(column)).unwrap();
        assert_eq!(plain.as_string::<i32>(), &StringArray::from(vec!["a", "b", "a"]));
    }

    #[test]
    fn types_iceberg_does_not_have_are_named() {
        let column = arrow_array::DurationSecondArray::from(vec![1]);
        let error = through(Arc::new(column)).unwrap_err().to_string();
        assert!(error.contains("'c'") && error.contains("Duration"), "{error}");
    }
}
