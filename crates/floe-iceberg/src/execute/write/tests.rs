use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::SchemaRef as ArrowSchemaRef;
use floe_core::{Error, ErrorKind, SystemEnvironment};
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::io::FileIO;
use iceberg::spec::{
    NestedField, PrimitiveLiteral, PrimitiveType, Schema, TableMetadataRef, Transform, Type,
    UnboundPartitionField, UnboundPartitionSpec,
};
use iceberg::{TableCreation, TableIdent};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;

use super::*;

fn schema() -> Schema {
    let fields = [
        NestedField::required(1, "id", Type::Primitive(PrimitiveType::Long)).into(),
        NestedField::optional(2, "ts", Type::Primitive(PrimitiveType::Timestamp)).into(),
        NestedField::optional(3, "category", Type::Primitive(PrimitiveType::String)).into(),
        NestedField::optional(4, "amount", Type::Primitive(PrimitiveType::Double)).into(),
    ];
    Schema::builder().with_fields(fields).build().unwrap()
}

pub(super) fn table(
    folder: &std::path::Path,
    partition: &[(i32, Transform)],
    properties: &[(&str, &str)],
) -> LoadedTable {
    let fields = partition.iter().enumerate().map(|(i, (source, transform))| UnboundPartitionField {
        source_id: *source,
        field_id: Some(1000 + i as i32),
        name: format!("p{i}"),
        transform: *transform,
    });
    let spec = UnboundPartitionSpec::builder().with_spec_id(0).add_partition_fields(fields).unwrap().build();
    let properties: HashMap<String, String> =
        properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let creation = TableCreation::builder()
        .name("t".into())
        .location(format!("file://{}/t", folder.display()))
        .schema(schema())
        .partition_spec(spec)
        .properties(properties)
        .build();
    LoadedTable {
        ident: TableIdent::from_strs(["n", "t"]).unwrap(),
        metadata: TableMetadataRef::new(floe_core::metadata_file::create(creation).unwrap()),
        metadata_location: String::new(),
        file_io: FileIO::new_with_fs(),
    }
}

pub(super) fn arrow() -> ArrowSchemaRef {
    Arc::new(schema_to_arrow_schema(&schema()).unwrap())
}

/// A small generator of numbers that look random: the same for the same seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let x = self.0 ^ (self.0 >> 29);
        x.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 16
    }
}

/// Rows with ids from `start`, in which each column but the id has NULLs.
fn batch(start: i64, rows: usize, numbers: &mut Numbers) -> RecordBatch {
    let ids: Int64Array = (start..start + rows as i64).collect();
    let times: TimestampMicrosecondArray = (0..rows)
        .map(|_| {
            (!numbers.next().is_multiple_of(10))
                .then(|| (numbers.next() % 40) as i64 * 43_200_000_000 - 5 * 86_400_000_000)
        })
        .collect();
    let categories: StringArray = (0..rows)
        .map(|_| match numbers.next() % 12 {
            0 => None,
            1 => Some(String::new()),
            n => Some(format!("värde {n} {}", numbers.next() % 3)),
        })
        .collect();
    let amounts: Float64Array = (0..rows)
        .map(|_| match numbers.next() % 15 {
            0 => None,
            1 => Some(f64::NAN),
            n => Some(numbers.next() as f64 / n as f64),
        })
        .collect();
    let columns: Vec<ArrayRef> =
        vec![Arc::new(ids), Arc::new(times), Arc::new(categories), Arc::new(amounts)];
    RecordBatch::try_new(arrow(), columns).unwrap()
}

pub(super) fn batches(rows: usize, each: usize, seed: u64) -> Vec<RecordBatch> {
    let mut numbers = Numbers(seed);
    (0..rows).step_by(each).map(|at| batch(at as i64, each.min(rows - at), &mut numbers)).collect()
}

pub(super) fn options(memory_bytes: u64) -> WriteOptions {
    WriteOptions { memory_bytes, parallelism: Some(2), ..Default::default() }
}

async fn put(table: &LoadedTable, batches: Vec<RecordBatch>, memory_bytes: u64) -> Result<WrittenFiles> {
    let data = BatchStream::from_batches(arrow(), batches);
    write_data_files(table, data, &options(memory_bytes), &SystemEnvironment).await
}

fn local(path: &str) -> std::path::PathBuf {
    path.strip_prefix("file://").unwrap().into()
}

fn read(file: &DataFile) -> Vec<RecordBatch> {
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(local(file.file_path())).unwrap());
    builder.unwrap().build().unwrap().map(Result::unwrap).collect()
}

