use std::collections::HashMap;
use std::sync::Arc;

use iceberg::spec::FormatVersion;

use super::*;
use crate::commit::tests::changes::{appending, by_category};
use crate::commit::tests::world::{Fate, World};
use crate::commit::{CommitRequest, commit_updates};
use floe_plan::backoff::RetryPolicy;

async fn append(world: &World, name: &str, branch: &str) -> i64 {
    let request = CommitRequest { branch: branch.into(), ..appending(world, &[name]) };
    world.commit_on(world.base(), request).await.unwrap().snapshot_id
}

async fn run(world: &World, build: impl Fn(&TableMetadata) -> Result<Vec<TableUpdate>>) -> Result<()> {
    commit_updates(world, &world.base(), build, &RetryPolicy::default(), &world.env).await.map(drop)
}

fn head(world: &World, name: &str) -> Option<i64> {
    world.table().metadata.snapshot_for_ref(name).map(|s| s.snapshot_id())
}

async fn two_snapshots() -> (Arc<World>, i64, i64) {
    let world = by_category(FormatVersion::V2, &[]);
    let first = append(&world, "a1", "main").await;
    let second = append(&world, "b1", "main").await;
    (world, first, second)
}

#[tokio::test]
async fn tags_and_branches_are_created_moved_and_dropped() {
    let (world, first, second) = two_snapshots().await;
    run(&world, |t| create_tag(t, "v1", Some(first), Some(1000))).await.unwrap();
    run(&world, |t| create_tag(t, "v1", Some(first), Some(1000))).await.unwrap();
    let taken = run(&world, |t| create_branch(t, "v1", None, BranchRetention::default())).await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Validation);
    run(&world, |t| replace_tag(t, "v1", None, None)).await.unwrap();
    assert_eq!(head(&world, "v1"), Some(second));
    assert!(run(&world, |t| drop_branch(t, "v1")).await.is_err());
    run(&world, |t| drop_tag(t, "v1")).await.unwrap();
    assert_eq!(head(&world, "v1"), None);
    assert!(run(&world, |t| drop_branch(t, "main")).await.is_err());
    let nowhere = run(&world, |t| create_tag(t, "v2", Some(5), None)).await.unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::SnapshotNotFound);
}

#[tokio::test]
async fn a_rollback_goes_to_ancestors_only() {
    let (world, first, second) = two_snapshots().await;
    run(&world, |t| create_branch(t, "dev", None, BranchRetention::default())).await.unwrap();
    let beside = append(&world, "c1", "dev").await;
    let refused = run(&world, |t| rollback_to_snapshot(t, "main", beside)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Rollback);
    run(&world, |t| rollback_to_snapshot(t, "main", first)).await.unwrap();
    assert_eq!(world.names().await, ["a1"]);
    run(&world, |t| set_current_snapshot(t, "main", second)).await.unwrap();
    assert_eq!(world.names().await, ["a1", "b1"]);
    let too_early = run(&world, |t| rollback_to_timestamp(t, "main", 5)).await.unwrap_err();
    assert_eq!(too_early.kind(), ErrorKind::Rollback);
    let at = world.table().metadata.snapshot_by_id(second).unwrap().timestamp_ms();
    run(&world, |t| rollback_to_timestamp(t, "main", at)).await.unwrap();
    assert_eq!(head(&world, "main"), Some(second));
}

#[tokio::test]
async fn a_fast_forward_loses_nothing() {
    let (world, _, second) = two_snapshots().await;
    run(&world, |t| create_branch(t, "dev", None, BranchRetention::default())).await.unwrap();
    let ahead = append(&world, "c1", "dev").await;
    run(&world, |t| fast_forward(t, "main", "dev")).await.unwrap();
    assert_eq!(head(&world, "main"), Some(ahead));
    append(&world, "d1", "main").await;
    let refused = run(&world, |t| fast_forward(t, "main", "dev")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Validation);
    assert_ne!(head(&world, "main"), Some(second));
}

#[tokio::test]
async fn a_lost_reply_of_a_metadata_commit_is_seen_through() {
    let (world, first, _) = two_snapshots().await;
    let already = world.proposals().len();
    world.next_commits(&[Fate::LostAfter]);
    run(&world, |t| create_tag(t, "v1", Some(first), None)).await.unwrap();
    world.next_commits(&[Fate::LostBefore]);
    run(&world, |t| create_tag(t, "v2", Some(first), None)).await.unwrap();
    assert_eq!((head(&world, "v1"), head(&world, "v2")), (Some(first), Some(first)));
    assert_eq!(world.proposals().len() - already, 3);
    world.next_commits(&[Fate::LostBefore; 9]);
    let error = run(&world, |t| create_tag(t, "v3", Some(first), None)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommitStateUnknown);
}

