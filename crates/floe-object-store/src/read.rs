//! Reading ranges of a file.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use floe_core::{Error, ErrorKind, Result};
use iceberg::io::FileRead;
use object_store::{GetOptions, GetResultPayload, ObjectStoreExt};
use tokio::sync::OnceCell;

use crate::error::io_error;
use crate::storage::{Target, blocking};

/// Reads ranges of one file. Over a network each range is one request; a local file is opened once, at the
/// first read, and each range is one `pread`.
#[derive(Debug)]
pub(crate) struct ObjectReader {
    target: Target,
    location: String,
    local: bool,
    file: OnceCell<Arc<File>>,
}

impl ObjectReader {
    pub(crate) fn new(target: Target, location: String, local: bool) -> Self {
        Self { target, location, local, file: OnceCell::new() }
    }

    async fn read_range(&self, range: Range<u64>) -> Result<Bytes> {
        let expected = range.end.saturating_sub(range.start);
        if expected == 0 {
            return Ok(Bytes::new());
        }
        let bytes = if self.local {
            let file = Arc::clone(self.file.get_or_try_init(|| self.open()).await?);
            blocking(move || read_at(&file, range))
                .await?
                .map_err(|e| io_error(&e, &format!("reading {}", self.location)))?
        } else {
            let Target { store, path, .. } = &self.target;
            let got = store.get_range(path, range).await;
            got.map_err(|e| self.target.failed(e, "reading", &self.location))?
        };
        if bytes.len() as u64 == expected {
            Ok(bytes)
        } else {
            Err(Error::new(
                ErrorKind::Corrupted,
                format!(
                    "reading {}: the file ends {} bytes before the range that was asked for",
                    self.location,
                    expected - bytes.len() as u64
                ),
            ))
        }
    }

    async fn open(&self) -> Result<Arc<File>> {
        let got = self.target.store.get_opts(&self.target.path, GetOptions::default()).await;
        match got.map_err(|e| self.target.failed(e, "reading", &self.location))?.payload {
            GetResultPayload::File(file, _) => Ok(Arc::new(file)),
            GetResultPayload::Stream(_) => {
                Err(Error::new(ErrorKind::Internal, "a store of local files gave no file"))
            }
        }
    }
}

#[async_trait::async_trait]
impl FileRead for ObjectReader {
    async fn read(&self, range: Range<u64>) -> iceberg::Result<Bytes> {
        Ok(self.read_range(range).await?)
    }
}

/// Reads up to the end of the range or of the file.
#[cfg(unix)]
fn read_at(file: &File, range: Range<u64>) -> std::io::Result<Bytes> {
    use std::os::unix::fs::FileExt;

    let mut buffer = vec![0; (range.end - range.start) as usize];
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], range.start + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    buffer.truncate(filled);
    Ok(buffer.into())
}

/// Reads up to the end of the range or of the file.
#[cfg(not(unix))]
fn read_at(file: &File, range: Range<u64>) -> std::io::Result<Bytes> {
    use std::io::{Read, Seek, SeekFrom};

    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(range.start))?;
    let mut buffer = Vec::new();
    file.take(range.end - range.start).read_to_end(&mut buffer)?;
    Ok(buffer.into())
}
