//! Commits that remove files, and what they must not meet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use floe_core::{ErrorKind, Result};
use floe_plan::backoff::RetryPolicy;
use floe_plan::change::{ChangeSet, OperationKind, RemovedFile, TableFile};
use floe_plan::expr::{BoundExpr, Expr};
use floe_plan::guard::{Guard, Isolation, ReadFile};
use iceberg::TableUpdate;
use iceberg::spec::{
    DataContentType, DataFileBuilder, DataFileFormat, FormatVersion, Literal, ManifestContentType,
    ManifestStatus, NestedField, PrimitiveType, Schema, SnapshotReference, SnapshotRetention, Struct,
    Transform, Type, UnboundPartitionSpec,
};
use proptest::prelude::*;

use super::world::{Fate, World, data_file};
use crate::base::TableBase;
use crate::commit::{CommitRequest, CommitStrategy, Committed};

/// A table `id long, category string`, partitioned by category.
pub(crate) fn by_category(version: FormatVersion, properties: &[(&str, &str)]) -> Arc<World> {
    let schema = Schema::builder()
        .with_fields([
            NestedField::required(1, "id", Type::Primitive(PrimitiveType::Long)).into(),
            NestedField::optional(2, "category", Type::Primitive(PrimitiveType::String)).into(),
        ])
        .build()
        .unwrap();
    let spec = UnboundPartitionSpec::builder()
        .add_partition_field(2, "category", Transform::Identity)
        .unwrap()
        .build();
    World::with(version, schema, spec, properties)
}

/// `x1` is a file of the category `x`.
fn partition(name: &str) -> Struct {
    Struct::from_iter([Some(Literal::string(&name[..1]))])
}

fn data(world: &World, name: &str) -> TableFile {
    TableFile { spec_id: 0, file: data_file(world.location(name), partition(name)) }
}

/// A position delete file for the data file `of`, or for any of its partition.
fn deletes(world: &World, name: &str, of: Option<&str>) -> TableFile {
    let mut builder = DataFileBuilder::default();
    builder
        .content(DataContentType::PositionDeletes)
        .file_path(world.location(name))
        .file_format(DataFileFormat::Parquet)
        .partition(partition(name))
        .record_count(3)
        .file_size_in_bytes(30)
        .referenced_data_file(of.map(|of| world.location(of)));
    TableFile { spec_id: 0, file: builder.build().unwrap() }
}

pub(crate) fn appending(world: &World, names: &[&str]) -> CommitRequest {
    let added = names.iter().map(|name| data(world, name)).collect();
    patient(ChangeSet { added, ..ChangeSet::default() })
}

fn patient(change: ChangeSet) -> CommitRequest {
    CommitRequest {
        retry: RetryPolicy { max_retries: 50, ..RetryPolicy::default() },
        ..CommitRequest::new(change)
    }
}

/// What a scan of the head would say of these files.
async fn live(world: &World, names: &[&str]) -> Vec<RemovedFile> {
    let live = world.live().await;
    let found = names.iter().map(|name| {
        let entry = &live[*name];
        RemovedFile::new(0, entry.data_file(), entry.sequence_number.unwrap())
    });
    found.collect()
}

/// Replaces files, or deletes them when nothing is added, with the guards of a copy-on-write operation.
async fn replacing(world: &World, gone: &[&str], new: &[&str], filter: &str) -> CommitRequest {
    let removed = live(world, gone).await;
    let operation = if new.is_empty() { OperationKind::Delete } else { OperationKind::Overwrite };
    let added = new.iter().map(|name| data(world, name)).collect();
    let read = removed.iter().map(|file| ReadFile {
        path: file.path.clone(),
        spec_id: file.spec_id,
        partition: file.partition.clone(),
    });
    let guards = Guard::for_rows(read.collect(), bound(world, filter), Isolation::Serializable);
    CommitRequest { guards, ..patient(ChangeSet { operation, added, removed, ..ChangeSet::default() }) }
}

/// Adds deletes for `of`, with the guards of a merge-on-read operation.
fn deleting_rows(world: &World, name: &str, of: &str, isolation: Isolation) -> CommitRequest {
    let read = ReadFile { path: world.location(of), spec_id: 0, partition: partition(of) };
    let change = ChangeSet {
        operation: OperationKind::Delete,
        added: vec![deletes(world, name, Some(of))],
        ..ChangeSet::default()
    };
    let filter = bound(world, &format!("category = '{}'", &of[..1]));
    CommitRequest { guards: Guard::for_rows(vec![read], filter, isolation), ..patient(change) }
}

