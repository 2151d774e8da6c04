//! What a commit makes of each outcome, and what it deletes.

use std::collections::HashMap;

use floe_core::ErrorKind;
use floe_plan::backoff::RetryPolicy;
use floe_plan::summary::COMMIT_TOKEN;
use iceberg::TableRequirement;
use iceberg::TableUpdate;
use iceberg::spec::{FormatVersion, SnapshotReference, SnapshotRetention};

use super::world::{Fate, World};
use crate::commit::{CommitRequest, Pending};

fn v2() -> std::sync::Arc<World> {
    World::new(FormatVersion::V2, &[])
}

fn retries(max_retries: u32) -> RetryPolicy {
    RetryPolicy { max_retries, ..RetryPolicy::default() }
}

#[tokio::test]
async fn an_append_adds_its_files_and_says_so_in_the_summary() {
    let world = v2();
    let first = world.append(&["a", "b"]).await.unwrap();
    assert_eq!((first.attempts, first.unused_files.len()), (1, 0));
    let second = world.append(&["c"]).await.unwrap();
    assert_eq!(world.names().await, ["a", "b", "c"]);
    assert_eq!(second.summary.additional_properties["total-records"], "30");
    let snapshot = world.table().metadata.current_snapshot().unwrap().clone();
    assert_eq!(snapshot.snapshot_id(), second.snapshot_id);
    assert_eq!(snapshot.parent_snapshot_id(), Some(first.snapshot_id));
    let live = world.live().await;
    let sequences = ["a", "b", "c"].map(|name| live[name].sequence_number.unwrap());
    assert_eq!(sequences, [1, 1, 2]);
    assert_eq!(live["a"].snapshot_id, Some(first.snapshot_id));
}

