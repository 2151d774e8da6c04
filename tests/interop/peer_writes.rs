//! Tables that PyIceberg writes.

use floe::execute::rows::RowMode;
use floe::iceberg::TableIdent;
use floe_tests::peers::{Peers, pyiceberg};
use floe_tests::rows::{assert_same_rows, column_names, rows};
use floe_tests::warehouse::Warehouse;
use serde_json::{Value, json};

use crate::continued::{all_rows, go_on};
use crate::{Expected, assert_all_read_alike};

/// Runs scenarios of `tests/python/scenarios.py` and compares floe's scan of each table with PyIceberg's own.
async fn assert_floe_reads(scenarios: &[(&str, Value)]) {
    let Some(peers) = Peers::find() else { return };
    let warehouse = Warehouse::temporary().await;
    let uri = warehouse.catalog_uri();
    let name = |(index, (scenario, _)): (usize, &(&str, Value))| format!("t.{scenario}{index}");
    let tables: Vec<String> = scenarios.iter().enumerate().map(name).collect();
    let commands: Vec<Value> = scenarios
        .iter()
        .zip(&tables)
        .map(|((scenario, options), table)| {
            let mut command = json!({
                "do": "scenario", "uri": uri, "table": table, "name": scenario,
                "warehouse": format!("file://{}", warehouse.path().display()),
            });
            for (key, value) in options.as_object().into_iter().flatten() {
                command[key] = value.clone();
            }
            command
        })
        .collect();
    peers.run(&commands);
    let reads: Vec<Value> = tables.iter().map(|table| pyiceberg(&uri, table, None)).collect();
    for ((table, theirs), (_, options)) in tables.iter().zip(peers.read(&reads)).zip(scenarios) {
        let ident = TableIdent::from_strs(table.split('.')).unwrap();
        let columns = column_names(&theirs[0]);
        let wanted = rows(&theirs, &columns);
        assert!(!wanted.is_empty(), "{table} {options} holds no rows to compare");
        let own = rows(&warehouse.scan(&ident, None).await, &columns);
        assert_same_rows(&format!("floe reads {table} {options}"), &own, &wanted);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floe_reads_every_partition_transform_of_pyiceberg() {
    let specs = [
        "none",
        "identity_string",
        "identity_int",
        "identity_date",
        "year_ts",
        "month_tstz",
        "year_date",
        "year_ts_bucket",
        "bucket_string",
        "truncate_string",
        "truncate_long",
        "truncate_decimal",
    ];
    let mut scenarios: Vec<(&str, Value)> =
        specs.iter().map(|s| ("primitives", json!({"spec": s}))).collect();
    scenarios.push(("hourly", json!({})));
    assert_floe_reads(&scenarios).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floe_reads_nested_columns_of_pyiceberg() {
    assert_floe_reads(&[("nested", json!({}))]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floe_reads_tables_whose_schema_or_spec_pyiceberg_changed() {
    assert_floe_reads(&[("evolved", json!({})), ("respecified", json!({}))]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floe_reads_tables_from_which_pyiceberg_deleted_rows() {
    assert_floe_reads(&[("deleted", json!({})), ("deleted", json!({"spec": "bucket_string"}))]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floe_changes_tables_of_pyiceberg_and_all_read_the_result() {
    let Some(peers) = Peers::find() else { return };
    let warehouse = Warehouse::temporary().await;
    let mut made = Vec::new();
    for (scenario, spec) in [
        ("primitives", "none"),
        ("primitives", "year_ts"),
        ("deleted", "bucket_string"),
        ("respecified", ""),
        ("evolved", ""),
    ] {
        for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
            made.push((format!("t.{scenario}_{spec}_{}", made.len()), scenario, spec, mode));
        }
    }
    let commands = made.iter().map(|(table, scenario, spec, _)| {
        let mut command = json!({
            "do": "scenario", "uri": warehouse.catalog_uri(), "table": table, "name": scenario,
            "warehouse": format!("file://{}", warehouse.path().display()),
        });
        if !spec.is_empty() {
            command["spec"] = json!(spec);
        }
        command
    });
    peers.run(&commands.collect::<Vec<_>>());
    let mut tables = Vec::new();
    for (name, _, _, mode) in made {
        let table = TableIdent::from_strs(name.split('.')).unwrap();
        let start = all_rows(&warehouse, &table).await;
        let left = go_on(&warehouse, &table, start, mode).await;
        tables.push(Expected { table, batches: vec![left] });
    }
    assert_all_read_alike(&warehouse, &peers, &tables).await;
}