/// A row as comparable values: NaNs are equal to each other.
type Row = (i64, Option<i64>, Option<String>, Option<String>);

fn rows(batches: &[RecordBatch]) -> Vec<Row> {
    let mut rows = Vec::new();
    for batch in batches {
        let ids = batch.column(0).as_primitive::<Int64Type>();
        let times = batch.column(1).as_primitive::<TimestampMicrosecondType>();
        let categories = batch.column(2).as_string::<i32>();
        let amounts = batch.column(3).as_primitive::<arrow_array::types::Float64Type>();
        for row in 0..batch.num_rows() {
            rows.push((
                ids.value(row),
                times.is_valid(row).then(|| times.value(row)),
                categories.is_valid(row).then(|| categories.value(row).to_owned()),
                amounts.is_valid(row).then(|| amounts.value(row).to_string()),
            ));
        }
    }
    rows
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort();
    rows
}

/// Every count and bound of the file against the rows that are in it.
fn check_metrics(file: &DataFile) {
    let rows = rows(&read(file));
    assert_eq!(file.record_count(), rows.len() as u64);
    for id in 1..=4 {
        assert_eq!(file.value_counts()[&id], rows.len() as u64);
        assert!(file.column_sizes()[&id] > 0);
    }
    let nulls = |is_null: fn(&Row) -> bool| rows.iter().filter(|row| is_null(row)).count() as u64;
    assert_eq!(file.null_value_counts()[&2], nulls(|row| row.1.is_none()));
    assert_eq!(file.null_value_counts()[&3], nulls(|row| row.2.is_none()));
    assert_eq!(file.nan_value_counts()[&4], nulls(|row| row.3.as_deref() == Some("NaN")));
    let ids = || rows.iter().map(|row| PrimitiveLiteral::Long(row.0));
    assert_eq!(
        file.lower_bounds().get(&1).map(|d| d.literal().clone()),
        ids().min_by(|a, b| a.partial_cmp(b).unwrap())
    );
    assert_eq!(
        file.upper_bounds().get(&1).map(|d| d.literal().clone()),
        ids().max_by(|a, b| a.partial_cmp(b).unwrap())
    );
    for value in rows.iter().filter_map(|row| row.2.clone()) {
        let value = PrimitiveLiteral::String(value);
        assert!(*file.lower_bounds()[&3].literal() <= value && *file.upper_bounds()[&3].literal() >= value);
    }
    let size = std::fs::metadata(local(file.file_path())).unwrap().len();
    assert_eq!(file.file_size_in_bytes(), size);
    assert_eq!(file.split_offsets().unwrap()[0], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_an_unpartitioned_table_keep_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path(), &[], &[("write.parquet.row-group-limit", "7000")]);
    let source = batches(30_000, 4_000, 1);
    let written = put(&table, source.clone(), 64 << 20).await.unwrap();
    assert_eq!((written.files.len(), written.rows), (1, 30_000));
    assert_eq!(rows(&read(&written.files[0])), rows(&source));
    assert_eq!(written.files[0].split_offsets().unwrap().len(), 5);
    check_metrics(&written.files[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_cut_near_their_target_size() {
    let folder = tempfile::tempdir().unwrap();
    let target = 1_u64 << 19;
    let properties = [
        ("write.target-file-size-bytes", "524288"),
        ("write.parquet.page-row-limit", "1250"),
        ("write.parquet.dict-size-bytes", "4096"),
    ];
    // The first file teaches how far the encoders count too much.
    let table = table(folder.path(), &[], &properties);
    // One batch larger than several files.
    let source = batches(300_000, 300_000, 2);
    let written = put(&table, source.clone(), 64 << 20).await.unwrap();
    assert!(written.files.len() > 3, "{} files", written.files.len());
    let all: Vec<RecordBatch> = written.files.iter().flat_map(read).collect();
    assert_eq!(rows(&all), rows(&source));
    for file in &written.files[1..written.files.len() - 1] {
        let ratio = file.file_size_in_bytes() as f64 / target as f64;
        assert!((0.85..1.1).contains(&ratio), "{ratio}");
    }
    written.files.iter().for_each(check_metrics);
}

#[tokio::test]
async fn no_rows_make_no_files() {
    let folder = tempfile::tempdir().unwrap();
    for partition in [vec![], vec![(3, Transform::Identity)]] {
        let table = table(folder.path(), &partition, &[]);
        let written = put(&table, vec![RecordBatch::new_empty(arrow())], 64 << 20).await.unwrap();
        assert!(written.files.is_empty() && written.rows == 0);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

fn days(micros: i64) -> i64 {
    micros.div_euclid(86_400_000_000)
}

fn truncated(value: &str) -> String {
    value.chars().take(2).collect()
}

/// Writes into partitions and compares the contents of each with those that `key` gives.
async fn check_partitions(
    partition: &[(i32, Transform)],
    source: Vec<RecordBatch>,
    memory_bytes: u64,
    properties: &[(&str, &str)],
    key: impl Fn(&Row) -> String,
) -> WrittenFiles {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path(), partition, properties);
    let mut expected: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in rows(&source) {
        expected.entry(key(&row)).or_default().push(row);
    }
    let written = put(&table, source, memory_bytes).await.unwrap();
    let mut found: BTreeMap<String, (Struct, Vec<Row>)> = BTreeMap::new();
    for file in &written.files {
        check_metrics(file);
        let rows = rows(&read(file));
        let entry = found.entry(key(&rows[0])).or_insert_with(|| (file.partition().clone(), vec![]));
        assert_eq!(&entry.0, file.partition(), "one tuple for one partition");
        entry.1.extend(rows);
    }
    assert_eq!(found.len(), expected.len());
    for ((key, mut expected), (found_key, (_, found))) in expected.into_iter().zip(found) {
        assert_eq!(key, found_key);
        expected.sort();
        assert_eq!(sorted(found), expected);
    }
    written
}

#[tokio::test(flavor = "multi_thread")]
async fn unsorted_rows_go_to_their_partitions_for_every_transform() {
    let source = || batches(6_000, 700, 3);
    let ts = 2;
    let time = |of: fn(i64) -> i64| move |row: &Row| format!("{:?}", row.1.map(of));
    check_partitions(&[(ts, Transform::Day)], source(), 64 << 20, &[], time(days)).await;
    check_partitions(
        &[(ts, Transform::Hour)],
        source(),
        64 << 20,
        &[],
        time(|v| v.div_euclid(3_600_000_000)),
    )
    .await;
    // 1969-12-27 to 1970-01-15.
    check_partitions(&[(ts, Transform::Month)], source(), 64 << 20, &[], time(|v| v.div_euclid(i64::MAX)))
        .await;
    check_partitions(&[(ts, Transform::Year)], source(), 64 << 20, &[], time(|v| v.div_euclid(i64::MAX)))
        .await;
    let category = |row: &Row| format!("{:?}", row.2);
    check_partitions(&[(3, Transform::Identity)], source(), 64 << 20, &[], category).await;
    let short = |row: &Row| format!("{:?}", row.2.as_deref().map(truncated));
    check_partitions(&[(3, Transform::Truncate(2))], source(), 64 << 20, &[], short).await;
    let both = |row: &Row| format!("{:?} {:?}", row.1.map(days), row.2.as_deref().map(truncated));
    check_partitions(&[(ts, Transform::Day), (3, Transform::Truncate(2))], source(), 64 << 20, &[], both)
        .await;
    let buckets = check_partitions(&[(1, Transform::Truncate(500))], source(), 64 << 20, &[], |row| {
        (row.0 / 500).to_string()
    });
    assert_eq!(buckets.await.files.len(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_hold_what_their_number_says() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path(), &[(1, Transform::Bucket(16))], &[]);
    let written = put(&table, batches(5_000, 999, 4), 64 << 20).await.unwrap();
    assert_eq!((written.files.len(), written.rows), (16, 5_000));
    let bucket = iceberg::transform::create_transform_function(&Transform::Bucket(16)).unwrap();
    for file in &written.files {
        let Some(Literal::Primitive(PrimitiveLiteral::Int(number))) = file.partition().fields()[0] else {
            panic!("a bucket number")
        };
        for row in rows(&read(file)) {
            let expected = bucket.transform_literal_result(&iceberg::spec::Datum::long(row.0)).unwrap();
            assert_eq!(*expected.literal(), PrimitiveLiteral::Int(number));
        }
        assert!(file.file_path().contains(&format!("/data/p0={number}/")), "{}", file.file_path());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_partitions_in_little_memory_go_through_temporary_files() {
    // More than 2,000 partitions, each row far from its like.
    let mut source = batches(12_000, 1_000, 5);
    for batch in &mut source {
        let ids = batch.column(0).as_primitive::<Int64Type>();
        let scattered: Int64Array =
            ids.iter().map(|id| id.map(|id| (id % 2_100) * 10 + id / 2_100)).collect();
        let mut columns = batch.columns().to_vec();
        columns[0] = Arc::new(scattered);
        *batch = RecordBatch::try_new(arrow(), columns).unwrap();
    }
    let written = check_partitions(&[(1, Transform::Truncate(10))], source, 64 << 10, &[], |row| {
        (row.0 / 10).to_string()
    })
    .await;
    assert!(written.spills > 40, "{} spills", written.spills);
    assert_eq!(written.files.len(), 2_100);
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_with_many_rows_are_written_without_temporary_files() {
    // Clustered: a partition after the other.
    let written = check_partitions(
        &[(1, Transform::Truncate(50_000))],
        batches(200_000, 10_000, 6),
        1 << 20,
        &[("write.target-file-size-bytes", "500000")],
        |row| (row.0 / 50_000).to_string(),
    );
    let written = written.await;
    assert!(written.files.len() > 4, "{} files", written.files.len());
    assert!(written.spills <= 8, "{} spills", written.spills);
}

#[tokio::test(flavor = "multi_thread")]
async fn void_fields_have_a_tuple_of_nulls() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path(), &[(1, Transform::Void)], &[]);
    let written = put(&table, batches(100, 100, 7), 64 << 20).await.unwrap();
    assert_eq!(written.files.len(), 1);
    assert_eq!(written.files[0].partition(), &Struct::from_iter([None]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_source_leaves_no_file_behind_and_keeps_its_kind() {
    for partition in [vec![], vec![(1, Transform::Truncate(100))], vec![(1, Transform::Truncate(20_000))]] {
        let folder = tempfile::tempdir().unwrap();
        let properties =
            [("write.target-file-size-bytes", "100000"), ("write.parquet.row-group-limit", "2000")];
        let table = table(folder.path(), &partition, &properties);
        let good = batches(60_000, 5_000, 8).into_iter().map(Ok);
        let bad = Err(Error::new(ErrorKind::Corrupted, "the source is broken"));
        let stream = futures::stream::iter(good.chain([bad])).boxed();
        let data = BatchStream::new(arrow(), stream);
        let error =
            write_data_files(&table, data, &options(512 << 10), &SystemEnvironment).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupted);
        assert_eq!(error.table(), Some("n.t"));
        assert_eq!(files_below(folder.path()), 0);
    }
}

fn files_below(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|entry| if entry.path().is_dir() { files_below(&entry.path()) } else { 1 }).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_cannot_be_written_says_so() {
    let folder = tempfile::tempdir().unwrap();
    // Where the folder of the table should be, there is a file.
    std::fs::write(folder.path().join("t"), "x").unwrap();
    for partition in [vec![], vec![(3, Transform::Identity)]] {
        let table = table(folder.path(), &partition, &[]);
        let error = put(&table, batches(1_000, 100, 9), 64 << 20).await.unwrap_err();
        assert!(error.message().starts_with("writing data file file://"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_does_not_fit_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path(), &[], &[]);
    let source = batch(0, 10, &mut Numbers(1));
    for columns in [vec![1, 2], vec![0, 1, 2]] {
        let part = source.project(&columns).unwrap();
        let data = BatchStream::from_batches(part.schema(), vec![part]);
        let result = write_data_files(&table, data, &options(1 << 20), &SystemEnvironment).await;
        match columns[0] {
            // The required column is missing.
            1 => assert_eq!(result.unwrap_err().kind(), ErrorKind::SchemaMismatch),
            // A column that may be NULL is missing.
            _ => assert_eq!(result.unwrap().rows, 10),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_ends_at_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path(), &[], &[]);
    let last = Arc::new(Mutex::new(WriteProgress::default()));
    let calls = Arc::new(AtomicU64::new(0));
    let (seen, counted) = (last.clone(), calls.clone());
    let progress: ProgressFn = Arc::new(move |at| {
        *seen.lock().unwrap() = at;
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let data = BatchStream::from_batches(arrow(), batches(10_000, 1_000, 10));
    let options = options(64 << 20);
    let written = write_data_files_with_progress(&table, data, &options, &SystemEnvironment, Some(progress));
    let written = written.await.unwrap();
    assert_eq!(*last.lock().unwrap(), WriteProgress { rows: 10_000, bytes: written.bytes });
    assert!(calls.load(Ordering::Relaxed) > 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path(), &[], &[]);
    let written = put(&table, batches(10, 10, 11), 64 << 20).await.unwrap();
    let file = std::fs::File::open(local(written.files[0].file_path())).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let metadata = builder.metadata().file_metadata();
    let schema: Schema =
        serde_json::from_str(metadata.key_value_metadata().unwrap()[0].value.as_ref().unwrap()).unwrap();
    assert_eq!(schema.as_struct(), super::tests::schema().as_struct());
    let columns = metadata.schema_descr().columns();
    assert_eq!(columns.iter().map(|c| c.self_type().get_basic_info().id()).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let compression = builder.metadata().row_group(0).column(0).compression();
    assert!(matches!(compression, parquet::basic::Compression::ZSTD(_)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_batches_and_limits_give_back_the_same_rows(
        sizes in proptest::collection::vec(0_usize..3_000, 1..6),
        group_rows in 1_usize..2_000,
        file_bytes in 2_000_u64..100_000,
        memory_bytes in (64_u64 << 10)..(1 << 20),
        partitioned in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (group_rows, file_bytes) = (group_rows.to_string(), file_bytes.to_string());
        let properties = [
            ("write.parquet.row-group-limit", group_rows.as_str()),
            ("write.target-file-size-bytes", file_bytes.as_str()),
        ];
        let partition: &[_] = if partitioned { &[(3, Transform::Identity)] } else { &[] };
        let table = table(folder.path(), partition, &properties);
        let (mut numbers, mut start, mut source) = (Numbers(seed), 0, Vec::new());
        for size in sizes {
            source.push(batch(start, size, &mut numbers));
            start += size as i64;
        }
        let written = runtime.block_on(put(&table, source.clone(), memory_bytes)).unwrap();
        let found: Vec<RecordBatch> = written.files.iter().flat_map(read).collect();
        if partitioned {
            prop_assert_eq!(sorted(rows(&found)), rows(&source));
        } else {
            prop_assert_eq!(rows(&found), rows(&source));
        }
        for file in &written.files {
            check_metrics(file);
        }
    }
}

#[tokio::test]
async fn a_small_file_says_the_same_as_one_that_many_threads_encoded() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path(), &[], &[]);
    let context = Arc::new(Context::new(&table, &options(1 << 24), &SystemEnvironment, None).unwrap());
    let partition = || Partition::new(&context, Struct::empty());
    let data = batches(300, 70, 5);
    let small = small::write(&context, &partition(), &data).await.unwrap();
    let mut writer = RollingWriter::new(context.clone(), partition());
    for batch in &data {
        writer.write(batch).await.unwrap();
    }
    let large = writer.finish().await.unwrap();
    let ([small], [large]) = (small.as_slice(), large.as_slice()) else { panic!("one file each") };
    assert_eq!(rows(&read(small)), rows(&data));
    assert_eq!(rows(&read(large)), rows(&data));
    assert_eq!(small.record_count(), large.record_count());
    assert_eq!(small.file_size_in_bytes(), large.file_size_in_bytes());
    assert_eq!(small.split_offsets(), large.split_offsets());
    assert_eq!(small.column_sizes(), large.column_sizes());
    assert_eq!(small.value_counts(), large.value_counts());
    assert_eq!(small.null_value_counts(), large.null_value_counts());
    assert_eq!(small.nan_value_counts(), large.nan_value_counts());
    assert_eq!(small.lower_bounds(), large.lower_bounds());
    assert_eq!(small.upper_bounds(), large.upper_bounds());
}

#[tokio::test]
async fn rows_become_a_small_file_only_when_they_are_all_and_fit_one_row_group() {
    let folder = tempfile::tempdir().unwrap();
    let start = async |properties: &[(&str, &str)], rows, each| {
        let table = table(folder.path(), &[], properties);
        let context = Context::new(&table, &options(1 << 24), &SystemEnvironment, None).unwrap();
        let mut data = BatchStream::from_batches(arrow(), batches(rows, each, 3));
        let start = small::start(&context, &mut data).await.unwrap();
        let left: usize = data.collect().await.unwrap().iter().map(RecordBatch::num_rows).sum();
        assert_eq!(start.batches.iter().map(RecordBatch::num_rows).sum::<usize>() + left, rows);
        start.is_all
    };
    assert!(start(&[], 0, 1).await);
    assert!(start(&[], 1000, 10).await);
    assert!(!start(&[], 5000, 10).await);
    assert!(!start(&[], 5000, 5000).await);
    assert!(!start(&[("write.target-file-size-bytes", "1000")], 1000, 10).await);
    assert!(!start(&[("write.parquet.row-group-limit", "999")], 1000, 10).await);
    assert!(start(&[("write.parquet.row-group-limit", "1000")], 1000, 10).await);
}
