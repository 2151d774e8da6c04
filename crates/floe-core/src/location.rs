//! Locations of files as opaque keys: which of them floe reads and writes, and which it gives to new tables.
//!
//! A key is taken literally, byte for byte; nothing in it is decoded, collapsed or resolved. A key that cannot be sent
//! to a store so is refused by name, for reading as for writing: to take it for another one would read or overwrite the
//! wrong file. See `docs/decisions/0038-keys-are-opaque.md`.

use crate::{Error, Result};

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
