//! A second manager commits between what the first one read and its commit.

use floe_core::{Error, ErrorKind};
use floe_plan::guard::Isolation;
use floe_testkit::catalog::Method;

use super::act::Act;
use super::lake::{Lake, ONCE, rows};
use crate::execute::rows::RowMode;
use crate::model::{ChangeOptions, WriteConfig};

/// Runs `mine` on a table of `1 a, 2 a, 3 b, 4 b`, with `theirs` after what it read. How often it was tried, and the ids.
async fn race(
    mine: Act,
    theirs: Act,
    isolation: Option<Isolation>,
    mode: RowMode,
    properties: &[(&str, &str)],
) -> (Result<u64, Error>, Vec<String>) {
    let lake = Lake::new(properties).await;
    let start = rows(&[(1, "a", 1), (2, "a", 2), (3, "b", 3), (4, "b", 4)]);
    lake.manager.write_data(&lake.table, start, &WriteConfig::default()).await.unwrap();
    let (other, table) = (lake.another(), lake.table.clone());
    let way = ChangeOptions { row_mode: Some(mode), ..ChangeOptions::default() };
    let others = way.clone();
    let (manager, catalog) = lake.after(async move {
        theirs.run(&other, &table, others).await.unwrap();
    });
    let options = ChangeOptions { isolation, rerun: ONCE, ..way };
    let before = lake.data_files();
    let done = mine.run(&manager, &lake.table, options).await;
    if done.is_err() {
        assert!(lake.data_files() <= before + 3, "only what the other one wrote is there");
    }
    (done.map(|_| catalog.calls(Method::Commit)), lake.rows().await)
}

const MODES: [RowMode; 2] = [RowMode::CopyOnWrite, RowMode::MergeOnRead];

#[tokio::test]
async fn writers_on_disjoint_partitions_never_fail() {
    let ours = [
        Act::Append(7, "a"),
        Act::Upsert(1, "a"),
        Act::Delete("part = 'a'"),
        Act::Delete("part = 'a' AND id = 1"),
        Act::Overwrite("part = 'a' AND id < 2", 9, "a"),
        Act::Dynamic(9, "a"),
    ];
    let theirs = [
        Act::Append(8, "b"),
        Act::Upsert(3, "b"),
        Act::Delete("part = 'b' AND id = 3"),
        Act::Overwrite("part = 'b'", 10, "b"),
        Act::Dynamic(10, "b"),
    ];
    for mode in MODES {
        for mine in ours {
            for other in theirs {
                let (done, rows) = race(mine, other, Some(Isolation::Serializable), mode, &[]).await;
                let attempts = done.unwrap_or_else(|e| panic!("{mine:?} against {other:?}, {mode:?}: {e}"));
                assert_eq!(attempts, 2, "{mine:?} against {other:?}, {mode:?}");
                assert!(!rows.is_empty());
            }
        }
    }
}

#[tokio::test]
async fn the_same_row_changed_by_two_is_a_conflict_that_names_snapshot_and_operation() {
    for mode in MODES {
        for mine in [
            Act::Upsert(1, "a"),
            Act::Delete("id = 1 AND part = 'a'"),
            Act::Overwrite("id = 1", 9, "a"),
            Act::Dynamic(9, "a"),
        ] {
            for other in [Act::Upsert(1, "a"), Act::Delete("id = 1"), Act::Dynamic(8, "a")] {
                for isolation in [Isolation::Serializable, Isolation::Snapshot] {
                    let (done, rows) = race(mine, other, Some(isolation), mode, &[]).await;
                    let error = done
                        .expect_err(&format!("{mine:?} against {other:?}, {mode:?} {isolation:?}: {rows:?}"));
                    assert_eq!(error.kind(), ErrorKind::CommitConflict);
                    let text = error.to_string();
                    assert!(text.contains("snapshot ") && text.contains("by operation "), "{text}");
                }
            }
        }
    }
}

#[tokio::test]
async fn rows_that_appear_in_what_was_read_conflict_under_serializable_isolation_only() {
    for mode in MODES {
        for (mine, other) in [
            (Act::Delete("part = 'a'"), Act::Append(7, "a")),
            (Act::Delete("part = 'a' AND v >= 2"), Act::Append(7, "a")),
            (Act::Overwrite("part = 'a'", 9, "a"), Act::Append(7, "a")),
            (Act::Dynamic(9, "a"), Act::Append(7, "a")),
            (Act::Upsert(7, "c"), Act::Append(7, "c")),
        ] {
            let (done, _) = race(mine, other, Some(Isolation::Serializable), mode, &[]).await;
            let error = done.expect_err(&format!("{mine:?} {mode:?}")).to_string();
            assert!(
                error.contains("snapshot ") && error.contains("append") && error.contains("p="),
                "{error}"
            );
            let (done, rows) = race(mine, other, Some(Isolation::Snapshot), mode, &[]).await;
            assert_eq!(done.unwrap(), 2, "{mine:?} {mode:?}");
            assert!(
                rows.iter().any(|row| row.starts_with("7 ")),
                "{mine:?}: what was added meanwhile stays: {rows:?}"
            );
        }
    }
}

#[tokio::test]
async fn properties_of_the_table_choose_the_isolation_and_calls_override_them() {
    let property = |name| [(name, "snapshot")];
    let append = Act::Append(7, "a");
    for (mine, name) in [
        (Act::Delete("part = 'a'"), "write.delete.isolation-level"),
        (Act::Upsert(7, "a"), "write.merge.isolation-level"),
    ] {
        let mode = RowMode::CopyOnWrite;
        assert!(race(mine, append, None, mode, &[]).await.0.is_err(), "serializable is the default");
        assert!(race(mine, append, None, mode, &property(name)).await.0.is_ok());
        let strict = Some(Isolation::Serializable);
        assert!(race(mine, append, strict, mode, &property(name)).await.0.is_err());
    }
}

#[tokio::test]
async fn keys_outside_of_the_range_that_an_upsert_read_do_not_conflict() {
    let (done, _) = race(Act::Upsert(1, "a"), Act::Append(900, "a"), None, RowMode::CopyOnWrite, &[]).await;
    assert_eq!(done.unwrap(), 2);
}
