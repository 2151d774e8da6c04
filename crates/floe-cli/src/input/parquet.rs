//! Parquet files.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema, SchemaRef};
use floe::data::decoding::{BATCH_BYTES, Decoding, view_metadata};
use floe::data::footer::{TRAILER, footer_length, is_plausible};
use floe::plan::rows::size::{batch_bytes, plain, split};
use floe::{Error, ErrorKind, Result};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::LogicalType;
use parquet::errors::ParquetError;

use super::BATCH_ROWS;
use super::normalise::{normal_schema, normalise};
use super::source::{Batches, Seekable};
use crate::schema_from::{EXTENSION, UUID};

/// The schema in the footer, with types as Iceberg has them.
pub(super) fn schema(file: &Seekable, label: &str) -> Result<SchemaRef> {
    let metadata = metadata(file, label)?;
    let columns = metadata.parquet_schema().root_schema().get_fields();
    let fields = metadata.schema().fields().iter().zip(columns).map(|(field, column)| {
        let uuid = matches!(column.get_basic_info().logical_type_ref(), Some(LogicalType::Uuid));
        let metadata = uuid.then(|| (EXTENSION.to_owned(), UUID.to_owned()));
        Field::clone(field).with_metadata(metadata.into_iter().collect())
    });
    normal_schema(&Schema::new(fields.collect::<Vec<_>>()), label)
}

/// The number of rows that the footer states.
pub(super) fn rows(file: &Seekable, label: &str) -> Result<u64> {
    Ok(metadata(file, label)?.metadata().file_metadata().num_rows().max(0) as u64)
}

pub(super) fn read(file: Seekable, label: String, schema: SchemaRef) -> Result<Batches> {
    let metadata = metadata(&file, &label)?;
    let footer = metadata.metadata();
    let groups: Vec<usize> = (0..footer.num_row_groups()).collect();
    let leaves = 0..footer.file_metadata().schema_descr().num_columns();
    let decoding = Decoding::plan(footer, &groups, leaves, BATCH_ROWS, BATCH_BYTES);
    let rows = Rows { file, label, schema, metadata, decoding, open: None, given: 0, ready: VecDeque::new() };
    Ok(Box::new(rows))
}

/// Batches of bounded bytes; see [`Decoding`].
struct Rows {
    file: Seekable,
    label: String,
    schema: SchemaRef,
    metadata: ArrowReaderMetadata,
    decoding: Decoding,
    open: Option<ParquetRecordBatchReader>,
    /// Rows that came so far: those to leave out when the decoding begins again.
    given: usize,
    ready: VecDeque<RecordBatch>,
}

impl Iterator for Rows {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Some(one(&batch, &self.schema, &self.label));
            }
            let open = match &mut self.open {
                Some(open) => open,
                closed => match build(&self.file, &self.metadata, self.decoding, self.given, &self.label) {
                    Ok(reader) => closed.insert(reader),
                    Err(error) => return Some(Err(error)),
                },
            };
            match open.next()? {
                Ok(batch) => {
                    let (rows, taken) = (batch.num_rows(), batch_bytes(&batch));
                    self.given += rows;
                    if let Some(fewer) = self.decoding.after_large(rows, taken, BATCH_BYTES) {
                        self.decoding = fewer;
                        self.open = None;
                    }
                    self.ready.extend(split(batch, BATCH_BYTES));
                }
                Err(error) => {
                    let error = ParquetError::External(Box::new(error));
                    match self.decoding.after_error(&error) {
                        Some(fewer) => {
                            self.decoding = fewer;
                            self.open = None;
                        }
                        None => return Some(Err(damaged(&self.label, error))),
                    }
                }
            }
        }
    }
}

fn one(batch: &RecordBatch, schema: &SchemaRef, label: &str) -> Result<RecordBatch> {
    super::refuse_oversized(batch, label)?;
    let batch = plain(batch).map_err(|e| damaged(label, e))?;
    normalise(&batch, schema, label)
}

fn build(
    file: &Seekable,
    metadata: &ArrowReaderMetadata,
    decoding: Decoding,
    given: usize,
    label: &str,
) -> Result<ParquetRecordBatchReader> {
    let metadata = match decoding.views {
        true => view_metadata(metadata, options()).map_err(|e| damaged(label, e))?,
        false => metadata.clone(),
    };
    ParquetRecordBatchReaderBuilder::new_with_metadata(file.open()?, metadata)
        .with_batch_size(decoding.rows)
        .with_offset(given)
        .build()
        .map_err(|e| damaged(label, e))
}

fn metadata(file: &Seekable, label: &str) -> Result<ArrowReaderMetadata> {
    let mut file = file.open()?;
    check_magic(&mut file, label)?;
    let no_footer = || {
        Error::validation(format!("{label}: the footer of this Parquet file cannot be read"))
            .with_hint("the file is damaged, encrypted or was not written to its end")
    };
    if !footer(&mut file).is_some_and(|footer| is_plausible(&footer)) {
        return Err(no_footer());
    }
    ArrowReaderMetadata::load(&file, options()).map_err(|_| no_footer())
}

/// The footer as it is stored.
fn footer(file: &mut File) -> Option<Vec<u8>> {
    let end = file.seek(SeekFrom::End(-(TRAILER as i64))).ok()?;
    let mut trailer = [0; TRAILER];
    file.read_exact(&mut trailer).ok()?;
    let length = footer_length(&trailer)?;
    file.seek(SeekFrom::Start(end.checked_sub(length)?)).ok()?;
    let mut footer = Vec::new();
    file.take(length).read_to_end(&mut footer).ok()?;
    Some(footer)
}

/// The Arrow schema that some writers embed asks for dictionaries and views; plain types are wanted here.
fn options() -> ArrowReaderOptions {
    ArrowReaderOptions::new().with_skip_arrow_metadata(true)
}

fn check_magic(file: &mut File, label: &str) -> Result<()> {
    let in_file = |e: std::io::Error| Error::from(e).context(label);
    let length = file.metadata().map_err(in_file)?.len();
    let mut magic = [0_u8; 4];
    let starts = length >= 12 && file.read_exact(&mut magic).is_ok() && &magic == b"PAR1";
    if !starts {
        let what = if length == 0 { "the file is empty" } else { "this is not a Parquet file" };
        return Err(Error::validation(format!("{label}: {what}"))
            .with_hint("--input-format says what it is, whatever its extension"));
    }
    file.seek(SeekFrom::End(-4)).map_err(in_file)?;
    file.read_exact(&mut magic).map_err(in_file)?;
    file.rewind().map_err(in_file)?;
    if &magic != b"PAR1" {
        return Err(Error::validation(format!("{label}: this Parquet file has no end"))
            .with_hint("it was not written or copied to its end"));
    }
    Ok(())
}

fn damaged(label: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Corrupted, format!("{label}: a page of this Parquet file cannot be read"))
        .with_source(error)
}
