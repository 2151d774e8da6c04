//! What failures mean.

use std::error::Error as _;

use floe_core::{Error, ErrorKind};

use crate::http::Reply;

/// For an address where no catalog is.
pub(crate) const CHECK_URI: &str =
    "check `uri`: it is the address before /v1, without /v1; for Polaris it ends in /api/catalog";
/// For a realm that the server does not know.
const CHECK_REALM: &str =
    "check `polaris.realm`, the realm that the server looks catalogs and principals up in";
/// For a server that has no credentials to give.
pub(crate) const NO_VENDING: &str = "the server gives no credentials for the table's storage: have that set up there, or set \
    `vended-credentials-enabled = false` and give the storage's own (`s3.access-key-id`, …)";

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request certainly never reached the server.
    NotSent(Error),
    /// The request was sent, and what became of it is not known.
    Lost(Error),
}

impl Failure {
    /// As the error of a call that changes nothing.
    pub(crate) fn of_read(self) -> Error {
        let (Self::NotSent(error) | Self::Lost(error)) = self;
        error
    }

    /// As the error of a call that changes something: `CommitStateUnknown` where it may have happened.
    pub(crate) fn of_write(self) -> Error {
        match self {
            Self::NotSent(error) => error,
            Self::Lost(error) => in_doubt(error),
        }
    }
}

/// What a call was about, which says what a bare 404 or 409 means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    Config,
    Namespace,
    NewNamespace,
    Table,
    NewTable,
    Register,
    Rename,
}

/// A change that may have happened.
pub(crate) fn in_doubt(error: Error) -> Error {
    error
        .with_kind(ErrorKind::CommitStateUnknown)
        .context("the change may have taken effect")
        .with_hint("look whether it did before trying again")
}

/// The error of a reply that is no success, to a call that may have changed something: 5xx does not say whether it
/// did.
pub(crate) fn refused_write(reply: &Reply, about: About) -> Error {
    let error = refused(reply, about);
    // A file that a server could not find is an answer, whatever the status.
    let certain = error.kind() == ErrorKind::FileNotFound;
    if reply.leaves_doubt() && !certain { in_doubt(error) } else { error }
}

/// The error of a reply that is no success.
pub(crate) fn refused(reply: &Reply, about: About) -> Error {
    let status = reply.status;
    let said = reply.error.message.as_deref().unwrap_or("it gave no reason");
    let kind = kind(status, reply.error.kind.as_deref(), about);
    let error = Error::new(kind, format!("the catalog's server answered {status}: {said}"));
    let denied = matches!(kind, ErrorKind::Unauthenticated | ErrorKind::PermissionDenied);
    if about == About::Config && (300..500).contains(&status) && ![401, 403, 407, 419, 429].contains(&status)
    {
        return misplaced(error, reply);
    }
    if reply.is_page && !denied && (300..500).contains(&status) {
        return error.with_hint(CHECK_URI);
    }
    if denied && names_realm(said) {
        return error.with_hint(CHECK_REALM);
    }
    if lacks_credentials(reply) {
        return error.with_hint(NO_VENDING);
    }
    match kind {
        ErrorKind::Unauthenticated => error.with_hint(unauthenticated_hint(reply)),
        ErrorKind::PermissionDenied => {
            error.with_hint("ask for the privilege at the catalog, or use another principal or `scope`")
        }
        ErrorKind::Unavailable => error.with_hint("the server is busy or starting; try again"),
        _ => error,
    }
}

/// The first call found no catalog: the address is wrong, or the realm, or the name of the catalog.
fn misplaced(error: Error, reply: &Reply) -> Error {
    let error = error.with_kind(ErrorKind::Validation);
    let said = reply.error.message.as_deref().unwrap_or_default().to_lowercase();
    let named = reply.error.kind.as_deref().unwrap_or_default();
    if names_realm(named) || names_realm(&said) {
        return error.with_hint(CHECK_REALM);
    }
    // Servers name what they looked for. A path that they do not know they call by other words.
    if ["warehouse", "catalog"].iter().any(|word| said.contains(word)) && !reply.is_page {
        return error.with_hint("check `warehouse`: the name of a catalog of that server");
    }
    let elsewhere = reply.is_page || (300..400).contains(&reply.status) || [404, 405].contains(&reply.status);
    if elsewhere {
        return error.context("there is no Iceberg REST catalog at this address").with_hint(CHECK_URI);
    }
    error.with_hint("check `uri`, and `warehouse`: the name of a catalog of that server")
}

/// Whether the server refused for want of credentials of the storage, which it was asked for beside the table.
pub(crate) fn lacks_credentials(reply: &Reply) -> bool {
    let said = reply.error.message.as_deref().unwrap_or_default().to_lowercase();
    let words = ["credential", "subscop", "assumerole", "assume role", "sts ", "security token service"];
    reply.asked_for_credentials
        && !matches!(reply.status, 401 | 404 | 407 | 409 | 419 | 429)
        && words.iter().any(|word| said.contains(word))
}

