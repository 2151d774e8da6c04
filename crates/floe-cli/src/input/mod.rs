//! Inputs: which files, in which format, with which schema; and their rows as a stream of record batches.
//!
//! Reading goes in three steps, so that bad input fails before anything is written: [`discover()`] finds the files
//! and their formats, [`Source::infer_schema`] or [`Source::schema_for`] reads their schemas, [`stream()`] reads
//! the rows with bounded memory.

#[cfg(test)]
mod agree;
mod csv;
mod discover;
mod head;
mod infer;
mod int96;
mod ipc;
mod json;
mod normalise;
mod parquet;
mod sniff;
mod source;
mod state;
mod stream;
mod unify;

pub(crate) use discover::{check_once, discover};
pub(crate) use normalise::{normal_schema, normalise};
pub(crate) use source::{Absent, Batches, Source, Target};
pub(crate) use state::untouched;
pub(crate) use stream::stream;
pub(crate) use unify::{adapter, unify, with_others};

use arrow_array::RecordBatch;
use floe::plan::convert::{ConvertOptions, Epoch};
use floe::plan::rows::size::oversized;
use floe::{Error, ErrorKind, Result};

use crate::args::{EpochUnit, InputArgs, InputFormat};

/// How inputs are read.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadOptions {
    /// The format of every input; by extension or content when absent.
    pub(crate) format: Option<InputFormat>,
    /// Texts that stand for NULL in CSV; the empty field when there are none.
    pub(crate) nulls: Vec<String>,
    /// Whether a text in quotes may stand for NULL in CSV.
    pub(crate) null_quoted: bool,
    /// How values are converted.
    pub(crate) convert: ConvertOptions,
    /// The character between CSV fields.
    pub(crate) delimiter: Option<u8>,
    /// Rows that a schema is inferred from.
    pub(crate) infer_rows: usize,
}

impl From<&InputArgs> for ReadOptions {
    fn from(args: &InputArgs) -> Self {
        Self {
            format: args.input_format,
            nulls: args.null.clone(),
            null_quoted: args.null_quoted,
            convert: ConvertOptions {
                epoch: args.epoch.map(|unit| match unit {
                    EpochUnit::S => Epoch::Seconds,
                    EpochUnit::Ms => Epoch::Milliseconds,
                    EpochUnit::Us => Epoch::Microseconds,
                    EpochUnit::Ns => Epoch::Nanoseconds,
                }),
            },
            delimiter: args.delimiter,
            infer_rows: args.infer_rows as usize,
        }
    }
}

/// Rows in a batch that a reader makes, at most: enough for fast kernels. Wide rows make batches of fewer.
const BATCH_ROWS: usize = 16_384;

/// Fails with `Unsupported` for a row that has more in one column than Arrow can hold.
fn refuse_oversized(batch: &RecordBatch, label: &str) -> Result<()> {
    match oversized(batch) {
        Some(column) => Err(Error::new(
            ErrorKind::Unsupported,
            format!("{label}: column '{column}' has more than 2 GiB in one row"),
        )
        .with_hint("leave the row out, or cut the value")),
        None => Ok(()),
    }
}
