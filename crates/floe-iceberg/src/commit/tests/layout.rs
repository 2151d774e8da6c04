//! What the manifests of a snapshot hold, in every format version.

use std::collections::BTreeMap;

use floe_plan::backoff::RetryPolicy;
use floe_plan::change::{ChangeSet, TableFile};
use iceberg::spec::{
    Datum, FormatVersion, Literal, NestedField, PrimitiveLiteral, PrimitiveType, Schema, Struct, Transform,
    Type, UnboundPartitionSpec,
};

use super::world::{World, data_file};
use crate::commit::{CommitRequest, CommitStrategy};

const MERGE: [(&str, &str); 1] = [("commit.manifest.min-count-to-merge", "4")];

fn merging(world: &World, names: &[&str]) -> CommitRequest {
    let retry = RetryPolicy { max_retries: 50, ..RetryPolicy::default() };
    CommitRequest { strategy: CommitStrategy::MergeCommit, retry, ..world.request(names) }
}

/// Name, snapshot id, data and file sequence number of every live file.
type Numbers = BTreeMap<String, (Option<i64>, Option<i64>, Option<i64>)>;

async fn numbers(world: &World) -> Numbers {
    let live = world.live().await.into_iter();
    live.map(|(name, e)| (name, (e.snapshot_id, e.sequence_number, e.file_sequence_number))).collect()
}

#[tokio::test]
async fn merging_keeps_every_file_with_its_numbers_in_every_version() {
    for version in [FormatVersion::V1, FormatVersion::V2, FormatVersion::V3] {
        let world = World::new(version, &MERGE);
        let mut expected = Numbers::new();
        for commit in 0..11 {
            let name = format!("f{commit:02}");
            let done = world.commit_on(world.base(), merging(&world, &[&name])).await.unwrap();
            let sequence = if version == FormatVersion::V1 { 0 } else { commit + 1 };
            expected.insert(name, (Some(done.snapshot_id), Some(sequence), Some(sequence)));
            assert_eq!(numbers(&world).await, expected, "{version:?} after commit {commit}");
            let count = world.manifests().await.len();
            assert!(count < 4, "{version:?}: {count} manifests after commit {commit}");
        }
    }
}

#[tokio::test]
async fn merged_manifests_count_their_entries_and_their_smallest_sequence_number() {
    let world = World::new(FormatVersion::V2, &MERGE);
    for name in ["a", "b", "c", "d"] {
        world.commit_on(world.base(), merging(&world, &[name])).await.unwrap();
    }
    let manifests = world.manifests().await;
    assert_eq!(manifests.len(), 1);
    let merged = &manifests[0];
    assert_eq!((merged.added_files_count, merged.existing_files_count), (Some(1), Some(3)));
    assert_eq!((merged.added_rows_count, merged.existing_rows_count), (Some(10), Some(30)));
    assert_eq!((merged.sequence_number, merged.min_sequence_number), (4, 1));
    // The manifest of the new file alone was not needed.
    assert_eq!(world.metadata_files(), 3 + 3 + 2, "three commits, then one merged manifest and its list");
}

#[tokio::test]
async fn fast_appends_never_merge() {
    let world = World::new(FormatVersion::V2, &MERGE);
    for name in ["a", "b", "c", "d", "e", "f"] {
        world.append(&[name]).await.unwrap();
    }
    assert_eq!(world.manifests().await.len(), 6);
}

#[tokio::test]
async fn a_merged_manifest_is_used_again_after_a_conflict_when_its_parts_are_still_there() {
    let world = World::new(
        FormatVersion::V2,
        &[("commit.manifest.min-count-to-merge", "3"), ("commit.manifest.target-size-bytes", "12000")],
    );
    for name in ["a", "b", "c", "d", "e", "f"] {
        world.append(&[name]).await.unwrap();
    }
    let stale = world.base();
    world.append(&["g"]).await.unwrap();
    let done = world.commit_on(stale, merging(&world, &["h"])).await.unwrap();
    assert_eq!(done.attempts, 2);
    assert_eq!(world.names().await, ["a", "b", "c", "d", "e", "f", "g", "h"]);
    let paths: Vec<String> = world.manifests().await.into_iter().map(|m| m.manifest_path).collect();
    let merged: Vec<&String> = paths.iter().filter(|p| !p.ends_with("-m0.avro")).collect();
    assert!(!merged.is_empty(), "{paths:?}");
    // Numbers are given out in order: a bin of old manifests that did not change was not written again.
    assert!(merged.iter().any(|p| p.ends_with("-m1.avro") || p.ends_with("-m2.avro")), "{paths:?}");
}

