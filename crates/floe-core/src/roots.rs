//! Which files a table may have floe read, write and delete.
//!
//! A table's metadata and manifests name files by any location. What lies below the table's own roots is the table's;
//! everything else is somebody else's, which may be read at most, and is never written or deleted. See
//! `docs/decisions/0042-a-tables-own-roots.md`.

mod io;

use iceberg::spec::TableMetadata;

pub use io::guarded;

use crate::location::{self, Parts};
use crate::{Error, Result};

/// Properties of a table that name folders beside its location.
const FOLDERS: &[&str] =
    &["write.data.path", "write.metadata.path", "write.object-storage.path", "write.folder-storage.path"];

/// How far reading goes beyond a table's own roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// Wherever the storage reaches: the catalog is the user's own, on this machine.
    #[default]
    Anywhere,
    /// The kinds of storage that the table's roots are in: the catalog is on a server.
    OwnSchemes,
}

/// The folders that are a table's own: its location, and those that its properties name for data and metadata.
///
/// ```
/// use floe_core::{Reach, TableRoots};
///
/// let roots = TableRoots::new(["s3://lake/t", "s3://fast/data"], Reach::OwnSchemes);
/// assert!(roots.may_write("s3a://lake/t/data/1.parquet") && roots.may_delete("s3://fast/data/1.parquet"));
/// // Files of a table that was imported may lie elsewhere. They are read, and left as they are.
/// assert!(roots.may_read("s3://old/1.parquet") && !roots.may_delete("s3://old/1.parquet"));
/// assert!(!roots.may_write("s3://lake/t2/1.parquet") && !roots.may_read("file:///etc/passwd"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRoots {
    roots: Vec<Place>,
    reach: Reach,
}

/// A folder of a store, or a file in it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    scheme: String,
    authority: String,
    path: String,
}

impl TableRoots {
    /// These folders.
    pub fn new<'a>(folders: impl IntoIterator<Item = &'a str>, reach: Reach) -> Self {
        let mut roots: Vec<_> = folders.into_iter().map(Place::folder).collect();
        roots.dedup();
        Self { roots, reach }
    }

    /// The folders of the table with this metadata.
    pub fn of(metadata: &TableMetadata, reach: Reach) -> Self {
        let named = FOLDERS.iter().filter_map(|key| metadata.properties().get(*key).map(String::as_str));
        Self::new([metadata.location()].into_iter().chain(named), reach)
    }

    /// Whether a file may be read for this table.
    pub fn may_read(&self, file: &str) -> bool {
        let place = Place::file(file);
        if self.reach == Reach::Anywhere || self.has(&place) {
            return true;
        }
        // What cannot be addressed lies nowhere.
        location::check(file).is_ok() && self.roots.iter().any(|root| root.scheme == place.scheme)
    }

    /// Whether a file may be written for this table.
    pub fn may_write(&self, file: &str) -> bool {
        self.has(&Place::file(file)) && location::check(file).is_ok() && !file.ends_with('/')
    }

    /// Whether a file may be deleted for this table: one that it may write.
    pub fn may_delete(&self, file: &str) -> bool {
        self.may_write(file)
    }

    /// Fails with `Validation` for a file that may not be read.
    pub fn check_read(&self, file: &str) -> Result<()> {
        if self.may_read(file) {
            return Ok(());
        }
        location::check(file)?;
        let kinds: Vec<&str> = self.roots.iter().map(|root| root.scheme.as_str()).collect();
        let why = format!(
            "the table names the file '{}', which is in another kind of storage than the table ({}), and is not read",
            file.escape_debug(),
            kinds.join(", ")
        );
        Err(Error::validation(why).with_hint(
            "if you trust the catalog and all who write this table, set other-schemes-enabled = true for the catalog",
        ))
    }

    /// Fails with `Validation` for a file that may not be written.
    pub fn check_write(&self, file: &str) -> Result<()> {
        if self.may_write(file) { Ok(()) } else { Err(not_own(file, "written")) }
    }

    /// Fails with `Validation` for a file that may not be deleted.
    pub fn check_delete(&self, file: &str) -> Result<()> {
        if self.may_delete(file) { Ok(()) } else { Err(not_own(file, "deleted")) }
    }

    /// Whether the place is below a root, and not a root itself.
    fn has(&self, place: &Place) -> bool {
        self.roots.iter().any(|root| root.has(place))
    }
}

fn not_own(file: &str, done: &str) -> Error {
    let why = format!(
        "the file '{}' lies outside of the table's own folders, and is not {done}",
        file.escape_debug()
    );
    Error::validation(why).with_hint(
        "a table's folders are its location, write.data.path and write.metadata.path; where this operation changes \
         them, commit that change first",
    )
}

impl Place {
    fn file(location: &str) -> Self {
        let parts = location::parts(location).unwrap_or(Parts { scheme: "", authority: "", path: location });
        let path = match parts.is_local() {
            true => parts.path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/"),
            false => parts.path.to_owned(),
        };
        let scheme = if parts.is_local() { "file" } else { parts.store_scheme() };
        Self { scheme: scheme.to_owned(), authority: parts.store_authority().into_owned(), path }
    }

    /// Final slashes of a folder are no part of its name.
    fn folder(location: &str) -> Self {
        let mut place = Self::file(location);
        place.path.truncate(place.path.trim_end_matches('/').len());
        place
    }

