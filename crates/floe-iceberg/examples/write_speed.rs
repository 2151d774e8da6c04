//! How fast rows become data files, beside the bare Parquet writer in the same run.
//!
//! `cargo run --release -p floe-iceberg --example write_speed -- [bare|plain|parts] [ROWS] [PARTITIONS]`: time
//! and peak memory of one of them; without arguments the ratios of all three.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::SchemaRef as ArrowSchemaRef;
use floe_core::{LoadedTable, SystemEnvironment};
use floe_iceberg::data::BatchStream;
use floe_iceberg::execute::write::{WriteOptions, write_data_files};
use futures::StreamExt;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::io::FileIO;
use iceberg::spec::{
    NestedField, PrimitiveType, Schema, TableMetadataRef, Transform, Type, UnboundPartitionField,
    UnboundPartitionSpec,
};
use iceberg::{TableCreation, TableIdent};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

const BATCH_ROWS: usize = 65_536;

fn schema() -> Schema {
    let column = |id, name: &str, of| NestedField::optional(id, name, Type::Primitive(of)).into();
    let fields = [
        column(1, "id", PrimitiveType::Long),
        column(2, "ts", PrimitiveType::Timestamp),
        column(3, "category", PrimitiveType::String),
        column(4, "amount", PrimitiveType::Double),
        column(5, "note", PrimitiveType::String),
    ];
    Schema::builder().with_fields(fields).build().unwrap()
}

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state ^ (*state >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// The batch that begins with row `start`.
fn batch(schema: &ArrowSchemaRef, start: usize, rows: usize) -> RecordBatch {
    let mut state = start as u64;
    let hex = b"0123456789abcdef";
    let notes = (0..rows).map(|_| {
        let words = [random(&mut state), random(&mut state), random(&mut state)];
        let note: String =
            (0..40).map(|i| char::from(hex[(words[i / 16] >> (4 * (i % 16))) as usize & 15])).collect();
        note
    });
    let notes = StringArray::from_iter_values(notes);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(start as i64..(start + rows) as i64)),
        Arc::new(TimestampMicrosecondArray::from_iter_values(
            (0..rows).map(|i| 1_700_000_000_000_000 + ((start + i) * 1_000_003) as i64),
        )),
        Arc::new(StringArray::from_iter_values(
            (0..rows).map(|_| format!("category-{}", random(&mut state) % 20)),
        )),
        Arc::new(Float64Array::from_iter_values((0..rows).map(|_| random(&mut state) as f64 / 1e9))),
        Arc::new(notes),
    ];
    RecordBatch::try_new(schema.clone(), columns).unwrap()
}

/// Batches of `rows` rows in all: a few, again and again, so that the source takes neither time nor memory.
fn source(schema: &ArrowSchemaRef, rows: usize) -> impl Iterator<Item = RecordBatch> + Clone + Send + use<> {
    let some: Vec<RecordBatch> = (0..4).map(|i| batch(schema, i * BATCH_ROWS, BATCH_ROWS)).collect();
    let take = (0..rows).step_by(BATCH_ROWS).map(move |at| BATCH_ROWS.min(rows - at));
    take.enumerate().map(move |(i, rows)| some[i % some.len()].slice(0, rows))
}

/// The bare writer: two threads, each with half of the batches and a file of its own.
fn bare(
    folder: &std::path::Path,
    schema: &ArrowSchemaRef,
    source: impl Iterator<Item = RecordBatch> + Clone + Send,
) {
    std::thread::scope(|scope| {
        for half in 0..2 {
            let source = source.clone();
            scope.spawn(move || {
                let level = ZstdLevel::try_new(3).unwrap();
                let properties =
                    WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
                let file = std::fs::File::create(folder.join(format!("bare-{half}.parquet"))).unwrap();
                let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties)).unwrap();
                for batch in source.skip(half).step_by(2) {
                    writer.write(&batch).unwrap();
                }
                writer.close().unwrap();
            });
        }
    });
}

fn floe(
    folder: &std::path::Path,
    schema_ref: &ArrowSchemaRef,
    source: impl Iterator<Item = RecordBatch> + Send + 'static,
    partitions: Option<u32>,
) -> (usize, u64) {
    let fields = partitions.map(|n| UnboundPartitionField {
        source_id: 1,
        field_id: Some(1000),
        name: "bucket".into(),
        transform: Transform::Bucket(n),
    });
    let spec = UnboundPartitionSpec::builder().with_spec_id(0).add_partition_fields(fields).unwrap().build();
    let creation = TableCreation::builder()
        .name("t".into())
        .location(format!("file://{}/t", folder.display()))
        .schema(schema())
        .partition_spec(spec)
        .build();
    let table = LoadedTable {
        ident: TableIdent::from_strs(["n", "t"]).unwrap(),
        metadata: TableMetadataRef::new(floe_core::metadata_file::create(creation).unwrap()),
        metadata_location: String::new(),
        file_io: FileIO::new_with_fs(),
    };
    let data = BatchStream::new(schema_ref.clone(), futures::stream::iter(source.map(Ok)).boxed());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let options = WriteOptions::default();
    let written = runtime.block_on(write_data_files(&table, data, &options, &SystemEnvironment)).unwrap();
    (written.files.len(), written.spills)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: usize| arguments.get(i).map_or(default, |a| a.parse().unwrap());
    let (rows, partitions) = (number(1, 5_000_000), number(2, 512) as u32);
    let schema = Arc::new(schema_to_arrow_schema(&schema()).unwrap());
    let Some(what) = arguments.first() else { return compare() };
    let folder = tempfile::tempdir().unwrap();
    let source = source(&schema, rows);
    let begun = Instant::now();
    let note = match what.as_str() {
        "bare" => {
            bare(folder.path(), &schema, source);
            String::new()
        }
        "plain" => format!("{:?}", floe(folder.path(), &schema, source, None)),
        _ => format!("{:?}", floe(folder.path(), &schema, source, Some(partitions))),
    };
    let seconds = begun.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default().trim().to_owned();
    println!("{seconds:.3} {what} peak {peak} (files, spills) {note}");
}

/// Runs each a few times in processes of their own, in turn, and prints the medians' ratios.
fn compare() {
    let this = std::env::current_exe().unwrap();
    let mut seconds = [vec![], vec![], vec![]];
    for _ in 0..5 {
        for (what, seconds) in ["bare", "plain", "parts"].iter().zip(&mut seconds) {
            let output = std::process::Command::new(&this).arg(what).output().unwrap();
            let line = String::from_utf8(output.stdout).unwrap();
            print!("{line}");
            seconds.push(line.split(' ').next().unwrap().parse::<f64>().unwrap());
        }
    }
    let [bare, plain, parts] = seconds.map(|mut seconds| {
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    });
    println!(
        "unpartitioned {:.2}x, partitioned {:.2}x of the bare writer on two threads",
        plain / bare,
        parts / bare
    );
}
