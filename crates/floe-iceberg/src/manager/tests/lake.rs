//! A table in memory, and managers of it as different processes have them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use async_trait::async_trait;
use floe_core::{CatalogClient, CommitOutcome, Environment, Result, StorageClient};
use floe_plan::change::{ChangeSet, OperationKind, TableFile};
use floe_testkit::SeededEnvironment;
use floe_testkit::catalog::{Fault, FaultPlan, FaultyCatalog, MemoryCatalog, Method};
use floe_testkit::storage::{HookedStorage, MemoryStorage, StorageHook};
use futures::FutureExt;
use futures::future::BoxFuture;
use iceberg::spec::{
    DataContentType, DataFileBuilder, DataFileFormat, Snapshot, Struct, UnboundPartitionSpec,
};
use iceberg::{TableIdent, TableUpdate};
use parquet::arrow::{ArrowWriter, PARQUET_FIELD_ID_META_KEY};

use crate::IcebergTableManager;
use crate::base::{SnapshotSelector, TableBase};
use crate::commit::{CommitRequest, commit};
use crate::data::BatchStream;
use crate::execute::scan::ScanRequest;
use crate::execute::write::{WriteOptions, write_data_files};
use crate::model::{IcebergTableManagerConfig, RerunOptions, TableConfig};

/// A table `id long, part string, v long`, with `part` as its partition if that is wanted.
pub(super) struct Lake {
    pub(super) storage: Arc<MemoryStorage>,
    catalog: MemoryCatalog,
    env: Arc<SeededEnvironment>,
    pub(super) table: TableIdent,
    /// A manager.
    pub(super) manager: IcebergTableManager,
}

