//! The Parquet schema of a table's data files (Iceberg spec, appendix A, "Parquet").

use arrow_schema::Schema as ArrowSchema;
use floe_core::Result;
use iceberg::spec::{PrimitiveType, Schema, Type};
use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::LogicalType;
use parquet::schema::types::{GroupTypeBuilder, PrimitiveTypeBuilder, Type as ParquetType, TypePtr};

use super::errors::parquet_error;

/// The root of the Parquet schema: field ids as in `schema`, and UUIDs marked as such, which Arrow does not
/// know of.
pub(super) fn parquet_schema(schema: &Schema, arrow: &ArrowSchema) -> Result<TypePtr> {
    let converted = ArrowSchemaConverter::new().schema_root("table").convert(arrow).map_err(parquet_error)?;
    let root = converted.root_schema();
    let fields = root.get_fields().iter().map(|field| mark(field, schema)).collect::<Result<_>>()?;
    let root = GroupTypeBuilder::new(root.name()).with_fields(fields).build().map_err(parquet_error)?;
    Ok(TypePtr::new(root))
}

fn mark(node: &TypePtr, schema: &Schema) -> Result<TypePtr> {
    let info = node.get_basic_info();
    let id = info.has_id().then(|| info.id());
    let marked = match node.as_ref() {
        ParquetType::GroupType { fields, .. } => GroupTypeBuilder::new(info.name())
            .with_repetition(info.repetition())
            .with_converted_type(info.converted_type())
            .with_logical_type(info.logical_type_ref().cloned())
            .with_fields(fields.iter().map(|field| mark(field, schema)).collect::<Result<_>>()?)
            .with_id(id)
            .build(),
        ParquetType::PrimitiveType { physical_type, type_length, .. } if is_uuid(schema, id) => {
            PrimitiveTypeBuilder::new(info.name(), *physical_type)
                .with_repetition(info.repetition())
                .with_length(*type_length)
                .with_logical_type(Some(LogicalType::Uuid))
                .with_id(id)
                .build()
        }
        ParquetType::PrimitiveType { .. } => return Ok(node.clone()),
    };
    Ok(TypePtr::new(marked.map_err(parquet_error)?))
}

fn is_uuid(schema: &Schema, id: Option<i32>) -> bool {
    id.and_then(|id| schema.field_by_id(id))
        .is_some_and(|field| matches!(field.field_type.as_ref(), Type::Primitive(PrimitiveType::Uuid)))
}

#[cfg(test)]
mod tests {
    use iceberg::arrow::schema_to_arrow_schema;
    use iceberg::spec::{ListType, MapType, NestedField};
    use parquet::basic::Repetition;
    use parquet::schema::printer::print_schema;

    use super::*;

    #[test]
    fn nested_fields_have_their_standard_names_ids_and_types() {
        let uuid = || Type::Primitive(PrimitiveType::Uuid);
        let list = Type::List(ListType::new(NestedField::list_element(3, uuid(), true).into()));
        let map = Type::Map(MapType::optional(5, Type::Primitive(PrimitiveType::String), 6, uuid()));
        let fields = [
            NestedField::required(1, "u", uuid()).into(),
            NestedField::optional(2, "l", list).into(),
            NestedField::optional(4, "m", map).into(),
            NestedField::optional(7, "t", Type::Primitive(PrimitiveType::Time)).into(),
            NestedField::optional(8, "z", Type::Primitive(PrimitiveType::Timestamptz)).into(),
            NestedField::optional(9, "d", Type::Primitive(PrimitiveType::Decimal { precision: 9, scale: 2 }))
                .into(),
        ];
        let schema = Schema::builder().with_fields(fields).build().unwrap();
        let root = parquet_schema(&schema, &schema_to_arrow_schema(&schema).unwrap()).unwrap();
        let mut text = Vec::new();
        print_schema(&mut text, &root);
        let text = String::from_utf8(text).unwrap();
        for part in [
            "message table {",
            "REQUIRED FIXED_LEN_BYTE_ARRAY (16) u [1] (UUID);",
            "REQUIRED FIXED_LEN_BYTE_ARRAY (16) element [3] (UUID);",
            "group m [4] (MAP)",
            "REPEATED group key_value {",
            "BYTE_ARRAY key [5] (STRING);",
            "(16) value [6] (UUID);",
            "INT64 t [7] (TIME(MICROS,false));",
            "INT64 z [8] (TIMESTAMP(MICROS,true));",
            "INT32 d [9] (DECIMAL(9,2));",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(root.get_fields()[0].get_basic_info().repetition(), Repetition::REQUIRED);
    }
}
