//! Filters over columns whose bounds are hard to get right: whatever is pruned, every reader must find the same
//! rows.

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_select::concat::concat_batches;
use floe_tests::data::{primitive_batch, primitive_schema};
use floe_tests::peers::{Peers, duckdb, pyiceberg};
use floe_tests::rows::{assert_same_rows, column_names, rows};
use floe_tests::warehouse::Warehouse;

use crate::specs;

/// What a filter on `c_string` must keep.
type Keep = Box<dyn Fn(&str) -> bool>;

fn string_filters() -> Vec<(String, Keep)> {
    let x = "x".repeat(64);
    let y = "ÿ".repeat(54);
    let top = "\u{10ffff}".repeat(17);
    let quoted = |text: &str| text.replace('\'', "''");
    let mut filters: Vec<(String, Keep)> = Vec::new();
    for text in [
        String::new(),
        "a".into(),
        "é/日本 %&=".into(),
        x.clone(),
        format!("{x}x"),
        format!("{x}zz"),
        y.clone(),
        top.clone(),
    ] {
        let literal = quoted(&text);
        let [same, least, below, above] = [(); 4].map(|()| text.clone());
        filters.push((format!("c_string = '{literal}'"), Box::new(move |v| v == same)));
        filters.push((format!("c_string >= '{literal}'"), Box::new(move |v| v >= least.as_str())));
        filters.push((format!("c_string > '{literal}'"), Box::new(move |v| v > below.as_str())));
        filters.push((format!("c_string < '{literal}'"), Box::new(move |v| v < above.as_str())));
    }
    for prefix in ["a", "xxx", &x, &format!("{x}z"), "ÿÿ", "\u{10ffff}\u{10ffff}", "é/"] {
        let p = prefix.to_owned();
        filters.push((format!("c_string LIKE '{prefix}%'"), Box::new(move |v| v.starts_with(&p))));
    }
    let (low, high) = (x.clone(), format!("{x}zz"));
    filters.push((
        format!("c_string > '{x}' and c_string <= '{x}zz'"),
        Box::new(move |v| v > low.as_str() && v <= high.as_str()),
    ));
    filters.push((format!("c_string != '{y}'"), Box::new(move |v| v != y)));
    filters
}

/// The rows of `batch` whose `c_string` is not NULL and passes.
fn kept(batch: &RecordBatch, keep: &Keep) -> RecordBatch {
    let strings = batch.column_by_name("c_string").unwrap().as_string::<i32>();
    let mask = (0..strings.len()).map(|i| Some(strings.is_valid(i) && keep(strings.value(i)))).collect();
    arrow_select::filter::filter_record_batch(batch, &mask).unwrap()
}

