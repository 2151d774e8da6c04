//! floe goes on with a table that another engine made.

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use floe::execute::rows::RowMode;
use floe::iceberg::TableIdent;
use floe::model::CommitStrategy;
use floe_tests::data::{ids, with_ids, with_new_ids};
use floe_tests::rows::{assert_same_rows, column_names, rows};
use floe_tests::warehouse::Warehouse;

/// Deletes, upserts, overwrites and appends; the rows come from the table itself, `start`, under other ids. Fails unless
/// floe reads the right rows after each. The rows that must be there at the end.
pub(crate) async fn go_on(
    warehouse: &Warehouse,
    table: &TableIdent,
    start: RecordBatch,
    mode: RowMode,
) -> RecordBatch {
    let joined = |parts: [&RecordBatch; 2]| concat_batches(&start.schema(), parts).unwrap();
    warehouse.delete(table, "id >= 10 AND id < 20", mode).await;
    let mut left = with_ids(&start, |id| !(10..20).contains(&id));
    assert_floe_reads(warehouse, table, "a delete", &[left.clone()]).await;

    let taken = with_ids(&left, |id| (20..60).contains(&id));
    let source = with_new_ids(&taken, |id| if id < 40 { id + 20 } else { id + 9000 });
    let replaced = ids(&source);
    let outcome = warehouse.upsert(table, &source, mode).await;
    let kept = with_ids(&left, |id| !replaced.contains(&id));
    let merged = outcome.merged.unwrap();
    assert_eq!(merged.rows_updated, (left.num_rows() - kept.num_rows()) as u64, "{table}");
    left = joined([&kept, &source]);
    assert_floe_reads(warehouse, table, "an upsert", &[left.clone()]).await;

    let new = with_new_ids(&with_ids(&left, |id| id < 10), |id| id + 7000);
    warehouse.overwrite(table, &new, "id >= 100 AND id < 130", mode).await;
    left = joined([&with_ids(&left, |id| !(100..130).contains(&id)), &new]);
    assert_floe_reads(warehouse, table, "an overwrite", &[left.clone()]).await;

    let new = with_new_ids(&with_ids(&left, |id| id < 10), |id| id + 8000);
    warehouse.try_append(table, vec![new.clone()], CommitStrategy::MergeCommit).await.unwrap();
    left = joined([&left, &new]);
    assert_floe_reads(warehouse, table, "an append", &[left.clone()]).await;
    left
}

/// Every row, in one batch.
pub(crate) async fn all_rows(warehouse: &Warehouse, table: &TableIdent) -> RecordBatch {
    let batches = warehouse.scan(table, None).await;
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// Fails unless floe reads exactly these rows.
pub(crate) async fn assert_floe_reads(
    warehouse: &Warehouse,
    table: &TableIdent,
    after: &str,
    wanted: &[RecordBatch],
) {
    let columns = column_names(&wanted[0]);
    let own = rows(&warehouse.scan(table, None).await, &columns);
    assert_same_rows(&format!("floe reads {table} after {after}"), &own, &rows(wanted, &columns));
}
