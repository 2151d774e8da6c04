//! floe beside PyIceberg, DuckDB and Spark: each reads what the other wrote, row by row.
//!
//! Run by `cargo xtask interop`, which brings the peers along.
#![allow(clippy::unwrap_used)]

mod alternating;
mod continued;
mod equality;
mod filters;
mod floe_writes;
mod merge_statements;
mod merged;
mod peer_writes;
mod promoted;
mod row_level;
mod sequences;
mod spark_metadata;
mod spark_refs;
mod spark_writes;
mod summaries;
mod version_1;

use arrow_array::RecordBatch;
use arrow_schema::DataType;
use floe::execute::rows::RowMode;
use floe::iceberg::TableIdent;
use floe::model::PartitionSpec;
use floe::model::PartitionTransform::{Bucket, Day, Hour, Identity, Month, Truncate, Year};
use floe_tests::data::{field_id, portable_schema};
use floe_tests::peers::{Peers, duckdb, pyiceberg};
use floe_tests::rows::{assert_same_rows, rows};
use floe_tests::spark::Spark;
use floe_tests::warehouse::{Warehouse, spec};

/// A table, and every row that must be in it.
struct Expected {
    table: TableIdent,
    batches: Vec<RecordBatch>,
}

/// Fails unless all engines read what `change` leaves of a table of these rows, in both modes and with partitions of several
/// kinds. `change` gives the rows that must be there.
async fn assert_changes_read_alike(
    first: RecordBatch,
    change: impl AsyncFn(&Warehouse, &TableIdent, RowMode) -> RecordBatch,
) {
    let Some(peers) = Peers::find() else { return };
    let warehouse = Warehouse::temporary().await;
    let mut tables = Vec::new();
    for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
        for name in ["unpartitioned", "bucket_long", "identity_string", "day_ts"] {
            let (_, spec) = specs().into_iter().find(|(n, _)| *n == name).unwrap();
            let suffix = mode.as_str().replace('-', "_");
            let table = warehouse.create(&format!("{name}_{suffix}"), portable_schema(), spec).await;
            warehouse.append(&table, vec![first.clone()]).await;
            let rows = change(&warehouse, &table, mode).await;
            tables.push(Expected { table, batches: vec![rows] });
        }
    }
    assert_all_read_alike(&warehouse, &peers, &tables).await;
}

/// Fails unless PyIceberg, DuckDB, Spark and floe all read exactly the rows that were written. Spark leaves out
/// tables with a column of type time, which it does not have.
async fn assert_all_read_alike(warehouse: &Warehouse, peers: &Peers, tables: &[Expected]) {
    let uri = warehouse.catalog_uri();
    let mut reads = Vec::new();
    for expected in tables {
        reads.push(pyiceberg(&uri, &expected.table.to_string(), None));
        reads.push(duckdb(&warehouse.metadata_location(&expected.table).await, None));
    }
    let answers = peers.read(&reads);
    let spark = Spark::find().map(|spark| spark.on(warehouse));
    for (expected, answers) in tables.iter().zip(answers.chunks(2)) {
        let columns = floe_tests::rows::column_names(&expected.batches[0]);
        let wanted = rows(&expected.batches, &columns);
        let own = rows(&warehouse.scan(&expected.table, None).await, &columns);
        assert_same_rows(&format!("floe reads {}", expected.table), &own, &wanted);
        // PyIceberg gives an empty list for a list of structs that is NULL, in files of its own as well.
        let lenient = |rows: &[String]| -> Vec<String> {
            rows.iter().map(|r| r.replace("legs=NULL", "legs=[]")).collect()
        };
        let theirs = rows(&answers[0], &columns);
        assert_same_rows(
            &format!("PyIceberg reads {}", expected.table),
            &lenient(&theirs),
            &lenient(&wanted),
        );
        assert_same_rows(&format!("DuckDB reads {}", expected.table), &rows(&answers[1], &columns), &wanted);
        let schema = expected.batches[0].schema();
        let has_time = schema.fields().iter().any(|f| matches!(f.data_type(), DataType::Time64(_)));
        if let Some(spark) = spark.as_ref().filter(|_| !has_time) {
            let theirs = rows(&spark.table(&expected.table.to_string(), &schema), &columns);
            assert_same_rows(&format!("Spark reads {}", expected.table), &theirs, &wanted);
        }
    }
}

/// A partition spec for every transform on every kind of column that it takes, and some of two fields.
fn specs() -> Vec<(&'static str, Option<PartitionSpec>)> {
    let one = |column, transform, number| Some(spec(&[(field_id(column), transform, number)]));
    vec![
        ("unpartitioned", None),
        ("identity_boolean", one("c_boolean", Identity, None)),
        ("identity_int", one("c_int", Identity, None)),
        ("identity_date", one("c_date", Identity, None)),
        ("identity_decimal", one("c_decimal9", Identity, None)),
        ("identity_string", one("c_string", Identity, None)),
        ("identity_uuid", one("c_uuid", Identity, None)),
        ("year_ts", one("c_ts", Year, None)),
        ("year_date", one("c_date", Year, None)),
        ("month_tstz", one("c_tstz", Month, None)),
        ("month_date", one("c_date", Month, None)),
        ("day_ts", one("c_ts", Day, None)),
        ("hour_tstz", one("c_tstz", Hour, None)),
        ("bucket_int", one("c_int", Bucket, Some(3))),
        ("bucket_long", one("id", Bucket, Some(4))),
        ("bucket_decimal", one("c_decimal38", Bucket, Some(5))),
        ("bucket_date", one("c_date", Bucket, Some(5))),
        ("bucket_time", one("c_time", Bucket, Some(5))),
        ("bucket_ts", one("c_ts", Bucket, Some(5))),
        ("bucket_string", one("c_string", Bucket, Some(5))),
        ("bucket_uuid", one("c_uuid", Bucket, Some(5))),
        ("bucket_fixed", one("c_fixed", Bucket, Some(5))),
        ("bucket_binary", one("c_binary", Bucket, Some(5))),
        ("truncate_int", one("c_int", Truncate, Some(10))),
        ("truncate_long", one("id", Truncate, Some(7))),
        ("truncate_decimal", one("c_decimal18", Truncate, Some(1_000_000))),
        ("truncate_string", one("c_string", Truncate, Some(2))),
        ("truncate_binary", one("c_binary", Truncate, Some(2))),
        (
            "two_fields",
            Some(spec(&[(field_id("c_string"), Bucket, Some(2)), (field_id("c_boolean"), Identity, None)])),
        ),
    ]
}
