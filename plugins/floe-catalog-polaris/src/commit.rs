//! What the answer to a commit means.

use floe_core::{Error, ErrorKind};

use crate::error::{About, Failure, refused};
use crate::http::Reply;

/// How a commit ended.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It happened; the reply tells the table.
    Done(Reply),
    /// It certainly did not happen: another commit came first.
    Conflict(Error),
    /// It may have happened.
    Unknown(Error),
    /// It certainly did not happen, for another reason.
    Refused(Error),
}

/// Judges the answer to a commit (Iceberg REST specification, `updateTable`).
///
/// 429 says that the commit came too often and was not taken (RFC 6585, section 4); it was sent again already, as often
/// as patience allows. 503 says that the server was busy. Whether it was so before it took the commit up, only a server
/// that was never asked can prove: the loop that repeats commits looks at the table's history first.
pub(crate) fn verdict(outcome: Result<Reply, Failure>) -> Verdict {
    let reply = match outcome {
        Ok(reply) => reply,
        Err(Failure::NotSent(error)) => return Verdict::Refused(error),
        Err(Failure::Lost(error)) => return Verdict::Unknown(error.with_kind(ErrorKind::CommitStateUnknown)),
    };
    if reply.is_success() {
        return Verdict::Done(reply);
    }
    let error = refused(&reply, About::Table);
    if reply.leaves_doubt() {
        Verdict::Unknown(error.with_kind(ErrorKind::CommitStateUnknown))
    } else if reply.status == 409 {
        Verdict::Conflict(error.with_kind(ErrorKind::CommitConflict))
    } else {
        Verdict::Refused(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16) -> &'static str {
        match verdict(Ok(Reply { status, ..Reply::default() })) {
            Verdict::Done(_) => "done",
            Verdict::Conflict(e) => {
                assert_eq!(e.kind(), ErrorKind::CommitConflict);
                "conflict"
            }
            Verdict::Unknown(e) => {
                assert_eq!(e.kind(), ErrorKind::CommitStateUnknown);
                "unknown"
            }
            Verdict::Refused(e) => e.kind().as_str(),
        }
    }

    #[test]
    fn each_status_has_one_meaning() {
        let cases = [
            (200, "done"),
            (204, "done"),
            (302, "validation"),
            (400, "validation"),
            (401, "unauthenticated"),
            (403, "permission_denied"),
            (404, "no_such_table"),
            (408, "unknown"),
            (409, "conflict"),
            (419, "unauthenticated"),
            (422, "validation"),
            (429, "unavailable"),
            (500, "unknown"),
            (501, "unsupported"),
            (502, "unknown"),
            (503, "unknown"),
            (504, "unknown"),
            (599, "unknown"),
        ];
        for (status, expected) in cases {
            assert_eq!(of(status), expected, "{status}");
        }
    }

    #[test]
    fn what_was_never_sent_may_be_sent_again_and_what_was_lost_may_not() {
        let error = || Error::new(ErrorKind::Unavailable, "no");
        match verdict(Err(Failure::NotSent(error()))) {
            Verdict::Refused(e) => assert_eq!(e.kind().action(), floe_core::Action::Retry),
            other => panic!("{other:?}"),
        }
        assert!(matches!(verdict(Err(Failure::Lost(error()))), Verdict::Unknown(_)));
    }
}
