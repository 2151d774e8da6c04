//! Why no answer came.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use object_store::client::HttpError;

/// Why a request got no answer that can be used. Holds neither URL nor headers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the host name is not known")]
    UnknownHost,
    #[error("the connection was refused")]
    Refused,
    #[error("no connection came about in time")]
    ConnectTimeout,
    #[error("no connection: {0}")]
    Unreachable(String),
    #[error("the secure connection failed: {0}")]
    Tls(String),
    #[error("no answer came within {0:?}")]
    NoAnswer(Duration),
    #[error("the answer stopped coming")]
    Stalled,
    #[error("the bucket is in the region {0}")]
    WrongRegion(String),
}

impl Failure {
    /// Why no connection came about; nothing when one did.
    pub(crate) fn to_connect(error: &HttpError) -> Option<Self> {
        let http = find::<reqwest::Error>(error).filter(|e| e.is_connect())?;
        let text = texts(http);
        let is_tls = ["certificate", "tls", "handshake", "corrupt message", "unexpected eof"];
        Some(if find::<io::Error>(http).is_some_and(|e| e.kind() == io::ErrorKind::ConnectionRefused) {
            Self::Refused
        } else if text.contains("dns error") || text.contains("lookup") {
            Self::UnknownHost
        } else if is_tls.iter().any(|word| text.contains(word)) {
            Self::Tls(innermost(http))
        } else if http.is_timeout() {
            Self::ConnectTimeout
        } else {
            Self::Unreachable(innermost(http))
        })
    }

    /// Another attempt would end the same way.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

/// The first error of this type in the chain of causes.
pub(crate) fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    chain(error).find_map(|e| e.downcast_ref::<T>())
}

/// The text of the last cause.
pub(crate) fn innermost(error: &(dyn StdError + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

/// The texts of all causes, in lower case.
fn texts(error: &(dyn StdError + 'static)) -> String {
    chain(error).map(|e| e.to_string().to_lowercase()).collect::<Vec<_>>().join("; ")
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let current = next?;
        next = current.source();
        Some(current)
    })
}
