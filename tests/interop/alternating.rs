//! floe and PyIceberg write to one table by turns.

use floe::iceberg::TableIdent;
use floe_tests::data::{primitive_batch, primitive_schema};
use floe_tests::peers::{Peers, pyiceberg};
use floe_tests::rows::{assert_same_rows, column_names, rows};
use floe_tests::warehouse::Warehouse;
use serde_json::json;

use crate::{Expected, assert_all_read_alike, specs};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pyiceberg_and_floe_append_to_a_table_of_floe_by_turns() {
    let Some(peers) = Peers::find() else { return };
    let warehouse = Warehouse::temporary().await;
    let mut tables = Vec::new();
    for name in ["unpartitioned", "bucket_long", "year_ts"] {
        let (_, spec) = specs().into_iter().find(|(n, _)| *n == name).unwrap();
        let table = warehouse.create(name, primitive_schema(), spec).await;
        tables.push(Expected { table, batches: Vec::new() });
    }
    for turn in 0..3_u64 {
        let (own, theirs) = (
            primitive_batch(turn, 200 * turn as i64, 40),
            primitive_batch(turn + 50, 200 * turn as i64 + 100, 40),
        );
        let data = peers.hand_over(&format!("turn{turn}.arrow"), std::slice::from_ref(&theirs));
        let mut commands = Vec::new();
        for expected in &mut tables {
            warehouse.append(&expected.table, vec![own.clone()]).await;
            commands.push(json!({
                "do": "append", "uri": warehouse.catalog_uri(), "table": expected.table.to_string(), "data": data,
            }));
            expected.batches.extend([own.clone(), theirs.clone()]);
        }
        peers.run(&commands);
    }
    assert_all_read_alike(&warehouse, &peers, &tables).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floe_appends_to_tables_of_pyiceberg() {
    let Some(peers) = Peers::find() else { return };
    let warehouse = Warehouse::temporary().await;
    let uri = warehouse.catalog_uri();
    let scenario = |table: &str, spec: &str| {
        json!({
            "do": "scenario", "name": "primitives", "uri": uri, "table": table, "spec": spec,
            "warehouse": format!("file://{}", warehouse.path().display()),
        })
    };
    let names = ["t.plain", "t.buckets", "t.years", "t.truncated"];
    let made = [
        ("t.plain", "none"),
        ("t.buckets", "bucket_string"),
        ("t.years", "year_ts"),
        ("t.truncated", "truncate_string"),
    ];
    peers.run(&made.map(|(table, spec)| scenario(table, spec)));
    let read = |peers: &Peers| peers.read(&names.map(|table| pyiceberg(&uri, table, None)));
    let before = read(&peers);
    let own = primitive_batch(11, 5000, 60);
    let columns = column_names(&own);
    for table in names {
        let ident = TableIdent::from_strs(table.split('.')).unwrap();
        warehouse.append(&ident, vec![own.clone()]).await;
    }
    for ((table, before), after) in names.iter().zip(before).zip(read(&peers)) {
        let mut wanted = rows(&before, &columns);
        wanted.extend(rows(std::slice::from_ref(&own), &columns));
        wanted.sort_unstable();
        assert_same_rows(&format!("PyIceberg reads {table}"), &rows(&after, &columns), &wanted);
        let ident = TableIdent::from_strs(table.split('.')).unwrap();
        assert_same_rows(
            &format!("floe reads {table}"),
            &rows(&warehouse.scan(&ident, None).await, &columns),
            &wanted,
        );
    }
}
