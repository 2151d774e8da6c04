//! Parquet files.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef};
use floe::footer::{OldCalendar, arrow_metadata, completed, encrypted, mended};
use floe::{Error, ErrorKind, Result};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::LogicalType;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::schema::types::SchemaDescriptor;

use super::BATCH_ROWS;
use super::int96::LastDigits;
use super::source::{Batches, Seekable};
use crate::schema_from::{EXTENSION, UUID};

/// The schema in the footer.
pub(super) fn schema(file: &Seekable, label: &str) -> Result<SchemaRef> {
    let builder = builder(file, label)?;
    let mut next = 0;
    let fields = builder.schema().fields().iter();
    let fields: Vec<FieldRef> =
        fields.map(|field| named(field, builder.parquet_schema(), &mut next)).collect();
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
    Ok(rows_of(&builder(file, label)?))
}

pub(super) fn read(file: Seekable, label: String) -> Result<Batches> {
    let builder = builder(&file, &label)?;
    let (promised, calendar) = (rows_of(&builder), OldCalendar::of(builder.metadata(), builder.schema()));
    let failed = |e: ParquetError| unreadable(&label, &e.into());
    let footer = builder.metadata().clone();
    let mut digits = LastDigits::of(file.open()?, footer, BATCH_ROWS).map_err(failed)?;
    let mut reader = builder.with_batch_size(BATCH_ROWS).build().map_err(failed)?;
    let (mut rows, mut ended) = (0, false);
    Ok(Box::new(std::iter::from_fn(move || {
        // A spooled file lives as long as its reader.
        let _keep = &file;
        if ended {
            return None;
        }
        let Some(batch) = reader.next() else {
            ended = true;
            // Rows that are missing must not look like an end.
            return (rows != promised).then(|| Err(broken_promise(&label, rows, promised)));
        };
        ended = batch.is_err();
        Some(batch.map_err(|e| unreadable(&label, &e)).and_then(|batch| {
            rows += batch.num_rows() as u64;
            calendar.check(&batch).map_err(|e| e.context(&label))?;
            if let Some(digits) = &mut digits {
                digits.check(&batch, &label)?;
            }
            Ok(batch)
        }))
    })))
}

/// The rows of all row groups.
fn rows_of(builder: &ParquetRecordBatchReaderBuilder<File>) -> u64 {
    u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0)
}

fn builder(file: &Seekable, label: &str) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let mut file = file.open()?;
    let (end, tail) = check_magic(&mut file, label)?;
    // The Arrow schema that some writers embed asks for dictionaries and views; plain types are wanted here.
    let metadata = ParquetMetaDataReader::new()
        .parse_and_finish(&file)
        .or_else(|error| completed(&tail).ok_or(error))
        .and_then(|metadata| mended(metadata, end))
        .and_then(|metadata| arrow_metadata(Arc::new(metadata), None));
    let metadata = metadata.map_err(|e| {
        Error::validation(format!("{label}: the footer of this Parquet file cannot be read: {e}"))
            .with_hint("the file is damaged, or was not written to its end")
    })?;
    Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata))
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
