//! One input: a file, or a stream that can be read once, in a known format.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use floe::guard::Guard;
use floe::{Error, Result};
use iceberg::arrow::schema_to_arrow_schema;

use super::discover::unreadable;
use super::head::{self, Text};
use super::state::FileState;
use super::{ReadOptions, csv, ipc, json, parquet, sniff};
use crate::args::InputFormat;

/// The rows of an input. Reading blocks.
pub(crate) type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// What a row has in a column that it does not mention, where other rows or inputs do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    /// The column's write default, else NULL: for new rows.
    Default,
    /// NULL: for rows that only take part in a merge.
    Null,
    /// Nothing is known of it, and the row is refused: for rows that take the place of others.
    Refused,
    /// The write default, else NULL, in the columns that any row mentions: for rows that only say which others to delete.
    Unknown,
}

/// The columns that inputs are read for.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The columns, with their types.
    pub(crate) schema: iceberg::spec::Schema,
    /// The same in Arrow form.
    pub(crate) arrow: Schema,
    /// What is absent.
    pub(crate) absent: Absent,
}

impl Target {
    pub(crate) fn new(schema: iceberg::spec::Schema, absent: Absent) -> Result<Self> {
        let arrow = schema_to_arrow_schema(&schema)?;
        Ok(Self { schema, arrow, absent })
    }
}

/// One input.
pub(crate) struct Source {
    label: String,
    bytes: u64,
    repeatable: bool,
    /// Set for a file that the user named.
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
#[derive(Debug, Clone)]
pub(super) enum Seekable {
    Path(PathBuf),
    /// A copy of a stream. Lives as long as somebody may read it.
    Spooled(Arc<tempfile::NamedTempFile>),
}

impl Source {
    /// A regular file, its format known by `options`, the extension of its name, or its content.
    pub(super) fn file(label: String, file: Seekable, options: &ReadOptions) -> Result<Self> {
        let mut opened = file.open()?;
        let in_file = |e: io::Error| Error::from(e).context(&label);
        let metadata = opened.metadata().ok();
        let bytes = metadata.as_ref().map_or(0, |m| m.len());
        let named = matches!(file, Seekable::Path(_));
        let state = metadata.filter(|m| named && m.is_file()).map(|m| FileState::of(&m));
        let format = if let Some(format) = options.format.or_else(|| sniff::by_extension(label.as_ref())) {
            format
        } else {
            let file = opened.try_clone().map_err(in_file)?;
            sniff::by_content(&start_of(Box::new(file)).map_err(in_file)?, &label)?
        };
        let body = match format {
            InputFormat::Parquet => Body::Parquet(file),
            InputFormat::Csv => Body::Csv(Text::File(file)),
            InputFormat::Json => Body::Json(Text::File(file)),
            InputFormat::Arrow => {
                opened.rewind().map_err(in_file)?;
                if start_of(Box::new(opened)).map_err(in_file)?.starts_with(b"ARROW1") {
                    Body::Arrow(file)
                } else {
                    Body::ArrowStream(Text::File(file))
                }
            }
        };
        Ok(Self { label, bytes, repeatable: true, state, body })
    }

    /// A stream: standard input, a pipe, a FIFO. It is read once: its start is kept until the rows are read. Formats that
    /// are read from their end are copied to a temporary file.
    pub(super) fn stream(label: String, reader: Box<dyn Read + Send>, options: &ReadOptions) -> Result<Self> {
        let reader = head::decompressed(reader).map_err(|e| Error::from(e).context(&label))?;
        let text = Text::stream(reader).map_err(|e| e.context(&label))?;
        let start = text.head()?.bytes;
        let format = match options.format.or_else(|| sniff::by_extension(label.as_ref())) {
            Some(format) => format,
            None => sniff::by_content(&start[..start.len().min(START_BYTES)], &label)?,
        };
        let body = match format {
            InputFormat::Csv => Body::Csv(text),
            InputFormat::Json => Body::Json(text),
            InputFormat::Parquet => Body::Parquet(spool(&mut text.read()?, &label)?),
            InputFormat::Arrow if start.starts_with(b"ARROW1") => {
                Body::Arrow(spool(&mut text.read()?, &label)?)
            }
            InputFormat::Arrow => Body::ArrowStream(text),
        };
        let repeatable = matches!(body, Body::Parquet(_) | Body::Arrow(_));
        Ok(Self { label, bytes: 0, repeatable, state: None, body })
    }