fn bound(world: &World, filter: &str) -> BoundExpr {
    Expr::parse(filter).unwrap().bind(world.table().metadata.current_schema(), true).unwrap()
}

async fn run(world: &World, base: TableBase, request: CommitRequest) -> Result<Committed> {
    world.commit_on(base, request).await
}

async fn append(world: &World, names: &[&str]) -> Committed {
    run(world, world.base(), appending(world, names)).await.unwrap()
}

fn conflict(result: Result<Committed>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommitConflict, "{error}");
    error.to_string()
}

/// Name and status of every entry that the head's manifests of our snapshot hold.
async fn statuses(world: &World, snapshot_id: i64) -> BTreeMap<String, ManifestStatus> {
    let mut found = BTreeMap::new();
    for manifest in world.manifests().await {
        if manifest.added_snapshot_id == snapshot_id {
            let manifest = manifest.load_manifest(&world.table().file_io).await.unwrap();
            for entry in manifest.entries() {
                let name = entry.file_path().rsplit('/').next().unwrap().to_owned();
                found.insert(name, entry.status());
            }
        }
    }
    found
}

#[tokio::test]
async fn a_removed_file_is_marked_deleted_once_and_its_neighbours_keep_their_numbers() {
    for version in [FormatVersion::V1, FormatVersion::V2, FormatVersion::V3] {
        let world = by_category(version, &[]);
        append(&world, &["a1", "b1", "b2"]).await;
        append(&world, &["c1"]).await;
        let before = world.live().await;
        let request = replacing(&world, &["b1"], &["b3"], "category = 'b'").await;
        let done = run(&world, world.base(), request).await.unwrap();
        let now = world.live().await;
        assert_eq!(now.keys().collect::<Vec<_>>(), ["a1", "b2", "b3", "c1"], "{version:?}");
        for name in ["a1", "b2", "c1"] {
            let numbers = |e: &iceberg::spec::ManifestEntryRef| {
                (e.snapshot_id, e.sequence_number, e.file_sequence_number)
            };
            assert_eq!(numbers(&now[name]), numbers(&before[name]), "{version:?} {name}");
        }
        let said = statuses(&world, done.snapshot_id).await;
        assert_eq!(said["b1"], ManifestStatus::Deleted);
        assert_eq!(said["b2"], ManifestStatus::Existing);
        assert_eq!(said["b3"], ManifestStatus::Added);
        assert!(!said.contains_key("c1"), "its manifest is used as it is");
        let summary = &done.summary.additional_properties;
        assert_eq!(
            (summary["deleted-data-files"].as_str(), summary["deleted-records"].as_str()),
            ("1", "10")
        );
        assert_eq!(summary["total-data-files"], "4");
        // Nobody is told of the deleted file again.
        let next = append(&world, &["d1"]).await;
        assert!(!statuses(&world, next.snapshot_id).await.contains_key("b1"));
    }
}

#[tokio::test]
async fn a_manifest_without_live_files_is_dropped_by_the_next_commit() {
    let world = by_category(FormatVersion::V2, &[]);
    append(&world, &["a1"]).await;
    append(&world, &["b1"]).await;
    let request = replacing(&world, &["a1"], &[], "category = 'a'").await;
    let done = run(&world, world.base(), request).await.unwrap();
    assert_eq!(statuses(&world, done.snapshot_id).await["a1"], ManifestStatus::Deleted);
    assert_eq!(world.manifests().await.len(), 2);
    append(&world, &["c1"]).await;
    assert_eq!(world.manifests().await.len(), 2);
    assert_eq!(world.names().await, ["b1", "c1"]);
}

#[tokio::test]
async fn row_ids_stay_with_the_files_of_a_manifest_that_is_written_anew() {
    let world = by_category(FormatVersion::V3, &[]);
    append(&world, &["a1", "b1", "c1"]).await;
    let ids = |world: Arc<World>| async move {
        let mut ids = BTreeMap::new();
        for manifest in world.manifests().await {
            for live in world.base().live_files(&manifest).await.unwrap() {
                let name = live.data_file.file_path().rsplit('/').next().unwrap().to_owned();
                ids.insert(name, live.data_file.first_row_id());
            }
        }
        ids
    };
    let before = ids(world.clone()).await;
    let request = replacing(&world, &["b1"], &[], "category = 'b'").await;
    run(&world, world.base(), request).await.unwrap();
    let after = ids(world.clone()).await;
    assert_eq!((after["a1"], after["c1"]), (before["a1"], before["c1"]));
}

