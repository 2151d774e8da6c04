//! How fast rows are deleted and upserted, on a table in files of its own.
//!
//! `cargo run --release -p floe-iceberg --example row_speed -- FOLDER [ROWS] [PARTITIONS] [upsert]`: makes the tables below FOLDER
//! and prints time, counts and peak memory of each operation, and where the metadata of the result is.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use async_trait::async_trait;
use floe_core::{CatalogClient, FileEntry, Result, StorageCapabilities, StorageClient, SystemEnvironment};
use floe_iceberg::base::{ManifestCache, TableBase};
use floe_iceberg::commit::{CommitRequest, commit};
use floe_iceberg::data::BatchStream;
use floe_iceberg::execute::delete::delete;
use floe_iceberg::execute::rows::{RowMode, RowOptions};
use floe_iceberg::execute::upsert::{UpsertOptions, upsert};
use floe_iceberg::execute::write::{WriteOptions, write_data_files};
use floe_plan::change::ChangeSet;
use floe_plan::expr::Expr;
use floe_testkit::catalog::MemoryCatalog;
use futures::StreamExt;
use futures::stream::BoxStream;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::io::FileIO;
use iceberg::spec::{
    NestedField, PrimitiveType, Schema, Transform, Type, UnboundPartitionField, UnboundPartitionSpec,
};
use iceberg::{NamespaceIdent, TableCreation, TableIdent};

const BATCH_ROWS: usize = 65_536;

/// Files on disk.
#[derive(Debug)]
struct Disk(String);

#[async_trait]
impl StorageClient for Disk {
    fn file_io(&self) -> FileIO {
        FileIO::new_with_fs()
    }

    fn warehouse(&self) -> &str {
        &self.0
    }

    fn capabilities(&self) -> StorageCapabilities {
        unreachable!("nobody asks")
    }

    fn list(&self, _: &str) -> BoxStream<'static, Result<FileEntry>> {
        futures::stream::empty().boxed()
    }

    fn delete_many(&self, _: BoxStream<'static, String>) -> BoxStream<'static, (String, Result<()>)> {
        futures::stream::empty().boxed()
    }

    async fn check_at(&self, _location: &str) -> Result<()> {
        Ok(())
    }
}

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
    (*state ^ (*state >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 11
}

fn batch(schema: &arrow_schema::SchemaRef, start: usize, rows: usize) -> RecordBatch {
    let mut state = start as u64;
    let mut word = || random(&mut state);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(start as i64..(start + rows) as i64)),
        Arc::new(TimestampMicrosecondArray::from_iter_values(
            (0..rows).map(|i| 1_700_000_000_000_000 + ((start + i) * 1_000_003) as i64),
        )),
        Arc::new(StringArray::from_iter_values((0..rows).map(|_| format!("category-{}", word() % 20)))),
        Arc::new(Float64Array::from_iter_values((0..rows).map(|_| (word() % 1_000_000) as f64))),
        Arc::new(StringArray::from_iter_values(
            (0..rows).map(|_| format!("{:016x}{:08x}", word(), word() as u32)),
        )),
    ];
    RecordBatch::try_new(schema.clone(), columns).unwrap()
}

struct Bench {
    catalog: MemoryCatalog,
    cache: Arc<ManifestCache>,
}

impl Bench {
    async fn base(&self, name: &str) -> TableBase {
        let ident = TableIdent::from_strs(["n", name]).unwrap();
        TableBase::new(self.catalog.load_table(&ident).await.unwrap(), self.cache.clone())
    }

    async fn table(&self, name: &str, rows: usize, buckets: Option<u32>) {
        let fields = buckets.map(|n| UnboundPartitionField {
            source_id: 1,
            field_id: Some(1000),
            name: "bucket".into(),
            transform: Transform::Bucket(n),
        });
        let spec =
            UnboundPartitionSpec::builder().with_spec_id(0).add_partition_fields(fields).unwrap().build();
        let creation =
            TableCreation::builder().name(name.into()).schema(schema()).partition_spec(spec).build();
        self.catalog.create_table(&NamespaceIdent::new("n".into()), creation).await.unwrap();
        let base = self.base(name).await;
        let arrow = Arc::new(schema_to_arrow_schema(&schema()).unwrap());
        let of = arrow.clone();
        let batches =
            (0..rows).step_by(BATCH_ROWS).map(move |at| Ok(batch(&of, at, BATCH_ROWS.min(rows - at))));
        let data = BatchStream::new(arrow, futures::stream::iter(batches).boxed());
        let written =
            write_data_files(&base.table, data, &WriteOptions::default(), &SystemEnvironment).await.unwrap();
        let request = CommitRequest::new(ChangeSet::append(0, written.files));
        commit(&self.catalog, base, request, &SystemEnvironment).await.unwrap();
    }