/// Whether a server's words are about a realm of Polaris.
pub(crate) fn names_realm(text: &str) -> bool {
    text.to_lowercase().contains("realm")
}

fn unauthenticated_hint(reply: &Reply) -> String {
    if let Some(seconds) = reply.clock_ahead_seconds.filter(|s| s.abs() > 60) {
        let (seconds, side) = (seconds.abs(), if seconds > 0 { "ahead of" } else { "behind" });
        return format!("the clock of this machine is {seconds} s {side} the server's: set it right");
    }
    if !reply.with_token {
        return "set `credential` or `token`".to_owned();
    }
    match reply.token_ended {
        true => "the token has ended: get a new one, or set `credential`, which renews itself".to_owned(),
        false => {
            "the token was refused: check `credential` or `token`, and that it is for this server and, for \
                  Polaris, this `polaris.realm`"
                .to_owned()
        }
    }
}

/// The kind of a refusal: by the name the server gives it, else by the status.
pub(crate) fn kind(status: u16, name: Option<&str>, about: About) -> ErrorKind {
    let named = match name.unwrap_or_default() {
        "NoSuchNamespaceException" => Some(ErrorKind::NoSuchNamespace),
        "NoSuchTableException" | "NoSuchIcebergTableException" => Some(ErrorKind::NoSuchTable),
        "NamespaceNotEmptyException" => Some(ErrorKind::NamespaceNotEmpty),
        "CommitFailedException" => Some(ErrorKind::CommitConflict),
        "ForbiddenException" => Some(ErrorKind::PermissionDenied),
        "NotAuthorizedException" | "UnauthorizedException" => Some(ErrorKind::Unauthenticated),
        "UnsupportedOperationException" => Some(ErrorKind::Unsupported),
        // Iceberg's name for a file that is not there, which its servers answer with 500.
        "NotFoundException" if about == About::Register && status != 404 => return ErrorKind::FileNotFound,
        _ => None,
    };
    // A proxy in between may give a name of its own to a failure of the server.
    if let Some(kind) = named.filter(|_| status < 500) {
        return kind;
    }
    match (status, about) {
        (400 | 422, _) => ErrorKind::Validation,
        (401 | 407 | 419, _) => ErrorKind::Unauthenticated,
        (403, _) => ErrorKind::PermissionDenied,
        (404, About::Table | About::Rename) => ErrorKind::NoSuchTable,
        (404, About::Config) => ErrorKind::Validation,
        (404, _) => ErrorKind::NoSuchNamespace,
        (405 | 406 | 415 | 501, _) => ErrorKind::Unsupported,
        (409, About::NewTable | About::Register | About::Rename) => ErrorKind::TableAlreadyExists,
        (409, About::NewNamespace) => ErrorKind::NamespaceAlreadyExists,
        (409, About::Namespace) => ErrorKind::NamespaceNotEmpty,
        (409, _) => ErrorKind::CommitConflict,
        (408 | 504, _) => ErrorKind::Timeout,
        (429 | 502 | 503, _) => ErrorKind::Unavailable,
        (300..400, _) => ErrorKind::Validation,
        _ => ErrorKind::Io,
    }
}

/// A request without a reply; `server` names it.
pub(crate) fn transport(error: reqwest::Error, server: &str) -> Failure {
    let connecting = error.is_connect() || error.is_builder();
    let error = error.without_url();
    let said = chain(&error);
    let lower = said.to_lowercase();
    let io = io_kind(&error);
    let (kind, what, hint) = if lower.contains("certificate") || lower.contains("unknownissuer") {
        (
            ErrorKind::Io,
            "its TLS certificate was refused",
            "set `ssl.cabundle` to the authority's certificate, and check the host's name and this machine's clock",
        )
    } else if lower.contains("corrupt message") || lower.contains("handshake") || lower.contains("alert") {
        (
            ErrorKind::Io,
            "no TLS connection can be made",
            "check that it speaks https at this port, or write http://",
        )
    } else if !connecting && lower.contains("invalid http") {
        (ErrorKind::Io, "its answer is not HTTP", "write https:// in `uri`, or check its port")
    } else if lower.contains("dns error") || lower.contains("failed to lookup") {
        (ErrorKind::Unavailable, "its name cannot be resolved", "check the host in `uri`")
    } else if error.is_timeout() {
        let hint = if connecting {
            "check host and port in `uri`, the network and proxies"
        } else {
            "raise `rest.client.socket-timeout-ms`"
        };
        (ErrorKind::Timeout, "it did not answer in time", hint)
    } else if connecting && io == Some(std::io::ErrorKind::ConnectionRefused) {
        (
            ErrorKind::Unavailable,
            "nothing listens there",
            "check host and port in `uri`, and that the server runs",
        )
    } else if connecting {
        (ErrorKind::Unavailable, "it cannot be reached", "check `uri`, the network and proxies")
    } else {
        (ErrorKind::Unavailable, "the connection broke before its reply", "try again")
    };
    let floe =
        Error::new(kind, format!("the catalog's server {server}: {what}")).with_hint(hint).with_source(error);
    if connecting { Failure::NotSent(floe) } else { Failure::Lost(floe) }
}

