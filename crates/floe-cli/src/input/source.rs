//! One input: a file or standard input, in a known format.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::PathBuf;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use floe::{Error, Result};

use super::discover::unreadable;
use super::head::{self, Text};
use super::state::FileState;
use super::{ReadOptions, csv, ipc, json, parquet, sniff};
use crate::args::InputFormat;

/// The rows of an input. Reading blocks.
pub(crate) type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// One input.
pub(crate) struct Source {
    label: String,
    bytes: u64,
    /// Set for a regular file.
    state: Option<FileState>,
    body: Body,
}

enum Body {
    Parquet(Seekable),
    Arrow(Seekable),
    ArrowStream(Text),
    Csv(Text),
    Json(Text),
}

/// A file that can be opened again and again.
pub(super) enum Seekable {
    Path(PathBuf),
    /// A copy of standard input.
    Spooled(tempfile::NamedTempFile),
}

impl Source {
    /// A file, its format known by `options`, extension or content.
    pub(super) fn file(path: PathBuf, options: &ReadOptions) -> Result<Self> {
        let label = path.display().to_string();
        let mut file = File::open(&path).map_err(|e| unreadable(&path, e))?;
        let metadata = file.metadata().ok();
        let bytes = metadata.as_ref().map_or(0, |m| m.len());
        let state = metadata.filter(|m| m.is_file()).map(|m| FileState::of(&m));
        let format = if let Some(format) = options.format.or_else(|| sniff::by_extension(&path)) {
            format
        } else {
            let file = file.try_clone().map_err(|e| unreadable(&path, e))?;
            sniff::by_content(&start_of(Box::new(file)).map_err(|e| unreadable(&path, e))?, &label)?
        };
        let body = match format {
            InputFormat::Parquet => Body::Parquet(Seekable::Path(path)),
            InputFormat::Csv => Body::Csv(Text::File(path)),
            InputFormat::Json => Body::Json(Text::File(path)),
            InputFormat::Arrow => {
                file.rewind().map_err(|e| unreadable(&path, e))?;
                let start = start_of(Box::new(file)).map_err(|e| unreadable(&path, e))?;
                if start.starts_with(b"ARROW1") {
                    Body::Arrow(Seekable::Path(path))
                } else {
                    Body::ArrowStream(Text::File(path))
                }
            }
        };
        Ok(Self { label, bytes, state, body })
    }

    /// Standard input. Formats that are read from their end are copied to a temporary file.
    pub(super) fn stdin(options: &ReadOptions) -> Result<Self> {
        Self::stream("standard input".to_owned(), Box::new(io::stdin()), options)
    }

    fn stream(label: String, reader: Box<dyn Read + Send>, options: &ReadOptions) -> Result<Self> {
        let reader = head::decompressed(reader).map_err(|e| Error::from(e).context(&label))?;
        let text = Text::stream(reader).map_err(|e| e.context(&label))?;
        let start = text.head()?.bytes;
        let format = match options.format {
            Some(format) => format,
            None => sniff::by_content(&start[..start.len().min(START_BYTES)], &label)?,
        };
        let body = match format {
            InputFormat::Csv => Body::Csv(text),
            InputFormat::Json => Body::Json(text),
            InputFormat::Parquet => Body::Parquet(spool(&text, &label)?),
            InputFormat::Arrow if start.starts_with(b"ARROW1") => Body::Arrow(spool(&text, &label)?),
            InputFormat::Arrow => Body::ArrowStream(text),
        };
        Ok(Self { label, bytes: 0, state: None, body })
    }

    /// Path, or `standard input`.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Size of the file; 0 for standard input.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Which file it is, and since when it is unchanged; `None` for what is no regular file, and can be read once only.
    pub(crate) fn state(&self) -> Option<&FileState> {
        self.state.as_ref()
    }

    /// How many rows there are, where the format says so up front.
    pub(crate) fn rows(&self) -> Option<u64> {
        match &self.body {
            Body::Parquet(file) => parquet::rows(file, &self.label).ok(),
            _ => None,
        }
    }

    /// The schema for a new table: as stored, or inferred from the first rows.
    pub(crate) fn infer_schema(&self, options: &ReadOptions) -> Result<SchemaRef> {
        match &self.body {
            Body::Parquet(file) => parquet::schema(file, &self.label),
            Body::Arrow(file) => ipc::file_schema(file, &self.label),
            Body::ArrowStream(text) => ipc::stream_schema(text, &self.label),
            Body::Csv(text) => csv::infer(text, &self.label, options),
            Body::Json(text) => json::infer(text, &self.label, options),
        }
    }

    /// The schema that the batches will have when read for a table: as stored, and for CSV and JSON the types
    /// of the table. Fails with `SchemaMismatch` for a column of CSV or JSON that the table does not have.
    pub(crate) fn schema_for(&self, table: &Schema, options: &ReadOptions) -> Result<SchemaRef> {
        match &self.body {
            Body::Csv(text) => csv::schema_for(text, &self.label, table, options),
            Body::Json(text) => json::schema_for(text, &self.label, table, options),
            _ => self.infer_schema(options),
        }
    }

    /// The rows, as batches of `schema`, which one of the two schema functions gave.
    pub(crate) fn read(self, schema: SchemaRef, options: &ReadOptions) -> Result<Batches> {
        match self.body {
            Body::Parquet(file) => parquet::read(file, self.label, schema),
            Body::Arrow(file) => ipc::read_file(file, self.label, schema),
            Body::ArrowStream(text) => ipc::read_stream(text, self.label, schema),
            Body::Csv(text) => csv::read(text, self.label, schema, options),
            Body::Json(text) => json::read(text, self.label, schema),
        }
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("label", &self.label).finish_non_exhaustive()
    }
}

impl Seekable {
    pub(super) fn open(&self) -> Result<File> {
        match self {
            Self::Path(path) => File::open(path).map_err(|e| unreadable(path, e)),
            Self::Spooled(file) => Ok(file.reopen()?),
        }
    }
}

const START_BYTES: usize = 4096;

/// The first bytes, decompressed.
fn start_of(reader: Box<dyn Read + Send>) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(START_BYTES);
    head::decompressed(reader)?.take(START_BYTES as u64).read_to_end(&mut start)?;
    Ok(start)
}

fn spool(text: &Text, label: &str) -> Result<Seekable> {
    let mut file = tempfile::NamedTempFile::new()?;
    io::copy(&mut text.read()?, &mut file).map_err(|e| Error::from(e).context(label))?;
    Ok(Seekable::Spooled(file))
}
