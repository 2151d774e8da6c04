//! Rows that floe deleted, overwrote and upserted, as PyIceberg, DuckDB and Spark see them.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_select::concat::concat_batches;
use floe_tests::data::{ids, portable_batch, with_ids};

use crate::assert_changes_read_alike;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_see_deletes_overwrites_and_upserts_in_both_modes() {
    let first = portable_batch(1, 0, 120);
    assert_changes_read_alike(first.clone(), async |warehouse, table, mode| {
        let deleted = warehouse.delete(table, "id >= 10 AND id < 35", mode).await;
        assert_eq!(deleted.changes.unwrap().rows_removed, 25, "{table}");

        let other = portable_batch(2, 50, 20);
        let replaced = warehouse.overwrite(table, &other, "id >= 50 AND id < 80", mode).await;
        assert_eq!((replaced.changes.unwrap().rows_removed, replaced.rows), (30, 20), "{table}");

        let source = portable_batch(3, 100, 40);
        let merged = warehouse.upsert(table, &source, mode).await.merged.unwrap();
        assert_eq!((merged.rows_updated, merged.rows_inserted), (20, 20), "{table}");

        let theirs: HashSet<i64> = ids(&other).into_iter().chain(ids(&source)).collect();
        let kept = with_ids(&first, |id| {
            !(10..35).contains(&id) && !(50..80).contains(&id) && !theirs.contains(&id)
        });
        concat_batches(&Arc::clone(&first.schema()), [&kept, &other, &source]).unwrap()
    })
    .await;
}
