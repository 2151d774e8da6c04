//! What may be a bucket, which becomes a part of a path before any request is made.

use std::net::Ipv4Addr;

use floe_core::{Error, Result};

/// Fails with `Validation` for what can be no bucket, by the rules of Google Cloud Storage.
pub(crate) fn check_bucket(name: &str) -> Result<()> {
    match fault(name) {
        None => Ok(()),
        Some(why) => {
            let name = name.escape_debug();
            Err(Error::validation(format!("'{name}' is no bucket of Google Cloud Storage: {why}")).with_hint(
                "write gs://bucket/path; a bucket has lower-case letters, digits, '.', '-' and '_'",
            ))
        }
    }
}

fn fault(name: &str) -> Option<&'static str> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if name.is_empty() {
        return Some("it is empty");
    }
    if !name.bytes().all(|b| plain(b) || matches!(b, b'.' | b'-' | b'_')) {
        return Some("it holds a character that no bucket has");
    }
    if !(3..=222).contains(&name.len()) || name.split('.').any(|part| !(1..=63).contains(&part.len())) {
        return Some("its length is none that a bucket has");
    }
    let ends = [name.as_bytes()[0], name.as_bytes()[name.len() - 1]];
    if !ends.into_iter().all(plain) {
        return Some("it begins or ends with a character that is no letter or digit");
    }
    name.parse::<Ipv4Addr>().is_ok().then_some("it is an IP address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_could_end_a_path_or_begin_a_host_is_none() {
        for character in
            (0..=0x2ff_u32).filter_map(char::from_u32).chain(['\u{3002}', '\u{ff0e}', '\u{202e}'])
        {
            let plain = character.is_ascii_lowercase() || character.is_ascii_digit();
            for name in [format!("{character}bucket"), format!("bucket{character}")] {
                assert_eq!(check_bucket(&name).is_ok(), plain, "{name:?}");
            }
            let inside = format!("buc{character}ket");
            assert_eq!(
                check_bucket(&inside).is_ok(),
                plain || ['.', '-', '_'].contains(&character),
                "{inside:?}"
            );
        }
        for name in
            ["", "ab", "a..b", "127.0.0.1", "h:1#", "a@b", "a%20b", &"x".repeat(64), &"x.".repeat(112)]
        {
            assert_eq!(check_bucket(name).unwrap_err().kind(), floe_core::ErrorKind::Validation, "{name}");
        }
        for name in ["bucket", "my.bucket_1-x", &format!("{}.{}", "x".repeat(63), "y".repeat(63))] {
            check_bucket(name).expect(name);
        }
    }
}
