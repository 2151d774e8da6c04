//! Mistakes that lost people's data in other projects, each by the number of its issue, with the real manager.

use std::sync::Arc;

use floe::ErrorKind;
use floe::catalog::{CatalogClient, CommitOutcome};
use floe::execute::rows::RowMode;
use floe::iceberg::TableUpdate;
use floe::iceberg::spec::{Transform, UnboundPartitionSpec};
use floe::model::{PartitionTransform, WriteConfig};
use floe::plan::expr::Expr;
use floe::plan::requirements::requirements;
use floe_testkit::catalog::{Fault, FaultPlan, Method};
use serde_json::json;

use super::race::{Row, Table, config, stream, text};

const A: Row = (Some("a"), Some(1), Some(0.5));
const B: Row = (Some("b"), Some(2), None);
const C: Row = (Some("c"), Some(3), Some(f64::NAN));

fn keyed(key: &str) -> WriteConfig {
    config(json!({ "idempotency_key": key }))
}

/// apache/iceberg #2317 and #15050: a commit whose reply was lost was cleaned up, and the table referred to files that
/// were gone.
#[tokio::test]
async fn after_a_lost_reply_no_file_of_the_commit_is_deleted() {
    let table = Table::new(&[], &[("commit.retry.num-retries", "0")]).await;
    table.append(&[A]).await;
    // The reply is lost, and then the table cannot be looked at.
    let plan = FaultPlan::none().at(Method::Commit, 1, Fault::LostReply).at(
        Method::LoadTable,
        2,
        Fault::Error(ErrorKind::Unavailable),
    );
    let error = table
        .manager_with(plan)
        .write_data(&table.ident, stream(&[B]), &WriteConfig::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommitStateUnknown);
    assert_eq!(table.rows().await, text(&[A, B]));
}

/// apache/iceberg #13867: a write whose reply was lost was done once more by its repetition.
#[tokio::test]
async fn a_write_that_is_repeated_after_a_lost_reply_is_done_once() {
    let table = Table::new(&[], &[("commit.retry.num-retries", "0")]).await;
    let plan = FaultPlan::none().at(Method::Commit, 1, Fault::LostReply).at(
        Method::LoadTable,
        2,
        Fault::Error(ErrorKind::Unavailable),
    );
    let first = table.manager_with(plan).write_data(&table.ident, stream(&[A]), &keyed("job")).await;
    assert_eq!(first.unwrap_err().kind(), ErrorKind::CommitStateUnknown);
    table.append(&[B]).await;
    let again = table.manager().write_data(&table.ident, stream(&[A]), &keyed("job")).await.unwrap();
    assert!(again.replayed);
    assert_eq!(table.rows().await, text(&[A, B]));
}

/// apache/iceberg #13867, while the first is still under way: whoever comes second finds the other's snapshot when its
/// own commit meets a conflict.
#[tokio::test]
async fn two_writers_that_do_the_same_write_at_once_do_it_once() {
    let table = Arc::new(Table::new(&[], &[]).await);
    let twin = table.clone();
    let other = async move {
        twin.manager().write_data(&twin.ident, stream(&[A]), &keyed("job")).await.unwrap();
    };
    let late = table.manager_interrupted_by(other);
    let done = late.write_data(&table.ident, stream(&[A]), &keyed("job")).await.unwrap();
    assert!(done.replayed);
    assert_eq!(table.rows().await, text(&[A]));
    let live = table.memory.locations().into_iter().filter(|location| location.contains("/data/")).count();
    assert_eq!(live, 1, "the file of the second one goes");
}

/// apache/iceberg-go #976: a retry that committed the manifest list of its first attempt dropped what the other writer
/// had added.
#[tokio::test]
async fn a_retry_keeps_what_another_writer_committed_meanwhile() {
    let table = Arc::new(Table::new(&[], &[]).await);
    table.append(&[A]).await;
    let other = table.clone();
    let late = table.manager_interrupted_by(async move {
        other.append(&[B]).await;
    });
    let done = late.write_data(&table.ident, stream(&[C]), &WriteConfig::default()).await.unwrap();
    assert_eq!(done.attempts, 2);
    assert_eq!(table.rows().await, text(&[A, B, C]));
}

/// duckdb/duckdb-iceberg #631: of two first commits of a table the second took the place of the first.
#[tokio::test]
async fn of_two_first_commits_none_is_lost() {
    let table = Arc::new(Table::new(&[], &[]).await);
    let other = table.clone();
    let late = table.manager_interrupted_by(async move {
        other.append(&[A]).await;
    });
    late.write_data(&table.ident, stream(&[B]), &WriteConfig::default()).await.unwrap();
    assert_eq!(table.rows().await, text(&[A, B]));
}

