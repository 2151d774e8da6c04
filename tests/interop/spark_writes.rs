//! floe goes on with tables that Spark wrote, and Spark with what floe made of them.

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use floe::ErrorKind;
use floe::execute::rows::RowMode;
use floe::iceberg::TableIdent;
use floe::model::DeleteConfig;
use floe::plan::expr::Expr;
use floe_tests::data::{ids, portable_batch, with_ids, with_new_ids};
use floe_tests::peers::{Peers, pyiceberg};
use floe_tests::rows::{assert_same_rows, column_names, rows};
use floe_tests::spark::{Spark, SparkWarehouse};
use floe_tests::warehouse::{Warehouse, with_mode};

use crate::continued::{all_rows, assert_floe_reads, go_on};
use crate::{Expected, assert_all_read_alike};

/// The columns that Spark can make: neither uuid nor fixed.
const COLUMNS: &str = "id bigint NOT NULL, c_boolean boolean, c_int int, c_float float, c_double double,
    c_decimal9 decimal(9, 2), c_decimal18 decimal(18, 6), c_decimal38 decimal(38, 10), c_date date,
    c_ts timestamp_ntz, c_tstz timestamp, c_string string, c_binary binary";

const MERGE_ON_READ: &str = "'write.delete.mode' = 'merge-on-read', 'write.update.mode' = 'merge-on-read',
    'write.merge.mode' = 'merge-on-read'";

fn spark_batch(seed: u64, first: i64, count: usize) -> RecordBatch {
    let mut batch = portable_batch(seed, first, count);
    for name in ["c_uuid", "c_fixed"] {
        batch.remove_column(batch.schema().index_of(name).unwrap());
    }
    batch
}

/// A table that Spark makes: its name, partitioning, properties, and the statements that fill and change it. The views
/// `a` (ids from 0), `b` (from 100) and `c` (from 80: rows of both, and new ones) hold rows.
struct Case {
    name: &'static str,
    partitioned: &'static str,
    properties: String,
    statements: &'static [&'static str],
}

const CHANGES: &[&str] = &[
    "INSERT INTO {t} SELECT * FROM a",
    "INSERT INTO {t} SELECT * FROM b",
    "DELETE FROM {t} WHERE id % 7 = 0",
    "UPDATE {t} SET c_string = 'updated', c_double = NULL WHERE id % 5 = 0",
    "MERGE INTO {t} t USING c ON t.id = c.id WHEN MATCHED AND c.id % 2 = 0 THEN UPDATE SET * WHEN MATCHED THEN DELETE
     WHEN NOT MATCHED THEN INSERT *",
];

