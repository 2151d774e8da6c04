//! Tables that floe writes.

use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch, StringArray};
use floe::model::PartitionTransform::Identity;
use floe::model::{CommitStrategy, FieldType, SchemaField, TableSchema};
use floe_tests::data::{
    nested_batch, nested_schema, portable_batch, portable_schema, primitive_batch, primitive_schema,
};
use floe_tests::peers::Peers;
use floe_tests::warehouse::{Warehouse, spec};

use crate::{Expected, assert_all_read_alike, specs};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_read_every_primitive_type_under_every_partition_transform() {
    let Some(peers) = Peers::find() else { return };
    let warehouse = Warehouse::temporary().await;
    let mut tables = Vec::new();
    let with_time = [("with_time", None)].into_iter().chain(specs());
    for (name, spec) in with_time {
        let (schema, batches) = if name.ends_with("time") {
            (primitive_schema(), vec![primitive_batch(1, 0, 90), primitive_batch(2, 90, 30)])
        } else {
            (portable_schema(), vec![portable_batch(1, 0, 90), portable_batch(2, 90, 30)])
        };
        let table = warehouse.create(name, schema, spec).await;
        warehouse.try_append(&table, vec![batches[0].clone()], CommitStrategy::FastAppend).await.unwrap();
        warehouse.try_append(&table, vec![batches[1].clone()], CommitStrategy::MergeCommit).await.unwrap();
        tables.push(Expected { table, batches });
    }
    assert_all_read_alike(&warehouse, &peers, &tables).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_read_every_format_version_and_codec() {
    let Some(peers) = Peers::find() else { return };
    let warehouse = Warehouse::temporary().await;
    let mut tables = Vec::new();
    let variants: [&[(&str, &str)]; 6] = [
        &[("format-version", "1")],
        &[("format-version", "2"), ("write.parquet.compression-codec", "snappy")],
        &[("write.parquet.compression-codec", "gzip")],
        &[("write.parquet.compression-codec", "lz4")],
        &[("write.parquet.compression-codec", "uncompressed")],
        &[("write.parquet.row-group-size-bytes", "4096"), ("write.target-file-size-bytes", "16384")],
    ];
    for (index, properties) in variants.iter().enumerate() {
        let table =
            warehouse.create_with(&format!("variant{index}"), portable_schema(), None, properties).await;
        let batches = vec![portable_batch(3, 0, 2000)];
        warehouse.append(&table, batches.clone()).await;
        tables.push(Expected { table, batches });
    }
    assert_all_read_alike(&warehouse, &peers, &tables).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_read_structs_lists_and_maps() {
    let Some(peers) = Peers::find() else { return };
    let warehouse = Warehouse::temporary().await;
    let table = warehouse.create("nested", nested_schema(), None).await;
    warehouse.append(&table, vec![nested_batch()]).await;
    warehouse.append(&table, vec![nested_batch()]).await;
    let batches = vec![nested_batch(), nested_batch()];
    assert_all_read_alike(&warehouse, &peers, &[Expected { table, batches }]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_read_hundreds_of_partitions_with_names_that_need_care() {
    let Some(peers) = Peers::find() else { return };
    let warehouse = Warehouse::temporary().await;
    let fields = vec![
        SchemaField::new(1, "id", FieldType::Long, true),
        SchemaField::new(2, "name", FieldType::String, false),
    ];
    let table = warehouse.create("many", TableSchema { fields }, Some(spec(&[(2, Identity, None)]))).await;
    let care = [
        "é/日本 %&=",
        "a=b",
        "a/b",
        "..",
        ".",
        "",
        "%2F",
        "a+b",
        "a b",
        "#?",
        "\\",
        "\"'",
        "null",
        "__HIVE_DEFAULT_PARTITION__",
    ];
    let names: Vec<Option<String>> = (0..900)
        .map(|n| match n % 300 {
            0 => None,
            k if k <= care.len() => Some(care[k - 1].to_owned()),
            k => Some(format!("partition {k} ñ")),
        })
        .collect();
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(Int64Array::from_iter_values(0..900)) as _, false),
        ("name", Arc::new(StringArray::from(names)) as _, true),
    ])
    .unwrap();
    let outcome = warehouse.append(&table, vec![batch.clone()]).await;
    assert_eq!((outcome.rows, outcome.files), (900, 300));
    assert_all_read_alike(&warehouse, &peers, &[Expected { table, batches: vec![batch] }]).await;
}
