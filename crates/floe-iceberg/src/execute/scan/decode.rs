//! Decoding row groups in batches of bounded bytes: with as many rows at a time as the footer lets expect, and again with fewer
//! where that does not hold.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field};
use arrow_select::concat::concat;
use floe_core::guard::Guard;
use floe_core::location::masked;
use floe_core::{Error, ErrorKind, Result};
use floe_plan::rows::size::{batch_bytes, plain, split};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use parquet::arrow::arrow_reader::{
    ArrowPredicate, ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions, RowFilter, RowSelection,
};
use parquet::arrow::async_reader::{ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use parquet::arrow::{ProjectionMask, RowNumber};
use parquet::errors::ParquetError;

use super::deletes::DeletedRows;
use super::filter::RowsFilter;
use super::input::ParquetInput;
use super::metrics::{ScanMetrics, add};
use super::promise::Promise;
use crate::data::decoding::{Decoding, cache_bytes, view_metadata};

/// What is decoded of a file.
pub(super) struct Rows {
    pub(super) input: ParquetInput,
    /// Its columns, and the numbers of the rows as the last one if `numbers` is set.
    pub(super) metadata: ArrowReaderMetadata,
    pub(super) numbers: bool,
    pub(super) row_groups: Vec<usize>,
    /// The leaf columns to give.
    pub(super) leaves: Vec<usize>,
    /// Only these rows, if set.
    pub(super) selection: Option<RowSelection>,
    pub(super) deleted: DeletedRows,
    pub(super) filter: RowsFilter,
    /// A batch has at most so many rows, and at most so many bytes, if it has more rows than one.
    pub(super) batch_rows: usize,
    pub(super) batch_bytes: u64,
    /// The rows that must come.
    pub(super) promise: Promise,
    pub(super) metrics: Arc<ScanMetrics>,
}

impl Rows {
    /// The batches, in the order of the rows. Fails with `Corrupted`, naming the file, when it cannot be decoded.
    pub(super) fn decode(self) -> BoxStream<'static, Result<RecordBatch>> {
        let guard = Guard::new("the Parquet reader", masked(self.input.path()));
        let footer = self.metadata.metadata();
        let all: BTreeSet<usize> = self.leaves.iter().chain(&self.predicate_leaves()).copied().collect();
        let decoding =
            Decoding::plan(footer, &self.row_groups, all.iter().copied(), self.batch_rows, self.batch_bytes);
        let decoder = Decoder {
            rows: self,
            decoding,
            open: None,
            given: 0,
            deleted: Arc::default(),
            promise: Arc::default(),
            ready: VecDeque::new(),
        };
        let batches = stream::try_unfold(decoder, |mut decoder| async move {
            Ok(decoder.next().await?.map(|batch| (batch, decoder)))
        });
        guard.stream(batches.boxed()).boxed()
    }

    fn predicate_leaves(&self) -> Vec<usize> {
        let deletes = self.deleted.equality.iter().flat_map(|deletes| deletes.leaves());
        deletes.chain(self.filter.leaves()).copied().collect()
    }
}

struct Decoder {
    rows: Rows,
    decoding: Decoding,
    open: Option<ParquetRecordBatchStream<ParquetInput>>,
    /// Rows that came so far: those to leave out when the decoding begins again.
    given: usize,
    /// Rows that equality deletes took away in this decoding.
    deleted: Arc<AtomicU64>,
    /// Counts the rows of this decoding.
    promise: Arc<Promise>,
    ready: VecDeque<RecordBatch>,
}

impl Decoder {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return plain(&batch).map(Some).map_err(|e| self.too_large(&batch, e));
            }
            if self.open.is_none() {
                self.promise = Arc::new(self.rows.promise.again(self.given));
                let built = build(&self.rows, self.decoding, self.given, &self.deleted, &mut self.promise);
                self.open = Some(built.map_err(|e| self.rows.input.error(e))?);
            }
            let Some(open) = &mut self.open else { continue };
            match open.next().await {
                None => {
                    return match self.promise.broken() {
                        Some(why) => Err(self.named(&why)),
                        None => Ok(None),
                    };
                }
                Some(Ok(batch)) => {
                    let rows = batch.num_rows();
                    self.promise.gave(rows);
                    let (taken, most) = (batch_bytes(&batch), self.rows.batch_bytes);
                    self.given += rows;
                    if let Some(fewer) = self.decoding.after_large(rows, taken, most) {
                        self.again(fewer);
                    }
                    match taken > most {
                        true => self.ready.extend(split(batch, most)),
                        false => self.ready.push_back(batch),
                    }
                }
                Some(Err(error)) => match self.decoding.after_error(&error) {
                    Some(fewer) => self.again(fewer),
                    None => return Err(self.rows.input.error(error)),
                },
            }
        }
    }

    /// Begins again after the rows that came so far.
    fn again(&mut self, decoding: Decoding) {
        tracing::debug!(
            path = %masked(self.rows.input.path()),
            rows = decoding.rows,
            views = decoding.views,
            "rows are wider than the footer tells: decoding again with fewer at a time"
        );
        self.open = None;
        self.decoding = decoding;
        self.rows.metrics.rows_deleted.fetch_sub(self.deleted.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }

    fn too_large(&self, batch: &RecordBatch, error: ArrowError) -> Error {
        match floe_plan::rows::size::oversized(batch) {
            Some(column) => too_wide(self.rows.input.path(), &column),
            None => self.rows.input.error(ParquetError::from(error)),
        }
    }

    fn named(&self, why: &Error) -> Error {
        let path = masked(self.rows.input.path());
        Error::new(why.kind(), format!("the data file {path} cannot be read: {}", why.message()))
    }
}

