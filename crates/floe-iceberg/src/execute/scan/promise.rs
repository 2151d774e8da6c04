//! Whether so many rows were decoded as the row groups of a file promise.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::ArrowError;
use floe_core::{Error, ErrorKind};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ArrowPredicate;

/// The rows that row groups promise, and those that came.
///
/// Pages that end too early, or go on for too long, are no error for the Parquet reader: it gives what there is.
#[derive(Debug, Default)]
pub(super) struct Promise {
    promised: u64,
    /// Rows that the first predicate was asked about, and that the last one let through; if there are any.
    predicates: usize,
    asked: Arc<AtomicU64>,
    passed: Arc<AtomicU64>,
    given: AtomicU64,
}

impl Promise {
    /// So many rows.
    pub(super) fn of(rows: u64) -> Self {
        Self { promised: rows, ..Self::default() }
    }

    /// The rows at these `positions`, of which only those `within` are read, if that is given.
    pub(super) fn within(positions: &[Range<u64>], within: Option<&Range<u64>>) -> Self {
        let rows = positions.iter().map(|group| match within {
            Some(within) => within.end.min(group.end).saturating_sub(within.start.max(group.start)),
            None => group.end - group.start,
        });
        Self::of(rows.sum())
    }

    /// Some rows are left out before any is looked at.
    pub(super) fn without(&mut self, rows: u64) {
        self.promised = self.promised.saturating_sub(rows);
    }

    /// The same promise, when the decoding begins again behind the rows that came.
    pub(super) fn again(&self, given: usize) -> Self {
        Self { given: AtomicU64::new(given as u64), ..Self::of(self.promised) }
    }

    /// The predicates, counting.
    pub(super) fn watch(
        self: &mut Arc<Self>,
        predicates: Vec<Box<dyn ArrowPredicate>>,
    ) -> Vec<Box<dyn ArrowPredicate>> {
        let count = predicates.len();
        if let Some(promise) = Arc::get_mut(self) {
            promise.predicates = count;
        }
        let counting = predicates.into_iter().enumerate().map(|(index, predicate)| {
            let counting = Counting {
                predicate,
                asked: (index == 0).then(|| self.asked.clone()),
                passed: (index + 1 == count).then(|| self.passed.clone()),
            };
            Box::new(counting) as Box<dyn ArrowPredicate>
        });
        counting.collect()
    }

    /// Rows came.
    pub(super) fn gave(&self, rows: usize) {
        self.given.fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// Why the promise was not kept, when all rows have come; `None` if it was.
    pub(super) fn broken(&self) -> Option<Error> {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let given = load(&self.given);
        let (decoded, promised) = match self.predicates {
            0 => (given, self.promised),
            _ if load(&self.asked) != self.promised => (load(&self.asked), self.promised),
            _ => (given, load(&self.passed)),
        };
        (decoded != promised).then(|| {
            Error::new(
                ErrorKind::Corrupted,
                format!("its pages hold {decoded} rows where its row groups promise {promised}"),
            )
        })
    }
}

/// A predicate that counts the rows it sees.
struct Counting {
    predicate: Box<dyn ArrowPredicate>,
    asked: Option<Arc<AtomicU64>>,
    passed: Option<Arc<AtomicU64>>,
}

impl ArrowPredicate for Counting {
    fn projection(&self) -> &ProjectionMask {
        self.predicate.projection()
    }

    fn evaluate(&mut self, batch: RecordBatch) -> Result<BooleanArray, ArrowError> {
        let rows = batch.num_rows();
        let result = self.predicate.evaluate(batch)?;
        if let Some(asked) = &self.asked {
            asked.fetch_add(rows as u64, Ordering::Relaxed);
        }
        if let Some(passed) = &self.passed {
            passed.fetch_add(result.true_count() as u64, Ordering::Relaxed);
        }
        Ok(result)
    }
}
