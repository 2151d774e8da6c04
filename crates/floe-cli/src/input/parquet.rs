//! Parquet files.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

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
use parquet::file::metadata::{FileMetaData, ParquetMetaData, ParquetMetaDataBuilder};

use super::BATCH_ROWS;
use super::source::{Batches, Seekable};
use crate::schema_from::{EXTENSION, UUID};

/// The schema in the footer.
pub(super) fn schema(file: &Seekable, label: &str) -> Result<SchemaRef> {
    let metadata = metadata(file, label)?;
    let columns = metadata.parquet_schema().root_schema().get_fields();
    let fields = metadata.schema().fields().iter().zip(columns).map(|(field, column)| {
        let uuid = matches!(column.get_basic_info().logical_type_ref(), Some(LogicalType::Uuid));
        let metadata = uuid.then(|| (EXTENSION.to_owned(), UUID.to_owned()));
        Field::clone(field).with_metadata(metadata.into_iter().collect())
    });
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

/// The number of rows that the footer states, row group by row group.
pub(super) fn rows(file: &Seekable, label: &str) -> Result<u64> {
    Ok(stated(metadata(file, label)?.metadata()))
}

pub(super) fn read(file: Seekable, label: String) -> Result<Batches> {
    let metadata = metadata(&file, &label)?;
    let footer = metadata.metadata();
    let groups: Vec<usize> = (0..footer.num_row_groups()).collect();
    let leaves = 0..footer.file_metadata().schema_descr().num_columns();
    let decoding = Decoding::plan(footer, &groups, leaves, BATCH_ROWS, BATCH_BYTES);
    let rows =
        Rows { file, label, metadata, decoding, open: None, given: 0, ready: VecDeque::new(), ended: false };
    Ok(Box::new(rows))
}

/// Batches of bounded bytes; see [`Decoding`].
struct Rows {
    /// A spooled file lives as long as its reader.
    file: Seekable,
    label: String,
    metadata: ArrowReaderMetadata,
    decoding: Decoding,
    open: Option<ParquetRecordBatchReader>,
    /// Rows that came so far: those to leave out when the decoding begins again.
    given: usize,
    ready: VecDeque<RecordBatch>,
    ended: bool,
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
                return plain(&batch).map(Some).map_err(|e| damaged(&self.label, e));
            }
            if self.open.is_none() {
                self.open = Some(self.build()?);
            }
            let Some(open) = &mut self.open else { continue };
            match open.next() {
                Some(Ok(batch)) => {
                    let (rows, taken) = (batch.num_rows(), batch_bytes(&batch));
                    self.given += rows;
                    if let Some(fewer) = self.decoding.after_large(rows, taken, BATCH_BYTES) {
                        self.again(fewer);
                    }
                    self.ready.extend(split(batch, BATCH_BYTES));
                }
                Some(Err(error)) => {
                    let error = ParquetError::External(Box::new(error));
                    match self.decoding.after_error(&error) {
                        Some(fewer) => self.again(fewer),
                        None => return Err(damaged(&self.label, error)),
                    }
                }
                None => {
                    // Rows that are missing must not look like an end.
                    let (found, expected) = (self.given as u64, stated(self.metadata.metadata()));
                    if found == expected {
                        return Ok(None);
                    }
                    return Err(Error::new(
                        ErrorKind::Corrupted,
                        format!(
                            "{}: the pages of this Parquet file have {found} rows, its row groups state {expected}",
                            self.label
                        ),
                    ));
                }
            }
        }
    }

    fn again(&mut self, decoding: Decoding) {
        self.decoding = decoding;
        self.open = None;
    }

    /// A reader of the rows behind those that came.
    fn build(&self) -> Result<ParquetRecordBatchReader> {
        let metadata = match self.decoding.views {
            true => view_metadata(&self.metadata, options()).map_err(|e| damaged(&self.label, e))?,
            false => self.metadata.clone(),
        };
        ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.open()?, metadata)
            .with_batch_size(self.decoding.rows)
            .with_offset(self.given)
            .build()
            .map_err(|e| damaged(&self.label, e))
    }
}

fn stated(metadata: &ParquetMetaData) -> u64 {
    metadata.row_groups().iter().map(|group| group.num_rows().max(0) as u64).sum()
}

fn metadata(file: &Seekable, label: &str) -> Result<ArrowReaderMetadata> {
    let mut file = file.open()?;
    check_magic(&mut file, label)?;
    let no_footer = || {
        Error::validation(format!("{label}: the footer of this Parquet file cannot be read"))
            .with_hint("the file is damaged, or was not written to its end")
    };
    if !footer(&mut file).is_some_and(|footer| is_plausible(&footer)) {
        return Err(no_footer());
    }
    let metadata = ArrowReaderMetadata::load(&file, options()).and_then(|metadata| {
        let found = metadata.metadata();
        if i64::try_from(stated(found)) == Ok(found.file_metadata().num_rows()) {
            return Ok(metadata);
        }
        // The row groups count: some writers leave the total at 0, and the reader would give no rows.
        ArrowReaderMetadata::try_new(Arc::new(recounted(found)), options())
    });
    metadata.map_err(|error| {
        // The reader's own words on encryption and damage; they hold no values.
        if error.to_string().contains("encrypt") { encrypted(label) } else { no_footer() }
    })
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
