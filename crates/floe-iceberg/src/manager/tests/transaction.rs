use floe_core::ErrorKind;
use floe_plan::expr::Expr;
use floe_testkit::catalog::{Fault, Method};

use super::evolution::evolution;
use super::lake::{Lake, rows};
use crate::base::SnapshotSelector;
use crate::model::{ChangeOptions, DeleteConfig, WriteConfig, WriteMode};
use crate::refs::BranchRetention;
use crate::{IcebergTableManager, Transaction};

const ADD: &str = r#"{"add_column": {"column": "note", "type": "string"}}"#;

fn overwrite(filter: &str) -> WriteConfig {
    WriteConfig {
        mode: WriteMode::Overwrite,
        overwrite_filter: Some(filter.into()),
        ..WriteConfig::default()
    }
}

fn upsert() -> WriteConfig {
    WriteConfig { mode: WriteMode::Upsert, join_columns: vec!["id".into()], ..WriteConfig::default() }
}

fn on(branch: &str) -> WriteConfig {
    let options = ChangeOptions { branch: Some(branch.into()), ..ChangeOptions::default() };
    WriteConfig { options, ..WriteConfig::default() }
}

fn filter(text: &str) -> Expr {
    Expr::parse(text).unwrap()
}

async fn lake() -> Lake {
    let lake = Lake::new(&[]).await;
    let data = rows(&[(1, "a", 1), (2, "a", 2), (3, "b", 3)]);
    lake.manager.write_data(&lake.table, data, &WriteConfig::default()).await.unwrap();
    lake
}

#[tokio::test]
async fn schema_overwrite_and_property_are_one_version_of_the_table() {
    let lake = lake().await;
    let versions = lake.versions();
    let done = lake
        .manager
        .transaction(&lake.table)
        .evolve_schema(evolution(ADD))
        .write(rows(&[(9, "a", 9)]), overwrite("part = 'a'"))
        .set_properties([("owner", "me")])
        .commit()
        .await
        .unwrap();
    assert_eq!((done.snapshot_ids.len(), done.attempts, done.replayed), (1, 1, false));
    assert_eq!(lake.versions(), versions + 1);
    assert_eq!(lake.rows().await, ["3 b 3 NULL", "9 a 9 NULL"]);
    let table = lake.manager.load_table(&lake.table).await.unwrap();
    assert_eq!(table.metadata.properties()["owner"], "me");
    let head = table.metadata.current_snapshot().unwrap();
    assert_eq!((head.snapshot_id(), head.schema_id()), (done.snapshot_ids[0], Some(1)));
}

