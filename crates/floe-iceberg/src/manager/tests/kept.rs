//! Metadata that the crate's model drops goes through every operation that commits: each field stays as it was, but for
//! those that the operation must change.

use std::collections::BTreeSet;

use floe_core::{ErrorKind, Result};
use floe_plan::expr::Expr;
use floe_testkit::catalog::Fault;
use floe_testkit::kept::{not_allowed, strew};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::evolution::evolution;
use super::lake::{Lake, rows};
use crate::model::{ChangeOptions, DeleteConfig, MergeConfig, WriteConfig, WriteMode};
use crate::refs::BranchRetention;

const MAPPING: &str = r#"[{"field-id": 1, "names": ["id"]}, {"field-id": 2, "names": ["part"]}, {"field-id": 3, "names": ["v"]}]"#;

/// A table with two snapshots in `main`, a tag, a branch that is one ahead, and a staged snapshot; and its metadata as
/// another writer might have it. The ids of the snapshots, in that order.
async fn foreign(version: &str, change: impl Fn(&mut Value)) -> (Lake, Vec<i64>) {
    let mut lake = Lake::new(&[
        ("format-version", version),
        ("schema.name-mapping.default", MAPPING),
        ("write.metadata.metrics.column.v", "counts"),
    ])
    .await;
    let manager = lake.manager.clone();
    let table = lake.table.clone();
    let mut ids = Vec::new();
    let on_branch = ChangeOptions { branch: Some("audit".into()), ..ChangeOptions::default() };
    let staged = ChangeOptions {
        staged: true,
        snapshot_properties: [("wap.id".to_owned(), "w".to_owned())].into(),
        ..ChangeOptions::default()
    };
    for (number, options) in
        [ChangeOptions::default(), ChangeOptions::default(), on_branch, staged].into_iter().enumerate()
    {
        let config = WriteConfig { options, ..WriteConfig::default() };
        let n = number as i64 + 1;
        ids.push(
            manager.write_data(&table, rows(&[(n, "a", n)]), &config).await.unwrap().snapshot_id.unwrap(),
        );
        if number == 1 {
            let retention = BranchRetention { min_snapshots_to_keep: Some(3), ..BranchRetention::default() };
            manager.branch(&table, "audit", None, retention, false).await.unwrap();
            manager.tag(&table, "first", Some(ids[0]), Some(1000), false).await.unwrap();
        }
    }
    let mut json = lake.metadata_json().await;
    strew(&mut json);
    change(&mut json);
    lake.put_metadata_json(&json).await;
    (lake, ids)
}

type Run = for<'l> fn(&'l Lake, &'l [i64]) -> BoxFuture<'l, Result<()>>;