#[tokio::test]
async fn writers_of_other_partitions_never_conflict_and_the_retry_writes_one_manifest_list() {
    let world = by_category(FormatVersion::V2, &[]);
    append(&world, &["a1"]).await;
    append(&world, &["b1"]).await;
    let stale = world.base();
    let late = replacing(&world, &["a1"], &["a2"], "category = 'a'").await;
    let first = replacing(&world, &["b1"], &["b2"], "category = 'b'").await;
    run(&world, stale.clone(), first).await.unwrap();
    let files = world.metadata_files();
    let done = run(&world, stale, late).await.unwrap();
    assert_eq!(done.attempts, 2);
    assert_eq!(world.names().await, ["a2", "b2"]);
    assert_eq!(world.metadata_files(), files + 3, "two manifests and one list are left of both attempts");
}

#[tokio::test]
async fn of_two_writers_that_replace_one_file_the_second_fails_and_is_told_who_was_first() {
    let world = by_category(FormatVersion::V2, &[]);
    append(&world, &["a1", "b1"]).await;
    let stale = world.base();
    let mut late = replacing(&world, &["a1"], &["a3"], "category = 'a'").await;
    late.guards.clear();
    let first = replacing(&world, &["a1"], &["a2"], "category = 'a'").await;
    let winner = run(&world, stale.clone(), first).await.unwrap();
    let said = conflict(run(&world, stale, late).await);
    for part in [winner.snapshot_id.to_string().as_str(), "overwrite", "/a1"] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(world.names().await, ["a2", "b1"]);
}

#[tokio::test]
async fn an_append_that_matches_is_a_conflict_under_serializable_isolation_only() {
    let world = by_category(FormatVersion::V2, &[]);
    append(&world, &["a1"]).await;
    let stale = world.base();
    let serializable = deleting_rows(&world, "aD", "a1", Isolation::Serializable);
    let snapshot = deleting_rows(&world, "aE", "a1", Isolation::Snapshot);
    let other = append(&world, &["a2"]).await;
    let said = conflict(run(&world, stale.clone(), serializable).await);
    for part in [other.snapshot_id.to_string().as_str(), "append", "category=…"] {
        assert!(said.contains(part), "{said}");
    }
    run(&world, stale, snapshot).await.unwrap();
    assert_eq!(world.names().await, ["a1", "a2", "aE"]);
}

/// A delete whose data file was replaced meanwhile would be lost, and its rows come back.
#[tokio::test]
async fn deletes_for_a_file_that_was_replaced_meanwhile_are_refused_even_for_a_plain_delete() {
    let world = by_category(FormatVersion::V2, &[]);
    append(&world, &["a1", "b1"]).await;
    let stale = world.base();
    let mut compaction = replacing(&world, &["a1"], &["a9"], "category = 'a'").await;
    compaction.change.operation = OperationKind::Replace;
    let delete = deleting_rows(&world, "aD", "a1", Isolation::Snapshot);
    let elsewhere = deleting_rows(&world, "bD", "b1", Isolation::Snapshot);
    run(&world, stale.clone(), compaction).await.unwrap();
    let said = conflict(run(&world, stale.clone(), delete).await);
    assert!(said.contains("replace") && said.contains("/a1"), "{said}");
    run(&world, stale, elsewhere).await.unwrap();
    assert_eq!(world.names().await, ["a9", "b1", "bD"]);
}

/// apache/iceberg #10312: a rewrite must not lose deletes that came meanwhile.
#[tokio::test]
async fn a_rewrite_of_a_file_that_got_deletes_meanwhile_is_refused() {
    let world = by_category(FormatVersion::V2, &[]);
    append(&world, &["a1", "a2"]).await;
    let stale = world.base();
    let mut first = replacing(&world, &["a1"], &["a8"], "category = 'z'").await;
    let mut second = replacing(&world, &["a2"], &["a9"], "category = 'z'").await;
    first.change.operation = OperationKind::Replace;
    second.change.operation = OperationKind::Replace;
    run(&world, stale.clone(), deleting_rows(&world, "aD", "a1", Isolation::Snapshot)).await.unwrap();
    conflict(run(&world, stale.clone(), first).await);
    run(&world, stale, second).await.unwrap();
    assert_eq!(world.names().await, ["a1", "a9", "aD"]);
}

