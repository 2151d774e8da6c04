//! Deletes and overwrites against a plain model of the table.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema as ArrowSchema};
use floe_core::ErrorKind;
use floe_plan::change::TableFile;
use floe_testkit::SeededEnvironment;
use futures::StreamExt;
use iceberg::spec::{
    DataContentType, FormatVersion, NestedField, PrimitiveType, Schema, Struct, Transform, Type,
    UnboundPartitionSpec,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::data::BatchStream;
use crate::execute::overwrite::{Overwritten, overwrite};
use crate::execute::rows::RowCounts;
use crate::execute::scan::fixture::Fixture;
use crate::execute::scan::{ScanRequest, ScanSummary};
use crate::execute::write::{WriteOptions, write_data_files};

#[derive(Debug, Clone, PartialEq)]
struct Row {
    id: i64,
    part: Option<String>,
    x: Option<f64>,
    y: Option<i32>,
}

impl Row {
    /// Comparable, NaN too.
    fn key(&self) -> (i64, Option<String>, Option<u64>, Option<i32>) {
        (self.id, self.part.clone(), self.x.map(f64::to_bits), self.y)
    }
}

fn fields(evolved: bool) -> Vec<Arc<NestedField>> {
    let mut fields = vec![
        Arc::new(NestedField::required(1, "id", Type::Primitive(PrimitiveType::Long))),
        Arc::new(NestedField::optional(2, "part", Type::Primitive(PrimitiveType::String))),
        Arc::new(NestedField::optional(3, "x", Type::Primitive(PrimitiveType::Double))),
    ];
    if evolved {
        fields.push(Arc::new(NestedField::optional(4, "y", Type::Primitive(PrimitiveType::Int))));
    }
    fields
}

struct Table {
    fixture: Fixture,
    env: SeededEnvironment,
    rows: Vec<Row>,
    evolved: bool,
    next_id: i64,
}

impl Table {
    fn new(seed: u64, properties: &[(&str, &str)]) -> Self {
        let schema = Schema::builder().with_fields(fields(false)).build().unwrap();
        let mut fixture = Fixture::new(schema, UnboundPartitionSpec::builder().build());
        let small = [("write.parquet.row-group-limit", "7"), ("write.parquet.page-row-limit", "3")];
        let properties: HashMap<String, String> =
            small.iter().chain(properties).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        fixture.change(|builder| builder.set_properties(properties).unwrap());
        Self { fixture, env: SeededEnvironment::new(seed), rows: Vec::new(), evolved: false, next_id: 0 }
    }

    fn evolve(&mut self) {
        let schema = Schema::builder().with_schema_id(1).with_fields(fields(true)).build().unwrap();
        self.fixture.change(|builder| builder.add_current_schema(schema).unwrap());
        self.evolved = true;
    }

    fn partition_by(&mut self, source: i32, transform: Transform) {
        let name = format!("p{}", self.fixture.metadata.partition_specs_iter().len());
        let spec =
            UnboundPartitionSpec::builder().add_partition_field(source, name, transform).unwrap().build();
        self.fixture.change(|builder| builder.add_default_partition_spec(spec).unwrap());
    }

    fn new_rows(&mut self, count: usize, random: &mut StdRng) -> Vec<Row> {
        let rows = (0..count).map(|_| {
            self.next_id += 1;
            let part = [None, Some("a"), Some("b"), Some("cc")][random.random_range(0..4)];
            let x = [None, Some(f64::NAN), Some(-0.0), Some(f64::from(random.random_range(0..20)) / 2.0)];
            Row {
                id: self.next_id,
                part: part.map(str::to_owned),
                x: x[random.random_range(0..4)],
                y: Some(random.random_range(0..3)).filter(|y| self.evolved && *y > 0),
            }
        });
        rows.collect()
    }

    fn data(&self, rows: &[Row]) -> BatchStream {
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new(rows.iter().map(|r| r.id).collect::<Int64Array>())),
            ("part", Arc::new(rows.iter().map(|r| r.part.clone()).collect::<StringArray>())),
            ("x", Arc::new(rows.iter().map(|r| r.x).collect::<Float64Array>())),
        ];
        if self.evolved {
            columns.push(("y", Arc::new(rows.iter().map(|r| r.y).collect::<Int32Array>())));
        }
        let nullable = |name: &str| name != "id";
        let schema: Vec<Field> =
            columns.iter().map(|(n, c)| Field::new(*n, c.data_type().clone(), nullable(n))).collect();
        let schema = Arc::new(ArrowSchema::new(schema));
        let batch =
            RecordBatch::try_new(schema.clone(), columns.into_iter().map(|(_, c)| c).collect()).unwrap();
        BatchStream::new(schema, futures::stream::iter([Ok(batch)]).boxed())
    }

    async fn append(&mut self, rows: Vec<Row>) {
        let table = self.fixture.base().table;
        let written =
            write_data_files(&table, self.data(&rows), &WriteOptions::default(), &self.env).await.unwrap();
        let spec_id = self.fixture.metadata.default_partition_spec_id();
        let added: Vec<_> = written.files.into_iter().map(|file| TableFile { spec_id, file }).collect();
        self.fixture.replace(&[], &added).await;
        self.rows.extend(rows);
    }

    /// Another engine's delete of rows by their ids, in all partitions.
    async fn delete_by_equality(&mut self, ids: &[i64]) {
        let id = HashMap::from([("PARQUET:field_id".to_owned(), "1".to_owned())]);
        let schema = ArrowSchema::new(vec![Field::new("id", DataType::Int64, false).with_metadata(id)]);
        let ids_array: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
        let batch = RecordBatch::try_new(Arc::new(schema), vec![ids_array]).unwrap();
        let file = self.fixture.data_file(&batch, 100, |file| {
            file.content(DataContentType::EqualityDeletes).equality_ids(Some(vec![1])).partition_spec_id(0);
            file.partition(Struct::empty());
        });
        let file = file.await;
        self.fixture.replace(&[], &[TableFile { spec_id: 0, file }]).await;
        self.rows.retain(|row| !ids.contains(&row.id));
    }

    async fn commit(&mut self, change: &RowChange) {
        self.fixture.replace(&change.change.removed, &change.change.added).await;
    }

    async fn delete(&mut self, filter: &Filter, options: &RowOptions) -> RowCounts {
        let expr = Expr::parse(&filter.text).unwrap();
        let base = self.fixture.base();
        let dry = RowOptions { dry_run: true, ..options.clone() };
        let dry = delete(&base, "main", &expr, &dry, &self.env).await.unwrap();
        assert!(dry.change.is_empty());
        let change = delete(&base, "main", &expr, options, &self.env).await.unwrap();
        assert_eq!(dry.counts.rows_removed, change.counts.rows_removed, "{}", filter.text);
        self.commit(&change).await;
        self.rows.retain(|row| (filter.test)(row) != Some(true));
        change.counts
    }

    async fn overwrite(&mut self, rows: Vec<Row>, what: Overwritten<'_>, options: &RowOptions) -> RowCounts {
        let base = self.fixture.base();
        let change = overwrite(&base, "main", self.data(&rows), what, options, &self.env).await.unwrap();
        self.commit(&change).await;
        change.counts
    }

    async fn read(&self, filter: Option<&str>) -> (Vec<Row>, ScanSummary) {
        let filter = filter.map(|f| Expr::parse(f).unwrap());
        let (batches, summary) = self.fixture.scan(&ScanRequest { filter, ..ScanRequest::default() }).await;
        let mut rows = Vec::new();
        for batch in batches {
            let id = batch.column(0).as_primitive::<Int64Type>();
            let part = batch.column(1).as_string::<i32>();
            let x = batch.column(2).as_primitive::<Float64Type>();
            let y = batch.columns().get(3).map(|y| y.as_primitive::<Int32Type>());
            rows.extend((0..batch.num_rows()).map(|i| Row {
                id: id.value(i),
                part: part.is_valid(i).then(|| part.value(i).to_owned()),
                x: x.is_valid(i).then(|| x.value(i)),
                y: y.filter(|y| y.is_valid(i)).map(|y| y.value(i)),
            }));
        }
        (rows, summary)
    }

    /// The table has the rows of the model, and every filter finds those it is true for.
    async fn check(&self, what: &str) {
        let all = Filter { text: "id >= 0".into(), test: Box::new(|_| Some(true)) };
        let filters = filters(self.evolved, self.next_id);
        for filter in filters.iter().chain([&all]) {
            let mut found: Vec<_> = self.read(Some(&filter.text)).await.0.iter().map(Row::key).collect();
            let wanted = self.rows.iter().filter(|row| (filter.test)(row) == Some(true));
            let mut wanted: Vec<_> = wanted.map(Row::key).collect();
            found.sort();
            wanted.sort();
            assert_eq!(found, wanted, "{what}: {}", filter.text);
        }
    }
}

