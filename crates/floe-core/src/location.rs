//! Locations of files as opaque keys: which of them floe reads and writes, and which it gives to new tables.
//!
//! A key is taken literally, byte for byte; nothing in it is decoded, collapsed or resolved. A key that cannot be sent
//! to a store so is refused by name, for reading as for writing: to take it for another one would read or overwrite the
//! wrong file. See `docs/decisions/0038-keys-are-opaque.md`.

use std::borrow::Cow;

use crate::{Error, Result};

/// A location in its parts, taken literally.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The scheme; `file` for a path without one.
    pub scheme: &'a str,
    /// Bucket, container or host; empty for local files.
    pub authority: &'a str,
    /// The key or path, without its first slash.
    pub path: &'a str,
}

impl Parts<'_> {
    /// Whether it is a file of this machine, however its scheme is written.
    pub fn is_local(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("file")
    }

    /// One name for all schemes that mean the same stores: `s3` for `s3a` and `s3n`, `gs` for `gcs`, `abfss` for `abfs`,
    /// `wasbs` and `wasb`.
    pub fn store_scheme(&self) -> &str {
        store_scheme(self.scheme)
    }

    /// One name for the authorities that mean the same store: on Azure an account has two hosts, and its name alone
    /// stands for the public one.
    pub fn store_authority(&self) -> Cow<'_, str> {
        match self.store_scheme() {
            "abfss" => match self.authority.split_once('@') {
                Some((_, host)) if !host.contains('.') => {
                    format!("{}.dfs.core.windows.net", self.authority).into()
                }
                _ => self.authority.replacen(".blob.", ".dfs.", 1).into(),
            },
            _ => self.authority.into(),
        }
    }
}

/// The parts of a location; nothing for what is neither a URI nor an absolute path.
///
/// ```
/// use floe_core::location::parts;
///
/// let found = parts("s3a://bucket/a%20b//c").unwrap();
/// assert_eq!((found.store_scheme(), found.authority, found.path), ("s3", "bucket", "a%20b//c"));
/// assert!(parts("/data/a:/b").unwrap().is_local() && parts("data/x").is_none());
/// ```
pub fn parts(location: &str) -> Option<Parts<'_>> {
    let (scheme, rest) = match location.split_once(":/") {
        Some((scheme, rest)) if is_scheme(scheme) => (scheme, rest),
        _ => {
            let path = location.strip_prefix('/')?;
            return Some(Parts { scheme: "file", authority: "", path });
        }
    };
    let (authority, path) = match rest.strip_prefix('/') {
        Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
        None => ("", rest),
    };
    // RFC 8089 allows the host name `localhost` in a file URI.
    let authority = if scheme == "file" && authority == "localhost" { "" } else { authority };
    Some(Parts { scheme, authority, path })
}

/// See [`Parts::store_scheme`].
pub fn store_scheme(scheme: &str) -> &str {
    match scheme {
        "s3a" | "s3n" => "s3",
        "gcs" => "gs",
        "abfs" | "wasbs" | "wasb" => "abfss",
        other => other,
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// Why no store can be asked for this key, if so. `key` is what follows the bucket and its slash.
///
/// Two slashes in a row are part of a key like any other characters. Not so at its ends: a key that begins with a slash
/// cannot be told from one without it, and one that ends with a slash names a folder, not a file; the latter is for
/// the caller to refuse where a file is meant.
pub fn unaddressable(key: &str) -> Option<&'static str> {
    if key.starts_with('/') {
        return Some("its key begins with a slash");
    }
    if key.split('/').any(|part| part == "." || part == "..") {
        return Some("it holds a part '.' or '..', which stands for another folder");
    }
    key.chars().any(|c| c.is_ascii_control()).then_some("it holds a control character")
}

/// Fails with `Validation` for a location (an absolute URI or a local path) that floe cannot address.
///
/// ```
/// use floe_core::location::check;
///
/// for good in ["s3://bucket/a//b/100%25 é#1", "file:///a//b", "/a/b"] {
///     assert!(check(good).is_ok(), "{good}");
/// }
/// for bad in ["s3://bucket//a", "gs://bucket/a/../b", "/a/./b", "s3://bucket/a\nb"] {
///     assert!(check(bad).is_err(), "{bad}");
/// }
/// ```
pub fn check(location: &str) -> Result<()> {
    match unaddressable(key(location)) {
        Some(why) => Err(refused(location, why)),
        None => Ok(()),
    }
}

/// As [`check`], for the location of a new table: refuses as well what other engines would not take literally. PyIceberg
/// cuts a location at `#` and `?`, and Azure takes a backslash for a slash.
pub fn check_new(location: &str) -> Result<()> {
    check(location)?;
    let key = key(location);
    let azure = ["abfs:", "abfss:", "wasb:", "wasbs:"].iter().any(|scheme| location.starts_with(scheme));
    let why = match key {
        _ if key.contains(['#', '?']) => "other engines cut it at '#' or '?'",
        _ if azure && key.contains('\\') => "Azure takes a backslash for a slash",
        _ => return Ok(()),
    };
    Err(refused(location, why))
}

fn refused(location: &str, why: &str) -> Error {
    Error::validation(format!("the location '{}' cannot be used: {why}", location.escape_debug()))
        .with_hint("choose a location whose parts are plain names")
}

/// What follows the authority and its slash; the path of a local file without its first slashes.
fn key(location: &str) -> &str {
    let path = location.strip_prefix("file:").or_else(|| location.starts_with('/').then_some(location));
    if let Some(path) = path {
        return path.trim_start_matches('/');
    }
    let rest = location.split_once("://").map_or(location, |(_, rest)| rest);
    rest.split_once('/').map_or("", |(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_cut_is_not_given_to_new_tables() {
        for bad in
            ["s3://b/a#b", "/tmp/a?b", "file:/a#", "abfss://c@a.dfs.core.windows.net/a\\b", "s3://b//a"]
        {
            assert!(check_new(bad).is_err(), "{bad}");
        }
        for good in ["s3://b", "s3://b/a%20b//c d", "s3://b/a\\b", "gs://b/größe/", "file:////a"] {
            check_new(good).expect(good);
        }
    }
}
