//! Bodies of replies, bounded: a server may send without end.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use floe_core::limits::{hint, refusal};
use floe_core::{Error, ErrorKind};
use reqwest::Response;

/// More of what a server says to a refusal is not read.
pub(crate) const REFUSAL_BYTES: u64 = 1 << 20;

/// The whole body; `None` as soon as it has more than `most` bytes, or says that it has.
pub(crate) async fn body(mut response: Response, most: u64) -> Result<Option<Bytes>, reqwest::Error> {
    let told = response.content_length().unwrap_or(0);
    if told > most {
        return Ok(None);
    }
    // A reply in one piece, as most are, is not copied.
    let Some(first) = response.chunk().await? else { return Ok(Some(Bytes::new())) };
    let Some(mut next) = response.chunk().await? else {
        return Ok((first.len() as u64 <= most).then_some(first));
    };
    // What is told is no reason to take memory for it.
    let expected = usize::try_from(told).unwrap_or(0).min(1 << 20).max(first.len() + next.len());
    let mut body = BytesMut::with_capacity(expected);
    body.extend_from_slice(&first);
    loop {
        if (body.len() + next.len()) as u64 > most {
            return Ok(None);
        }
        body.extend_from_slice(&next);
        match response.chunk().await? {
            Some(chunk) => next = chunk,
            None => return Ok(Some(body.freeze())),
        }
    }
}

/// A reply that is larger than the limit.
pub(crate) fn too_large(server: &str, most: u64) -> Error {
    refusal(
        ErrorKind::Corrupted,
        &format!("the catalog's server {server}: its reply has"),
        "reply-bytes",
        most,
    )
}

/// A reply that did not come to its end in time.
pub(crate) fn too_slow(server: &str, limit: Duration) -> Error {
    let what = format!(
        "the catalog's server {server}: its reply was not whole after {} s, the limit `limits.reply-seconds`",
        limit.as_secs()
    );
    Error::new(ErrorKind::Timeout, what).with_hint(hint("reply-seconds"))
}
