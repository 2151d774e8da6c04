//! Text with one row a line: CSV and JSON.

use arrow_array::RecordBatch;
use arrow_csv::{Writer, WriterBuilder};
use arrow_json::LineDelimitedWriter;
use arrow_schema::SchemaRef;
use floe::{Error, ErrorKind, Result};

use super::sink::{Out, Sink, arrow_error};

/// CSV with a header line, which is there even when there are no rows.
pub(super) struct Csv {
    writer: Writer<Out>,
}

impl Csv {
    pub(super) fn new(schema: &SchemaRef, out: Out, null: &str) -> Result<Self> {
        if let Some(field) = schema.fields().iter().find(|f| f.data_type().is_nested()) {
            return Err(Error::new(
                ErrorKind::Validation,
                format!("column '{}' is nested, which CSV cannot hold", field.name()),
            )
            .with_hint("use --format json, arrow or parquet, or choose other --columns"));
        }
        let mut writer = WriterBuilder::new().with_header(true).with_null(null.to_owned()).build(out);
        writer.write(&RecordBatch::new_empty(schema.clone())).map_err(arrow_error)?;
        Ok(Self { writer })
    }
}

impl Sink for Csv {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(arrow_error)
    }

    fn finish(self: Box<Self>) -> Result<Out> {
        Ok(self.writer.into_inner())
    }
}

/// JSON with one object a line. Every object has every key; NaN and infinite numbers are `null`, since JSON
/// has none.
pub(super) struct Lines {
    writer: LineDelimitedWriter<Out>,
}

impl Lines {
    pub(super) fn new(out: Out) -> Self {
        let writer = arrow_json::WriterBuilder::new().with_explicit_nulls(true).build(out);
        Self { writer }
    }
}

impl Sink for Lines {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(arrow_error)
    }

    fn finish(mut self: Box<Self>) -> Result<Out> {
        self.writer.finish().map_err(arrow_error)?;
        Ok(self.writer.into_inner())
    }
}
