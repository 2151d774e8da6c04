//! Tags, branches, roll-backs and published snapshots of floe, as Spark sees them.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use floe::execute::rows::RowMode;
use floe::iceberg::TableIdent;
use floe::model::{ChangeOptions, WriteConfig, WriteMode};
use floe::refs::BranchRetention;
use floe_tests::data::{portable_batch, portable_schema, with_ids};
use floe_tests::rows::{assert_same_rows, column_names, rows};
use floe_tests::spark::{Spark, SparkWarehouse};
use floe_tests::warehouse::Warehouse;

use crate::specs;

/// Fails unless floe and Spark read exactly these rows at `at`: a tag, a branch or a snapshot id; now, if empty.
async fn assert_at(
    warehouse: &Warehouse,
    spark: &SparkWarehouse,
    table: &TableIdent,
    at: &str,
    expected: &[RecordBatch],
) {
    let columns = column_names(&expected[0]);
    let wanted = rows(expected, &columns);
    let own = match at {
        "" => warehouse.scan(table, None).await,
        at => warehouse.scan_at(table, at).await,
    };
    assert_same_rows(&format!("floe reads {table} at '{at}'"), &rows(&own, &columns), &wanted);
    let from = match at.parse::<i64>() {
        _ if at.is_empty() => table.to_string(),
        Ok(id) => format!("{table} VERSION AS OF {id}"),
        Err(_) => format!("{table} VERSION AS OF '{at}'"),
    };
    let theirs = rows(&spark.table(&from, &expected[0].schema()), &columns);
    assert_same_rows(&format!("Spark reads {from}"), &theirs, &wanted);
}

fn to_branch(branch: &str) -> WriteConfig {
    let options = ChangeOptions { branch: Some(branch.into()), ..ChangeOptions::default() };
    WriteConfig { options, ..WriteConfig::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spark_reads_tags_branches_rollbacks_and_what_was_published() {
    let Some(spark) = Spark::find() else { return };
    let warehouse = Warehouse::temporary().await;
    let (_, spec) = specs().into_iter().find(|(name, _)| *name == "bucket_long").unwrap();
    let table = warehouse.create("refs", portable_schema(), spec).await;
    let manager = &warehouse.manager;
    let parts: Vec<RecordBatch> = (0..6).map(|n| portable_batch(n, 100 * n as i64, 40)).collect();

    let first = warehouse.append(&table, vec![parts[0].clone()]).await.snapshot_id.unwrap();
    manager.tag(&table, "v1", None, None, false).await.unwrap();
    let second = warehouse.append(&table, vec![parts[1].clone()]).await.snapshot_id.unwrap();
    manager.branch(&table, "audit", None, BranchRetention::default(), false).await.unwrap();
    warehouse.write(&table, &parts[2], &to_branch("audit")).await;
    let mut upsert =
        WriteConfig { mode: WriteMode::Upsert, join_columns: vec!["id".into()], ..to_branch("audit") };
    upsert.options.row_mode = Some(RowMode::MergeOnRead);
    let newer = portable_batch(77, 110, 10);
    let merged = warehouse.write(&table, &newer, &upsert).await.merged.unwrap();
    assert_eq!((merged.rows_updated, merged.rows_inserted), (10, 0));
    // The last part is staged, and on no branch yet.
    let options = ChangeOptions {
        staged: true,
        snapshot_properties: BTreeMap::from([("wap.id".into(), "w1".into())]),
        ..ChangeOptions::default()
    };
    let staged = WriteConfig { options, ..WriteConfig::default() };
    warehouse.write(&table, &parts[3], &staged).await;

    let on = spark.on(&warehouse);
    let at = |at: &'static str, expected: Vec<RecordBatch>| {
        let (warehouse, on, table) = (&warehouse, &on, &table);
        async move { assert_at(warehouse, on, table, at, &expected).await }
    };
    let main = vec![parts[0].clone(), parts[1].clone()];
    at("", main.clone()).await;
    at("v1", vec![parts[0].clone()]).await;
    let untouched = with_ids(&parts[1], |id| !(110..120).contains(&id));
    let audit = vec![parts[0].clone(), untouched, parts[2].clone(), newer];
    at("audit", audit.clone()).await;
    assert_at(&warehouse, &on, &table, &first.to_string(), &parts[..1]).await;

    // Main moves on before the staged snapshot is published: its change is committed again.
    warehouse.append(&table, vec![parts[4].clone()]).await;
    manager.publish(&table, None, "w1").await.unwrap();
    let published = [main.clone(), vec![parts[4].clone(), parts[3].clone()]].concat();
    at("", published.clone()).await;
    manager.rollback_to_snapshot(&table, None, second).await.unwrap();
    at("", main.clone()).await;
    // A change of the branch, picked onto main.
    let outcome = warehouse.write(&table, &parts[5], &to_branch("audit")).await;
    manager.cherry_pick(&table, None, outcome.snapshot_id.unwrap()).await.unwrap();
    at("", [main.clone(), vec![parts[5].clone()]].concat()).await;
    at("audit", [audit.clone(), vec![parts[5].clone()]].concat()).await;
    // Main follows the branch.
    manager.rollback_to_snapshot(&table, None, second).await.unwrap();
    manager.fast_forward(&table, "main", "audit").await.unwrap();
    at("", [audit, vec![parts[5].clone()]].concat()).await;
    manager.drop_branch(&table, "audit").await.unwrap();
    let refs = on.query("SELECT name, type FROM t.refs.refs ORDER BY name");
    let text = |value: &str| Some(value.to_owned());
    assert_eq!(refs, [vec![text("main"), text("BRANCH")], vec![text("v1"), text("TAG")]]);

    // Spark goes on where floe stopped: it writes to a branch of its own, and floe reads that.
    on.run(&[
        "ALTER TABLE t.refs CREATE BRANCH theirs",
        "DELETE FROM t.refs.branch_theirs WHERE id < 20",
        &format!("ALTER TABLE t.refs CREATE TAG made_by_spark AS OF VERSION {first}"),
    ]);
    let columns = column_names(&parts[0]);
    let theirs = on.table("t.refs VERSION AS OF 'theirs'", &parts[0].schema());
    let wanted = rows(&theirs, &columns);
    assert_same_rows(
        "floe reads Spark's branch",
        &rows(&warehouse.scan_at(&table, "theirs").await, &columns),
        &wanted,
    );
    at("made_by_spark", vec![parts[0].clone()]).await;
}
