//! Catalogs on servers: floe and PyIceberg go on with each other's tables there. The data lies in local files.

#![allow(clippy::unwrap_used)]

use floe::Properties;
use floe::iceberg::TableIdent;
use floe_testkit::services;
use floe_tests::data::{primitive_batch, primitive_schema};
use floe_tests::peers::{Peers, pyiceberg};
use floe_tests::rows::{assert_same_rows, column_names, rows};
use floe_tests::warehouse::Warehouse;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn glue_is_shared_with_pyiceberg() {
    let (Some(peers), Some([endpoint])) = (Peers::find(), services::find(["FLOE_TEST_GLUE_ENDPOINT"])) else {
        return;
    };
    // Another account for each run would need a proxy: the tables have names of their own instead.
    let properties = [
        ("glue.endpoint", endpoint.as_str()),
        ("glue.region", "eu-west-3"),
        ("glue.access-key-id", "AKIAIOSFODNN7EXAMPLE"),
        ("glue.secret-access-key", "hunter2"),
    ];
    let mut uri = json!({"type": "glue"});
    for (key, value) in properties {
        uri[key] = value.into();
    }
    let floe: Properties = properties.into_iter().chain([("type", "glue"), ("storage", "local")]).collect();
    by_turns(&peers, &Warehouse::with_catalog("default", &floe).await, &uri.to_string()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_is_shared_with_pyiceberg() {
    let (Some(peers), Some([uri])) = (Peers::find(), services::find(["FLOE_TEST_POSTGRES_URI"])) else {
        return;
    };
    let uri = uri.replacen("postgres://", "postgresql+psycopg2://", 1);
    // PyIceberg keeps the catalog under the name `default` in the same tables.
    let floe: Properties = [("type", "local"), ("uri", uri.as_str())].into_iter().collect();
    by_turns(&peers, &Warehouse::with_catalog("default", &floe).await, &uri).await;
}

/// One table made by floe and one made by PyIceberg, to which both append; both read both.
async fn by_turns(peers: &Peers, warehouse: &Warehouse, uri: &str) {
    let run = uuid::Uuid::new_v4().simple().to_string();
    let own = warehouse.create(&format!("own_{run}"), primitive_schema(), None).await;
    let theirs = TableIdent::from_strs(["t".to_owned(), format!("theirs_{run}")]).unwrap();
    let folder = format!("file://{}", warehouse.path().display());
    peers.run(&[json!({
        "do": "scenario", "name": "primitives", "uri": uri, "table": theirs.to_string(), "spec": "bucket_string",
        "warehouse": folder,
    })]);
    let columns = column_names(&primitive_batch(0, 0, 1));
    let mut expected =
        [Vec::new(), rows(&peers.read(&[pyiceberg(uri, &theirs.to_string(), None)])[0], &columns)];
    assert!(!expected[1].is_empty());
    for turn in 0..2_u64 {
        let ours = primitive_batch(turn, 10_000 + 200 * turn as i64, 30);
        let others = primitive_batch(turn + 50, 20_000 + 200 * turn as i64, 30);
        let data = peers.hand_over(&format!("turn{turn}.arrow"), std::slice::from_ref(&others));
        for (table, expected) in [&own, &theirs].into_iter().zip(&mut expected) {
            warehouse.append(table, vec![ours.clone()]).await;
            peers.run(&[
                json!({"do": "append", "uri": uri, "table": table.to_string(), "data": data, "cast": true}),
            ]);
            expected.extend(rows(&[ours.clone(), others.clone()], &columns));
        }
    }
    for (table, mut expected) in [&own, &theirs].into_iter().zip(expected) {
        expected.sort_unstable();
        let seen = warehouse.scan(table, None).await;
        assert_same_rows(&format!("floe reads {table}"), &rows(&seen, &columns), &expected);
        let seen = &peers.read(&[pyiceberg(uri, &table.to_string(), None)])[0];
        assert_same_rows(&format!("PyIceberg reads {table}"), &rows(seen, &columns), &expected);
    }
    let listed = warehouse.manager.list_tables(theirs.namespace()).await.unwrap();
    assert!(listed.contains(&own) && listed.contains(&theirs));
    for table in [own, theirs] {
        warehouse.manager.drop_table(&table).await.unwrap();
    }
}
