//! Arrow IPC files and streams.
//!
//! The lengths that a message states are compared with what is there before the Arrow crate reads it: that asks for memory for
//! whatever is stated, and ends the process when there is not as much.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};

use arrow_array::RecordBatch;
use arrow_ipc::convert::fb_to_schema;
use arrow_ipc::reader::{FileDecoder, StreamReader, read_footer_length};
use arrow_ipc::{Block, Endianness, MessageHeader};
use arrow_schema::{ArrowError, SchemaRef};
use floe::data::decoding::BATCH_BYTES;
use floe::plan::rows::size::split;
use floe::{Error, ErrorKind, Result};

use super::head::Text;
use super::source::{Batches, Seekable};

/// The magic number at both ends of a file.
const MAGIC: &[u8] = b"ARROW1";
/// What begins a message of a stream.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// No message describes more columns than fit into so many bytes.
const MOST_METADATA: u64 = 256 << 20;
/// A compressed buffer unfolds to so many times its size at most.
const MOST_UNFOLDED: u64 = 40_000;
/// No batch has more rows.
const MOST_ROWS: i64 = 1 << 31;

/// The schema of an IPC file.
pub(super) fn file_schema(file: &Seekable, label: &str) -> Result<SchemaRef> {
    Ok(Footer::read(file, label)?.schema)
}

/// The schema of an IPC stream.
pub(super) fn stream_schema(text: &Text, label: &str) -> Result<SchemaRef> {
    let reader = stream_reader(Cursor::new(text.head()?.bytes), label)?;
    Ok(reader.schema())
}

pub(super) fn read_file(file: Seekable, label: String) -> Result<Batches> {
    let Footer { file: mut open, mut decoder, dictionaries, batches, .. } = Footer::read(&file, &label)?;
    for block in &dictionaries {
        let bytes = read_block(&mut open, block).map_err(|e| damaged(&label, e))?;
        decoder.read_dictionary(block, &bytes.into()).map_err(|e| damaged(&label, e))?;
    }
    let batches = batches.into_iter().filter_map(move |block| {
        // A spooled file lives as long as its reader.
        let _keep = &file;
        let bytes = read_block(&mut open, &block);
        bytes.and_then(|bytes| decoder.read_record_batch(&block, &bytes.into())).transpose()
    });
    Ok(cut(batches, label))
}

pub(super) fn read_stream(text: Text, label: String) -> Result<Batches> {
    let reader = stream_reader(BufReader::with_capacity(1 << 16, text.read()?), &label)?;
    Ok(cut(reader, label))
}

/// The rows of batches of any size, in batches of bounded bytes: values of dictionaries are repeated only then.
fn cut(
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>> + Send + 'static,
    label: String,
) -> Batches {
    Box::new(batches.flat_map(move |batch| {
        let slices = match batch {
            Ok(batch) => split(batch, BATCH_BYTES).into_iter().map(Ok).collect(),
            Err(error) => vec![Err(damaged(&label, error))],
        };
        let label = label.clone();
        slices.into_iter().map(move |slice| {
            let slice = slice?;
            super::refuse_oversized(&slice, &label)?;
            Ok(slice)
        })
    }))
}

/// The end of a file, and what reads its blocks.
struct Footer {
    file: File,
    schema: SchemaRef,
    decoder: FileDecoder,
    dictionaries: Vec<Block>,
    batches: Vec<Block>,
}

impl Footer {
    fn read(file: &Seekable, label: &str) -> Result<Self> {
        let mut file = file.open()?;
        let bytes = footer_bytes(&mut file).map_err(|e| no_arrow(label, e))?;
        let footer = arrow_ipc::root_as_footer(&bytes)
            .map_err(|_| no_arrow(label, ArrowError::ParseError("the footer is damaged".to_owned())))?;
        let stored = footer
            .schema()
            .ok_or_else(|| no_arrow(label, ArrowError::ParseError("there is no schema".to_owned())))?;
        refuse_big_endian(stored.endianness(), label)?;
        let schema: SchemaRef = fb_to_schema(stored).into();
        let dictionaries = footer.dictionaries().into_iter().flatten().copied().collect();
        let batches = footer.recordBatches().into_iter().flatten().copied().collect();
        let decoder = FileDecoder::new(schema.clone(), footer.version());
        Ok(Self { file, schema, decoder, dictionaries, batches })
    }
}

