//! Publishing and cherry-picking beside others who publish, pick and roll back.

use std::collections::BTreeMap;
use std::time::Duration;

use floe_core::ErrorKind;
use floe_testkit::catalog::{Fault, FaultPlan, Method};

use super::lake::{Lake, rows};
use crate::base::SnapshotSelector;
use crate::model::{ChangeOptions, WriteConfig, WriteMode};
use crate::refs::BranchRetention;

fn staged(wap_id: &str) -> WriteConfig {
    let snapshot_properties = BTreeMap::from([("wap.id".to_owned(), wap_id.to_owned())]);
    let options = ChangeOptions { staged: true, snapshot_properties, ..ChangeOptions::default() };
    WriteConfig { options, ..WriteConfig::default() }
}

/// A table whose `main` has the row 1, and a staged snapshot upon that, with the wap.id `w`, which adds the row 2. The
/// ids of the two snapshots.
async fn audited() -> (Lake, i64, i64) {
    let lake = Lake::new(&[]).await;
    let first = lake.manager.write_data(&lake.table, rows(&[(1, "a", 1)]), &WriteConfig::default()).await;
    let staged = lake.manager.write_data(&lake.table, rows(&[(2, "a", 2)]), &staged("w")).await;
    let (first, staged) = (first.unwrap().snapshot_id.unwrap(), staged.unwrap().snapshot_id.unwrap());
    assert_eq!(lake.rows().await, ["1 a 1"]);
    (lake, first, staged)
}

async fn append(lake: &Lake, id: i64) {
    lake.another().write_data(&lake.table, rows(&[(id, "a", id)]), &WriteConfig::default()).await.unwrap();
}

/// The branch had moved, so that the change is to be committed again; then it is rolled back, and another one publishes by
/// moving the branch. The rows must not be there twice.
#[tokio::test]
async fn what_another_one_published_by_moving_the_branch_is_not_published_again() {
    let (lake, first, snapshot) = audited().await;
    append(&lake, 3).await;
    let (other, table) = (lake.another(), lake.table.clone());
    let (manager, _) = lake.after(async move {
        other.rollback_to_snapshot(&table, None, first).await.unwrap();
        assert_eq!(other.publish(&table, None, "w").await.unwrap(), snapshot);
    });
    assert_eq!(manager.publish(&lake.table, None, "w").await.unwrap(), snapshot);
    assert_eq!(lake.rows().await, ["1 a 1", "2 a 2"]);
}

/// The other way round: the branch was to be moved, and another one committed the change again.
#[tokio::test]
async fn what_another_one_committed_again_is_not_published_by_moving_the_branch() {
    let (lake, ..) = audited().await;
    let (other, table) = (lake.another(), lake.table.clone());
    let (manager, _) = lake.after(async move {
        let data = rows(&[(3, "a", 3)]);
        other.write_data(&table, data, &WriteConfig::default()).await.unwrap();
        other.publish(&table, None, "w").await.unwrap();
    });
    let published = manager.publish(&lake.table, None, "w").await.unwrap();
    assert_eq!(lake.rows().await, ["1 a 1", "2 a 2", "3 a 3"]);
    let head = lake.manager.load_table(&lake.table).await.unwrap().metadata.current_snapshot_id();
    assert_eq!(head, Some(published), "the snapshot of the other one");
}

/// It took effect, its reply got lost, and it was rolled back: trying again would bring back what was rolled back.
#[tokio::test]
async fn a_publish_whose_reply_got_lost_does_not_undo_the_rollback_that_came_after_it() {
    for branch in [None, Some("audit")] {
        let (lake, first, snapshot) = audited().await;
        lake.manager
            .branch(&lake.table, "audit", Some(first), BranchRetention::default(), false)
            .await
            .unwrap();
        let (other, table) = (lake.another(), lake.table.clone());
        let plan = FaultPlan::none().at(Method::Commit, 1, Fault::LostReply).at(
            Method::LoadTable,
            2,
            Fault::Delay(Duration::from_secs(1)),
        );
        let (manager, catalog) = lake.with_faults(plan, async move {
            other.rollback_to_snapshot(&table, branch, first).await.unwrap();
        });
        assert_eq!(manager.publish(&lake.table, branch, "w").await.unwrap(), snapshot);
        assert_eq!(catalog.calls(Method::Commit), 1);
        let at = SnapshotSelector::Ref(branch.unwrap_or("main").into());
        assert_eq!(lake.rows_at(at).await, ["1 a 1"], "the rollback stands");
    }
}

#[tokio::test]
async fn a_publish_that_got_lost_on_its_way_is_tried_again_though_others_committed() {
    let (lake, first, snapshot) = audited().await;
    let (other, table) = (lake.another(), lake.table.clone());
    let plan = FaultPlan::none().at(Method::Commit, 1, Fault::LostRequest).at(
        Method::LoadTable,
        2,
        Fault::Delay(Duration::from_secs(1)),
    );
    let (manager, catalog) = lake.with_faults(plan, async move {
        other.tag(&table, "meanwhile", Some(first), None, false).await.unwrap();
    });
    assert_eq!(manager.publish(&lake.table, None, "w").await.unwrap(), snapshot);
    assert_eq!(catalog.calls(Method::Commit), 2);
    assert_eq!(lake.rows().await, ["1 a 1", "2 a 2"]);
}

