//! Putting encoded row groups together to a data file.

use std::collections::HashMap;
use std::io::{self, Write};
use std::mem;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use floe_core::{Error, ErrorKind, Result};
use floe_plan::rows::metrics::LeafMetrics;
use floe_plan::rows::path::partition_path;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, PartitionSpec, PrimitiveLiteral,
    PrimitiveType, Struct, StructType,
};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::writer::SerializedFileWriter;
use tokio::sync::mpsc;

use super::column::EncodedColumn;
use super::context::Context;
use super::errors::{join_error, parquet_error, stopped};
use super::field_metrics::FieldMetrics;
use super::group::{EncodedGroup, OpenGroup};
use crate::base::bound::DELETE_FILE_PATH;

/// Parts of this size go to the storage, which joins them to requests of the size that it likes.
const PART_BYTES: usize = 1 << 20;

/// A partition, and the folder of its files.
pub(super) struct Partition {
    pub(super) spec_id: i32,
    pub(super) values: Struct,
    pub(super) folder: String,
}

impl Partition {
    /// The partition with `values`; an unpartitioned table has one, without a folder.
    pub(super) fn new(context: &Context, values: Struct) -> Self {
        Self::of(&context.spec, &context.partition_type, values)
    }

    /// The partition of any spec; `partition_type` is that of its values.
    pub(super) fn of(spec: &PartitionSpec, partition_type: &StructType, values: Struct) -> Self {
        let folder = match spec.is_unpartitioned() {
            true => String::new(),
            false => partition_path(spec, partition_type, &values),
        };
        Self { spec_id: spec.spec_id(), values, folder }
    }
}

/// A row group on its way into a file: being encoded, with the size it was estimated at.
pub(super) struct EndedGroup {
    pub(super) group: OpenGroup,
    pub(super) estimate: u64,
    /// What the encoders' own estimate was multiplied by.
    pub(super) scale: f64,
}

/// What a file is put together from.
pub(super) enum Piece {
    /// A row group that is encoded now.
    Encoded(EndedGroup),
    /// A row group that comes from another file as it is.
    Copied(CopiedGroup),
}

/// A row group of another file with the same schema.
pub(super) struct CopiedGroup {
    /// Its column chunks, in order.
    pub(super) columns: mpsc::Receiver<CopiedColumn>,
    /// What is known of its columns, by field id.
    pub(super) metrics: HashMap<i32, FieldMetrics>,
}

/// A column chunk of another file.
pub(super) struct CopiedColumn {
    pub(super) chunk: StoredBytes,
    pub(super) close: ColumnCloseResult,
}

/// A part of a stored file, at its place in it.
pub(super) struct StoredBytes {
    pub(super) start: u64,
    pub(super) bytes: Bytes,
}

impl Length for StoredBytes {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for StoredBytes {
    type T = io::Cursor<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        self.get_bytes(start, self.len().saturating_sub(start) as usize).map(io::Cursor::new)
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let from = start.checked_sub(self.start).and_then(|from| usize::try_from(from).ok());
        match from.and_then(|from| Some((from, from.checked_add(length)?))) {
            Some((from, to)) if to <= self.bytes.len() => Ok(self.bytes.slice(from..to)),
            _ => Err(ParquetError::EOF("a column chunk is not where its footer says".to_owned())),
        }
    }
}

/// Estimated and true sizes of the row groups that are encoded.
#[derive(Default)]
pub(super) struct Sizes(Mutex<SizesSoFar>);

#[derive(Default, Clone, Copy)]
struct SizesSoFar {
    excess: i64,
    counted: f64,
    encoded: f64,
}

impl Sizes {
    fn add(&self, group: u64, scale: f64, encoded: u64) {
        let mut sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sizes.excess += encoded as i64 - group as i64;
        sizes.counted += group as f64 / scale;
        sizes.encoded += encoded as f64;
    }

    /// By how much the row groups are larger than estimated, in all.
    pub(super) fn excess(&self) -> i64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).excess
    }

    /// How large a row group becomes for each byte that its encoders count. Kept near 1: a dictionary that is
    /// given up makes the next row group unlike the last.
    pub(super) fn scale(&self) -> f64 {
        let sizes = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sizes.counted > 0.0 { (sizes.encoded / sizes.counted).clamp(0.8, 1.1) } else { 1.0 }
    }
}

