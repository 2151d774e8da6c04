//! Tables made by hand for tests: data files, manifests and snapshots in memory.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow_array::RecordBatch;
use floe_core::LoadedTable;
use floe_plan::change::{RemovedFile, TableFile};
use iceberg::TableIdent;
use iceberg::io::FileIO;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, FormatVersion, ManifestContentType,
    ManifestFile, ManifestListWriter, ManifestWriterBuilder, Operation, Schema, Snapshot, SortOrder, Struct,
    Summary, TableMetadata, TableMetadataBuilder, UnboundPartitionSpec,
};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::{ScanMetrics, ScanPlan, ScanRequest, ScanSummary, execute_scan, plan_scan};
use crate::base::{LiveFile, ManifestCache, TableBase};

pub(crate) struct Fixture {
    pub(crate) file_io: FileIO,
    pub(crate) metadata: TableMetadata,
    files: usize,
}

impl Fixture {
    pub(crate) fn new(schema: Schema, spec: UnboundPartitionSpec) -> Self {
        let builder = TableMetadataBuilder::new(
            schema,
            spec,
            SortOrder::unsorted_order(),
            "memory:///t".to_owned(),
            FormatVersion::V2,
            HashMap::new(),
        );
        let metadata = builder.unwrap().build().unwrap().metadata;
        Self { file_io: FileIO::new_with_memory(), metadata, files: 0 }
    }

    pub(crate) fn change(&mut self, change: impl FnOnce(TableMetadataBuilder) -> TableMetadataBuilder) {
        let builder = self.metadata.clone().into_builder(Some("memory:///t/m.json".to_owned()));
        self.metadata = change(builder).build().unwrap().metadata;
    }

    pub(crate) fn base(&self) -> TableBase {
        let table = LoadedTable {
            ident: TableIdent::from_strs(["n", "t"]).unwrap(),
            metadata: Arc::new(self.metadata.clone()),
            metadata_location: "memory:///t/m.json".to_owned(),
            file_io: self.file_io.clone(),
        };
        TableBase::new(table, Arc::new(ManifestCache::default()))
    }

    fn path(&mut self, suffix: &str) -> String {
        self.files += 1;
        format!("memory:///t/{}.{suffix}", self.files)
    }

