//! JSON, one object a line.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_json::ReaderBuilder;
use arrow_json::reader::{Decoder, infer_json_schema};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef};
use floe::{Error, ErrorKind, Result};

use super::csv::{unknown_column, unparsed};
use super::head::Text;
use super::source::Batches;
use super::{BATCH_ROWS, ReadOptions, infer as inference, text};

/// The schema of a new table, from the first rows. Texts that are all dates or times have such a type.
pub(super) fn infer(text: &Text, label: &str, options: &ReadOptions) -> Result<SchemaRef> {
    let (sample, whole) = sample(text, label)?;
    let rows = Some(options.infer_rows.max(1));
    let (schema, _) = infer_json_schema(Cursor::new(&sample), rows)
        .map_err(|_| malformed(label).with_hint("a column must have one type in all rows"))?;
    let fields: Vec<Field> =
        schema.fields().iter().map(|f| Field::new(f.name(), known_type(f.data_type()), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch_rows = options.infer_rows.max(1);
    let mut reader = ReaderBuilder::new(schema.clone())
        .with_batch_size(batch_rows)
        .build(Cursor::new(&sample))
        .map_err(|_| malformed(label))?;
    let batch = match reader.next() {
        Some(Ok(batch)) => batch,
        Some(Err(_)) if !whole => return Ok(schema),
        Some(Err(_)) => return Err(malformed(label)),
        None => return Err(empty(label)),
    };
    let fields = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        let time = column.as_string_opt::<i32>().and_then(inference::infer_time);
        time.map_or_else(|| field.clone(), |time| Arc::new(Field::new(field.name(), time, true)))
    });
    Ok(Arc::new(Schema::new(fields.collect::<Fields>())))
}

/// The columns of the first rows with the types of the table. Later rows may have more of the table's columns:
/// all of those are in the schema.
pub(super) fn schema_for(
    text: &Text,
    label: &str,
    table: &Schema,
    options: &ReadOptions,
) -> Result<SchemaRef> {
    let (sample, _) = sample(text, label)?;
    let mut names = BTreeSet::new();
    let rows = serde_json::Deserializer::from_slice(&sample).into_iter::<Keys>();
    // A line that is no JSON is found when its row is read, with its number.
    for keys in rows.map_while(Result::ok).take(options.infer_rows.max(1)) {
        names.extend(keys.0);
    }
    if let Some(name) = names.iter().find(|name| table.field_with_name(name).is_err()) {
        return Err(unknown_column(label, name));
    }
    let fields = table.fields().iter().map(|f| Field::new(f.name(), f.data_type().clone(), true));
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

pub(super) fn read(text: Text, label: String, schema: SchemaRef) -> Result<Batches> {
    let lines = BufReader::with_capacity(1 << 16, text.read()?);
    Ok(Box::new(Lines { lines, label, raw: raw_schema(&schema), schema, line: 1, done: false }))
}

/// The keys of an object; its values are skipped.
struct Keys(Vec<String>);

impl<'de> serde::Deserialize<'de> for Keys {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = std::collections::BTreeMap::<String, serde::de::IgnoredAny>::deserialize(deserializer)?;
        Ok(Self(map.into_keys().collect()))
    }
}

/// Reads a batch of lines at a time, so that an error can name its line.
struct Lines {
    lines: BufReader<Box<dyn Read + Send>>,
    label: String,
    schema: SchemaRef,
    /// `schema` with text in place of types that the decoder does not parse as this crate does.
    raw: SchemaRef,
    line: usize,
    done: bool,
}

/// Bytes of text in a batch, at most; a batch of long lines has fewer rows.
const CHUNK_BYTES: usize = 8 * 1024 * 1024;

impl Iterator for Lines {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let batch = self.batch();
        self.done = !matches!(batch, Ok(Some(_)));
        batch.transpose()
    }
}

