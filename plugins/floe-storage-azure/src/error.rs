//! Errors of the plugin.

use floe_core::{Error, ErrorKind};

/// A container that cannot be opened; no request was made yet. The cause is left out, which may quote a key.
pub(crate) fn cannot_open(container: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, format!("the container '{container}' cannot be opened")).with_hint(
        "check that the account key is base64, the signature is name=value pairs, and the address is a URL",
    )
}