#[tokio::test]
async fn an_operation_on_a_snapshot_that_was_rolled_back_stops() {
    let world = by_category(FormatVersion::V2, &[]);
    let first = append(&world, &["a1"]).await;
    append(&world, &["b1"]).await;
    let stale = world.base();
    let late = replacing(&world, &["a1"], &["a2"], "category = 'a'").await;
    let reference = SnapshotReference::new(first.snapshot_id, SnapshotRetention::branch(None, None, None));
    world.alter(&[TableUpdate::SetSnapshotRef { ref_name: "main".into(), reference }]);
    let said = conflict(run(&world, stale, late).await);
    assert!(said.contains("history"), "{said}");
    assert_eq!(world.names().await, ["a1"]);
}

#[tokio::test]
async fn deletes_go_with_the_last_data_file_that_they_apply_to() {
    let world = by_category(FormatVersion::V2, &[]);
    append(&world, &["a1", "b1"]).await;
    run(&world, world.base(), deleting_rows(&world, "aD", "a1", Isolation::Snapshot)).await.unwrap();
    run(&world, world.base(), deleting_rows(&world, "bD", "b1", Isolation::Snapshot)).await.unwrap();
    let request = replacing(&world, &["a1"], &["a2"], "category = 'a'").await;
    let done = run(&world, world.base(), request).await.unwrap();
    assert_eq!(world.names().await, ["a2", "b1", "bD"]);
    let summary = &done.summary.additional_properties;
    assert_eq!(summary["removed-delete-files"], "1");
    assert_eq!(summary["removed-position-deletes"], "3");
    assert_eq!(
        (summary["total-delete-files"].as_str(), summary["total-position-deletes"].as_str()),
        ("1", "3")
    );
    let data = ManifestContentType::Data;
    assert_eq!(world.manifests().await.iter().filter(|m| m.content == data).count(), 2);
}

#[tokio::test]
async fn deletes_older_than_every_data_file_are_dropped() {
    let world = by_category(FormatVersion::V2, &[]);
    append(&world, &["a1"]).await;
    let any = ChangeSet {
        operation: OperationKind::Delete,
        added: vec![deletes(&world, "aD", None)],
        ..ChangeSet::default()
    };
    run(&world, world.base(), patient(any)).await.unwrap();
    append(&world, &["b1"]).await;
    let request = replacing(&world, &["a1"], &[], "category = 'a'").await;
    run(&world, world.base(), request).await.unwrap();
    assert_eq!(world.names().await, ["b1"]);
}

/// apache/iceberg #13867.
#[tokio::test]
async fn a_replacement_whose_reply_is_lost_is_applied_once_and_its_token_finds_it() {
    let world = by_category(FormatVersion::V2, &[]);
    append(&world, &["a1", "b1"]).await;
    let base = world.base();
    let token = |request| CommitRequest { token: Some("job-7".into()), ..request };
    let request = token(replacing(&world, &["a1"], &["a2"], "category = 'a'").await);
    world.next_commits(&[Fate::LostAfter]);
    let done = run(&world, base, request.clone()).await.unwrap();
    assert_eq!(world.names().await, ["a2", "b1"]);
    append(&world, &["c1"]).await;
    let again = run(&world, world.base(), request).await.unwrap();
    assert_eq!((again.snapshot_id, again.attempts), (done.snapshot_id, 0));
    assert_eq!(world.names().await, ["a2", "b1", "c1"]);
}

#[tokio::test]
async fn a_staged_snapshot_is_in_the_table_and_on_no_branch() {
    let world = by_category(FormatVersion::V2, &[]);
    let first = append(&world, &["a1"]).await;
    let token = Some("audit".to_owned());
    let request = CommitRequest { staged: true, token, ..appending(&world, &["b1"]) };
    let staged = run(&world, world.base(), request.clone()).await.unwrap();
    assert_eq!(world.names().await, ["a1"]);
    assert_eq!(world.table().metadata.current_snapshot_id(), Some(first.snapshot_id));
    let again = run(&world, world.base(), request).await.unwrap();
    assert_eq!((again.snapshot_id, again.attempts), (staged.snapshot_id, 0));
    // It has taken a sequence number, which another writer did not see.
    append(&world, &["c1"]).await;
    assert_eq!(world.names().await, ["a1", "c1"]);
}

