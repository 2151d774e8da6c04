//! Tables made by hand for tests: data files, manifests and snapshots in memory.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use floe_core::LoadedTable;
use iceberg::TableIdent;
use iceberg::io::FileIO;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, FormatVersion, ManifestListWriter,
    ManifestWriterBuilder, Operation, Schema, Snapshot, SortOrder, Struct, Summary, TableMetadata,
    TableMetadataBuilder, UnboundPartitionSpec,
};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::{ScanMetrics, ScanPlan, ScanRequest, ScanSummary, execute_scan, plan_scan};
use crate::base::{ManifestCache, TableBase};

pub(super) struct Fixture {
    pub(super) file_io: FileIO,
    pub(super) metadata: TableMetadata,
    files: usize,
}

impl Fixture {
    pub(super) fn new(schema: Schema, spec: UnboundPartitionSpec) -> Self {
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

    pub(super) fn change(&mut self, change: impl FnOnce(TableMetadataBuilder) -> TableMetadataBuilder) {
        let builder = self.metadata.clone().into_builder(Some("memory:///t/m.json".to_owned()));
        self.metadata = change(builder).build().unwrap().metadata;
    }

    pub(super) fn base(&self) -> TableBase {
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

    pub(super) async fn parquet(&mut self, batch: &RecordBatch, rows_in_group: usize) -> (String, u64) {
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

    /// A data file without metrics; `mend` adds to it.
    pub(super) async fn data_file(
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
    pub(super) async fn commit(&mut self, files: Vec<DataFile>) -> i64 {
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
        snapshot_id
    }

    pub(super) async fn plan(&self, request: &ScanRequest) -> ScanPlan {
        plan_scan(&self.base(), request).await.unwrap()
    }

    /// All batches of a scan, and what it did. The plan goes through JSON, as one that is sent elsewhere.
    pub(super) async fn scan(&self, request: &ScanRequest) -> (Vec<RecordBatch>, ScanSummary) {
        let plan = self.plan(request).await;
        let plan: ScanPlan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
        let metrics = Arc::new(ScanMetrics::default());
        let batches = execute_scan(&self.file_io, &plan, &metrics).unwrap().collect().await.unwrap();
        (batches, metrics.summary())
    }
}
