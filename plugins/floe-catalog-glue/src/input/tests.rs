use floe_core::metadata_file;
use iceberg::spec::{ListType, MapType, Schema, StructType, TableMetadataRef};
use iceberg::{TableCreation, TableIdent, TableUpdate};

use super::*;

fn primitive(of: PrimitiveType) -> Type {
    Type::Primitive(of)
}

fn metadata(fields: Vec<NestedField>, properties: &[(&str, &str)]) -> TableMetadata {
    let fields = fields.into_iter().map(std::sync::Arc::new).collect::<Vec<_>>();
    let schema = Schema::builder().with_fields(fields).build().unwrap();
    let properties = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    let creation = TableCreation::builder()
        .name("t".into())
        .location("s3://lake/t".into())
        .schema(schema)
        .properties(properties)
        .build();
    metadata_file::create(creation).unwrap()
}

fn written(metadata: TableMetadata, location: &str) -> Written {
    Written { location: location.to_owned(), metadata: TableMetadataRef::new(metadata) }
}

/// What Glue would give back for what it was given.
fn kept(input: TableInput) -> Table {
    Table::builder()
        .name(input.name)
        .set_description(input.description)
        .set_owner(input.owner)
        .retention(input.retention)
        .set_table_type(input.table_type)
        .set_parameters(input.parameters)
        .set_storage_descriptor(input.storage_descriptor)
        .set_partition_keys(input.partition_keys)
        .build()
        .unwrap()
}

fn id() -> NestedField {
    NestedField::required(1, "id", primitive(PrimitiveType::Long))
}

#[test]
fn a_new_table_has_the_parameters_that_java_and_pyiceberg_look_for() {
    let input =
        table_input("t", &written(metadata(vec![id()], &[("comment", "orders")]), "s3://lake/t/m0"), None)
            .unwrap();
    assert_eq!(input.table_type(), Some("EXTERNAL_TABLE"));
    assert_eq!(input.description(), Some("orders"));
    let parameters = input.parameters().unwrap();
    assert_eq!(parameters.len(), 2);
    assert_eq!(parameters["table_type"], "ICEBERG");
    assert_eq!(parameters["metadata_location"], "s3://lake/t/m0");
    let storage = input.storage_descriptor().unwrap();
    assert_eq!(storage.location(), Some("s3://lake/t"));
    assert!(storage.additional_locations.is_none());
}

#[test]
fn the_next_version_keeps_what_others_wrote_and_names_the_one_before() {
    let first = table_input("t", &written(metadata(vec![id()], &[]), "m0"), None).unwrap();
    let mut before = kept(first);
    before.owner = Some("ann".into());
    before.retention = 7;
    before.description = Some("by hand".into());
    before.parameters.as_mut().unwrap().insert("crawler".into(), "x".into());
    let storage = before.storage_descriptor.as_mut().unwrap();
    storage.input_format = Some("f".into());
    storage.columns.as_mut().unwrap()[0].comment = Some("the key".into());

    let next = written(metadata(vec![id()], &[("write.data.path", "s3://other/data")]), "m1");
    let input = table_input("t", &next, Some(&before)).unwrap();
    let parameters = input.parameters().unwrap();
    assert_eq!(parameters["metadata_location"], "m1");
    assert_eq!(parameters["previous_metadata_location"], "m0");
    assert_eq!(parameters["crawler"], "x");
    assert_eq!((input.owner(), input.retention(), input.description()), (Some("ann"), 7, Some("by hand")));
    let storage = input.storage_descriptor().unwrap();
    assert_eq!(storage.input_format(), Some("f"));
    assert_eq!(storage.columns()[0].comment(), Some("the key"));
    assert_eq!(storage.additional_locations(), ["s3://other/data"]);
}

#[test]
fn types_are_named_as_hive_names_them() {
    let nested = Type::Struct(StructType::new(vec![
        NestedField::optional(10, "a", primitive(PrimitiveType::Int)).into(),
        NestedField::optional(11, "b", primitive(PrimitiveType::Decimal { precision: 9, scale: 2 })).into(),
    ]));
    let list = Type::List(ListType::new(NestedField::list_element(12, nested, true).into()));
    let map = Type::Map(MapType::new(
        NestedField::map_key_element(13, primitive(PrimitiveType::String)).into(),
        NestedField::map_value_element(14, list, false).into(),
    ));
    assert_eq!(type_string(&map), "map<string,array<struct<a:int,b:decimal(9,2)>>>");
    for (of, name) in [
        (PrimitiveType::Boolean, "boolean"),
        (PrimitiveType::Long, "bigint"),
        (PrimitiveType::Float, "float"),
        (PrimitiveType::Double, "double"),
        (PrimitiveType::Date, "date"),
        (PrimitiveType::Time, "string"),
        (PrimitiveType::Uuid, "string"),
        (PrimitiveType::Timestamptz, "timestamp"),
        (PrimitiveType::TimestampNs, "timestamp_nano"),
        (PrimitiveType::Fixed(4), "binary"),
    ] {
        assert_eq!(type_string(&primitive(of)), name);
    }
}

#[test]
fn columns_of_former_schemas_come_last_and_are_not_current() {
    let dropped = NestedField::optional(2, "gone", primitive(PrimitiveType::String)).with_doc("two\nlines");
    let first = metadata(vec![id(), dropped], &[]);
    let schema = Schema::builder().with_fields(vec![id().into()]).with_schema_id(1).build().unwrap();
    let updates = [TableUpdate::AddSchema { schema }, TableUpdate::SetCurrentSchema { schema_id: -1 }];
    let table = TableIdent::from_strs(["ns", "t"]).unwrap();
    let second = metadata_file::apply(&table, &first, "m0", &[], &updates).unwrap();
    let columns = columns(&second, &[]).unwrap();
    let seen: Vec<_> = columns
        .iter()
        .map(|column| {
            let parameters = column.parameters().unwrap();
            let get = |key: &str| parameters[key].as_str();
            (
                column.name(),
                get("iceberg.field.id"),
                get("iceberg.field.optional"),
                get("iceberg.field.current"),
            )
        })
        .collect();
    assert_eq!(seen, [("id", "1", "false", "true"), ("gone", "2", "true", "false")]);
    assert_eq!(columns[1].comment(), Some("two lines"));
}

#[test]
fn texts_are_cut_to_what_glue_takes() {
    assert_eq!(cut(&"ä".repeat(300), 255, false).chars().count(), 255);
    assert_eq!(cut("a\n\u{1}b\t", 9, true), "a\n b\t");
    assert_eq!(cut("a\nb", 9, false), "a b");
}

#[test]
fn a_table_is_known_as_iceberg_in_any_case() {
    let table = |parameters: &[(&str, &str)]| {
        let mut table = Table::builder().name("t").table_type("EXTERNAL_TABLE");
        for (key, value) in parameters {
            table = table.parameters(*key, *value);
        }
        table.build().unwrap()
    };
    assert!(
        is_iceberg(&table(&[("table_type", "iceberg")])) && is_iceberg(&table(&[("table_type", "ICEBERG")]))
    );
    assert!(!is_iceberg(&table(&[])));
    assert_eq!(kind(&table(&[("table_type", "DELTA")])), "DELTA");
    assert_eq!(kind(&table(&[])), "EXTERNAL_TABLE");
}
