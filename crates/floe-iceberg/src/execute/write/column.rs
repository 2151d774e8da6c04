//! Encoding one column of one row group.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, FieldRef, SchemaRef};
use floe_core::Result;
use floe_plan::rows::metrics::{LeafMetrics, MetricsField};
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, compute_leaves};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::schema::types::TypePtr;

use super::dictionaries::ColumnWriters;
use super::errors::parquet_error;

/// Schema and properties of every file of a write.
pub(super) struct Encoding {
    pub(super) arrow: SchemaRef,
    pub(super) parquet: TypePtr,
    pub(super) properties: WriterPropertiesPtr,
    /// The leaf columns with metrics, for each top-level column.
    pub(super) metrics: Vec<Arc<[MetricsField]>>,
    writers: ColumnWriters,
}

impl Encoding {
    pub(super) fn new(
        arrow: SchemaRef,
        parquet: TypePtr,
        properties: WriterProperties,
        metrics: Vec<Vec<MetricsField>>,
    ) -> Result<Self> {
        let properties = Arc::new(properties);
        let writers = ColumnWriters::new(arrow.clone(), parquet.clone(), properties.clone())?;
        let metrics = metrics.into_iter().map(Arc::from).collect();
        Ok(Self { arrow, parquet, properties, metrics, writers })
    }

    /// An encoder for each top-level column of a new row group.
    pub(super) fn columns(&self) -> Result<Vec<ColumnEncoder>> {
        let mut writers = self.writers.row_group()?.into_iter();
        let columns = self.arrow.fields().iter().zip(&self.metrics).map(|(field, fields)| ColumnEncoder {
            writers: writers.by_ref().take(leaf_count(field.data_type())).collect(),
            field: field.clone(),
            metrics: vec![LeafMetrics::default(); fields.len()],
            fields: fields.clone(),
        });
        Ok(columns.collect())
    }

    /// Learns from the column chunks of a row group how to encode the next ones.
    pub(super) fn learn<'a>(&self, chunks: impl Iterator<Item = &'a ColumnChunkMetaData>) -> Result<()> {
        self.writers.learn(chunks.enumerate())
    }
}

/// How many Parquet columns a type takes.
fn leaf_count(data_type: &DataType) -> usize {
    match data_type {
        DataType::Struct(fields) => fields.iter().map(|field| leaf_count(field.data_type())).sum(),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => leaf_count(field.data_type()),
        _ => 1,
    }
}

/// Encodes a top-level column, with all the leaves below it, and gathers its metrics.
pub(super) struct ColumnEncoder {
    field: FieldRef,
    writers: Vec<ArrowColumnWriter>,
    fields: Arc<[MetricsField]>,
    metrics: Vec<LeafMetrics>,
}

impl ColumnEncoder {
    pub(super) fn write(&mut self, array: &ArrayRef) -> Result<()> {
        for (metrics, field) in self.metrics.iter_mut().zip(self.fields.iter()) {
            metrics.update(field, array);
        }
        let leaves = compute_leaves(&self.field, array).map_err(parquet_error)?;
        for (writer, leaf) in self.writers.iter_mut().zip(&leaves) {
            writer.write(leaf).map_err(parquet_error)?;
        }
        Ok(())
    }

    /// Encoded bytes so far, as estimated.
    pub(super) fn estimated_bytes(&self) -> u64 {
        self.writers.iter().map(|writer| writer.get_estimated_total_bytes() as u64).sum()
    }

    pub(super) fn close(self) -> Result<EncodedColumn> {
        let chunks = self.writers.into_iter().map(ArrowColumnWriter::close).collect::<Result<Vec<_>, _>>();
        Ok(EncodedColumn { chunks: chunks.map_err(parquet_error)?, metrics: self.metrics })
    }
}

/// A column of a row group, encoded.
pub(super) struct EncodedColumn {
    pub(super) chunks: Vec<ArrowColumnChunk>,
    pub(super) metrics: Vec<LeafMetrics>,
}

impl EncodedColumn {
    pub(super) fn bytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.close().bytes_written).sum()
    }

    pub(super) fn metadata(&self) -> impl Iterator<Item = &ColumnChunkMetaData> {
        self.chunks.iter().map(|chunk| &chunk.close().metadata)
    }
}

/// Encodes rows as one row group, on this thread.
pub(super) fn encode_group(encoding: &Encoding, batches: &[RecordBatch]) -> Result<Vec<EncodedColumn>> {
    let columns = encoding.columns()?.into_iter().enumerate().map(|(index, mut column)| {
        batches.iter().try_for_each(|batch| column.write(batch.column(index)))?;
        column.close()
    });
    columns.collect()
}
