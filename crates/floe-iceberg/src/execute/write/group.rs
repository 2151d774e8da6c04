//! A row group that is being encoded, each column on whatever thread is free.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::{ArrayRef, RecordBatch};
use floe_core::{Error, Result};
use floe_plan::rows::size::array_bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::column::{ColumnEncoder, EncodedColumn};
use super::context::Context;
use super::errors::panicked;

/// What is in memory on its way into files: rows that wait to be encoded, and row groups that wait to be
/// written out. With it, the first failure.
#[derive(Default)]
pub(super) struct Backlog {
    rows: AtomicU64,
    groups: AtomicU64,
    changed: Notify,
    failure: Mutex<Option<Error>>,
}

impl Backlog {
    /// Waits until at most `bytes` of rows wait to be encoded. Fails as soon as encoding has failed.
    pub(super) async fn below(&self, bytes: u64) -> Result<()> {
        self.wait(|backlog| backlog.rows.load(Ordering::Acquire) <= bytes).await
    }

    /// Waits until at most `bytes` of ended row groups wait to be written out, or nothing. Fails as soon as
    /// encoding has failed.
    pub(super) async fn groups_below(&self, bytes: u64) -> Result<()> {
        self.wait(|backlog| backlog.groups.load(Ordering::Acquire) <= bytes).await
    }

    async fn wait(&self, enough: impl Fn(&Self) -> bool) -> Result<()> {
        loop {
            let changed = self.changed.notified();
            if let Some(error) = lock(&self.failure).clone() {
                return Err(error);
            }
            if enough(self) {
                return Ok(());
            }
            changed.await;
        }
    }

    fn fail(&self, error: Error) {
        lock(&self.failure).get_or_insert(error);
        self.changed.notify_one();
    }
}

/// Rows that wait to be encoded. All columns share it: the buffers of one column often hold those of others too,
/// so that memory comes back with the last column only.
struct Pending {
    bytes: u64,
    backlog: Arc<Backlog>,
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.backlog.rows.fetch_sub(self.bytes, Ordering::AcqRel);
        self.backlog.changed.notify_one();
    }
}

