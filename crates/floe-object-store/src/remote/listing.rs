//! Listings of stores, with keys that the parser of paths keeps.

use std::borrow::Cow;

use http::{Method, Uri};

use crate::keys::protected;

/// Whether a request asks for a listing: of S3 and Google (`list-type=2`) or of Azure (`comp=list`).
pub(super) fn is_listing(method: &Method, uri: &Uri) -> bool {
    method == Method::GET
        && uri.query().is_some_and(|query| query.split('&').any(|p| p == "list-type=2" || p == "comp=list"))
}

/// The body of a listing with its keys in the form of [`protected`]; as it was where every key is an ordinary one, or
/// the body is no text.
pub(super) fn with_protected_keys(body: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(body).ok()?;
    let (mut out, mut rest, mut changed) = (String::new(), text, false);
    // A listing of S3 has its keys in `<Key>`, one of Azure in `<Name>`, perhaps with an attribute.
    while let Some((open, close, encoded)) = next_key(rest) {
        let end = rest[open..].find(close)? + open;
        let raw = &rest[open..end];
        let mut key = unescaped(raw)?;
        if encoded {
            key = percent_decoded(&key)?.into();
        }
        out.push_str(&rest[..open]);
        match (protected(&key), encoded) {
            (Cow::Borrowed(_), false) => out.push_str(raw),
            (safe, _) => {
                out.push_str(&escaped(&safe));
                changed = true;
            }
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    changed.then(|| out.into_bytes())
}

/// Where the next key begins, the tag that ends it, and whether it is percent-encoded. Looks no further than that: to
/// look for each kind of tag to the end would take time by the square of a listing.
fn next_key(text: &str) -> Option<(usize, &'static str, bool)> {
    const TAGS: [(&str, &str, bool); 3] = [
        ("<Key>", "</Key>", false),
        ("<Name>", "</Name>", false),
        ("<Name Encoded=\"true\">", "</Name>", true),
    ];
    text.match_indices('<').find_map(|(at, _)| {
        let (open, close, encoded) = TAGS.iter().find(|(open, ..)| text[at..].starts_with(open))?;
        Some((at + open.len(), *close, *encoded))
    })
}

/// XML text without its escapes; `None` for one that is not known.
fn unescaped(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('&') {
        return Some(text.into());
    }
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let (name, behind) = after.split_once(';')?;
        out.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = name.strip_prefix('#')?;
                let code = match number.strip_prefix(['x', 'X']) {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => number.parse().ok()?,
                };
                char::from_u32(code)?
            }
        });
        rest = behind;
    }
    out.push_str(rest);
    Some(out.into())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
        let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
        out.push((high * 16 + low) as u8);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use object_store::path::Path;

    use super::*;
    use crate::keys::restored;

    /// What the parser of paths makes of the keys of a listing.
    fn keys(body: &str, open: &str, close: &str) -> Vec<String> {
        let changed = with_protected_keys(body.as_bytes()).map(|b| String::from_utf8(b).unwrap());
        let body = changed.as_deref().unwrap_or(body);
        body.split(open)
            .skip(1)
            .map(|part| {
                let text = unescaped(part.split(close).next().unwrap()).unwrap().into_owned();
                restored(Path::parse(&text).unwrap().as_ref()).into_owned()
            })
            .collect()
    }

    #[test]
    fn odd_keys_of_a_listing_survive() {
        let listed = ["a/b", "a//b", "/a", "a/", "a/../b", "a&b/<c>", "a/\n/b", "é/ /x"];
        let entry = |key: &&str| format!("<Contents><Key>{}</Key><Size>1</Size></Contents>", escaped(key));
        let body = listed.iter().map(entry).collect::<Vec<_>>().concat();
        assert_eq!(keys(&format!("<R>{body}</R>"), "<Key>", "</Key>"), listed);
        let azure = "<Blob><Name>a//b</Name></Blob><Blob><Name>c</Name></Blob>";
        assert_eq!(keys(azure, "<Name>", "</Name>"), ["a//b", "c"]);
        let encoded = "<Blob><Name Encoded=\"true\">a%EF%BF%BE/b</Name></Blob>";
        assert_eq!(keys(encoded, "<Name Encoded=\"true\">", "</Name>"), ["a\u{fffe}/b"]);
        let references = "<Key>a/&#10;/&#x2f;b&apos;</Key>";
        assert_eq!(keys(references, "<Key>", "</Key>"), ["a/\n//b'"]);
    }

    #[test]
    fn ordinary_listings_stay_as_they_are() {
        assert!(with_protected_keys(b"<R><Key>a/b&amp;c</Key><Name>bucket</Name></R>").is_none());
        assert!(with_protected_keys(b"\xff<Key>a//b</Key>").is_none());
    }

    #[test]
    fn listings_are_told_from_other_requests() {
        let uri = |text: &str| text.parse::<Uri>().unwrap();
        assert!(is_listing(&Method::GET, &uri("http://h/b?list-type=2&prefix=a%2F")));
        assert!(is_listing(&Method::GET, &uri("http://h/c?restype=container&comp=list")));
        assert!(!is_listing(&Method::GET, &uri("http://h/b/list-type=2")));
        assert!(!is_listing(&Method::PUT, &uri("http://h/c?comp=list")));
    }
}
