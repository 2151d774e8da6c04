//! Rows that make one small file: encoded where they are, since handing them to other threads takes longer.

use arrow_array::RecordBatch;
use floe_core::Result;
use floe_plan::rows::size::batch_bytes;
use futures::StreamExt;
use iceberg::spec::DataFile;

use super::column::encode_group;
use super::context::Context;
use super::file::{Partition, data_file, small_file};
use crate::data::BatchStream;

/// Rows of so many bytes are encoded in about a millisecond.
const SMALL_BYTES: u64 = 64 << 10;
/// Each column has a cost of its own, whatever its rows.
const SMALL_COLUMNS: usize = 64;

/// The first batches of a stream.
pub(super) struct Start {
    pub(super) batches: Vec<RecordBatch>,
    /// Whether the stream has ended, and the batches make one row group of one small file.
    pub(super) is_all: bool,
}

/// Takes batches until the stream ends or they are more than a small file.
pub(super) async fn start(context: &Context, data: &mut BatchStream) -> Result<Start> {
    let limits = &context.limits;
    let narrow = data.schema.fields().len() <= SMALL_COLUMNS;
    let most = if narrow { SMALL_BYTES.min(limits.row_group_bytes).min(limits.file_bytes) } else { 0 };
    let (mut bytes, mut rows) = (0, 0);
    let mut batches = Vec::new();
    while let Some(batch) = data.stream.next().await {
        let batch = batch?;
        if batch.num_rows() == 0 {
            continue;
        }
        bytes += batch_bytes(&batch);
        rows += batch.num_rows() as u64;
        batches.push(batch);
        if bytes > most || rows > limits.row_group_rows {
            return Ok(Start { batches, is_all: false });
        }
    }
    Ok(Start { batches, is_all: true })
}

/// Writes batches as one row group of one file; no rows make no file.
pub(super) async fn write(
    context: &Context,
    partition: &Partition,
    batches: &[RecordBatch],
) -> Result<Vec<DataFile>> {
    if batches.is_empty() {
        return Ok(Vec::new());
    }
    let (content, assembled) = small_file(context, encode_group(&context.encoding, batches)?)?;
    let path = context.place.next(&partition.folder);
    context.put(&path, content).await?;
    context.count_rows(batches.iter().map(RecordBatch::num_rows).sum());
    Ok(vec![data_file(context, partition, path, assembled)?])
}
