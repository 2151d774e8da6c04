//! Arrow IPC and Parquet.

use arrow_array::RecordBatch;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_schema::SchemaRef;
use floe::{Error, ErrorKind, Result};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::{Compression, LogicalType, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};

use super::sink::{Out, Sink, arrow_error};
use super::uuid::Uuids;

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
    pub(super) fn new(schema: &SchemaRef, out: Out, uuids: &Uuids) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            // Bounds are cut at 64 bytes, the upper ones rounded up: whole texts would make a footer that others refuse.
            .build();
        let converted = ArrowSchemaConverter::new().convert(schema).map_err(parquet_error)?;
        let root = converted.root_schema();
        let fields = root.get_fields().iter().map(|field| marked(field, uuids)).collect::<Result<_>>()?;
        let root =
            Type::group_type_builder(root.name()).with_fields(fields).build().map_err(parquet_error)?;
        let options = ArrowWriterOptions::new()
            .with_properties(properties)
            .with_parquet_schema(SchemaDescriptor::new(TypePtr::new(root)));
        let writer =
            ArrowWriter::try_new_with_options(out, schema.clone(), options).map_err(parquet_error)?;
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

/// A column with its UUIDs marked as such, which Arrow does not know of.
fn marked(node: &TypePtr, uuids: &Uuids) -> Result<TypePtr> {
    let info = node.get_basic_info();
    let id = info.has_id().then(|| info.id());
    let marked = match node.as_ref() {
        Type::GroupType { fields, .. } => Type::group_type_builder(info.name())
            .with_repetition(info.repetition())
            .with_converted_type(info.converted_type())
            .with_logical_type(info.logical_type_ref().cloned())
            .with_fields(fields.iter().map(|field| marked(field, uuids)).collect::<Result<_>>()?)
            .with_id(id)
            .build(),
        Type::PrimitiveType { physical_type, type_length, .. } if id.is_some_and(|id| uuids.has(id)) => {
            Type::primitive_type_builder(info.name(), *physical_type)
                .with_repetition(info.repetition())
                .with_length(*type_length)
                .with_logical_type(Some(LogicalType::Uuid))
                .with_id(id)
                .build()
        }
        Type::PrimitiveType { .. } => return Ok(node.clone()),
    };
    marked.map(TypePtr::new).map_err(parquet_error)
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