/// duckdb-iceberg #631: without "no current snapshot" as a requirement, the second of two first commits replaces
/// the first.
#[tokio::test]
async fn two_first_commits_both_count() {
    let world = v2();
    let empty = world.base();
    world.append(&["a"]).await.unwrap();
    let second = world.commit_on(empty, world.request(&["b"])).await.unwrap();
    assert_eq!(second.attempts, 2);
    assert_eq!(world.names().await, ["a", "b"]);
    let absent = TableRequirement::RefSnapshotIdMatch { r#ref: "main".into(), snapshot_id: None };
    assert!(world.proposals()[1].contains(&absent));
}

/// iceberg-go #976: a retry that kept the manifest list of its first attempt would drop the other's files.
#[tokio::test]
async fn after_a_conflict_the_retry_builds_on_the_new_head_and_writes_the_manifest_once() {
    let world = v2();
    world.append(&["a"]).await.unwrap();
    let stale = world.base();
    world.append(&["b"]).await.unwrap();
    let late = world.commit_on(stale, world.request(&["c"])).await.unwrap();
    assert_eq!(late.attempts, 2);
    assert_eq!(world.names().await, ["a", "b", "c"]);
    assert_eq!(world.live().await["c"].sequence_number, Some(3));
    assert_eq!(late.summary.additional_properties["total-data-files"], "3");
    let newest = &world.manifests().await[0];
    assert!(newest.manifest_path.ends_with("-m0.avro"), "{}", newest.manifest_path);
    assert!(!world.exists(&newest.manifest_path.replace("-m0.", "-m1.")).await);
    // The list of the attempt that lost is gone, the one that won is there.
    let list = world.table().metadata.current_snapshot().unwrap().manifest_list().to_owned();
    assert!(list.contains(&format!("snap-{}-2-", late.snapshot_id)));
    assert!(world.exists(&list).await);
    assert!(!world.exists(&list.replace("-2-", "-1-")).await);
}

/// apache/iceberg #2317 and #15050: after a lost reply, nothing that the table may refer to is deleted.
#[tokio::test]
async fn a_lost_reply_of_a_commit_that_took_effect_is_a_success() {
    let world = v2();
    world.next_commits(&[Fate::LostAfter]);
    let done = world.append(&["a"]).await.unwrap();
    assert_eq!(done.attempts, 1);
    assert_eq!(world.table().metadata.current_snapshot_id(), Some(done.snapshot_id));
    assert_eq!(world.names().await, ["a"]);
}

/// apache/iceberg #13867: the replay of a commit whose reply was lost must not be applied twice.
#[tokio::test]
async fn a_commit_that_took_effect_is_not_applied_again_below_another_writers() {
    let world = v2();
    world.next_commits(&[Fate::LostAfter]);
    world.next_loads_fail(2);
    let done = world.append(&["a"]).await.unwrap();
    world.append(&["b"]).await.unwrap();
    assert_eq!(world.names().await, ["a", "b"]);
    assert_eq!(world.proposals().len(), 2);
    assert_eq!(done.summary.additional_properties["added-data-files"], "1");
}

#[tokio::test]
async fn a_false_conflict_is_seen_through() {
    let world = v2();
    world.next_commits(&[Fate::FalseConflict]);
    world.append(&["a"]).await.unwrap();
    assert_eq!(world.proposals().len(), 1);
    assert_eq!(world.names().await, ["a"]);
}

#[tokio::test]
async fn a_false_conflict_is_seen_through_even_without_retries() {
    let world = v2();
    world.next_commits(&[Fate::FalseConflict]);
    let once = CommitRequest { retry: retries(0), ..world.request(&["a"]) };
    world.commit_on(world.base(), once).await.unwrap();
    assert_eq!(world.names().await, ["a"]);
}

/// The repeat has the same snapshot id and the same requirement: at most one of the two can take effect.
#[tokio::test]
async fn a_commit_that_got_lost_on_its_way_is_proposed_again_with_the_same_snapshot_id() {
    let world = v2();
    world.next_commits(&[Fate::LostBefore]);
    let done = world.append(&["a"]).await.unwrap();
    assert_eq!(done.attempts, 2);
    assert_eq!(world.names().await, ["a"]);
    let proposals = world.proposals();
    assert_eq!(proposals[0], proposals[1]);
}

/// apache/iceberg #15050.
#[tokio::test]
async fn when_the_outcome_stays_unknown_nothing_is_deleted() {
    let world = v2();
    world.table().file_io.new_output(world.location("a")).unwrap().write("data".into()).await.unwrap();
    world.next_commits(&[Fate::LostBefore; 3]);
    let asked = CommitRequest { retry: retries(2), delete_added_on_failure: true, ..world.request(&["a"]) };
    let error = world.commit_on(world.base(), asked).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommitStateUnknown);
    assert_eq!(error.table(), Some("ns.t"));
    assert_eq!(world.proposals().len(), 3);
    assert!(world.exists(&world.location("a")).await);
    assert_eq!(world.metadata_files(), 2, "one manifest and, the head being the same, one manifest list");
}

/// The branch may come back to where it was, and then a request that is still on its way takes effect.
#[tokio::test]
async fn when_the_branch_was_only_set_back_meanwhile_the_outcome_stays_unknown() {
    let world = v2();
    let first = world.append(&["a"]).await.unwrap();
    world.append(&["b"]).await.unwrap();
    world.table().file_io.new_output(world.location("c")).unwrap().write("data".into()).await.unwrap();
    world.next_commits(&[Fate::LostBefore]);
    let reference = SnapshotReference::new(first.snapshot_id, SnapshotRetention::branch(None, None, None));
    world.before_next_load(vec![TableUpdate::SetSnapshotRef { ref_name: "main".into(), reference }]);
    let asked = CommitRequest { retry: retries(0), delete_added_on_failure: true, ..world.request(&["c"]) };
    let error = world.commit_on(world.base(), asked).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommitStateUnknown);
    assert!(world.exists(&world.location("c")).await);
}

#[tokio::test]
async fn when_the_table_cannot_be_looked_at_the_outcome_is_unknown() {
    let world = v2();
    world.next_commits(&[Fate::LostAfter]);
    world.next_loads_fail(99);
    let asked = CommitRequest { retry: retries(2), delete_added_on_failure: true, ..world.request(&["a"]) };
    let error = world.commit_on(world.base(), asked).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommitStateUnknown);
    assert_eq!(world.names().await, ["a"]);
}

