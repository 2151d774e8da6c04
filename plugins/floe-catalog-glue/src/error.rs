//! What Glue's failures mean.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_glue::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use floe_core::{Error, ErrorKind};

const REACH: &str = "check `glue.endpoint`, `glue.region` and the network";
const KEYS: &str = "check the access key, its secret and its token";
const KEY_ID: &str =
    "AWS does not know the access key or its token: check `glue.access-key-id` and `glue.session-token`";
const SECRET: &str = "the secret does not belong to the access key: check `glue.secret-access-key`";

/// Turns a failure of a call to the service at `address` into an error.
///
/// Kind `CommitStateUnknown` where a change may have taken effect, if it was one; see [`certain`]. The kinds
/// `NoSuchTable`, `TableAlreadyExists` and `CommitConflict` stand for Glue's EntityNotFound, AlreadyExists and
/// ConcurrentModification, of a database as well: the caller knows what was asked for.
pub(crate) fn from_sdk<E>(error: SdkError<E, HttpResponse>, address: &str) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    // Glue's replies and the chain of sources stay out of the error: a reply about a signature quotes the request,
    // session token included.
    if !matches!(error, SdkError::ServiceError(_))
        && let Some(cause) = find::<CredentialsError>(&error)
    {
        return no_credentials(cause);
    }
    match &error {
        SdkError::ServiceError(reply) => {
            let status = reply.raw().status().as_u16();
            described(error.code().unwrap_or_default(), error.message().unwrap_or_default(), status)
        }
        SdkError::ConstructionFailure(_) => {
            Error::new(ErrorKind::Internal, format!("the request cannot be made: {}", root(&error)))
        }
        SdkError::TimeoutError(_) => {
            let what = format!("Glue at {address} did not answer in time");
            Error::new(ErrorKind::CommitStateUnknown, what).with_hint(REACH)
        }
        _ => unreachable(&error, address),
    }
}

/// No answer came. `CommitStateUnknown` where the request may have been received.
fn unreachable(error: &(dyn StdError + 'static), address: &str) -> Error {
    let text = texts(error);
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let (kind, what, hint) = if says(&["certificate"]) {
        (
            ErrorKind::Io,
            "its TLS certificate was refused".to_owned(),
            "check the host in `glue.endpoint`, the certificates that this machine trusts, and its clock",
        )
    } else if says(&["corrupt message", "handshake", "alert"]) {
        (
            ErrorKind::Io,
            "no TLS connection can be made".to_owned(),
            "check that it speaks https at this port, or write http:// in `glue.endpoint`",
        )
    } else if says(&["invalid http"]) {
        (
            ErrorKind::Io,
            "its answer is not HTTP".to_owned(),
            "write https:// in `glue.endpoint`, or check its port",
        )
    } else if says(&["dns error", "failed to lookup"]) {
        (
            ErrorKind::Unavailable,
            "its name cannot be resolved".to_owned(),
            "check the host in `glue.endpoint`, `glue.region` and the name service",
        )
    } else if says(&["connection refused"]) {
        (
            ErrorKind::Unavailable,
            "nothing listens there".to_owned(),
            "check host and port in `glue.endpoint`, and that the service runs",
        )
    } else {
        (ErrorKind::CommitStateUnknown, root(error), REACH)
    };
    Error::new(kind, format!("Glue cannot be reached at {address}: {what}")).with_hint(hint)
}

/// The error of a call that changes nothing, or that changed nothing for certain.
pub(crate) fn certain(error: Error) -> Error {
    match error.kind() {
        ErrorKind::CommitStateUnknown => error.with_kind(ErrorKind::Unavailable),
        _ => error,
    }
}

/// Whether a call was refused before it did anything, because there were too many.
pub(crate) fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "BandwidthLimitExceeded"
            | "SlowDown"
    )
}

