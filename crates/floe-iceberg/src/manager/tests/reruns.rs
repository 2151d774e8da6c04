//! Operations whose reading was overtaken are run again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use floe_core::ErrorKind;
use floe_plan::expr::Expr;
use floe_plan::merge::MergeClause;
use floe_testkit::catalog::{Fault, FaultPlan, Method};
use futures::StreamExt;

use super::act::Act;
use super::evolution::evolution;
use super::lake::{Lake, ONCE, rows};
use crate::IcebergTableManager;
use crate::data::{BatchStream, Input};
use crate::execute::rows::RowMode;
use crate::model::{
    ChangeOptions, DeleteConfig, IcebergTableManagerConfig, MergeConfig, RerunOptions, WriteConfig, WriteMode,
};

async fn lake(properties: &[(&str, &str)]) -> Lake {
    let lake = Lake::new(properties).await;
    let data = rows(&[(1, "a", 1), (2, "a", 2), (3, "b", 3)]);
    lake.manager.write_data(&lake.table, data, &WriteConfig::default()).await.unwrap();
    lake
}

/// A manager, before whose first commit another one rewrites the file of `a`.
fn overtaken(lake: &Lake) -> IcebergTableManager {
    let (other, table) = (lake.another(), lake.table.clone());
    let theirs = async move {
        let options = ChangeOptions { row_mode: Some(RowMode::CopyOnWrite), ..ChangeOptions::default() };
        Act::Delete("id = 2").run(&other, &table, options).await.unwrap();
    };
    lake.after(theirs).0
}

fn reruns(max_attempts: u32) -> ChangeOptions {
    let rerun = RerunOptions { max_attempts: Some(max_attempts), ..RerunOptions::default() };
    ChangeOptions { rerun, ..ChangeOptions::default() }
}

fn upsert(options: ChangeOptions) -> WriteConfig {
    WriteConfig {
        mode: WriteMode::Upsert,
        join_columns: vec!["id".into()],
        options,
        ..WriteConfig::default()
    }
}

/// Rows as a stream that nobody can read again, in batches of one row.
fn stream(data: &[(i64, &'static str, i64)]) -> BatchStream {
    let shape = rows(data).schema;
    let data = data.to_vec();
    let batches =
        futures::stream::iter(data).then(|row| async move { rows(&[row]).stream.next().await.unwrap() });
    BatchStream::new(shape, batches.boxed())
}

#[tokio::test]
async fn what_is_run_again_by_default_and_what_only_if_asked_for() {
    for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
        for (act, by_default, expected) in [
            (Act::Upsert(1, "a"), true, vec!["1 a 99", "3 b 3"]),
            (Act::Delete("id = 1"), true, vec!["3 b 3"]),
            (Act::Dynamic(9, "a"), true, vec!["3 b 3", "9 a 99"]),
            (Act::Overwrite("id = 1", 9, "a"), false, vec!["3 b 3", "9 a 99"]),
        ] {
            let lake = lake(&[]).await;
            let files = lake.data_files();
            let options = |of: ChangeOptions| ChangeOptions { row_mode: Some(mode), ..of };
            let done = act.run(&overtaken(&lake), &lake.table, options(ChangeOptions::default())).await;
            if by_default {
                assert_eq!(done.unwrap().reruns, 1, "{act:?} {mode:?}");
                assert_eq!(lake.rows().await, expected, "{act:?} {mode:?}");
            } else {
                assert_eq!(done.unwrap_err().kind(), ErrorKind::CommitConflict, "{act:?} {mode:?}");
                assert_eq!((lake.rows().await.len(), lake.data_files()), (2, files + 1), "{act:?} {mode:?}");
            }

            let lake = lake_again(mode).await;
            let done = act.run(&overtaken(&lake), &lake.table, options(reruns(1))).await.unwrap();
            assert_eq!(done.reruns, 1, "{act:?} {mode:?}");
            assert_eq!(lake.rows().await, expected, "{act:?} {mode:?}");

            let lake = lake_again(mode).await;
            let done = act.run(&overtaken(&lake), &lake.table, options(reruns(0))).await;
            assert_eq!(done.unwrap_err().kind(), ErrorKind::CommitConflict, "{act:?} {mode:?}");
        }
    }
}

async fn lake_again(_: RowMode) -> Lake {
    lake(&[]).await
}

#[tokio::test]
async fn the_files_of_a_run_in_vain_are_removed() {
    for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
        let lake = lake(&[]).await;
        let options = ChangeOptions { row_mode: Some(mode), ..ChangeOptions::default() };
        let done = Act::Upsert(1, "a").run(&overtaken(&lake), &lake.table, options).await.unwrap();
        assert_eq!((done.reruns, done.attempts), (1, 1));
        let referred = lake.snapshots().await.len();
        assert_eq!(referred, 3);
        // A manifest list for each snapshot, and no data file that nothing refers to.
        let lists = lake.storage.locations().iter().filter(|l| l.contains("/snap-")).count();
        assert_eq!(lists, 3, "{mode:?}");
        let mut live = std::collections::BTreeSet::new();
        for snapshot in lake.snapshots().await {
            let at = crate::base::SnapshotSelector::SnapshotId(snapshot.snapshot_id());
            let files = lake.manager.list_files(&lake.table, &at).await.unwrap();
            live.extend(files.into_iter().map(|file| file.path));
        }
        assert_eq!(lake.data_files(), live.len(), "{mode:?}");
    }
}