#[tokio::test]
async fn a_commit_beside_a_staged_one_takes_the_next_sequence_number() {
    let world = by_category(FormatVersion::V2, &[]);
    append(&world, &["a1"]).await;
    let stale = world.base();
    run(&world, stale.clone(), CommitRequest { staged: true, ..appending(&world, &["b1"]) }).await.unwrap();
    let done = run(&world, stale, appending(&world, &["c1"])).await.unwrap();
    assert_eq!(done.attempts, 2);
    assert_eq!(world.live().await["c1"].sequence_number, Some(3));
}

#[tokio::test]
async fn further_updates_come_with_the_snapshot_or_not_at_all() {
    let world = by_category(FormatVersion::V2, &[]);
    append(&world, &["a1"]).await;
    let stale = world.base();
    let schema = Schema::builder()
        .with_fields(world.table().metadata.current_schema().as_struct().fields().iter().cloned())
        .with_fields([NestedField::optional(3, "note", Type::Primitive(PrimitiveType::String)).into()])
        .build()
        .unwrap();
    let updates = vec![
        TableUpdate::AddSchema { schema },
        TableUpdate::SetCurrentSchema { schema_id: -1 },
        TableUpdate::SetProperties { updates: [("k".to_owned(), "v".to_owned())].into() },
    ];
    let request = |name| CommitRequest { updates: updates.clone(), ..appending(&world, &[name]) };
    let done = run(&world, stale.clone(), request("b1")).await.unwrap();
    let table = world.table();
    assert_eq!(table.metadata.properties()["k"], "v");
    assert!(table.metadata.current_schema().field_by_name("note").is_some());
    let snapshot = table.metadata.snapshot_by_id(done.snapshot_id).unwrap();
    assert_eq!(snapshot.schema_id(), Some(table.metadata.current_schema_id()));
    conflict(run(&world, stale, request("c1")).await);
    assert_eq!(world.names().await, ["a1", "b1"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Against a plain set of names: every live file once, every removed one gone, totals right.
    #[test]
    fn any_sequence_of_changes_leaves_the_files_that_a_plain_set_would(
        steps in proptest::collection::vec((1_usize..4, proptest::collection::vec(any::<u16>(), 0..3), any::<bool>()), 1..10),
        version in 1_u8..=3,
    ) {
        let version = [FormatVersion::V1, FormatVersion::V2, FormatVersion::V3][usize::from(version) - 1];
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let world = by_category(version, &[("commit.manifest.min-count-to-merge", "2")]);
            let mut expected: BTreeSet<String> = BTreeSet::new();
            for (step, (new, gone, merge)) in steps.into_iter().enumerate() {
                let all: Vec<String> = expected.iter().cloned().collect();
                let gone: BTreeSet<String> =
                    gone.iter().filter_map(|i| all.get(usize::from(*i) % all.len().max(1)).cloned()).collect();
                let new: Vec<String> =
                    (0..new).map(|i| format!("{}{step}-{i}", ["a", "b", "c"][(step + i) % 3])).collect();
                let (gone_names, new_names): (Vec<&str>, Vec<&str>) =
                    (gone.iter().map(String::as_str).collect(), new.iter().map(String::as_str).collect());
                let mut request = replacing(&world, &gone_names, &new_names, "id IS NULL").await;
                request.strategy = if merge { CommitStrategy::MergeCommit } else { CommitStrategy::FastAppend };
                let done = run(&world, world.base(), request).await.unwrap();
                expected.retain(|name| !gone.contains(name));
                expected.extend(new);
                let now: BTreeSet<String> = world.names().await.into_iter().collect();
                assert_eq!(now, expected);
                let summary = done.summary.additional_properties;
                assert_eq!(summary["total-data-files"], expected.len().to_string());
                assert_eq!(summary["total-records"], (expected.len() * 10).to_string());
                assert_eq!(summary["total-files-size"], (expected.len() * 100).to_string());
            }
        });
    }
}