#[tokio::test]
async fn each_operation_sees_those_before_it() {
    let lake = lake().await;
    let versions = lake.versions();
    let done = lake
        .manager
        .transaction(&lake.table)
        .write(rows(&[(4, "c", 4), (5, "c", 5)]), WriteConfig::default())
        .tag("loaded", None, None, false)
        .delete(filter("id = 4 OR id = 1"), DeleteConfig::default())
        .write(rows(&[(5, "c", 55), (6, "a", 6)]), upsert())
        .evolve_schema(evolution(r#"{"rename_column": {"column": "v", "new_name": "w"}}"#))
        .delete(filter("w = 6"), DeleteConfig::default())
        .commit()
        .await
        .unwrap();
    assert_eq!(done.snapshot_ids.len(), 4);
    assert_eq!(lake.versions(), versions + 1);
    assert_eq!(lake.rows().await, ["2 a 2", "3 b 3", "5 c 55"]);
    let tagged = lake.rows_at(SnapshotSelector::Ref("loaded".into())).await;
    assert_eq!(tagged, ["1 a 1", "2 a 2", "3 b 3", "4 c 4", "5 c 5"]);
    let snapshots = lake.snapshots().await;
    let numbers: Vec<i64> = snapshots.iter().map(|snapshot| snapshot.sequence_number()).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    let parents: Vec<_> =
        snapshots[1..].iter().map(|snapshot| snapshot.parent_snapshot_id().unwrap()).collect();
    let ids: Vec<_> = snapshots[..4].iter().map(|snapshot| snapshot.snapshot_id()).collect();
    assert_eq!(parents, ids);
    let total = &snapshots[4].summary().additional_properties["total-records"];
    assert_eq!(total, "3", "totals go on from one snapshot to the next");
}

#[tokio::test]
async fn a_branch_of_the_transaction_can_be_written_to() {
    let lake = lake().await;
    let transaction = lake.manager.transaction(&lake.table);
    transaction
        .branch("dev", None, BranchRetention::default(), false)
        .write(rows(&[(7, "d", 7)]), on("dev"))
        .commit()
        .await
        .unwrap();
    assert_eq!(lake.rows().await, ["1 a 1", "2 a 2", "3 b 3"]);
    let dev = lake.rows_at(SnapshotSelector::Ref("dev".into())).await;
    assert_eq!(dev, ["1 a 1", "2 a 2", "3 b 3", "7 d 7"]);
}

#[tokio::test]
async fn an_operation_that_fails_leaves_nothing_behind() {
    let lake = lake().await;
    let before = (lake.data_files(), lake.manifest_files(), lake.versions());
    let error = lake
        .manager
        .transaction(&lake.table)
        .evolve_schema(evolution(ADD))
        .write(rows(&[(4, "c", 4)]), WriteConfig::default())
        .delete(filter("none = 1"), DeleteConfig::default())
        .commit()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert!(error.to_string().contains("operation 3"), "{error}");
    assert_eq!((lake.data_files(), lake.manifest_files(), lake.versions()), before);
    let dry = lake.manager.transaction(&lake.table).write(rows(&[(4, "c", 4)]), WriteConfig::default());
    let dry = dry.dry_run(true).commit().await.unwrap();
    assert_eq!((dry.steps[0].write.as_ref().unwrap().rows, dry.attempts), (1, 0));
    assert_eq!((lake.data_files(), lake.manifest_files(), lake.versions()), before);
}

#[tokio::test]
async fn a_commit_in_between_is_gone_together_with_or_a_conflict() {
    let lake = lake().await;
    let run = async |theirs: (i64, &'static str, i64)| {
        let (other, table) = (lake.another(), lake.table.clone());
        let (manager, catalog) = lake.after(async move {
            other.write_data(&table, rows(&[theirs]), &WriteConfig::default()).await.unwrap();
        });
        let done = manager
            .transaction(&lake.table)
            .write(rows(&[(10 + theirs.0, "c", 1)]), WriteConfig::default())
            .write(rows(&[(20 + theirs.0, "c", 2)]), overwrite("part = 'c'"))
            .commit()
            .await;
        (done, catalog.calls(Method::Commit))
    };
    let (done, commits) = run((4, "z", 4)).await;
    assert_eq!((done.unwrap().attempts, commits), (2, 2));
    assert_eq!(lake.rows().await, ["1 a 1", "2 a 2", "24 c 2", "3 b 3", "4 z 4"]);
    let numbers: Vec<i64> = lake.snapshots().await.iter().map(|s| s.sequence_number()).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    let files = (lake.data_files(), lake.manifest_files());
    let (refused, _) = run((5, "c", 5)).await;
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommitConflict, "{error}");
    assert_eq!(lake.rows().await, ["1 a 1", "2 a 2", "24 c 2", "3 b 3", "4 z 4", "5 c 5"]);
    // What the other one wrote, and nothing else.
    assert_eq!((lake.data_files(), lake.manifest_files()), (files.0 + 1, files.1 + 2));
}

#[tokio::test]
async fn a_schema_that_others_changed_too_is_a_conflict_for_files_of_the_new_schema() {
    let lake = lake().await;
    let (other, table) = (lake.another(), lake.table.clone());
    let (manager, _) = lake.after(async move {
        let change = r#"{"add_column": {"column": "theirs", "type": "int"}}"#;
        other.evolve_schema(&table, &evolution(change)).await.unwrap();
    });
    let transaction = manager.transaction(&lake.table).evolve_schema(evolution(ADD));
    let error = transaction.write(rows(&[(4, "c", 4)]), WriteConfig::default()).commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommitConflict, "{error}");
    assert_eq!(lake.rows().await, ["1 a 1 NULL", "2 a 2 NULL", "3 b 3 NULL"]);
    // Without data it is made anew upon the other change.
    let alone =
        lake.manager.transaction(&lake.table).evolve_schema(evolution(ADD)).set_properties([("x", "y")]);
    assert!(alone.commit().await.unwrap().snapshot_ids.is_empty());
}