impl Lake {
    pub(super) async fn new(properties: &[(&str, &str)]) -> Self {
        let env = Arc::new(SeededEnvironment::new(5));
        let storage = Arc::new(MemoryStorage::with_environment(env.clone()));
        let catalog = MemoryCatalog::new(&*storage, env.clone());
        let manager = manager(Arc::new(catalog.clone()), &storage, env.clone());
        let json = r#"{
            "namespace": "ns", "table_name": "t",
            "table_schema": {"fields": [
                {"field_id": 1, "name": "id", "field_type": "long"},
                {"field_id": 2, "name": "part", "field_type": "string"},
                {"field_id": 3, "name": "v", "field_type": "int"}
            ]},
            "partition_spec": {"fields": [
                {"source_field_id": 2, "partition_field_id": 1000, "name": "p", "transform": "identity"}
            ]}
        }"#;
        let mut config: TableConfig = serde_json::from_str(json).unwrap();
        config.properties = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let table = config.ident().unwrap();
        manager.ensure_namespace(table.namespace()).await.unwrap();
        manager.create_table(&config, false).await.unwrap();
        Self { storage, catalog, env, table, manager }
    }

    /// A manager of another process.
    pub(super) fn another(&self) -> IcebergTableManager {
        manager(Arc::new(self.catalog.another_client()), &self.storage, self.env.clone())
    }

    /// A manager whose first commit meets this fault.
    pub(super) fn faulty(&self, fault: Fault) -> IcebergTableManager {
        let plan = FaultPlan::none().at(Method::Commit, 1, fault);
        let catalog = FaultyCatalog::new(Arc::new(self.catalog.another_client()), plan, self.env.clone());
        manager(Arc::new(catalog), &self.storage, self.env.clone())
    }

    /// A manager, and what counts its calls of the catalog; before its first commit reaches the catalog, `other` happens.
    pub(super) fn after(
        &self,
        other: impl Future<Output = ()> + Send + 'static,
    ) -> (IcebergTableManager, Arc<FaultyCatalog>) {
        self.with_faults(FaultPlan::none().at(Method::Commit, 1, Fault::Delay(Duration::from_secs(1))), other)
    }

    /// A manager whose calls of the catalog meet these faults; `other` happens at the first delay.
    pub(super) fn with_faults(
        &self,
        plan: FaultPlan,
        other: impl Future<Output = ()> + Send + 'static,
    ) -> (IcebergTableManager, Arc<FaultyCatalog>) {
        let hook = Arc::new(Hook { other: Mutex::new(Some(other.boxed())) });
        let catalog = Arc::new(FaultyCatalog::new(Arc::new(self.catalog.another_client()), plan, hook));
        (manager(catalog.clone(), &self.storage, self.env.clone()), catalog)
    }

    /// As [`Lake::after`], with every call of the manager's storage told to `hook`, those of its catalog included.
    pub(super) fn hooked_after(
        &self,
        hook: Arc<dyn StorageHook>,
        other: impl Future<Output = ()> + Send + 'static,
    ) -> IcebergTableManager {
        let storage = Arc::new(HookedStorage::new(self.storage.clone(), hook));
        let other = Arc::new(Hook { other: Mutex::new(Some(other.boxed())) });
        let plan = FaultPlan::none().at(Method::Commit, 1, Fault::Delay(Duration::from_secs(1)));
        let catalog = self.catalog.client_over(&*storage, self.env.clone());
        let catalog = Arc::new(FaultyCatalog::new(Arc::new(catalog), plan, other));
        IcebergTableManager::new(catalog, storage, IcebergTableManagerConfig::default())
            .unwrap()
            .with_environment(self.env.clone())
    }

    /// The JSON of the table's metadata, as it is stored.
    pub(super) async fn metadata_json(&self) -> serde_json::Value {
        let table = self.another().load_table(&self.table).await.unwrap();
        let text = table.file_io.new_input(&table.metadata_location).unwrap().read().await.unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// Has the table's metadata as another writer might have written it.
    pub(super) async fn put_metadata_json(&mut self, json: &serde_json::Value) {
        let table = self.manager.load_table(&self.table).await.unwrap();
        let at =
            format!("{}/metadata/90000-{}.metadata.json", table.metadata.location(), self.env.random_uuid());
        table.file_io.new_output(&at).unwrap().write(json.to_string().into()).await.unwrap();
        self.catalog.drop_table(&self.table).await.unwrap();
        self.catalog.register_table(&self.table, &at).await.unwrap();
        self.manager = self.another();
    }

    /// The rows of `main`, as `id part v`, sorted.
    pub(super) async fn rows(&self) -> Vec<String> {
        self.rows_at(SnapshotSelector::Current).await
    }

    pub(super) async fn rows_at(&self, at: SnapshotSelector) -> Vec<String> {
        let request = ScanRequest { at, ..ScanRequest::default() };
        let batches = self.another().scan(&self.table, &request).await.unwrap().data.collect().await.unwrap();
        let mut rows: Vec<String> = batches.iter().flat_map(texts).collect();
        rows.sort();
        rows
    }

    /// Adds a partition spec, and makes it the default.
    pub(super) async fn add_spec(&self, spec: UnboundPartitionSpec, default: bool) {
        let mut updates = vec![TableUpdate::AddSpec { spec }];
        updates.extend(default.then_some(TableUpdate::SetDefaultSpec { spec_id: -1 }));
        let outcome = self.catalog.commit(&self.table, &[], &updates).await.unwrap();
        assert!(matches!(outcome, CommitOutcome::Committed(_)));
    }

    /// Commits an equality delete file, as stream writers make them: the row with this id goes from a partition. `also`
    /// are rows that take its place.
    pub(super) async fn delete_by_key(
        &self,
        manager: &IcebergTableManager,
        id: i64,
        spec_id: i32,
        partition: Struct,
        also: Option<BatchStream>,
    ) -> Result<()> {
        let loaded = manager.load_table(&self.table).await?;
        let ids = HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), "1".to_owned())]);
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true).with_metadata(ids)]));
        let keys = RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![id]))]).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, keys.schema(), None).unwrap();
        writer.write(&keys).unwrap();
        writer.close().unwrap();
        let path = format!("{}/data/{}.parquet", loaded.metadata.location(), self.env.random_uuid());
        let size = bytes.len() as u64;
        loaded.file_io.new_output(&path)?.write(bytes.into()).await?;
        let file = DataFileBuilder::default()
            .content(DataContentType::EqualityDeletes)
            .equality_ids(Some(vec![1]))
            .file_path(path)
            .file_format(DataFileFormat::Parquet)
            .partition(partition)
            .partition_spec_id(spec_id)
            .record_count(1)
            .file_size_in_bytes(size)
            .build()
            .unwrap();
        let mut change = ChangeSet { operation: OperationKind::Delete, ..ChangeSet::default() };
        change.added.push(TableFile { spec_id, file });
        if let Some(also) = also {
            let written = write_data_files(&loaded, also, &WriteOptions::default(), &*self.env).await?;
            let spec_id = loaded.metadata.default_partition_spec_id();
            change.added.extend(written.files.into_iter().map(|file| TableFile { spec_id, file }));
            change.operation = OperationKind::Overwrite;
        }
        let base = TableBase::new(loaded, Arc::default());
        commit(&**manager.catalog(), base, CommitRequest::new(change), &*self.env).await.map(|_| ())
    }

    pub(super) async fn snapshots(&self) -> Vec<Arc<Snapshot>> {
        let table = self.manager.load_table(&self.table).await.unwrap();
        let mut snapshots: Vec<_> = table.metadata.snapshots().cloned().collect();
        snapshots.sort_by_key(|snapshot| snapshot.sequence_number());
        snapshots
    }

    /// How many data files are stored, referred to or not.
    pub(super) fn data_files(&self) -> usize {
        self.storage.locations().iter().filter(|location| location.ends_with(".parquet")).count()
    }

    /// How many manifests and manifest lists are stored, referred to or not.
    pub(super) fn manifest_files(&self) -> usize {
        self.storage.locations().iter().filter(|location| location.ends_with(".avro")).count()
    }

    /// How many versions of the metadata there are.
    pub(super) fn versions(&self) -> usize {
        self.storage.locations().iter().filter(|location| location.ends_with(".metadata.json")).count()
    }
}

