//! Parts of a source in temporary files, by the hash of their keys.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, Write};
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::take::take_record_batch;
use floe_core::{Error, Result};

use super::keys::{KeyCodec, hash};
use super::{arrow_error, source};

/// Bits of the hash that divide a source, or a part of one that is too large.
const BITS: u32 = 5;
/// How often a part is divided again. Keys that are still together then are the same, as good as surely.
const MAX_LEVEL: u32 = 10;
const BUFFER_BYTES: usize = 64 << 10;

/// What dividing takes.
#[derive(Debug, Clone)]
pub(super) struct Divide {
    pub(super) codec: Arc<KeyCodec>,
    pub(super) schema: SchemaRef,
    pub(super) seed: u64,
    pub(super) folder: Option<PathBuf>,
}

/// Rows whose keys have some bits of their hash in common, in a temporary file without a name: it is gone with this
/// value, or with the process.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    /// What the rows and their keys take in memory.
    pub(super) bytes: u64,
    pub(super) rows: u64,
    level: u32,
}

/// Divides rows into parts.
pub(super) struct Divider {
    how: Divide,
    level: u32,
    /// Rows so far.
    taken: u64,
    open: Vec<Open>,
}

struct Open {
    writer: StreamWriter<BufWriter<File>>,
    bytes: u64,
    rows: u64,
}

impl Divider {
    pub(super) fn new(how: Divide, level: u32) -> Result<Self> {
        let open = (0..1_u32 << BITS).map(|_| {
            let file = match &how.folder {
                Some(folder) => tempfile::tempfile_in(folder),
                None => tempfile::tempfile(),
            };
            let out = BufWriter::with_capacity(BUFFER_BYTES, file.map_err(spilling)?);
            let writer = StreamWriter::try_new(out, &how.schema).map_err(spill_error)?;
            Ok(Open { writer, bytes: 0, rows: 0 })
        });
        let open = open.collect::<Result<_>>()?;
        Ok(Self { how, level, taken: 0, open })
    }

    pub(super) fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let codec = &self.how.codec;
        let keys = codec.encode(&codec.arrays(batch)?)?;
        let mask = codec.mask(batch);
        let mut chosen: Vec<Vec<u32>> = vec![Vec::new(); self.open.len()];
        let shift = u64::BITS - BITS * (self.level + 1);
        for row in 0..keys.num_rows() {
            // Rows that match nothing go anywhere: many of them may have the same key.
            let hash = match &mask {
                Some(mask) if !mask.value(row) => {
                    hash(self.how.seed, &(self.taken + row as u64).to_le_bytes())
                }
                _ => hash(self.how.seed, keys.row(row).as_ref()),
            };
            chosen[(hash >> shift) as usize & (self.open.len() - 1)].push(row as u32);
        }
        self.taken += batch.num_rows() as u64;
        for (open, rows) in self.open.iter_mut().zip(chosen) {
            if rows.is_empty() {
                continue;
            }
            let piece = take_record_batch(batch, &UInt32Array::from(rows)).map_err(arrow_error)?;
            open.rows += piece.num_rows() as u64;
            open.bytes += source::memory_of(&piece);
            open.writer.write(&piece).map_err(spill_error)?;
        }
        Ok(())
    }

    /// The parts, each of at most `most` bytes if its keys allow.
    pub(super) fn finish(self, most: u64) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        for open in self.open {
            let mut out = open.writer.into_inner().map_err(spill_error)?;
            out.flush().map_err(spilling)?;
            let file = out.into_inner().map_err(|e| spilling(e.into_error()))?;
            let part = Part { file, bytes: open.bytes, rows: open.rows, level: self.level };
            if part.rows == 0 {
                continue;
            }
            if part.bytes <= most || part.level >= MAX_LEVEL {
                parts.push(part);
                continue;
            }
            let mut again = Divider::new(self.how.clone(), part.level + 1)?;
            part.read(|batch| again.push(&batch))?;
            parts.extend(again.finish(most)?);
        }
        Ok(parts)
    }
}

impl Part {
    /// Gives every batch to `each`.
    pub(super) fn read(&self, mut each: impl FnMut(RecordBatch) -> Result<()>) -> Result<()> {
        let mut file = self.file.try_clone().map_err(reading)?;
        file.rewind().map_err(reading)?;
        let file = BufReader::with_capacity(BUFFER_BYTES, file);
        for batch in StreamReader::try_new(file, None).map_err(arrow_error)? {
            each(batch.map_err(arrow_error).map_err(|e| e.context("reading rows from a temporary file"))?)?;
        }
        Ok(())
    }
}

fn spilling(error: std::io::Error) -> Error {
    Error::from(error)
        .context("writing rows to a temporary file")
        .with_hint("free room in the temporary folder, or allow more memory")
}

fn reading(error: std::io::Error) -> Error {
    Error::from(error).context("reading rows from a temporary file")
}

fn spill_error(error: ArrowError) -> Error {
    arrow_error(error)
        .context("writing rows to a temporary file")
        .with_hint("free room in the temporary folder, or allow more memory")
}
