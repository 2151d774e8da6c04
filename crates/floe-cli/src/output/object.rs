//! All rows of a scan in one JSON object, written as they come.

use std::io::Write;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_json::ArrayWriter;
use floe::Result;
use serde_json::{Map, Value};

use super::sink::{Out, Sink, SinkOptions, arrow_error};
use super::values::Values;
use super::years;

/// The fields of the object that are known before the rows are.
#[derive(Debug, Clone, Default)]
pub(crate) struct ObjectFrame {
    /// Fields that come before `data`.
    pub(crate) before: Map<String, Value>,
}

impl ObjectFrame {
    /// Writes the fields after `data`, and closes the object.
    pub(crate) fn close(out: &mut dyn Write, after: &Map<String, Value>) -> std::io::Result<()> {
        for (key, value) in after {
            write!(out, ",{}:{value}", Value::from(key.as_str()))?;
        }
        out.write_all(b"}\n")
    }
}

/// Writes `{…, "data":[{…},…]`; [`ObjectFrame::close`] writes the rest when the counts are known.
pub(super) struct Object {
    writer: ArrayWriter<Out>,
}

impl Object {
    pub(super) fn new(frame: ObjectFrame, mut out: Out, options: &SinkOptions) -> Result<Self> {
        out.write_all(b"{")?;
        for (key, value) in &frame.before {
            write!(out, "{}:{value},", Value::from(key.as_str()))?;
        }
        out.write_all(b"\"data\":")?;
        let values = Values { uuids: options.uuids.clone() };
        let builder = arrow_json::WriterBuilder::new().with_explicit_nulls(true);
        Ok(Self { writer: builder.with_encoder_factory(Arc::new(values)).build(out) })
    }
}

impl Sink for Object {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        years::check(batch)?;
        self.writer.write(batch).map_err(arrow_error)
    }

    fn finish(mut self: Box<Self>) -> Result<Out> {
        self.writer.finish().map_err(arrow_error)?;
        Ok(self.writer.into_inner())
    }
}
