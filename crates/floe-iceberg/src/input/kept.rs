//! Rows of a stream that are kept, as long as they are few.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use arrow_array::RecordBatch;
use floe_core::Result;
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::execute::join::memory_of;

/// The rows of a stream, kept on their way.
pub(super) struct Kept(Arc<Mutex<State>>);

struct State {
    batches: Vec<RecordBatch>,
    /// What may still be kept.
    left: u64,
    /// Whether there were too many.
    over: bool,
    /// Whether these are all.
    ended: bool,
}

impl Kept {
    /// Keeps up to `bytes`.
    pub(super) fn new(bytes: u64) -> Self {
        Self(Arc::new(Mutex::new(State { batches: Vec::new(), left: bytes, over: false, ended: false })))
    }

    /// The same rows.
    pub(super) fn tee(
        &self,
        rows: BoxStream<'static, Result<RecordBatch>>,
    ) -> BoxStream<'static, Result<RecordBatch>> {
        let (state, end) = (self.0.clone(), self.0.clone());
        let kept = rows.inspect(move |batch| {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            match batch {
                Ok(batch) => state.keep(batch),
                Err(_) => state.give_up(),
            }
        });
        let end = futures::stream::poll_fn(move |_| {
            end.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
            Poll::Ready(None)
        });
        kept.chain(end).boxed()
    }

    /// Whether all rows are there.
    pub(super) fn is_complete(&self) -> bool {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.ended && !state.over
    }

    /// The rows, from the beginning.
    pub(super) fn stream(&self) -> BoxStream<'static, Result<RecordBatch>> {
        let batches = self.0.lock().unwrap_or_else(PoisonError::into_inner).batches.clone();
        futures::stream::iter(batches.into_iter().map(Ok)).boxed()
    }
}

impl State {
    fn keep(&mut self, batch: &RecordBatch) {
        let bytes = memory_of(batch);
        if self.over || bytes > self.left {
            return self.give_up();
        }
        self.left -= bytes;
        self.batches.push(batch.clone());
    }

    fn give_up(&mut self) {
        self.over = true;
        self.batches = Vec::new();
    }
}
