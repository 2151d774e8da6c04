//! Rows with the places they are stored at, and files whose rows are partly taken over into new files.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt32Type};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_schema::{ArrowError, DataType, Field, Schema as ArrowSchema, SchemaRef as ArrowSchemaRef};
use bytes::Bytes;
use floe_core::{Error, ErrorKind, Result};
use futures::stream::BoxStream;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::io::FileIO;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::ParquetMetaData;

use super::columns;
use super::deletes::DeletedRows;
use super::execute::{ahead, context, read, run};
use super::filter::{Probe, RowsFilter};
use super::input::ParquetInput;
use super::metrics::ScanMetrics;
use super::open::{Context, ReadUnit, arrow_metadata, check_rows, columns as file_columns, positions};
use super::plan::constant_values;
use super::project::{Constants, Projection};
use super::request::{ScanPlan, ScanTask};
use crate::data::BatchStream;
use crate::footer::Calendar;

/// Reads rows of the files of a plan with their places, and whole files again. Delete files are read once for both.
#[derive(Debug, Clone)]
pub(crate) struct RowReader {
    find: Arc<Context>,
    whole: Arc<Context>,
}

impl RowReader {
    pub(crate) fn new(file_io: &FileIO, plan: &ScanPlan, metrics: &Arc<ScanMetrics>) -> Result<Self> {
        let find = Context { rows: true, ..context(file_io, plan, metrics)? };
        let all =
            ScanPlan { projection: plan.schema.clone(), filter: None, tasks: Vec::new(), ..plan.clone() };
        let whole = Context { deletes: find.deletes.clone(), ..context(file_io, &all, metrics)? };
        Ok(Self { find: Arc::new(find), whole: Arc::new(whole) })
    }

    /// As [`RowReader::new`]; [`RowReader::rows`] gives the rows that `probe` tells, in place of those of a filter.
    pub(crate) fn probing(
        file_io: &FileIO,
        plan: &ScanPlan,
        probe: Probe,
        metrics: &Arc<ScanMetrics>,
    ) -> Result<Self> {
        let reader = Self::new(file_io, &ScanPlan { filter: None, ..plan.clone() }, metrics)?;
        let filter_columns = columns::holding(&plan.schema, &probe.field_ids)?;
        let find = Context {
            rows: true,
            filter: Some(probe.prune.clone()),
            filter_arrow: Arc::new(schema_to_arrow_schema(&filter_columns)?),
            filter_columns,
            probe: Some(probe),
            deletes: reader.find.deletes.clone(),
            ..context(file_io, &ScanPlan { filter: None, tasks: Vec::new(), ..plan.clone() }, metrics)?
        };
        Ok(Self { find: Arc::new(find), whole: reader.whole })
    }

    /// The rows of the tasks of `plan` that match its filter and are not deleted: the columns of its projection, then
    /// two more that [`places`] reads. Tasks come in order, and rows in the order of their positions.
    pub(crate) fn rows(&self, plan: &ScanPlan) -> BatchStream {
        run(self.find.clone(), &ScanPlan { limit: None, preserve_order: true, ..plan.clone() })
    }

    /// Opens a file to read parts of it again; `None` if every row of it is deleted.
    pub(crate) async fn open(&self, task: &ScanTask) -> Result<Option<WholeFile>> {
        let context = self.whole.clone();
        let input =
            ParquetInput::open(&context.file_io, &task.path, task.file_size, true, context.metrics.clone())
                .await?;
        check_rows(&input, task.record_count)?;
        let metadata = arrow_metadata(&input, false)?;
        let fields = file_columns(&metadata, context.name_mapping.as_ref());
        let constants: Constants = constant_values(task, &context.schema);
        let names_file = |e: Error| {
            Error::new(e.kind(), format!("the data file {} cannot be read: {}", task.path, e.message()))
        };
        let columns = context.projection.as_struct().fields();
        let projection =
            Projection::new(&fields, columns, context.arrow.clone(), &constants).map_err(names_file)?;
        let deleted = context.deletes.for_task(&context, task, &fields, &constants).await?;
        if deleted.all {
            return Ok(None);
        }
        let positions = positions(&input.metadata());
        Ok(Some(WholeFile { context, input, metadata, projection, deleted, positions }))
    }
}

