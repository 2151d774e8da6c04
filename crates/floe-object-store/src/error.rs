//! Errors of `object_store` as errors of floe.

use std::error::Error as StdError;
use std::io;

use floe_core::location::{mask_text, masked};
use floe_core::{Error, ErrorKind};
use object_store::Error as StoreError;

use crate::remote::remote_error;

/// Turns an error of `object_store` into one of floe. `doing` says what was tried (`writing`), `location`
/// where.
///
/// The code that a remote store answered decides the kind and the hint. With local files an IO error anywhere
/// in the chain of causes does, so that a full disk stays [`ErrorKind::StorageFull`]. URLs, headers and bodies
/// are kept out of messages, because they can carry credentials; the raw error of a remote store is not kept as
/// a source for the same reason.
pub fn storage_error(error: StoreError, doing: &str, location: &str) -> Error {
    let context = format!("{doing} {}", masked(location));
    if let Some(error) = remote_error(&error, &context) {
        return error;
    }
    if let Some(io) = find_io(&error) {
        return io_error(io, &context);
    }
    let (kind, hint) = match &error {
        StoreError::NotFound { .. } => (ErrorKind::FileNotFound, None),
        StoreError::AlreadyExists { .. } | StoreError::Precondition { .. } => {
            (ErrorKind::CommitConflict, None)
        }
        StoreError::PermissionDenied { .. } => {
            (ErrorKind::PermissionDenied, Some("grant the credentials access to this location"))
        }
        StoreError::Unauthenticated { .. } => {
            (ErrorKind::Unauthenticated, Some("check the configured credentials"))
        }
        StoreError::NotSupported { .. } | StoreError::NotImplemented { .. } => (ErrorKind::Unsupported, None),
        StoreError::InvalidPath { .. } => (ErrorKind::Validation, None),
        StoreError::JoinError { .. } => (ErrorKind::Internal, None),
        _ => (ErrorKind::Io, None),
    };
    let error = Error::new(kind, format!("{context}: {}", mask_text(&without_queries(&error.to_string()))));
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// A catalog gave the credentials that a store refuses, or does not let do something: nobody here can mend them, nor
/// grant them more.
pub(crate) fn of_vended(error: Error) -> Error {
    let clock = error.hint().is_some_and(|hint| hint.contains("clock"));
    let hint = match error.kind() {
        ErrorKind::PermissionDenied => {
            "the catalog gave these credentials for the table: ask there for the privilege on the table's data, and \
             check the locations that its storage configuration allows"
        }
        ErrorKind::Unauthenticated if !clock => {
            "the catalog gave these credentials for the table: check its storage configuration, and the endpoint"
        }
        _ => return error,
    };
    Error::new(error.kind(), error.message()).with_hint(hint)
}

/// An IO error with its context, and with a hint where one helps.
pub(crate) fn io_error(io: &io::Error, context: &str) -> Error {
    // `io::Error` is not `Clone`; kind and text say all there is.
    let error = Error::from(match io.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(io.kind(), io.to_string()),
    });
    let error = match io.kind() {
        io::ErrorKind::NotADirectory => error
            .with_kind(ErrorKind::PermissionDenied)
            .with_hint("a folder of the path is a file: choose another location"),
        _ => error,
    };
    let error = error.context(mask_text(context));
    match error.kind() {
        ErrorKind::StorageFull => error.with_hint("free some room, or raise the quota"),
        ErrorKind::PermissionDenied => error.with_hint("make the folder accessible to this user"),
        _ => error,
    }
}

fn find_io(error: &StoreError) -> Option<&io::Error> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(e) = next {
        if let Some(io) = e.downcast_ref::<io::Error>() {
            return Some(io);
        }
        next = e.source();
    }
    None
}

/// Replaces `?…` of every URL by `?***`.
pub(crate) fn without_queries(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (i, word) in text.split(' ').enumerate() {
        if i > 0 {
            out.push(' ');
        }
        match word.split_once('?') {
            Some((url, query)) if word.contains("://") && !query.is_empty() => {
                out.push_str(url);
                out.push_str("?***");
            }
            _ => out.push_str(word),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(source: impl StdError + Send + Sync + 'static) -> StoreError {
        StoreError::Generic { store: "LocalFileSystem", source: Box::new(source) }
    }

    #[test]
    fn who_was_given_credentials_is_not_told_to_mend_them() {
        for kind in [ErrorKind::PermissionDenied, ErrorKind::Unauthenticated] {
            let error = of_vended(Error::new(kind, "no").with_hint("grant these credentials access"));
            assert_eq!(error.kind(), kind);
            let hint = error.hint().unwrap();
            assert!(
                hint.starts_with("the catalog gave these credentials") && !hint.contains("grant"),
                "{hint}"
            );
        }
        let clock = Error::new(ErrorKind::Unauthenticated, "no").with_hint("set the clock of this machine");
        assert!(of_vended(clock).hint().unwrap().contains("clock"));
        let other = Error::new(ErrorKind::Unavailable, "no").with_hint("try again");
        assert_eq!(of_vended(other).hint(), Some("try again"));
    }

    #[test]
    fn an_io_error_deep_inside_decides_the_kind() {
        // ENOSPC and EDQUOT on Linux.
        for code in [28, 122] {
            let inner = StoreError::NotSupported { source: io::Error::from_raw_os_error(code).into() };
            let error = storage_error(generic(inner), "writing", "file:///x");
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn kinds_survive_a_journey_through_iceberg() {
        let not_found = StoreError::NotFound { path: "x".into(), source: "gone".into() };
        let through = iceberg::Error::from(storage_error(not_found, "reading", "s3://b/x"));
        assert_eq!(Error::from(through).kind(), ErrorKind::FileNotFound);
    }

    #[test]
    fn signed_urls_lose_their_signature() {
        let error = StoreError::NotSupported {
            source: "GET https://h/c/b?sv=1&sig=hunter2 failed: (https://h/?sig=hunter2)".into(),
        };
        let error = storage_error(error, "reading", "abfss://c@h/b");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }

    #[test]
    fn a_remote_store_that_gave_up_is_unavailable() {
        let error = storage_error(
            StoreError::Generic { store: "S3", source: "connection refused".into() },
            "reading",
            "s3://b/x",
        );
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}
