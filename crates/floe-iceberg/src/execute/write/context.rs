//! What every part of one write shares.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use floe_core::location::masked;
use floe_core::{Environment, Error, LoadedTable, Result};
use floe_plan::rows::cut::CutLimits;
use floe_plan::rows::metrics::metrics_fields;
use floe_plan::rows::mode::{MetricsMode, metrics_modes};
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::io::FileWrite;
use iceberg::spec::{
    DataContentType, NestedField, PartitionSpecRef, PrimitiveType, Schema, SchemaRef, StructType, Type,
};

use super::column::Encoding;
use super::created::Created;
use super::options::{ProgressFn, WriteOptions, WriteProgress};
use super::parquet_schema::parquet_schema;
use super::place::FilePlace;
use super::settings::{check_format, cut_limits, delete_writer_properties, writer_properties};
use super::workers::Workers;
use crate::base::bound::{DELETE_FILE_PATH, DELETE_POSITION};

/// Tables, settings and threads of one write.
pub(super) struct Context {
    pub(super) schema: SchemaRef,
    pub(super) spec: PartitionSpecRef,
    pub(super) partition_type: StructType,
    pub(super) encoding: Arc<Encoding>,
    pub(super) limits: CutLimits,
    pub(super) memory: u64,
    pub(super) workers: Workers,
    pub(super) place: Arc<FilePlace>,
    pub(super) created: Arc<Created>,
    pub(super) spill_directory: Option<PathBuf>,
    /// Temporary files written so far.
    pub(super) spills: AtomicU64,
    /// Set when the write is given up, so that no worker starts on what is left.
    pub(super) cancelled: Arc<AtomicBool>,
    /// What the files hold.
    pub(super) content: DataContentType,
    progress: Option<ProgressFn>,
    rows: AtomicU64,
    bytes: AtomicU64,
}

impl Context {
    /// Reads the table's settings. Fails before anything is written when one of them is not valid.
    pub(super) fn new(
        table: &LoadedTable,
        options: &WriteOptions,
        env: &dyn Environment,
        progress: Option<ProgressFn>,
    ) -> Result<Self> {
        let metadata = &table.metadata;
        let properties: &HashMap<String, String> = metadata.properties();
        check_format(properties)?;
        let schema = metadata.current_schema().clone();
        let spec = metadata.default_partition_spec().clone();
        let memory = options.memory_bytes.max(64 << 10);
        let mut limits = cut_limits(properties)?;
        // One row group is filled while the one before is written out. Half of the memory is kept for what is
        // not counted: the encoders' own, requests under way, what the allocator does not give back at once.
        let share = if spec.is_unpartitioned() { memory / 4 } else { memory / 8 };
        limits.row_group_bytes = limits.row_group_bytes.min(share);
        let arrow = Arc::new(schema_to_arrow_schema(&schema)?);
        let json = serde_json::to_string(schema.as_ref()).map_err(|e| {
            Error::new(floe_core::ErrorKind::Internal, "the schema cannot be written as JSON").with_source(e)
        })?;
        let modes = metrics_modes(&schema, metadata.default_sort_order(), properties)?;
        let encoding = Encoding::new(
            arrow.clone(),
            parquet_schema(&schema, &arrow)?,
            writer_properties(properties, &limits, json)?,
            metrics_fields(&schema, &modes),
        )?;
        let operation = options.operation_id.unwrap_or_else(|| env.random_uuid());
        Ok(Self {
            partition_type: spec.partition_type(&schema)?,
            schema,
            spec,
            encoding: Arc::new(encoding),
            limits,
            memory,
            workers: Workers::new(options.parallelism)?,
            place: Arc::new(FilePlace::new(metadata.location(), properties, operation)),
            created: Arc::new(Created::new(table.file_io.clone())),
            spill_directory: options.spill_directory.clone(),
            spills: AtomicU64::new(0),
            cancelled: Arc::default(),
            content: DataContentType::Data,
            progress,
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        })
    }

    /// For position delete files that belong to the same operation (Iceberg spec, "Position Delete Files").
    pub(super) fn for_position_deletes(&self, table: &LoadedTable) -> Result<Self> {
        let field = |id, name: &str, ty| Arc::new(NestedField::required(id, name, Type::Primitive(ty)));
        let schema = Schema::builder().with_fields([
            field(DELETE_FILE_PATH, "file_path", PrimitiveType::String),
            field(DELETE_POSITION, "pos", PrimitiveType::Long),
        ]);
        let schema = Arc::new(schema.build()?);
        let arrow = Arc::new(schema_to_arrow_schema(&schema)?);
        let modes = [DELETE_FILE_PATH, DELETE_POSITION].map(|id| (id, MetricsMode::Full));
        let encoding = Encoding::new(
            arrow.clone(),
            parquet_schema(&schema, &arrow)?,
            delete_writer_properties(table.metadata.properties(), &self.limits)?,
            metrics_fields(&schema, &HashMap::from(modes)),
        )?;
        Ok(Self {
            schema,
            spec: self.spec.clone(),
            partition_type: self.partition_type.clone(),
            encoding: Arc::new(encoding),
            limits: CutLimits { ..self.limits },
            memory: self.memory,
            workers: self.workers.clone(),
            place: self.place.clone(),
            created: self.created.clone(),
            spill_directory: None,
            spills: AtomicU64::new(0),
            cancelled: self.cancelled.clone(),
            content: DataContentType::PositionDeletes,
            progress: None,
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        })
    }

    /// Rows and bytes so far.
    pub(super) fn progress(&self) -> WriteProgress {
        WriteProgress { rows: self.rows.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }

    /// Counts rows taken from the source.
    pub(super) fn count_rows(&self, rows: usize) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        self.report();
    }

    /// Opens a new file for writing.
    pub(super) async fn open(&self, path: &str) -> Result<Box<dyn FileWrite>> {
        let output = self.created.file_io().new_output(path).map_err(|e| writing(path, e))?;
        self.created.add(path);
        output.writer().await.map_err(|e| writing(path, e))
    }

    /// Writes a part of a file.
    pub(super) async fn append(&self, path: &str, file: &mut dyn FileWrite, part: Bytes) -> Result<()> {
        let length = part.len() as u64;
        file.write(part).await.map_err(|e| writing(path, e))?;
        self.bytes.fetch_add(length, Ordering::Relaxed);
        self.report();
        Ok(())
    }

    /// Finishes a file.
    pub(super) async fn close(&self, path: &str, mut file: Box<dyn FileWrite>) -> Result<()> {
        let closing = async move { Ok(file.close().await) };
        self.created.appear(closing).await?.map_err(|e| writing(path, e))
    }

    /// Writes a whole file.
    pub(super) async fn put(&self, path: &str, content: Bytes) -> Result<()> {
        let length = content.len() as u64;
        let output = self.created.file_io().new_output(path).map_err(|e| writing(path, e))?;
        self.created.add(path);
        let putting = async move { Ok(output.write(content).await) };
        self.created.appear(putting).await?.map_err(|e| writing(path, e))?;
        self.bytes.fetch_add(length, Ordering::Relaxed);
        self.report();
        Ok(())
    }

    fn report(&self) {
        if let Some(progress) = &self.progress {
            progress(self.progress());
        }
    }
}

fn writing(path: &str, error: iceberg::Error) -> Error {
    Error::from(error).context(format!("writing data file {}", masked(path)))
}