    /// Path, or `standard input`.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// Size of the file; 0 for a stream.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the rows can be read again: those of files, and of streams that were copied, can.
    pub(crate) fn repeatable(&self) -> bool {
        self.repeatable
    }

    /// The same rows, from their beginning; `None` where they cannot be read again.
    pub(crate) fn again(&self) -> Option<Self> {
        let file = |text: &Text| match text {
            Text::File(file) => Some(Text::File(file.clone())),
            Text::Stream { .. } => None,
        };
        let body = match &self.body {
            Body::Parquet(file) => Body::Parquet(file.clone()),
            Body::Arrow(file) => Body::Arrow(file.clone()),
            Body::ArrowStream(text) => Body::ArrowStream(file(text)?),
            Body::Csv(text) => Body::Csv(file(text)?),
            Body::Json(text) => Body::Json(file(text)?),
        };
        Some(Self { label: self.label.clone(), state: self.state.clone(), body, ..*self })
    }

    /// Which file it is, and since when it is unchanged; `None` for what is no file that the user named.
    pub(crate) fn state(&self) -> Option<&FileState> {
        self.state.as_ref()
    }

    /// How many rows there are, where the format says so up front.
    pub(crate) fn rows(&self) -> Option<u64> {
        match &self.body {
            Body::Parquet(file) => self.guard().call(|| parquet::rows(file, &self.label)).ok(),
            _ => None,
        }
    }

    /// The schema for a new table: as stored, with types that Iceberg has, or inferred from the first rows.
    pub(crate) fn infer_schema(&self, options: &ReadOptions) -> Result<SchemaRef> {
        let normal = |schema: SchemaRef| super::normal_schema(&schema, &self.label);
        self.guard().call(|| match &self.body {
            Body::Parquet(file) => normal(parquet::schema(file, &self.label)?),
            Body::Arrow(file) => normal(ipc::file_schema(file, &self.label)?),
            Body::ArrowStream(text) => normal(ipc::stream_schema(text, &self.label)?),
            Body::Csv(text) => csv::infer(text, &self.label, options),
            Body::Json(text) => json::infer(text, &self.label, options),
        })
    }

    /// The schema that the batches will have: as stored, and for CSV and JSON the types of the target. Fails with
    /// `SchemaMismatch` for a column of CSV or JSON that the target does not have.
    pub(crate) fn schema_for(&self, target: &Target, options: &ReadOptions) -> Result<SchemaRef> {
        self.guard().call(|| match &self.body {
            Body::Parquet(file) => parquet::schema(file, &self.label),
            Body::Arrow(file) => ipc::file_schema(file, &self.label),
            Body::ArrowStream(text) => ipc::stream_schema(text, &self.label),
            Body::Csv(text) => csv::schema_for(text, &self.label, &target.arrow, options),
            Body::Json(text) => json::schema_for(text, &self.label, target),
        })
    }

    /// The rows, as batches of `schema`, which [`Source::schema_for`] gave for this target.
    pub(crate) fn read(self, schema: SchemaRef, target: &Target, options: &ReadOptions) -> Result<Batches> {
        let guard = self.guard();
        let batches = guard.call(|| match self.body {
            Body::Parquet(file) => parquet::read(file, self.label),
            Body::Arrow(file) => ipc::read_file(file, self.label),
            Body::ArrowStream(text) => ipc::read_stream(text, self.label),
            Body::Csv(text) => csv::read(text, self.label, schema, options),
            Body::Json(text) => json::read(text, self.label, schema, target, options),
        })?;
        Ok(Box::new(guard.iter(batches)))
    }

    /// The guard around whatever reads it.
    pub(super) fn guard(&self) -> Guard {
        let reader = match &self.body {
            Body::Parquet(_) => "the Parquet reader",
            Body::Arrow(_) | Body::ArrowStream(_) => "the Arrow reader",
            Body::Csv(_) => "the CSV reader",
            Body::Json(_) => "the JSON reader",
        };
        Guard::new(reader, self.label.as_str())
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

/// A copy of what a reader gives, in a temporary file.
pub(super) fn spool(reader: &mut dyn Read, label: &str) -> Result<Seekable> {
    let mut file = tempfile::NamedTempFile::new()?;
    io::copy(reader, &mut file).map_err(|e| Error::from(e).context(label))?;
    Ok(Seekable::Spooled(Arc::new(file)))
}

#[cfg(test)]
mod fuzz;