    fn has(&self, file: &Self) -> bool {
        if (&self.scheme, &self.authority) != (&file.scheme, &file.authority) {
            return false;
        }
        let below = match self.path.as_str() {
            "" => Some(file.path.as_str()),
            folder => file.path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')),
        };
        below.is_some_and(|rest| !rest.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same rule, spelled out: the parts of a location one by one, a root's parts a true beginning of them.
    fn spelled(location: &str) -> Option<(String, String, Vec<String>)> {
        let (scheme, rest) = match location.split_once("://") {
            Some((scheme, rest)) => (scheme, rest),
            None => ("file", location.strip_prefix("file:").unwrap_or(location)),
        };
        let scheme = match scheme {
            "s3a" | "s3n" | "s3" => "s3",
            "gcs" | "gs" => "gs",
            other => other,
        };
        let (authority, key) = rest.split_once('/').unwrap_or((rest, ""));
        let authority = if scheme == "file" && authority == "localhost" { "" } else { authority };
        let key: Vec<String> = match scheme {
            "file" => key.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
            _ => key.split('/').map(str::to_owned).collect(),
        };
        let odd = key.iter().any(|part| part == "." || part == "..")
            || key[..].first().is_some_and(String::is_empty);
        (!odd).then(|| (scheme.to_owned(), authority.to_owned(), key))
    }

    fn owned(roots: &[&str], file: &str) -> bool {
        let Some((scheme, authority, key)) = spelled(file) else { return false };
        roots.iter().any(|root| {
            let (root_scheme, root_authority, mut parts) = spelled(&format!("{root}/x")).expect("plain");
            parts.pop();
            while parts.last().is_some_and(String::is_empty) {
                parts.pop();
            }
            let same = (root_scheme, root_authority) == (scheme.clone(), authority.clone());
            let rest = key.strip_prefix(&*parts).unwrap_or_default();
            same && !rest.is_empty() && rest != [""] && !file.ends_with('/')
        })
    }

    /// Every location out of few letters, up to a length, over several schemes and stores.
    fn generated() -> Vec<String> {
        let letters = ["t", "/", "..", "%2E%2E", "%2F", ".", "2"];
        let mut keys = vec![String::new()];
        for _ in 0..5 {
            let longer = keys.iter().flat_map(|key| letters.iter().map(move |c| format!("{key}{c}")));
            keys = longer.chain(keys.clone()).collect();
            keys.sort();
            keys.dedup();
        }
        let begins = [
            "s3://b/",
            "s3a://b/",
            "s3n://b2/",
            "gs://b/",
            "gcs://b/",
            "file:///",
            "file:/",
            "/",
            "s3://b/t/",
        ];
        begins.iter().flat_map(|begin| keys.iter().map(move |key| format!("{begin}{key}"))).collect()
    }

    #[test]
    fn what_is_a_tables_own_agrees_with_the_rule_spelled_out() {
        let all = generated();
        assert!(all.len() > 50_000, "{}", all.len());
        for roots in
            [&["s3://b/t"][..], &["s3n://b/t/"], &["gs://b"], &["/t"], &["file:///t//", "s3://b/t/t"]]
        {
            let own = TableRoots::new(roots.iter().copied(), Reach::OwnSchemes);
            let local = TableRoots::new(roots.iter().copied(), Reach::Anywhere);
            for file in &all {
                let expected = owned(roots, file);
                assert_eq!(own.may_write(file), expected, "{roots:?} {file}");
                assert_eq!(own.may_delete(file), expected, "{roots:?} {file}");
                assert_eq!(local.may_write(file), expected, "{roots:?} {file}");
                assert!(local.may_read(file), "{roots:?} {file}");
                let schemes = roots.iter().map(|root| spelled(&format!("{root}/x")).expect("plain").0);
                let other = location::parts(file).map(|parts| parts.store_scheme().to_owned());
                if schemes.into_iter().all(|scheme| Some(scheme) != other) {
                    assert!(!own.may_read(file), "{roots:?} {file}");
                } else if expected {
                    assert!(own.may_read(file), "{roots:?} {file}");
                }
            }
        }
    }

    #[test]
    fn spellings_of_a_local_file_cheat_nobody() {
        let roots = TableRoots::new(["s3://lake/t"], Reach::OwnSchemes);
        for file in
            ["file:///etc/passwd", "file:/etc/passwd", "/etc/passwd", "FILE:///etc/passwd", "File:/x", "x/y"]
        {
            let error = roots.check_read(file).expect_err(file);
            assert_eq!(error.kind(), crate::ErrorKind::Validation, "{file}");
            assert!(!roots.may_write(file) && !roots.may_delete(file), "{file}");
        }
    }

    #[test]
    fn the_two_hosts_of_an_account_are_one_and_another_account_is_none() {
        let roots = TableRoots::new(["abfss://box@acc.dfs.core.windows.net/t"], Reach::OwnSchemes);
        assert!(roots.may_write("wasbs://box@acc.blob.core.windows.net/t/x"));
        assert!(roots.may_write("abfss://box@acc/t/x"));
        assert!(!roots.may_write("abfss://box@acc.dfs.core.windows.net.evil.example/t/x"));
        assert!(!roots.may_write("abfss://box2@acc.dfs.core.windows.net/t/x"));
    }
}
