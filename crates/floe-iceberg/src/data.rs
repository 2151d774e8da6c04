//! Streams of record batches, and the rows that operations take.

pub mod decoding;
pub mod footer;

use std::fmt;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use floe_core::Result;
use floe_plan::schema_match::{ColumnMapping, apply_from};
use futures::StreamExt;
use futures::stream::BoxStream;

pub use crate::input::Input;

/// A stream of record batches that all have one schema.
pub struct BatchStream {
    /// The schema of every batch.
    pub schema: SchemaRef,
    /// The batches. Ends after the first error.
    pub stream: BoxStream<'static, Result<RecordBatch>>,
}

impl BatchStream {
    /// A stream with its schema.
    pub fn new(schema: SchemaRef, stream: BoxStream<'static, Result<RecordBatch>>) -> Self {
        Self { schema, stream }
    }

    /// Batches that are in memory already. All must have `schema`.
    pub fn from_batches(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self::new(schema, futures::stream::iter(batches.into_iter().map(Ok)).boxed())
    }

    /// Every batch, in memory. For small results only: nothing bounds what this holds.
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        while let Some(batch) = self.stream.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }
}

/// Batches fitted to a table. Errors count rows from the start of the stream.
pub(crate) fn fitted(
    stream: BoxStream<'static, Result<RecordBatch>>,
    mapping: ColumnMapping,
) -> BoxStream<'static, Result<RecordBatch>> {
    let mut rows = 0;
    let fitted = stream.map(move |batch| {
        let batch = batch?;
        let before = rows;
        rows += batch.num_rows() as u64;
        apply_from(&mapping, &batch, before)
    });
    fitted.boxed()
}

impl fmt::Debug for BatchStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchStream").field("schema", &self.schema).finish_non_exhaustive()
    }
}