/// A table whose files each hold a single string, so that bounds decide everything; appended one string at a time.
async fn one_string_per_file(warehouse: &Warehouse, all: &RecordBatch) -> floe::iceberg::TableIdent {
    let table = warehouse.create("strings", primitive_schema(), None).await;
    for text in floe_tests::data::STRINGS {
        let batch = kept(all, &(Box::new(move |v: &str| v == text) as Keep));
        assert!(batch.num_rows() > 0, "the data has no row with {text:?}");
        warehouse.append(&table, vec![batch]).await;
    }
    table
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_loses_long_or_strange_strings_to_a_filter() {
    let Some(peers) = Peers::find() else { return };
    let warehouse = Warehouse::temporary().await;
    let all = primitive_batch(7, 0, 400);
    let mut tables = vec![one_string_per_file(&warehouse, &all).await];
    for name in ["unpartitioned", "identity_string", "truncate_string", "bucket_string"] {
        let (_, spec) = specs().into_iter().find(|(n, _)| *n == name).unwrap();
        let table = warehouse.create(name, primitive_schema(), spec).await;
        warehouse.append(&table, vec![all.clone()]).await;
        tables.push(table);
    }
    let filters = string_filters();
    let mut reads = Vec::new();
    for table in &tables {
        let metadata = warehouse.metadata_location(table).await;
        for (filter, _) in &filters {
            reads.push(pyiceberg(&warehouse.catalog_uri(), &table.to_string(), Some(filter)));
            reads.push(duckdb(&metadata, Some(filter)));
        }
    }
    let answers = peers.read(&reads);
    let mut answers = answers.chunks(2);
    let columns = column_names(&all);
    for table in &tables {
        for (filter, keep) in &filters {
            let wanted = rows(&[kept(&all, keep)], &columns);
            let answer = answers.next().unwrap();
            let own = rows(&warehouse.scan(table, Some(filter)).await, &columns);
            assert_same_rows(&format!("floe: {table} where {filter}"), &own, &wanted);
            assert_same_rows(
                &format!("PyIceberg: {table} where {filter}"),
                &rows(&answer[0], &columns),
                &wanted,
            );
            assert_same_rows(
                &format!("DuckDB: {table} where {filter}"),
                &rows(&answer[1], &columns),
                &wanted,
            );
        }
    }
}

/// Filters that PyIceberg and DuckDB write alike. None compares a column that holds NaN: DuckDB orders NaN last.
const FILTERS: &[&str] = &[
    "id >= 37 and id < 61",
    "id = 50",
    "id != 3",
    "c_int IS NULL",
    "c_int IS NOT NULL and c_int > 1",
    "c_int in (0, 2)",
    "c_boolean = true",
    "c_decimal9 >= 1000.00",
    "c_decimal18 < -12.500000",
    "c_decimal38 > 0.0000000000",
    "c_date >= '2001-01-01'",
    "c_date < '1970-01-01'",
    "c_ts >= '2001-01-01T00:00:00'",
    "c_ts < '1969-12-31T23:59:59.999999'",
    "c_tstz < '1999-12-31T23:59:59+00:00'",
    "c_string IS NULL or id < 20",
    "not (c_int = 1)",
    "not (c_int = 1 or c_string = 'a')",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_agree_on_filters_over_every_type_and_partitioning() {
    let Some(peers) = Peers::find() else { return };
    let warehouse = Warehouse::temporary().await;
    let parts = [primitive_batch(8, 0, 40), primitive_batch(9, 40, 40)];
    let all = concat_batches(&parts[0].schema(), &parts).unwrap();
    let mut tables = Vec::new();
    for name in [
        "unpartitioned",
        "identity_int",
        "identity_date",
        "year_ts",
        "month_tstz",
        "truncate_decimal",
        "truncate_long",
        "bucket_long",
    ] {
        let (_, spec) = specs().into_iter().find(|(n, _)| *n == name).unwrap();
        let table = warehouse.create(name, primitive_schema(), spec).await;
        for part in &parts {
            warehouse.append(&table, vec![part.clone()]).await;
        }
        tables.push(table);
    }
    let mut reads = Vec::new();
    for table in &tables {
        let metadata = warehouse.metadata_location(table).await;
        for filter in FILTERS {
            reads.push(pyiceberg(&warehouse.catalog_uri(), &table.to_string(), Some(filter)));
            reads.push(duckdb(&metadata, Some(filter)));
        }
    }
    let answers = peers.read(&reads);
    let mut answers = answers.chunks(2);
    let columns = column_names(&all);
    for filter in FILTERS {
        let selected = rows(&warehouse.scan(&tables[0], Some(filter)).await, &columns).len();
        assert!(selected > 0 && selected < 80, "{filter} selects {selected} of 80 rows and shows nothing");
    }
    for table in &tables {
        for filter in FILTERS {
            let answer = answers.next().unwrap();
            let own = rows(&warehouse.scan(table, Some(filter)).await, &columns);
            assert_same_rows(
                &format!("PyIceberg and DuckDB: {table} where {filter}"),
                &rows(&answer[0], &columns),
                &rows(&answer[1], &columns),
            );
            assert_same_rows(&format!("floe: {table} where {filter}"), &own, &rows(&answer[0], &columns));
        }
    }
}

/// `IS NOT NAN` is not among them: NULL is not NaN to floe and to Iceberg's Java library, and PyIceberg drops it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floe_and_pyiceberg_agree_on_filters_over_nan() {
    let Some(peers) = Peers::find() else { return };
    let warehouse = Warehouse::temporary().await;
    let table = warehouse.create("nan", primitive_schema(), None).await;
    let all = primitive_batch(10, 0, 300);
    warehouse.append(&table, vec![all.clone()]).await;
    let filters = [
        "c_double > 0",
        "c_double <= 0",
        "c_double = 0",
        "c_double IS NAN",
        "c_float >= 1.5",
        "c_float < 0",
        "c_double IS NULL",
        "c_double != 1.5",
    ];
    let uri = warehouse.catalog_uri();
    let reads: Vec<_> = filters.iter().map(|f| pyiceberg(&uri, "t.nan", Some(f))).collect();
    let columns = column_names(&all);
    for (filter, answer) in filters.iter().zip(peers.read(&reads)) {
        let own = rows(&warehouse.scan(&table, Some(filter)).await, &columns);
        assert_same_rows(filter, &own, &rows(&answer, &columns));
    }
}