fn load<'m>(manager: &'m IcebergTableManager, lake: &Lake) -> Transaction<'m> {
    let transaction = manager.transaction(&lake.table).evolve_schema(evolution(ADD));
    let transaction = transaction.write(rows(&[(4, "c", 4)]), WriteConfig::default());
    transaction.delete(filter("id = 1"), DeleteConfig::default()).idempotency_key("load-1")
}

#[tokio::test]
async fn lost_replies_and_repeated_calls_do_it_once() {
    for fault in [Fault::LostReply, Fault::LostRequest] {
        let lake = lake().await;
        let faulty = lake.faulty(fault);
        let done = load(&faulty, &lake).commit().await.unwrap();
        assert_eq!(done.snapshot_ids.len(), 2, "{fault:?}");
        let again = load(&lake.another(), &lake).commit().await.unwrap();
        assert_eq!((again.replayed, again.snapshot_ids.last()), (true, done.snapshot_ids.last()));
        assert_eq!(lake.rows().await, ["2 a 2 NULL", "3 b 3 NULL", "4 c 4 NULL"]);
        let other =
            lake.manager.transaction(&lake.table).set_properties([("a", "b")]).idempotency_key("load-1");
        assert_eq!(other.commit().await.unwrap_err().kind(), ErrorKind::Validation);
    }
}

#[tokio::test]
async fn attempts_are_counted_whatever_is_committed() {
    for (fault, attempts) in [(Fault::SpuriousConflict, 2), (Fault::LostRequest, 2), (Fault::LostReply, 1)] {
        let lake = lake().await;
        let faulty = lake.faulty(fault);
        let done = faulty.transaction(&lake.table).set_properties([("a", "b")]).commit().await.unwrap();
        assert_eq!(done.attempts, attempts, "properties, {fault:?}");
        let again =
            lake.manager.transaction(&lake.table).set_properties([("a", "b")]).commit().await.unwrap();
        assert_eq!(again.attempts, 0, "nothing to do");
        let faulty = lake.faulty(fault);
        let rows = faulty.transaction(&lake.table).write(rows(&[(4, "c", 4)]), WriteConfig::default());
        assert_eq!(rows.commit().await.unwrap().attempts, attempts, "rows, {fault:?}");
    }
}

#[tokio::test]
async fn a_key_is_kept_even_where_no_snapshot_would_be_made() {
    let lake = lake().await;
    let transaction = || {
        let transaction = lake.manager.transaction(&lake.table).evolve_schema(evolution(ADD));
        transaction.delete(filter("id = 77"), DeleteConfig::default()).idempotency_key("k")
    };
    let done = transaction().commit().await.unwrap();
    assert_eq!(done.snapshot_ids.len(), 1);
    assert!(transaction().commit().await.unwrap().replayed);
    assert_eq!(lake.rows().await.len(), 3);
}

#[tokio::test]
async fn keys_and_dry_runs_are_not_for_single_operations() {
    let lake = lake().await;
    let options = ChangeOptions { idempotency_key: Some("k".into()), ..ChangeOptions::default() };
    let config = WriteConfig { options, ..WriteConfig::default() };
    let error =
        lake.manager.transaction(&lake.table).write(rows(&[(4, "c", 4)]), config).commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert_eq!(
        lake.manager.transaction(&lake.table).commit().await.unwrap_err().kind(),
        ErrorKind::Validation
    );
}
