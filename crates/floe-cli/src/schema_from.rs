//! From the schema of a file to the schema of a new table.

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use floe::model::{FieldType, SchemaField, TableSchema};
use floe::{Error, ErrorKind, Result};

/// The metadata key under which Arrow keeps what a column means, beyond its type.
pub(crate) const EXTENSION: &str = "ARROW:extension:name";
/// What that key says of a UUID.
pub(crate) const UUID: &str = "arrow.uuid";

/// The columns of `schema` as those of a new table. Columns are numbered first, fields within them after that,
/// as Iceberg does it.
pub(crate) fn table_schema(schema: &Schema) -> Result<TableSchema> {
    let mut next_id = schema.fields().len() as i32;
    let fields = schema.fields().iter().enumerate().map(|(i, field)| {
        let mut column = field_of(field, &mut next_id, field.name())?;
        column.field_id = i as i32 + 1;
        Ok(column)
    });
    Ok(TableSchema { fields: fields.collect::<Result<_>>()? })
}

/// A field without an id of its own; fields within it have theirs.
fn field_of(field: &Field, next_id: &mut i32, path: &str) -> Result<SchemaField> {
    let mut out = SchemaField::new(0, field.name(), FieldType::Boolean, !field.is_nullable());
    let mut below = |field: &Field, name: &str| -> Result<SchemaField> {
        *next_id += 1;
        let id = *next_id;
        let mut inner = field_of(field, next_id, &format!("{path}.{name}"))?;
        (inner.field_id, inner.name) = (id, name.to_owned());
        Ok(inner)
    };
    out.field_type = match field.data_type() {
        DataType::Boolean => FieldType::Boolean,
        DataType::Int32 => FieldType::Int,
        DataType::Int64 => FieldType::Long,
        DataType::Float32 => FieldType::Float,
        DataType::Float64 => FieldType::Double,
        DataType::Date32 => FieldType::Date,
        DataType::Time64(TimeUnit::Microsecond) => FieldType::Time,
        DataType::Timestamp(TimeUnit::Microsecond, None) => FieldType::Timestamp,
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => FieldType::Timestamptz,
        DataType::Utf8 => FieldType::String,
        DataType::LargeBinary => FieldType::Binary,
        DataType::FixedSizeBinary(16) if field.metadata().get(EXTENSION).is_some_and(|e| e == UUID) => {
            FieldType::Uuid
        }
        DataType::FixedSizeBinary(length) => {
            out.length = Some(u64::from(length.unsigned_abs()));
            FieldType::Fixed
        }
        DataType::Decimal128(precision, scale) => {
            (out.precision, out.scale) = (Some(u32::from(*precision)), Some(u32::from(scale.unsigned_abs())));
            FieldType::Decimal
        }
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|f| below(f, f.name())).collect::<Result<_>>()?;
            FieldType::Struct { fields }
        }
        DataType::List(element) => FieldType::List { element: Box::new(below(element, "element")?) },
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(entry) if entry.len() == 2 => {
                let mut key = below(&entry[0], "key")?;
                key.required = true;
                FieldType::Map { key: Box::new(key), value: Box::new(below(&entry[1], "value")?) }
            }
            _ => return Err(unknown(path, field.data_type())),
        },
        other => return Err(unknown(path, other)),
    };
    Ok(out)
}

fn unknown(path: &str, data_type: &DataType) -> Error {
    Error::new(
        ErrorKind::Validation,
        format!("column '{path}' has the type {data_type}, which Iceberg does not have"),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn columns_are_numbered_before_what_is_in_them() {
        let inner = Field::new("x", DataType::Decimal128(9, 2), false);
        let list = DataType::List(Arc::new(Field::new("item", DataType::Int32, true)));
        let schema = Schema::new(vec![
            Field::new("a", DataType::Struct(vec![inner].into()), true),
            Field::new("b", list, true),
            Field::new("c", DataType::Int64, false),
        ]);
        let table = table_schema(&schema).unwrap();
        let ids: Vec<i32> = table.fields.iter().map(|f| f.field_id).collect();
        assert_eq!(ids, [1, 2, 3]);
        assert!(table.fields[2].required);
        let FieldType::Struct { fields } = &table.fields[0].field_type else { panic!("a struct") };
        assert_eq!((fields[0].field_id, fields[0].precision, fields[0].scale), (4, Some(9), Some(2)));
        let FieldType::List { element } = &table.fields[1].field_type else { panic!("a list") };
        assert_eq!((element.field_id, element.name.as_str()), (5, "element"));
        table.validate().unwrap();
    }

    #[test]
    fn a_uuid_stays_one() {
        let metadata = [(EXTENSION.to_owned(), UUID.to_owned())].into();
        let uuid = Field::new("u", DataType::FixedSizeBinary(16), true).with_metadata(metadata);
        let fixed = Field::new("f", DataType::FixedSizeBinary(16), true);
        let table = table_schema(&Schema::new(vec![uuid, fixed])).unwrap();
        assert_eq!(table.fields[0].field_type, FieldType::Uuid);
        assert_eq!((&table.fields[1].field_type, table.fields[1].length), (&FieldType::Fixed, Some(16)));
    }
}