fn cases() -> Vec<Case> {
    let mor = |rest: &str| format!("'format-version' = '2', {MERGE_ON_READ}{rest}");
    let case = |name, partitioned, properties: String, statements| Case {
        name,
        partitioned,
        properties,
        statements,
    };
    vec![
        case("cow", "", "'format-version' = '2'".into(), CHANGES),
        case("cow_days", "PARTITIONED BY (days(c_ts))", "'format-version' = '2'".into(), CHANGES),
        case("mor", "", mor(""), CHANGES),
        case("mor_bucket", "PARTITIONED BY (bucket(4, id))", mor(""), CHANGES),
        case("mor_string", "PARTITIONED BY (c_boolean, truncate(3, c_string))", mor(""), CHANGES),
        case("mor_by_partition", "PARTITIONED BY (bucket(2, id))", mor(", 'write.delete.granularity' = 'partition'"), CHANGES),
        case("v1", "PARTITIONED BY (bucket(3, c_string))", "'format-version' = '1'".into(), CHANGES),
        case(
            "v1_upgraded",
            "PARTITIONED BY (years(c_tstz))",
            "'format-version' = '1'".into(),
            &[
                "INSERT INTO {t} SELECT * FROM a",
                "DELETE FROM {t} WHERE id % 7 = 0",
                "ALTER TABLE {t} SET TBLPROPERTIES ('format-version' = '2', 'write.delete.mode' = 'merge-on-read')",
                "INSERT INTO {t} SELECT * FROM b",
                "DELETE FROM {t} WHERE id % 5 = 0",
            ],
        ),
        case(
            "spec_evolved",
            "PARTITIONED BY (years(c_ts))",
            mor(""),
            &[
                "INSERT INTO {t} SELECT * FROM a",
                "ALTER TABLE {t} ADD PARTITION FIELD bucket(3, c_string)",
                "INSERT INTO {t} SELECT * FROM b",
                "DELETE FROM {t} WHERE id % 7 = 0",
                "ALTER TABLE {t} DROP PARTITION FIELD years(c_ts)",
                "ALTER TABLE {t} REPLACE PARTITION FIELD bucket(3, c_string) WITH truncate(40, id)",
                "MERGE INTO {t} t USING c ON t.id = c.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *",
                "DELETE FROM {t} WHERE id % 11 = 0",
            ],
        ),
        case(
            "schema_evolved",
            "PARTITIONED BY (c_int)",
            mor(""),
            &[
                "INSERT INTO {t} SELECT * FROM a",
                "ALTER TABLE {t} ADD COLUMN added struct<x: int, y: string> AFTER id",
                "ALTER TABLE {t} RENAME COLUMN c_string TO text",
                "ALTER TABLE {t} DROP COLUMN c_date",
                "ALTER TABLE {t} ALTER COLUMN c_int TYPE bigint",
                "ALTER TABLE {t} ALTER COLUMN c_float TYPE double",
                "ALTER TABLE {t} ALTER COLUMN c_decimal9 TYPE decimal(18, 2)",
                "ALTER TABLE {t} ALTER COLUMN c_binary FIRST",
                "DELETE FROM {t} WHERE id % 7 = 0",
                "INSERT INTO {t} (id, c_int, c_float, c_decimal9, text, added)
                 SELECT id, c_int + 10000000000L, c_float + 0.1D, c_decimal9, c_string, struct(c_int, c_string) FROM b",
                "ALTER TABLE {t} ADD COLUMN c_date string",
                "UPDATE {t} SET added.x = 7, c_date = 'no date' WHERE id % 5 = 0",
            ],
        ),
        case(
            "source_dropped",
            "PARTITIONED BY (c_date)",
            mor(""),
            &[
                "INSERT INTO {t} SELECT * FROM a",
                "ALTER TABLE {t} REPLACE PARTITION FIELD c_date WITH bucket(2, id)",
                "DELETE FROM {t} WHERE id % 7 = 0",
                // Spark 4.1 cannot write position deletes once the column is gone.
                "ALTER TABLE {t} SET TBLPROPERTIES ('write.delete.mode' = 'copy-on-write')",
                "ALTER TABLE {t} DROP COLUMN c_date",
                "INSERT INTO {t} SELECT * EXCEPT (c_date) FROM b",
            ],
        ),
        case(
            "compacted",
            "PARTITIONED BY (bucket(2, id))",
            mor(""),
            &[
                "INSERT INTO {t} SELECT * FROM a",
                "DELETE FROM {t} WHERE id % 7 = 0",
                "INSERT INTO {t} SELECT * FROM b",
                "CALL default.system.rewrite_data_files(table => '{t}', options => map('rewrite-all', 'true'))",
                "DELETE FROM {t} WHERE id % 5 = 0",
                "DELETE FROM {t} WHERE id % 3 = 0",
                "CALL default.system.rewrite_position_delete_files(table => '{t}', options => map('rewrite-all', 'true'))",
                "CALL default.system.rewrite_manifests(table => '{t}')",
            ],
        ),
    ]
}