/// Once another commit has moved the branch, the lost one cannot take effect any more.
#[tokio::test]
async fn a_lost_commit_that_another_overtook_is_a_conflict_and_still_nothing_is_deleted() {
    let world = v2();
    let stale = world.base();
    world.append(&["b"]).await.unwrap();
    // The loser never hears of its attempt, and finds the branch moved.
    world.next_commits(&[Fate::LostBefore]);
    let asked = CommitRequest { retry: retries(0), ..world.request(&["a"]) };
    let error = world.commit_on(stale, asked).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommitConflict);
    assert_eq!(world.names().await, ["b"]);
    assert_eq!(world.metadata_files(), 4);
}

#[tokio::test]
async fn a_definite_failure_leaves_nothing_behind() {
    let world = v2();
    world.append(&["a"]).await.unwrap();
    world.table().file_io.new_output(world.location("b")).unwrap().write("data".into()).await.unwrap();
    world.next_commits(&[Fate::Refused]);
    let asked = CommitRequest { delete_added_on_failure: true, ..world.request(&["b"]) };
    let error = world.commit_on(world.base(), asked).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(!world.exists(&world.location("b")).await);
    assert_eq!(world.metadata_files(), 2, "those of the first commit");
    assert_eq!(world.names().await, ["a"]);
}

#[tokio::test]
async fn data_files_stay_after_a_failure_unless_asked_for() {
    let world = v2();
    world.table().file_io.new_output(world.location("a")).unwrap().write("data".into()).await.unwrap();
    world.next_commits(&[Fate::Refused]);
    world.append(&["a"]).await.unwrap_err();
    assert!(world.exists(&world.location("a")).await);
    assert_eq!(world.metadata_files(), 0);
}

#[tokio::test]
async fn conflicts_without_end_are_an_error_after_the_last_retry() {
    let world = v2();
    let stale = world.base();
    world.append(&["a"]).await.unwrap();
    let asked = CommitRequest { retry: retries(0), ..world.request(&["b"]) };
    let error = world.commit_on(stale, asked).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommitConflict);
    assert_eq!(world.metadata_files(), 2, "those of the first commit");
}

#[tokio::test]
async fn a_token_that_the_history_has_gives_the_earlier_snapshot() {
    let world = v2();
    let with_token = |names| CommitRequest { token: Some("run-1".into()), ..world.request(names) };
    let first = world.commit_on(world.base(), with_token(&["a"])).await.unwrap();
    assert_eq!(first.summary.additional_properties[COMMIT_TOKEN], "run-1");
    world.append(&["b"]).await.unwrap();
    let again = world.commit_on(world.base(), with_token(&["c"])).await.unwrap();
    assert_eq!((again.snapshot_id, again.attempts), (first.snapshot_id, 0));
    assert_eq!(again.unused_files, [world.location("c")]);
    assert_eq!(world.names().await, ["a", "b"]);
    // The very files that the earlier commit added are in use.
    let same = world.commit_on(world.base(), with_token(&["a"])).await.unwrap();
    assert!(same.unused_files.is_empty());
}

#[tokio::test]
async fn a_change_that_does_not_fit_writes_nothing() {
    let world = v2();
    let twice = world.append(&["a", "a"]).await.unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Validation);
    let properties = HashMap::from([("total-records".to_owned(), "7".to_owned())]);
    let reserved = CommitRequest { snapshot_properties: properties, ..world.request(&["a"]) };
    let error = world.commit_on(world.base(), reserved).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert_eq!(world.metadata_files(), 0);
}

#[tokio::test]
async fn a_branch_is_written_to_and_keeps_its_retention() {
    let world = v2();
    let first = world.append(&["a"]).await.unwrap();
    let retention = SnapshotRetention::branch(Some(3), None, None);
    let reference = SnapshotReference::new(first.snapshot_id, retention.clone());
    world.alter(&[TableUpdate::SetSnapshotRef { ref_name: "audit".into(), reference }]);
    let asked = CommitRequest { branch: "audit".into(), ..world.request(&["b"]) };
    let done = world.commit_on(world.base(), asked).await.unwrap();
    assert_eq!(world.names().await, ["a"], "main stays");
    let audit = floe_plan::requirements::refs::branch(&world.table().metadata, "audit").unwrap();
    assert_eq!(audit, Some(SnapshotReference::new(done.snapshot_id, retention)));
    let missing = CommitRequest { branch: "none".into(), ..world.request(&["c"]) };
    let error = world.commit_on(world.base(), missing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SnapshotNotFound);
}

