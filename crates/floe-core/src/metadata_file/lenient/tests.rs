#![allow(clippy::unwrap_used)]

use iceberg::spec::{Operation, SnapshotRetention, Transform};
use serde_json::json;

use super::super::{MetadataText, apply, references};
use super::*;
use crate::ErrorKind;

fn table(version: i64) -> Value {
    let schema = json!({"type": "struct", "schema-id": 0, "fields": [
        {"id": 1, "name": "id", "required": true, "type": "long"},
        {"id": 2, "name": "p", "required": false, "type": "string"},
        {"id": 3, "name": "ts", "required": false, "type": "timestamp"},
    ]});
    let field = json!({"source-id": 2, "field-id": 1000, "name": "p", "transform": "identity"});
    let snapshot = |id: i64| {
        json!({"snapshot-id": id, "sequence-number": id, "timestamp-ms": 1_700_000_000_000_i64 + id,
            "manifest-list": format!("memory:///t/metadata/snap-{id}.avro"), "schema-id": 0,
            "summary": {"operation": "append", "total-records": "1"}})
    };
    let mut table = json!({
        "format-version": version, "table-uuid": "9c12d441-03fe-4693-9a96-a0705ddf69c1",
        "location": "memory:///t", "last-sequence-number": 2, "last-updated-ms": 1_700_000_000_002_i64,
        "last-column-id": 3, "schemas": [schema], "current-schema-id": 0,
        "partition-specs": [{"spec-id": 0, "fields": [field]}], "default-spec-id": 0, "last-partition-id": 1000,
        "sort-orders": [{"order-id": 0, "fields": []}], "default-sort-order-id": 0,
        "properties": {"owner": "me"}, "current-snapshot-id": 2, "snapshots": [snapshot(1), snapshot(2)],
        "snapshot-log": [
            {"snapshot-id": 1, "timestamp-ms": 1_700_000_000_001_i64},
            {"snapshot-id": 2, "timestamp-ms": 1_700_000_000_002_i64},
        ],
        "refs": {"main": {"snapshot-id": 2, "type": "branch"}, "v1": {"snapshot-id": 1, "type": "tag"}},
    });
    if version == 1 {
        table["schema"] = table["schemas"][0].clone();
        table["partition-spec"] = table["partition-specs"][0]["fields"].clone();
        table.as_object_mut().unwrap().remove("last-sequence-number");
        for snapshot in table["snapshots"].as_array_mut().unwrap() {
            snapshot.as_object_mut().unwrap().remove("sequence-number");
        }
    }
    if version == 3 {
        table["next-row-id"] = 0.into();
    }
    table
}

fn read(table: &Value) -> Result<TableMetadata> {
    parse(table.to_string().as_bytes(), "memory:///t/metadata/v1.metadata.json")
}

/// The table of every version with one change, which must be readable, and be the same after a commit of properties.
fn kept(versions: &[i64], change: impl Fn(&mut Value)) -> Vec<TableMetadata> {
    let ident = iceberg::TableIdent::from_strs(["ns", "t"]).unwrap();
    let each = |version: &i64| {
        let mut table = table(*version);
        change(&mut table);
        let head = read(&table).unwrap();
        let updates = [iceberg::TableUpdate::SetProperties {
            updates: [("owner".to_owned(), "you".to_owned())].into(),
        }];
        let next = apply(&ident, &head, "memory:///t/metadata/v1.metadata.json", &[], &updates).unwrap();
        for text in [
            MetadataText::read(table.to_string().into_bytes().into()).next(&head, &next, &updates).unwrap(),
            MetadataText::read(table.to_string().into_bytes().into()).merged(&head, &next).unwrap(),
        ] {
            let mut after: Value = serde_json::from_slice(text.json()).unwrap();
            assert_eq!(after["properties"]["owner"], "you");
            after["properties"]["owner"] = "me".into();
            for name in ["last-updated-ms", "metadata-log"] {
                match table.get(name) {
                    Some(value) => after[name] = value.clone(),
                    None => drop(after.as_object_mut().unwrap().remove(name)),
                }
            }
            assert_eq!(after, table, "version {version}");
            assert_eq!(read(&after).unwrap(), head);
        }
        head
    };
    versions.iter().map(each).collect()
}

