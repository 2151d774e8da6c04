//! Errors of stores over a network as errors of floe.

use floe_core::location::mask_text;
use floe_core::{Error, ErrorKind};
use object_store::Error as StoreError;

use super::answer::Answer;

/// Where machines ask for the credentials of their role: if these are asked, none are configured.
const METADATA_SERVICES: &[&str] =
    &["169.254.169.254", "169.254.170.2", "metadata.google.internal", "metadata/identity/oauth2/token"];

/// An error of a store over a network; nothing when it is none. `context` says what was tried, and where.
///
/// Neither URLs nor headers nor bodies get into the message: signed URLs carry credentials, and stores repeat
/// headers of the request in their answers. The raw error is not kept as a source for the same reason.
pub(crate) fn remote_error(error: &StoreError, context: &str) -> Option<Error> {
    if let Some(own) = own_error(error) {
        return Some(own.context(context));
    }
    let text = error.to_string();
    #[cfg(feature = "cloud")]
    if let Some(failure) = super::failure::find::<super::failure::Failure>(error) {
        let address = super::failure::find::<super::failure::Failed>(error).map(|failed| &*failed.address);
        return Some(of_failure(failure, address, asks_metadata_service(&text), context));
    }
    if !is_remote(error, &text) {
        return None;
    }
    let answer = Answer::parse(&text);
    if asks_metadata_service(&text) {
        return Some(no_credentials(context));
    }
    let answer = answer.unwrap_or_default();
    let (kind, hint) = meaning(&answer).or_else(|| of_variant(error)).unwrap_or((ErrorKind::Unavailable, ""));
    let told = if answer == Answer::default() { broken(error) } else { answer.to_string() };
    let error = Error::new(kind, format!("{context}: {told}"));
    Some(if hint.is_empty() { error } else { error.with_hint(hint) })
}

/// What an answer means, by its code, or else its status.
fn meaning(answer: &Answer) -> Option<(ErrorKind, &'static str)> {
    use ErrorKind::{
        CommitConflict, Corrupted, FileNotFound, PermissionDenied, StorageFull, Unauthenticated, Unavailable,
        Validation,
    };
    let by_code = match answer.code.as_str() {
        "NoSuchBucket" | "ContainerNotFound" | "FilesystemNotFound" | "InvalidBucketName" => {
            (Validation, "create the bucket, or mend its name and the endpoint")
        }
        // Azurite's word for an account that is not there; Azure's accounts are hosts.
        "ResourceNotFound" => (Validation, "check the account, the container and the endpoint"),
        "NoSuchKey" | "BlobNotFound" | "PathNotFound" | "NoSuchUpload" => (FileNotFound, ""),
        // Azurite's word for a signature that has ended; Azure says it of firewalls.
        "AuthorizationFailure" if answer.message.contains("failed to authenticate") => {
            (Unauthenticated, of_azure(&answer.detail))
        }
        "AccessDenied"
        | "AllAccessDisabled"
        | "AuthorizationPermissionMismatch"
        | "AuthorizationFailure"
        | "AuthorizationProtocolMismatch"
        | "InsufficientAccountPermissions"
        | "Forbidden" => (PermissionDenied, "grant these credentials access to this location"),
        "XAdminUserNotFound"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException" => {
            (Unauthenticated, "the store does not know this access key: check it, and the endpoint")
        }
        "SignatureDoesNotMatch" => {
            (Unauthenticated, "the secret does not belong to the access key: check it")
        }
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "RequestExpired" => {
            (Unauthenticated, "the credentials have expired: get new ones")
        }
        "InvalidToken" | "InvalidTokenId" => {
            (Unauthenticated, "the session token does not belong to the access key: check it")
        }
        "AuthenticationFailed" | "InvalidAuthenticationInfo" if !answer.detail.is_empty() => {
            (Unauthenticated, of_azure(&answer.detail))
        }
        "AuthenticationFailed"
        | "InvalidAuthenticationInfo"
        | "NoAuthenticationInformation"
        | "invalid_client"
        | "invalid_grant"
        | "unauthorized_client"
        | "MissingSecurityHeader" => (Unauthenticated, "check the configured credentials"),
        "AuthenticationRequired" => {
            (Unauthenticated, "the access token is wrong or has ended: get a new one")
        }
        "RequestTimeTooSkewed" => (Unauthenticated, "set the clock of this machine"),
        "SlowDown"
        | "ServerBusy"
        | "TooManyRequests"
        | "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "OperationTimedOut" => (Unavailable, "the store asks for fewer requests: call again later"),
        "QuotaExceeded" | "XMinioStorageFull" | "XMinioAdminBucketQuotaExceeded" | "InsufficientStorage" => {
            (StorageFull, "free some room, or raise the quota")
        }
        "AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException" => {
            (Validation, "the bucket is in another region: set s3.region")
        }
        "PreconditionFailed" | "ConditionNotMet" | "ConditionalRequestConflict" | "BlobAlreadyExists" => {
            (CommitConflict, "")
        }
        "InvalidRange" => (Corrupted, "the file is shorter than was expected"),
        code if code.starts_with("KMS.") => {
            (PermissionDenied, "check the encryption key and the right to use it")
        }
        _ => match answer.status {
            404 => (FileNotFound, ""),
            401 => (Unauthenticated, "check the configured credentials"),
            403 => (PermissionDenied, "check the credentials, and grant them access to this location"),
            409 | 412 => (CommitConflict, ""),
            416 => (Corrupted, "the file is shorter than was expected"),
            429 | 503 => (Unavailable, "the store asks for fewer requests: call again later"),
            507 => (StorageFull, "free some room, or raise the quota"),
            500..=599 => (Unavailable, ""),
            400..=499 => (ErrorKind::Io, "check that the endpoint is that of a store of this kind"),
            _ => return None,
        },
    };
    Some(by_code)
}

