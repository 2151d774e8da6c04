//! Other engines on the same catalog and storage.

use floe::execute::rows::RowMode;
use floe::iceberg::TableIdent;
use floe::model::{ChangeOptions, DeleteConfig, WriteConfig};
use serde_json::json;

use super::Target;
use super::rows::{self, append, delete, from_batches, read, some, sorted, upsert, write};
use crate::peers::{Peers, duckdb};

/// PyIceberg reads every table through the same catalog; floe goes on with tables that PyIceberg made or changed.
pub async fn pyiceberg_reads_what_floe_wrote_and_floe_goes_on(target: &Target) {
    let Some(peer) = &target.peer else {
        println!("n/a: PyIceberg cannot reach this catalog");
        return;
    };
    let Some(peers) = Peers::find() else { return };
    let (table, mut expected) = changed(target, RowMode::MergeOnRead).await;
    let read_it =
        |table: &TableIdent| json!({"do": "read_pyiceberg", "uri": peer, "table": table.to_string()});
    assert_eq!(from_batches(&peers.read(&[read_it(&table)])[0]), expected);

    // PyIceberg appends to floe's table, and floe changes what it appended.
    let theirs = some(500..503, "p", "py");
    let data = peers.hand_over("theirs.arrow", &[rows::batch(&theirs)]);
    let theirs_name = format!("{}.theirs", target.namespace.as_ref().join("."));
    peers.run(&[
        json!({"do": "append", "uri": peer, "table": table.to_string(), "data": data}),
        json!({"do": "create", "uri": peer, "table": theirs_name, "data": data}),
    ]);
    write(&target.manager, &table, &some(501..502, "p", "floe"), &upsert()).await.unwrap();
    expected = sorted([expected, some([500, 502], "p", "py"), some(501..502, "p", "floe")]);
    assert_eq!(read(&target.another().await, &table).await, expected);

    // A table that PyIceberg made.
    let theirs_table = TableIdent::new(target.namespace.clone(), "theirs".into());
    assert_eq!(read(&target.manager, &theirs_table).await, theirs);
    append(&target.manager, &theirs_table, &some(600..602, "p", "floe")).await;
    delete(&target.manager, &theirs_table, "id = 500", &DeleteConfig::default()).await.unwrap();
    let left = sorted([some(501..503, "p", "py"), some(600..602, "p", "floe")]);
    let results = peers.read(&[read_it(&table), read_it(&theirs_table)]);
    assert_eq!(from_batches(&results[0]), expected);
    assert_eq!(from_batches(&results[1]), left);
}

/// DuckDB reads a table: through the catalog where it can, else by its metadata file where that is a local one.
pub async fn duckdb_reads_what_floe_wrote(target: &Target) {
    let attach = target.duckdb.clone();
    if attach.is_none() && !target.manager.storage().warehouse().starts_with("file:") {
        println!("n/a: DuckDB reaches neither this catalog nor this storage");
        return;
    }
    let Some(peers) = Peers::find() else { return };
    let (table, expected) = changed(target, RowMode::MergeOnRead).await;
    let command = match attach {
        Some(attach) => json!({"do": "read_duckdb", "attach": attach, "table": table.to_string()}),
        None => duckdb(&target.manager.load_table(&table).await.unwrap().metadata_location, None),
    };
    assert_eq!(from_batches(&peers.read(&[command])[0]), expected);
}

/// A table that was appended to, deleted from and upserted into, and its rows.
async fn changed(target: &Target, mode: RowMode) -> (TableIdent, Vec<rows::Row>) {
    let table = target.partitioned("changed").await;
    append(&target.manager, &table, &sorted([some(0..20, "a", "old"), some(20..40, "b", "old")])).await;
    let options = ChangeOptions { row_mode: Some(mode), ..ChangeOptions::default() };
    let config = DeleteConfig { options: options.clone() };
    delete(&target.manager, &table, "id >= 15 AND id < 25", &config).await.unwrap();
    let config = WriteConfig { options, ..upsert() };
    let source = sorted([some(10..20, "a", "new"), some(100..105, "c", "new")]);
    write(&target.manager, &table, &source, &config).await.unwrap();
    (table, sorted([some(0..10, "a", "old"), some(25..40, "b", "old"), source]))
}