#[test]
fn references_of_every_version_are_read_and_kept() {
    for metadata in kept(&[1, 2, 3], |_| {}) {
        let refs = references(&metadata).unwrap();
        assert_eq!(refs.keys().collect::<Vec<_>>(), ["main", "v1"], "{}", metadata.format_version());
        assert_eq!(metadata.snapshot_for_ref("v1").unwrap().snapshot_id(), 1);
        assert_eq!(metadata.last_updated_ms(), 1_700_000_000_002);
        assert_eq!(metadata.history().len(), 2);
    }
    let retained = |table: &mut Value| {
        table["refs"]["main"]["min-snapshots-to-keep"] = 7.into();
        table["refs"]["audit"] =
            json!({"snapshot-id": 2, "type": "BRANCH", "max-ref-age-ms": 9, "note": "mine"});
        table["snapshot-log"] = json!([]);
    };
    for metadata in kept(&[1, 2, 3], retained) {
        let retention = SnapshotRetention::branch(None, None, Some(9));
        assert_eq!(references(&metadata).unwrap()["audit"].retention, retention);
    }
}

#[test]
fn broken_references_are_told_in_every_version() {
    for version in 1..=3 {
        for (change, told) in [
            (json!({"main": {"snapshot-id": 1, "type": "branch"}}), "main"),
            (json!({"gone": {"snapshot-id": 8, "type": "tag"}}), "gone"),
        ] {
            let mut table = table(version);
            table["refs"] = change;
            let error = read(&table).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupted);
            assert!(error.message().contains(told), "{error}");
        }
    }
}

#[test]
fn transforms_that_are_not_known_or_spelled_otherwise() {
    for (written, read) in [
        ("zorder[3]", Transform::Unknown),
        ("bucket[99999999999]", Transform::Unknown),
        ("bucket[0]", Transform::Unknown),
        ("truncate[x]", Transform::Unknown),
        ("day", Transform::Unknown),
        ("", Transform::Unknown),
        ("Identity", Transform::Identity),
        ("BUCKET[16]", Transform::Bucket(16)),
        ("Void", Transform::Void),
    ] {
        let change = |table: &mut Value| {
            table["partition-specs"][0]["fields"][0]["transform"] = written.into();
            if table["format-version"] == 1 {
                table["partition-spec"] = table["partition-specs"][0]["fields"].clone();
            }
            if read != Transform::Identity {
                // What is no identity has another name than its column.
                table["partition-specs"][0]["fields"][0]["name"] = "p_x".into();
            }
        };
        for metadata in kept(&[1, 2, 3], change) {
            let spec = metadata.default_partition_spec();
            assert_eq!(spec.fields()[0].transform, read, "{written}");
            assert_eq!(spec.fields()[0].name, if read == Transform::Identity { "p" } else { "p_x" });
        }
    }
}

#[test]
fn transforms_of_several_columns() {
    for metadata in kept(&[3], |table| {
        let field = json!({"source-ids": [1, 2], "field-id": 1000, "name": "both", "transform": "bucket[4]"});
        table["partition-specs"][0]["fields"][0] = field;
        table["sort-orders"] = json!([{"order-id": 1, "fields": [
            {"source-ids": [3], "transform": "Day", "direction": "ASC", "null-order": "NULLS-FIRST"}
        ]}]);
        table["default-sort-order-id"] = 1.into();
    }) {
        assert_eq!(metadata.default_partition_spec().fields()[0].transform, Transform::Unknown);
        assert_eq!(metadata.default_sort_order().fields[0].transform, Transform::Day);
        assert_eq!(metadata.default_sort_order().fields[0].source_id, 3);
    }
}