#[tokio::test]
async fn concurrent_merging_writers_lose_nothing() {
    let world = World::new(FormatVersion::V2, &MERGE);
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let world = world.clone();
            tokio::spawn(async move {
                for round in 0..4 {
                    let name = format!("{writer}-{round}");
                    world.commit_on(world.base(), merging(&world, &[&name])).await.unwrap();
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(world.live().await.len(), 32);
    let sequences: std::collections::BTreeSet<_> =
        numbers(&world).await.into_values().map(|(_, sequence, _)| sequence).collect();
    assert_eq!(sequences.len(), 32, "each file has the number of its own commit");
}

#[tokio::test]
async fn row_ids_are_given_once_and_survive_merging() {
    let world = World::new(FormatVersion::V3, &MERGE);
    let mut expected = BTreeMap::new();
    for commit in 0..9_u64 {
        let name = format!("f{commit}");
        let before = world.table().metadata.next_row_id();
        world.commit_on(world.base(), merging(&world, &[&name])).await.unwrap();
        let table = world.table();
        let snapshot = table.metadata.current_snapshot().unwrap().clone();
        let (first, added) = snapshot.row_range().unwrap();
        assert_eq!(first, before);
        assert_eq!(table.metadata.next_row_id(), before + added);
        let ids = row_ids(&world).await;
        for (name, id) in &expected {
            assert_eq!(ids[name], *id, "{name} after commit {commit}");
        }
        expected = ids;
    }
    let mut ranges: Vec<u64> = expected.into_values().collect();
    ranges.sort_unstable();
    assert!(ranges.windows(2).all(|w| w[0] + 10 <= w[1]), "{ranges:?}");
}

async fn row_ids(world: &World) -> BTreeMap<String, u64> {
    let base = world.base();
    let mut ids = BTreeMap::new();
    for manifest in world.manifests().await {
        for live in base.live_files(&manifest).await.unwrap() {
            let name = live.data_file.file_path().rsplit('/').next().unwrap().to_owned();
            ids.insert(name, live.data_file.first_row_id().unwrap() as u64);
        }
    }
    ids
}

#[tokio::test]
async fn the_list_kept_in_memory_is_what_a_reader_finds() {
    for version in [FormatVersion::V1, FormatVersion::V2, FormatVersion::V3] {
        let world = World::new(version, &MERGE);
        for name in ["a", "b", "c", "d", "e"] {
            world.commit_on(world.base(), merging(&world, &[name])).await.unwrap();
            let table = world.table();
            let snapshot = table.metadata.current_snapshot().unwrap();
            let kept = world.base().manifest_files(snapshot).await.unwrap();
            let fresh = crate::base::TableBase::new(table.clone(), Default::default());
            assert_eq!(kept, fresh.manifest_files(snapshot).await.unwrap(), "{version:?} {name}");
        }
    }
}

#[tokio::test]
async fn many_files_are_cut_into_several_manifests() {
    let world = World::new(FormatVersion::V2, &[("commit.manifest.target-size-bytes", "20000")]);
    let names: Vec<String> = (0..1000).map(|i| format!("{i:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.append(&names).await.unwrap();
    assert_eq!(world.names().await, names);
    let manifests = world.manifests().await;
    assert!(manifests.len() > 3, "{}", manifests.len());
    let biggest = manifests.iter().map(|m| m.manifest_length).max().unwrap();
    assert!((10_000..30_000).contains(&biggest), "the estimate is about right: {biggest}");
}

#[tokio::test]
async fn files_of_different_specs_go_to_different_manifests() {
    let schema = Schema::builder()
        .with_fields([NestedField::required(1, "id", Type::Primitive(PrimitiveType::Long)).into()])
        .build()
        .unwrap();
    let world = World::with(FormatVersion::V2, schema, UnboundPartitionSpec::default(), &[]);
    let by_id =
        UnboundPartitionSpec::builder().add_partition_field(1, "id", Transform::Identity).unwrap().build();
    world.alter(&[
        iceberg::TableUpdate::AddSpec { spec: by_id },
        iceberg::TableUpdate::SetDefaultSpec { spec_id: -1 },
    ]);
    let mut asked = world.request(&["a", "b"]);
    let partition = Struct::from_iter([Some(Literal::long(7))]);
    let file = data_file(world.location("c"), partition);
    asked.change.added.insert(1, TableFile { spec_id: 1, file });
    world.commit_on(world.base(), asked).await.unwrap();
    let mut specs: Vec<_> =
        world.manifests().await.iter().map(|m| (m.partition_spec_id, m.added_files_count)).collect();
    specs.sort_unstable();
    assert_eq!(specs, [(0, Some(2)), (1, Some(1))]);
    assert_eq!(world.names().await, ["a", "b", "c"]);
}

/// The bounds of partition values in a manifest list decide which manifests are read at all.
#[tokio::test]
async fn partition_summaries_hold_every_value_of_every_type() {
    use PrimitiveLiteral as L;
    use PrimitiveType as P;
    let cases: Vec<(P, Vec<L>, L, L)> = vec![
        (P::Boolean, vec![L::Boolean(true), L::Boolean(false)], L::Boolean(false), L::Boolean(true)),
        (P::Int, vec![L::Int(3), L::Int(-300), L::Int(9)], L::Int(-300), L::Int(9)),
        (P::Long, vec![L::Long(-1), L::Long(1)], L::Long(-1), L::Long(1)),
        (P::Float, vec![float(f32::NAN), float(2.5), float(-1.0)], float(-1.0), float(2.5)),
        (P::Double, vec![double(-0.5), double(f64::NAN), double(7.0)], double(-0.5), double(7.0)),
        (P::Date, vec![L::Int(10), L::Int(-4)], L::Int(-4), L::Int(10)),
        (P::Timestamp, vec![L::Long(5), L::Long(-5)], L::Long(-5), L::Long(5)),
        (P::Timestamptz, vec![L::Long(5), L::Long(-5)], L::Long(-5), L::Long(5)),
        (P::Time, vec![L::Long(5), L::Long(0)], L::Long(0), L::Long(5)),
        (P::String, vec![text("ä"), text("z"), text(""), text("日本")], text(""), text("日本")),
        (P::Fixed(2), vec![bytes(&[0xff, 1]), bytes(&[1, 2])], bytes(&[1, 2]), bytes(&[0xff, 1])),
        (P::Binary, vec![bytes(&[0xff]), bytes(&[1, 2])], bytes(&[1, 2]), bytes(&[0xff])),
        (
            P::Decimal { precision: 20, scale: 2 },
            vec![L::Int128(-129), L::Int128(5)],
            L::Int128(-129),
            L::Int128(5),
        ),
    ];
    for (kind, values, lower, upper) in cases {
        let has_nan = matches!(kind, P::Float | P::Double);
        let summary = partition_summary(kind.clone(), &values, true).await;
        assert!(summary.contains_null, "{kind}");
        assert_eq!(summary.contains_nan, Some(has_nan), "{kind}");
        let bound = |bytes: Option<iceberg::spec::ByteBuf>| {
            Datum::try_from_bytes(&bytes.unwrap(), kind.clone()).unwrap().literal().clone()
        };
        assert_eq!(bound(summary.lower_bound), lower, "{kind}");
        assert_eq!(bound(summary.upper_bound), upper, "{kind}");
        assert!(!partition_summary(kind, &values[..1], false).await.contains_null);
    }
}

/// Commits one file for each value, checks that each comes back with its value, and gives the summary.
async fn partition_summary(
    kind: PrimitiveType,
    values: &[PrimitiveLiteral],
    null: bool,
) -> iceberg::spec::FieldSummary {
    let schema = Schema::builder()
        .with_fields([NestedField::optional(1, "p", Type::Primitive(kind.clone())).into()])
        .build()
        .unwrap();
    let spec =
        UnboundPartitionSpec::builder().add_partition_field(1, "p", Transform::Identity).unwrap().build();
    let world = World::with(FormatVersion::V2, schema, spec, &[]);
    let values = values.iter().map(|value| Some(Literal::Primitive(value.clone())));
    let values: Vec<Option<Literal>> = values.chain(null.then_some(None)).collect();
    let files = values.iter().enumerate().map(|(number, value)| {
        data_file(world.location(&number.to_string()), Struct::from_iter([value.clone()]))
    });
    let request = CommitRequest::new(ChangeSet::append(0, files.collect()));
    world.commit_on(world.base(), request).await.unwrap();
    let manifest = world.manifests().await[0].clone();
    let live = world.live().await;
    let again = world.base().live_files(&manifest).await.unwrap();
    for (number, value) in values.iter().enumerate() {
        assert_eq!(live[&number.to_string()].data_file.partition().fields()[0], *value, "{kind}");
        assert_eq!(again[number].data_file.partition().fields()[0], *value, "{kind}");
    }
    manifest.partitions.unwrap()[0].clone()
}

fn float(value: f32) -> PrimitiveLiteral {
    PrimitiveLiteral::Float(value.into())
}

fn double(value: f64) -> PrimitiveLiteral {
    PrimitiveLiteral::Double(value.into())
}

fn text(value: &str) -> PrimitiveLiteral {
    PrimitiveLiteral::String(value.into())
}

fn bytes(value: &[u8]) -> PrimitiveLiteral {
    PrimitiveLiteral::Binary(value.to_vec())
}