impl Lines {
    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let mut chunk = Vec::new();
        let mut rows = 0;
        while rows < BATCH_ROWS && chunk.len() < CHUNK_BYTES {
            let read = self.lines.read_until(b'\n', &mut chunk);
            let read = read.map_err(|e| Error::from(e).context(&self.label))?;
            if read == 0 {
                break;
            }
            rows += 1;
        }
        if rows == 0 {
            return Ok(None);
        }
        let decoded = match decode(&self.raw, &chunk, rows) {
            Ok(Some(batch)) => batch,
            Ok(None) => RecordBatch::new_empty(self.raw.clone()),
            Err(_) => return Err(self.find_fault(&chunk)),
        };
        let columns = decoded.columns().iter().zip(self.raw.fields()).zip(self.schema.fields());
        let columns = columns.map(|((column, raw), field)| {
            if raw.data_type() == field.data_type() {
                return Ok(column.clone());
            }
            text::parse(column.as_string::<i32>(), field.data_type())
                .map_err(|row| unparsed(&self.label, self.line + line_of_row(&chunk, row), field))
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        self.line += rows;
        let batch = RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|e| Error::new(ErrorKind::Internal, format!("{}: {e}", self.label)))?;
        Ok(Some(batch))
    }

    /// The first line of `chunk` that does not fit, decoded line by line.
    fn find_fault(&self, chunk: &[u8]) -> Error {
        for (offset, line) in chunk.split_inclusive(|b| *b == b'\n').enumerate() {
            if decode(&self.raw, line, 1).is_ok() {
                continue;
            }
            let at = format!("{}, line {}", self.label, self.line + offset);
            let Ok(row) = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(line) else {
                return Error::validation(format!("{at}: this is not one JSON object"))
                    .with_hint("one object a line is read; `jq -c '.[]'` makes that of an array");
            };
            if let Some(name) = row.keys().find(|name| self.schema.field_with_name(name).is_err()) {
                return unknown_column(&at, name);
            }
            for field in self.raw.fields() {
                let one: SchemaRef = Arc::new(Schema::new(vec![field.clone()]));
                let only = row.get(field.name()).map(|value| serde_json::json!({ field.name(): value }));
                if only.is_some_and(|only| decode(&one, only.to_string().as_bytes(), 1).is_err()) {
                    let field = self.schema.field_with_name(field.name()).unwrap_or(field);
                    return unparsed(&self.label, self.line + offset, field);
                }
            }
            return malformed(&at);
        }
        malformed(&self.label)
    }
}

/// The line of a row, counted from 0: lines without text are no rows.
fn line_of_row(chunk: &[u8], row: usize) -> usize {
    let lines = chunk.split(|b| *b == b'\n').enumerate();
    let mut rows = lines.filter(|(_, line)| !line.iter().all(u8::is_ascii_whitespace));
    rows.nth(row).map_or(row, |(line, _)| line)
}

/// Decodes whole rows; the error quotes values and is for this module only.
fn decode(schema: &SchemaRef, rows: &[u8], count: usize) -> Result<Option<RecordBatch>, ArrowError> {
    let mut decoder: Decoder = ReaderBuilder::new(schema.clone())
        .with_batch_size(count.max(1))
        .with_strict_mode(true)
        .build_decoder()?;
    let read = decoder.decode(rows)?;
    if decoder.has_partial_record() || !rows[read..].iter().all(u8::is_ascii_whitespace) {
        return Err(ArrowError::JsonError("a row does not end with its line".into()));
    }
    decoder.flush()
}

/// Bytes and UUIDs are parsed by this crate, as they are in CSV.
fn raw_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::LargeBinary | DataType::FixedSizeBinary(_) => {
            Arc::new(Field::new(field.name(), DataType::Utf8, true))
        }
        _ => field.clone(),
    });
    Arc::new(Schema::new(fields.collect::<Fields>()))
}

/// The first rows, cut at the end of a line.
fn sample(text: &Text, label: &str) -> Result<(Vec<u8>, bool)> {
    let mut head = text.head()?;
    if let Some(rest) = head.bytes.strip_prefix(b"\xef\xbb\xbf") {
        head.bytes = rest.to_vec();
    }
    if !head.whole {
        let end = head.bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        head.bytes.truncate(end);
    }
    match head.bytes.iter().find(|b| !b.is_ascii_whitespace()) {
        None if head.whole => Err(empty(label)),
        Some(b'[') => Err(Error::validation(format!("{label}: this is a JSON array"))
            .with_hint("one object a line is read; `jq -c '.[]'` makes that of an array")),
        Some(b'{') => Ok((head.bytes, head.whole)),
        _ => Err(malformed(label)),
    }
}

