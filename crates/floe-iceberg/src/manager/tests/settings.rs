//! Settings that are not valid are refused before anything is written, and where that fails, nothing is left behind.

use floe_core::{ErrorKind, Result};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use serde_json::json;

use super::act::Act;
use super::lake::{Lake, rows};
use crate::execute::rows::RowMode;
use crate::model::{ChangeOptions, MergeConfig, WriteConfig};

/// Properties of tables that cannot be read, and that every change of rows needs.
const TABLE: [(&str, &str); 8] = [
    ("commit.manifest.target-size-bytes", "maybe"),
    ("commit.manifest.min-count-to-merge", "-"),
    ("commit.manifest-merge.enabled", "2"),
    ("write.avro.compression-codec", "odd"),
    ("commit.retry.num-retries", "often"),
    ("commit.retry.min-wait-ms", "soon"),
    ("write.parquet.compression-codec", "odd"),
    ("write.target-file-size-bytes", "large"),
];

/// Properties of snapshots that floe sets itself.
const SNAPSHOT: [&str; 6] =
    ["engine-name", "operation", "total-records", "added-data-files", "partitions.p=1", "floe.commit-token"];

type Run = for<'l> fn(&'l Lake, ChangeOptions) -> LocalBoxFuture<'l, Result<()>>;

fn changes() -> Vec<(&'static str, Run)> {
    vec![
        ("append", |l, o| act(Act::Append(7, "a"), l, o)),
        ("upsert", |l, o| act(Act::Upsert(1, "a"), l, o)),
        ("delete", |l, o| act(Act::Delete("id = 1"), l, o)),
        ("overwrite", |l, o| act(Act::Overwrite("id < 3", 9, "a"), l, o)),
        ("overwrite of partitions", |l, o| act(Act::Dynamic(9, "a"), l, o)),
        ("merge", |l, o| {
            async move {
                let clauses =
                    json!({"on": ["id"], "clauses": [{"when": "not_matched", "action": "insert_all"}]});
                let config: MergeConfig = serde_json::from_value(clauses).unwrap();
                let config = MergeConfig { options: o, ..config };
                l.manager.merge_data(&l.table, rows(&[(9, "b", 9)]), &config).await.map(drop)
            }
            .boxed_local()
        }),
        ("transaction", |l, options| {
            async move {
                let first = WriteConfig::default();
                let second = WriteConfig { options, ..WriteConfig::default() };
                let transaction = l.manager.transaction(&l.table).write(rows(&[(8, "b", 8)]), first);
                transaction.write(rows(&[(9, "b", 9)]), second).commit().await.map(drop)
            }
            .boxed_local()
        }),
    ]
}

fn act(act: Act, lake: &Lake, options: ChangeOptions) -> LocalBoxFuture<'_, Result<()>> {
    async move { act.run(&lake.manager, &lake.table, options).await.map(drop) }.boxed_local()
}

async fn lake(mode: RowMode) -> Lake {
    let mode = mode.as_str();
    let modes: Vec<_> =
        ["write.delete.mode", "write.update.mode", "write.merge.mode"].map(|key| (key, mode)).into();
    let lake = Lake::new(&modes).await;
    let data = rows(&[(1, "a", 1), (2, "a", 2), (3, "b", 3)]);
    lake.manager.write_data(&lake.table, data, &WriteConfig::default()).await.unwrap();
    lake
}

#[tokio::test]
async fn a_property_of_the_table_that_cannot_be_read_leaves_no_file() {
    for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
        for (key, value) in TABLE {
            let mut lake = lake(mode).await;
            let mut metadata = lake.metadata_json().await;
            metadata["properties"][key] = value.into();
            lake.put_metadata_json(&metadata).await;
            let before = lake.storage.locations();
            for (name, run) in changes() {
                // A delete that only removes whole files writes no Parquet.
                let error = match run(&lake, ChangeOptions::default()).await {
                    Ok(()) => panic!("{name} with {key} = {value} succeeds"),
                    Err(error) => error,
                };
                assert_eq!(error.kind(), ErrorKind::Validation, "{name}: {error}");
                assert!(error.to_string().contains(key), "{name}: {error}");
                assert_eq!(lake.storage.locations(), before, "{name} with {key} = {value}");
            }
        }
    }
}

#[tokio::test]
async fn a_property_of_the_snapshot_that_may_not_be_set_leaves_no_file() {
    for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
        let lake = lake(mode).await;
        let before = lake.storage.locations();
        for key in SNAPSHOT {
            for (name, run) in changes() {
                let options = ChangeOptions {
                    snapshot_properties: [(key.to_owned(), "x".to_owned())].into(),
                    ..ChangeOptions::default()
                };
                let error = run(&lake, options).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Validation, "{name}: {error}");
                assert_eq!(lake.storage.locations(), before, "{name} with {key}");
            }
        }
    }
}
