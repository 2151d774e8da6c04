//! Tags, branches, roll-backs and publishing.

use std::collections::BTreeMap;

use floe::ErrorKind;
use floe::base::SnapshotSelector;
use floe::model::{ChangeOptions, WriteConfig};
use floe::refs::BranchRetention;

use super::Target;
use super::rows::{append, read, read_at, read_branch, some, sorted, write};

/// Tags and branches are made, written to, read, moved and dropped.
pub async fn tags_and_branches_live_their_own_lives(target: &Target) {
    let table = target.table("branched").await;
    let manager = &target.manager;
    let first = append(manager, &table, &some(0..3, "a", "x")).await.snapshot_id.unwrap();
    manager.tag(&table, "v1", None, Some(86_400_000), false).await.unwrap();
    manager.branch(&table, "audit", None, BranchRetention::default(), false).await.unwrap();
    let on_audit = on("audit");
    write(manager, &table, &some(3..5, "a", "x"), &on_audit).await.unwrap();
    let other = target.another().await;
    assert_eq!(read(&other, &table).await, some(0..3, "a", "x"), "main is as it was");
    assert_eq!(read_branch(&other, &table, "audit").await, some(0..5, "a", "x"));
    let names: Vec<String> = other.list_refs(&table).await.unwrap().into_iter().map(|(n, _)| n).collect();
    assert_eq!(names, ["audit", "main", "v1"]);

    other.fast_forward(&table, "main", "audit").await.unwrap();
    assert_eq!(read(manager, &table).await, some(0..5, "a", "x"));
    let taken = manager.tag(&table, "v1", None, None, false).await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Validation, "{taken}");
    manager.tag(&table, "v1", None, None, true).await.unwrap();
    manager.drop_branch(&table, "audit").await.unwrap();
    assert_eq!(read_branch(&other, &table, "v1").await, some(0..5, "a", "x"));
    manager.drop_tag(&table, "v1").await.unwrap();
    let gone = read_at(&other, &table, SnapshotSelector::Ref("v1".into())).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::SnapshotNotFound);
    let old = read_at(&other, &table, SnapshotSelector::SnapshotId(first)).await.unwrap();
    assert_eq!(old, some(0..3, "a", "x"));
}

/// A roll-back goes back in a branch's own history only; any snapshot can be set.
pub async fn a_rollback_sets_a_branch_back(target: &Target) {
    let table = target.table("rolled").await;
    let manager = &target.manager;
    let first = append(manager, &table, &some(0..3, "a", "x")).await.snapshot_id.unwrap();
    let second = append(manager, &table, &some(3..6, "a", "x")).await.snapshot_id.unwrap();
    let other = target.another().await;
    other.rollback_to_snapshot(&table, None, first).await.unwrap();
    assert_eq!(read(manager, &table).await, some(0..3, "a", "x"));
    let refused = manager.rollback_to_snapshot(&table, None, second).await.unwrap_err();
    assert!([ErrorKind::Rollback, ErrorKind::SnapshotNotFound].contains(&refused.kind()), "{refused}");
    manager.set_current_snapshot(&table, None, second).await.unwrap();
    assert_eq!(read(&other, &table).await, some(0..6, "a", "x"));
    let missing = manager.rollback_to_snapshot(&table, None, 42).await.unwrap_err();
    assert!([ErrorKind::Rollback, ErrorKind::SnapshotNotFound].contains(&missing.kind()), "{missing}");
    append(&other, &table, &some(6..8, "a", "x")).await;
    assert_eq!(read(manager, &table).await, some(0..8, "a", "x"), "writing goes on from there");
}

/// A staged snapshot is invisible until it is published, which happens once.
pub async fn a_staged_snapshot_is_published_once(target: &Target) {
    let table = target.table("staged").await;
    let manager = &target.manager;
    append(manager, &table, &some(0..3, "a", "x")).await;
    let options = ChangeOptions {
        staged: true,
        snapshot_properties: BTreeMap::from([("wap.id".into(), "w1".into())]),
        ..ChangeOptions::default()
    };
    let staged = WriteConfig { options, ..WriteConfig::default() };
    write(manager, &table, &some(3..5, "a", "x"), &staged).await.unwrap();
    let other = target.another().await;
    assert_eq!(read(&other, &table).await, some(0..3, "a", "x"));
    append(&other, &table, &some(10..11, "a", "x")).await;
    let published = other.publish(&table, None, "w1").await.unwrap();
    let expected = sorted([some(0..5, "a", "x"), some(10..11, "a", "x")]);
    assert_eq!(read(manager, &table).await, expected);
    let again = manager.publish(&table, None, "w1").await.unwrap();
    assert_eq!(again, published, "a second call finds the first one's snapshot");
    assert_eq!(read(&other, &table).await, expected, "and adds nothing");
    let current = manager.list_snapshots(&table).await.unwrap().into_iter().find(|s| s.current).unwrap();
    assert_eq!(current.snapshot_id, published);
}

/// A snapshot of one branch is applied to another.
pub async fn a_snapshot_is_cherry_picked(target: &Target) {
    let table = target.table("picked").await;
    let manager = &target.manager;
    append(manager, &table, &some(0..3, "a", "x")).await;
    manager.branch(&table, "dev", None, BranchRetention::default(), false).await.unwrap();
    append(manager, &table, &some(3..4, "a", "main")).await;
    let on_dev = on("dev");
    let dev = write(manager, &table, &some(4..5, "a", "dev"), &on_dev).await.unwrap().snapshot_id.unwrap();
    target.another().await.cherry_pick(&table, None, dev).await.unwrap();
    let expected = sorted([some(0..3, "a", "x"), some(3..4, "a", "main"), some(4..5, "a", "dev")]);
    assert_eq!(read(manager, &table).await, expected);
}

/// Appends to a branch.
fn on(branch: &str) -> WriteConfig {
    let options = ChangeOptions { branch: Some(branch.into()), ..ChangeOptions::default() };
    WriteConfig { options, ..WriteConfig::default() }
}
