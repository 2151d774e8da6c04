//! Errors of the libraries, as floe's own.

use std::any::Any;

use arrow_schema::ArrowError;
use floe_core::{Error, ErrorKind};
use parquet::errors::ParquetError;

/// An error of the Parquet writer. What it wraps keeps its kind.
pub(super) fn parquet_error(error: ParquetError) -> Error {
    if let ParquetError::External(inner) = &error {
        if let Some(floe) = inner.downcast_ref::<Error>() {
            return floe.clone();
        }
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return Error::from(std::io::Error::new(io.kind(), io.to_string()));
        }
    }
    Error::new(ErrorKind::Write, "the rows cannot be encoded as Parquet").with_source(error)
}

/// An error of an Arrow kernel or of a temporary file. What it wraps keeps its kind.
pub(super) fn arrow_error(error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, io) => Error::from(io),
        error => Error::new(ErrorKind::Write, "the rows cannot be put in order").with_source(error),
    }
}

/// A panic on a worker thread.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    Error::new(ErrorKind::Internal, format!("a thread that encodes data files panicked: {text}"))
}

/// A worker that went away without an answer: the write was cancelled.
pub(super) fn stopped() -> Error {
    Error::new(ErrorKind::Internal, "a thread that encodes data files stopped")
}

/// A task that ended without a result.
pub(super) fn join_error(error: tokio::task::JoinError) -> Error {
    match error.try_into_panic() {
        Ok(panic) => panicked(panic.as_ref()),
        Err(_) => stopped(),
    }
}