    pub(crate) async fn parquet(&mut self, batch: &RecordBatch, rows_in_group: usize) -> (String, u64) {
        let mut bytes = Vec::new();
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(rows_in_group)).build();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
        let path = self.path("parquet");
        let size = bytes.len() as u64;
        self.file_io.new_output(&path).unwrap().write(bytes.into()).await.unwrap();
        (path, size)
    }

    /// Stores a file, wherever.
    pub(crate) async fn store(&mut self, bytes: Vec<u8>) -> String {
        let path = self.path("parquet");
        self.file_io.new_output(&path).unwrap().write(bytes.into()).await.unwrap();
        path
    }

    /// A data file without metrics; `mend` adds to it.
    pub(crate) async fn data_file(
        &mut self,
        batch: &RecordBatch,
        rows_in_group: usize,
        mend: impl FnOnce(&mut DataFileBuilder),
    ) -> DataFile {
        let (path, size) = self.parquet(batch, rows_in_group).await;
        let mut builder = DataFileBuilder::default();
        builder
            .content(DataContentType::Data)
            .file_path(path)
            .file_format(DataFileFormat::Parquet)
            .partition(Struct::empty())
            .partition_spec_id(self.metadata.default_partition_spec_id())
            .record_count(batch.num_rows() as u64)
            .file_size_in_bytes(size);
        mend(&mut builder);
        builder.build().unwrap()
    }

    /// Adds a snapshot with one more manifest, of these files.
    pub(crate) async fn commit(&mut self, files: Vec<DataFile>) -> i64 {
        let sequence_number = self.metadata.last_sequence_number() + 1;
        let snapshot_id = sequence_number * 1000;
        let path = self.path("avro");
        let deletes = files[0].content_type() != DataContentType::Data;
        let spec = self.metadata.default_partition_spec();
        let builder = ManifestWriterBuilder::new(
            self.file_io.new_output(&path).unwrap(),
            Some(snapshot_id),
            self.metadata.current_schema().clone(),
            spec.as_ref().clone(),
        );
        let mut writer = if deletes { builder.build_v2_deletes() } else { builder.build_v2_data() };
        for file in files {
            writer.add_file(file, -1).unwrap();
        }
        let manifest = writer.write_manifest_file().await.unwrap();
        let mut manifests = match self.metadata.current_snapshot() {
            Some(snapshot) => self.base().manifest_files(snapshot).await.unwrap().to_vec(),
            None => Vec::new(),
        };
        manifests.push(manifest);
        self.snapshot(snapshot_id, sequence_number, manifests).await;
        snapshot_id
    }

    async fn snapshot(&mut self, snapshot_id: i64, sequence_number: i64, manifests: Vec<ManifestFile>) {
        let list = self.path("avro");
        let output = self.file_io.new_output(&list).unwrap().writer().await.unwrap();
        let parent = self.metadata.current_snapshot_id();
        let mut writer = ManifestListWriter::v2(output, snapshot_id, parent, sequence_number);
        writer.add_manifests(manifests.into_iter()).unwrap();
        writer.close().await.unwrap();
        let snapshot = Snapshot::builder()
            .with_snapshot_id(snapshot_id)
            .with_parent_snapshot_id(parent)
            .with_sequence_number(sequence_number)
            .with_timestamp_ms(self.metadata.last_updated_ms() + 1)
            .with_manifest_list(list)
            .with_summary(Summary { operation: Operation::Append, additional_properties: HashMap::new() })
            .with_schema_id(self.metadata.current_schema_id())
            .build();
        self.change(|builder| builder.set_branch_snapshot(snapshot, "main").unwrap());
    }

    /// Adds a snapshot without the files `removed` and with the files `added`.
    pub(crate) async fn replace(&mut self, removed: &[RemovedFile], added: &[TableFile]) {
        let base = self.base();
        let sequence_number = self.metadata.last_sequence_number() + 1;
        let snapshot_id = sequence_number * 1000;
        let gone: HashSet<&str> = removed.iter().map(|f| f.path.as_str()).collect();
        let mut found = 0;
        let mut parts: BTreeMap<(i32, bool), (Vec<LiveFile>, Vec<DataFile>)> = BTreeMap::new();
        if let Some(snapshot) = self.metadata.current_snapshot() {
            for manifest in base.manifest_files(snapshot).await.unwrap().iter() {
                let deletes = manifest.content == ManifestContentType::Deletes;
                for live in base.live_files(manifest).await.unwrap() {
                    if gone.contains(live.data_file.file_path()) {
                        found += 1;
                    } else {
                        parts.entry((manifest.partition_spec_id, deletes)).or_default().0.push(live);
                    }
                }
            }
        }
        assert_eq!(found, gone.len(), "every removed file was there");
        for TableFile { spec_id, file } in added {
            let deletes = file.content_type() != DataContentType::Data;
            parts.entry((*spec_id, deletes)).or_default().1.push(file.clone());
        }
        let mut manifests = Vec::new();
        for ((spec_id, deletes), (existing, added)) in parts {
            let path = self.path("avro");
            let spec = self.metadata.partition_spec_by_id(spec_id).unwrap().as_ref().clone();
            let output = self.file_io.new_output(&path).unwrap();
            let schema = self.metadata.current_schema().clone();
            let builder = ManifestWriterBuilder::new(output, Some(snapshot_id), schema, spec);
            let mut writer = if deletes { builder.build_v2_deletes() } else { builder.build_v2_data() };
            for live in existing {
                let (id, sequence) = (live.snapshot_id, live.sequence_number);
                writer.add_existing_file(live.data_file, id, sequence, live.file_sequence_number).unwrap();
            }
            for file in added {
                writer.add_file(file, -1).unwrap();
            }
            manifests.push(writer.write_manifest_file().await.unwrap());
        }
        self.snapshot(snapshot_id, sequence_number, manifests).await;
    }

    pub(crate) async fn plan(&self, request: &ScanRequest) -> ScanPlan {
        plan_scan(&self.base(), request).await.unwrap()
    }

    /// All batches of a scan, and what it did. The plan goes through JSON, as one that is sent elsewhere.
    pub(crate) async fn scan(&self, request: &ScanRequest) -> (Vec<RecordBatch>, ScanSummary) {
        let plan = self.plan(request).await;
        let plan: ScanPlan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
        let metrics = Arc::new(ScanMetrics::default());
        let batches = execute_scan(&self.file_io, &plan, &metrics).unwrap().collect().await.unwrap();
        (batches, metrics.summary())
    }
}
