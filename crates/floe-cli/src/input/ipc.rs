//! Arrow IPC files and streams.

use std::io::BufReader;

use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{ArrowError, SchemaRef};
use floe::{Error, ErrorKind, Result};

use super::head::Text;
use super::normalise::{normal_schema, normalise};
use super::source::{Batches, Seekable};

/// The schema of an IPC file, with types as Iceberg has them.
pub(super) fn file_schema(file: &Seekable, label: &str) -> Result<SchemaRef> {
    let reader = FileReader::try_new_buffered(file.open()?, None).map_err(|e| no_arrow(label, e))?;
    normal_schema(&reader.schema(), label)
}

/// The schema of an IPC stream, with types as Iceberg has them.
pub(super) fn stream_schema(text: &Text, label: &str) -> Result<SchemaRef> {
    let head = text.head()?;
    let reader =
        StreamReader::try_new(std::io::Cursor::new(head.bytes), None).map_err(|e| no_arrow(label, e))?;
    normal_schema(&reader.schema(), label)
}

pub(super) fn read_file(file: Seekable, label: String, schema: SchemaRef) -> Result<Batches> {
    let reader = FileReader::try_new_buffered(file.open()?, None).map_err(|e| no_arrow(&label, e))?;
    Ok(Box::new(reader.map(move |batch| {
        let _keep = &file;
        normalise(&batch.map_err(|e| damaged(&label, e))?, &schema, &label)
    })))
}

pub(super) fn read_stream(text: Text, label: String, schema: SchemaRef) -> Result<Batches> {
    let reader =
        StreamReader::try_new(BufReader::new(text.read()?), None).map_err(|e| no_arrow(&label, e))?;
    Ok(Box::new(reader.map(move |batch| normalise(&batch.map_err(|e| damaged(&label, e))?, &schema, &label))))
}

fn no_arrow(label: &str, error: ArrowError) -> Error {
    Error::validation(format!("{label}: this is not an Arrow IPC file or stream")).with_source(error)
}

fn damaged(label: &str, error: ArrowError) -> Error {
    Error::new(ErrorKind::Corrupted, format!("{label}: a record batch cannot be read")).with_source(error)
}