/// Writes the row groups that come through `pieces`, up to `None`, as one file, in that order. Encoding, putting together
/// and storing overlap. `sizes` learn how large row groups became.
pub(super) async fn write_file(
    context: Arc<Context>,
    partition: Arc<Partition>,
    path: String,
    mut pieces: mpsc::Receiver<Option<Piece>>,
    sizes: [Arc<Sizes>; 2],
) -> Result<DataFile> {
    let (part_sender, mut parts) = mpsc::channel::<Bytes>(2);
    let (group_sender, group_receiver) = mpsc::channel(1);
    let assembly = {
        let context = context.clone();
        tokio::task::spawn_blocking(move || assemble(&context, group_receiver, Parts::new(part_sender)))
    };
    let encoding = context.encoding.clone();
    let feed = async move {
        // Without a word that the file ends, whoever writes it has given up.
        while let Some(piece) = pieces.recv().await.ok_or_else(stopped)? {
            let part = match piece {
                Piece::Encoded(EndedGroup { group, estimate, scale }) => {
                    let encoded = group.end().await?;
                    let bytes: u64 = encoded.columns.iter().map(EncodedColumn::bytes).sum();
                    encoding.learn(encoded.columns.iter().flat_map(EncodedColumn::metadata))?;
                    for sizes in &sizes {
                        sizes.add(estimate, scale, bytes);
                    }
                    FilePart::Encoded(encoded)
                }
                Piece::Copied(copied) => FilePart::Copied(copied),
            };
            if group_sender.send(part).await.is_err() {
                break;
            }
        }
        Ok::<_, Error>(())
    };
    let store = async {
        let mut file = context.open(&path).await?;
        while let Some(part) = parts.recv().await {
            context.append(&path, file.as_mut(), part).await?;
        }
        Ok::<_, Error>(file)
    };
    let (file, ()) = tokio::try_join!(store, feed).inspect_err(|_| assembly.abort())?;
    let assembled = assembly.await.map_err(join_error)??;
    context.close(&path, file).await?;
    data_file(&context, &partition, path, assembled)
}

/// A whole file, in memory, from rows that fit one row group.
pub(super) fn small_file(context: &Context, columns: Vec<EncodedColumn>) -> Result<(Bytes, Assembled)> {
    let capacity = columns.iter().map(EncodedColumn::bytes).sum::<u64>() as usize;
    let mut content = Vec::with_capacity(capacity + (16 << 10));
    let mut assembler = Assembler::new(context, &mut content)?;
    assembler.append(columns)?;
    let assembled = assembler.finish()?;
    Ok((content.into(), assembled))
}

/// What is known of a file that was put together.
pub(super) struct Assembled {
    metadata: ParquetMetaData,
    metrics: Vec<Vec<LeafMetrics>>,
    copied: Vec<HashMap<i32, FieldMetrics>>,
    bytes: u64,
}

enum FilePart {
    Encoded(EncodedGroup),
    Copied(CopiedGroup),
}

fn assemble(context: &Context, mut file: mpsc::Receiver<FilePart>, parts: Parts) -> Result<Assembled> {
    let mut assembler = Assembler::new(context, parts)?;
    while let Some(part) = file.blocking_recv() {
        match part {
            FilePart::Encoded(EncodedGroup { columns, memory }) => {
                assembler.append(columns)?;
                drop(memory);
            }
            FilePart::Copied(group) => assembler.copy(group)?,
        }
    }
    assembler.finish()
}

struct Assembler<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    metrics: Vec<Vec<LeafMetrics>>,
    copied: Vec<HashMap<i32, FieldMetrics>>,
}

impl<W: Write + Send> Assembler<W> {
    fn new(context: &Context, out: W) -> Result<Self> {
        let encoding = &context.encoding;
        let writer = SerializedFileWriter::new(out, encoding.parquet.clone(), encoding.properties.clone());
        let metrics =
            encoding.metrics.iter().map(|fields| vec![LeafMetrics::default(); fields.len()]).collect();
        Ok(Self { writer: writer.map_err(parquet_error)?, metrics, copied: Vec::new() })
    }

    fn append(&mut self, columns: Vec<EncodedColumn>) -> Result<()> {
        let mut group = self.writer.next_row_group().map_err(parquet_error)?;
        for (column, metrics) in columns.into_iter().zip(&mut self.metrics) {
            metrics.iter_mut().zip(column.metrics).for_each(|(all, more)| all.merge(more));
            for chunk in column.chunks {
                chunk.append_to_row_group(&mut group).map_err(parquet_error)?;
            }
        }
        group.close().map_err(parquet_error)?;
        Ok(())
    }

