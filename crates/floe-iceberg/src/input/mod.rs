//! The rows that an operation takes: once, or again when it has to be run anew.

mod content;
mod kept;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use floe_core::{Error, ErrorKind, Result};
use floe_plan::summary::input::{InputDigest, KnownInput, Sameness};
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::data::BatchStream;
use content::Content;
use kept::Kept;

/// Opens rows, from their beginning.
type Open = Box<dyn Fn() -> Result<BatchStream> + Send + Sync>;

/// The rows that an operation takes.
///
/// A [`BatchStream`] can be read once. An operation that meets a conflict can be run again only if its rows can be read
/// again: give those as [`Input::repeatable`] or [`Input::from_batches`].
///
/// ```
/// use std::sync::Arc;
/// use arrow_schema::{DataType, Field, Schema};
/// use floe_iceberg::data::{BatchStream, Input};
///
/// let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
/// let held = Input::from_batches(schema.clone(), vec![]);
/// assert!(held.is_repeatable());
/// let once: Input = BatchStream::from_batches(schema, vec![]).into();
/// assert!(!once.is_repeatable());
/// ```
pub struct Input {
    schema: SchemaRef,
    rows: Rows,
    known: KnownInput,
    /// What is read, as far as it has been, if that is looked at.
    content: Option<Arc<Mutex<Content>>>,
}

enum Rows {
    Once { stream: Option<BoxStream<'static, Result<RecordBatch>>>, kept: Option<Kept> },
    Again(Open),
}

impl Input {
    /// Rows that `open` gives from their beginning, as often as it is called: the same rows each time.
    pub fn repeatable(
        schema: SchemaRef,
        open: impl Fn() -> Result<BatchStream> + Send + Sync + 'static,
    ) -> Self {
        Self::new(schema, Rows::Again(Box::new(open)))
    }

    /// Batches that are in memory already. All must have `schema`.
    pub fn from_batches(schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        let shape = schema.clone();
        Self::repeatable(schema, move || Ok(BatchStream::from_batches(shape.clone(), batches.clone())))
    }

    /// Says what the rows are, in the caller's words, such as a version or a hash of their content. With an idempotency key,
    /// this is then compared, and the rows are not looked at. Only a hash of it is kept.
    pub fn with_digest(mut self, digest: impl AsRef<[u8]>) -> Self {
        self.known.given = Some(content::hash(digest.as_ref()));
        self
    }

    /// Says how many rows there are.
    pub fn with_rows(mut self, rows: Option<u64>) -> Self {
        self.known.rows = rows;
        self
    }

    /// Says which files the rows are from, by what is another when a file is another one, or was changed: paths, sizes,
    /// times. Only a hash of it is kept. With an idempotency key, files that are the same need not be read again.
    pub fn with_files(mut self, identity: impl AsRef<[u8]>) -> Self {
        self.known.files = Some(content::hash(identity.as_ref()));
        self
    }

    /// The schema of every batch.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Whether the rows can be read again.
    pub fn is_repeatable(&self) -> bool {
        match &self.rows {
            Rows::Again(_) => true,
            Rows::Once { kept, .. } => kept.as_ref().is_some_and(Kept::is_complete),
        }
    }

    /// Whether the rows were a stream, all of which is kept.
    pub(crate) fn is_kept(&self) -> bool {
        matches!(&self.rows, Rows::Once { kept: Some(kept), .. } if kept.is_complete())
    }

    /// Opens the rows. They are looked at on their way if `look`: then [`Input::digest`] has a hash of them. What can be read
    /// once only is kept if it takes less than `keep` bytes.
    pub(crate) fn open(&mut self, look: bool, keep: u64) -> Result<BatchStream> {
        let stream = match &mut self.rows {
            Rows::Again(open) => {
                let BatchStream { schema, stream } = open()?;
                self.schema = schema;
                stream
            }
            Rows::Once { stream, kept } => match (stream.take(), kept) {
                (Some(stream), kept) if keep > 0 => kept.insert(Kept::new(keep)).tee(stream),
                (Some(stream), _) => stream,
                (None, Some(kept)) if kept.is_complete() => kept.stream(),
                (None, _) => return Err(read_once()),
            },
        };
        self.content = None;
        let stream = if look && self.known.given.is_none() {
            let content = Arc::new(Mutex::new(Content::new(&self.schema)));
            self.content = Some(content.clone());
            content::looked_at(stream, content)
        } else {
            stream
        };
        Ok(BatchStream::new(self.schema.clone(), stream))
    }

    /// What the input is, after all of it was read; `None` if it was not, or not looked at.
    pub(crate) fn digest(&self) -> Option<InputDigest> {
        if let Some(given) = &self.known.given {
            return Some(InputDigest::Given(given.clone()));
        }
        let content = self.content.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let (rows, content) = content.finished()?;
        Some(InputDigest::Rows { rows, content, files: self.known.files.clone() })
    }

    /// Whether this is the input `was` of an earlier operation. Its rows are read if nothing else tells.
    pub(crate) async fn is_same(&mut self, was: &InputDigest) -> Result<Sameness> {
        if let Some(is) = self.digest() {
            return Ok(was.is_same(&is));
        }
        let known = was.compare(&self.known);
        if known != Sameness::Read {
            return Ok(known);
        }
        let mut rows = self.open(true, 0)?;
        let (mut seen, InputDigest::Rows { rows: wanted, .. }) = (0, was) else {
            return Ok(Sameness::Incomparable);
        };
        while let Some(batch) = rows.stream.next().await {
            seen += batch?.num_rows() as u64;
            if seen > *wanted {
                return Ok(Sameness::Other);
            }
        }
        drop(rows);
        Ok(self.digest().map_or(Sameness::Incomparable, |is| was.is_same(&is)))
    }

    fn new(schema: SchemaRef, rows: Rows) -> Self {
        Self { schema, rows, known: KnownInput::default(), content: None }
    }
}

impl From<BatchStream> for Input {
    /// Rows that can be read once.
    fn from(BatchStream { schema, stream }: BatchStream) -> Self {
        Self::new(schema, Rows::Once { stream: Some(stream), kept: None })
    }
}

impl From<RecordBatch> for Input {
    fn from(batch: RecordBatch) -> Self {
        Self::from_batches(batch.schema(), vec![batch])
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("schema", &self.schema)
            .field("repeatable", &self.is_repeatable())
            .finish_non_exhaustive()
    }
}

fn read_once() -> Error {
    Error::new(ErrorKind::Internal, "a stream of rows is to be read twice")
}