#[test]
fn fields_that_were_dropped_from_a_spec() {
    let spec = json!([
        {"source-id": 2, "field-id": 1000, "name": "p", "transform": "void"},
        {"source-id": 2, "field-id": 1001, "name": "p_bucket", "transform": "void"},
        {"source-id": 9, "field-id": 1002, "name": "gone", "transform": "void"},
        {"source-id": 2, "field-id": 1003, "name": "p_part", "transform": "identity"},
    ]);
    for metadata in kept(&[1, 2, 3], |table| {
        table["partition-specs"][0]["fields"] = spec.clone();
        if table["format-version"] == 1 {
            table["partition-spec"] = spec.clone();
        }
    }) {
        let bound = metadata.default_partition_spec().as_ref().clone().into_unbound();
        bound.bind(metadata.current_schema().clone()).unwrap();
        let transforms: Vec<_> =
            metadata.default_partition_spec().fields().iter().map(|f| f.transform).collect();
        assert_eq!(transforms[..3], [Transform::Void; 3]);
        assert_eq!(transforms[3], Transform::Identity);
        assert_eq!(metadata.default_partition_spec().fields()[3].name, "p_part");
    }
}

#[test]
fn old_tables_of_version_1_without_lists() {
    for metadata in kept(&[1], |table| {
        let object = table.as_object_mut().unwrap();
        let old = [
            "schemas",
            "current-schema-id",
            "partition-specs",
            "default-spec-id",
            "last-partition-id",
            "sort-orders",
            "default-sort-order-id",
            "refs",
            "table-uuid",
        ];
        for name in old {
            object.remove(name);
        }
        object["partition-spec"] = json!([
            {"source-id": 2, "name": "p", "transform": "identity"},
            {"source-id": 3, "name": "ts", "transform": "void"},
        ]);
        object["schema"].as_object_mut().unwrap().remove("schema-id");
    }) {
        let ids: Vec<_> = metadata.default_partition_spec().fields().iter().map(|f| f.field_id).collect();
        assert_eq!((ids, metadata.last_partition_id()), (vec![1000, 1001], 1001));
    }
}

#[test]
fn summaries_of_other_writers() {
    for (summary, operation, unknown) in [
        (json!({}), Operation::Overwrite, Some("")),
        (json!(null), Operation::Overwrite, Some("")),
        (json!({"operation": "APPEND", "n": 1, "null": null, "flag": true}), Operation::Append, None),
        (json!({"operation": "vacuum"}), Operation::Overwrite, Some("vacuum")),
        (json!({"operation": null}), Operation::Overwrite, Some("")),
    ] {
        for metadata in kept(&[1, 2, 3], |table| table["snapshots"][0]["summary"] = summary.clone()) {
            let read = metadata.snapshot_by_id(1).unwrap().summary();
            assert_eq!(read.operation, operation, "{summary}");
            assert_eq!(read.additional_properties.get(UNKNOWN_OPERATION).map(String::as_str), unknown);
            if summary.get("n").is_some() {
                assert_eq!(read.additional_properties["n"], "1");
                assert!(!read.additional_properties.contains_key("null"));
            }
        }
        kept(&[1, 2, 3], |table| drop(table["snapshots"][1].as_object_mut().unwrap().remove("summary")));
    }
}

#[test]
fn statistics_properties_and_types_in_other_forms() {
    kept(&[1, 2, 3], |table| {
        table["properties"] = json!({"owner": "me", "n": 7, "none": null, "flag": true});
        table["statistics"] =
            json!([{"snapshot-id": 1, "new-form": true}, {"snapshot-id": 1, "new-form": false}]);
        table["partition-statistics"] = json!({"new-form": true});
        table["schemas"][0]["fields"][0]["type"] = "LONG".into();
        if table["format-version"] == 1 {
            table["schema"] = table["schemas"][0].clone();
        }
    });
}

#[test]
fn what_is_new_or_foreign_is_unsupported_by_name() {
    let cases: [(&str, fn(&mut Value)); 6] = [
        ("format version 4", |t| t["format-version"] = 4.into()),
        ("lists its manifests itself", |t| {
            let snapshot = t["snapshots"][0].as_object_mut().unwrap();
            snapshot.remove("manifest-list");
            snapshot.insert("manifests".into(), json!(["memory:///m.avro"]));
        }),
        ("'v' of the type variant", |t| {
            let fields = t["schemas"][0]["fields"].as_array_mut().unwrap();
            fields.push(json!({"id": 4, "name": "v", "required": false, "type": "variant"}));
        }),
        ("'l.element' of the type geometry(srid:0)", |t| {
            let fields = t["schemas"][0]["fields"].as_array_mut().unwrap();
            let list = json!({"type": "list", "element-id": 5, "element": "geometry(srid:0)", "element-required": false});
            fields.push(json!({"id": 4, "name": "l", "required": false, "type": list}));
        }),
        ("default of the column 'p'", |t| t["schemas"][0]["fields"][1]["initial-default"] = json!({"a": 1})),
        ("a view", |t| {
            t["view-uuid"] = "x".into();
            t.as_object_mut().unwrap().remove("table-uuid");
        }),
    ];
    for (told, change) in cases {
        let mut table = table(3);
        change(&mut table);
        let error = read(&table).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.message().contains(told), "{told}: {error}");
        advises_no_harm(&error);
    }
}

