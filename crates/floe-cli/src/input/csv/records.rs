//! Rows of CSV as columns of text (RFC 4180).
//!
//! Which fields are in quotes is known, so that an empty text is told from NULL. What other readers take silently is
//! refused: a quote that does not end, text after one that does, rows of another length.

use std::io::Read;
use std::sync::Arc;

use arrow_array::StringArray;
use arrow_array::builder::NullBufferBuilder;
use arrow_buffer::{Buffer, OffsetBuffer};
use floe::{Error, Result};

/// Which fields are NULL.
#[derive(Debug, Clone, Default)]
pub(super) struct Nulls {
    /// The texts that stand for NULL; the empty field if there are none.
    pub(super) texts: Vec<String>,
    /// Whether they do in quotes too.
    pub(super) quoted: bool,
}

impl Nulls {
    fn hold(&self, field: &[u8], quoted: bool) -> bool {
        if quoted && !self.quoted {
            return false;
        }
        if self.texts.is_empty() {
            field.is_empty()
        } else {
            self.texts.iter().any(|t| t.as_bytes() == field)
        }
    }
}

/// Rows as columns of text.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) columns: Vec<Arc<StringArray>>,
    /// The line that each row begins in.
    pub(super) lines: Vec<usize>,
}

/// Reads rows.
pub(super) struct Records<R> {
    reader: R,
    delimiter: u8,
    label: String,
    buffer: Vec<u8>,
    /// What of the buffer is read already.
    at: usize,
    ended: bool,
    line: usize,
    /// Whether more comes after the end, so that the last row may be cut.
    partial: bool,
}

/// Bytes that are read at once.
const CHUNK: usize = 1 << 18;
/// Bytes of text in a batch, at most; a batch of long rows has fewer of them.
const BATCH_BYTES: usize = floe::data::decoding::BATCH_BYTES as usize;
/// Bytes that a row may have.
const MAX_ROW: usize = 1 << 28;

/// A column as it grows.
struct Column {
    bytes: Vec<u8>,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

/// How a row ended.
enum End {
    /// With its line.
    Row,
    /// With the buffer: more must be read.
    Cut,
}

impl<R: Read> Records<R> {
    /// `partial` if the reader ends before the input does: then a row that has no end is left out.
    pub(super) fn new(reader: R, delimiter: u8, label: &str, partial: bool) -> Self {
        let (buffer, label) = (Vec::new(), label.to_owned());
        Self { reader, delimiter, label, buffer, at: 0, ended: false, line: 1, partial }
    }

    /// The fields of the next row, whatever their number; `None` at the end. Lines without text are passed over.
    pub(super) fn header(&mut self) -> Result<Option<Vec<String>>> {
        self.fill()?;
        if self.buffer.starts_with(b"\xef\xbb\xbf") {
            self.at = 3;
        }
        loop {
            self.skip_empty_lines()?;
            if self.at == self.buffer.len() && self.ended {
                return Ok(None);
            }
            let (start, line) = (self.at, self.line);
            let mut fields: Vec<Vec<u8>> = Vec::new();
            match self.row(&mut |field: &[u8], _| fields.push(field.to_vec()))? {
                End::Row => {
                    let names = fields.into_iter().map(String::from_utf8).collect::<Result<Vec<_>, _>>();
                    return names.map(Some).map_err(|_| self.fault(line, "this is not UTF-8"));
                }
                End::Cut => {
                    (self.at, self.line) = (start, line);
                    if self.ended {
                        return Ok(None);
                    }
                    self.fill()?;
                }
            }
        }
    }

    /// The next rows, up to `max`, each of `width` fields; `None` at the end.
    pub(super) fn rows(&mut self, width: usize, max: usize, nulls: &Nulls) -> Result<Option<Rows>> {
        let mut columns: Vec<Column> = (0..width)
            .map(|_| Column {
                bytes: Vec::new(),
                offsets: vec![0],
                nulls: NullBufferBuilder::new(max.min(1 << 14)),
            })
            .collect();
        let mut lines = Vec::new();
        let mut bytes = 0;
        while lines.len() < max && bytes < BATCH_BYTES {
            // In one column, an empty line is an empty field.
            if width > 1 {
                self.skip_empty_lines()?;
            }
            if self.at == self.buffer.len() {
                if self.ended {
                    break;
                }
                self.fill()?;
                continue;
            }
            let (start, line) = (self.at, self.line);
            let mut count = 0;
            let end = self.row(&mut |field: &[u8], quoted| {
                if let Some(column) = columns.get_mut(count) {
                    column.bytes.extend_from_slice(field);
                    column.offsets.push(column.bytes.len() as i32);
                    column.nulls.append(!nulls.hold(field, quoted));
                }
                count += 1;
            })?;
            match end {
                End::Row if count == width => {
                    bytes += self.at - start;
                    lines.push(line);
                }
                End::Row => {
                    let fields = if count == 1 { "1 field".to_owned() } else { format!("{count} fields") };
                    return Err(self.fault(line, &format!("{fields}, the header has {width}")));
                }
                End::Cut => {
                    (self.at, self.line) = (start, line);
                    for column in columns.iter_mut().take(count) {
                        column.offsets.truncate(lines.len() + 1);
                        column.bytes.truncate(column.offsets[lines.len()] as usize);
                        column.nulls.truncate(lines.len());
                    }
                    if self.ended {
                        // Only a sample ends in a row.
                        self.at = self.buffer.len();
                        break;
                    }
                    self.fill()?;
                }
            }
        }
        if lines.is_empty() {
            return Ok(None);
        }
        let columns = columns.into_iter().map(|column| self.finished(column, &lines));
        Ok(Some(Rows { columns: columns.collect::<Result<_>>()?, lines }))
    }