/// A data file, to be read by row groups.
pub(crate) struct WholeFile {
    context: Arc<Context>,
    input: ParquetInput,
    metadata: ArrowReaderMetadata,
    projection: Projection,
    deleted: DeletedRows,
    positions: Vec<Range<u64>>,
}

impl WholeFile {
    /// The footer, with the page indexes that the file has.
    pub(crate) fn footer(&self) -> Arc<ParquetMetaData> {
        self.input.metadata()
    }

    /// The size of the file, as the storage has it.
    pub(crate) fn size(&self) -> u64 {
        self.input.size()
    }

    /// Whether its row groups can be taken over as bytes: not where the footer says that values have another meaning.
    pub(crate) fn is_copyable(&self) -> bool {
        !Calendar::of(self.input.metadata().file_metadata()).is_old()
    }

    /// The positions of the rows of each row group.
    pub(crate) fn positions(&self) -> &[Range<u64>] {
        &self.positions
    }

    /// Whether delete files may take rows of the row group away.
    pub(crate) fn may_be_deleted_in(&self, group: usize) -> bool {
        !self.deleted.equality.is_empty() || self.deleted.any_in(&self.positions[group])
    }

    /// The rows at some `positions` of a row group, in the table's columns, without those that are deleted and those at
    /// the positions `drop`. Only the pages that hold them are read, if the file has page indexes. They are decoded ahead, by a
    /// task of their own.
    pub(crate) fn rows(
        &self,
        group: usize,
        positions: Range<u64>,
        drop: impl IntoIterator<Item = u64>,
    ) -> BoxStream<'static, Result<RecordBatch>> {
        let unit = ReadUnit {
            task: 0,
            input: self.input.clone(),
            metadata: self.metadata.clone(),
            row_groups: vec![group],
            bytes: 0,
            projection: self.projection.clone(),
            filter: RowsFilter::None,
            deleted: self.deleted.with_positions(&positions, drop),
            within: Some(positions),
            positions: vec![self.positions[group].clone()],
        };
        let context = self.context.clone();
        ahead(move || read(&context, unit))
    }

    /// Bytes of the file, as they are stored.
    pub(crate) async fn bytes(&self, range: Range<u64>) -> Result<Bytes> {
        self.input.bytes(range).await
    }

    /// The Bloom filter of a column of a row group, if it has one.
    pub(crate) async fn bloom_filter(&self, group: usize, column: usize) -> Result<Option<Sbbf>> {
        let chunk = self.input.metadata().row_group(group).column(column).clone();
        if chunk.bloom_filter_offset().is_none() {
            return Ok(None);
        }
        let input = self.input.clone();
        let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(input, self.metadata.clone());
        let filter = builder.get_row_group_column_bloom_filter(group, column).await;
        filter.map_err(|e| self.input.error(e))
    }
}

/// `schema` with the two columns of [`places`].
pub(super) fn with_places(schema: &ArrowSchema) -> ArrowSchemaRef {
    let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new("_task", DataType::UInt32, false)));
    fields.push(Arc::new(Field::new("_pos", DataType::Int64, false)));
    Arc::new(ArrowSchema::new(fields))
}

/// `rows` with the number of their task and their positions, which are the last column of `read`.
pub(super) fn add_places(
    schema: &ArrowSchemaRef,
    rows: &RecordBatch,
    task: u32,
    read: &RecordBatch,
) -> Result<RecordBatch, ArrowError> {
    let Some(positions) = read.columns().last() else {
        let lost = Error::new(ErrorKind::Internal, "the rows come without their positions");
        return Err(ArrowError::ExternalError(Box::new(lost)));
    };
    let count = rows.num_rows();
    let tasks: ArrayRef = Arc::new(UInt32Array::from_value(task, count));
    let columns = rows.columns().iter().cloned().chain([tasks, positions.clone()]).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}

/// The task that the rows of a batch belong to, and their positions in its file. Such a batch is never empty.
pub(crate) fn places(batch: &RecordBatch) -> (u32, &[i64]) {
    let columns = batch.columns();
    let tasks = columns[columns.len() - 2].as_primitive::<UInt32Type>();
    (tasks.value(0), columns[columns.len() - 1].as_primitive::<Int64Type>().values())
}
