//! What other writers may do between the read and the commit of an operation, with real managers.

use std::sync::Arc;

use floe::execute::rows::RowMode;
use floe::execute::upsert::WhenMatched;
use floe::model::PartitionTransform;
use floe::plan::expr::Expr;
use floe::plan::guard::Isolation;
use floe::{Error, ErrorKind};
use serde_json::json;

use super::race::{Row, Table, config, stream, text};

const A: Row = (Some("a"), Some(1), Some(0.5));
const A2: Row = (Some("a"), Some(2), None);
const B: Row = (Some("b"), Some(3), Some(1.5));
const NEW_A: Row = (Some("a"), Some(7), Some(7.0));
const NEW_B: Row = (Some("b"), Some(8), None);

async fn by_category() -> Arc<Table> {
    let table = Table::new(&[(1, PartitionTransform::Identity, None)], &[]).await;
    table.append(&[A, A2, B]).await;
    Arc::new(table)
}

/// An operation on rows of category `a`.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Delete,
    OverwriteWhere,
    OverwritePartitions,
    Upsert,
}

const KINDS: [Kind; 4] = [Kind::Delete, Kind::OverwriteWhere, Kind::OverwritePartitions, Kind::Upsert];
const MODES: [RowMode; 2] = [RowMode::CopyOnWrite, RowMode::MergeOnRead];

/// Does `kind` to the first row of category `a`, while `other` happens.
async fn race(
    table: &Arc<Table>,
    kind: Kind,
    mode: RowMode,
    isolation: Isolation,
    other: impl Future<Output = ()> + Send + 'static,
) -> Result<i64, Error> {
    let manager = table.manager_interrupted_by(other);
    let new: Row = (Some("a"), Some(1), Some(99.0));
    let filter = "category = 'a' AND n = 1";
    let mut options = json!({ "row_mode": mode, "isolation": isolation, "rerun": { "max_attempts": 0 } });
    let more = match kind {
        Kind::Delete => {
            let filter = Expr::parse(filter).unwrap();
            let done = manager.delete_data(&table.ident, &filter, &config(options)).await;
            return done.map(|done| done.snapshot_id.unwrap());
        }
        Kind::OverwriteWhere => json!({ "mode": "overwrite", "overwrite_filter": filter }),
        Kind::OverwritePartitions => json!({ "mode": "overwrite", "overwrite_partitions": true }),
        Kind::Upsert => json!({ "mode": "upsert", "join_columns": ["category", "n"] }),
    };
    for (name, value) in more.as_object().unwrap() {
        options[name] = value.clone();
    }
    let done = manager.write_data(&table.ident, stream(&[new]), &config(options)).await;
    done.map(|done| done.snapshot_id.unwrap())
}

fn appends(table: &Arc<Table>, row: Row) -> impl Future<Output = ()> + Send + 'static {
    let table = table.clone();
    async move {
        table.append(&[row]).await;
    }
}

fn deletes(table: &Arc<Table>, filter: &str, mode: RowMode) -> impl Future<Output = ()> + Send + 'static {
    let (table, filter) = (table.clone(), Expr::parse(filter).unwrap());
    async move {
        let config = config(json!({ "row_mode": mode }));
        table.manager().delete_data(&table.ident, &filter, &config).await.unwrap();
    }
}

#[tokio::test]
async fn writers_on_disjoint_partitions_never_fail() {
    for kind in KINDS {
        for mode in MODES {
            let table = by_category().await;
            race(&table, kind, mode, Isolation::Serializable, appends(&table, NEW_B)).await.unwrap();
            let table = by_category().await;
            let other = deletes(&table, "category = 'b'", mode);
            race(&table, kind, mode, Isolation::Serializable, other).await.unwrap();
            assert!(!table.rows().await.iter().any(|row| row.contains("\"b\"")), "{kind:?} {mode:?}");
        }
    }
}

#[tokio::test]
async fn rows_that_come_into_the_same_partition_meanwhile_are_a_conflict_and_the_error_says_whose() {
    for kind in KINDS {
        for mode in MODES {
            let table = by_category().await;
            // The row has the key of the upsert, and matches every filter.
            let row: Row = (Some("a"), Some(1), None);
            let error =
                race(&table, kind, mode, Isolation::Serializable, appends(&table, row)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::CommitConflict, "{kind:?} {mode:?}");
            let newest = table.manager().list_snapshots(&table.ident).await.unwrap()[0].snapshot_id;
            let said = error.to_string();
            for part in [format!("snapshot {newest}"), "operation append".into(), "p1000=…".into()] {
                assert!(said.contains(&part), "{kind:?} {mode:?}: {said}");
            }
            assert_eq!(table.rows().await, text(&[A, A2, B, row]), "{kind:?} {mode:?}");
        }
    }
}

#[tokio::test]
async fn under_snapshot_isolation_rows_that_come_meanwhile_stay() {
    for kind in KINDS {
        let table = by_category().await;
        let mode = RowMode::CopyOnWrite;
        race(&table, kind, mode, Isolation::Snapshot, appends(&table, NEW_A)).await.unwrap();
        assert!(table.rows().await.contains(&text(&[NEW_A])[0]), "{kind:?}");
    }
}

#[tokio::test]
async fn rows_of_the_same_file_that_go_meanwhile_are_a_conflict_at_any_isolation() {
    for kind in KINDS {
        for mode in MODES {
            for other in MODES {
                for isolation in [Isolation::Serializable, Isolation::Snapshot] {
                    let table = by_category().await;
                    let meanwhile = deletes(&table, "n = 2", other);
                    let error = race(&table, kind, mode, isolation, meanwhile).await.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::CommitConflict, "{kind:?} {mode:?} {other:?}");
                    assert!(error.to_string().contains("snapshot "), "{error}");
                    assert_eq!(table.rows().await, text(&[A, B]), "{kind:?} {mode:?} {other:?}");
                }
            }
        }
    }
}

/// An upsert that leaves a matching row alone has read it: had the row gone before, the upsert would have inserted it.
#[tokio::test]
async fn a_matching_row_that_an_upsert_leaves_alone_must_stay_until_its_commit() {
    for (matched, isolation) in [
        (WhenMatched::Ignore, Isolation::Serializable),
        (WhenMatched::UpdateIfChanged, Isolation::Serializable),
        (WhenMatched::Ignore, Isolation::Snapshot),
    ] {
        let table = by_category().await;
        let late = table.manager_interrupted_by(deletes(&table, "n = 1", RowMode::CopyOnWrite));
        let config = config(json!({
            "mode": "upsert", "join_columns": ["n"], "when_matched": matched, "isolation": isolation,
            "rerun": { "max_attempts": 0 }
        }));
        let done = late.write_data(&table.ident, stream(&[A, NEW_B]), &config).await;
        match isolation {
            Isolation::Serializable => {
                assert_eq!(done.unwrap_err().kind(), ErrorKind::CommitConflict, "{matched:?}");
                assert_eq!(table.rows().await, text(&[A2, B]));
            }
            Isolation::Snapshot => {
                done.unwrap();
                assert_eq!(table.rows().await, text(&[A2, B, NEW_B]));
            }
        }
    }
}