    async fn delete(&self, name: &str, filter: &str, mode: RowMode) {
        reset_peak();
        let begun = Instant::now();
        let base = self.base(name).await;
        let options = RowOptions { mode: Some(mode), ..RowOptions::default() };
        let filter_expr = Expr::parse(filter).unwrap();
        let change = delete(&base, "main", &filter_expr, &options, &SystemEnvironment).await.unwrap();
        let executed = begun.elapsed().as_secs_f64();
        let request = CommitRequest {
            guards: change.guards,
            read_snapshot_id: change.read_snapshot_id,
            ..CommitRequest::new(change.change)
        };
        let done = commit(&self.catalog, base, request, &SystemEnvironment).await.unwrap();
        println!(
            "{executed:.3} s, {:.3} s with commit, peak {}: {name}, {} of \"{filter}\"\n  {:?}\n  {}",
            begun.elapsed().as_secs_f64(),
            peak(),
            mode.as_str(),
            change.counts,
            done.table.metadata_location
        );
    }
}

/// Upserts so many rows: every other one is new, and the keys of the others are spread over the `rows` of the table.
async fn upserted(bench: &Bench, name: &str, rows: usize, count: usize, mode: RowMode) {
    let arrow = Arc::new(schema_to_arrow_schema(&schema()).unwrap());
    let (old, step) = (count / 2, (rows / (count / 2)).max(1));
    let ids = (0..old).map(|i| (i * step) as i64).chain((0..count - old).map(|i| (rows + i) as i64));
    let source = batch(&arrow, 0, count);
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(ids));
    let columns = std::iter::once(ids).chain(source.columns()[1..].iter().cloned());
    let source = RecordBatch::try_new(arrow.clone(), columns.collect()).unwrap();
    reset_peak();
    let begun = Instant::now();
    let base = bench.base(name).await;
    let options = UpsertOptions {
        join_columns: vec!["id".into()],
        rows: RowOptions { mode: Some(mode), ..RowOptions::default() },
        ..UpsertOptions::default()
    };
    let data = BatchStream::from_batches(arrow, vec![source]);
    let change = upsert(&base, data, &options, &SystemEnvironment).await.unwrap();
    let executed = begun.elapsed().as_secs_f64();
    let request = CommitRequest {
        guards: change.rows.guards,
        read_snapshot_id: change.rows.read_snapshot_id,
        ..CommitRequest::new(change.rows.change)
    };
    commit(&bench.catalog, base, request, &SystemEnvironment).await.unwrap();
    println!(
        "{executed:.3} s, {:.3} s with commit, peak {}: {name}, {} upsert of {count}\n  {:?}",
        begun.elapsed().as_secs_f64(),
        peak(),
        mode.as_str(),
        change.counts,
    );
}

fn reset_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default().trim().to_owned()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: usize| arguments.get(i).map_or(default, |a| a.parse().unwrap());
    let (rows, buckets) = (number(1, 5_000_000), number(2, 512) as u32);
    let disk = Disk(format!("file://{}", arguments[0]));
    let catalog = MemoryCatalog::new(&disk, Arc::new(SystemEnvironment));
    let bench = Bench { catalog, cache: Arc::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let namespace = NamespaceIdent::new("n".into());
        bench.catalog.create_namespace(&namespace, [].into()).await.unwrap();
        if arguments.get(3).is_some_and(|what| what == "upsert") {
            for mode in [RowMode::MergeOnRead, RowMode::CopyOnWrite] {
                for count in [1_000, 100_000] {
                    let name = format!("{}_{count}", mode.as_str().replace('-', "_"));
                    bench.table(&name, rows, None).await;
                    upserted(&bench, &name, rows, count, mode).await;
                }
            }
            return;
        }
        bench.table("plain", rows, None).await;
        bench.table("buckets", rows, Some(buckets)).await;
        let range = format!("id >= {} AND id < {}", rows / 2, rows / 2 + rows / 100);
        bench.delete("plain", "amount < 10000", RowMode::MergeOnRead).await;
        bench.delete("plain", &range, RowMode::MergeOnRead).await;
        let range = format!("id >= {} AND id < {}", rows / 4, rows / 4 + rows / 100);
        bench.delete("buckets", "category = 'category-3'", RowMode::MergeOnRead).await;
        bench.table("plain2", rows, None).await;
        bench.delete("plain2", &range, RowMode::CopyOnWrite).await;
        bench.delete("plain2", "amount < 10000", RowMode::CopyOnWrite).await;
        bench.table("buckets2", rows, Some(buckets)).await;
        bench.delete("buckets2", "category = 'category-7'", RowMode::CopyOnWrite).await;
    });
}
