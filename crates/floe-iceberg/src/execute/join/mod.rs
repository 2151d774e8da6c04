//! Joining the rows of a source to the rows of a table by key, within bounded memory.
//!
//! The source is kept in memory, or beyond that in temporary files, a part for each range of hashes of its keys. Each
//! part in turn is looked up by the keys of the table's rows, which are read where the metadata of files and row groups
//! does not rule the keys of the part out.

mod keys;
mod source;
mod spill;
mod table;

use arrow_schema::ArrowError;
use floe_core::{Error, ErrorKind, Result};

pub(crate) use keys::KeyCodec;
pub(crate) use source::{Source, SourceOptions, memory_of};
pub(crate) use table::KeyTable;

/// An error of an Arrow kernel over rows. Its text may quote a value, and is not kept.
pub(crate) fn arrow_error(error: ArrowError) -> Error {
    match error {
        ArrowError::ExternalError(source) => match source.downcast_ref::<Error>() {
            Some(error) => error.clone(),
            None => Error::new(ErrorKind::Internal, "a computation over rows failed"),
        },
        ArrowError::IoError(_, io) => Error::from(io),
        _ => Error::new(ErrorKind::Internal, "a computation over rows failed"),
    }
}

/// Runs work that takes long, or waits for files, on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Error::new(ErrorKind::Internal, "joining rows stopped short"))?
}
