#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashMap, HashSet};

use iceberg::spec::{
    NestedField, Operation, PrimitiveType, Schema, Snapshot, SnapshotRetention, SortOrder, Summary, Type,
    UnboundPartitionSpec,
};
use iceberg::{TableCreation, TableIdent};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use serde_json::Map;

use super::*;
use crate::metadata_file::{apply, create};

/// What one update of a commit does; the numbers choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    Append { branch: u8 },
    Stage,
    Tag { name: u8, snapshot: usize },
    RemoveRef { name: u8 },
    SetProperty { key: u8 },
    RemoveProperty { key: u8 },
    AddColumn,
    RemoveSnapshot { snapshot: usize },
    Upgrade,
}

/// How the text of the head comes to be known before a commit.
#[derive(Debug, Clone, Copy)]
enum Known {
    /// This process wrote it.
    Written,
    /// It was read, as we write it.
    Read,
    /// It was read, as another engine lays it out, with fields that the crate does not know.
    Foreign,
}

const BRANCHES: [&str; 3] = ["main", "audit", "dev \"quoted\""];

fn steps() -> impl Strategy<Value = Vec<(Vec<Step>, Known)>> {
    let step = prop_oneof![
        8 => (0..3_u8).prop_map(|branch| Step::Append { branch }),
        1 => Just(Step::Stage),
        2 => (0..3_u8, any::<usize>()).prop_map(|(name, snapshot)| Step::Tag { name, snapshot }),
        2 => (0..6_u8).prop_map(|name| Step::RemoveRef { name }),
        1 => (0..3_u8).prop_map(|key| Step::SetProperty { key }),
        1 => (0..3_u8).prop_map(|key| Step::RemoveProperty { key }),
        1 => Just(Step::AddColumn),
        1 => any::<usize>().prop_map(|snapshot| Step::RemoveSnapshot { snapshot }),
        1 => Just(Step::Upgrade),
    ];
    let known = prop_oneof![2 => Just(Known::Written), 1 => Just(Known::Read), 2 => Just(Known::Foreign)];
    prop::collection::vec((prop::collection::vec(step, 1..4), known), 1..14)
}

fn table(version: FormatVersion) -> TableMetadata {
    let schema = Schema::builder()
        .with_fields([NestedField::required(1, "id", Type::Primitive(PrimitiveType::Long)).into()])
        .build()
        .unwrap();
    let creation = TableCreation::builder()
        .name("t".into())
        .location("memory:///t".into())
        .schema(schema)
        .partition_spec(UnboundPartitionSpec::default())
        .sort_order(SortOrder::unsorted_order())
        .format_version(version)
        .properties([("owner".to_owned(), "snow \u{2744} \"quoted\"\n".to_owned())])
        .build();
    create(creation).unwrap()
}

fn snapshot(head: &TableMetadata, id: i64, parent: Option<i64>, offset: i64) -> Snapshot {
    let properties = HashMap::from([("note".to_owned(), "a \"b\" \\ ]}".to_owned())]);
    let builder = Snapshot::builder()
        .with_snapshot_id(id)
        .with_parent_snapshot_id(parent)
        .with_sequence_number(
            head.next_sequence_number() + if head.format_version() == FormatVersion::V1 { 0 } else { offset },
        )
        .with_timestamp_ms(head.last_updated_ms() + offset)
        .with_manifest_list(format!("memory:///t/metadata/snap-{id}.avro"))
        .with_summary(Summary { operation: Operation::Append, additional_properties: properties })
        .with_schema_id(head.current_schema_id());
    if head.format_version() == FormatVersion::V3 {
        builder.with_row_range(head.next_row_id() + 10 * offset as u64, 10).build()
    } else {
        builder.build()
    }
}