/// The error for a row that Arrow cannot hold.
fn too_wide(path: &str, column: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "the data file {} cannot be read: column '{column}' has more than 2 GiB in one row",
            masked(path)
        ),
    )
    .with_hint("leave the column out, or the row by a filter over other columns")
}

/// A stream over the rows after the first `given` ones.
fn build(
    rows: &Rows,
    decoding: Decoding,
    given: usize,
    deleted: &Arc<AtomicU64>,
    promise: &mut Arc<Promise>,
) -> Result<ParquetRecordBatchStream<ParquetInput>, ParquetError> {
    let metadata = match decoding.views {
        true => view_metadata(&rows.metadata, options(rows.numbers)?)?,
        false => rows.metadata.clone(),
    };
    let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(rows.input.clone(), metadata)
        .with_row_groups(rows.row_groups.clone())
        .with_batch_size(decoding.rows);
    let schema = builder.parquet_schema();
    let mask = ProjectionMask::leaves(schema, rows.leaves.iter().copied());
    let cache = cache_bytes(schema, rows.predicate_leaves());
    let most = rows.batch_bytes;
    let predicates: Vec<Box<dyn ArrowPredicate>> = rows
        .deleted
        .equality
        .iter()
        .map(|deletes| deletes.predicate(schema, most, deleted.clone()))
        .chain(rows.filter.predicate(schema, most))
        .collect();
    let predicates = promise.watch(predicates);
    builder = builder.with_projection(mask);
    if let Some(selection) = &rows.selection {
        builder = builder.with_row_selection(selection.clone());
    }
    if !predicates.is_empty() {
        builder = builder.with_row_filter(RowFilter::new(predicates)).with_max_predicate_cache_size(cache);
    }
    if given > 0 {
        builder = builder.with_offset(given);
    }
    builder.build()
}

/// How the Arrow form of a file is made: from its Parquet types alone, with the numbers of the rows if asked for.
pub(super) fn options(numbers: bool) -> Result<ArrowReaderOptions, ParquetError> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    if !numbers {
        return Ok(options);
    }
    let number = Field::new("row_number", DataType::Int64, false).with_extension_type(RowNumber);
    options.with_virtual_columns(vec![Arc::new(number)])
}

/// A predicate over some columns that is asked about at most `most` bytes of rows at a time.
pub(super) fn predicate(
    mask: ProjectionMask,
    most: u64,
    mut test: impl FnMut(&RecordBatch) -> Result<BooleanArray, ArrowError> + Send + 'static,
) -> Box<dyn ArrowPredicate> {
    Box::new(ArrowPredicateFn::new(mask, move |batch| {
        if batch_bytes(&batch) <= most {
            return test(&plain(&batch)?);
        }
        let mut all: Vec<BooleanArray> = Vec::new();
        for slice in split(batch, most) {
            let rows = plain(&slice).map_err(|error| match floe_plan::rows::size::oversized(&slice) {
                Some(column) => {
                    let why = format!("column '{column}' has more than 2 GiB in one row");
                    ArrowError::ExternalError(Box::new(Error::new(ErrorKind::Unsupported, why)))
                }
                None => error,
            })?;
            all.push(test(&rows)?);
        }
        let all: Vec<&dyn arrow_array::Array> = all.iter().map(|part| part as _).collect();
        Ok(BooleanArray::from(concat(&all)?.to_data()))
    }))
}

/// Counts rows that equality deletes took away, in this decoding and in all.
pub(super) fn count_deleted(metrics: &ScanMetrics, decoding: &AtomicU64, rows: u64) {
    add(&metrics.rows_deleted, rows);
    add(decoding, rows);
}