/// What the reply that got lost had brought about is not done once more over what another writer built upon it.
#[tokio::test]
async fn a_rollback_whose_reply_is_lost_does_not_undo_what_another_writer_committed_after_it() {
    let (world, first, _) = two_snapshots().await;
    run(&world, |t| create_branch(t, "dev", Some(first), BranchRetention::default())).await.unwrap();
    let after = append(&world, "c1", "dev").await;
    world.next_commits(&[Fate::LostAfter]);
    world.before_next_load(move_to(&world.table().metadata, "main", after).unwrap());
    let error = run(&world, |t| rollback_to_snapshot(t, "main", first)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommitStateUnknown);
    assert_eq!(head(&world, "main"), Some(after));
}

#[tokio::test]
async fn a_fast_forward_whose_reply_is_lost_is_found_below_another_writers_commit() {
    let (world, ..) = two_snapshots().await;
    run(&world, |t| create_branch(t, "dev", None, BranchRetention::default())).await.unwrap();
    append(&world, "c1", "dev").await;
    run(&world, |t| {
        create_branch(
            t,
            "next",
            t.snapshot_for_ref("dev").map(|s| s.snapshot_id()),
            BranchRetention::default(),
        )
    })
    .await
    .unwrap();
    let after = append(&world, "d1", "next").await;
    world.next_commits(&[Fate::LostAfter]);
    world.before_next_load(move_to(&world.table().metadata, "main", after).unwrap());
    run(&world, |t| fast_forward(t, "main", "dev")).await.unwrap();
    assert_eq!(head(&world, "main"), Some(after));
}

/// A request that is still on its way may take effect, whatever becomes of the next one.
#[tokio::test]
async fn after_a_lost_reply_a_refusal_of_the_repeat_leaves_the_outcome_unknown() {
    let (world, first, _) = two_snapshots().await;
    world.next_commits(&[Fate::LostBefore, Fate::Refused]);
    let error = run(&world, |t| create_tag(t, "v1", Some(first), None)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommitStateUnknown);
    world.next_commits(&[Fate::Refused]);
    let error = run(&world, |t| create_tag(t, "v1", Some(first), None)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn a_metadata_commit_is_tried_again_when_the_catalog_was_locked() {
    let (world, first, _) = two_snapshots().await;
    world.next_commits(&[Fate::Locked]);
    run(&world, |t| create_tag(t, "v1", Some(first), None)).await.unwrap();
    assert_eq!(head(&world, "v1"), Some(first));
}

async fn stage(world: &World, name: &str, wap_id: &str) -> i64 {
    let snapshot_properties = HashMap::from([("wap.id".to_owned(), wap_id.to_owned())]);
    let request = CommitRequest { staged: true, snapshot_properties, ..appending(world, &[name]) };
    world.commit_on(world.base(), request).await.unwrap().snapshot_id
}

async fn publish_now(world: &World, wap_id: &str) -> Result<i64> {
    publish(world, world.base(), "main", wap_id, &RetryPolicy::default(), &world.env).await
}

#[tokio::test]
async fn a_staged_snapshot_is_published_once_with_or_without_commits_in_between() {
    let (world, ..) = two_snapshots().await;
    let staged = stage(&world, "c1", "one").await;
    stage(&world, "d1", "two").await;
    assert_eq!(publish_now(&world, "one").await.unwrap(), staged, "nothing came in between");
    let picked = publish_now(&world, "two").await.unwrap();
    assert_eq!(world.names().await, ["a1", "b1", "c1", "d1"]);
    let summary = world.table().metadata.snapshot_by_id(picked).unwrap().summary().clone();
    assert_eq!(summary.additional_properties["published-wap-id"], "two");
    for (wap_id, there) in [("one", staged), ("two", picked)] {
        assert_eq!(
            publish_now(&world, wap_id).await.unwrap(),
            there,
            "the same call again finds what was done"
        );
    }
    assert_eq!(publish_now(&world, "none").await.unwrap_err().kind(), ErrorKind::SnapshotNotFound);
    assert_eq!(world.names().await, ["a1", "b1", "c1", "d1"]);
}

#[tokio::test]
async fn a_history_that_goes_in_a_circle_ends() {
    let (world, first, second) = two_snapshots().await;
    let mut json = serde_json::to_value(&*world.table().metadata).unwrap();
    for snapshot in json["snapshots"].as_array_mut().unwrap() {
        snapshot["parent-snapshot-id"] = second.into();
    }
    let table: TableMetadata = serde_json::from_value(json).unwrap();
    // The second one comes from itself.
    assert_eq!(history(&table, "main").count(), 1);
    assert_eq!(rollback_to_snapshot(&table, "main", first).unwrap_err().kind(), ErrorKind::Rollback);
}
