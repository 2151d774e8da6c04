use iceberg::TableCreation;
use iceberg::spec::{
    FormatVersion, ListType, MapType, NestedField, NestedFieldRef, NullOrder, PrimitiveType as P,
    SortDirection, SortField, SortOrder, StructType, TableMetadataBuilder, Transform, Type,
    UnboundPartitionSpec,
};

use super::*;

fn field(id: i32, name: &str, of: Type, required: bool) -> NestedFieldRef {
    NestedField::new(id, name, of, required).into()
}

/// `id int` (identifier, required), `day date` (partition), `price float`, `s {a int, b string}`, `l list<{x int}>`,
/// `m map<{k int}, decimal(9,2)>`, `sorted string`.
fn table(version: FormatVersion, properties: &[(&str, &str)]) -> TableMetadata {
    let prim = Type::Primitive;
    let of = |fields| Type::Struct(StructType::new(fields));
    let schema = Schema::builder()
        .with_fields([
            field(1, "id", prim(P::Int), true),
            field(2, "day", prim(P::Date), false),
            field(3, "price", prim(P::Float), false),
            field(
                4,
                "s",
                of(vec![field(5, "a", prim(P::Int), true), field(6, "b", prim(P::String), false)]),
                false,
            ),
            field(
                7,
                "l",
                Type::List(ListType::new(field(
                    8,
                    "element",
                    of(vec![field(9, "x", prim(P::Int), false)]),
                    true,
                ))),
                false,
            ),
            field(
                10,
                "m",
                Type::Map(MapType::new(
                    field(11, "key", of(vec![field(12, "k", prim(P::Int), true)]), true),
                    field(13, "value", prim(P::Decimal { precision: 9, scale: 2 }), false),
                )),
                false,
            ),
            field(14, "sorted", prim(P::String), false),
        ])
        .with_identifier_field_ids([1])
        .build()
        .unwrap();
    let spec = UnboundPartitionSpec::builder()
        .add_partition_field(2, "by_day", Transform::Identity)
        .unwrap()
        .build();
    let order = SortOrder::builder()
        .with_order_id(1)
        .with_fields(
            [SortField {
                source_id: 14,
                transform: Transform::Identity,
                direction: SortDirection::Ascending,
                null_order: NullOrder::First,
            }]
            .to_vec(),
        )
        .build_unbound()
        .unwrap();
    let creation = TableCreation::builder()
        .name("t".into())
        .location("memory:///t".into())
        .schema(schema)
        .partition_spec(spec)
        .sort_order(order)
        .format_version(version)
        .properties(properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
        .build();
    TableMetadataBuilder::from_table_creation(creation).unwrap().build().unwrap().metadata
}

fn parse(changes: &str) -> SchemaEvolution {
    let changes = serde_json::from_str(&format!("[{changes}]")).unwrap();
    SchemaEvolution { changes, allow_incompatible_changes: true }
}

/// The table after the changes, as a catalog makes it.
fn evolved(table: &TableMetadata, changes: &str) -> TableMetadata {
    let mut builder = table.clone().into_builder(None);
    for update in evolve(table, &parse(changes)).unwrap() {
        builder = update.apply(builder).unwrap();
    }
    builder.build().unwrap().metadata
}

fn refused(changes: &str, kind: ErrorKind, says: &str) {
    let error = evolve(&table(FormatVersion::V2, &[]), &parse(changes)).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

fn id_of(table: &TableMetadata, path: &str) -> Option<i32> {
    table.current_schema().field_id_by_name(path)
}

#[test]
fn columns_are_added_everywhere_with_new_ids_and_old_ones_keep_theirs() {
    let before = table(FormatVersion::V2, &[]);
    let after = evolved(
        &before,
        r#"{"add_column": {"column": "note", "type": "string", "doc": "words"}},
           {"add_column": {"column": "s.c", "type": "decimal(9,2)"}},
           {"add_column": {"column": "l.element.y", "type": {"type": "struct", "fields": [
               {"id": 1, "name": "deep", "required": false, "type": "long"}]}}}"#,
    );
    for path in ["id", "day", "s.a", "s.b", "l.element.x", "m.key.k", "m.value"] {
        assert_eq!(id_of(&after, path), id_of(&before, path), "{path}");
    }
    let new = ["note", "s.c", "l.element.y", "l.element.y.deep"].map(|path| id_of(&after, path).unwrap());
    assert_eq!(new, [15, 16, 17, 18]);
    assert_eq!(after.last_column_id(), 18);
    assert_eq!(after.current_schema().field_by_id(15).unwrap().doc.as_deref(), Some("words"));
    assert_eq!(after.current_schema().identifier_field_ids().collect::<Vec<_>>(), [1]);
}

/// iceberg-go #942: the id of a column that was dropped was given to the next one, which then had its values.
#[test]
fn the_id_of_a_deleted_column_is_never_given_again() {
    let before = table(FormatVersion::V2, &[]);
    let with = evolved(&before, r#"{"add_column": {"column": "note", "type": "string"}}"#);
    let without = evolved(&with, r#"{"delete_column": {"column": "note"}}"#);
    assert_eq!((id_of(&with, "note"), id_of(&without, "note")), (Some(15), None));
    let again = evolved(&without, r#"{"add_column": {"column": "note", "type": "string"}}"#);
    assert_eq!(id_of(&again, "note"), Some(16));
}

#[test]
fn a_change_sees_those_before_it() {
    let after = evolved(
        &table(FormatVersion::V2, &[]),
        r#"{"rename_column": {"column": "s", "new_name": "t"}},
           {"widen_type": {"column": "t.a", "to": "long"}},
           {"make_optional": {"column": "t.a"}},
           {"rename_column": {"column": "t.a", "new_name": "z"}},
           {"update_doc": {"column": "t.z", "doc": "last"}}"#,
    );
    let field = after.current_schema().field_by_name("t.z").unwrap();
    assert_eq!(Some(field.id), id_of(&table(FormatVersion::V2, &[]), "s.a"));
    assert_eq!((field.name.as_str(), field.required, field.doc.as_deref()), ("z", false, Some("last")));
    assert_eq!(*field.field_type, Type::Primitive(P::Long));
}

#[test]
fn what_is_so_already_needs_no_update() {
    let before = table(FormatVersion::V2, &[]);
    let nothing = r#"{"widen_type": {"column": "id", "to": "int"}}, {"make_optional": {"column": "price"}}"#;
    assert_eq!(evolve(&before, &parse(nothing)).unwrap(), []);
}

#[test]
fn what_would_make_data_wrong_is_refused_with_column_and_reason() {
    use ErrorKind::IncompatibleSchemaChange as Incompatible;
    refused(r#"{"add_column": {"column": "n", "type": "int", "required": true}}"#, Incompatible, "'n'");
    refused(r#"{"widen_type": {"column": "price", "to": "int"}}"#, Incompatible, "float");
    refused(r#"{"widen_type": {"column": "day", "to": "timestamp"}}"#, Incompatible, "version 3");
    refused(r#"{"widen_type": {"column": "m.key.k", "to": "long"}}"#, Incompatible, "keys of a map");
    refused(r#"{"make_optional": {"column": "id"}}"#, Incompatible, "identifier");
    refused(r#"{"delete_column": {"column": "id"}}"#, Incompatible, "identifier");
    refused(r#"{"delete_column": {"column": "day"}}"#, Incompatible, "by_day");
    refused(r#"{"delete_column": {"column": "sorted"}}"#, Incompatible, "sort order");
    refused(r#"{"delete_column": {"column": "m.value"}}"#, Incompatible, "map");
    refused(r#"{"delete_column": {"column": "l.element.x"}}"#, Incompatible, "left");
    let delete = SchemaEvolution {
        allow_incompatible_changes: false,
        ..parse(r#"{"delete_column": {"column": "price"}}"#)
    };
    let error = evolve(&table(FormatVersion::V2, &[]), &delete).unwrap_err();
    assert_eq!(error.kind(), Incompatible);
}

/// Iceberg spec, "Schema Evolution": no promotion where a partition transform would give another value for it, be it in a
/// spec that is not the default any more.
#[test]
fn dates_become_timestamps_unless_a_partition_field_would_have_other_values() {
    let day = parse(r#"{"widen_type": {"column": "day", "to": "timestamp"}}"#);
    let with = |first: Transform, then: Transform| {
        let spec = |transform, name: &str| {
            UnboundPartitionSpec::builder().add_partition_field(2, name, transform).unwrap().build()
        };
        let builder = table(FormatVersion::V3, &[]).into_builder(None);
        let mut builder = builder.add_partition_spec(spec(first, "first")).unwrap();
        builder = builder.add_partition_spec(spec(then, "then")).unwrap();
        let builder = builder.set_default_partition_spec(-1).unwrap().remove_partition_specs(&[0]).unwrap();
        evolve(&builder.build().unwrap().metadata, &day)
    };
    for same in [Transform::Day, Transform::Month, Transform::Year, Transform::Void] {
        assert!(with(same, Transform::Month).is_ok(), "{same}");
    }
    for other in [Transform::Identity, Transform::Bucket(4)] {
        for error in [with(other, Transform::Year).unwrap_err(), with(Transform::Year, other).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::IncompatibleSchemaChange);
            assert!(error.to_string().contains("'first'") || error.to_string().contains("'then'"), "{error}");
        }
    }
    // The table's own spec is by the date itself.
    assert!(evolve(&table(FormatVersion::V3, &[]), &day).unwrap_err().to_string().contains("by_day"));
    for to in ["timestamptz", "timestamptz_ns", "long", "string"] {
        let change = parse(&format!(r#"{{"widen_type": {{"column": "day", "to": "{to}"}}}}"#));
        assert!(evolve(&table(FormatVersion::V3, &[]), &change).is_err(), "{to}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    use ErrorKind::{SchemaEvolution as Unfit, Validation};
    refused("", Validation, "at least one");
    refused(r#"{"add_column": {"column": "id", "type": "int"}}"#, Unfit, "already");
    refused(r#"{"add_column": {"column": "price.x", "type": "int"}}"#, Unfit, "no struct");
    refused(r#"{"add_column": {"column": "none.x", "type": "int"}}"#, Unfit, "'none'");
    refused(r#"{"add_column": {"column": "t", "type": "timestamp_ns"}}"#, Unfit, "version 3");
    refused(r#"{"add_column": {"column": "", "type": "int"}}"#, Validation, "1 to 255");
    refused(r#"{"rename_column": {"column": "id", "new_name": "day"}}"#, Unfit, "already");
    refused(r#"{"rename_column": {"column": "s.a", "new_name": "b"}}"#, Unfit, "s.b");
    refused(r#"{"rename_column": {"column": "l.element", "new_name": "e"}}"#, Unfit, "names");
    refused(r#"{"rename_column": {"column": "id", "new_name": "a.b"}}"#, Validation, "dot");
    refused(r#"{"update_doc": {"column": "none"}}"#, Unfit, "'none'");
}

#[test]
fn the_name_mapping_learns_new_names_and_keeps_old_ones() {
    let plain = table(FormatVersion::V2, &[]);
    let [id, s, a] = ["id", "s", "s.a"].map(|path| id_of(&plain, path).unwrap());
    let mapping = serde_json::json!([
        {"field-id": id, "names": ["id"]},
        {"field-id": s, "names": ["s"], "fields": [{"field-id": a, "names": ["a"]}]},
    ])
    .to_string();
    let after = evolved(
        &table(FormatVersion::V2, &[("schema.name-mapping.default", &mapping)]),
        r#"{"rename_column": {"column": "s.a", "new_name": "z"}}, {"add_column": {"column": "s.n", "type": "int"}},
           {"add_column": {"column": "top", "type": "int"}}"#,
    );
    let now: serde_json::Value =
        serde_json::from_str(&after.properties()["schema.name-mapping.default"]).unwrap();
    assert_eq!(now[1]["fields"][0]["names"], serde_json::json!(["a", "z"]));
    assert_eq!(now[1]["fields"][1], serde_json::json!({"field-id": 15, "names": ["n"]}));
    assert_eq!(now[2], serde_json::json!({"field-id": 16, "names": ["top"]}));
}

#[test]
fn changes_survive_json_and_unknown_fields_are_refused() {
    let evolution =
        parse(r#"{"add_column": {"column": "a", "type": "decimal(9,2)"}}, {"update_doc": {"column": "id"}}"#);
    let json = serde_json::to_string(&evolution).unwrap();
    assert_eq!(serde_json::from_str::<SchemaEvolution>(&json).unwrap(), evolution);
    assert!(
        serde_json::from_str::<SchemaChange>(r#"{"delete_column": {"column": "a", "cascade": true}}"#)
            .is_err()
    );
}