struct Filter {
    text: String,
    test: Box<dyn Fn(&Row) -> Option<bool>>,
}

fn filters(evolved: bool, ids: i64) -> Vec<Filter> {
    fn filter(text: impl Into<String>, test: impl Fn(&Row) -> Option<bool> + 'static) -> Filter {
        Filter { text: text.into(), test: Box::new(test) }
    }
    let (low, high) = (ids / 3, ids / 2);
    let mut all = vec![
        filter(format!("id = {high}"), move |r| Some(r.id == high)),
        filter(format!("id >= {low} AND id < {high}"), move |r| Some(r.id >= low && r.id < high)),
        filter("part = 'a'", |r| r.part.as_ref().map(|p| p == "a")),
        filter("part IS NULL", |r| Some(r.part.is_none())),
        filter("part IN ('b', 'cc')", |r| r.part.as_ref().map(|p| p != "a")),
        filter("NOT (x > 3)", |r| r.x.map(|x| x <= 3.0 || x.is_nan())),
        filter("x IS NAN", |r| Some(r.x.is_some_and(f64::is_nan))),
        filter("x = 0", |r| r.x.map(|x| x == 0.0)),
        filter("x IS NULL AND part <> 'b'", |r| match (&r.x, &r.part) {
            (Some(_), _) => Some(false),
            (None, part) => part.as_ref().map(|p| p != "b"),
        }),
    ];
    if evolved {
        all.push(filter("y = 1", |r| r.y.map(|y| y == 1)));
        all.push(filter("y IS NULL AND x > 8", |r| match (r.y, r.x) {
            (Some(_), _) => Some(false),
            (None, x) => x.map(|x| x > 8.0),
        }));
    }
    all
}

