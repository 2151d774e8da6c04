//! Rows that floe deleted, overwrote and upserted, as PyIceberg and DuckDB see them.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use floe::data::BatchStream;
use floe::execute::rows::RowMode;
use floe::model::{ChangeOptions, DeleteConfig, WriteConfig, WriteMode};
use floe::plan::expr::Expr;
use floe_tests::data::{primitive_batch, primitive_schema};
use floe_tests::peers::Peers;
use floe_tests::warehouse::Warehouse;

use crate::{Expected, assert_all_read_alike, specs};

/// The rows of `batch` whose id passes `keep`.
fn only(batch: &RecordBatch, keep: impl Fn(i64) -> bool) -> RecordBatch {
    let ids = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>();
    let mask: BooleanArray = ids.values().iter().map(|id| Some(keep(*id))).collect();
    filter_record_batch(batch, &mask).unwrap()
}

fn ids(batch: &RecordBatch) -> HashSet<i64> {
    batch.column_by_name("id").unwrap().as_primitive::<Int64Type>().values().iter().copied().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_see_deletes_overwrites_and_upserts_in_both_modes() {
    let Some(peers) = Peers::find() else { return };
    let warehouse = Warehouse::temporary().await;
    let mut tables = Vec::new();
    for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
        for name in ["unpartitioned", "bucket_long", "identity_string", "day_ts"] {
            let (_, spec) = specs().into_iter().find(|(n, _)| *n == name).unwrap();
            let suffix = mode.as_str().replace('-', "_");
            let table = warehouse.create(&format!("{name}_{suffix}"), primitive_schema(), spec).await;
            let first = primitive_batch(1, 0, 120);
            warehouse.append(&table, vec![first.clone()]).await;
            let options = ChangeOptions { row_mode: Some(mode), ..ChangeOptions::default() };
            let config = DeleteConfig { options: options.clone() };
            let filter = Expr::parse("id >= 10 AND id < 35").unwrap();
            let deleted = warehouse.manager.delete_data(&table, &filter, &config).await.unwrap();
            assert_eq!(deleted.changes.unwrap().rows_removed, 25, "{name} {mode:?}");

            let other = primitive_batch(2, 50, 20);
            let overwrite = WriteConfig {
                mode: WriteMode::Overwrite,
                overwrite_filter: Some("id >= 50 AND id < 80".into()),
                options: options.clone(),
                ..WriteConfig::default()
            };
            let data = BatchStream::from_batches(other.schema(), vec![other.clone()]);
            let replaced = warehouse.manager.write_data(&table, data, &overwrite).await.unwrap();
            assert_eq!((replaced.changes.unwrap().rows_removed, replaced.rows), (30, 20), "{name} {mode:?}");

            let source = primitive_batch(3, 100, 40);
            let upsert = WriteConfig {
                mode: WriteMode::Upsert,
                join_columns: vec!["id".into()],
                options: options.clone(),
                ..WriteConfig::default()
            };
            let data = BatchStream::from_batches(source.schema(), vec![source.clone()]);
            let merged = warehouse.manager.write_data(&table, data, &upsert).await.unwrap().merged.unwrap();
            assert_eq!((merged.rows_updated, merged.rows_inserted), (20, 20), "{name} {mode:?}");

            let (theirs, last) = (ids(&other), ids(&source));
            let kept = only(&first, |id| {
                !(10..35).contains(&id)
                    && !(50..80).contains(&id)
                    && !theirs.contains(&id)
                    && !last.contains(&id)
            });
            let rows = concat_batches(&Arc::clone(&first.schema()), [&kept, &other, &source]).unwrap();
            tables.push(Expected { table, batches: vec![rows] });
        }
    }
    assert_all_read_alike(&warehouse, &peers, &tables).await;
}
