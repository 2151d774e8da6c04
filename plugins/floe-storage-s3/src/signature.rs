//! Signing a request once more, with other keys.

use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::HttpRequest;

/// The hash of a request's body, in hexadecimal digits.
const BODY_HASH: &str = "x-amz-content-sha256";

/// The request with a signature by `keys` in the place of the one it has; nothing where the hash of its body is not
/// known.
pub(crate) fn signed_anew(
    mut request: HttpRequest,
    keys: &AwsCredential,
    region: &str,
    requester_pays: bool,
) -> Option<HttpRequest> {
    let hash = request.headers().get(BODY_HASH).and_then(|hash| from_hex(hash.as_bytes()))?;
    for header in ["authorization", "x-amz-security-token"] {
        request.headers_mut().remove(header);
    }
    AwsAuthorizer::new(keys, "s3", region)
        .with_request_payer(requester_pays)
        .authorize(&mut request, Some(&hash));
    Some(request)
}

/// The id of the key that a request was signed with (AWS Signature Version 4, "Authorization header").
#[cfg(feature = "profiles")]
pub(crate) fn key_of(request: &HttpRequest) -> Option<String> {
    let header = request.headers().get("authorization")?.to_str().ok()?;
    let (_, rest) = header.split_once("Credential=")?;
    rest.split_once('/').map(|(key, _)| key.to_owned())
}

fn from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = |pair: &[u8]| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8);
    (digits.len() == 64).then(|| digits.chunks_exact(2).map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_and_what_is_none_is_not() {
        assert_eq!(from_hex(&[b'f'; 64]), Some(vec![255; 32]));
        assert_eq!(from_hex(b"UNSIGNED-PAYLOAD"), None);
    }
}
