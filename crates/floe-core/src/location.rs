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

/// The location of a data file as errors, logs and spans show it: without the values of partitions, which are data. Each part
/// `name=value` becomes `name=…`; the file's own name stays, by which it is found.
///
/// ```
/// use floe_core::location::masked;
///
/// assert_eq!(masked("s3://b/t/data/name=Ann+Lee/00000-f.parquet"), "s3://b/t/data/name=…/00000-f.parquet");
/// assert_eq!(masked("/t/data/00000-f.parquet"), "/t/data/00000-f.parquet");
/// ```
pub fn masked(location: &str) -> Cow<'_, str> {
    if !location.split('/').any(|part| equals(part).is_some()) {
        return Cow::Borrowed(location);
    }
    let parts = location.split('/').map(|part| match equals(part) {
        Some(at) => format!("{}=…", &part[..at]),
        None => part.to_owned(),
    });
    Cow::Owned(parts.collect::<Vec<_>>().join("/"))
}

/// As [`masked`], for text that may hold locations, such as the message of a library. Where a location ends is guessed: it
/// rather hides too much.
pub fn mask_text(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(slash) = rest.find('/') {
        let (before, behind) = rest.split_at(slash + 1);
        out.push_str(before);
        rest = behind;
        let name = &behind[..behind.find(ends_name).unwrap_or(behind.len())];
        let Some(at) = equals(name) else { continue };
        let value = &behind[at..];
        out.push_str(&name[..at]);
        out.push_str("=…");
        rest = &value[end_of_value(value)..];
    }
    if out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Where a part of a location has its equals sign, encoded or not.
fn equals(part: &str) -> Option<usize> {
    let encoded = part.find("%3D").or_else(|| part.find("%3d"));
    [part.find('='), encoded].into_iter().flatten().min()
}

/// Whether a character in running text ends a part of a location.
fn ends_name(c: char) -> bool {
    c == '/' || c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>')
}

/// Where the value at the beginning of `text` ends: at the next slash, even behind spaces, but for one that begins another
/// location; or else with the word.
fn end_of_value(text: &str) -> usize {
    let limit = text.find(['"', '\'', '`', '<', '>', '\n']).unwrap_or(text.len());
    let word = text.find(char::is_whitespace).unwrap_or(text.len()).min(limit);
    if let Some(slash) = text[..limit].find('/')
        && (slash < word || !text[..slash].ends_with([' ', ':']))
    {
        return slash;
    }
    // What stands behind the location in a sentence.
    text[..word].trim_end_matches([':', ',', ';', ')', ']']).len()
}

fn refused(location: &str, why: &str) -> Error {
    Error::validation(format!("the location '{}' cannot be used: {why}", masked(location).escape_debug()))
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
    fn values_of_partitions_are_masked_wherever_they_stand() {
        let mut cases = 0;
        for value in
            ["SECRET", "SECRET+x", "SECRET%20y", "x%2FSECRET", "a=SECRET", "SECRET.parquet", "x y SECRET"]
        {
            for place in ["s3://b/t/data", "file:///t", "/t/x y", "abfss://c@a.dfs.core.windows.net/t"] {
                for path in [
                    format!("{place}/k={value}/f.parquet"),
                    format!("{place}/a=1/k={value}/l%3D{value}/f.parquet"),
                ] {
                    let shown = masked(&path);
                    assert!(!shown.contains("SECRET") && shown.ends_with("/f.parquet"), "{shown}");
                    assert!(shown.starts_with(place), "{shown}");
                    for text in [
                        format!("reading {path}: not found"),
                        format!("IO {{ path: \"{path}\", other: '{path}' }}"),
                        format!("a {path} and {path}, {place}/k=SECRET: x/y"),
                        format!("GET http://h{path}?k=SECRET&l=1 failed"),
                    ] {
                        let shown = mask_text(&text);
                        assert!(!shown.contains("SECRET") && shown.contains("f.parquet"), "{shown}");
                        cases += 1;
                    }
                }
            }
        }
        assert_eq!(cases, 224);
        for text in ["k=v", "reading s3://b/t/data/f.parquet: no such file", "a=b /c d=e", "x=/a/b y=/c"] {
            assert_eq!(mask_text(text), text);
        }
        assert_eq!(mask_text("listing /t/k=v: denied (see /x)"), "listing /t/k=…: denied (see /x)");
    }

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