fn manager(
    catalog: Arc<dyn CatalogClient>,
    storage: &Arc<MemoryStorage>,
    env: Arc<SeededEnvironment>,
) -> IcebergTableManager {
    let storage: Arc<dyn StorageClient> = storage.clone();
    IcebergTableManager::new(catalog, storage, IcebergTableManagerConfig::default())
        .unwrap()
        .with_environment(env)
}

/// Run once, whatever another writer does.
pub(super) const ONCE: RerunOptions = RerunOptions { max_attempts: Some(0), total_timeout_ms: None };

/// Rows of the columns that the table begins with.
pub(super) fn rows(rows: &[(i64, &str, i64)]) -> BatchStream {
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("part", DataType::Utf8, true),
        Field::new("v", DataType::Int32, true),
    ]));
    let batch = RecordBatch::try_new(
        schema.clone(),
        vec![
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1))),
            Arc::new(arrow_array::Int32Array::from_iter_values(rows.iter().map(|row| row.2 as i32))),
        ],
    );
    BatchStream::from_batches(schema, vec![batch.unwrap()])
}

/// Each row as text: all columns in order.
fn texts(batch: &RecordBatch) -> Vec<String> {
    let text = |column: &dyn Array, row: usize| match column.data_type() {
        _ if column.is_null(row) => "NULL".to_owned(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Int32 => column.as_primitive::<arrow_array::types::Int32Type>().value(row).to_string(),
        _ => column.as_string::<i32>().value(row).to_owned(),
    };
    let row = |row| batch.columns().iter().map(|c| text(c, row)).collect::<Vec<_>>().join(" ");
    (0..batch.num_rows()).map(row).collect()
}

/// Pauses are when others come.
struct Hook {
    other: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

#[async_trait]
impl Environment for Hook {
    fn now_ms(&self) -> i64 {
        SeededEnvironment::START_MS
    }

    fn random_u64(&self) -> u64 {
        u64::MAX
    }

    async fn sleep(&self, _: Duration) {
        let other = self.other.lock().unwrap().take();
        if let Some(other) = other {
            other.await;
        }
    }
}

pub(super) fn property(snapshot: &Snapshot, key: &str) -> Option<String> {
    let properties: BTreeMap<_, _> = snapshot.summary().additional_properties.iter().collect();
    properties.get(&key.to_owned()).map(|value| (*value).clone())
}
