//! What PostgreSQL's failures mean.

use floe_core::{Error, ErrorKind};

use super::certain;

/// Turns a failure into an error that names the database.
///
/// Kind `CommitStateUnknown` where a change may have taken effect, if it was one; see [`super::certain`].
pub(crate) fn from_postgres(error: sqlx::Error, place: &str) -> Error {
    let (kind, what, hint) = match &error {
        sqlx::Error::Database(reply) => match reply.code() {
            Some(code) => describe(&code),
            None => describe(""),
        },
        sqlx::Error::Tls(cause) if cause.to_string().contains("does not support TLS") => (
            ErrorKind::Io,
            "TLS is not offered there, and no password was sent",
            "turn TLS on at the server; where the network is trusted, add `sslmode=disable` to `uri`: the password \
             then goes in clear",
        ),
        sqlx::Error::Tls(_) => (
            ErrorKind::Io,
            "TLS failed",
            "check `sslmode`, `sslrootcert`, the host's name and this machine's clock",
        ),
        sqlx::Error::Configuration(_) => (ErrorKind::Validation, "the settings do not fit", "check `uri`"),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) => describe("42703"),
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => {
            return unreachable(place, "no connection was to be had");
        }
        _ => (ErrorKind::CommitStateUnknown, "the connection broke", "look whether the change is there"),
    };
    let cause = match &error {
        sqlx::Error::Io(cause) => format!(": {cause}"),
        sqlx::Error::Tls(cause) => format!(": {cause}"),
        _ => String::new(),
    };
    // The source stays out: a reply may quote the row.
    Error::new(kind, format!("{place}: {what}{cause}")).with_hint(hint)
}

/// Why no connection to the database came about; nothing was changed.
pub(crate) fn not_connected(error: sqlx::Error, place: &str) -> Error {
    let sqlx::Error::Io(cause) = &error else {
        return certain(from_postgres(error, place), ErrorKind::Unavailable);
    };
    let text = cause.to_string();
    let (kind, what, hint) = if text.contains("certificate") {
        return from_postgres(sqlx::Error::Tls(text.into()), place);
    } else if text.contains("lookup address") {
        (
            ErrorKind::Unavailable,
            "its host's name cannot be resolved",
            "check the host in `uri`, and the name service",
        )
    } else if cause.kind() == std::io::ErrorKind::ConnectionRefused {
        (
            ErrorKind::Unavailable,
            "nothing listens there",
            "check host and port in `uri`, and whether the server runs",
        )
    } else {
        return unreachable(place, &format!("no connection came about: {cause}"));
    };
    Error::new(kind, format!("{place}: {what}")).with_hint(hint)
}

/// There is no connection to the database.
pub(crate) fn unreachable(place: &str, why: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{place}: {why}"))
        .with_hint("check host, port and network, and whether the server runs")
}

/// Kind, cause and remedy for an SQLSTATE (postgresql.org/docs, "PostgreSQL Error Codes").
fn describe(code: &str) -> (ErrorKind, &'static str, &'static str) {
    const AGAIN: &str = "try again";
    match code {
        "28P01" => (ErrorKind::Unauthenticated, "it refuses user or password", "check both in `uri`"),
        "28000" => (
            ErrorKind::Unauthenticated,
            "it does not let this user in",
            "check the user in `uri`, and pg_hba.conf at the server",
        ),
        "3D000" => {
            (ErrorKind::Validation, "there is no such database", "make it with `createdb`, or mend `uri`")
        }
        "42501" => {
            (ErrorKind::PermissionDenied, "the user may not do this", "grant rights to the tables iceberg_*")
        }
        "25006" => (ErrorKind::PermissionDenied, "it is read-only", "connect to the primary server"),
        "42P01" | "3F000" | "42703" | "42804" => (
            ErrorKind::Corrupted,
            "its tables are not those of an Iceberg catalog",
            "check `uri` and `schema`",
        ),
        "22001" => (ErrorKind::Validation, "a name, location or property is too long for it", "shorten it"),
        "22021" => (ErrorKind::Validation, "it does not keep such a text", "check its encoding"),
        // Rolled back for the sake of another transaction.
        "40001" | "40P01" | "40002" | "40000" => {
            (ErrorKind::Unavailable, "another change came in between", AGAIN)
        }
        "55P03" => (ErrorKind::Unavailable, "a lock was not to be had in time", AGAIN),
        "57014" => (ErrorKind::Timeout, "the statement took too long", AGAIN),
        "53300" | "53400" => (ErrorKind::Unavailable, "it takes no more connections", AGAIN),
        "57P03" => (ErrorKind::Unavailable, "it is starting or stopping", AGAIN),
        "53100" => (ErrorKind::StorageFull, "its disk is full", "free some room and try again"),
        "53200" | "53000" => (ErrorKind::Unavailable, "its memory is used up", AGAIN),
        "XX001" | "XX002" => {
            (ErrorKind::Corrupted, "it is damaged", "restore it, or register its tables again")
        }
        // The server was stopped, or the connection lost, at a point that is not known.
        "57P01" | "57P02" | "57P05" | "40003" | "" => {
            (ErrorKind::CommitStateUnknown, "the connection was ended", "look whether the change is there")
        }
        code if code.starts_with("08") || code.starts_with("58") || code.starts_with("XX") => {
            (ErrorKind::CommitStateUnknown, "the connection broke", "look whether the change is there")
        }
        _ => (ErrorKind::Internal, "it refused the statement", "report this"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::certain;

    #[test]
    fn what_was_rolled_back_is_no_unknown_outcome() {
        for code in ["40001", "40P01", "55P03", "57014", "23505", "42501", "53100"] {
            assert_ne!(describe(code).0, ErrorKind::CommitStateUnknown, "{code}");
        }
        for code in ["57P01", "08006", "08003", "58030", ""] {
            assert_eq!(describe(code).0, ErrorKind::CommitStateUnknown, "{code}");
        }
    }

    #[test]
    fn a_lost_connection_is_an_unknown_outcome_and_a_plain_failure_of_a_read() {
        let error = from_postgres(sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()), "database x");
        assert_eq!(error.kind(), ErrorKind::CommitStateUnknown);
        assert!(error.to_string().contains("database x"));
        assert_eq!(certain(error, ErrorKind::Unavailable).kind(), ErrorKind::Unavailable);
    }
}