/// The memory of a row group that is ended, until it is written out.
pub(super) struct GroupMemory {
    bytes: u64,
    backlog: Arc<Backlog>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for GroupMemory {
    fn drop(&mut self) {
        self.backlog.groups.fetch_sub(self.bytes, Ordering::AcqRel);
        self.backlog.changed.notify_one();
    }
}

/// A row group that takes rows. Each column is an actor: a queue of arrays, and at most one job on the
/// workers that empties it.
pub(super) struct OpenGroup {
    context: Arc<Context>,
    backlog: Arc<Backlog>,
    columns: Vec<Arc<Column>>,
    done: Arc<Notify>,
    pub(super) rows: u64,
    memory: GroupMemory,
}

struct Column {
    state: Mutex<ColumnState>,
    /// Bytes pushed, before encoding.
    raw_bytes: AtomicU64,
    encoded_rows: AtomicU64,
    encoded_bytes: AtomicU64,
}

struct ColumnState {
    queue: VecDeque<(ArrayRef, Arc<Pending>)>,
    /// Absent while a job has it, and in the end.
    encoder: Option<ColumnEncoder>,
    ending: bool,
    result: Option<Result<EncodedColumn>>,
}

impl OpenGroup {
    pub(super) fn new(
        context: Arc<Context>,
        backlog: Arc<Backlog>,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self> {
        let columns = context.encoding.columns()?.into_iter().map(|encoder| {
            let state =
                ColumnState { queue: VecDeque::new(), encoder: Some(encoder), ending: false, result: None };
            Arc::new(Column {
                state: Mutex::new(state),
                raw_bytes: AtomicU64::new(0),
                encoded_rows: AtomicU64::new(0),
                encoded_bytes: AtomicU64::new(0),
            })
        });
        let columns = columns.collect();
        let memory = GroupMemory { bytes: 0, backlog: backlog.clone(), _permit: permit };
        Ok(Self { context, backlog, columns, done: Arc::default(), rows: 0, memory })
    }

    /// Hands rows to the workers.
    pub(super) fn push(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows() as u64;
        let sizes: Vec<u64> = batch.columns().iter().map(|array| array_bytes(array)).collect();
        let bytes = sizes.iter().sum();
        self.backlog.rows.fetch_add(bytes, Ordering::AcqRel);
        let pending = Arc::new(Pending { bytes, backlog: self.backlog.clone() });
        for ((column, array), bytes) in self.columns.iter().zip(batch.columns()).zip(sizes) {
            column.raw_bytes.fetch_add(bytes, Ordering::AcqRel);
            let mut state = lock(&column.state);
            state.queue.push_back((array.clone(), pending.clone()));
            self.start(column, &mut state);
        }
    }

    /// Encoded bytes of all rows pushed, as estimated: what is encoded, and the rest at the same rate. A column
    /// of which nothing is encoded yet counts as it is: too much rather than too little. With it, the bytes
    /// that are not encoded yet.
    pub(super) fn estimate(&self) -> (u64, u64) {
        let (mut total, mut waiting) = (0.0, 0.0);
        for column in &self.columns {
            let rows = column.encoded_rows.load(Ordering::Acquire);
            let bytes = column.encoded_bytes.load(Ordering::Acquire) as f64;
            let raw = column.raw_bytes.load(Ordering::Acquire) as f64 / self.rows.max(1) as f64;
            let rate = if rows > 0 { bytes / rows as f64 } else { raw };
            let rest = self.rows.saturating_sub(rows) as f64 * rate;
            total += bytes + rest;
            waiting += rest;
        }
        (total as u64, waiting as u64)
    }

    /// Counts the row group, of about `bytes`, as ended: it takes memory until it is written out.
    pub(super) fn count(&mut self, bytes: u64) {
        self.memory.bytes += bytes;
        self.backlog.groups.fetch_add(bytes, Ordering::AcqRel);
    }

    /// Lets the columns end once their queues are empty, and waits for that.
    pub(super) async fn end(self) -> Result<EncodedGroup> {
        for column in &self.columns {
            let mut state = lock(&column.state);
            state.ending = true;
            self.start(column, &mut state);
        }
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            columns.push(loop {
                let done = self.done.notified();
                if let Some(result) = lock(&column.state).result.take() {
                    break result?;
                }
                done.await;
            });
        }
        Ok(EncodedGroup { columns, memory: self.memory })
    }

    /// Starts a job for the column, unless it has one. The encoder is there only while it has none.
    fn start(&self, column: &Arc<Column>, state: &mut ColumnState) {
        let Some(encoder) = state.encoder.take() else { return };
        let (context, backlog, column) = (self.context.clone(), self.backlog.clone(), column.clone());
        let done = self.done.clone();
        self.context.workers.spawn(move || {
            let work = AssertUnwindSafe(|| run(&context, &column, encoder));
            let result = catch_unwind(work).unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
            let result = match result {
                Ok(None) => return,
                Ok(Some(encoded)) => Ok(encoded),
                Err(error) => {
                    backlog.fail(error.clone());
                    Err(error)
                }
            };
            lock(&column.state).result = Some(result);
            done.notify_one();
        });
    }
}

/// Encodes what is queued; gives the encoded column when it has ended, nothing when more may come.
fn run(context: &Context, column: &Column, mut encoder: ColumnEncoder) -> Result<Option<EncodedColumn>> {
    loop {
        let next = {
            let mut state = lock(&column.state);
            match state.queue.pop_front() {
                Some(next) => next,
                None if state.ending => break,
                None => {
                    state.encoder = Some(encoder);
                    return Ok(None);
                }
            }
        };
        if context.cancelled.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let (array, pending) = next;
        encoder.write(&array)?;
        column.encoded_bytes.store(encoder.estimated_bytes(), Ordering::Release);
        column.encoded_rows.fetch_add(array.len() as u64, Ordering::AcqRel);
        drop(array);
        drop(pending);
    }
    encoder.close().map(Some)
}

/// A row group, encoded.
pub(super) struct EncodedGroup {
    pub(super) columns: Vec<EncodedColumn>,
    pub(super) memory: GroupMemory,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
