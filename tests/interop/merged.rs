//! Tables that floe merged into, as PyIceberg, DuckDB and Spark see them.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BooleanArray, Int32Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use floe::data::BatchStream;
use floe::model::MergeConfig;
use floe_tests::data::portable_batch;
use floe_tests::warehouse::with_mode;

use crate::assert_changes_read_alike;

const CLAUSES: &str = "WHEN MATCHED AND s.op = 'D' THEN DELETE
    WHEN MATCHED THEN UPDATE SET
        c_string = coalesce(s.c_string, '') || '!', c_double = s.c_double, t.c_decimal18 = s.c_decimal18
    WHEN NOT MATCHED AND s.op <> 'D' THEN INSERT *
    WHEN NOT MATCHED BY SOURCE AND t.id < 40 AND t.c_boolean THEN DELETE
    WHEN NOT MATCHED BY SOURCE AND t.id < 40 THEN UPDATE SET c_int = NULL";

fn only(batch: &RecordBatch, keep: impl Fn(usize, i64) -> bool) -> RecordBatch {
    let ids = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>();
    let mask: BooleanArray = (0..batch.num_rows()).map(|row| Some(keep(row, ids.value(row)))).collect();
    filter_record_batch(batch, &mask).unwrap()
}

fn with(batch: &RecordBatch, column: &str, values: ArrayRef) -> RecordBatch {
    let at = batch.schema().index_of(column).unwrap();
    let mut columns = batch.columns().to_vec();
    columns[at] = values;
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

fn deletes(id: i64) -> bool {
    id % 3 == 0
}

/// The rows of a source with a column that the table lacks: `op`, which says `D` for some.
fn source(rows: &RecordBatch) -> RecordBatch {
    let ids = rows.column_by_name("id").unwrap().as_primitive::<Int64Type>();
    let ops: StringArray = ids.values().iter().map(|id| Some(if deletes(*id) { "D" } else { "U" })).collect();
    let mut fields = vec![Arc::new(Field::new("op", DataType::Utf8, false))];
    fields.extend(rows.schema().fields().iter().cloned());
    let mut columns: Vec<ArrayRef> = vec![Arc::new(ops)];
    columns.extend(rows.columns().iter().cloned());
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// What the table holds after the merge, by hand.
fn expected(table: &RecordBatch, source: &RecordBatch) -> RecordBatch {
    let matched = only(table, |_, id| (100..120).contains(&id));
    let new = only(source, |_, id| (100..120).contains(&id));
    let texts = new.column_by_name("c_string").unwrap().as_string::<i32>();
    let texts: StringArray =
        texts.iter().map(|text| Some(format!("{}!", text.unwrap_or_default()))).collect();
    let mut updated = with(&matched, "c_string", Arc::new(texts));
    for column in ["c_double", "c_decimal18"] {
        updated = with(&updated, column, new.column_by_name(column).unwrap().clone());
    }
    let updated = only(&updated, |_, id| !deletes(id));
    let inserted = only(source, |_, id| id >= 120 && !deletes(id));
    let flags = table.column_by_name("c_boolean").unwrap().as_boolean();
    let low = only(table, |row, id| id < 40 && !(flags.is_valid(row) && flags.value(row)));
    let low = with(&low, "c_int", Arc::new(Int32Array::new_null(low.num_rows())));
    let kept = only(table, |_, id| (40..100).contains(&id));
    concat_batches(&table.schema(), [&low, &kept, &updated, &inserted]).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_see_what_a_merge_left_in_both_modes() {
    let first = portable_batch(1, 0, 120);
    assert_changes_read_alike(first.clone(), async |warehouse, table, mode| {
        let changes = portable_batch(3, 100, 40);
        let data = source(&changes);
        let data = BatchStream::from_batches(data.schema(), vec![data]);
        let sql = format!("MERGE INTO {table} AS t USING changes AS s ON t.id = s.id {CLAUSES}");
        let config = MergeConfig { options: with_mode(mode), ..MergeConfig::from_sql(&sql, table).unwrap() };
        let done = warehouse.manager.merge_data(table, data, &config).await.unwrap();
        let inserted = (120..140).filter(|id| !deletes(*id)).count() as u64;
        assert_eq!(done.merged.unwrap().rows_inserted, inserted, "{table}");
        assert_eq!(done.attempts, 1);
        expected(&first, &changes)
    })
    .await;
}