#[tokio::test]
async fn the_call_wins_over_the_table_and_that_over_the_manager() {
    let run = async |properties: &[(&str, &str)], options: ChangeOptions| {
        let lake = lake(properties).await;
        Act::Delete("id = 1").run(&overtaken(&lake), &lake.table, options).await.map(|done| done.reruns)
    };
    let never = [("commit.rerun.max-attempts", "0")];
    assert!(run(&never, ChangeOptions::default()).await.is_err());
    assert_eq!(run(&never, reruns(1)).await.unwrap(), 1);
    assert!(run(&[("commit.rerun.total-timeout-ms", "0")], ChangeOptions::default()).await.is_err());
    let lake = Lake::new(&[("commit.rerun.max-attempts", "often")]).await;
    let error = Act::Delete("id = 1").run(&lake.manager, &lake.table, ChangeOptions::default()).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
    let config = IcebergTableManagerConfig { max_reruns: 1001, ..IcebergTableManagerConfig::default() };
    assert!(config.validate().is_err());
}

/// Everybody who commits meanwhile does so each time.
#[tokio::test]
async fn runs_are_bounded_and_the_error_tells_how_many_there_were() {
    let lake = lake(&[("commit.rerun.max-attempts", "0")]).await;
    let options = ChangeOptions { rerun: ONCE, ..ChangeOptions::default() };
    let error = Act::Delete("id = 1").run(&overtaken(&lake), &lake.table, options).await.unwrap_err();
    assert!(!error.to_string().contains("was run"), "{error}");
    let timed = RerunOptions { max_attempts: Some(5), total_timeout_ms: Some(0) };
    let options = ChangeOptions { rerun: timed, ..ChangeOptions::default() };
    let lake = lake_again(RowMode::CopyOnWrite).await;
    let error = Act::Delete("id = 1").run(&overtaken(&lake), &lake.table, options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommitConflict);
    assert!(error.to_string().contains("was run 1 times"), "{error}");
}

