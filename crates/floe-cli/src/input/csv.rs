//! Comma-separated values: a header line, then rows.
//!
//! All fields are read as text and parsed here, so that an error names file, line and column, and never the
//! value.

use std::collections::HashSet;
use std::io::{Cursor, Read};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_csv::ReaderBuilder;
use arrow_csv::reader::Format;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use floe::{Error, ErrorKind, Result};

use super::head::Text;
use super::source::Batches;
use super::{BATCH_ROWS, ReadOptions, infer as inference, sniff, text};

/// The schema of a new table: names from the header, types from the first rows.
pub(super) fn infer(text: &Text, label: &str, options: &ReadOptions) -> Result<SchemaRef> {
    let names = header(text, label, options)?;
    let head = text.head()?;
    let batch_rows = options.infer_rows.max(1);
    let mut reader = reader(Box::new(Cursor::new(head.bytes)), &names, label, options, batch_rows)?;
    let sample = match reader.next() {
        // The sample may end in the middle of a row.
        Some(Err(_)) if !head.whole => None,
        Some(Err(error)) => return Err(malformed(label, &error)),
        Some(Ok(batch)) => Some(batch),
        None => None,
    };
    let fields = names.iter().enumerate().map(|(i, name)| {
        let data_type = sample.as_ref().map_or(DataType::Utf8, |batch| {
            let texts = with_nulls(batch.column(i), &options.nulls);
            let cut = usize::from(!head.whole && batch.num_rows() < batch_rows);
            inference::infer(&texts.slice(0, texts.len().saturating_sub(cut)))
        });
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
    let names = header(text, label, options)?;
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
    let names: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
    let reader = reader(text.read()?, &names, &label, options, BATCH_ROWS)?;
    let nulls = options.nulls.clone();
    // Line 1 is the header.
    let mut line = 2_usize;
    Ok(Box::new(reader.map(move |batch| {
        let batch = batch.map_err(|e| malformed(&label, &e))?;
        let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
            text::parse(&with_nulls(column, &nulls), field.data_type())
                .map_err(|row| unparsed(&label, line + row, field))
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        line += batch.num_rows();
        RecordBatch::try_new(schema.clone(), columns)
            .map_err(|e| Error::new(ErrorKind::Internal, format!("{label}: {e}")))
    })))
}

/// The error for a column that the table does not have.
pub(super) fn unknown_column(label: &str, name: &str) -> Error {
    Error::new(ErrorKind::SchemaMismatch, format!("{label}: the table has no column '{name}'"))
        .with_hint("names are matched by letter and case; `floe describe` shows the table's")
}

/// The error for a text that is not of its column's type.
pub(super) fn unparsed(label: &str, line: usize, field: &Field) -> Error {
    Error::new(
        ErrorKind::SchemaMismatch,
        format!(
            "{label}, line {line}: the value of column '{}' is no {}",
            field.name(),
            crate::render::arrow_type(field.data_type())
        ),
    )
}

fn header(text: &Text, label: &str, options: &ReadOptions) -> Result<Vec<String>> {
    let head = text.head()?;
    if head.bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::validation(format!("{label}: the file is empty"))
            .with_hint("CSV starts with a line that names its columns"));
    }
    let format = Format::default().with_header(true).with_delimiter(delimiter(label, options));
    let (schema, _) =
        format.infer_schema(Cursor::new(&head.bytes), Some(0)).map_err(|e| malformed(label, &e))?;
    let names: Vec<String> =
        schema.fields().iter().map(|f| f.name().trim_start_matches('\u{feff}').to_owned()).collect();
    let mut seen = HashSet::new();
    for (position, name) in names.iter().enumerate() {
        let fault = if name.trim().is_empty() {
            format!("column {} has no name", position + 1)
        } else if !seen.insert(name) {
            format!("two columns are called '{name}'")
        } else {
            continue;
        };
        return Err(Error::validation(format!("{label}: {fault}"))
            .with_hint("CSV starts with a line that names its columns"));
    }
    Ok(names)
}

fn reader(
    read: Box<dyn Read + Send>,
    names: &[String],
    label: &str,
    options: &ReadOptions,
    batch_rows: usize,
) -> Result<arrow_csv::Reader<Box<dyn Read + Send>>> {
    let fields: Vec<Field> = names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
    ReaderBuilder::new(Arc::new(Schema::new(fields)))
        .with_header(true)
        .with_delimiter(delimiter(label, options))
        .with_batch_size(batch_rows)
        .build(read)
        .map_err(|e| malformed(label, &e))
}

