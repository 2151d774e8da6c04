//! Rows to people and files: aligned tables, CSV, JSON, Arrow and Parquet.

mod columnar;
mod delimited;
mod object;
mod sink;
mod table;
mod target;
mod uuid;
mod values;
mod years;

pub(crate) use object::ObjectFrame;
#[cfg(test)]
pub(crate) use sink::sink;
pub(crate) use sink::{SinkOptions, write_rows};
pub(crate) use table::{Layout, plain_table};
pub(crate) use target::{Target, stdout, stdout_is_closed};
pub(crate) use uuid::Uuids;

use std::path::Path;

use crate::args::OutputFormat;

/// The format that the extension of an output file stands for.
pub(crate) fn by_extension(path: &Path) -> Option<OutputFormat> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "csv" => Some(OutputFormat::Csv),
        "json" | "ndjson" | "jsonl" => Some(OutputFormat::Json),
        "arrow" | "arrows" | "feather" | "ipc" => Some(OutputFormat::Arrow),
        "parquet" | "pq" => Some(OutputFormat::Parquet),
        "txt" => Some(OutputFormat::Table),
        _ => None,
    }
}
