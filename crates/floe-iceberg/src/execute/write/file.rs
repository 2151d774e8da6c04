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
use iceberg::spec::{DataContentType, DataFile, DataFileBuilder, DataFileFormat, PrimitiveType, Struct};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::writer::SerializedFileWriter;
use tokio::sync::mpsc;

use super::column::EncodedColumn;
use super::context::Context;
use super::errors::{join_error, parquet_error, stopped};
use super::group::{EncodedGroup, OpenGroup};

/// Parts of this size go to the storage.
const PART_BYTES: usize = 4 << 20;

/// A partition, and the folder of its files.
pub(super) struct Partition {
    pub(super) values: Struct,
    pub(super) folder: String,
}

impl Partition {
    /// The partition with `values`; an unpartitioned table has one, without a folder.
    pub(super) fn new(context: &Context, values: Struct) -> Self {
        let folder = match context.spec.is_unpartitioned() {
            true => String::new(),
            false => partition_path(&context.spec, &context.partition_type, &values),
        };
        Self { values, folder }
    }
}

/// A row group on its way into a file: being encoded, with the size it was estimated at.
pub(super) struct EndedGroup {
    pub(super) group: OpenGroup,
    pub(super) estimate: u64,
    /// What the encoders' own estimate was multiplied by.
    pub(super) scale: f64,
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

/// Writes the row groups that come through `groups`, up to `None`, as one file, in that order. Encoding, putting together
/// and storing overlap. `sizes` learn how large row groups became.
pub(super) async fn write_file(
    context: Arc<Context>,
    partition: Arc<Partition>,
    path: String,
    mut groups: mpsc::Receiver<Option<EndedGroup>>,
    sizes: [Arc<Sizes>; 2],
) -> Result<DataFile> {
    let (part_sender, mut parts) = mpsc::channel::<Bytes>(2);
    let (group_sender, group_receiver) = mpsc::channel(1);
    let assembly = {
        let context = context.clone();
        tokio::task::spawn_blocking(move || assemble(&context, group_receiver, Parts::new(part_sender)))
    };
    let feed = async move {
        // Without a word that the file ends, whoever writes it has given up.
        while let Some(EndedGroup { group, estimate, scale }) = groups.recv().await.ok_or_else(stopped)? {
            let encoded = group.end().await?;
            let bytes: u64 = encoded.columns.iter().map(EncodedColumn::bytes).sum();
            for sizes in &sizes {
                sizes.add(estimate, scale, bytes);
            }
            if group_sender.send(encoded).await.is_err() {
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
    bytes: u64,
}

fn assemble(context: &Context, mut groups: mpsc::Receiver<EncodedGroup>, parts: Parts) -> Result<Assembled> {
    let mut assembler = Assembler::new(context, parts)?;
    while let Some(mut group) = groups.blocking_recv() {
        let permit = group.permit.take();
        assembler.append(group.columns)?;
        drop(permit);
    }
    assembler.finish()
}

struct Assembler<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    metrics: Vec<Vec<LeafMetrics>>,
}

impl<W: Write + Send> Assembler<W> {
    fn new(context: &Context, out: W) -> Result<Self> {
        let encoding = &context.encoding;
        let writer = SerializedFileWriter::new(out, encoding.parquet.clone(), encoding.properties.clone());
        let metrics =
            encoding.metrics.iter().map(|fields| vec![LeafMetrics::default(); fields.len()]).collect();
        Ok(Self { writer: writer.map_err(parquet_error)?, metrics })
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

    fn finish(mut self) -> Result<Assembled> {
        let metadata = self.writer.finish().map_err(parquet_error)?;
        let bytes = self.writer.bytes_written() as u64;
        Ok(Assembled { metadata, metrics: self.metrics, bytes })
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
        .content(DataContentType::Data)
        .file_path(path)
        .file_format(DataFileFormat::Parquet)
        .partition(partition.values.clone())
        .partition_spec_id(context.spec.spec_id())
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
            values.insert(field.id, metrics.value_count);
            nulls.insert(field.id, metrics.null_count);
            if matches!(field.field_type, PrimitiveType::Float | PrimitiveType::Double) {
                nans.insert(field.id, metrics.nan_count);
            }
            let (lower, upper) = metrics.bounds(field)?;
            lowers.extend(lower.map(|lower| (field.id, lower)));
            uppers.extend(upper.map(|upper| (field.id, upper)));
        }
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