#[tokio::test]
async fn streams_are_held_by_merges_and_kept_by_others_while_they_are_few() {
    let data = [(1, "a", 10), (7, "c", 70)];
    let expected = ["1 a 10", "3 b 3", "7 c 70"];
    let lake = lake(&[]).await;
    let done =
        overtaken(&lake).write_data(&lake.table, stream(&data), &upsert(ChangeOptions::default())).await;
    assert_eq!(done.unwrap().reruns, 1);
    assert_eq!(lake.rows().await, expected);

    let lake = lake_again(RowMode::CopyOnWrite).await;
    let clauses = ["MATCHED THEN UPDATE SET *", "NOT MATCHED THEN INSERT *"];
    let clauses = clauses.iter().flat_map(|text| MergeClause::parse(text).unwrap()).collect();
    let on = serde_json::from_str(r#"["id"]"#).unwrap();
    let config = MergeConfig { on, clauses, ..MergeConfig::default() };
    let done = overtaken(&lake).merge_data(&lake.table, stream(&data), &config).await;
    assert_eq!(done.unwrap().reruns, 1);
    assert_eq!(lake.rows().await, expected);

    let dynamic =
        WriteConfig { mode: WriteMode::Overwrite, overwrite_partitions: true, ..WriteConfig::default() };
    let lake = lake_again(RowMode::CopyOnWrite).await;
    let done = overtaken(&lake).write_data(&lake.table, stream(&data), &dynamic).await.unwrap();
    assert_eq!(done.reruns, 1);
    assert_eq!(lake.rows().await, expected);
}

#[tokio::test]
async fn a_stream_that_is_too_long_to_keep_is_not_run_again_and_the_hint_says_so() {
    let lake = lake(&[]).await;
    let manager = overtaken(&lake).with_write_memory(16 << 20).unwrap();
    let many: Vec<(i64, &'static str, i64)> = (100..60_000).map(|id| (id, "a", 1)).collect();
    let shape = rows(&[]).schema;
    let batches = futures::stream::iter(many.chunks(10_000).map(<[_]>::to_vec).collect::<Vec<_>>())
        .then(|chunk| async move { rows(&chunk).stream.next().await.unwrap() });
    let dynamic =
        WriteConfig { mode: WriteMode::Overwrite, overwrite_partitions: true, ..WriteConfig::default() };
    let data = BatchStream::new(shape.clone(), batches.boxed());
    let error = manager.write_data(&lake.table, data, &dynamic).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommitConflict);
    assert!(error.to_string().contains("was a stream"), "{error}");
    assert_eq!(lake.rows().await, ["1 a 1", "3 b 3"]);

    // The same rows, which can be read again.
    let lake = lake_again(RowMode::CopyOnWrite).await;
    let manager = overtaken(&lake).with_write_memory(16 << 20).unwrap();
    let data = Input::repeatable(shape, move || Ok(rows(&many)));
    let done = manager.write_data(&lake.table, data, &dynamic).await.unwrap();
    assert_eq!((done.reruns, done.rows), (1, 59_900));
}

#[tokio::test]
async fn nothing_is_run_again_after_an_unknown_outcome() {
    // The first request is lost, so that its outcome is in doubt; meanwhile another one changes what was read.
    let lake = lake(&[("commit.retry.num-retries", "3")]).await;
    let (other, table) = (lake.another(), lake.table.clone());
    let plan = FaultPlan::none().at(Method::Commit, 1, Fault::LostRequest).at(
        Method::LoadTable,
        2,
        Fault::Delay(std::time::Duration::from_secs(1)),
    );
    let (manager, _) = lake.with_faults(plan, async move {
        Act::Delete("id = 2").run(&other, &table, ChangeOptions::default()).await.unwrap();
    });
    let error = Act::Delete("id = 1").run(&manager, &lake.table, reruns(5)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::CommitConflict | ErrorKind::CommitStateUnknown), "{error}");
    assert_eq!(lake.rows().await, ["1 a 1", "3 b 3"]);
}

