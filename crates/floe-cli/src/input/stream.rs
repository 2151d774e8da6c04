//! The rows of many inputs as one stream, read ahead on threads of their own.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use floe::data::BatchStream;
use floe::guard::Guard;
use floe::{Error, ErrorKind, Result};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::sync::mpsc;

use super::{Batches, ReadOptions, Source, Target};

/// Batches that are read ahead of the writer, for each input that is open.
const READ_AHEAD: usize = 4;
/// Inputs that are open at once.
const OPEN_INPUTS: usize = 2;

/// Makes batches of the stream's schema from those of one input.
pub(crate) type Adapt = Box<dyn Fn(RecordBatch) -> Result<RecordBatch> + Send>;

/// The rows of `inputs`, each with the schema it is read with and what turns its batches into those of
/// `schema`; in order. Memory is bounded: a few batches of two inputs.
pub(crate) fn stream(
    inputs: Vec<(Source, SchemaRef, Adapt)>,
    schema: SchemaRef,
    target: Target,
    options: ReadOptions,
) -> BatchStream {
    let target = Arc::new(target);
    let opened = stream::iter(inputs).map(move |(source, own, adapt)| {
        let (options, target, guard) = (options.clone(), target.clone(), source.guard());
        async move { spawn(guard, move || source.read(own, &target, &options), adapt) }
    });
    let batches = opened.buffered(OPEN_INPUTS).flatten();
    // Ends after the first error.
    let until_error = batches.scan(false, |failed, batch: Result<RecordBatch>| {
        let go_on = !std::mem::replace(failed, batch.is_err() || *failed);
        futures::future::ready(go_on.then_some(batch))
    });
    BatchStream::new(schema, until_error.boxed())
}

fn spawn(
    guard: Guard,
    open: impl FnOnce() -> Result<Batches> + Send + 'static,
    adapt: Adapt,
) -> BoxStream<'static, Result<RecordBatch>> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    let thread = tokio::task::spawn_blocking(move || {
        let batches: Batches = match open() {
            Ok(batches) => batches,
            Err(error) => Box::new(std::iter::once(Err(error))),
        };
        for batch in batches {
            // Nobody listens any more: the write failed or was cancelled.
            if sender.blocking_send(batch.and_then(|batch| guard.call(|| adapt(batch)))).is_err() {
                break;
            }
        }
    });
    let received = stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|batch| (batch, receiver))
    });
    // A reader that died must not look like one that came to its end.
    let died = stream::once(thread).filter_map(|joined| async move {
        joined.err().map(|_| Err(Error::new(ErrorKind::Internal, "a reader of the input stopped")))
    });
    received.chain(died).boxed()
}