#[test]
fn what_is_broken_is_told_by_its_place() {
    let cases: [(&str, fn(&mut Value)); 11] = [
        ("no location", |t| drop(t.as_object_mut().unwrap().remove("location"))),
        ("no format-version", |t| drop(t.as_object_mut().unwrap().remove("format-version"))),
        ("last-updated-ms is no integer", |t| t["last-updated-ms"] = "secret".into()),
        ("table-uuid", |t| t["table-uuid"] = "secret".into()),
        ("schemas[0]", |t| t["schemas"][0]["fields"][0]["id"] = "secret".into()),
        ("partition-specs[0]", |t| t["partition-specs"][0]["fields"][0]["name"] = 1.into()),
        ("sort-orders[0]", |t| t["sort-orders"][0]["order-id"] = "secret".into()),
        ("snapshots[1] has no valid timestamp-ms", |t| t["snapshots"][1]["timestamp-ms"] = "secret".into()),
        ("current schema id 7", |t| t["current-schema-id"] = 7.into()),
        ("snapshot id 9", |t| t["current-snapshot-id"] = 9.into()),
        ("'v1' is not valid", |t| t["refs"]["v1"] = "secret".into()),
    ];
    for (told, change) in cases {
        let mut table = table(2);
        change(&mut table);
        let error = read(&table).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
        assert!(error.message().contains(told), "{told}: {error}");
        assert!(!error.to_string().contains("secret"));
    }
    let text = table(2).to_string();
    for (json, told) in
        [(&text[..text.len() / 2], "ends too early"), ("{]", "no JSON, at line 1"), ("[]", "no JSON object")]
    {
        let error = parse(json.as_bytes(), "m").unwrap_err();
        assert!(error.message().contains(told), "{error}");
        assert!(!error.hint().unwrap_or_default().contains("drop"), "{error}");
    }
}

/// The paths of all values in a document.
fn paths(value: &Value) -> Vec<String> {
    fn walk(value: &Value, path: &str, all: &mut Vec<String>) {
        all.push(path.to_owned());
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    walk(value, &format!("{path}/{name}"), all);
                }
            }
            Value::Array(list) => {
                for (number, value) in list.iter().enumerate() {
                    walk(value, &format!("{path}/{number}"), all);
                }
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    walk(value, "", &mut all);
    all
}

/// Removes, replaces or repeats a part of a document.
fn damage(value: &mut Value, at: usize, how: u8) {
    let all = paths(value);
    let path = all[at % all.len()].clone();
    let Some((parent, name)) = path.rsplit_once('/') else { return };
    let other = [
        json!(null),
        json!(-1),
        json!(1.5),
        json!("secret"),
        json!([]),
        json!({}),
        json!({"odd": [1]}),
        json!(i64::MAX),
        json!(["secret"]),
        json!(true),
    ];
    match how {
        0 | 1 => match value.pointer_mut(parent) {
            Some(Value::Object(fields)) => drop(fields.remove(name)),
            Some(Value::Array(list)) if how == 0 => drop(list.remove(name.parse().unwrap())),
            Some(Value::Array(list)) => list.push(list[name.parse::<usize>().unwrap()].clone()),
            _ => {}
        },
        how => *value.pointer_mut(&path).unwrap() = other[usize::from(how) % other.len()].clone(),
    }
}

/// A table that floe alone cannot read, or whose newest file is damaged, is not mended by taking an older state for it.
#[track_caller]
fn advises_no_harm(error: &crate::Error) {
    let hint = error.hint().unwrap_or_default().to_lowercase();
    assert!(!hint.is_empty(), "{error}");
    for harm in ["roll back", "rollback", "drop", "register", "older metadata"] {
        assert!(!hint.contains(harm), "{hint}");
    }
}