    /// Takes a row group over. Its columns come one after another, so that one is in memory at a time.
    fn copy(&mut self, mut copied: CopiedGroup) -> Result<()> {
        let columns = self.writer.schema_descr().num_columns();
        let mut group = self.writer.next_row_group().map_err(parquet_error)?;
        for _ in 0..columns {
            let CopiedColumn { chunk, close } = copied.columns.blocking_recv().ok_or_else(stopped)?;
            group.append_column(&chunk, close).map_err(parquet_error)?;
        }
        group.close().map_err(parquet_error)?;
        self.copied.push(copied.metrics);
        Ok(())
    }

    fn finish(mut self) -> Result<Assembled> {
        let metadata = self.writer.finish().map_err(parquet_error)?;
        let bytes = self.writer.bytes_written() as u64;
        Ok(Assembled { metadata, metrics: self.metrics, copied: self.copied, bytes })
    }
}

/// Hands what is written over in parts, and waits while the storage is behind.
struct Parts {
    sender: mpsc::Sender<Bytes>,
    part: Vec<u8>,
}

impl Parts {
    fn new(sender: mpsc::Sender<Bytes>) -> Self {
        Self { sender, part: Vec::new() }
    }
}

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.part.extend_from_slice(bytes);
        if self.part.len() >= PART_BYTES {
            let next = Vec::with_capacity(PART_BYTES + (64 << 10));
            let part = mem::replace(&mut self.part, next);
            self.sender.blocking_send(part.into()).map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
        Ok(bytes.len())
    }

    /// Called once, after the footer.
    fn flush(&mut self) -> io::Result<()> {
        if self.part.is_empty() {
            return Ok(());
        }
        let part = mem::take(&mut self.part);
        Ok(self.sender.blocking_send(part.into()).map_err(|_| io::ErrorKind::BrokenPipe)?)
    }
}

/// The manifest's record of a file (Iceberg spec, "Manifests", `data_file`).
pub(super) fn data_file(
    context: &Context,
    partition: &Partition,
    path: String,
    file: Assembled,
) -> Result<DataFile> {
    let mut builder = DataFileBuilder::default();
    builder
        .content(context.content)
        .file_path(path)
        .file_format(DataFileFormat::Parquet)
        .partition(partition.values.clone())
        .partition_spec_id(partition.spec_id)
        .record_count(file.metadata.file_metadata().num_rows() as u64)
        .file_size_in_bytes(file.bytes)
        .split_offsets(Some(file.metadata.row_groups().iter().map(start).collect()));
    let mut column_sizes: HashMap<i32, u64> = HashMap::new();
    for column in file.metadata.row_groups().iter().flat_map(RowGroupMetaData::columns) {
        let info = column.column_descr().self_type().get_basic_info();
        if info.has_id() {
            *column_sizes.entry(info.id()).or_default() += column.compressed_size() as u64;
        }
    }
    let (mut values, mut nulls, mut nans) = (HashMap::new(), HashMap::new(), HashMap::new());
    let (mut lowers, mut uppers) = (HashMap::new(), HashMap::new());
    for (fields, metrics) in context.encoding.metrics.iter().zip(&file.metrics) {
        for (field, metrics) in fields.iter().zip(metrics) {
            let copied = file.copied.iter().map(|copied| copied.get(&field.id).cloned().unwrap_or_default());
            let all = copied.fold(FieldMetrics::of(field, metrics)?, FieldMetrics::merge);
            values.extend(all.values.map(|count| (field.id, count)));
            nulls.extend(all.nulls.map(|count| (field.id, count)));
            if matches!(field.field_type, PrimitiveType::Float | PrimitiveType::Double) {
                nans.extend(all.nans.map(|count| (field.id, count)));
            }
            lowers.extend(all.lower.known().map(|lower| (field.id, lower)));
            uppers.extend(all.upper.known().map(|upper| (field.id, upper)));
        }
    }
    if context.content == DataContentType::PositionDeletes
        && let (Some(first), Some(last)) = (lowers.get(&DELETE_FILE_PATH), uppers.get(&DELETE_FILE_PATH))
        && first == last
        && let PrimitiveLiteral::String(path) = Datum::literal(first)
    {
        builder.referenced_data_file(Some(path.clone()));
    }
    builder
        .column_sizes(column_sizes)
        .value_counts(values)
        .null_value_counts(nulls)
        .nan_value_counts(nans)
        .lower_bounds(lowers)
        .upper_bounds(uppers);
    builder.build().map_err(|e| {
        Error::new(ErrorKind::Internal, "the record of a data file is incomplete").with_source(e)
    })
}

/// Where a row group begins.
fn start(group: &RowGroupMetaData) -> i64 {
    let starts = group.columns().iter().map(|column| {
        let data = column.data_page_offset();
        column.dictionary_page_offset().map_or(data, |dictionary| dictionary.min(data))
    });
    starts.min().unwrap_or(4)
}
