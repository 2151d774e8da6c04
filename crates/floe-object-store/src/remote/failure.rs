//! Why no answer came.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use object_store::client::HttpError;

/// A failure, and where.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {failure}")]
pub(crate) struct Failed {
    /// Scheme, host and port: `https://host:9000`.
    pub(crate) address: String,
    #[source]
    pub(crate) failure: Failure,
}

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
    #[error("the certificate was refused: {0}")]
    Certificate(String),
    #[error("no TLS connection can be made: {0}")]
    Tls(String),
    #[error("the answer is not HTTP")]
    NotHttp,
    #[error("no answer came within {0:?}")]
    NoAnswer(Duration),
    #[error("the answer stopped coming")]
    Stalled,
    #[error("the answer has more than {0} bytes, and is no content of an object")]
    TooLarge(u64),
    #[error("the bucket is in the region {0}")]
    WrongRegion(String),
    #[error("the store's answer is XML that no store writes")]
    OddXml,
    /// The store refused the credentials, and its clock says otherwise than this machine's.
    #[error("the store refuses the credentials, and this machine's clock is {} s {} its own", .0.abs(),
        if *.0 > 0 { "ahead of" } else { "behind" })]
    Clock(i64),
}

impl Failure {
    /// Why an attempt ended without any answer of HTTP; nothing where one came, or may have been lost.
    pub(crate) fn of(error: &HttpError) -> Option<Self> {
        let http = find::<reqwest::Error>(error)?;
        let no_http = !http.is_connect() && texts(http).contains("invalid http");
        if no_http { Some(Self::NotHttp) } else { Self::to_connect(error) }
    }

    /// Why no connection came about; nothing when one did.
    fn to_connect(error: &HttpError) -> Option<Self> {
        let http = find::<reqwest::Error>(error).filter(|e| e.is_connect())?;
        let text = texts(http);
        let is_tls = ["tls", "handshake", "corrupt message", "unexpected eof"];
        Some(if find::<io::Error>(http).is_some_and(|e| e.kind() == io::ErrorKind::ConnectionRefused) {
            Self::Refused
        } else if text.contains("dns error") || text.contains("lookup") {
            Self::UnknownHost
        } else if text.contains("certificate") {
            Self::Certificate(innermost(http))
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
        matches!(self, Self::Certificate(_) | Self::Tls(_) | Self::NotHttp)
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
