//! Rows that floe deleted, overwrote and upserted, as PyIceberg, DuckDB and Spark see them.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_select::concat::concat_batches;
use floe::execute::rows::RowMode;
use floe_tests::data::{ids, portable_batch, portable_schema, with_ids};
use floe_tests::peers::Peers;
use floe_tests::warehouse::Warehouse;

use crate::{Expected, assert_all_read_alike, specs};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_see_deletes_overwrites_and_upserts_in_both_modes() {
    let Some(peers) = Peers::find() else { return };
    let warehouse = Warehouse::temporary().await;
    let mut tables = Vec::new();
    for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
        for name in ["unpartitioned", "bucket_long", "identity_string", "day_ts"] {
            let (_, spec) = specs().into_iter().find(|(n, _)| *n == name).unwrap();
            let suffix = mode.as_str().replace('-', "_");
            let table = warehouse.create(&format!("{name}_{suffix}"), portable_schema(), spec).await;
            let first = portable_batch(1, 0, 120);
            warehouse.append(&table, vec![first.clone()]).await;
            let deleted = warehouse.delete(&table, "id >= 10 AND id < 35", mode).await;
            assert_eq!(deleted.changes.unwrap().rows_removed, 25, "{name} {mode:?}");

            let other = portable_batch(2, 50, 20);
            let replaced = warehouse.overwrite(&table, &other, "id >= 50 AND id < 80", mode).await;
            assert_eq!((replaced.changes.unwrap().rows_removed, replaced.rows), (30, 20), "{name} {mode:?}");

            let source = portable_batch(3, 100, 40);
            let merged = warehouse.upsert(&table, &source, mode).await.merged.unwrap();
            assert_eq!((merged.rows_updated, merged.rows_inserted), (20, 20), "{name} {mode:?}");

            let theirs: HashSet<i64> = ids(&other).into_iter().chain(ids(&source)).collect();
            let kept = with_ids(&first, |id| {
                !(10..35).contains(&id) && !(50..80).contains(&id) && !theirs.contains(&id)
            });
            let rows = concat_batches(&Arc::clone(&first.schema()), [&kept, &other, &source]).unwrap();
            tables.push(Expected { table, batches: vec![rows] });
        }
    }
    assert_all_read_alike(&warehouse, &peers, &tables).await;
}