/// Another one published and rolled that back before this one's turn: it was done, and it was undone.
#[tokio::test]
async fn a_publish_does_not_bring_back_what_was_published_and_rolled_back_meanwhile() {
    let (lake, first, snapshot) = audited().await;
    let (other, table) = (lake.another(), lake.table.clone());
    let plan = FaultPlan::none().at(Method::Commit, 1, Fault::SpuriousConflict).at(
        Method::LoadTable,
        2,
        Fault::Delay(Duration::from_secs(1)),
    );
    let (manager, _) = lake.with_faults(plan, async move {
        other.cherry_pick(&table, None, snapshot).await.unwrap();
        other.rollback_to_snapshot(&table, None, first).await.unwrap();
    });
    assert_eq!(manager.publish(&lake.table, None, "w").await.unwrap(), snapshot);
    assert_eq!(lake.rows().await, ["1 a 1"]);
    // Whoever asks again after that means it.
    assert_eq!(lake.manager.publish(&lake.table, None, "w").await.unwrap(), snapshot);
    assert_eq!(lake.rows().await, ["1 a 1", "2 a 2"]);
}

#[tokio::test]
async fn publishing_goes_together_with_other_operations() {
    for moved in [false, true] {
        let (lake, ..) = audited().await;
        if moved {
            append(&lake, 3).await;
        }
        let versions = lake.versions();
        let done = lake
            .manager
            .transaction(&lake.table)
            .publish(None, "w")
            .tag("published", None, None, false)
            .write(rows(&[(4, "b", 4)]), WriteConfig::default())
            .idempotency_key("p")
            .commit()
            .await
            .unwrap();
        assert_eq!(lake.versions(), versions + 1);
        assert_eq!(done.snapshot_ids.len(), if moved { 2 } else { 1 });
        let expected: &[&str] =
            if moved { &["1 a 1", "2 a 2", "3 a 3", "4 b 4"] } else { &["1 a 1", "2 a 2", "4 b 4"] };
        assert_eq!(lake.rows().await, expected);
        let tagged = lake.rows_at(SnapshotSelector::Ref("published".into())).await;
        assert_eq!(tagged, expected[..expected.len() - 1]);
        // It is published: there is nothing to do but the other operation.
        let again = lake.manager.transaction(&lake.table).publish(None, "w").set_properties([("a", "b")]);
        let again = again.commit().await.unwrap();
        assert_eq!((again.steps[0].unchanged, again.steps[1].unchanged), (true, false));
        assert_eq!(lake.rows().await, expected);
    }
}

#[tokio::test]
async fn a_transaction_does_not_publish_what_others_published_meanwhile() {
    for moved in [false, true] {
        let (lake, first, snapshot) = audited().await;
        if moved {
            append(&lake, 3).await;
        }
        let (other, table) = (lake.another(), lake.table.clone());
        let (manager, _) = lake.after(async move {
            if moved {
                other.rollback_to_snapshot(&table, None, first).await.unwrap();
            }
            other.publish(&table, None, "w").await.unwrap();
        });
        let transaction = manager.transaction(&lake.table).cherry_pick(None, snapshot);
        let error =
            transaction.write(rows(&[(4, "b", 4)]), WriteConfig::default()).commit().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CommitConflict, "{error}");
        assert_eq!(lake.rows().await, ["1 a 1", "2 a 2"]);
        // Without data it is made anew: there is nothing left to do.
        let (other, table) = (lake.another(), lake.table.clone());
        let (manager, _) = lake.after(async move {
            other.tag(&table, "meanwhile", None, None, false).await.unwrap();
        });
        let transaction = manager.transaction(&lake.table).publish(None, "w").set_properties([("a", "b")]);
        assert!(transaction.commit().await.unwrap().snapshot_ids.is_empty());
        assert_eq!(lake.rows().await, ["1 a 1", "2 a 2"]);
    }
}

/// An overwrite of whole partitions replaces what its parent had. What came after that must not be in the way, be it of
/// others or of the transaction.
#[tokio::test]
async fn an_overwrite_is_picked_only_where_its_partitions_are_as_it_found_them() {
    let lake = Lake::new(&[]).await;
    append(&lake, 1).await;
    let overwrite =
        WriteConfig { mode: WriteMode::Overwrite, overwrite_partitions: true, ..staged("overwrite") };
    lake.manager.write_data(&lake.table, rows(&[(9, "a", 9)]), &overwrite).await.unwrap();
    let elsewhere = |id| rows(&[(id, "b", id)]);
    lake.manager.write_data(&lake.table, elsewhere(2), &WriteConfig::default()).await.unwrap();
    let transaction = lake.manager.transaction(&lake.table);
    let after_own =
        transaction.write(rows(&[(5, "a", 5)]), WriteConfig::default()).publish(None, "overwrite");
    let error = after_own.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
    assert!(error.to_string().contains("operation 2"), "{error}");
    let transaction = lake.manager.transaction(&lake.table).publish(None, "overwrite");
    transaction.write(elsewhere(3), WriteConfig::default()).commit().await.unwrap();
    assert_eq!(lake.rows().await, ["2 b 2", "3 b 3", "9 a 9"]);
}
