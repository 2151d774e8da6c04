//! What may be a bucket, and what a region. Both become a part of a host or path before any request is made.

use std::net::Ipv4Addr;

use floe_core::{Error, Result};

/// Fails with `Validation` for what can be no bucket: S3's rules, with the upper-case letters, underscores and length that
/// buckets of before 2018 and other stores have. Aliases of access points and directory buckets (`--x-s3`) fit.
pub(crate) fn check_bucket(name: &str) -> Result<()> {
    match fault(name) {
        None => Ok(()),
        Some(why) => Err(Error::validation(format!("'{}' is no bucket of S3: {why}", name.escape_debug()))
            .with_hint("write s3://bucket/path; a bucket has letters, digits, '.', '-' and '_'")),
    }
}

/// Whether a bucket fits into a host name.
pub(crate) fn fits_host(bucket: &str) -> bool {
    bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Fails with `Validation` for a region that could move the host, which it is a part of where there is no endpoint.
pub(crate) fn check_region(region: &str) -> Result<()> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if (1..=64).contains(&region.len()) && region.bytes().all(plain) {
        return Ok(());
    }
    Err(Error::validation(format!("'{}' is no region of AWS", region.escape_debug()))
        .with_hint("check s3.region and client.region; a region has letters, digits and '-'"))
}

fn fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')) {
        return Some("it holds a character that no bucket has");
    }
    if !(3..=255).contains(&name.len()) {
        return Some("it has fewer than 3 or more than 255 characters");
    }
    let ends = [name.as_bytes()[0], name.as_bytes()[name.len() - 1]];
    if !ends.iter().all(u8::is_ascii_alphanumeric) {
        return Some("it begins or ends with a character that is no letter or digit");
    }
    if name.contains("..") {
        return Some("it holds two dots in a row");
    }
    name.parse::<Ipv4Addr>().is_ok().then_some("it is an IP address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_of_every_age_and_kind_are_taken() {
        for name in [
            "bucket",
            "my.bucket-1",
            "Old_Bucket",
            "2130706433",
            "logs--use1-az4--x-s3",
            "reports-abcdefghijklmnopqrstuvwxyz-s3alias",
            "b--ol-s3",
            "abc",
        ] {
            check_bucket(name).expect(name);
        }
    }

    #[test]
    fn whatever_could_end_a_host_or_begin_another_is_none() {
        for character in
            (0..=0x2ff_u32).filter_map(char::from_u32).chain(['\u{3002}', '\u{ff0e}', '\u{202e}'])
        {
            let plain = character.is_ascii_alphanumeric();
            for name in
                [format!("{character}bucket"), format!("bucket{character}"), character.to_string().repeat(3)]
            {
                assert_eq!(check_bucket(&name).is_ok(), plain, "{name:?}");
            }
            let inside = format!("buc{character}ket");
            let taken = plain || ['.', '-', '_'].contains(&character);
            assert_eq!(check_bucket(&inside).is_ok(), taken, "{inside:?}");
            assert_eq!(check_region(&inside).is_ok(), plain || character == '-', "{inside:?}");
        }
        for name in
            ["", "ab", "a..b", "127.0.0.1", "2130706433:18185#", "a@b", "a%20b", "a\\b", &"x".repeat(256)]
        {
            let error = check_bucket(name).unwrap_err();
            assert_eq!(error.kind(), floe_core::ErrorKind::Validation, "{name}");
        }
    }
}
