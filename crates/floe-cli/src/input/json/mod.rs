//! JSON, one object a line.
//!
//! Numbers are taken as they are written, and converted by the same table as the fields of CSV; a key that comes twice is
//! refused; a key that is absent stands for the column's write default.

mod decode;
mod infer;
mod tape;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Schema, SchemaRef};
use floe::{Error, ErrorKind, Result};

use self::decode::{Column, Decoder, Fault, What};
use self::infer::{NoType, Seen};
use self::tape::{Tape, Token};
use super::csv::{unknown_column, unparsed};
use super::head::Text;
use super::source::{Absent, Batches, Target};
use super::{BATCH_ROWS, ReadOptions};

/// The schema of a new table, from the first rows.
pub(super) fn infer(text: &Text, label: &str, options: &ReadOptions) -> Result<SchemaRef> {
    let sample = sample(text, label)?;
    let mut seen = Seen::Object(Vec::new());
    let mut tape = Tape::new(&sample);
    for (row, (line, from, to)) in lines(&sample).enumerate() {
        if row == options.infer_rows.max(1) {
            break;
        }
        let at = object(&mut tape, label, line, from, to)?;
        seen.note(&tape, at, "").map_err(|fault| no_type(&format!("{label}, line {line}"), &fault))?;
    }
    let fields = seen.fields("").map_err(|fault| no_type(label, &fault))?;
    if fields.is_empty() {
        return Err(Error::validation(format!("{label}: the rows have no keys")));
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// The columns of the table that rows may have: all, or, where a column that is not given keeps its value, those of the
/// first rows.
pub(super) fn schema_for(text: &Text, label: &str, target: &Target) -> Result<SchemaRef> {
    let sample = sample(text, label)?;
    let mut names = BTreeMap::new();
    for (line, from, to) in lines(&sample) {
        // A line that is no JSON is found when its row is read.
        let mut tape = Tape::new(&sample);
        let Ok(at) = object(&mut tape, label, line, from, to) else { break };
        let Token::Object(count, _) = tape.token(at) else { break };
        let mut at = at + 1;
        for _ in 0..count {
            let key = tape.string(tape.token(at)).unwrap_or_default();
            if !names.contains_key(key) {
                names.insert(key.to_owned(), line);
            }
            at = tape.after(at + 1);
        }
    }
    if let Some((name, line)) = names.iter().find(|(name, _)| target.arrow.field_with_name(name).is_err()) {
        return Err(unknown_column(&format!("{label}, line {line}"), name));
    }
    let fields = target.arrow.fields().iter();
    let fields = fields.filter(|field| {
        !matches!(target.absent, Absent::Refused | Absent::Unknown) || names.contains_key(field.name())
    });
    let fields = fields.map(|field| Field::clone(field).with_nullable(true));
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

pub(super) fn read(
    text: Text,
    label: String,
    schema: SchemaRef,
    target: &Target,
    options: &ReadOptions,
) -> Result<Batches> {
    let all = target.schema.as_struct().fields().iter().zip(target.arrow.fields());
    let columns = all.filter(|(field, _)| schema.field_with_name(&field.name).is_ok());
    let columns = columns.map(|(field, arrow)| Column::new(field, arrow)).collect::<Result<Vec<_>>>()?;
    let names: Vec<&str> = columns.iter().map(Column::name).collect();
    if !names.iter().eq(schema.fields().iter().map(|field| field.name())) {
        return Err(Error::new(
            ErrorKind::Internal,
            format!("{label}: the columns are not those of the table"),
        ));
    }
    let known = target.arrow.fields().iter().map(|field| field.name().clone()).collect();
    let decoder = Decoder::new(columns, target.absent, options.convert)?;
    let lines = BufReader::with_capacity(1 << 16, text.read()?);
    Ok(Box::new(Lines { lines, label, schema, decoder, known, line: 1, done: false }))
}

/// Reads a batch of lines at a time, so that an error can name its line.
struct Lines {
    lines: BufReader<Box<dyn Read + Send>>,
    label: String,
    schema: SchemaRef,
    decoder: Decoder,
    /// The columns of the table.
    known: BTreeSet<String>,
    line: usize,
    done: bool,
}

/// Bytes of text in a batch, at most; a batch of long lines has fewer rows.
const CHUNK_BYTES: usize = floe::data::decoding::BATCH_BYTES as usize;
/// Bytes of a line, at most.
const MAX_LINE: u64 = 1 << 30;

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
        let mut count = 0;
        while count < BATCH_ROWS && chunk.len() < CHUNK_BYTES {
            let read = (&mut self.lines).take(MAX_LINE).read_until(b'\n', &mut chunk);
            let read = read.map_err(|e| Error::from(e).context(&self.label))?;
            if read as u64 == MAX_LINE {
                let at = format!("{}, line {}", self.label, self.line + count);
                return Err(Error::validation(format!("{at}: this line has more than 1 GiB")));
            }
            if read == 0 {
                break;
            }
            count += 1;
        }
        if count == 0 {
            return Ok(None);
        }
        let text = std::str::from_utf8(&chunk).map_err(|e| {
            let line = chunk[..e.valid_up_to()].split(|byte| *byte == b'\n').count() - 1;
            Error::validation(format!("{}, line {}: this is not UTF-8", self.label, self.line + line))
        })?;
        let mut tape = Tape::new(text);
        let (mut rows, mut places) = (Vec::new(), Vec::new());
        for (line, from, to) in lines(text) {
            let line = self.line + line - 1;
            rows.push(object(&mut tape, &self.label, line, from, to)?);
            places.push(line);
        }
        let columns = self.decoder.decode(&tape, &rows);
        let columns = columns.map_err(|fault| self.fault(&fault, places.get(fault.row).copied()))?;
        self.line += count;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map(Some)
            .map_err(|e| Error::new(ErrorKind::Internal, format!("{}: {e}", self.label)))
    }

    fn fault(&self, fault: &Fault, line: Option<usize>) -> Error {
        let line = line.unwrap_or(self.line);
        let at = format!("{}, line {line}", self.label);
        let mismatch = |what: String| Error::new(ErrorKind::SchemaMismatch, format!("{at}: {what}"));
        match &fault.what {
            What::Unfit { column, ty, why } => unparsed(&self.label, line, column, ty, why),
            What::Unknown(name) if self.known.contains(name) => {
                mismatch(format!("the key '{name}' is in this row, and not in the first ones"))
                    .with_hint("an upsert takes rows with the same keys; upsert rows with other keys apart")
            }
            What::Unknown(name) => unknown_column(&at, name),
            What::Twice(name) => mismatch(format!("the key '{name}' comes twice in one object")),
            What::Missing(name) => mismatch(format!("the required column '{name}' has no value"))
                .with_hint("give it one, or make the column optional in the table"),
            What::Lacks(name) => mismatch(format!("the key '{name}' is absent, and other rows have it"))
                .with_hint("write null where NULL is meant; upsert rows with other keys apart"),
            What::Internal => Error::new(ErrorKind::Internal, format!("{at}: a column cannot be made")),
        }
    }
}

/// The lines with text, each with its number, counted from 1, and its ends. A byte order mark is passed over.
fn lines(text: &str) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
    let mut from = 0;
    let all = text.split_inclusive('\n').enumerate().map(move |(line, content)| {
        let start = from;
        from += content.len();
        let mark = if start == 0 && content.starts_with('\u{feff}') { 3 } else { 0 };
        (line + 1, start + mark, start + content.len())
    });
    all.filter(|(_, from, to)| !text.as_bytes()[*from..*to].iter().all(u8::is_ascii_whitespace))
}

