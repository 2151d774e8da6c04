//! Files that a write has made, until the caller takes them over.

use std::sync::{Arc, Mutex, PoisonError};

use floe_core::Result;
use floe_core::location::masked;
use futures::{StreamExt, stream};
use iceberg::io::FileIO;
use tokio::runtime::Handle;
use tokio::sync::RwLock;

use super::errors::join_error;
use crate::cleanup::UnderWay;

/// Remembers the files of a write that is not finished. No metadata refers to them yet, so that deleting
/// them can lose nothing.
pub(super) struct Created {
    file_io: FileIO,
    paths: Mutex<Vec<String>>,
    /// Where to delete from when the write is cancelled: the last to let go may be a thread outside of it.
    runtime: Option<Handle>,
    /// Held for reading while a file becomes visible, for writing while files are deleted.
    appearing: Arc<RwLock<()>>,
    under_way: Option<UnderWay>,
}

impl Created {
    pub(super) fn new(file_io: FileIO) -> Self {
        let runtime = Handle::try_current().ok();
        let under_way = Some(UnderWay::begin());
        Self { file_io, paths: Mutex::default(), runtime, appearing: Arc::default(), under_way }
    }

    pub(super) fn file_io(&self) -> &FileIO {
        &self.file_io
    }

    /// Remembers a file that is about to be made.
    pub(super) fn add(&self, path: &str) {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_owned());
    }

    /// Runs the step that makes a file visible. It goes on to its end even when nobody waits any more, and
    /// deletion waits for it: no file can appear after it was deleted.
    pub(super) async fn appear<T: Send + 'static>(
        &self,
        step: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let guard = self.appearing.clone().read_owned().await;
        let step = async move {
            let result = step.await;
            drop(guard);
            result
        };
        tokio::spawn(step).await.map_err(join_error)?
    }

    /// The caller has the files now.
    pub(super) fn keep(&self) {
        self.take();
    }

    /// Deletes every file that is remembered. A file that cannot be deleted is logged and left for orphan
    /// removal.
    pub(super) async fn delete(&self) {
        delete(self.file_io.clone(), self.appearing.clone(), self.take()).await;
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.paths.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Created {
    /// The write was cancelled: what it made goes, if there is still a runtime to do that.
    fn drop(&mut self) {
        let paths = self.take();
        if paths.is_empty() {
            return;
        }
        if let Some(runtime) = &self.runtime {
            let deletion = delete(self.file_io.clone(), self.appearing.clone(), paths);
            let under_way = self.under_way.take();
            drop(runtime.spawn(async move {
                deletion.await;
                drop(under_way);
            }));
        } else {
            tracing::warn!(files = paths.len(), "a cancelled write left data files behind");
        }
    }
}

async fn delete(file_io: FileIO, appearing: Arc<RwLock<()>>, paths: Vec<String>) {
    let _nothing_appears = appearing.write().await;
    let deletions = paths.into_iter().map(|path| {
        let file_io = file_io.clone();
        async move {
            // A file that never came to be is no failure.
            let gone = matches!(file_io.exists(&path).await, Ok(false));
            if !gone && let Err(error) = file_io.delete(&path).await {
                tracing::warn!(file = %masked(&path), %error, "an unfinished data file could not be deleted");
            }
        }
    });
    stream::iter(deletions).buffer_unordered(16).collect::<()>().await;
}