    fn finished(&self, mut column: Column, lines: &[usize]) -> Result<Arc<StringArray>> {
        let offsets = OffsetBuffer::new(column.offsets.into());
        let bytes = Buffer::from_vec(column.bytes);
        let array = StringArray::try_new(offsets.clone(), bytes.clone(), column.nulls.finish());
        array.map(Arc::new).map_err(|_| {
            let bad = |row: usize| {
                let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
                std::str::from_utf8(&bytes.as_slice()[from..to]).is_err()
            };
            let row = (0..lines.len()).find(|row| bad(*row)).unwrap_or(0);
            self.fault(lines[row], "this is not UTF-8")
        })
    }

    /// Gives the fields of one row.
    fn row(&mut self, give: &mut dyn FnMut(&[u8], bool)) -> Result<End> {
        let bytes = &self.buffer;
        let (mut at, begin) = (self.at, self.line);
        let mut line = self.line;
        let mut unquoted: Vec<u8> = Vec::new();
        let last = self.ended && !self.partial;
        loop {
            if bytes.get(at) == Some(&b'"') {
                unquoted.clear();
                at += 1;
                let mut start = at;
                // Up to the quote that is not doubled.
                loop {
                    let Some(found) = bytes[start..].iter().position(|byte| *byte == b'"') else {
                        return if last {
                            Err(self.fault(begin, "a field in quotes does not end"))
                        } else {
                            Ok(End::Cut)
                        };
                    };
                    let quote = start + found;
                    line += bytes[start..quote].split(|byte| *byte == b'\n').count() - 1;
                    match bytes.get(quote + 1) {
                        Some(b'"') => {
                            unquoted.extend_from_slice(&bytes[start..=quote]);
                            start = quote + 2;
                        }
                        None if !last => return Ok(End::Cut),
                        _ => {
                            if unquoted.is_empty() {
                                give(&bytes[start..quote], true);
                            } else {
                                unquoted.extend_from_slice(&bytes[start..quote]);
                                give(&unquoted, true);
                            }
                            at = quote + 1;
                            break;
                        }
                    }
                }
            } else {
                let delimiter = self.delimiter;
                let ends = |byte: &u8| *byte == delimiter || *byte == b'\n' || *byte == b'\r';
                let end = match bytes[at..].iter().position(ends) {
                    Some(found) => at + found,
                    None if last => bytes.len(),
                    None => return Ok(End::Cut),
                };
                give(&bytes[at..end], false);
                at = end;
            }
            match bytes.get(at) {
                Some(byte) if *byte == self.delimiter => at += 1,
                Some(b'\n') => {
                    (self.at, self.line) = (at + 1, line + 1);
                    return Ok(End::Row);
                }
                Some(b'\r') => {
                    // Whether a line feed follows has to be known.
                    if at + 1 == bytes.len() && !last {
                        return Ok(End::Cut);
                    }
                    let two = bytes.get(at + 1) == Some(&b'\n');
                    (self.at, self.line) = (at + 1 + usize::from(two), line + 1);
                    return Ok(End::Row);
                }
                None => {
                    (self.at, self.line) = (at, line);
                    return Ok(End::Row);
                }
                Some(_) => return Err(self.fault(line, "text follows a field in quotes")),
            }
        }
    }

    fn skip_empty_lines(&mut self) -> Result<()> {
        loop {
            match self.buffer.get(self.at) {
                Some(b'\n') => self.line += 1,
                Some(b'\r') => {
                    // The line feed after it counts the line.
                    if self.buffer.get(self.at + 1).is_some_and(|next| *next != b'\n') {
                        self.line += 1;
                    }
                }
                Some(_) => return Ok(()),
                None if self.ended => return Ok(()),
                None => {
                    self.fill()?;
                    continue;
                }
            }
            self.at += 1;
        }
    }

    /// Reads more, and forgets what was read already.
    fn fill(&mut self) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        // A long row doubles what is read, so that it is not looked at again and again.
        let more = CHUNK.max(self.buffer.len()) as u64;
        if self.buffer.len() > MAX_ROW {
            return Err(self.fault(self.line, "a row has more than 256 MiB; does a field in quotes not end?"));
        }
        let read = self.reader.by_ref().take(more).read_to_end(&mut self.buffer);
        let read = read.map_err(|e| Error::from(e).context(&self.label))?;
        self.ended = read == 0;
        Ok(())
    }

    fn fault(&self, line: usize, what: &str) -> Error {
        Error::validation(format!("{}, line {line}: {what}", self.label))
    }
}