/// Runs a case in Spark; the table.
fn make(spark: &SparkWarehouse, case: &Case, suffix: &str) -> TableIdent {
    let table = TableIdent::from_strs(["t", &format!("{}_{suffix}", case.name)]).unwrap();
    let (a, b, c) = (spark_batch(1, 0, 100), spark_batch(2, 100, 60), spark_batch(3, 80, 120));
    let create = format!(
        "CREATE TABLE {table} ({COLUMNS}) USING iceberg {} TBLPROPERTIES ({})",
        case.partitioned, case.properties
    );
    let statements = case.statements.iter().map(|s| s.replace("{t}", &table.to_string()));
    let all: Vec<String> = std::iter::once(create).chain(statements).collect();
    spark.run_with(&[("a", &a), ("b", &b), ("c", &c)], &all);
    table
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floe_goes_on_with_tables_of_spark() {
    let (Some(peers), Some(spark)) = (Peers::find(), Spark::find()) else { return };
    let warehouse = Warehouse::temporary().await;
    let spark = spark.on(&warehouse);
    let mut tables = Vec::new();
    for (number, case) in cases().into_iter().enumerate() {
        // Each case takes Spark some seconds: only those that are most likely to differ are gone through in both modes.
        let modes: &[RowMode] = match case.name {
            "v1" => &[RowMode::CopyOnWrite],
            "mor_bucket" | "spec_evolved" | "schema_evolved" => &[RowMode::CopyOnWrite, RowMode::MergeOnRead],
            _ if number % 2 == 0 => &[RowMode::CopyOnWrite],
            _ => &[RowMode::MergeOnRead],
        };
        for &mode in modes {
            let suffix = if mode == RowMode::CopyOnWrite { "then_cow" } else { "then_mor" };
            let table = make(&spark, &case, suffix);
            let start = all_rows(&warehouse, &table).await;
            let columns = column_names(&start);
            let theirs = rows(&spark.table(&table.to_string(), &start.schema()), &columns);
            assert_same_rows(
                &format!("floe reads {table}"),
                &rows(std::slice::from_ref(&start), &columns),
                &theirs,
            );

            let mut left = go_on(&warehouse, &table, start, mode).await;
            if case.name == "source_dropped" {
                // What Spark makes of that, it cannot read: see the test about it below.
                let theirs = rows(&spark.table(&table.to_string(), &left.schema()), &columns);
                assert_same_rows(&format!("Spark reads {table}"), &theirs, &rows(&[left.clone()], &columns));
            }
            // And Spark goes on with that.
            spark.run(&[format!("DELETE FROM {table} WHERE id % 4 = 1")]);
            left = with_ids(&left, |id| id % 4 != 1);
            if case.name == "source_dropped" {
                // DuckDB 1.5 does not read a table with such a spec.
                assert_floe_reads(&warehouse, &table, "a delete of Spark", &[left.clone()]).await;
                assert_pyiceberg_reads(&warehouse, &peers, &table, &left);
                continue;
            }
            tables.push(Expected { table, batches: vec![left] });
        }
    }
    assert_all_read_alike(&warehouse, &peers, &tables).await;
}

fn assert_pyiceberg_reads(warehouse: &Warehouse, peers: &Peers, table: &TableIdent, wanted: &RecordBatch) {
    let columns = column_names(wanted);
    let answers = peers.read(&[pyiceberg(&warehouse.catalog_uri(), &table.to_string(), None)]);
    let wanted = rows(std::slice::from_ref(wanted), &columns);
    assert_same_rows(&format!("PyIceberg reads {table}"), &rows(&answers[0], &columns), &wanted);
}

/// Spark 4.1 with Iceberg 1.12, alone: it writes manifests anew without the partition values whose source column was
/// dropped, and then refuses its own table, because its position deletes still have them. Nothing of that depends on
/// floe, which reads the table, as PyIceberg does, and goes on with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_spark_loses_with_their_column_stay_readable() {
    let (Some(peers), Some(spark)) = (Peers::find(), Spark::find()) else { return };
    let warehouse = Warehouse::temporary().await;
    let spark = spark.on(&warehouse);
    let case = cases().into_iter().find(|case| case.name == "source_dropped").unwrap();
    for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
        let table = make(&spark, &case, &format!("by_spark_{}", &mode.as_str()[..5].replace('-', "")));
        let start = all_rows(&warehouse, &table).await;
        spark.run(&[format!("DELETE FROM {table} WHERE id = 1")]);
        let refused = spark.try_read(&format!("SELECT * FROM {table}")).unwrap_err();
        assert!(refused.contains("Mismatched partition tuples"), "{refused}");

        let left = with_ids(&start, |id| id != 1);
        assert_floe_reads(&warehouse, &table, "a delete of Spark", std::slice::from_ref(&left)).await;
        assert_pyiceberg_reads(&warehouse, &peers, &table, &left);
        let left = go_on(&warehouse, &table, left, mode).await;
        assert_pyiceberg_reads(&warehouse, &peers, &table, &left);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nested_columns_that_spark_updated_and_evolved_stay_right() {
    let (Some(peers), Some(spark)) = (Peers::find(), Spark::find()) else { return };
    let warehouse = Warehouse::temporary().await;
    let spark = spark.on(&warehouse);
    let table = TableIdent::from_strs(["t", "nested"]).unwrap();
    spark.run(&[
        format!(
            "CREATE TABLE t.nested (id bigint, place struct<name: string, at: struct<x: int, y: int>>,
             tags array<string>, counts map<string, bigint>, legs array<struct<to: string, km: float>>)
             USING iceberg TBLPROPERTIES ('format-version' = '2', {MERGE_ON_READ})"
        )
        .as_str(),
        "INSERT INTO t.nested SELECT id, IF(id % 5 = 0, NULL, struct(concat('n', id), IF(id % 3 = 0, NULL, struct(int(id), NULL)))),
         IF(id % 4 = 0, NULL, array('a', NULL, concat('t', id))), IF(id % 6 = 0, NULL, map('k', id)),
         array(struct(concat('to', id), float(id)), NULL) FROM range(40)",
        "ALTER TABLE t.nested ADD COLUMN place.at.z double FIRST",
        "ALTER TABLE t.nested ALTER COLUMN place.at.x TYPE bigint",
        "ALTER TABLE t.nested RENAME COLUMN legs.element.to TO target",
        "ALTER TABLE t.nested DROP COLUMN legs.element.km",
        "ALTER TABLE t.nested ADD COLUMN legs.element.miles double",
        "UPDATE t.nested SET place.at.y = 5 WHERE id < 7",
        "DELETE FROM t.nested WHERE tags[2] = 't13'",
    ]);
    let start = all_rows(&warehouse, &table).await;
    let columns = column_names(&start);
    let theirs = rows(&spark.table("t.nested", &start.schema()), &columns);
    assert_same_rows("floe reads t.nested", &rows(std::slice::from_ref(&start), &columns), &theirs);
    let mut left = start.clone();
    for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
        let (from, to) = if mode == RowMode::CopyOnWrite { (1, 4) } else { (20, 24) };
        warehouse.delete(&table, &format!("place.at.x >= {from} AND place.at.x < {to}"), mode).await;
        // Every third has no `at`, every fifth no `place`: for them the filter is unknown.
        left = with_ids(&left, |id| !(from..to).contains(&id) || id % 3 == 0 || id % 5 == 0);
        let source = with_new_ids(&with_ids(&left, |id| (30..34).contains(&id)), |id| id - 20 + from);
        let replaced = ids(&source);
        warehouse.upsert(&table, &source, mode).await;
        let kept = with_ids(&left, |id| !replaced.contains(&id));
        left = concat_batches(&start.schema(), [&kept, &source]).unwrap();
        assert_floe_reads(&warehouse, &table, mode.as_str(), &[left.clone()]).await;
    }
    let theirs = rows(&spark.table("t.nested", &start.schema()), &columns);
    assert_same_rows("Spark reads t.nested", &theirs, &rows(&[left], &columns));
    drop(peers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deletion_vectors_are_refused_where_they_apply_and_never_ignored() {
    let Some(spark) = Spark::find() else { return };
    let warehouse = Warehouse::temporary().await;
    let spark = spark.on(&warehouse);
    let table = TableIdent::from_strs(["t", "v3"]).unwrap();
    spark.run(&[
        format!(
            "CREATE TABLE t.v3 (id bigint, p int) USING iceberg PARTITIONED BY (p)
             TBLPROPERTIES ('format-version' = '3', {MERGE_ON_READ})"
        )
        .as_str(),
        "INSERT INTO t.v3 SELECT id, int(id % 2) FROM range(20)",
    ]);
    // Without deletes floe reads and appends.
    let start = all_rows(&warehouse, &table).await;
    assert_eq!(start.num_rows(), 20);
    let more = with_new_ids(&start, |id| id + 100);
    warehouse.append(&table, vec![more.clone()]).await;
    let columns = column_names(&start);
    let wanted = rows(&[start.clone(), more.clone()], &columns);
    assert_same_rows("Spark reads t.v3", &rows(&spark.table("t.v3", &start.schema()), &columns), &wanted);
    let lineage =
        spark.query("SELECT count(DISTINCT _row_id), count(_row_id), min(_row_id), max(_row_id) FROM t.v3");
    assert_eq!(lineage, [["40", "40", "0", "39"].map(|t| Some(t.to_owned())).to_vec()]);

    spark.run(&["DELETE FROM t.v3 WHERE id = 4"]);
    let formats = spark.query("SELECT file_format FROM t.v3.delete_files");
    assert_eq!(formats, [[Some("PUFFIN".to_owned())]]);
    let refused = warehouse.try_scan(&table, None).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
    assert!(refused.to_string().contains("deletion vector"), "{refused}");
    // The other partition has none.
    let odd = warehouse.scan(&table, Some("p = 1")).await;
    assert_eq!(odd.iter().map(RecordBatch::num_rows).sum::<usize>(), 20);
    let before = warehouse.metadata_location(&table).await;
    let filter = Expr::parse("id = 7").unwrap();
    for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
        let config = DeleteConfig { options: with_mode(mode) };
        let refused = warehouse.manager.delete_data(&table, &filter, &config).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
    }
    assert_eq!(warehouse.metadata_location(&table).await, before);
}
