//! Parquet files.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef};
use floe::data::decoding::{BATCH_BYTES, Decoding, view_metadata};
use floe::data::footer::{TRAILER, is_plausible};
use floe::footer::{OldCalendar, arrow_metadata, completed, encrypted, mended};
use floe::plan::rows::size::{batch_bytes, plain, split};
use floe::{Error, ErrorKind, Result};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::LogicalType;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::schema::types::SchemaDescriptor;

use super::BATCH_ROWS;
use super::int96::LastDigits;
use super::source::{Batches, Seekable};
use crate::schema_from::{EXTENSION, UUID};

/// The schema in the footer.
pub(super) fn schema(file: &Seekable, label: &str) -> Result<SchemaRef> {
    let metadata = metadata(file, label)?;
    let mut next = 0;
    let fields = metadata.schema().fields().iter();
    let fields: Vec<FieldRef> =
        fields.map(|field| named(field, metadata.parquet_schema(), &mut next)).collect();
    Ok(Arc::new(Schema::new(fields)))
}

/// The field, with its UUIDs named as such, at every depth. `next` is the number of its first leaf.
fn named(field: &FieldRef, parquet: &SchemaDescriptor, next: &mut usize) -> FieldRef {
    let mut inner = |inner: &FieldRef| named(inner, parquet, next);
    let data_type = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        DataType::List(item) => DataType::List(inner(item)),
        DataType::LargeList(item) => DataType::LargeList(inner(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(inner(item), *size),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
        _ => {
            let leaf = *next;
            *next += 1;
            let uuid = leaf < parquet.num_columns()
                && matches!(parquet.column(leaf).logical_type_ref(), Some(LogicalType::Uuid));
            let metadata = uuid.then(|| (EXTENSION.to_owned(), UUID.to_owned()));
            return Arc::new(Field::clone(field).with_metadata(metadata.into_iter().collect()));
        }
    };
    Arc::new(Field::clone(field).with_data_type(data_type).with_metadata(HashMap::new()))
}

/// The number of rows that the footer states.
pub(super) fn rows(file: &Seekable, label: &str) -> Result<u64> {
    Ok(rows_of(metadata(file, label)?.metadata()))
}

pub(super) fn read(file: Seekable, label: String) -> Result<Batches> {
    let metadata = metadata(&file, &label)?;
    let footer = metadata.metadata();
    let groups: Vec<usize> = (0..footer.num_row_groups()).collect();
    let leaves = 0..footer.file_metadata().schema_descr().num_columns();
    let rows = Rows {
        decoding: Decoding::plan(footer, &groups, leaves, BATCH_ROWS, BATCH_BYTES),
        calendar: OldCalendar::of(footer, metadata.schema()),
        file,
        label,
        metadata,
        open: None,
        given: 0,
        ready: VecDeque::new(),
        ended: false,
    };
    Ok(Box::new(rows))
}

/// Batches of bounded bytes; see [`Decoding`].
struct Rows {
    /// A spooled file lives as long as its reader.
    file: Seekable,
    label: String,
    metadata: ArrowReaderMetadata,
    calendar: OldCalendar,
    decoding: Decoding,
    open: Option<Open>,
    /// Rows that came so far: those to leave out when the decoding begins again.
    given: usize,
    ready: VecDeque<RecordBatch>,
    ended: bool,
}

/// Readers of the same rows.
struct Open {
    rows: ParquetRecordBatchReader,
    digits: Option<LastDigits>,
}

impl Iterator for Rows {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let batch = self.batch();
        self.ended = !matches!(batch, Ok(Some(_)));
        batch.transpose()
    }
}

impl Rows {
    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                super::refuse_oversized(&batch, &self.label)?;
                return plain(&batch).map(Some).map_err(|e| unreadable(&self.label, &e));
            }
            if self.open.is_none() {
                self.open = Some(self.build()?);
            }
            let Some(open) = &mut self.open else { continue };
            match open.rows.next() {
                Some(Ok(batch)) => {
                    self.calendar.check(&batch).map_err(|e| e.context(&self.label))?;
                    if let Some(digits) = &mut open.digits {
                        digits.check(&batch, &self.label)?;
                    }
                    let (rows, taken) = (batch.num_rows(), batch_bytes(&batch));
                    self.given += rows;
                    if let Some(fewer) = self.decoding.after_large(rows, taken, BATCH_BYTES) {
                        self.again(fewer);
                    }
                    self.ready.extend(split(batch, BATCH_BYTES));
                }
                Some(Err(error)) => {
                    let wrapped = ParquetError::General(error.to_string());
                    match self.decoding.after_error(&wrapped) {
                        Some(fewer) => self.again(fewer),
                        None => return Err(unreadable(&self.label, &error)),
                    }
                }
                None => {
                    // Rows that are missing must not look like an end.
                    let (rows, promised) = (self.given as u64, rows_of(self.metadata.metadata()));
                    return if rows == promised {
                        Ok(None)
                    } else {
                        Err(broken_promise(&self.label, rows, promised))
                    };
                }
            }
        }
    }

    fn again(&mut self, decoding: Decoding) {
        self.decoding = decoding;
        self.open = None;
    }

    /// Readers of the rows behind those that came.
    fn build(&self) -> Result<Open> {
        let failed = |e: ParquetError| unreadable(&self.label, &e.into());
        let metadata = match self.decoding.views {
            true => view_metadata(&self.metadata, options()).map_err(failed)?,
            false => self.metadata.clone(),
        };
        let rows = ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.open()?, metadata)
            .with_batch_size(self.decoding.rows)
            .with_offset(self.given)
            .build()
            .map_err(failed)?;
        let footer = self.metadata.metadata().clone();
        let digits = LastDigits::of(self.file.open()?, footer, self.decoding.rows, self.given);
        Ok(Open { rows, digits: digits.map_err(failed)? })
    }
}