/// Columns without values are text.
fn known_type(data_type: &DataType) -> DataType {
    let below = |field: &Arc<Field>| Arc::new(Field::new(field.name(), known_type(field.data_type()), true));
    match data_type {
        DataType::Null => DataType::Utf8,
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(below).collect()),
        DataType::List(element) => DataType::List(below(element)),
        other => other.clone(),
    }
}

fn malformed(label: &str) -> Error {
    Error::validation(format!("{label}: this is not JSON with one object a line"))
}

fn empty(label: &str) -> Error {
    Error::validation(format!("{label}: the file is empty"))
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use arrow_schema::TimeUnit;

    use super::*;

    fn text(bytes: &[u8]) -> Text {
        Text::stream(Box::new(Cursor::new(bytes.to_vec()))).unwrap()
    }

    fn options() -> ReadOptions {
        ReadOptions { infer_rows: 100, ..ReadOptions::default() }
    }

    fn table() -> Schema {
        Schema::new(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, None), true),
            Field::new("raw", DataType::LargeBinary, true),
        ])
    }

    fn read_all(bytes: &[u8]) -> Result<Vec<RecordBatch>> {
        let schema = schema_for(&text(bytes), "f.json", &table(), &options())?;
        read(text(bytes), "f.json".into(), schema)?.collect()
    }

    #[test]
    fn types_come_from_values_and_times_from_texts() {
        let bytes = br#"{"id":1,"at":"2013-01-01","x":{"y":[1.5]},"n":null}
            {"id":2,"z":true}"#;
        let schema = infer(&text(bytes), "f", &options()).unwrap();
        assert_eq!(schema.field_with_name("id").unwrap().data_type(), &DataType::Int64);
        assert_eq!(schema.field_with_name("at").unwrap().data_type(), &DataType::Date32);
        assert_eq!(schema.field_with_name("n").unwrap().data_type(), &DataType::Utf8);
        assert!(matches!(schema.field_with_name("x").unwrap().data_type(), DataType::Struct(_)));
    }

    #[test]
    fn rows_have_the_types_of_the_table_and_missing_keys_are_null() {
        let batches =
            read_all(b"{\"id\":1,\"raw\":\"00ff\"}\n\n{\"at\":\"2013-01-01T00:00:00\",\"id\":2}").unwrap();
        let batch = &batches[0];
        assert_eq!(batch.num_rows(), 2);
        assert!(batch.column(1).is_null(0) && batch.column(1).is_valid(1));
        assert_eq!(batch.column(2).as_binary::<i64>().value(0), [0, 255]);
    }

    #[test]
    fn errors_name_line_and_column_but_no_value() {
        for (bytes, expected) in [
            ("{\"id\":1}\n{\"id\":\"hunter2\"}\n", "line 2: the value of column 'id' is no long"),
            (
                "{\"id\":1}\n{\"id\":2,\"raw\":\"hunter2\"}\n",
                "line 2: the value of column 'raw' is no binary",
            ),
            (
                "{\"id\":1}\n\n{\"id\":2,\"raw\":\"hunter2\"}\n",
                "line 3: the value of column 'raw' is no binary",
            ),
            ("{\"id\":1}\n{\"id\":\"hunter2\n", "line 2: this is not one JSON object"),
        ] {
            let error = read_all(bytes.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn unknown_columns_are_refused_before_and_after_the_sample() {
        let error = read_all(b"{\"id\":1,\"nom\":2}\n").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
        let mut late = b"{\"id\":1}\n".repeat(200);
        late.extend(b"{\"id\":1,\"nom\":2}\n");
        let error = read_all(&late).unwrap_err();
        assert!(error.to_string().contains("line 201") && error.to_string().contains("'nom'"), "{error}");
    }

    #[test]
    fn arrays_and_other_text_are_refused() {
        for bytes in [b"[{\"id\":1}]".as_slice(), b"id,at", b"", b" \n"] {
            assert_eq!(read_all(bytes).unwrap_err().kind(), ErrorKind::Validation);
        }
    }
}