#[tokio::test]
async fn a_key_is_kept_and_another_call_with_it_finds_the_run_that_succeeded() {
    let lake = lake(&[]).await;
    let options = ChangeOptions { idempotency_key: Some("k".into()), ..ChangeOptions::default() };
    let data = [(1, "a", 10), (7, "c", 70)];
    let done =
        overtaken(&lake).write_data(&lake.table, stream(&data), &upsert(options.clone())).await.unwrap();
    assert_eq!((done.reruns, done.replayed), (1, false));
    let again =
        lake.another().write_data(&lake.table, stream(&data), &upsert(options.clone())).await.unwrap();
    assert_eq!((again.replayed, again.snapshot_id), (true, done.snapshot_id));
    let other = lake.another().write_data(&lake.table, stream(&data[..1]), &upsert(options)).await;
    assert_eq!(other.unwrap_err().kind(), ErrorKind::Validation);
}

/// The other one does the very same under the same key, and more besides: whoever is run again finds it done.
#[tokio::test]
async fn a_twin_that_came_first_is_found_by_the_next_run() {
    let lake = lake(&[]).await;
    let (other, table) = (lake.another(), lake.table.clone());
    let keyed = || upsert(ChangeOptions { idempotency_key: Some("k".into()), ..ChangeOptions::default() });
    let config = keyed();
    let (manager, _) = lake.after(async move {
        other.write_data(&table, rows(&[(1, "a", 10)]), &config).await.unwrap();
        Act::Delete("id = 2").run(&other, &table, ChangeOptions::default()).await.unwrap();
    });
    let done = manager.write_data(&lake.table, rows(&[(1, "a", 10)]), &keyed()).await.unwrap();
    assert!(done.replayed);
    assert_eq!(lake.rows().await, ["1 a 10", "3 b 3"]);
}

#[tokio::test]
async fn a_transaction_is_run_again_as_a_whole() {
    let lake = lake(&[]).await;
    let manager = overtaken(&lake);
    let add = r#"{"add_column": {"column": "note", "type": "string"}}"#;
    let made = Arc::new(AtomicU32::new(0));
    let (count, ended) = (made.clone(), AtomicBool::new(false));
    let done = manager
        .transaction(&lake.table)
        .evolve_schema(evolution(add))
        .write(
            Input::repeatable(rows(&[]).schema, || Ok(rows(&[(1, "a", 10)]))),
            upsert(ChangeOptions::default()),
        )
        .write_from(
            move |table| {
                assert!(table.metadata.current_schema().field_by_name("note").is_some());
                count.fetch_add(1, Ordering::Relaxed);
                Ok(Input::repeatable(rows(&[]).schema, || Ok(rows(&[(8, "c", 80)]))))
            },
            WriteConfig::default(),
        )
        .write_from(
            // As standard input, which ends once.
            move |_| {
                Ok(if ended.swap(true, Ordering::Relaxed) { stream(&[]) } else { stream(&[(9, "c", 90)]) })
            },
            WriteConfig::default(),
        )
        .delete(Expr::parse("id = 3").unwrap(), DeleteConfig::default())
        .idempotency_key("k")
        .commit()
        .await
        .unwrap();
    assert_eq!((done.reruns, done.snapshot_ids.len()), (1, 4));
    assert_eq!(made.load(Ordering::Relaxed), 2);
    assert_eq!(lake.rows().await, ["1 a 10 NULL", "8 c 80 NULL", "9 c 90 NULL"]);
}

#[tokio::test]
async fn a_transaction_about_a_snapshot_that_the_caller_chose_is_not_run_again() {
    let lake = lake(&[]).await;
    let head = lake.snapshots().await[0].snapshot_id();
    let manager = overtaken(&lake);
    let delete = || Expr::parse("id = 1").unwrap();
    let transaction = manager.transaction(&lake.table).tag("before", Some(head), None, false);
    let transaction = transaction.delete(delete(), DeleteConfig::default());
    let error = transaction.rerun(reruns(5).rerun).commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommitConflict, "{error}");

    let lake = lake_again(RowMode::CopyOnWrite).await;
    let manager = overtaken(&lake);
    let transaction = manager.transaction(&lake.table).tag("now", None, None, false);
    let done = transaction.delete(delete(), DeleteConfig::default()).commit().await.unwrap();
    assert_eq!(done.reruns, 1);
}
