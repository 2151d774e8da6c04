//! Two writers, the second of which commits between the read and the commit of the first.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use floe::data::BatchStream;
use floe::env::Environment;
use floe::execute::scan::ScanRequest;
use floe::iceberg::{NamespaceIdent, TableIdent};
use floe::model::{
    FieldType, IcebergTableManagerConfig, PartitionField, PartitionSpec, PartitionTransform, SchemaField,
    TableConfig, TableSchema, WriteConfig,
};
use floe::{IcebergTableManager, catalog::CatalogClient};
use floe_testkit::SeededEnvironment;
use floe_testkit::catalog::{Fault, FaultPlan, FaultyCatalog, MemoryCatalog, Method};
use floe_testkit::storage::MemoryStorage;
use futures::FutureExt;
use futures::future::BoxFuture;

/// A row: a category, a number and a measure.
pub(super) type Row = (Option<&'static str>, Option<i64>, Option<f64>);

/// A table in memory, and a manager of its own for whoever asks.
pub(super) struct Table {
    pub(super) ident: TableIdent,
    pub(super) memory: MemoryStorage,
    catalog: MemoryCatalog,
    /// Seeds: no two managers may draw the same names.
    seeds: AtomicU64,
}

impl Table {
    /// A table of the columns `category`, `n` and `x`, partitioned by transforms of the column with an id.
    pub(super) async fn new(
        partitions: &[(i32, PartitionTransform, Option<u32>)],
        properties: &[(&str, &str)],
    ) -> Self {
        let memory = MemoryStorage::new();
        let catalog = MemoryCatalog::new(&memory, Arc::new(SeededEnvironment::new(1)));
        let ident = TableIdent::from_strs(["s", "t"]).unwrap();
        let table = Self { ident, memory, catalog, seeds: AtomicU64::new(2) };
        let field = |(id, (source, transform, number)): (i32, &(i32, PartitionTransform, Option<u32>))| {
            PartitionField {
                source_field_id: *source,
                partition_field_id: id,
                name: format!("p{id}"),
                transform: *transform,
                num_buckets: number.filter(|_| *transform == PartitionTransform::Bucket),
                width: number.filter(|_| *transform == PartitionTransform::Truncate),
            }
        };
        let column = |id, name: &str, of| SchemaField::new(id, name, of, false);
        let columns = vec![
            column(1, "category", FieldType::String),
            column(2, "n", FieldType::Long),
            column(3, "x", FieldType::Double),
        ];
        let fields: Vec<_> = (1000..).zip(partitions).map(field).collect();
        let config = TableConfig {
            partition_spec: (!fields.is_empty()).then_some(PartitionSpec { fields }),
            properties: properties.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            ..TableConfig::new("s", "t", TableSchema { fields: columns })
        };
        let manager = table.manager();
        manager.ensure_namespace(&NamespaceIdent::new("s".into())).await.unwrap();
        manager.create_table(&config, false).await.unwrap();
        table
    }

    /// A manager, as another process has it.
    pub(super) fn manager(&self) -> IcebergTableManager {
        self.over(Arc::new(self.catalog.another_client()), Arc::new(SeededEnvironment::new(self.seed())))
    }

    fn seed(&self) -> u64 {
        self.seeds.fetch_add(1, Ordering::Relaxed)
    }

    /// The catalog, without faults.
    pub(super) fn catalog(&self) -> MemoryCatalog {
        self.catalog.another_client()
    }

    /// A manager whose first commits go wrong as planned.
    pub(super) fn manager_with(&self, plan: FaultPlan) -> IcebergTableManager {
        let env: Arc<dyn Environment> = Arc::new(SeededEnvironment::new(self.seed()));
        let faulty = FaultyCatalog::new(Arc::new(self.catalog.another_client()), plan, env.clone());
        self.over(Arc::new(faulty), env)
    }

    /// A manager; right before its first commit, `other` happens.
    pub(super) fn manager_interrupted_by(
        &self,
        other: impl Future<Output = ()> + Send + 'static,
    ) -> IcebergTableManager {
        let env: Arc<dyn Environment> = Arc::new(Meanwhile::new(self.seed(), other));
        let plan = FaultPlan::none().at(Method::Commit, 1, Fault::Delay(Duration::from_secs(1)));
        let faulty = FaultyCatalog::new(Arc::new(self.catalog.another_client()), plan, env.clone());
        self.over(Arc::new(faulty), env)
    }

    fn over(&self, catalog: Arc<dyn CatalogClient>, env: Arc<dyn Environment>) -> IcebergTableManager {
        let config = IcebergTableManagerConfig::default();
        let manager = IcebergTableManager::new(catalog, Arc::new(self.memory.clone()), config);
        manager.unwrap().with_environment(env)
    }

    /// Appends rows; panics when that fails.
    pub(super) async fn append(&self, rows: &[Row]) -> i64 {
        let done = self.manager().write_data(&self.ident, stream(rows), &WriteConfig::default()).await;
        done.unwrap().snapshot_id.unwrap()
    }

    /// Every row as text, sorted.
    pub(super) async fn rows(&self) -> Vec<String> {
        let scan = self.manager().scan(&self.ident, &ScanRequest::default()).await.unwrap();
        let batches = scan.data.collect().await.unwrap();
        floe_tests::rows::rows(&batches, &["category", "n", "x"])
    }
}

/// Rows as a scan gives them as text, sorted.
pub(super) fn text(rows: &[Row]) -> Vec<String> {
    floe_tests::rows::rows(&[batch(rows)], &["category", "n", "x"])
}

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: [(&str, ArrayRef, bool); 3] = [
        ("category", Arc::new(rows.iter().map(|r| r.0).collect::<StringArray>()), true),
        ("n", Arc::new(rows.iter().map(|r| r.1).collect::<Int64Array>()), true),
        ("x", Arc::new(rows.iter().map(|r| r.2).collect::<Float64Array>()), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// Rows as a stream.
pub(super) fn stream(rows: &[Row]) -> BatchStream {
    let batch = batch(rows);
    BatchStream::from_batches(batch.schema(), vec![batch])
}

/// A clock whose first pause is the time in which something else happens.
struct Meanwhile {
    env: SeededEnvironment,
    other: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl Meanwhile {
    fn new(seed: u64, other: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { env: SeededEnvironment::new(seed), other: Mutex::new(Some(other.boxed())) }
    }
}

impl fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meanwhile").finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl Environment for Meanwhile {
    fn now_ms(&self) -> i64 {
        self.env.now_ms()
    }

    fn random_u64(&self) -> u64 {
        self.env.random_u64()
    }

    async fn sleep(&self, duration: Duration) {
        let other = self.other.lock().unwrap().take();
        match other {
            Some(other) => other.await,
            None => self.env.sleep(duration).await,
        }
    }
}
