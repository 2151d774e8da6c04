//! Arrow IPC files and streams.

use std::io::{BufReader, Cursor, Read};

use arrow_ipc::Endianness;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{ArrowError, SchemaRef};
use floe::{Error, ErrorKind, Result};

use super::head::Text;
use super::source::{Batches, Seekable};

/// The schema of an IPC file.
pub(super) fn file_schema(file: &Seekable, label: &str) -> Result<SchemaRef> {
    Ok(file_reader(file, label)?.schema())
}

/// The schema of an IPC stream.
pub(super) fn stream_schema(text: &Text, label: &str) -> Result<SchemaRef> {
    let head = text.head()?;
    check_order(&mut head.bytes.as_slice(), label)?;
    let reader = StreamReader::try_new(Cursor::new(head.bytes), None).map_err(|e| no_arrow(label, e))?;
    Ok(reader.schema())
}

pub(super) fn read_file(file: Seekable, label: String) -> Result<Batches> {
    let reader = file_reader(&file, &label)?;
    Ok(Box::new(reader.map(move |batch| {
        let _keep = &file;
        batch.map_err(|e| damaged(&label, e))
    })))
}

pub(super) fn read_stream(text: Text, label: String) -> Result<Batches> {
    let reader =
        StreamReader::try_new(BufReader::new(text.read()?), None).map_err(|e| no_arrow(&label, e))?;
    Ok(Box::new(reader.map(move |batch| batch.map_err(|e| damaged(&label, e)))))
}

fn file_reader(file: &Seekable, label: &str) -> Result<FileReader<BufReader<std::fs::File>>> {
    let mut start = BufReader::new(file.open()?);
    let mut magic = [0; 8];
    if start.read_exact(&mut magic).is_ok() && magic.starts_with(b"ARROW1") {
        check_order(&mut start, label)?;
    }
    FileReader::try_new_buffered(file.open()?, None).map_err(|e| no_arrow(label, e))
}

/// The longest schema that is looked at.
const MAX_SCHEMA: usize = 1 << 26;

/// Fails if the numbers are big-endian, which the reader would take for others. What is no schema is left to the reader.
fn check_order(read: &mut dyn Read, label: &str) -> Result<()> {
    let mut word = [0; 4];
    let mut next = |read: &mut dyn Read| read.read_exact(&mut word).is_ok().then(|| u32::from_le_bytes(word));
    // Streams of old have no marker before the length.
    let length = match next(read) {
        Some(u32::MAX) => next(read),
        length => length,
    };
    let Some(length) = length.map(|length| length as usize).filter(|length| *length <= MAX_SCHEMA) else {
        return Ok(());
    };
    let mut message = Vec::new();
    let whole = read.take(length as u64).read_to_end(&mut message).is_ok_and(|read| read == length);
    let schema = whole.then(|| arrow_ipc::root_as_message(&message).ok()).flatten();
    match schema.and_then(|message| message.header_as_schema()) {
        Some(schema) if schema.endianness() != Endianness::Little => Err(Error::new(
            ErrorKind::Unsupported,
            format!("{label}: the numbers of this Arrow data are big-endian, which floe does not read"),
        )
        .with_hint("write it on a little-endian machine, or as Parquet")),
        _ => Ok(()),
    }
}

fn no_arrow(label: &str, error: ArrowError) -> Error {
    Error::validation(format!("{label}: this is not an Arrow IPC file or stream")).with_source(error)
}

fn damaged(label: &str, error: ArrowError) -> Error {
    Error::new(ErrorKind::Corrupted, format!("{label}: a record batch cannot be read")).with_source(error)
}