/// The updates of one commit on top of `head`. Some do not fit: the crate refuses them.
fn updates(head: &TableMetadata, steps: &[Step], commit: usize) -> Vec<TableUpdate> {
    let ids: Vec<i64> = {
        let mut ids: Vec<i64> = head.snapshots().map(|s| s.snapshot_id()).collect();
        ids.sort_unstable();
        ids
    };
    let mut updates = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let id = (commit * 10 + number + 1) as i64;
        let retention = SnapshotRetention::branch(Some(2), None, (number == 1).then_some(7));
        match step {
            Step::Append { branch } => {
                let name = BRANCHES[usize::from(*branch)];
                let parent = head.snapshot_for_ref(name).map(|s| s.snapshot_id());
                updates
                    .push(TableUpdate::AddSnapshot { snapshot: snapshot(head, id, parent, number as i64) });
                // How long the main branch of version 1 is kept is told by the text alone, until it is upgraded.
                let known = name != MAIN_BRANCH || head.format_version() != FormatVersion::V1;
                let reference = SnapshotReference::new(id, if known { retention } else { plain_branch() });
                updates.push(TableUpdate::SetSnapshotRef { ref_name: name.to_owned(), reference });
            }
            Step::Stage => {
                updates.push(TableUpdate::AddSnapshot { snapshot: snapshot(head, id, None, number as i64) });
            }
            Step::Tag { name, snapshot } if !ids.is_empty() => {
                let retention = SnapshotRetention::Tag { max_ref_age_ms: (*name == 1).then_some(1000) };
                updates.push(TableUpdate::SetSnapshotRef {
                    ref_name: format!("tag{name}"),
                    reference: SnapshotReference::new(ids[snapshot % ids.len()], retention),
                });
            }
            Step::RemoveRef { name } => {
                let ref_name = match BRANCHES.get(usize::from(*name)) {
                    Some(branch) => (*branch).to_owned(),
                    None => format!("tag{}", name - 3),
                };
                updates.push(TableUpdate::RemoveSnapshotRef { ref_name });
            }
            Step::SetProperty { key } => updates.push(TableUpdate::SetProperties {
                updates: HashMap::from([(format!("key{key}"), format!("value {commit}"))]),
            }),
            Step::RemoveProperty { key } => {
                let removals = [format!("key{key}"), "owner".to_owned()];
                updates.push(TableUpdate::RemoveProperties {
                    removals: removals[..=usize::from(key % 2)].to_vec(),
                });
            }
            Step::AddColumn => {
                let column = head.last_column_id() + 1;
                let field = NestedField::optional(
                    column,
                    format!("c{column}"),
                    Type::Primitive(PrimitiveType::String),
                );
                let fields = head.current_schema().as_struct().fields().iter().cloned();
                let schema = Schema::builder().with_fields(fields.chain([field.into()])).build().unwrap();
                updates.push(TableUpdate::AddSchema { schema });
                updates.push(TableUpdate::SetCurrentSchema { schema_id: -1 });
            }
            Step::RemoveSnapshot { snapshot } if !ids.is_empty() => {
                let id = ids[snapshot % ids.len()];
                if head.current_snapshot_id() != Some(id) {
                    updates.push(TableUpdate::RemoveSnapshots { snapshot_ids: vec![id] });
                }
            }
            Step::Upgrade => {
                let format_version = match head.format_version() {
                    FormatVersion::V1 => FormatVersion::V2,
                    _ => FormatVersion::V3,
                };
                updates.push(TableUpdate::UpgradeFormatVersion { format_version });
            }
            Step::Tag { .. } | Step::RemoveSnapshot { .. } => {}
        }
    }
    updates
}

/// The same text as another engine might write it: laid out over lines, with fields of its own in every object, some of
/// which have a meaning in other versions of the format.
fn foreign(json: &Bytes) -> Bytes {
    let mut value: Value = serde_json::from_slice(json).unwrap();
    strew(&mut value, &mut 0);
    if value["format-version"] == 1 {
        value["last-sequence-number"] = 0.into();
    }
    serde_json::to_vec_pretty(&value).unwrap().into()
}

/// Puts a field that nobody knows into every object that is no map of texts.
fn strew(value: &mut Value, number: &mut usize) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match (name.as_str(), value) {
                    ("properties" | "summary", _) => {}
                    (name, _) if name.starts_with("x-") => {}
                    // A map of names.
                    ("refs", Value::Object(refs)) => refs.values_mut().for_each(|of| strew(of, number)),
                    (_, value) => strew(value, number),
                }
            }
            *number += 1;
            let odd = [serde_json::json!({ "snapshots": [1, null] }), 1.5.into(), Value::Null, "]}".into()];
            fields.entry(format!("x-{}", *number % 3)).or_insert_with(|| odd[*number % 4].clone());
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| strew(element, number)),
        _ => {}
    }
}

/// Every field that nobody knows with its path, in which elements of arrays are told apart by their ids.
fn unknown(value: &Value) -> BTreeMap<String, Value> {
    fn walk(value: &Value, path: &str, found: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let path = format!("{path}/{name}");
                    if name.starts_with("x-") || name == "encryption-keys" {
                        found.insert(path, value.clone());
                    } else {
                        walk(value, &path, found);
                    }
                }
            }
            Value::Array(elements) => {
                for (number, element) in elements.iter().enumerate() {
                    let ids = [
                        "snapshot-id",
                        "schema-id",
                        "spec-id",
                        "order-id",
                        "field-id",
                        "id",
                        "metadata-file",
                    ];
                    let id = ids.iter().find_map(|id| element.get(*id).map(|v| format!("{id}={v}")));
                    let at = element.get("timestamp-ms").map(Value::to_string).unwrap_or_default();
                    walk(element, &format!("{path}/{}@{at}", id.unwrap_or(number.to_string())), found);
                }
            }
            _ => {}
        }
    }
    let mut found = BTreeMap::new();
    walk(value, "", &mut found);
    found
}

/// The objects of a document, by the same paths.
fn objects(value: &Value) -> HashSet<String> {
    let mut marked = value.clone();
    strew(&mut marked, &mut 0);
    unknown(&marked).into_keys().map(|path| path.rsplit_once('/').unwrap().0.to_owned()).collect()
}

