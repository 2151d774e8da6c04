//! MERGE statements mean to floe what they mean to Spark: the same text, the same rows, two tables.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use floe::data::BatchStream;
use floe::execute::rows::RowMode;
use floe::model::PartitionTransform::{Bucket, Identity};
use floe::model::{FieldType, MergeConfig, SchemaField, TableSchema};
use floe_tests::rows::{assert_same_rows, column_names, rows};
use floe_tests::spark::Spark;
use floe_tests::warehouse::{Warehouse, spec};

fn schema() -> TableSchema {
    let mut price = SchemaField::new(5, "price", FieldType::Decimal, false);
    (price.precision, price.scale) = (Some(12), Some(2));
    TableSchema {
        fields: vec![
            SchemaField::new(1, "id", FieldType::Long, false),
            SchemaField::new(2, "n", FieldType::Int, false),
            SchemaField::new(3, "name", FieldType::String, false),
            SchemaField::new(4, "x", FieldType::Double, false),
            price,
            SchemaField::new(6, "day", FieldType::Date, false),
        ],
    }
}

/// Rows with the ids `ids`, one value in five NULL; `op` tells what a clause may do with a row of the source.
fn batch(ids: &[Option<i64>], salt: i64, with_op: bool) -> RecordBatch {
    let of = |n: usize, lead: i64| {
        let value = (n as i64 * 7 + lead * 3 + salt) % 11;
        (value % 5 != 4).then_some(value)
    };
    let each = |lead: i64| (0..ids.len()).map(move |n| of(n, lead));
    let names = ["ann", "Bob", " carl ", "", "dörte", "e%", "f_", "ann", "zed", "y", "x"];
    let price = Decimal128Array::from_iter(each(3).map(|v| v.map(|v| i128::from(v) * 125 - 300)));
    let mut columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("id", Arc::new(Int64Array::from(ids.to_vec())), true),
        ("n", Arc::new(Int32Array::from_iter(each(1).map(|v| v.map(|v| v as i32 - 4)))), true),
        ("name", Arc::new(StringArray::from_iter(each(2).map(|v| v.map(|v| names[v as usize])))), true),
        ("x", Arc::new(Float64Array::from_iter(each(4).map(|v| v.map(|v| v as f64 / 4.0 - 1.0)))), true),
        ("price", Arc::new(price.with_precision_and_scale(12, 2).unwrap()), true),
        ("day", Arc::new(Date32Array::from_iter(each(5).map(|v| v.map(|v| v as i32 * 40)))), true),
    ];
    if with_op {
        let ops = (0..ids.len()).map(|n| [Some("U"), Some("D"), Some("I"), None][n % 4]);
        columns.push(("op", Arc::new(StringArray::from_iter(ops)), true));
    }
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// What follows `MERGE INTO … t USING changes s`.
const STATEMENTS: &[&str] = &[
    "ON t.id = s.id WHEN MATCHED THEN UPDATE SET n = s.n, name = s.name, x = s.x, price = s.price, day = s.day",
    "ON t.id = s.id WHEN MATCHED AND s.op = 'D' THEN DELETE WHEN MATCHED THEN UPDATE SET n = t.n + s.n
     WHEN NOT MATCHED AND s.op <> 'D' THEN INSERT (id, name) VALUES (s.id, s.name)",
    "ON s.id = t.id AND s.op = 'U' WHEN MATCHED THEN UPDATE SET price = t.price + s.price, name = upper(s.name)
     WHEN NOT MATCHED THEN INSERT (id, n, name, x, price, day) VALUES (s.id, s.n, s.name, s.x, s.price, s.day)",
    "ON t.id = s.id AND t.n > 0 WHEN MATCHED THEN DELETE WHEN NOT MATCHED BY SOURCE AND t.x < 0 THEN DELETE
     WHEN NOT MATCHED BY SOURCE AND t.name LIKE 'a%' THEN UPDATE SET name = concat(t.name, '!')",
    "ON t.id <=> s.id WHEN MATCHED THEN UPDATE SET name = coalesce(s.name, t.name, '?'), n = NULL",
    "ON t.id = s.id + 1 WHEN MATCHED AND t.day >= DATE '1970-06-01' THEN UPDATE SET day = s.day WHEN MATCHED THEN DELETE",
    "ON t.id = s.id WHEN MATCHED AND NOT (s.n > 1) THEN DELETE WHEN MATCHED AND s.n IS NULL THEN UPDATE SET n = -1
     WHEN NOT MATCHED AND s.name IN ('ann', 'zed') THEN INSERT (id, n) VALUES (s.id, s.n * 2)",
    "ON t.id = s.id WHEN MATCHED THEN UPDATE SET name = CASE WHEN s.n > t.n THEN 'more' WHEN s.n < t.n THEN 'less' END,
     x = s.n / 2, n = abs(s.n), price = s.price",
    "ON t.id = s.id WHEN MATCHED THEN UPDATE SET name = CAST(s.n AS STRING), x = CAST(s.price AS DOUBLE),
     n = length(s.name), day = if(s.op = 'U', s.day, NULL)
     WHEN NOT MATCHED BY SOURCE THEN UPDATE SET n = greatest(t.n, 0), name = trim(t.name)",
    "ON t.id = s.id WHEN MATCHED AND (s.op = 'U' OR t.n BETWEEN 0 AND 3) THEN UPDATE SET price = s.price * 2, n = nullif(s.n, 2)
     WHEN NOT MATCHED THEN INSERT (id, price) VALUES (s.id, s.price - 1)",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merge_statements_do_what_they_do_in_spark() {
    let Some(spark) = Spark::find() else { return };
    let warehouse = Warehouse::temporary().await;
    let spark = spark.on(&warehouse);
    let mut ids: Vec<Option<i64>> = (0..40).map(Some).collect();
    ids.extend([None, None]);
    let start = batch(&ids, 0, false);
    let mut ids: Vec<Option<i64>> = (25..60).map(Some).collect();
    ids.push(None);
    let changes = batch(&ids, 5, true);
    let columns = column_names(&start);
    for (number, clauses) in STATEMENTS.iter().enumerate() {
        let mode = if number % 2 == 0 { RowMode::MergeOnRead } else { RowMode::CopyOnWrite };
        let spec = [None, Some(spec(&[(1, Bucket, Some(3))])), Some(spec(&[(2, Identity, None)]))];
        let mut tables = Vec::new();
        for engine in ["floe", "spark"] {
            let name = format!("merge{number}_{engine}");
            let properties = [("write.merge.mode", mode.as_str())];
            let table = warehouse.create_with(&name, schema(), spec[number % 3].clone(), &properties).await;
            warehouse.append(&table, vec![start.clone()]).await;
            tables.push(table);
        }
        let statement = |table| format!("MERGE INTO {table} AS t USING changes AS s {clauses}");
        let config = MergeConfig::from_sql(&statement(&tables[0]), &tables[0]).unwrap();
        let data = BatchStream::from_batches(changes.schema(), vec![changes.clone()]);
        let outcome = warehouse.manager.merge_data(&tables[0], data, &config).await.unwrap();
        spark.run_with(&[("changes", &changes)], &[statement(&tables[1])]);
        let theirs = rows(&spark.table(&tables[1].to_string(), &start.schema()), &columns);
        let own = rows(&warehouse.scan(&tables[0], None).await, &columns);
        assert_same_rows(&format!("floe after {clauses}"), &own, &theirs);
        let read = rows(&spark.table(&tables[0].to_string(), &start.schema()), &columns);
        assert_same_rows(&format!("Spark reads floe's table after {clauses}"), &read, &theirs);
        // Something happened at all.
        assert_ne!(own, rows(std::slice::from_ref(&start), &columns), "{clauses}");
        assert_eq!(outcome.attempts, 1);
    }
}
