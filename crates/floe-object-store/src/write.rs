//! Writing a file: one request when it is small, concurrent parts when it is large.

use std::sync::Arc;

use bytes::Bytes;
use floe_core::{Error, ErrorKind, Result};
use iceberg::io::FileWrite;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayloadMut};
use tokio::task::JoinSet;

use crate::error::storage_error;
use crate::provider::StoreOptions;
use crate::storage::{Target, flush};

/// Pieces below this are copied together, so that many tiny writes do not make many tiny buffers.
const COPY_BELOW: usize = 16 << 10;

/// Writes one file. Nothing is visible before `close` succeeds; a writer that fails or is dropped leaves
/// nothing behind.
#[derive(Debug)]
pub(crate) struct ObjectWriter {
    target: Target,
    location: String,
    options: StoreOptions,
    buffer: PutPayloadMut,
    /// Bytes taken so far.
    written: u64,
    upload: Option<Upload>,
    state: State,
}

#[derive(Debug)]
struct Upload {
    target: Box<dyn MultipartUpload>,
    parts: JoinSet<object_store::Result<()>>,
    started: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closed,
    Failed,
}

impl ObjectWriter {
    pub(crate) fn new(target: Target, location: String, options: StoreOptions) -> Self {
        let buffer = PutPayloadMut::new();
        Self { target, location, options, buffer, written: 0, upload: None, state: State::Open }
    }

    async fn append(&mut self, mut bytes: Bytes) -> object_store::Result<()> {
        self.written += bytes.len() as u64;
        while !bytes.is_empty() {
            let part_size = self.options.part_size(self.upload.as_ref().map_or(0, |u| u.started));
            let room = part_size.saturating_sub(self.buffer.content_length());
            if room == 0 {
                self.send_part().await?;
                continue;
            }
            let piece = bytes.split_to(room.min(bytes.len()));
            if piece.len() < COPY_BELOW {
                self.buffer.extend_from_slice(&piece);
            } else {
                self.buffer.push(piece);
            }
        }
        Ok(())
    }

    /// Starts the upload of the buffer, once there is room for another part under way.
    async fn send_part(&mut self) -> object_store::Result<()> {
        let upload = if let Some(upload) = &mut self.upload {
            upload
        } else {
            let target = self.target.store.put_multipart(&self.target.path).await?;
            self.upload.insert(Upload { target, parts: JoinSet::new(), started: 0 })
        };
        while upload.parts.len() >= self.options.parts_in_flight.max(1) {
            upload.wait_for_one().await?;
        }
        let part = std::mem::take(&mut self.buffer).freeze();
        upload.parts.spawn(upload.target.put_part(part));
        upload.started += 1;
        Ok(())
    }

    async fn finish(&mut self) -> object_store::Result<()> {
        if self.upload.is_none() {
            let payload = std::mem::take(&mut self.buffer).freeze();
            self.target.store.put(&self.target.path, payload).await?;
            return Ok(());
        }
        if !self.buffer.is_empty() {
            self.send_part().await?;
        }
        if let Some(upload) = &mut self.upload {
            while !upload.parts.is_empty() {
                upload.wait_for_one().await?;
            }
            let completed = upload.target.complete().await;
            if let Err(error) = completed {
                check_completed(&self.target.store, &self.target.path, self.written, error).await?;
            }
        }
        self.upload = None;
        Ok(())
    }

    /// Takes back what was uploaded, and says what went wrong.
    async fn fail(&mut self, error: object_store::Error) -> Error {
        self.state = State::Failed;
        self.buffer = PutPayloadMut::new();
        if let Some(mut upload) = self.upload.take() {
            upload.abort(&self.location).await;
        }
        self.target.failed(error, "writing", &self.location)
    }

    fn check_open(&self) -> Result<()> {
        let problem = match self.state {
            State::Open => return Ok(()),
            State::Closed => "the file is closed already",
            State::Failed => "an earlier write to this file failed",
        };
        Err(Error::new(ErrorKind::Io, format!("writing {}: {problem}", self.location)))
    }
}

/// An upload that was completed is gone. If the reply was lost and the request repeated, the store says so; then
/// the file is there, and has the length that was written.
async fn check_completed(
    store: &Arc<dyn ObjectStore>,
    path: &Path,
    written: u64,
    error: object_store::Error,
) -> object_store::Result<()> {
    if !matches!(error, object_store::Error::NotFound { .. }) {
        return Err(error);
    }
    match store.head(path).await {
        Ok(found) if found.size == written => Ok(()),
        _ => Err(error),
    }
}

impl Upload {
    async fn wait_for_one(&mut self) -> object_store::Result<()> {
        match self.parts.join_next().await {
            Some(joined) => joined?,
            None => Ok(()),
        }
    }

    async fn abort(&mut self, location: &str) {
        self.parts.shutdown().await;
        if let Err(error) = self.target.abort().await {
            let error = storage_error(error, "aborting the write of", location);
            tracing::warn!(%error, "parts of an aborted write may be left in the store");
        }
    }
}

#[async_trait::async_trait]
impl FileWrite for ObjectWriter {
    async fn write(&mut self, bytes: Bytes) -> iceberg::Result<()> {
        self.check_open()?;
        match self.append(bytes).await {
            Ok(()) => Ok(()),
            Err(e) => Err(self.fail(e).await.into()),
        }
    }

    async fn close(&mut self) -> iceberg::Result<()> {
        self.check_open()?;
        match self.finish().await {
            Ok(()) => {
                self.state = State::Closed;
                Ok(flush(&self.options, &self.target.path, &self.location).await?)
            }
            Err(e) => Err(self.fail(e).await.into()),
        }
    }
}

impl Drop for ObjectWriter {
    fn drop(&mut self) {
        if let Some(mut upload) = self.upload.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let location = std::mem::take(&mut self.location);
            runtime.spawn(async move { upload.abort(&location).await });
        }
    }
}