fn parse(json: &[u8]) -> TableMetadata {
    crate::metadata_file::parse(json, "memory:///t/metadata/a.metadata.json").unwrap()
}

/// How many commits were spliced, and how many written in full.
#[derive(Default)]
struct Tally {
    spliced: usize,
    full: usize,
}

fn run(version: FormatVersion, commits: &[(Vec<Step>, Known)], tally: &mut Tally) {
    let ident = TableIdent::from_strs(["ns", "t"]).unwrap();
    let mut head = table(version);
    let mut text = MetadataText::new(&head).unwrap();
    for (number, (steps, known)) in commits.iter().enumerate() {
        match known {
            Known::Written => {}
            Known::Read => {
                text = MetadataText::read(text.json().clone());
                head = parse(text.json());
            }
            Known::Foreign => {
                text = MetadataText::read(foreign(text.json()));
                head = parse(text.json());
            }
        }
        let updates = updates(&head, steps, number);
        let at = format!("memory:///t/metadata/{number:05}-a.metadata.json");
        let Ok(next) = apply(&ident, &head, &at, &[], &updates) else { continue };
        let merged = text.merged(&head, &next).unwrap();
        let made = text.next(&head, &next, &updates).unwrap();
        if made.fields.get().is_some() {
            tally.spliced += 1;
            let value = |text: &MetadataText| serde_json::from_slice::<Value>(text.json()).unwrap();
            assert_eq!(value(&made), value(&merged), "both ways write the same");
            // The fields are where the writer noted them.
            assert_eq!(made.fields.get().unwrap(), &split(made.json()));
        } else {
            tally.full += 1;
        }
        check(&text, &made, &next);
        text = made;
        head = next;
    }
}

/// What the crate writes, which in format version 1 is all but the references.
fn without_references(metadata: &TableMetadata) -> TableMetadata {
    serde_json::from_slice(&serde_json::to_vec(metadata).unwrap()).unwrap()
}

/// That `made` says what `next` does, and has kept all else of `before`.
fn check(before: &MetadataText, made: &MetadataText, next: &TableMetadata) {
    let read = parse(made.json());
    let refs = references(next).unwrap();
    if next.format_version() == FormatVersion::V1 {
        assert_eq!(without_references(&read), without_references(next));
    } else {
        assert_eq!(&read, next);
    }
    assert_eq!(references(&read).unwrap(), refs);
    let value = |text: &MetadataText| serde_json::from_slice::<Value>(text.json()).unwrap();
    let (before, after) = (value(before), value(made));
    let left = objects(&after);
    let kept = unknown(&after);
    for (path, value) in unknown(&before) {
        let parent = path.rsplit_once('/').unwrap().0;
        // In format version 1 the current schema stands a second time at the top: then it is another.
        let moved = parent.starts_with("/schema/") || parent == "/schema";
        if left.contains(parent) && !moved {
            assert_eq!(kept.get(&path), Some(&value), "{path}");
        }
    }
    // Fields that the crate knows are those that it would have written.
    let mut full = model(next, false).unwrap();
    full.as_object_mut()
        .unwrap()
        .retain(|_, value| *value != Value::Array(Vec::new()) && *value != Value::Object(Map::new()));
    let known = full.as_object().unwrap().keys().filter(|name| *name != "refs");
    known.for_each(|name| assert!(after.get(name).is_some(), "{name}"));
}

#[test]
fn a_commit_changes_what_it_must_and_keeps_all_else() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let config = Config { cases: 192, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let tally = std::cell::RefCell::new(Tally::default());
    let version = prop_oneof![Just(FormatVersion::V1), Just(FormatVersion::V2), Just(FormatVersion::V3)];
    runner
        .run(&(version, steps()), |(version, commits)| {
            run(version, &commits, &mut tally.borrow_mut());
            Ok(())
        })
        .unwrap();
    let tally = tally.into_inner();
    assert!(tally.spliced > 300 && tally.full > 50, "{} spliced, {} full", tally.spliced, tally.full);
}

#[test]
fn an_append_is_spliced_in_every_version() {
    for version in [FormatVersion::V1, FormatVersion::V2, FormatVersion::V3] {
        let mut tally = Tally::default();
        let commits: Vec<_> = (0..30).map(|_| (vec![Step::Append { branch: 0 }], Known::Written)).collect();
        run(version, &commits, &mut tally);
        assert_eq!((tally.spliced, tally.full), (30, 0), "{version}");
    }
}

#[test]
fn a_text_with_a_field_twice_is_not_used() {
    assert!(split(br#"{"a": 1, "b": {"a": 2}}"#).is_some());
    assert!(split(br#"{"a": 1, "a": 2}"#).is_none());
    assert!(split(b"[1]").is_none());
}

#[test]
fn debug_shows_no_contents() {
    let text = MetadataText::new(&table(FormatVersion::V2)).unwrap();
    assert!(!format!("{text:?}").contains("quoted"));
}
