//! Arrow IPC and Parquet.

use arrow_array::RecordBatch;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_schema::SchemaRef;
use floe::{Error, ErrorKind, Result};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::sink::{Out, Sink, arrow_error};

/// An Arrow IPC stream.
pub(super) struct ArrowStream {
    writer: StreamWriter<Out>,
}

/// An Arrow IPC file, with an index at its end.
pub(super) struct ArrowFile {
    writer: FileWriter<Out>,
}

/// A Parquet file, compressed with zstd.
pub(super) struct Parquet {
    writer: ArrowWriter<Out>,
}

/// Encoded bytes that a row group may hold before it is written out, so that memory stays bounded.
const ROW_GROUP_BYTES: usize = 64 * 1024 * 1024;

fn ipc_options() -> Result<IpcWriteOptions> {
    IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD)).map_err(arrow_error)
}

impl ArrowStream {
    pub(super) fn new(schema: &SchemaRef, out: Out) -> Result<Self> {
        let writer = StreamWriter::try_new_with_options(out, schema, ipc_options()?).map_err(arrow_error)?;
        Ok(Self { writer })
    }
}

impl Sink for ArrowStream {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(arrow_error)
    }

    fn finish(mut self: Box<Self>) -> Result<Out> {
        self.writer.finish().map_err(arrow_error)?;
        self.writer.into_inner().map_err(arrow_error)
    }
}

impl ArrowFile {
    pub(super) fn new(schema: &SchemaRef, out: Out) -> Result<Self> {
        let writer = FileWriter::try_new_with_options(out, schema, ipc_options()?).map_err(arrow_error)?;
        Ok(Self { writer })
    }
}

impl Sink for ArrowFile {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(arrow_error)
    }

    fn finish(mut self: Box<Self>) -> Result<Out> {
        self.writer.finish().map_err(arrow_error)?;
        self.writer.into_inner().map_err(arrow_error)
    }
}

impl Parquet {
    pub(super) fn new(schema: &SchemaRef, out: Out) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            // Bounds that are cut at 64 bytes would make readers skip rows they should find.
            .set_statistics_truncate_length(None)
            .build();
        let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties)).map_err(parquet_error)?;
        Ok(Self { writer })
    }
}

impl Sink for Parquet {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(parquet_error)?;
        if self.writer.in_progress_size() > ROW_GROUP_BYTES {
            self.writer.flush().map_err(parquet_error)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Out> {
        self.writer.into_inner().map_err(parquet_error)
    }
}

fn parquet_error(error: ParquetError) -> Error {
    match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(io) => Error::from(*io),
            Err(_) => Error::new(ErrorKind::Io, "the Parquet output cannot be written"),
        },
        other => Error::new(ErrorKind::Io, "the rows cannot be written as Parquet").with_source(other),
    }
}
