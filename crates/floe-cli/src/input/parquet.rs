//! Parquet files.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use arrow_schema::{Field, Schema, SchemaRef};
use floe::{Error, ErrorKind, Result};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::LogicalType;

use super::BATCH_ROWS;
use super::normalise::{normal_schema, normalise};
use super::source::{Batches, Seekable};
use crate::schema_from::{EXTENSION, UUID};

/// The schema in the footer, with types as Iceberg has them.
pub(super) fn schema(file: &Seekable, label: &str) -> Result<SchemaRef> {
    let builder = builder(file, label)?;
    let columns = builder.parquet_schema().root_schema().get_fields();
    let fields = builder.schema().fields().iter().zip(columns).map(|(field, column)| {
        let uuid = matches!(column.get_basic_info().logical_type_ref(), Some(LogicalType::Uuid));
        let metadata = uuid.then(|| (EXTENSION.to_owned(), UUID.to_owned()));
        Field::clone(field).with_metadata(metadata.into_iter().collect())
    });
    normal_schema(&Schema::new(fields.collect::<Vec<_>>()), label)
}

/// The number of rows that the footer states.
pub(super) fn rows(file: &Seekable, label: &str) -> Result<u64> {
    Ok(builder(file, label)?.metadata().file_metadata().num_rows().max(0) as u64)
}

pub(super) fn read(file: Seekable, label: String, schema: SchemaRef) -> Result<Batches> {
    let reader =
        builder(&file, &label)?.with_batch_size(BATCH_ROWS).build().map_err(|e| damaged(&label, e))?;
    Ok(Box::new(reader.map(move |batch| {
        // A spooled file lives as long as its reader.
        let _keep = &file;
        let batch = batch.map_err(|e| damaged(&label, e))?;
        normalise(&batch, &schema, &label)
    })))
}

fn builder(file: &Seekable, label: &str) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let mut file = file.open()?;
    check_magic(&mut file, label)?;
    // The Arrow schema that some writers embed asks for dictionaries and views; plain types are wanted here.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(|_| {
        Error::validation(format!("{label}: the footer of this Parquet file cannot be read"))
            .with_hint("the file is damaged, encrypted or was not written to its end")
    })
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