/// An operation: its name, what it must change besides what every commit changes, and whether format version 3 has it.
struct Case(&'static str, &'static [&'static str], bool, Run);

fn upsert() -> WriteConfig {
    WriteConfig { mode: WriteMode::Upsert, join_columns: vec!["id".into()], ..WriteConfig::default() }
}

fn cases() -> Vec<Case> {
    vec![
        Case("append", &["main"], true, |l, _| {
            async {
                l.manager.write_data(&l.table, rows(&[(9, "b", 9)]), &WriteConfig::default()).await.map(drop)
            }
            .boxed()
        }),
        Case("overwrite", &["main"], true, |l, _| {
            async {
                let config =
                    WriteConfig { mode: WriteMode::Overwrite, overwrite_all: true, ..WriteConfig::default() };
                l.manager.write_data(&l.table, rows(&[(9, "b", 9)]), &config).await.map(drop)
            }
            .boxed()
        }),
        Case("upsert", &["main"], false, |l, _| {
            async {
                l.manager.write_data(&l.table, rows(&[(1, "a", 9), (9, "b", 9)]), &upsert()).await.map(drop)
            }
            .boxed()
        }),
        Case("delete", &["main"], false, |l, _| {
            async {
                let filter = Expr::parse("id = 1").unwrap();
                l.manager.delete_data(&l.table, &filter, &DeleteConfig::default()).await.map(drop)
            }
            .boxed()
        }),
        Case("merge", &["main"], false, |l, _| {
            async {
                let config: MergeConfig = serde_json::from_value(json!({
                    "on": ["id"],
                    "clauses": [{"when": "matched", "action": "delete"}, {"when": "not_matched", "action": "insert_all"}],
                }))
                .unwrap();
                l.manager.merge_data(&l.table, rows(&[(1, "a", 9), (9, "b", 9)]), &config).await.map(drop)
            }
            .boxed()
        }),
        Case("staged append", &["snapshot"], true, |l, _| {
            async {
                let options = ChangeOptions { staged: true, ..ChangeOptions::default() };
                let config = WriteConfig { options, ..WriteConfig::default() };
                l.manager.write_data(&l.table, rows(&[(9, "b", 9)]), &config).await.map(drop)
            }
            .boxed()
        }),
        Case("append to a branch", &["snapshot", "/refs/audit/snapshot-id"], true, |l, _| {
            async {
                let options = ChangeOptions { branch: Some("audit".into()), ..ChangeOptions::default() };
                let config = WriteConfig { options, ..WriteConfig::default() };
                l.manager.write_data(&l.table, rows(&[(9, "b", 9)]), &config).await.map(drop)
            }
            .boxed()
        }),
        Case("publish", &["main", "snapshot"], true, |l, _| {
            async { l.manager.publish(&l.table, None, "w").await.map(drop) }.boxed()
        }),
        Case("cherry-pick", &["/refs/audit/snapshot-id", "snapshot"], true, |l, ids| {
            async { l.manager.cherry_pick(&l.table, Some("audit"), ids[3]).await.map(drop) }.boxed()
        }),
        Case("tag", &["/refs/now +"], true, |l, _| l.manager.tag(&l.table, "now", None, None, false).boxed()),
        Case("replace tag", &["/refs/first/snapshot-id", "/refs/first/max-ref-age-ms -"], true, |l, ids| {
            l.manager.tag(&l.table, "first", Some(ids[1]), None, true).boxed()
        }),
        Case("drop tag", &["/refs/first -"], true, |l, _| l.manager.drop_tag(&l.table, "first").boxed()),
        Case("branch", &["/refs/dev +"], true, |l, ids| {
            l.manager.branch(&l.table, "dev", Some(ids[0]), BranchRetention::default(), false).boxed()
        }),
        Case("drop branch", &["/refs/audit -"], true, |l, _| {
            l.manager.drop_branch(&l.table, "audit").boxed()
        }),
        Case("rollback", &["move"], true, |l, ids| {
            l.manager.rollback_to_snapshot(&l.table, None, ids[0]).boxed()
        }),
        Case("set current", &["move"], true, |l, ids| {
            l.manager.set_current_snapshot(&l.table, None, ids[3]).boxed()
        }),
        Case("fast-forward", &["move"], true, |l, _| {
            l.manager.fast_forward(&l.table, "main", "audit").boxed()
        }),
        Case(
            "properties",
            &["/properties/owner +", "/properties/write.metadata.metrics.column.v -"],
            true,
            |l, _| {
                async {
                    let set = [("owner".to_owned(), "me".to_owned())].into();
                    let remove = ["write.metadata.metrics.column.v".to_owned()];
                    l.manager.update_properties(&l.table, &set, &remove).await.map(drop)
                }
                .boxed()
            },
        ),
        Case(
            "add column",
            &["schema", "/last-column-id", "/properties/schema.name-mapping.default"],
            true,
            |l, _| {
                async {
                let add = evolution(r#"{"add_column": {"column": "s", "type": {"type": "struct", "fields": [{"id": 1, "name": "x", "required": false, "type": "int"}]}}}"#);
                l.manager.evolve_schema(&l.table, &add).await.map(drop)
            }
            .boxed()
            },
        ),
        Case(
            "rename column",
            &[
                "schema",
                "/properties/schema.name-mapping.default",
                "/properties/write.metadata.metrics.column.v -",
                "/properties/write.metadata.metrics.column.w +",
            ],
            true,
            |l, _| {
                async {
                    let rename = evolution(r#"{"rename_column": {"column": "v", "new_name": "w"}}"#);
                    l.manager.evolve_schema(&l.table, &rename).await.map(drop)
                }
                .boxed()
            },
        ),
        Case("widen column", &["schema"], true, |l, _| {
            async {
                let widen = evolution(r#"{"widen_type": {"column": "v", "to": "long"}}"#);
                l.manager.evolve_schema(&l.table, &widen).await.map(drop)
            }
            .boxed()
        }),
        Case("delete column", &["schema", "/properties/write.metadata.metrics.column.v -"], true, |l, _| {
            async {
                let delete = evolution(r#"{"delete_column": {"column": "v"}}"#);
                l.manager.evolve_schema(&l.table, &delete).await.map(drop)
            }
            .boxed()
        }),
        Case(
            "transaction",
            &[
                "main",
                "snapshot",
                "schema",
                "/last-column-id",
                "/properties/schema.name-mapping.default",
                "/refs/done +",
                "/properties/owner +",
            ],
            true,
            |l, _| {
                async {
                    l.manager
                        .transaction(&l.table)
                        .evolve_schema(evolution(r#"{"add_column": {"column": "note", "type": "string"}}"#))
                        .write(rows(&[(9, "b", 9)]), WriteConfig::default())
                        .write(rows(&[(10, "b", 9)]), WriteConfig::default())
                        .tag("done", None, None, false)
                        .set_properties([("owner", "me")])
                        .commit()
                        .await
                        .map(drop)
                }
                .boxed()
            },
        ),
    ]
}

async fn run_all(version: &str, change: impl Fn(&mut Value) + Copy) {
    for Case(name, changes, in_v3, run) in cases() {
        if version == "3" && !in_v3 {
            continue;
        }
        // The text of the head is known, or has to be read.
        for known in [true, false] {
            let (lake, ids) = foreign(version, change).await;
            if known {
                lake.manager.load_table(&lake.table).await.unwrap();
            }
            let before = lake.metadata_json().await;
            run(&lake, &ids).await.unwrap_or_else(|e| panic!("version {version}, {name}: {e}"));
            let after = lake.metadata_json().await;
            let lost = not_allowed(&before, &after, changes);
            assert!(lost.is_empty(), "version {version}, {name}: {lost:?}");
            assert_ne!(before, after, "version {version}, {name} changes something");
            // And what was written can be read again, with every reference.
            let refs = lake.another().list_refs(&lake.table).await.unwrap();
            let written: BTreeSet<String> = after["refs"].as_object().unwrap().keys().cloned().collect();
            let read: BTreeSet<String> = refs.into_iter().map(|(name, _)| name).collect();
            assert_eq!(read, written, "{version}, {name}");
        }
    }
}

#[tokio::test]
async fn every_operation_keeps_every_field_in_version_1() {
    run_all("1", |_| {}).await;
}

#[tokio::test]
async fn every_operation_keeps_every_field_in_version_2() {
    run_all("2", |_| {}).await;
}

#[tokio::test]
async fn every_operation_keeps_every_field_in_version_3() {
    run_all("3", |_| {}).await;
}

/// As Spark leaves a table whose partition field was dropped, also after an upgrade.
fn void_like_its_column(json: &mut Value) {
    let fields = json!([{"source-id": 2, "field-id": 1000, "name": "part", "transform": "void", "x-odd": 1}]);
    let spec = json!({"spec-id": 1, "fields": fields, "x-odd": 1});
    json["partition-specs"].as_array_mut().unwrap().push(spec);
    json["default-spec-id"] = 1.into();
    if json["format-version"] == 1 {
        json["partition-spec"] = fields;
    }
}

#[tokio::test]
async fn a_dropped_partition_field_that_is_named_like_its_column_is_read_and_written() {
    for version in ["1", "2", "3"] {
        run_all(version, void_like_its_column).await;
        let (lake, _) = foreign(version, void_like_its_column).await;
        lake.manager.write_data(&lake.table, rows(&[(9, "b", 9)]), &WriteConfig::default()).await.unwrap();
        assert_eq!(lake.rows().await, ["1 a 1", "2 a 2", "9 b 9"]);
        let filter = Expr::parse("id = 9 OR id = 1").unwrap();
        if version != "3" {
            lake.manager.delete_data(&lake.table, &filter, &DeleteConfig::default()).await.unwrap();
            assert_eq!(lake.rows().await, ["2 a 2"]);
        }
    }
}

fn unknown_transform(json: &mut Value) {
    for spec in json["partition-specs"].as_array_mut().unwrap() {
        spec["fields"][0]["transform"] = "zorder[3]".into();
    }
    if json["format-version"] == 1 {
        json["partition-spec"] = json["partition-specs"][0]["fields"].clone();
    }
}

#[tokio::test]
async fn a_transform_that_is_not_known_is_read_past_and_never_written_by() {
    for version in ["1", "2", "3"] {
        for Case(name, changes, _, run) in cases() {
            let (lake, ids) = foreign(version, unknown_transform).await;
            let before = lake.metadata_json().await;
            let files = lake.storage.locations();
            assert_eq!(lake.rows().await, ["1 a 1", "2 a 2"]);
            let done = run(&lake, &ids).await;
            let writes = changes.contains(&"main") || changes.contains(&"snapshot");
            match done {
                Err(e) if writes => {
                    assert_eq!(e.kind(), ErrorKind::Unsupported, "{version}, {name}: {e}");
                    assert!(e.message().contains("'p'"), "{e}");
                    let direct = ["append", "overwrite", "upsert", "delete", "merge", "staged append"];
                    if direct.contains(&name) {
                        assert!(e.message().contains("'zorder[3]'"), "{e}");
                    }
                    assert_eq!(lake.storage.locations(), files, "{version}, {name}: nothing is written");
                }
                Err(e) => panic!("version {version}, {name}: {e}"),
                Ok(()) if writes => assert_eq!(name, "publish", "{version}: moves a branch only"),
                Ok(()) => {
                    let lost = not_allowed(&before, &lake.metadata_json().await, changes);
                    assert!(lost.is_empty(), "{version}, {name}: {lost:?}");
                }
            }
        }
    }
}

/// None is not none: a reference that the version before did not read was taken for one that had been moved.
#[tokio::test]
async fn a_move_that_got_lost_in_version_1_is_not_taken_for_done() {
    for fault in [Fault::LostRequest, Fault::LostReply, Fault::SpuriousConflict] {
        for name in ["rollback", "set current", "fast-forward", "publish", "tag", "branch", "replace tag"] {
            let (mut lake, ids) = foreign("1", |_| {}).await;
            let done = {
                let Case(.., run) = cases().into_iter().find(|case| case.0 == name).unwrap();
                lake.manager = lake.faulty(fault);
                run(&lake, &ids).await
            };
            lake.manager = lake.another();
            done.unwrap_or_else(|e| panic!("{name}, {fault:?}: {e}"));
            let refs = lake.manager.list_refs(&lake.table).await.unwrap();
            let at = |branch: &str| refs.iter().find(|(n, _)| n == branch).map(|(_, r)| r.snapshot_id);
            match name {
                "rollback" => assert_eq!(at("main"), Some(ids[0])),
                "set current" => assert_eq!(at("main"), Some(ids[3])),
                "fast-forward" => assert_eq!(at("main"), Some(ids[2])),
                "publish" => assert_eq!(at("main"), Some(ids[3])),
                "tag" => assert_eq!(at("now"), Some(ids[1])),
                "branch" => assert_eq!(at("dev"), Some(ids[0])),
                _ => assert_eq!(at("first"), Some(ids[1])),
            }
        }
    }
}

#[tokio::test]
async fn encrypted_tables_keep_their_keys_and_take_no_plain_rows() {
    let with_keys = |json: &mut Value| {
        json["encryption-keys"] = json!([{"key-id": "k", "encrypted-key-metadata": "aGk=", "x-odd": 1}]);
        json["snapshots"][0]["key-id"] = "k".into();
    };
    let with_property = |json: &mut Value| json["properties"]["encryption.key-id"] = "k".into();
    let changes: [(&str, &dyn Fn(&mut Value)); 2] = [("3", &with_keys), ("2", &with_property)];
    for (version, change) in changes {
        let (lake, ids) = foreign(version, change).await;
        let before = lake.metadata_json().await;
        let files = lake.storage.locations();
        let error = lake
            .manager
            .write_data(&lake.table, rows(&[(9, "b", 9)]), &WriteConfig::default())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.message().contains("encrypted"), "{error}");
        assert_eq!(lake.storage.locations(), files, "nothing is written");
        lake.manager.tag(&lake.table, "now", None, None, false).await.unwrap();
        let lost = not_allowed(&before, &lake.metadata_json().await, &["/refs/now +"]);
        assert!(lost.is_empty(), "{lost:?}");
        if version == "3" {
            let at = crate::base::SnapshotSelector::SnapshotId(ids[0]);
            let request = crate::execute::scan::ScanRequest { at, ..Default::default() };
            let error = match lake.manager.scan(&lake.table, &request).await {
                Ok(scan) => scan.data.collect().await.unwrap_err(),
                Err(error) => error,
            };
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        }
    }
}