#[tokio::test]
async fn time_in_the_history_never_runs_backwards() {
    let world = v2();
    // Far ahead of the other writer, and of the clock of the machine, which stamped the table.
    world.env.advance(std::time::Duration::from_secs(3600 * 24 * 365 * 100));
    world.append(&["a"]).await.unwrap();
    let ahead = world.table().metadata.current_snapshot().unwrap().timestamp_ms();
    let slow = floe_testkit::SeededEnvironment::new(5);
    let done = crate::commit::commit(&*world, world.base(), world.request(&["b"]), &slow).await.unwrap();
    let behind = done.table.metadata.current_snapshot().unwrap().timestamp_ms();
    assert!(behind >= ahead, "{behind} {ahead}");
}

#[tokio::test]
async fn eight_writers_at_once_all_get_through_and_every_file_is_there_once() {
    let world = v2();
    let writers = (0..8).map(|writer| {
        let world = world.clone();
        tokio::spawn(async move {
            for round in 0..5 {
                let name = format!("{writer}-{round}");
                let asked = CommitRequest { retry: retries(200), ..world.request(&[&name]) };
                world.commit_on(world.base(), asked).await.unwrap();
                tokio::task::yield_now().await;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let mut expected: Vec<String> = (0..8).flat_map(|w| (0..5).map(move |r| format!("{w}-{r}"))).collect();
    expected.sort();
    assert_eq!(world.names().await, expected);
    let summary = world.table().metadata.current_snapshot().unwrap().summary().clone();
    assert_eq!(summary.additional_properties["total-data-files"], "40");
    assert_eq!(world.metadata_files(), 80, "a manifest and a list for each commit, none left over");
}

#[tokio::test]
async fn writers_that_take_turns_all_get_through_at_the_first_attempt() {
    let world = v2();
    world.take_turns();
    // Every writer starts from the empty table, which is long out of date when its turn comes.
    let stale = world.base();
    let writers = (0..8).map(|writer| {
        let (world, stale) = (world.clone(), stale.clone());
        tokio::spawn(async move {
            for round in 0..10 {
                let name = format!("{writer}-{round}");
                let asked = CommitRequest { retry: retries(0), ..world.request(&[&name]) };
                let done = world.commit_on(stale.clone(), asked).await.unwrap();
                assert_eq!(done.attempts, 1);
                tokio::task::yield_now().await;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(world.names().await.len(), 80);
    assert_eq!(world.proposals().len(), 80, "nobody proposed in vain");
    assert_eq!(world.metadata_files(), 160, "a manifest and a list for each commit, none left over");
}

#[tokio::test]
async fn a_catalog_that_was_locked_is_tried_again_and_its_error_is_the_last_word() {
    let world = v2();
    world.next_commits(&[Fate::Locked, Fate::Locked]);
    let asked = CommitRequest { retry: retries(2), ..world.request(&["a"]) };
    assert_eq!(world.commit_on(world.base(), asked).await.unwrap().attempts, 3);
    world.next_commits(&[Fate::Locked, Fate::Locked]);
    let asked = CommitRequest { retry: retries(1), ..world.request(&["b"]) };
    let error = world.commit_on(world.base(), asked).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(world.names().await, ["a"]);
    assert_eq!(world.metadata_files(), 2, "what the failed commit wrote is gone");
}

#[tokio::test]
async fn a_transaction_that_others_overtook_while_it_waited_for_its_turn_is_laid_out_anew() {
    let world = v2();
    world.append(&["a"]).await.unwrap();
    world.take_turns();
    let mut pending = Pending::new(world.base(), retries(0), None, None);
    pending.snapshot(world.request(&["b"]), &world.env).await.unwrap();
    pending.snapshot(world.request(&["c"]), &world.env).await.unwrap();
    world.append(&["d"]).await.unwrap();
    let done = pending.commit(&*world, &world.env).await.unwrap();
    assert_eq!((done.attempts, done.snapshot_ids.len()), (1, 2));
    assert_eq!(world.names().await, ["a", "b", "c", "d"]);
    assert_eq!(world.metadata_files(), 8, "a manifest and a list for each snapshot, none left over");
}
