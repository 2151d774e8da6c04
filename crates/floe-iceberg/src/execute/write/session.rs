//! Several writes of one operation: when one fails, what the others wrote goes too.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow_array::RecordBatch;
use bytes::Bytes;
use floe_core::{Environment, LoadedTable, Result};
use floe_plan::rows::partition::Partitioner;
use futures::StreamExt;
use iceberg::spec::{DataFile, Datum, PartitionSpec, PrimitiveLiteral, PrimitiveType, Struct, StructType};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::RowGroupMetaData;
use parquet::schema::types::SchemaDescriptor;
use tokio::sync::mpsc;

use super::context::Context;
use super::errors::stopped;
use super::field_metrics::{FieldMetrics, Limit};
use super::file::{CopiedColumn, CopiedGroup, Partition, StoredBytes};
use super::options::{ProgressFn, WriteOptions};
use super::rolling::RollingWriter;
use crate::base::bound;
use crate::data::BatchStream;

/// The files that one operation writes. They are deleted unless the session is settled.
pub(crate) struct WriteSession {
    data: Arc<Context>,
    deletes: Arc<Context>,
}

impl WriteSession {
    /// Fails before anything is written when a setting of the table is not valid.
    pub(crate) fn new(
        table: &LoadedTable,
        options: &WriteOptions,
        env: &dyn Environment,
        progress: Option<ProgressFn>,
    ) -> Result<Self> {
        let data = Context::new(table, options, env, progress)?;
        let deletes = Arc::new(data.for_position_deletes(table)?);
        Ok(Self { data: Arc::new(data), deletes })
    }

    /// Writes rows as files of the table's default spec; see [`super::write_data_files`].
    pub(crate) async fn write(&self, data: BatchStream) -> Result<Vec<DataFile>> {
        super::write(&self.data, data).await
    }

    /// The number of rows, and the partitions that they would be written to.
    pub(crate) async fn look_at(&self, data: BatchStream) -> Result<(u64, Vec<Struct>)> {
        let mut data = super::conform::conform(&self.data, data)?;
        let partitioned = !self.data.spec.is_unpartitioned();
        let mut partitioner = Partitioner::new(&self.data.spec, &self.data.schema)?;
        let mut rows = 0;
        while let Some(batch) = data.stream.next().await {
            let batch = batch?;
            rows += batch.num_rows() as u64;
            if partitioned {
                partitioner.assign(&batch)?;
            }
        }
        Ok((rows, (0..partitioner.len()).map(|id| partitioner.values(id as u32)).collect()))
    }

    /// A file that takes the place of another one, in the same partition. `partition_type` is that of the
    /// values. So many as `shares` may be written at a time.
    pub(crate) fn replacement(
        &self,
        spec: &PartitionSpec,
        partition_type: &StructType,
        values: Struct,
        shares: u64,
    ) -> Replacement {
        let partition = Partition::of(spec, partition_type, values);
        let writer = RollingWriter::one_file(self.data.clone(), partition, shares);
        Replacement { context: self.data.clone(), writer }
    }

    /// Position delete files of one partition. Rows are file paths and positions, sorted by both.
    pub(crate) fn position_deletes(
        &self,
        spec: &PartitionSpec,
        partition_type: &StructType,
        values: Struct,
    ) -> PositionDeletes {
        let partition = Partition::of(spec, partition_type, values);
        PositionDeletes {
            context: self.deletes.clone(),
            writer: RollingWriter::new(self.deletes.clone(), partition),
        }
    }

    /// Ends a session, if there is one: keeps its files after success, and deletes them after a failure.
    pub(crate) async fn settle<T>(session: Option<Arc<Self>>, result: Result<T>) -> Result<T> {
        let Some(session) = session else { return result };
        match result {
            Ok(value) => {
                session.data.created.keep();
                Ok(value)
            }
            Err(error) => {
                session.data.cancelled.store(true, Ordering::Relaxed);
                session.data.created.delete().await;
                Err(error)
            }
        }
    }
}

impl Drop for WriteSession {
    fn drop(&mut self) {
        self.data.cancelled.store(true, Ordering::Relaxed);
    }
}

/// A file that takes over rows of another one.
pub(crate) struct Replacement {
    context: Arc<Context>,
    writer: RollingWriter,
}

impl Replacement {
    /// Whether row groups of a file with this schema can be taken over as they are.
    pub(crate) fn same_schema(&self, schema: &SchemaDescriptor) -> bool {
        self.context.encoding.parquet.get_fields() == schema.root_schema().get_fields()
    }