fn footer_bytes(file: &mut File) -> Result<Vec<u8>, ArrowError> {
    let no_end = || ArrowError::ParseError("the file has no end".to_owned());
    let mut magic = [0; 6];
    file.rewind()?;
    file.read_exact(&mut magic)?;
    if magic != MAGIC {
        return Err(ArrowError::ParseError("the file has no beginning".to_owned()));
    }
    let mut trailer = [0; 10];
    let end = file.seek(SeekFrom::End(-10))?;
    file.read_exact(&mut trailer)?;
    let length = read_footer_length(trailer)? as u64;
    file.seek(SeekFrom::Start(end.checked_sub(length).ok_or_else(no_end)?))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A message with its body, where the footer says that it is.
fn read_block(file: &mut File, block: &Block) -> Result<Vec<u8>, ArrowError> {
    let damaged = || ArrowError::IpcError("a block is not where the footer says".to_owned());
    let number = |n: i64| u64::try_from(n).map_err(|_| damaged());
    let (start, head) = (number(block.offset())?, number(block.metaDataLength().into())?);
    let body = number(block.bodyLength())?;
    let length = head.checked_add(body).ok_or_else(damaged)?;
    file.seek(SeekFrom::Start(start))?;
    let bytes = exactly(file, length)?;
    let (head, body) = bytes.split_at(usize::try_from(head).map_err(|_| damaged())?);
    // Older writers left the continuation out.
    let skip = if head.starts_with(&CONTINUATION) { 8 } else { 4 };
    check_message(head.get(skip..).ok_or_else(damaged)?, body)?;
    Ok(bytes)
}

/// So many bytes. Memory is asked for as they come.
fn exactly(reader: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(length).read_to_end(&mut bytes)?;
    match bytes.len() as u64 == length {
        true => Ok(bytes),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Fails when a message states what cannot be.
fn check_message(message: &[u8], body: &[u8]) -> Result<(), ArrowError> {
    let damaged = || ArrowError::IpcError("a message states what cannot be".to_owned());
    let message = arrow_ipc::root_as_message(message).map_err(|_| damaged())?;
    let batch = match message.header_type() {
        MessageHeader::RecordBatch => message.header_as_record_batch(),
        MessageHeader::DictionaryBatch => message.header_as_dictionary_batch().and_then(|d| d.data()),
        _ => return Ok(()),
    };
    let batch = batch.ok_or_else(damaged)?;
    if !(0..=MOST_ROWS).contains(&batch.length()) {
        return Err(damaged());
    }
    for buffer in batch.buffers().iter().flatten() {
        let start = usize::try_from(buffer.offset()).map_err(|_| damaged())?;
        let length = usize::try_from(buffer.length()).map_err(|_| damaged())?;
        let end = start.checked_add(length).ok_or_else(damaged)?;
        let bytes = body.get(start..end).ok_or_else(damaged)?;
        if batch.compression().is_none() || bytes.is_empty() {
            continue;
        }
        // Its length without compression comes first; -1 is for a buffer that is not compressed.
        let unfolded =
            bytes.first_chunk::<8>().map(|bytes| i64::from_le_bytes(*bytes)).ok_or_else(damaged)?;
        let most = (length as u64).saturating_mul(MOST_UNFOLDED);
        if unfolded < -1 || u64::try_from(unfolded).is_ok_and(|unfolded| unfolded > most) {
            return Err(damaged());
        }
    }
    Ok(())
}

fn stream_reader<R: Read>(reader: R, label: &str) -> Result<StreamReader<Frames<R>>> {
    let frames = Frames { reader, frame: Cursor::default() };
    StreamReader::try_new(frames, None).map_err(|error| match &error {
        ArrowError::IoError(_, io) if io.kind() == io::ErrorKind::Unsupported => big_endian(label),
        _ => no_arrow(label, error),
    })
}

/// Gives a stream message by message, each once it is there as a whole.
struct Frames<R> {
    reader: R,
    frame: Cursor<Vec<u8>>,
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.frame.position() == self.frame.get_ref().len() as u64 {
            self.frame = Cursor::new(self.next()?);
        }
        self.frame.read(out)
    }
}

impl<R: Read> Frames<R> {
    /// The next message; empty at the end.
    fn next(&mut self) -> io::Result<Vec<u8>> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidData);
        let mut frame = Vec::with_capacity(8);
        (&mut self.reader).take(4).read_to_end(&mut frame)?;
        if frame == CONTINUATION {
            (&mut self.reader).take(4).read_to_end(&mut frame)?;
        }
        // An end without a word is one too.
        let Some(length) = frame.last_chunk::<4>().filter(|_| frame.len().is_multiple_of(4)) else {
            return Ok(frame);
        };
        let length = u64::from(u32::from_le_bytes(*length));
        if length == 0 {
            return Ok(frame);
        }
        if length > MOST_METADATA {
            return Err(invalid());
        }
        let head = exactly(&mut self.reader, length)?;
        let message = arrow_ipc::root_as_message(&head).map_err(|_| invalid())?;
        let body = exactly(&mut self.reader, u64::try_from(message.bodyLength()).map_err(|_| invalid())?)?;
        if let Some(schema) = message.header_as_schema()
            && schema.endianness() == Endianness::Big
        {
            return Err(io::ErrorKind::Unsupported.into());
        }
        check_message(&head, &body).map_err(|_| invalid())?;
        frame.extend(head);
        frame.extend(body);
        Ok(frame)
    }
}

fn refuse_big_endian(endianness: Endianness, label: &str) -> Result<()> {
    match endianness {
        Endianness::Big => Err(big_endian(label)),
        _ => Ok(()),
    }
}

fn big_endian(label: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{label}: this Arrow data has its bytes in big-endian order"))
        .with_hint("write it again on a machine of the usual, little-endian order, or as Parquet")
}

fn no_arrow(label: &str, error: ArrowError) -> Error {
    Error::validation(format!("{label}: this is not an Arrow IPC file or stream")).with_source(error)
}

fn damaged(label: &str, error: ArrowError) -> Error {
    Error::new(ErrorKind::Corrupted, format!("{label}: a record batch cannot be read")).with_source(error)
}
