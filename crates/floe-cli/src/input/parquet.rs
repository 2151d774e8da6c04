//! Parquet files.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};
use floe::{Error, ErrorKind, Result};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::LogicalType;
use parquet::file::metadata::{FileMetaData, ParquetMetaData, ParquetMetaDataBuilder};

use super::BATCH_ROWS;
use super::source::{Batches, Seekable};
use crate::schema_from::{EXTENSION, UUID};

/// The schema in the footer.
pub(super) fn schema(file: &Seekable, label: &str) -> Result<SchemaRef> {
    let builder = builder(file, label)?;
    let columns = builder.parquet_schema().root_schema().get_fields();
    let fields = builder.schema().fields().iter().zip(columns).map(|(field, column)| {
        let uuid = matches!(column.get_basic_info().logical_type_ref(), Some(LogicalType::Uuid));
        let metadata = uuid.then(|| (EXTENSION.to_owned(), UUID.to_owned()));
        Field::clone(field).with_metadata(metadata.into_iter().collect())
    });
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

/// The number of rows that the footer states, row group by row group.
pub(super) fn rows(file: &Seekable, label: &str) -> Result<u64> {
    Ok(stated(builder(file, label)?.metadata()))
}

pub(super) fn read(file: Seekable, label: String) -> Result<Batches> {
    let builder = builder(&file, &label)?;
    let expected = stated(builder.metadata());
    let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(|e| damaged(&label, e))?;
    let (mut found, mut ended) = (0, false);
    let all = reader.map(Some).chain(std::iter::once(None));
    Ok(Box::new(all.filter_map(move |batch| {
        // A spooled file lives as long as its reader.
        let _keep = &file;
        match batch {
            Some(Ok(batch)) => {
                found += batch.num_rows() as u64;
                Some(Ok(batch))
            }
            Some(Err(error)) => {
                ended = true;
                Some(Err(damaged(&label, error)))
            }
            // Rows that are missing must not look like an end.
            None if found == expected || ended => None,
            None => Some(Err(Error::new(
                ErrorKind::Corrupted,
                format!("{label}: the pages of this Parquet file have {found} rows, its row groups state {expected}"),
            ))),
        }
    })))
}

fn stated(metadata: &ParquetMetaData) -> u64 {
    metadata.row_groups().iter().map(|group| group.num_rows().max(0) as u64).sum()
}

fn builder(file: &Seekable, label: &str) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let mut file = file.open()?;
    check_magic(&mut file, label)?;
    // The Arrow schema that some writers embed asks for dictionaries and views; plain types are wanted here.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata = ArrowReaderMetadata::load(&file, options.clone()).and_then(|metadata| {
        let found = metadata.metadata();
        if i64::try_from(stated(found)) == Ok(found.file_metadata().num_rows()) {
            return Ok(metadata);
        }
        // The row groups count: some writers leave the total at 0, and the reader would give no rows.
        ArrowReaderMetadata::try_new(Arc::new(recounted(found)), options)
    });
    let metadata = metadata.map_err(|error| {
        // The reader's own words on encryption and damage; they hold no values.
        if error.to_string().contains("encrypt") {
            return encrypted(label);
        }
        Error::validation(format!("{label}: the footer of this Parquet file cannot be read"))
            .with_hint("the file is damaged, or was not written to its end")
    })?;
    Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata))
}

/// The metadata, with the rows of all row groups as the number of rows.
fn recounted(metadata: &ParquetMetaData) -> ParquetMetaData {
    let file = metadata.file_metadata();
    let file = FileMetaData::new(
        file.version(),
        stated(metadata) as i64,
        file.created_by().map(str::to_owned),
        file.key_value_metadata().cloned(),
        file.schema_descr_ptr(),
        file.column_orders().cloned(),
    );
    ParquetMetaDataBuilder::new(file).set_row_groups(metadata.row_groups().to_vec()).build()
}

fn check_magic(file: &mut File, label: &str) -> Result<()> {
    let in_file = |e: std::io::Error| Error::from(e).context(label);
    let length = file.metadata().map_err(in_file)?.len();
    let mut magic = [0_u8; 4];
    let read = length >= 12 && file.read_exact(&mut magic).is_ok();
    if read && &magic == b"PARE" {
        return Err(encrypted(label));
    }
    if !read || &magic != b"PAR1" {
        let what = if length == 0 { "the file is empty" } else { "this is not a Parquet file" };
        return Err(Error::validation(format!("{label}: {what}"))
            .with_hint("--input-format says what it is, whatever its extension"));
    }
    file.seek(SeekFrom::End(-4)).map_err(in_file)?;
    file.read_exact(&mut magic).map_err(in_file)?;
    file.rewind().map_err(in_file)?;
    match &magic {
        b"PAR1" => Ok(()),
        b"PARE" => Err(encrypted(label)),
        _ => Err(Error::validation(format!("{label}: this Parquet file has no end"))
            .with_hint("it was not written or copied to its end")),
    }
}

fn encrypted(label: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("{label}: this Parquet file is encrypted, which floe does not read"),
    )
    .with_hint("decrypt it with what has the keys, and give the plain file")
}

fn damaged(label: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    if error.to_string().contains("encrypt") {
        return encrypted(label);
    }
    Error::new(ErrorKind::Corrupted, format!("{label}: a page of this Parquet file cannot be read"))
        .with_source(error)
}
