//! Locations: `scheme://authority/path`, taken literally.

use floe_core::{Error, Result};
use object_store::path::Path;

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
        let (scheme, rest) = match location.split_once(":/") {
            Some((scheme, rest)) if is_scheme(scheme) => (scheme, rest),
            _ => match location.strip_prefix('/') {
                Some(path) => return Ok(Self { scheme: "file", authority: "", path }),
                None => {
                    return Err(Error::validation(format!(
                        "the location '{location}' is neither a URI nor an absolute path"
                    )));
                }
            },
        };
        let (authority, path) = match rest.strip_prefix('/') {
            Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
            None => ("", rest),
        };
        // RFC 8089 allows the host name `localhost` in a file URI.
        let authority = if scheme == "file" && authority == "localhost" { "" } else { authority };
        Ok(Self { scheme, authority, path })
    }

    /// The name of the object. Repeated and final slashes are dropped, as every file system does; `.` and
    /// `..` and control characters are refused.
    pub fn object_path(&self) -> Result<Path> {
        let parse = |path: &str| {
            Path::parse(path).map_err(|_| {
                Error::validation(format!(
                    "the location '{}' holds '.', '..' or a control character",
                    self.render(path)
                ))
            })
        };
        let path = self.path.trim_matches('/');
        if path.contains("//") {
            let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
            return parse(&segments.join("/"));
        }
        parse(path)
    }

    /// The location of another object on the same authority.
    pub fn render(&self, path: &str) -> String {
        format!("{}://{}/{}", self.scheme, self.authority, path)
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
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
    fn a_colon_and_slash_inside_a_path_start_no_scheme() {
        let uri = Uri::parse("/data/a:/b").unwrap();
        assert_eq!((uri.scheme, uri.path), ("file", "data/a:/b"));
    }

    #[test]
    fn repeated_slashes_are_one() {
        let path = Uri::parse("file:///a//b/").unwrap().object_path().unwrap();
        assert_eq!(path.as_ref(), "a/b");
    }

    #[test]
    fn what_names_no_fixed_file_is_refused() {
        assert!(Uri::parse("a/b").is_err());
        assert!(Uri::parse("").is_err());
        assert!(Uri::parse("/a/../b").unwrap().object_path().is_err());
        assert!(Uri::parse("/a/\u{7}").unwrap().object_path().is_err());
    }
}