fn delimiter(label: &str, options: &ReadOptions) -> u8 {
    options.delimiter.unwrap_or(if sniff::is_tsv(label) { b'\t' } else { b',' })
}

/// The reader gives NULL for an empty field. When other texts stand for NULL, the empty field is an empty text.
fn with_nulls(column: &ArrayRef, nulls: &[String]) -> StringArray {
    let texts = column.as_string::<i32>();
    if nulls.is_empty() {
        return texts.clone();
    }
    let is_null = |text: &str| nulls.iter().any(|null| null == text);
    texts.iter().map(|text| Some(text.unwrap_or("")).filter(|t| !is_null(t))).collect()
}

/// What is wrong with the text as CSV. Messages of the reader that quote values are left out.
fn malformed(label: &str, error: &arrow_schema::ArrowError) -> Error {
    let text = error.to_string();
    let what = match (text.find("incorrect number of fields"), text.find("invalid UTF-8 data")) {
        (Some(at), _) => text[at..].to_owned(),
        (_, Some(at)) => text[at..].to_owned(),
        _ if matches!(error, arrow_schema::ArrowError::IoError(..)) => "the file cannot be read".to_owned(),
        _ => "this is not valid CSV".to_owned(),
    };
    Error::validation(format!("{label}: {what}"))
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Int64Type;

    use super::*;

    fn text(bytes: &[u8]) -> Text {
        Text::stream(Box::new(Cursor::new(bytes.to_vec()))).unwrap()
    }

    fn options(nulls: &[&str]) -> ReadOptions {
        let nulls = nulls.iter().map(|n| (*n).to_owned()).collect();
        ReadOptions { infer_rows: 100, nulls, ..ReadOptions::default() }
    }

    fn table() -> Schema {
        Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("name", DataType::Utf8, true)])
    }

    #[test]
    fn names_and_types_come_from_the_file() {
        let bytes = "\u{feff}id,name,at\n1,a,2013-01-01\n2,,2013-01-02\n";
        let schema = infer(&text(bytes.as_bytes()), "f", &options(&[])).unwrap();
        let types: Vec<_> = schema.fields().iter().map(|f| f.data_type().clone()).collect();
        assert_eq!(types, [DataType::Int64, DataType::Utf8, DataType::Date32]);
        assert_eq!(schema.field(0).name(), "id");
    }

    #[test]
    fn an_empty_field_is_null_unless_another_text_is() {
        let bytes = b"id,name\n1,\nNA,x\n";
        let typed = |nulls: &[&str], row: &[u8]| {
            let options = options(nulls);
            let schema = schema_for(&text(row), "f", &table(), &options).unwrap();
            read(text(row), "f".into(), schema, &options).unwrap().next().unwrap()
        };
        let batch = typed(&["NA"], bytes).unwrap();
        assert!(batch.column(0).is_null(1));
        assert_eq!(batch.column(1).as_string::<i32>().value(0), "");
        let batch = typed(&[], b"id,name\n1,\n").unwrap();
        assert!(batch.column(1).is_null(0));
        assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), 1);
    }

    #[test]
    fn errors_name_file_line_and_column_but_no_value() {
        let bytes = b"id,name\n1,a\nhunter2,b\n";
        let schema = schema_for(&text(bytes), "f.csv", &table(), &options(&[])).unwrap();
        let error = read(text(bytes), "f.csv".into(), schema, &options(&[])).unwrap().next().unwrap();
        let error = error.unwrap_err();
        assert_eq!(error.to_string(), "f.csv, line 3: the value of column 'id' is no long");
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[test]
    fn unknown_and_double_columns_are_refused() {
        let error = schema_for(&text(b"id,nom\n"), "f", &table(), &options(&[])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
        for bytes in [b"id,id\n".as_slice(), b"id,\n", b"", b"\n\n"] {
            let error = schema_for(&text(bytes), "f", &table(), &options(&[])).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Validation);
        }
    }

    #[test]
    fn rows_of_another_length_are_refused() {
        let bytes = b"id,name\n1,a\n2\n";
        let schema = schema_for(&text(bytes), "f", &table(), &options(&[])).unwrap();
        let error =
            read(text(bytes), "f".into(), schema, &options(&[])).unwrap().next().unwrap().unwrap_err();
        assert!(error.to_string().contains("line 3"), "{error}");
    }
}