fn mode(random: &mut StdRng) -> RowOptions {
    let mode = if random.random_bool(0.5) { RowMode::CopyOnWrite } else { RowMode::MergeOnRead };
    // Some of the overwrites have no rows, and mean it.
    RowOptions { mode: Some(mode), allow_empty: true, ..RowOptions::default() }
}

async fn play(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let granularity = ["partition", "file"][random.random_range(0..2)];
    let mut table = Table::new(seed, &[("write.delete.granularity", granularity)]);
    let first = table.new_rows(60, &mut random);
    table.append(first).await;
    for step in 0..14 {
        let what = format!("seed {seed}, step {step}");
        match random.random_range(0..12) {
            0..2 => {
                let count = random.random_range(1..40);
                let rows = table.new_rows(count, &mut random);
                table.append(rows).await;
            }
            2..6 => {
                let mut all = filters(table.evolved, table.next_id);
                let filter = all.swap_remove(random.random_range(0..all.len()));
                table.delete(&filter, &mode(&mut random)).await;
            }
            6 => {
                let ids: Vec<i64> = (0..5).map(|_| random.random_range(0..=table.next_id)).collect();
                table.delete_by_equality(&ids).await;
            }
            7 if !table.evolved => table.evolve(),
            7..9 => {
                let transforms = [
                    (2, Transform::Identity),
                    (1, Transform::Bucket(3)),
                    (2, Transform::Truncate(1)),
                    (1, Transform::Truncate(20)),
                ];
                let (source, transform) = transforms[random.random_range(0..4)];
                table.partition_by(source, transform);
            }
            9 => {
                let count = random.random_range(0..20);
                let rows = table.new_rows(count, &mut random);
                let mut all = filters(table.evolved, table.next_id);
                let filter = all.swap_remove(random.random_range(0..all.len()));
                let expr = Expr::parse(&filter.text).unwrap();
                table.overwrite(rows.clone(), Overwritten::Matching(&expr), &mode(&mut random)).await;
                table.rows.retain(|row| (filter.test)(row) != Some(true));
                table.rows.extend(rows);
            }
            10 => {
                let count = random.random_range(0..4);
                let rows = table.new_rows(count, &mut random);
                table.overwrite(rows.clone(), Overwritten::Partitions, &mode(&mut random)).await;
                let partitions = partitions(&table, &rows);
                let old = std::mem::take(&mut table.rows);
                let of_old = partitions_of(&table, &old);
                table.rows = old
                    .into_iter()
                    .zip(of_old)
                    .filter(|(_, p)| !partitions.contains(p))
                    .map(|(r, _)| r)
                    .collect();
                table.rows.extend(rows);
            }
            _ if random.random_bool(0.3) => {
                let rows = table.new_rows(30, &mut random);
                table.overwrite(rows.clone(), Overwritten::All, &mode(&mut random)).await;
                table.rows = rows;
            }
            _ => {}
        }
        table.check(&what).await;
    }
}