/// Reads a line, which has to be one object.
fn object(tape: &mut Tape<'_>, label: &str, line: usize, from: usize, to: usize) -> Result<u32> {
    match tape.read(from, to) {
        Ok(at) if matches!(tape.token(at), Token::Object(..)) => Ok(at),
        _ => Err(Error::validation(format!("{label}, line {line}: this is not one JSON object"))
            .with_hint("one object a line is read; `jq -c '.[]'` makes that of an array")),
    }
}

/// The first rows, cut at the end of a line.
fn sample(text: &Text, label: &str) -> Result<String> {
    let mut head = text.head()?;
    if !head.whole {
        let end = head.bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        if end == 0 {
            return Err(Error::validation(format!("{label}, line 1: this line has more than 4 MiB"))
                .with_hint("one object a line is read"));
        }
        head.bytes.truncate(end);
    }
    let text = String::from_utf8(head.bytes);
    let text = text.map_err(|_| Error::validation(format!("{label}: this is not UTF-8")))?;
    match text.trim_start_matches('\u{feff}').bytes().find(|b| !b.is_ascii_whitespace()) {
        None => Err(Error::validation(format!("{label}: the file is empty"))),
        Some(b'[') => Err(Error::validation(format!("{label}: this is a JSON array"))
            .with_hint("one object a line is read; `jq -c '.[]'` makes that of an array")),
        Some(b'{') => Ok(text),
        _ => Err(Error::validation(format!("{label}: this is not JSON with one object a line"))),
    }
}

fn no_type(at: &str, fault: &NoType) -> Error {
    Error::validation(format!("{at}: column '{}' {}", fault.column, fault.why))
        .with_hint("mend the rows, or make the table with --schema")
}
