//! Locations: `scheme://authority/path`, taken literally.

use std::borrow::Cow;

use floe_core::location::masked;
use floe_core::{Error, Result, location};
use object_store::path::Path;

use crate::keys::literal;

/// A location in its parts. The path is literal: no percent-decoding, no query, no fragment.
///
/// ```
/// use floe_object_store::Uri;
///
/// let uri = Uri::parse("s3://bucket/a/day=2024%2D01/x#1.parquet")?;
/// assert_eq!((uri.scheme, uri.authority), ("s3", "bucket"));
/// assert_eq!(uri.path, "a/day=2024%2D01/x#1.parquet");
/// // The three spellings of a local file are one.
/// assert_eq!(Uri::parse("file:/tmp/x")?, Uri::parse("/tmp/x")?);
/// assert_eq!(Uri::parse("file:///tmp/x")?, Uri::parse("/tmp/x")?);
/// # Ok::<(), floe_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uri<'a> {
    /// The scheme; `file` for a path without one.
    pub scheme: &'a str,
    /// Bucket, container or host; empty for local files.
    pub authority: &'a str,
    /// The path, without its first slash.
    pub path: &'a str,
}

impl<'a> Uri<'a> {
    /// Splits a location. `Validation` for a relative path, which would mean another file in another process.
    pub fn parse(location: &'a str) -> Result<Self> {
        let location::Parts { scheme, authority, path } = location::parts(location).ok_or_else(|| {
            Error::validation(format!(
                "the location '{}' is neither a URI nor an absolute path",
                location.escape_debug()
            ))
        })?;
        Ok(Self { scheme, authority, path })
    }

    /// Whether it is a local file, which the operating system finds by its own rules.
    pub fn is_local(&self) -> bool {
        self.scheme == "file"
    }

    /// The name of the object, byte for byte. For local files repeated and final slashes are dropped, as every file
    /// system does.
    ///
    /// `Validation` for a key that [`location::unaddressable`] names.
    pub fn object_path(&self) -> Result<Path> {
        let refused = |why: &str| {
            Error::validation(format!(
                "the location '{}' cannot be used: {why}",
                masked(&self.render(self.path)).escape_debug()
            ))
        };
        let odd = self.path.starts_with('/') || self.path.ends_with('/') || self.path.contains("//");
        let key: Cow<'_, str> = match self.is_local() && odd {
            true => self.path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/").into(),
            false => self.path.into(),
        };
        match location::unaddressable(&key) {
            Some(why) => Err(refused(why)),
            None => literal(&key).ok_or_else(|| refused("its key cannot be sent to a store")),
        }
    }

    /// The same folder without one final slash, which marks it as one.
    pub(crate) fn as_folder(&self) -> Self {
        match self.path {
            // A key that begins with a slash is none that is the root's.
            "/" => *self,
            path => Self { path: path.strip_suffix('/').unwrap_or(path), ..*self },
        }
    }

    /// The location of another object on the same authority.
    pub fn render(&self, path: &str) -> String {
        format!("{}://{}/{}", self.scheme, self.authority, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_local_file_is_one() {
        for location in ["/a/b c", "file:/a/b c", "file:///a/b c", "file://localhost/a/b c"] {
            let uri = Uri::parse(location).unwrap();
            assert_eq!((uri.scheme, uri.authority, uri.path), ("file", "", "a/b c"), "{location}");
        }
    }

    #[test]
    fn names_are_literal() {
        for name in ["a%20b", "a b", "é", "a#b", "a?b", "a:b", "a%2Fb", "x:/y", "日本", "a=b&c"] {
            let location = format!("s3://bucket/dir/{name}");
            let uri = Uri::parse(&location).unwrap();
            let path = uri.object_path().unwrap();
            assert_eq!(path.as_ref(), format!("dir/{name}"));
            assert_eq!(uri.render(path.as_ref()), location);
        }
    }

    #[test]
    fn no_two_keys_are_one() {
        let letters = ["a", "/", ".", "%2F", " ", "é", "#"];
        let mut keys = vec![String::new()];
        for _ in 0..5 {
            keys = keys
                .iter()
                .flat_map(|s| letters.iter().map(move |c| format!("{s}{c}")))
                .chain(keys.clone())
                .collect();
        }
        keys.sort();
        keys.dedup();
        for key in keys.iter().filter(|key| !key.is_empty()) {
            let location = format!("s3://bucket/{key}");
            match Uri::parse(&location).unwrap().object_path() {
                Ok(path) => assert_eq!(path.as_ref(), key, "{location}"),
                Err(e) => {
                    assert!(e.message().contains(&location), "refused by name: {e}");
                    let odd = key.starts_with('/') || key.split('/').any(|part| part == "." || part == "..");
                    assert!(odd, "{location}: {e}");
                }
            }
        }
    }

    #[test]
    fn a_colon_and_slash_inside_a_path_start_no_scheme() {
        let uri = Uri::parse("/data/a:/b").unwrap();
        assert_eq!((uri.scheme, uri.path), ("file", "data/a:/b"));
    }

    #[test]
    fn repeated_slashes_are_one_for_local_files_only() {
        for local in ["file:///a//b/", "file:////a/b", "/a//b", "file:/a/b//"] {
            assert_eq!(Uri::parse(local).unwrap().object_path().unwrap().as_ref(), "a/b", "{local}");
        }
        let path = |location: &str| Uri::parse(location).unwrap().object_path();
        assert_eq!(path("s3://bucket/a//b").unwrap().as_ref(), "a//b");
        assert_eq!(path("s3://bucket/a/b/").unwrap().as_ref(), "a/b/");
        assert!(path("s3://bucket//a/b").is_err(), "it is not a/b");
    }

    #[test]
    fn what_names_no_fixed_file_is_refused() {
        assert!(Uri::parse("a/b").is_err());
        assert!(Uri::parse("").is_err());
        assert!(Uri::parse("/a/../b").unwrap().object_path().is_err());
        assert!(Uri::parse("/a/\u{7}").unwrap().object_path().is_err());
    }
}