/// The partition of each row under the default spec, worked out one value at a time.
fn partitions_of(table: &Table, rows: &[Row]) -> Vec<String> {
    let spec = table.fixture.metadata.default_partition_spec();
    let Some(field) = spec.fields().first() else { return vec![String::new(); rows.len()] };
    let function = iceberg::transform::create_transform_function(&field.transform).unwrap();
    let of = |row: &Row| {
        let value = match field.source_id {
            1 => Some(iceberg::spec::Datum::long(row.id)),
            _ => row.part.as_ref().map(iceberg::spec::Datum::string),
        };
        format!("{:?}", value.map(|value| function.transform_literal(&value).unwrap()))
    };
    rows.iter().map(of).collect()
}

fn partitions(table: &Table, rows: &[Row]) -> Vec<String> {
    if rows.is_empty() && table.fixture.metadata.default_partition_spec().is_unpartitioned() {
        return vec![String::new()];
    }
    partitions_of(table, rows)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_sequence_of_deletes_and_overwrites_leaves_the_rows_of_the_model() {
    for seed in 0..12 {
        play(seed).await;
    }
}

fn by_id(from: i64, to: i64) -> Filter {
    Filter {
        text: format!("id >= {from} AND id < {to}"),
        test: Box::new(move |r| Some(r.id >= from && r.id < to)),
    }
}

#[tokio::test]
async fn untouched_row_groups_are_copied_and_equal_decoded_ones() {
    let mut random = StdRng::seed_from_u64(1);
    let mut table = Table::new(1, &[]);
    let rows = table.new_rows(70, &mut random);
    table.append(rows).await;
    let counts = table.delete(&by_id(24, 26), &RowOptions::default()).await;
    assert_eq!((counts.row_groups_copied, counts.row_groups_decoded), (9, 1));
    assert_eq!((counts.files_rewritten, counts.rows_removed, counts.rows_rewritten), (1, 2, 68));
    table.check("after a copy").await;
    // The statistics and page indexes of copied row groups still prune.
    let (rows, summary) = table.read(Some("id > 68")).await;
    assert_eq!((rows.len(), summary.row_groups_read), (2, 1));
    let file = &table.fixture.base().files(&crate::base::SnapshotSelector::Current).await.unwrap()[0];
    assert_eq!(file.columns["id"].lower.as_deref(), Some("1"));
    assert_eq!(file.columns["id"].upper.as_deref(), Some("70"));
    assert_eq!(file.columns["id"].nulls, Some(0));
    let nulls = table.rows.iter().filter(|r| r.part.is_none()).count() as u64;
    assert_eq!(file.columns["part"].nulls, Some(nulls));
}

#[tokio::test]
async fn a_row_group_that_is_rewritten_in_pieces_keeps_its_rows_and_is_read_once() {
    let mut random = StdRng::seed_from_u64(3);
    // The Parquet crate looks at the length of a page every 1024 rows.
    let pages = [("write.parquet.row-group-limit", "4096"), ("write.parquet.page-row-limit", "1024")];
    let mut table = Table::new(3, &pages);
    let rows = table.new_rows(6000, &mut random);
    table.append(rows).await;
    let deleted = by_id(1020, 2050);
    let filter = Expr::parse(&deleted.text).unwrap();
    let base = table.fixture.base();
    let found = find_rows(&base, "main", Wanted::Matching(&filter), &RowOptions::default()).await.unwrap();
    let metrics = found.metrics.clone();
    let options = RowOptions::default();
    let session = WriteSession::new(&base.table, &options.write_options(), &table.env, None).unwrap();
    let session = Some(Arc::new(session));
    let removal = remove(&base, session.as_ref(), found, RowMode::CopyOnWrite, &options).await;
    let removal = WriteSession::settle(session, removal).await.unwrap();
    assert_eq!((removal.counts.row_groups_decoded, removal.counts.row_groups_copied), (1, 1));
    // Once to find the rows, once to rewrite the others.
    assert_eq!(metrics.summary().row_groups_read, 2);
    table.fixture.replace(&removal.removed, &removal.added).await;
    table.rows.retain(|row| (deleted.test)(row) != Some(true));
    table.check("after a rewrite in pieces").await;
}

#[tokio::test]
async fn files_that_match_as_a_whole_are_not_opened() {
    let mut random = StdRng::seed_from_u64(2);
    let mut table = Table::new(2, &[]);
    for _ in 0..3 {
        let mut rows = table.new_rows(10, &mut random);
        (rows[0].part, rows[1].part) = (Some("a".to_owned()), Some("b".to_owned()));
        table.append(rows).await;
    }
    let counts = table.delete(&by_id(1, 21), &RowOptions::default()).await;
    assert_eq!((counts.files_removed, counts.files_read, counts.rows_removed), (2, 0, 20));
    table.partition_by(2, Transform::Identity);
    let rows = table.new_rows(30, &mut random);
    table.append(rows).await;
    let filter = Filter { text: "part = 'a'".into(), test: Box::new(|r| r.part.as_ref().map(|p| p == "a")) };
    let counts = table.delete(&filter, &RowOptions::default()).await;
    // The partition goes unread; the file without partitions is searched.
    assert_eq!((counts.files_removed, counts.files_read), (1, 1));
    table.check("after deletes of whole files").await;
}

#[tokio::test]
async fn rows_of_tables_of_version_3_stay_unless_their_file_goes_as_a_whole() {
    let mut random = StdRng::seed_from_u64(3);
    let mut table = Table::new(3, &[("write.delete.mode", "merge-on-read")]);
    let rows = table.new_rows(10, &mut random);
    table.append(rows).await;
    table.fixture.change(|builder| builder.upgrade_format_version(FormatVersion::V3).unwrap());
    let expr = Expr::parse("id = 3").unwrap();
    for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
        let options = RowOptions { mode: Some(mode), ..RowOptions::default() };
        let error = delete(&table.fixture.base(), "main", &expr, &options, &table.env).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
    let all = Expr::parse("id > 0").unwrap();
    let change =
        delete(&table.fixture.base(), "main", &all, &RowOptions::default(), &table.env).await.unwrap();
    assert_eq!((change.change.removed.len(), change.change.operation), (1, OperationKind::Delete));
}

#[tokio::test]
async fn nothing_to_delete_is_an_empty_change() {
    let mut random = StdRng::seed_from_u64(4);
    let mut table = Table::new(4, &[]);
    let (expr, options) = (Expr::parse("id > 0").unwrap(), RowOptions::default());
    let empty = delete(&table.fixture.base(), "main", &expr, &options, &table.env).await.unwrap();
    assert_eq!(empty.read_snapshot_id, None);
    let rows = table.new_rows(10, &mut random);
    table.append(rows).await;
    let expr = Expr::parse("id = 5 AND x = 77").unwrap();
    let change =
        delete(&table.fixture.base(), "main", &expr, &RowOptions::default(), &table.env).await.unwrap();
    assert!(change.change.is_empty());
    assert_eq!(change.counts.rows_removed, 0);
}