/// Kind, cause and remedy for an answer of Glue.
fn described(code: &str, message: &str, status: u16) -> Error {
    use ErrorKind as Kind;
    let (kind, what, hint) = match code {
        "EntityNotFoundException" => (Kind::NoSuchTable, "Glue knows no such thing".to_owned(), ""),
        "AlreadyExistsException" => (Kind::TableAlreadyExists, "it is there already".to_owned(), ""),
        "ConcurrentModificationException" | "VersionMismatchException" => {
            (Kind::CommitConflict, "another change came first".to_owned(), "load the table and try again")
        }
        code if is_throttling(code) => {
            (Kind::Unavailable, "Glue takes no more requests for now".to_owned(), "try again later")
        }
        "ResourceNotReadyException" | "FederationSourceRetryableException" => {
            (Kind::Unavailable, "Glue is not ready for this table".to_owned(), "try again later")
        }
        // Who may not do what; AWS names no secret here.
        "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" => {
            (Kind::PermissionDenied, format!("AWS denies it: {message}"), "grant the action to the caller")
        }
        "GlueEncryptionException" => (
            Kind::PermissionDenied,
            "Glue cannot use the catalog's key".to_owned(),
            "check the rights to the KMS key",
        ),
        "ExpiredTokenException" | "ExpiredToken" => {
            (Kind::Unauthenticated, "the AWS credentials have expired".to_owned(), "get new ones")
        }
        "RequestExpired" | "RequestTimeTooSkewed" => clock(),
        "InvalidSignatureException" | "SignatureDoesNotMatch"
            if message.contains("expired") || message.contains("not yet current") =>
        {
            clock()
        }
        "UnrecognizedClientException" | "InvalidClientTokenId" => {
            (Kind::Unauthenticated, format!("AWS refuses the credentials ({code})"), KEY_ID)
        }
        "InvalidSignatureException" | "SignatureDoesNotMatch" => {
            (Kind::Unauthenticated, format!("AWS refuses the credentials ({code})"), SECRET)
        }
        "IncompleteSignature"
        | "IncompleteSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "AuthFailure" => (Kind::Unauthenticated, format!("AWS refuses the credentials ({code})"), KEYS),
        "ResourceNumberLimitExceededException" => (
            Kind::StorageFull,
            "a quota of Glue is used up".to_owned(),
            "remove what is not used, or have the quota raised",
        ),
        "InvalidInputException" | "ValidationException" => {
            (Kind::Validation, format!("Glue refuses the request: {}", without_values(message)), "")
        }
        "FederationSourceException" | "OperationNotSupportedException" => {
            (Kind::Unsupported, format!("Glue cannot do this with this table ({code})"), "")
        }
        _ if status >= 500
            || matches!(
                code,
                "InternalServiceException" | "InternalFailure" | "OperationTimeoutException"
            ) =>
        {
            (Kind::CommitStateUnknown, format!("Glue failed ({})", named(code, status)), "try again later")
        }
        // Each error of Glue has a code: this is a proxy, or another server.
        "" if status == 429 => (
            Kind::Unavailable,
            "something before Glue takes no more requests for now".to_owned(),
            "try again later",
        ),
        "" => (
            Kind::Validation,
            format!("what answers is no Glue (status {status})"),
            "check `glue.endpoint`, and what stands before it",
        ),
        _ => (Kind::Internal, format!("Glue refuses the request ({})", named(code, status)), ""),
    };
    let error = Error::new(kind, what);
    if hint.is_empty() { error } else { error.with_hint(hint) }
}

fn clock() -> (ErrorKind, String, &'static str) {
    let what = "AWS refuses the time of the request's signature".to_owned();
    (ErrorKind::Unauthenticated, what, "set the clock of this machine")
}

fn no_credentials(error: &CredentialsError) -> Error {
    floe_aws::no_credentials(error).with_hint(
        "set `glue.access-key-id` and `glue.secret-access-key`, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile; \
         check a role that is to be assumed",
    )
}

fn named(code: &str, status: u16) -> String {
    if code.is_empty() { format!("status {status}") } else { format!("{code}, status {status}") }
}

/// A message without what stands in quotes: Glue quotes the values that it refuses.
fn without_values(message: &str) -> String {
    let mut parts = message.split('\'');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for (index, part) in parts.enumerate() {
        text.push_str(if index % 2 == 0 { "'…'" } else { part });
    }
    text
}

/// What all causes of an error say, in lower case.
fn texts(error: &(dyn StdError + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(e) = next {
        text.push_str(&e.to_string().to_lowercase());
        text.push_str("; ");
        next = e.source();
    }
    text
}

/// What the first cause of an error says: a refused connection, an unknown host, a certificate.
fn root(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(e) = next {
        if let Some(found) = e.downcast_ref::<T>() {
            return Some(found);
        }
        next = e.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(code: &str, status: u16) -> ErrorKind {
        described(code, "", status).kind()
    }

    #[test]
    fn only_a_failure_of_the_service_leaves_the_outcome_open() {
        assert_eq!(kind("InternalServiceException", 500), ErrorKind::CommitStateUnknown);
        assert_eq!(kind("", 503), ErrorKind::CommitStateUnknown);
        assert_eq!(kind("OperationTimeoutException", 400), ErrorKind::CommitStateUnknown);
        for code in ["ThrottlingException", "AccessDeniedException", "InvalidInputException", "Odd"] {
            assert_ne!(kind(code, 400), ErrorKind::CommitStateUnknown, "{code}");
        }
        // Refused before it did anything, whatever the status.
        assert_eq!(kind("ThrottlingException", 503), ErrorKind::Unavailable);
        assert_eq!(certain(described("", "", 500)).kind(), ErrorKind::Unavailable);
        assert_eq!(kind("", 429), ErrorKind::Unavailable);
    }

    #[test]
    fn what_is_no_glue_is_told_by_its_address() {
        for status in [301, 400, 404, 405] {
            let error = described("", "", status);
            assert_eq!(error.kind(), ErrorKind::Validation, "{status}");
            assert!(error.hint().is_some_and(|hint| hint.contains("`glue.endpoint`")), "{error}");
        }
    }

    #[test]
    fn a_refused_signature_does_not_show_what_was_signed() {
        let message = "The canonical string should have been 'x-amz-security-token:hunter2'";
        let error = described("InvalidSignatureException", message, 400);
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        let late = described("InvalidSignatureException", "Signature expired: 2026 is now earlier than", 400);
        assert!(late.to_string().contains("clock"), "{late}");
    }

    #[test]
    fn a_refused_value_is_not_shown() {
        let message = "Value 'hunter2' at 'tableInput.name' failed";
        assert_eq!(without_values(message), "Value '…' at '…' failed");
        assert_eq!(without_values("no quotes"), "no quotes");
        assert_eq!(without_values("it's open: hunter2"), "it'…'");
    }
}
