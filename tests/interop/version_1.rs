//! Tables of format version 1 as PyIceberg makes them: with tags and branches, and with a dropped partition field that
//! is named like its column.

use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use floe::execute::rows::RowMode;
use floe::iceberg::TableIdent;
use floe::plan::evolve::SchemaEvolution;
use floe_tests::peers::{Peers, pyiceberg};
use floe_tests::rows::{assert_same_rows, column_names, rows};
use floe_tests::warehouse::Warehouse;
use serde_json::{Value, json};

fn batch(ids: &[i64]) -> RecordBatch {
    let schema =
        Schema::new(vec![Field::new("id", DataType::Int64, true), Field::new("part", DataType::Utf8, true)]);
    let parts = StringArray::from_iter_values(ids.iter().map(|_| "a"));
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int64Array::from(ids.to_vec())), Arc::new(parts)])
        .unwrap()
}

async fn references(warehouse: &Warehouse, table: &TableIdent) -> Value {
    let refs = warehouse.manager.list_refs(table).await.unwrap();
    let kind = |branch: bool| if branch { "branch" } else { "tag" };
    refs.into_iter().map(|(name, r)| (name, json!([r.snapshot_id, kind(r.is_branch())]))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_pyiceberg_tagged_in_version_1_stays_through_every_commit() {
    let Some(peers) = Peers::find() else { return };
    let warehouse = Warehouse::temporary().await;
    let (uri, name) = (warehouse.catalog_uri(), "t.old");
    let made = json!({
        "do": "scenario", "name": "version_1", "uri": uri, "table": name,
        "warehouse": format!("file://{}", warehouse.path().display()),
    });
    peers.run(&[made]);
    let table = TableIdent::from_strs(["t", "old"]).unwrap();
    let asked = json!({"do": "refs", "uri": uri, "table": name});
    let before = peers.run(std::slice::from_ref(&asked)).remove(0);
    assert_eq!(references(&warehouse, &table).await, before);
    assert_eq!(before.as_object().unwrap().len(), 3);

    let manager = &warehouse.manager;
    warehouse.append(&table, vec![batch(&[5, 6])]).await;
    warehouse.delete(&table, "id = 1", RowMode::CopyOnWrite).await;
    manager.tag(&table, "now", None, None, false).await.unwrap();
    let add: SchemaEvolution =
        serde_json::from_str(r#"{"changes": [{"add_column": {"column": "note", "type": "string"}}]}"#)
            .unwrap();
    manager.evolve_schema(&table, &add).await.unwrap();
    manager.update_properties(&table, &[("owner".to_owned(), "me".to_owned())].into(), &[]).await.unwrap();

    let after = peers.run(&[asked]).remove(0);
    assert_eq!(references(&warehouse, &table).await, after);
    assert_eq!(after.as_object().unwrap().len(), 4);
    for kept in ["first", "audit"] {
        assert_eq!(after[kept], before[kept]);
    }
    assert_eq!(after["now"][0], after["main"][0]);
    assert_ne!(after["main"], before["main"]);

    let wanted = [batch(&[2, 3, 4, 5, 6])];
    let columns = column_names(&wanted[0]);
    let own = warehouse.scan(&table, None).await;
    assert_same_rows("floe", &rows(&own, &columns), &rows(&wanted, &columns));
    let theirs = peers.read(&[pyiceberg(&uri, name, None)]).remove(0);
    assert_same_rows("PyIceberg", &rows(&theirs, &columns), &rows(&wanted, &columns));

    // The tag can be gone back to, and the branch goes forward.
    let first = before["first"][0].as_i64().unwrap();
    manager.rollback_to_snapshot(&table, None, first).await.unwrap();
    let wanted = [batch(&[1, 2])];
    let theirs = peers.read(&[pyiceberg(&uri, name, None)]).remove(0);
    assert_same_rows("PyIceberg", &rows(&theirs, &columns), &rows(&wanted, &columns));
    manager.fast_forward(&table, "audit", "now").await.unwrap();
    let end = references(&warehouse, &table).await;
    assert_eq!((&end["audit"][0], end["main"][0].as_i64()), (&after["now"][0], Some(first)));
}
