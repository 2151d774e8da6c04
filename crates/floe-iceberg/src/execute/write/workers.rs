//! Threads that encode.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use floe_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use super::errors::{panicked, stopped};

/// A pool of threads: the one of the process, or one of a size of its own. Jobs must not block.
#[derive(Clone)]
pub(super) struct Workers(Option<Arc<rayon::ThreadPool>>);

impl Workers {
    /// `threads` threads, or as many as there are cores.
    pub(super) fn new(threads: Option<usize>) -> Result<Self> {
        let Some(threads) = threads else { return Ok(Self(None)) };
        let builder = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1));
        let pool = builder.thread_name(|i| format!("floe-encode-{i}")).build().map_err(|e| {
            Error::new(ErrorKind::Unavailable, "the threads that encode cannot be started").with_source(e)
        })?;
        Ok(Self(Some(Arc::new(pool))))
    }

    /// Runs `job` on the pool. It must not panic.
    pub(super) fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        match &self.0 {
            Some(pool) => pool.spawn(job),
            None => rayon::spawn(job),
        }
    }

    /// Runs `job` on the pool and waits for its result, or for its panic as an error.
    pub(super) fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send + 'static {
        let (sender, receiver) = oneshot::channel();
        self.spawn(move || {
            if sender.is_closed() {
                return;
            }
            let result = catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|p| Err(panicked(p.as_ref())));
            // Nobody waits any more when the write was cancelled.
            drop(sender.send(result));
        });
        async move { receiver.await.unwrap_or_else(|_| Err(stopped())) }
    }
}
