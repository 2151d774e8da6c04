//! A column of dates that becomes one of timestamps: format version 3 allows it, and nobody but floe does it yet.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Int64Array, RecordBatch, TimestampMicrosecondArray};
use floe::ErrorKind;
use floe::iceberg::TableIdent;
use floe::plan::evolve::SchemaEvolution;
use floe_tests::spark::Spark;
use floe_tests::warehouse::Warehouse;

const DAY: i64 = 86_400_000_000;

/// Widens the column `d`.
async fn promote(warehouse: &Warehouse, table: &TableIdent, to: &str) -> floe::Result<()> {
    let change = format!(r#"{{"changes": [{{"widen_type": {{"column": "d", "to": "{to}"}}}}]}}"#);
    let evolution: SchemaEvolution = serde_json::from_str(&change).unwrap();
    warehouse.manager.evolve_schema(table, &evolution).await.map(drop)
}

/// `id` and `d` of every row that a filter matches, by id.
fn values(batches: &[RecordBatch]) -> Vec<(i64, Option<i64>)> {
    let mut values: Vec<_> = batches
        .iter()
        .flat_map(|batch| {
            let ids = batch["id"].as_primitive::<Int64Type>().values().to_vec();
            ids.into_iter()
                .zip(batch["d"].as_primitive::<TimestampMicrosecondType>().iter())
                .collect::<Vec<_>>()
        })
        .collect();
    values.sort_unstable();
    values
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dates_that_spark_wrote_become_timestamps_in_a_table_of_version_3() {
    let Some(spark) = Spark::find() else { return };
    let warehouse = Warehouse::temporary().await;
    let spark = spark.on(&warehouse);
    for (name, partitioned) in
        [("plain", ""), ("months", "PARTITIONED BY (months(d))"), ("days", "PARTITIONED BY (days(d))")]
    {
        let table = TableIdent::from_strs(["t", name]).unwrap();
        let create = |version: u8, name: &str| {
            format!(
                "CREATE TABLE t.{name} (id bigint, d date) USING iceberg {partitioned}
                 TBLPROPERTIES ('format-version' = '{version}')"
            )
        };
        let insert = format!(
            "INSERT INTO {table} VALUES (1, DATE'1969-12-31'), (2, DATE'1970-01-01'), (3, DATE'2024-02-29'),
             (4, DATE'0001-01-01'), (5, DATE'9999-12-31'), (6, NULL)"
        );
        spark.run(&[create(3, name), insert, create(2, &format!("{name}_v2"))]);
        let early = TableIdent::from_strs(["t", &format!("{name}_v2")]).unwrap();
        let refused = promote(&warehouse, &early, "timestamp").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::IncompatibleSchemaChange, "{refused}");
        // Iceberg 1.12 does not: whoever sees this fail, let Spark read the table below.
        let alter = format!("ALTER TABLE {table} ALTER COLUMN d TYPE timestamp_ntz");
        assert!(spark.try_run_with(&[], &[alter]).is_err());

        promote(&warehouse, &table, "timestamp").await.unwrap();
        let midnights = [
            (1, Some(-DAY)),
            (2, Some(0)),
            (3, Some(19_782 * DAY)),
            (4, Some(-719_162 * DAY)),
            (5, Some(2_932_896 * DAY)),
            (6, None),
        ];
        assert_eq!(values(&warehouse.scan(&table, None).await), midnights, "{name}");

        // The files of before and after the change are pruned by the same filters.
        let later = RecordBatch::try_from_iter([
            ("id", Arc::new(Int64Array::from(vec![7, 8])) as _),
            ("d", Arc::new(TimestampMicrosecondArray::from(vec![19_782 * DAY + 1, -1])) as _),
        ]);
        warehouse.append(&table, vec![later.unwrap()]).await;
        for (filter, ids) in [
            ("d = TIMESTAMP '2024-02-29T00:00:00'", &[3][..]),
            ("d > TIMESTAMP '2024-02-29T00:00:00'", &[5, 7]),
            ("d >= TIMESTAMP '1969-12-31T00:00:00' AND d < TIMESTAMP '1970-01-01T00:00:00'", &[1, 8]),
            ("d < TIMESTAMP '1969-12-31T00:00:00'", &[4]),
            ("d <> TIMESTAMP '2024-02-29T00:00:00.000001'", &[1, 2, 3, 4, 5, 8]),
            ("d IS NULL", &[6]),
            ("d IN (TIMESTAMP '1970-01-01T00:00:00', TIMESTAMP '9999-12-31T00:00:00')", &[2, 5]),
        ] {
            let found: Vec<i64> =
                values(&warehouse.scan(&table, Some(filter)).await).into_iter().map(|(id, _)| id).collect();
            assert_eq!(found, ids, "{name}: {filter}");
        }
    }
}

/// Nanoseconds since 1970 end in the year 2262. A date after that is an error, never another time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_date_beyond_the_range_of_its_new_type_is_an_error() {
    let Some(spark) = Spark::find() else { return };
    let warehouse = Warehouse::temporary().await;
    let spark = spark.on(&warehouse);
    let table = TableIdent::from_strs(["t", "far"]).unwrap();
    spark.run(&[
        "CREATE TABLE t.far (id bigint, d date) USING iceberg TBLPROPERTIES ('format-version' = '3')",
        "INSERT INTO t.far VALUES (1, DATE'2024-02-29')",
        "INSERT INTO t.far VALUES (2, DATE'9999-12-31')",
    ]);
    promote(&warehouse, &table, "timestamp_ns").await.unwrap();
    for filter in [None, Some("d > TIMESTAMP '2024-01-01T00:00:00'"), Some("d IS NOT NULL")] {
        assert!(warehouse.try_scan(&table, filter).await.is_err(), "{filter:?}");
    }
    let near = warehouse.scan(&table, Some("id = 1")).await;
    assert_eq!(near.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
}