/// Whatever is wrong with a document, the answer is a table or an error with a place and without values; and a table that
/// is read keeps what it is through a commit.
fn read_and_kept_or_told(table: &Value) {
    let head = match read(table) {
        Ok(head) => head,
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::Corrupted | ErrorKind::Unsupported), "{error}");
            // Names of columns and types are told, values are not.
            let named = error.message().contains("column '");
            assert!(named || !error.to_string().contains("secret"), "{error}");
            advises_no_harm(&error);
            return;
        }
    };
    let ident = iceberg::TableIdent::from_strs(["ns", "t"]).unwrap();
    let updates =
        [iceberg::TableUpdate::SetProperties { updates: [("new".to_owned(), "1".to_owned())].into() }];
    let at = "memory:///t/metadata/v1.metadata.json";
    let Ok(next) = apply(&ident, &head, at, &[], &updates) else { return };
    let before = || MetadataText::read(table.to_string().into_bytes().into());
    for text in [before().next(&head, &next, &updates).unwrap(), before().merged(&head, &next).unwrap()] {
        let mut after: Value = serde_json::from_slice(text.json()).unwrap();
        assert_eq!(read(&after).unwrap(), next, "{table}");
        for name in ["last-updated-ms", "metadata-log", "properties"] {
            match table.get(name) {
                Some(value) => after[name] = value.clone(),
                None => drop(after.as_object_mut().unwrap().remove(name)),
            }
        }
        assert_eq!(&after, table);
    }
}

#[test]
fn documents_with_one_part_damaged_are_read_and_kept_or_told() {
    for version in 1..=3 {
        for at in 0..paths(&table(version)).len() {
            for how in 0..12 {
                let mut table = table(version);
                damage(&mut table, at, how);
                read_and_kept_or_told(&table);
            }
        }
    }
}

#[test]
fn documents_with_several_parts_damaged_are_read_and_kept_or_told() {
    use proptest::collection::vec;
    use proptest::prelude::any;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[11; 32]);
    let config = Config { cases: 2000, failure_persistence: None, ..Config::default() };
    let damages = (1_i64..=3, vec((any::<usize>(), 0..12_u8), 2..5));
    TestRunner::new_with_rng(config, rng)
        .run(&damages, |(version, damages)| {
            let mut table = table(version);
            for (at, how) in damages {
                damage(&mut table, at, how);
            }
            read_and_kept_or_told(&table);
            Ok(())
        })
        .unwrap();
}

/// A writer whose clock is ahead: the time of the last change does not go back, with which no reader could read the table.
#[test]
fn a_table_that_was_changed_in_the_future_stays_readable() {
    let ident = iceberg::TableIdent::from_strs(["ns", "t"]).unwrap();
    for version in 1..=3 {
        let mut table = table(version);
        let ahead = chrono::Utc::now().timestamp_millis() + 3_600_000;
        table["last-updated-ms"] = ahead.into();
        table["snapshot-log"][1]["timestamp-ms"] = ahead.into();
        let mut head = read(&table).unwrap();
        let mut text = MetadataText::read(table.to_string().into_bytes().into());
        for number in 0..3 {
            let reference = references(&head).unwrap()["main"].clone();
            let moved = iceberg::spec::SnapshotReference { snapshot_id: 1 + number % 2, ..reference };
            let updates = [
                iceberg::TableUpdate::SetProperties {
                    updates: [("number".to_owned(), number.to_string())].into(),
                },
                iceberg::TableUpdate::SetSnapshotRef { ref_name: "main".into(), reference: moved },
            ];
            let at = format!("memory:///t/metadata/v{number}.metadata.json");
            let next = apply(&ident, &head, &at, &[], &updates).unwrap();
            assert_eq!((next.last_updated_ms(), next.snapshots().len()), (ahead, 2));
            text = text.next(&head, &next, &updates).unwrap();
            head = parse(text.json(), "m").unwrap();
            assert_eq!(head, next, "version {version}");
            assert_eq!(references(&head).unwrap().len(), 2);
        }
    }
}