/// What Azure's reason for refusing credentials asks for.
fn of_azure(detail: &str) -> &'static str {
    let says = |words: &str| detail.contains(words);
    if says("Request date header") {
        "set the clock of this machine"
    } else if says("specified time frame") {
        "the shared access signature has ended or has not begun: get a new one, and check the clock of this machine"
    } else if says("expired") {
        "the credentials have expired: get new ones"
    } else {
        "the key or signature does not belong to the account: check it"
    }
}

fn of_variant(error: &StoreError) -> Option<(ErrorKind, &'static str)> {
    Some(match error {
        StoreError::NotFound { .. } => (ErrorKind::FileNotFound, ""),
        StoreError::AlreadyExists { .. } | StoreError::Precondition { .. } => (ErrorKind::CommitConflict, ""),
        StoreError::PermissionDenied { .. } => {
            (ErrorKind::PermissionDenied, "grant these credentials access to this location")
        }
        StoreError::Unauthenticated { .. } => {
            (ErrorKind::Unauthenticated, "check the configured credentials")
        }
        StoreError::NotSupported { .. } | StoreError::NotImplemented { .. } => (ErrorKind::Unsupported, ""),
        _ => return None,
    })
}

#[cfg(feature = "cloud")]
fn of_failure(
    failure: &super::failure::Failure,
    address: Option<&str>,
    metadata_service: bool,
    context: &str,
) -> Error {
    use super::failure::Failure;

    let (kind, hint) = match failure {
        Failure::WrongRegion(_) => (ErrorKind::Validation, "set s3.region to it"),
        Failure::OddXml => (ErrorKind::Corrupted, "check the endpoint, and who runs it"),
        _ if metadata_service => return no_credentials(context),
        Failure::UnknownHost => {
            (ErrorKind::Unavailable, "check the host in the endpoint and the name service")
        }
        Failure::Refused | Failure::ConnectTimeout | Failure::Unreachable(_) => {
            (ErrorKind::Unavailable, "check the endpoint, the proxy, and that the store is running")
        }
        Failure::Certificate(_) => (
            ErrorKind::Io,
            "check the host in the endpoint, the certificates that this machine trusts, and its clock",
        ),
        Failure::Tls(_) => (
            ErrorKind::Io,
            "check that the store speaks https at this port, or write http:// in the endpoint",
        ),
        Failure::NotHttp => (ErrorKind::Io, "write https:// in the endpoint, or check its port"),
        Failure::Clock(_) => (ErrorKind::Unauthenticated, "set the clock of this machine"),
        Failure::TooLarge(_) => (ErrorKind::Corrupted, "check the endpoint: no store answers so"),
        Failure::NoAnswer(_) | Failure::Stalled => (ErrorKind::Timeout, "check the endpoint and the network"),
    };
    let address = address.map(|address| format!("{address}: ")).unwrap_or_default();
    Error::new(kind, format!("{context}: {address}{failure}")).with_hint(hint)
}