/// apache/iceberg-python #3498 and #3921: files with NULL or NaN were taken to match as a whole, and a delete removed
/// rows that do not match.
#[tokio::test]
async fn a_delete_keeps_rows_whose_filter_is_unknown_or_false() {
    for (filter, kept) in [
        ("x < 1", vec![B, C]),
        ("x >= 0", vec![B, C]),
        ("NOT (x > 100)", vec![B]),
        ("x != 100", vec![B]),
        ("x IS NAN", vec![A, B]),
        ("x IS NULL", vec![A, C]),
    ] {
        for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
            for together in [false, true] {
                let table = Table::new(&[], &[]).await;
                if together {
                    table.append(&[A, B, C]).await;
                } else {
                    for row in [A, B, C] {
                        table.append(&[row]).await;
                    }
                }
                let config = config(json!({ "row_mode": mode }));
                table
                    .manager()
                    .delete_data(&table.ident, &Expr::parse(filter).unwrap(), &config)
                    .await
                    .unwrap();
                assert_eq!(table.rows().await, text(&kept), "{filter} {mode:?} {together}");
            }
        }
    }
}

async fn respec(table: &Table, column: i32, transform: Transform) {
    let catalog = table.catalog();
    let head = catalog.load_table(&table.ident).await.unwrap();
    let spec =
        UnboundPartitionSpec::builder().add_partition_field(column, "later", transform).unwrap().build();
    let updates = [TableUpdate::AddSpec { spec }, TableUpdate::SetDefaultSpec { spec_id: -1 }];
    let needed = requirements(&head.metadata, &updates).unwrap();
    let done = catalog.commit(&table.ident, &needed, &updates).await.unwrap();
    assert!(matches!(done, CommitOutcome::Committed(_)));
}

/// apache/iceberg-python #3148: an overwrite looked for files of the current partition spec only, and old rows stayed
/// beside the new ones.
#[tokio::test]
async fn an_overwrite_takes_rows_of_older_specs_away() {
    let new: Row = (Some("a"), Some(9), Some(9.0));
    for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
        for filter in [None, Some("category = 'a'")] {
            let table = Table::new(&[], &[]).await;
            table.append(&[A, B]).await;
            respec(&table, 1, Transform::Identity).await;
            table.append(&[A, C]).await;
            let mut options = json!({ "mode": "overwrite", "row_mode": mode });
            match filter {
                Some(filter) => options["overwrite_filter"] = json!(filter),
                None => options["overwrite_partitions"] = json!(true),
            }
            let config = config(options);
            table.manager().write_data(&table.ident, stream(&[new]), &config).await.unwrap();
            assert_eq!(table.rows().await, text(&[B, C, new]), "{mode:?} {filter:?}");
        }
    }
}

/// apache/iceberg-python #3758: the partition transform was applied to values that were transformed already, and an
/// overwrite replaced other partitions than those of its rows.
#[tokio::test]
async fn a_dynamic_overwrite_replaces_the_partitions_of_its_rows_and_no_other() {
    use PartitionTransform::{Bucket, Truncate};
    for (transform, number) in [(Bucket, 4), (Truncate, 10)] {
        let table = Table::new(&[(2, transform, Some(number))], &[]).await;
        let rows: Vec<Row> = (0..40).map(|n| (Some("old"), Some(n), None)).collect();
        table.append(&rows).await;
        let new: Row = (Some("new"), Some(23), None);
        let config = config(json!({ "mode": "overwrite", "overwrite_partitions": true }));
        table.manager().write_data(&table.ident, stream(&[new]), &config).await.unwrap();
        let transform = match transform {
            Bucket => Transform::Bucket(number),
            _ => Transform::Truncate(number),
        };
        let of = |row: &Row| {
            let transform = floe::iceberg::transform::create_transform_function(&transform).unwrap();
            transform.transform_literal(&floe::iceberg::spec::Datum::long(row.1.unwrap())).unwrap()
        };
        let kept = rows.iter().filter(|row| of(row) != of(&new)).copied();
        assert_eq!(table.rows().await, text(&kept.chain([new]).collect::<Vec<_>>()));
    }
}

/// apache/iceberg #10312: a rewrite of a file lost the deletes that another writer had added for it meanwhile, and rows
/// came back.
#[tokio::test]
async fn a_rewrite_does_not_bring_rows_back_that_were_deleted_meanwhile() {
    let table = Arc::new(Table::new(&[], &[]).await);
    table.append(&[A, B, C]).await;
    let other = table.clone();
    let late = table.manager_interrupted_by(async move {
        let config = config(json!({ "row_mode": RowMode::MergeOnRead }));
        let filter = Expr::parse("n = 2").unwrap();
        other.manager().delete_data(&other.ident, &filter, &config).await.unwrap();
    });
    let options = json!({ "row_mode": RowMode::CopyOnWrite, "rerun": { "max_attempts": 0 } });
    let filter = Expr::parse("n = 1").unwrap();
    let error = late.delete_data(&table.ident, &filter, &config(options)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommitConflict);
    assert_eq!(table.rows().await, text(&[A, C]));
}
