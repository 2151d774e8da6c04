//! Text with one row a line: CSV and JSON.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_json::LineDelimitedWriter;
use arrow_schema::SchemaRef;
use floe::{Error, ErrorKind, Result};

use super::sink::{Out, Sink, SinkOptions, arrow_error};
use super::uuid;
use super::values::Values;
use super::years;

/// CSV with a header line, which is there even when there are no rows. NULL is nothing, or the text that was chosen; what
/// is a text and could be taken for NULL is put in quotes, an empty text too.
pub(super) struct Csv {
    out: Out,
    null: String,
    /// For each column whether it holds UUIDs.
    uuids: Vec<bool>,
    /// Rows as they are written.
    lines: String,
    /// A value.
    value: String,
}

/// Bytes of text that are written at once.
const CHUNK: usize = 1 << 16;

impl Csv {
    pub(super) fn new(schema: &SchemaRef, out: Out, options: &SinkOptions) -> Result<Self> {
        if let Some(field) = schema.fields().iter().find(|f| f.data_type().is_nested()) {
            return Err(Error::new(
                ErrorKind::Validation,
                format!("column '{}' is nested, which CSV cannot hold", field.name()),
            )
            .with_hint("use --format json, arrow or parquet, or choose other --columns"));
        }
        let uuids = schema.fields().iter().map(|field| options.uuids.have(field)).collect();
        let null = options.csv_null.clone();
        let mut csv = Self { out, null, uuids, lines: String::new(), value: String::new() };
        for (i, field) in schema.fields().iter().enumerate() {
            csv.value.clone_from(field.name());
            csv.field(i, true);
        }
        csv.lines.push('\n');
        csv.flush()?;
        Ok(csv)
    }

    /// Writes the value as the field of this number; NULL as it is, a text in quotes where it needs them.
    fn field(&mut self, number: usize, text: bool) {
        if number > 0 {
            self.lines.push(',');
        }
        let special = |byte: u8| matches!(byte, b',' | b'"' | b'\n' | b'\r');
        let quotes = text
            && (self.value.is_empty()
                || self.value == self.null
                || self.value.starts_with('\u{feff}')
                || self.value.bytes().any(special));
        if !quotes {
            self.lines.push_str(&self.value);
            return;
        }
        self.lines.push('"');
        for (i, part) in self.value.split('"').enumerate() {
            if i > 0 {
                self.lines.push_str("\"\"");
            }
            self.lines.push_str(part);
        }
        self.lines.push('"');
    }

    fn flush(&mut self) -> Result<()> {
        self.out.write_all(self.lines.as_bytes())?;
        self.lines.clear();
        Ok(())
    }
}

impl Sink for Csv {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let options = FormatOptions::default().with_display_error(false);
        let formatters =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
        let formatters = formatters.collect::<Result<Vec<_>, _>>().map_err(arrow_error)?;
        for row in 0..batch.num_rows() {
            for (number, (column, formatter)) in batch.columns().iter().zip(&formatters).enumerate() {
                self.value.clear();
                if column.is_null(row) {
                    self.value.push_str(&self.null);
                    self.field(number, false);
                    continue;
                }
                if self.uuids[number]
                    && let Some(bytes) = column.as_fixed_size_binary_opt()
                {
                    uuid::write(bytes.value(row), &mut self.value);
                } else if write!(self.value, "{}", formatter.value(row)).is_err() {
                    return Err(years::beyond());
                }
                self.field(number, true);
            }
            self.lines.push('\n');
            if self.lines.len() > CHUNK {
                self.flush()?;
            }
        }
        self.flush()
    }

    fn finish(mut self: Box<Self>) -> Result<Out> {
        self.flush()?;
        Ok(self.out)
    }
}

/// JSON with one object a line. Every object has every key; NaN and infinite numbers are strings, since JSON
/// has none.
pub(super) struct Lines {
    writer: LineDelimitedWriter<Out>,
}

impl Lines {
    pub(super) fn new(out: Out, options: &SinkOptions) -> Self {
        let values = Values { uuids: options.uuids.clone() };
        let builder = arrow_json::WriterBuilder::new().with_explicit_nulls(true);
        Self { writer: builder.with_encoder_factory(Arc::new(values)).build(out) }
    }
}

impl Sink for Lines {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        years::check(batch)?;
        self.writer.write(batch).map_err(arrow_error)
    }

    fn finish(mut self: Box<Self>) -> Result<Out> {
        self.writer.finish().map_err(arrow_error)?;
        Ok(self.writer.into_inner())
    }
}
