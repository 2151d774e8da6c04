//! One interface for all output formats.

use std::io::Write;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use floe::data::BatchStream;
use floe::{Error, ErrorKind, Result};
use futures::StreamExt;
use tokio::sync::mpsc;

use super::columnar::{ArrowFile, ArrowStream, Parquet};
use super::delimited::{Csv, Lines};
use super::object::{Object, ObjectFrame};
use super::table::{Layout, Table};
use super::uuid::Uuids;
use crate::args::OutputFormat;

/// Where bytes go.
pub(crate) type Out = Box<dyn Write + Send>;

/// Takes batches of one schema, and writes them in one format.
pub(crate) trait Sink: Send {
    /// Writes the rows of a batch.
    fn write(&mut self, batch: &RecordBatch) -> Result<()>;

    /// Writes what closes the output, and hands back where it went.
    fn finish(self: Box<Self>) -> Result<Out>;
}

/// How rows are written.
#[derive(Debug, Clone, Default)]
pub(crate) struct SinkOptions {
    /// The text that NULL is written as in CSV.
    pub(crate) csv_null: String,
    /// Which columns hold UUIDs.
    pub(crate) uuids: Uuids,
    /// An Arrow file, which has an index, in place of a stream.
    pub(crate) arrow_file: bool,
    /// How a table is laid out.
    pub(crate) layout: Layout,
    /// Put all rows into one JSON object, within this frame.
    pub(crate) object: Option<ObjectFrame>,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// Rows.
    pub(crate) rows: u64,
}

/// A sink for `format`.
pub(crate) fn sink(
    format: OutputFormat,
    schema: &SchemaRef,
    out: Out,
    options: &SinkOptions,
) -> Result<Box<dyn Sink>> {
    let schema = &options.uuids.marked(schema);
    if let Some(frame) = &options.object {
        return Ok(Box::new(Object::new(frame.clone(), out, options)?));
    }
    Ok(match format {
        OutputFormat::Table => Box::new(Table::new(schema, out, options.layout)),
        OutputFormat::Csv => Box::new(Csv::new(schema, out, options)?),
        OutputFormat::Json => Box::new(Lines::new(out, options)),
        OutputFormat::Arrow if options.arrow_file => Box::new(ArrowFile::new(schema, out)?),
        OutputFormat::Arrow => Box::new(ArrowStream::new(schema, out)?),
        OutputFormat::Parquet => Box::new(Parquet::new(schema, out, &options.uuids)?),
    })
}

/// Batches that wait for the encoder.
const QUEUE: usize = 4;

/// Writes a stream of batches. Encoding runs on a thread of its own, beside the reading. `progress` hears of
/// the rows of each batch.
pub(crate) async fn write_rows(
    mut rows: BatchStream,
    format: OutputFormat,
    out: Out,
    options: SinkOptions,
    progress: impl Fn(u64),
) -> Result<(Written, Out)> {
    let schema = rows.schema.clone();
    let (sender, mut receiver) = mpsc::channel::<RecordBatch>(QUEUE);
    // `Ok(None)` when the sender went away without saying that it had come to the end.
    let encoder = tokio::task::spawn_blocking(move || -> Result<(Written, Box<dyn Sink>)> {
        let mut sink = sink(format, &schema, out, &options)?;
        let mut written = Written::default();
        while let Some(batch) = receiver.blocking_recv() {
            sink.write(&batch)?;
            written.rows += batch.num_rows() as u64;
        }
        Ok((written, sink))
    });
    let mut failed = None;
    while let Some(batch) = rows.stream.next().await {
        match batch {
            Ok(batch) => {
                progress(batch.num_rows() as u64);
                if sender.send(batch).await.is_err() {
                    // The encoder failed: its own error says why.
                    break;
                }
            }
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    drop(sender);
    let encoded =
        encoder.await.map_err(|_| Error::new(ErrorKind::Internal, "the encoder of the output stopped"))?;
    let (written, sink) = encoded?;
    if let Some(error) = failed {
        return Err(error);
    }
    let closed = tokio::task::spawn_blocking(move || sink.finish()).await;
    let out = closed.map_err(|_| Error::new(ErrorKind::Internal, "the encoder of the output stopped"))??;
    Ok((written, out))
}

/// An error of an Arrow writer; IO errors keep their kind, so that a full disk and a closed pipe are told apart.
pub(super) fn arrow_error(error: arrow_schema::ArrowError) -> Error {
    match error {
        arrow_schema::ArrowError::IoError(_, io) => Error::from(io),
        other => Error::new(ErrorKind::Io, "the rows cannot be written in this format").with_source(other),
    }
}