/// An error of floe on its way through `object_store`: credentials that could not be had.
fn own_error(error: &StoreError) -> Option<Error> {
    let mut next = std::error::Error::source(error);
    while let Some(e) = next {
        if let Some(own) = e.downcast_ref::<Error>() {
            return Some(own.clone());
        }
        next = e.source();
    }
    None
}

fn no_credentials(context: &str) -> Error {
    let why = "no credentials are configured, and this machine has none of its own";
    Error::new(ErrorKind::Unauthenticated, format!("{context}: {why}"))
        .with_hint("configure credentials, or anonymous access to public data")
}

fn asks_metadata_service(text: &str) -> bool {
    METADATA_SERVICES.iter().any(|address| text.contains(address))
}

fn is_remote(error: &StoreError, text: &str) -> bool {
    let by_store = matches!(
        error,
        StoreError::Generic { store, .. } if *store != "LocalFileSystem" && *store != "InMemory"
    );
    by_store || text.contains("Error performing ")
}

/// What went wrong below HTTP, without the URL.
fn broken(error: &StoreError) -> String {
    let mut last: &(dyn std::error::Error + 'static) = error;
    while let Some(source) = last.source() {
        last = source;
    }
    mask_text(&crate::error::without_queries(&last.to_string())).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: &str, code: &str) -> Error {
        let source = format!(
            "Error performing PUT https://h/b/x?sig=hunter2 in 1ms - Server returned non-2xx status code: \
             {status}: <Error><Code>{code}</Code><Message>No.</Message><Token>hunter2</Token></Error>"
        );
        let error = StoreError::Generic { store: "S3", source: source.into() };
        let error = remote_error(&error, "writing s3://b/x").unwrap();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        error
    }

    #[test]
    fn each_reason_has_a_kind_and_says_what_to_check() {
        for (status, code, kind, hint) in [
            ("404 Not Found", "NoSuchBucket", ErrorKind::Validation, "create the bucket"),
            ("404 Not Found", "ContainerNotFound", ErrorKind::Validation, "create the bucket"),
            ("403 Forbidden", "AccessDenied", ErrorKind::PermissionDenied, "grant"),
            ("403 Forbidden", "InvalidAccessKeyId", ErrorKind::Unauthenticated, "access key"),
            ("403 Forbidden", "SignatureDoesNotMatch", ErrorKind::Unauthenticated, "secret"),
            ("400 Bad Request", "ExpiredToken", ErrorKind::Unauthenticated, "expired"),
            ("400 Bad Request", "InvalidToken", ErrorKind::Unauthenticated, "session token"),
            ("403 Forbidden", "RequestTimeTooSkewed", ErrorKind::Unauthenticated, "clock"),
            ("503 Service Unavailable", "SlowDown", ErrorKind::Unavailable, "fewer requests"),
            ("507 Insufficient Storage", "XMinioStorageFull", ErrorKind::StorageFull, "room"),
            ("400 Bad Request", "AuthorizationHeaderMalformed", ErrorKind::Validation, "s3.region"),
            ("403 Forbidden", "Other", ErrorKind::PermissionDenied, "credentials"),
            ("400 Bad Request", "Other", ErrorKind::Io, "endpoint"),
        ] {
            let error = of(status, code);
            assert_eq!(error.kind(), kind, "{code}");
            assert!(error.hint().unwrap_or("").contains(hint), "{code}: {error}");
            assert!(error.to_string().contains(code), "{error}");
        }
        assert_eq!(of("404 Not Found", "NoSuchKey").kind(), ErrorKind::FileNotFound);
    }

    #[test]
    fn asking_the_machine_for_credentials_means_that_none_are_configured() {
        let text = "Error performing PUT http://169.254.169.254/latest/api/token in 2s - HTTP error";
        let error = StoreError::Generic { store: "S3", source: text.into() };
        let error = remote_error(&error, "reading s3://b/x").unwrap();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert!(error.to_string().contains("no credentials"), "{error}");
    }
}