    /// Encodes rows in the table's columns.
    pub(crate) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.context.count_rows(batch.num_rows());
        self.writer.write(batch).await
    }

    /// Learns from a row group of a file with the same schema how to encode such rows.
    pub(crate) fn learn(&self, group: &RowGroupMetaData) -> Result<()> {
        self.context.encoding.learn(group.columns().iter())
    }

    /// Begins to take over a row group of `old`, a file of the same schema; its columns follow.
    pub(crate) async fn copy(&mut self, old: &DataFile, group: &RowGroupMetaData) -> Result<ColumnsToCopy> {
        let (sender, columns) = mpsc::channel(1);
        let metrics = self.metrics(old, group);
        self.writer.copy(CopiedGroup { columns, metrics }).await?;
        Ok(ColumnsToCopy { sender })
    }

    /// Ends the file; there is none without rows.
    pub(crate) async fn finish(self) -> Result<Vec<DataFile>> {
        self.writer.finish().await
    }

    /// What is known of the columns of a row group: NULLs from its footer, bounds from the file.
    fn metrics(&self, old: &DataFile, group: &RowGroupMetaData) -> HashMap<i32, FieldMetrics> {
        let rows = u64::try_from(group.num_rows()).unwrap_or(0);
        let mut nulls: HashMap<i32, Option<u64>> = HashMap::new();
        for column in group.columns() {
            let descriptor = column.column_descr();
            let info = descriptor.self_type().get_basic_info();
            if info.has_id() {
                let count = match descriptor.max_def_level() {
                    0 => Some(0),
                    _ => column.statistics().and_then(|statistics| statistics.null_count_opt()),
                };
                nulls.insert(info.id(), count);
            }
        }
        let fields = self.context.encoding.metrics.iter().flat_map(|fields| fields.iter());
        let metrics = fields.map(|field| {
            let nulls = nulls.get(&field.id).copied().flatten();
            // A count of the row group that is more than the manifest's of the whole file is wrong.
            let of_file = old.null_value_counts().get(&field.id).copied();
            let nulls = nulls.filter(|nulls| *nulls <= rows.min(of_file.unwrap_or(rows)));
            let none = nulls == Some(rows);
            let nans = match old.nan_value_counts().get(&field.id) {
                _ if none => Some(0),
                Some(0) => Some(0),
                _ => None,
            };
            let bound = |bounds: &HashMap<i32, Datum>| promoted(bounds.get(&field.id)?, &field.field_type);
            let (lower, upper) = believed(bound(old.lower_bounds()), bound(old.upper_bounds()));
            let metrics = FieldMetrics {
                values: Some(rows),
                nulls,
                nans,
                lower: Limit::new(lower, none),
                upper: Limit::new(upper, none),
            };
            (field.id, metrics.within(field.mode))
        });
        metrics.collect()
    }
}

/// The bounds of a column by another writer, as far as a scan believes them. Old writers took NaN for the least or the
/// greatest value, or the values behind it; merged with others, such a bound would look like a true one.
fn believed(lower: Option<Datum>, upper: Option<Datum>) -> (Option<Datum>, Option<Datum>) {
    let nan = [&lower, &upper].into_iter().flatten().any(Datum::is_nan);
    let crossed = match (&lower, &upper) {
        (Some(lower), Some(upper)) => lower.partial_cmp(upper).is_none_or(std::cmp::Ordering::is_gt),
        _ => false,
    };
    if nan || crossed {
        return (None, None);
    }
    (lower.map(|lower| zero_as(lower, true)), upper.map(|upper| zero_as(upper, false)))
}

/// A bound of zero may stand for the zero of the other sign, which readers may hold for another value.
fn zero_as(bound: Datum, negative: bool) -> Datum {
    match bound.literal() {
        PrimitiveLiteral::Float(v) if v.0 == 0.0 => Datum::float(if negative { -0.0 } else { 0.0 }),
        PrimitiveLiteral::Double(v) if v.0 == 0.0 => Datum::double(if negative { -0.0 } else { 0.0 }),
        _ => bound,
    }
}

/// A bound as a value of the type that the column has by now.
fn promoted(bound: &Datum, field_type: &PrimitiveType) -> Option<Datum> {
    if bound.data_type() == field_type {
        return Some(bound.clone());
    }
    bound::decode(&bound::encode(bound.literal())?, field_type)
}

/// Takes the column chunks of a row group, in order.
pub(crate) struct ColumnsToCopy {
    sender: mpsc::Sender<CopiedColumn>,
}

impl ColumnsToCopy {
    /// Hands over the bytes of a column chunk, that begin at `range.start` in their file.
    pub(crate) async fn column(
        &self,
        range: Range<u64>,
        bytes: Bytes,
        close: ColumnCloseResult,
    ) -> Result<()> {
        let column = CopiedColumn { chunk: StoredBytes { start: range.start, bytes }, close };
        self.sender.send(column).await.map_err(|_| stopped())
    }
}

/// Position delete files of one partition.
pub(crate) struct PositionDeletes {
    context: Arc<Context>,
    writer: RollingWriter,
}

impl PositionDeletes {
    /// Adds rows of one data file, at positions in ascending order.
    pub(crate) async fn delete(&mut self, path: &str, positions: &[i64]) -> Result<()> {
        let columns: Vec<arrow_array::ArrayRef> = vec![
            Arc::new(arrow_array::StringArray::from_iter_values(std::iter::repeat_n(path, positions.len()))),
            Arc::new(arrow_array::Int64Array::from_iter_values(positions.iter().copied())),
        ];
        let batch = RecordBatch::try_new(self.context.encoding.arrow.clone(), columns);
        self.writer.write(&batch.map_err(super::errors::arrow_error)?).await
    }

    /// Ends the file.
    pub(crate) async fn finish(self) -> Result<Vec<DataFile>> {
        self.writer.finish().await
    }
}
