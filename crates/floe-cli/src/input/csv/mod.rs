//! Comma-separated values: a header line, then rows.
//!
//! All fields are read as text and converted here, so that an error names file, line and column, and never the
//! value.

mod records;

use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use floe::plan::convert::{Unfit, parse};
use floe::{Error, ErrorKind, Result};

use self::records::{Nulls, Records};
use super::head::Text;
use super::source::Batches;
use super::{BATCH_ROWS, ReadOptions, infer as inference, sniff};

/// The schema of a new table: names from the header, types from the first rows.
pub(super) fn infer(text: &Text, label: &str, options: &ReadOptions) -> Result<SchemaRef> {
    let head = text.head()?;
    let (names, mut records) = opened(Cursor::new(head.bytes), label, !head.whole, options)?;
    let sample = records.rows(names.len(), options.infer_rows.max(1), &nulls(options))?;
    let fields = names.iter().enumerate().map(|(i, name)| {
        let data_type = sample.as_ref().map_or(DataType::Utf8, |rows| inference::infer(&rows.columns[i]));
        Field::new(name, data_type, true)
    });
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

/// The columns of the header with the types of the table.
pub(super) fn schema_for(
    text: &Text,
    label: &str,
    table: &Schema,
    options: &ReadOptions,
) -> Result<SchemaRef> {
    let head = text.head()?;
    let (names, _) = opened(Cursor::new(head.bytes), label, !head.whole, options)?;
    // A first row that is data is not quoted.
    if !names.iter().any(|name| table.field_with_name(name).is_ok()) {
        return Err(Error::new(
            ErrorKind::SchemaMismatch,
            format!("{label}: the table has none of the {} columns that the first line names", names.len()),
        )
        .with_hint(
            "CSV starts with a line that names its columns; `floe describe` shows those of the table",
        ));
    }
    let fields = names.iter().map(|name| {
        let field = table.field_with_name(name).map_err(|_| unknown_column(label, name))?;
        if field.data_type().is_nested() {
            return Err(Error::new(
                ErrorKind::SchemaMismatch,
                format!("{label}: column '{name}' is nested, which CSV cannot hold"),
            )
            .with_hint("use JSON, Parquet or Arrow"));
        }
        Ok(Field::new(name, field.data_type().clone(), true))
    });
    Ok(Arc::new(Schema::new(fields.collect::<Result<Vec<_>>>()?)))
}

pub(super) fn read(text: Text, label: String, schema: SchemaRef, options: &ReadOptions) -> Result<Batches> {
    let (_, mut records) = opened(text.read()?, &label, false, options)?;
    let (nulls, convert) = (nulls(options), options.convert);
    let mut next = move || -> Result<Option<RecordBatch>> {
        let Some(rows) = records.rows(schema.fields().len(), BATCH_ROWS, &nulls)? else { return Ok(None) };
        let columns = rows.columns.iter().zip(schema.fields()).map(|(column, field)| {
            parse(column, field.data_type(), &convert).map_err(|unfit| {
                let error = unparsed(&label, rows.lines[unfit.row], field.name(), field.data_type(), &unfit);
                if unfit.why.is_none() && column.is_valid(unfit.row) && column.value(unfit.row).is_empty() {
                    return error
                        .with_hint("an empty field in quotes is a text; --null-quoted takes it for NULL");
                }
                error
            })
        });
        RecordBatch::try_new(schema.clone(), columns.collect::<Result<_>>()?)
            .map(Some)
            .map_err(|e| Error::new(ErrorKind::Internal, format!("{label}: {e}")))
    };
    Ok(Box::new(std::iter::from_fn(move || next().transpose())))
}

/// The error for a column that the table does not have.
pub(super) fn unknown_column(label: &str, name: &str) -> Error {
    Error::new(ErrorKind::SchemaMismatch, format!("{label}: the table has no column '{name}'"))
        .with_hint("names are matched by letter and case; `floe describe` shows the table's")
}

/// The error for a text that does not fit its column.
pub(super) fn unparsed(label: &str, line: usize, column: &str, to: &DataType, unfit: &Unfit) -> Error {
    let why = unfit.why.map(|why| format!(": {why}")).unwrap_or_default();
    Error::new(
        ErrorKind::SchemaMismatch,
        format!(
            "{label}, line {line}: the value of column '{column}' is no {}{why}",
            crate::render::arrow_type(to)
        ),
    )
}

/// The names of the columns, and the rows after them.
fn opened<R: Read>(
    read: R,
    label: &str,
    partial: bool,
    options: &ReadOptions,
) -> Result<(Vec<String>, Records<R>)> {
    let mut records = Records::new(read, delimiter(label, options), label, partial);
    let hint = "CSV starts with a line that names its columns";
    let Some(names) = records.header()? else {
        return Err(Error::validation(format!("{label}: the file is empty")).with_hint(hint));
    };
    if names.iter().all(|name| name.trim().is_empty()) && names.len() == 1 {
        return Err(Error::validation(format!("{label}: the file is empty")).with_hint(hint));
    }
    let mut seen = HashMap::new();
    for (position, name) in names.iter().enumerate() {
        let fault = if name.trim().is_empty() {
            format!("column {} has no name", position + 1)
        } else if let Some(before) = seen.insert(name, position) {
            format!("columns {} and {} have one name", before + 1, position + 1)
        } else {
            continue;
        };
        return Err(Error::validation(format!("{label}: {fault}")).with_hint(hint));
    }
    Ok((names, records))
}

fn nulls(options: &ReadOptions) -> Nulls {
    Nulls { texts: options.nulls.clone(), quoted: options.null_quoted }
}

fn delimiter(label: &str, options: &ReadOptions) -> u8 {
    options.delimiter.unwrap_or(if sniff::is_tsv(label) { b'\t' } else { b',' })
}

#[cfg(test)]
mod tests;