/// The rows of all row groups.
fn rows_of(metadata: &ParquetMetaData) -> u64 {
    u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0)
}

fn metadata(file: &Seekable, label: &str) -> Result<ArrowReaderMetadata> {
    let mut file = file.open()?;
    let (end, tail) = check_magic(&mut file, label)?;
    let no_footer = |why: &str| {
        Error::validation(format!("{label}: the footer of this Parquet file cannot be read: {why}"))
            .with_hint("the file is damaged, or was not written to its end")
    };
    if !is_plausible(&tail[..tail.len().saturating_sub(TRAILER)]) {
        return Err(no_footer("it states what cannot be"));
    }
    ParquetMetaDataReader::new()
        .parse_and_finish(&file)
        .or_else(|error| completed(&tail).ok_or(error))
        .and_then(|metadata| mended(metadata, end))
        .and_then(|metadata| arrow_metadata(Arc::new(metadata), None))
        .map_err(|e| no_footer(&e.to_string()))
}

/// The Arrow schema that some writers embed asks for dictionaries and views; plain types are wanted here.
fn options() -> ArrowReaderOptions {
    ArrowReaderOptions::new().with_skip_arrow_metadata(true)
}

/// Checks that this is a Parquet file that can be read without keys. Gives the place where its footer begins, and
/// the file from there on.
fn check_magic(file: &mut File, label: &str) -> Result<(u64, Vec<u8>)> {
    let in_file = |e: std::io::Error| Error::from(e).context(label);
    let length = file.metadata().map_err(in_file)?.len();
    let mut magic = [0_u8; 4];
    let starts = length >= 12 && file.read_exact(&mut magic).is_ok();
    if !starts || !matches!(&magic, b"PAR1" | b"PARE") {
        let what = if length == 0 { "the file is empty" } else { "this is not a Parquet file" };
        return Err(Error::validation(format!("{label}: {what}"))
            .with_hint("--input-format says what it is, whatever its extension"));
    }
    let mut end = [0_u8; 8];
    file.seek(SeekFrom::End(-8)).map_err(in_file)?;
    file.read_exact(&mut end).map_err(in_file)?;
    let footer = u64::from(u32::from_le_bytes([end[0], end[1], end[2], end[3]]));
    let start = length.saturating_sub(8 + footer);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(start)).map_err(in_file)?;
    file.read_to_end(&mut tail).map_err(in_file)?;
    file.rewind().map_err(in_file)?;
    if let Some(why) = encrypted(&tail) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("{label}: this Parquet file cannot be read: {why}"),
        )
        .with_hint("decrypt it with what has the keys, and give the plain file"));
    }
    if &end[4..] != b"PAR1" {
        return Err(Error::validation(format!("{label}: this Parquet file has no end"))
            .with_hint("it was not written or copied to its end"));
    }
    Ok((start, tail))
}

/// The reason is told: the crate's words hold no values.
fn unreadable(label: &str, error: &ArrowError) -> Error {
    let why = match error {
        ArrowError::ParquetError(why) => why.clone(),
        _ => "its values do not fit their types".to_owned(),
    };
    let missing = ["NYI", "not supported", "not yet supported", "Disabled feature"];
    let kind = match missing.iter().any(|words| why.contains(words)) {
        true => ErrorKind::Unsupported,
        false => ErrorKind::Corrupted,
    };
    Error::new(kind, format!("{label}: a page of this Parquet file cannot be read: {why}"))
}

fn broken_promise(label: &str, rows: u64, promised: u64) -> Error {
    let why = format!("its pages hold {rows} rows where its row groups promise {promised}");
    Error::new(ErrorKind::Corrupted, format!("{label}: this Parquet file is damaged: {why}"))
}
