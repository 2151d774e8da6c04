//! What SQLite's failures mean.

#[cfg(feature = "postgres")]
pub(crate) mod postgres;

use std::fmt::Display;
use std::path::Path;

use floe_core::{Error, ErrorKind};

/// Turns a failure of SQLite into an error that names the catalog file.
///
/// Kind `CommitStateUnknown` where a change may have taken effect, if it was one; see [`certain`].
pub(crate) fn from_sqlite(error: sqlx::Error, path: &Path) -> Error {
    let file = path.display();
    let (kind, what, hint) = match code(&error) {
        Some(code) => describe(code),
        None => match &error {
            sqlx::Error::PoolTimedOut => describe(5),
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) => describe(11),
            _ => (ErrorKind::CommitStateUnknown, "the connection broke", "look whether the change is there"),
        },
    };
    Error::new(kind, format!("catalog file {file}: {what}")).with_hint(hint).with_source(error)
}

/// The error of an operation that changed nothing for certain: a read, or one that failed before its first
/// change: `kind` where it would leave open whether it did.
pub(crate) fn certain(error: Error, kind: ErrorKind) -> Error {
    match error.kind() {
        ErrorKind::CommitStateUnknown => error.with_kind(kind),
        _ => error,
    }
}

/// Whether a row was refused because one with its key is there.
pub(crate) fn is_duplicate(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|e| e.is_unique_violation())
}

/// There is no catalog in a file or database yet.
pub(crate) fn not_set_up(place: &dyn Display) -> Error {
    Error::new(ErrorKind::FileNotFound, format!("there is no catalog in {place}"))
        .with_hint("check `uri` and `warehouse`; the first command that writes sets one up")
}

/// The primary result code (the low byte of the extended one).
fn code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error()?.code()?;
    Some(code.parse::<u32>().ok()? & 0xff)
}

/// Kind, cause and remedy for a primary result code (sqlite.org/rescode.html).
fn describe(code: u32) -> (ErrorKind, &'static str, &'static str) {
    const LOCKED: &str = "another process holds the lock; raise `busy-timeout-ms` or try again";
    const DENIED: &str = "check the permissions of the file and of its folder";
    match code {
        3 | 23 => (ErrorKind::PermissionDenied, "access was denied", DENIED),
        8 => (ErrorKind::PermissionDenied, "it is read-only", DENIED),
        14 => (ErrorKind::PermissionDenied, "it cannot be opened", DENIED),
        5 | 6 | 15 => (ErrorKind::Unavailable, "it stayed locked for the whole waiting time", LOCKED),
        11 => (ErrorKind::Corrupted, "it is damaged", "restore it, or register its tables again"),
        26 => (ErrorKind::Corrupted, "it is no SQLite database", "check `uri` and `warehouse`"),
        13 => (ErrorKind::StorageFull, "no room is left on the device", "free some room and try again"),
        // An error while reading or writing: how far the change came is not known.
        10 => (ErrorKind::CommitStateUnknown, "reading or writing it failed", "check the device"),
        1 => (ErrorKind::Corrupted, "its tables are not those of an Iceberg catalog", "check `uri`"),
        _ => (ErrorKind::Internal, "SQLite refused the statement", "report this"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failed_read_or_write_leaves_the_outcome_open() {
        let open: Vec<u32> = (0..=28).filter(|c| describe(*c).0 == ErrorKind::CommitStateUnknown).collect();
        assert_eq!(open, [10]);
    }

    #[test]
    fn a_broken_connection_is_an_unknown_outcome_and_a_plain_failure_of_a_read() {
        let error = from_sqlite(sqlx::Error::WorkerCrashed, Path::new("/c.db"));
        assert_eq!(error.kind(), ErrorKind::CommitStateUnknown);
        assert!(error.to_string().contains("/c.db"));
        assert_eq!(certain(error, ErrorKind::Io).kind(), ErrorKind::Io);
    }
}