fn io_kind(error: &reqwest::Error) -> Option<std::io::ErrorKind> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(e) = next {
        if let Some(io) = e.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        next = e.source();
    }
    None
}

fn chain(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(e) = next {
        text.push_str(&e.to_string());
        text.push_str(": ");
        next = e.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ErrorModel;

    fn answer(status: u16, kind: Option<&str>, message: &str) -> Reply {
        let error = ErrorModel { message: Some(message.into()), kind: kind.map(Into::into) };
        Reply { status, error, asked_for_credentials: true, ..Reply::default() }
    }

    #[test]
    fn a_first_call_that_finds_nothing_says_which_setting_is_wrong() {
        let page = Reply { is_page: true, ..answer(404, None, "a web page") };
        for (reply, word) in [
            (answer(404, Some("NotFoundException"), "HTTP 404 Not Found"), "`uri`"),
            (answer(404, None, "Not Found"), "`uri`"),
            (answer(405, None, "Method Not Allowed"), "`uri`"),
            (answer(301, None, "Moved"), "`uri`"),
            (page, "`uri`"),
            (answer(404, Some("NotFoundException"), "Unable to find warehouse pond"), "check `warehouse`"),
            (answer(404, Some("MissingOrInvalidRealm"), "Missing or invalid realm"), "`polaris.realm`"),
            (answer(400, Some("BadRequestException"), "Unknown realm: north"), "`polaris.realm`"),
            (answer(400, None, "Please specify a warehouse"), "check `warehouse`"),
        ] {
            let error = refused(&reply, About::Config);
            assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
            assert!(error.hint().is_some_and(|hint| hint.contains(word)), "{word}: {error}");
            let said = reply.error.message.as_deref().unwrap();
            assert!(error.message().contains(said), "the server's message is told: {error}");
        }
    }

    #[test]
    fn a_server_without_credentials_to_give_names_the_setting() {
        for (status, message) in [
            (400, "Credential vending was requested for table ns.t, but no credentials are available"),
            (403, "Failed to get subscoped credentials: not authorized to perform sts:AssumeRole"),
            (500, "Failed to get subscoped credentials"),
        ] {
            let reply = answer(status, None, message);
            let hint = |reply: &Reply| refused(reply, About::Table).hint().unwrap_or_default().to_owned();
            assert!(hint(&reply).contains("vended-credentials-enabled = false"), "{message}");
            let unasked = Reply { asked_for_credentials: false, ..reply };
            assert!(!hint(&unasked).contains("vended-credentials-enabled"), "{message}");
        }
    }

    #[test]
    fn a_busy_server_took_nothing() {
        let error = refused_write(&answer(429, None, "slow down"), About::NewTable);
        assert_eq!(error.kind().action(), floe_core::Action::Retry, "{error}");
    }

    #[test]
    fn the_servers_name_for_a_failure_decides() {
        assert_eq!(kind(404, Some("NoSuchNamespaceException"), About::Table), ErrorKind::NoSuchNamespace);
        assert_eq!(
            kind(409, Some("NamespaceNotEmptyException"), About::Namespace),
            ErrorKind::NamespaceNotEmpty
        );
        assert_eq!(
            kind(400, Some("NamespaceNotEmptyException"), About::Namespace),
            ErrorKind::NamespaceNotEmpty
        );
        assert_eq!(kind(404, Some("SomethingNew"), About::Table), ErrorKind::NoSuchTable);
        assert_eq!(kind(503, Some("ForbiddenException"), About::Table), ErrorKind::Unavailable);
        assert_eq!(kind(500, Some("NotFoundException"), About::Register), ErrorKind::FileNotFound);
    }

    #[test]
    fn a_status_means_what_the_call_was_about() {
        assert_eq!(kind(409, None, About::NewTable), ErrorKind::TableAlreadyExists);
        assert_eq!(kind(409, None, About::NewNamespace), ErrorKind::NamespaceAlreadyExists);
        assert_eq!(kind(409, None, About::Table), ErrorKind::CommitConflict);
        assert_eq!(kind(404, None, About::NewTable), ErrorKind::NoSuchNamespace);
        assert_eq!(kind(500, None, About::Table), ErrorKind::Io);
        assert_eq!(kind(419, None, About::Config), ErrorKind::Unauthenticated);
    }
}
