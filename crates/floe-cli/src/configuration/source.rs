//! Reading a configuration file, as far as its owner and the user's trust allow.

use std::fs::File;
use std::path::{Path, PathBuf};

use floe::{Error, ErrorKind, Properties, Result};

use super::Variables;
use super::owner::{self, Objection, Placed, system};
use super::trust::{Trusted, content};

/// How a file came to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// It lies where the user's own configuration does.
    User,
    /// It was found in the working folder, or above it.
    Project,
    /// The user named it: `--config`.
    Named,
}

/// A file that was read.
#[derive(Debug)]
pub(super) struct Document {
    /// Its text.
    pub(super) text: String,
    /// Whether it may take values from variables and other files.
    pub(super) trusted: bool,
    /// Whether everybody can read it.
    pub(super) is_public: bool,
}

/// Reads a configuration file.
///
/// Fails with `PermissionDenied`, naming the file and its owner, for one of somebody else, or that others may write, unless
/// the user trusts its content; one that is named may be of somebody else.
pub(super) fn read(path: &Path, reason: Reason, env: &Variables) -> Result<Document> {
    let named = |e: Error| e.context(format!("configuration file {}", path.display()));
    let opened = || -> std::io::Result<(File, PathBuf, Vec<u8>)> {
        let file = File::open(path)?;
        let content = content(&file)?;
        Ok((file, path.canonicalize()?, content))
    };
    let (file, canonical, content) = opened().map_err(|e| named(e.into()))?;
    // What a link leads to has a folder of its own.
    let places = [path, canonical.as_path()].map(|path| system::placed(&file, path));
    let places: Vec<Placed> = places
        .into_iter()
        .filter_map(Result::transpose)
        .collect::<Result<_, _>>()
        .map_err(|e| named(e.into()))?;
    let caller = system::caller();
    let why = places.iter().find_map(|placed| owner::objection(placed, caller));
    let trusted = || Trusted::load(env).map(|list| list.holds(&canonical, &content));
    let trusted = match (why, reason) {
        (None, Reason::User | Reason::Named) => true,
        // A list that cannot be read trusts nothing.
        (None, Reason::Project) => trusted().unwrap_or(false),
        (Some(Objection::Owner { .. }), Reason::Named) => trusted()?,
        (Some(why), _) => match trusted()? {
            true => true,
            false => return Err(named(refused(why, path, reason))),
        },
    };
    let is_public = places.first().is_some_and(|placed| placed.file.mode & 0o004 != 0);
    let text = String::from_utf8(content).map_err(|_| named(Error::validation("it is not UTF-8")))?;
    Ok(Document { text, trusted, is_public })
}

/// Who owns a file, for messages; nothing where that is not known.
pub(crate) fn owner_of(path: &Path) -> Option<String> {
    let placed = system::placed(&File::open(path).ok()?, path).ok()??;
    Some(system::user(placed.file.owner))
}

/// Whether a property may hold a secret as it stands, by what it is called.
pub(super) fn is_secret(key: &str, value: &str) -> bool {
    let key = key.to_lowercase();
    let named =
        ["secret", "password", "token", "credential", "account-key", "sas", "private-key", "authorization"];
    let harmless = ["uri", "enabled", "endpoint", "expires", "provider", "type", "name", "path", "file"];
    let by_name =
        named.iter().any(|part| key.contains(part)) && !harmless.iter().any(|part| key.contains(part));
    let by_flag = value.is_empty() || ["true", "false"].contains(&value);
    let in_uri = value.split_once("://").is_some_and(|(_, rest)| {
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        authority.split_once('@').is_some_and(|(user, _)| user.contains(':')) || rest.contains("password=")
    });
    (by_name && !by_flag) || in_uri
}

/// Whether a property of the catalog is a secret, or where one is.
pub(super) fn has_secrets(properties: &Properties) -> bool {
    properties.references().next().is_some()
        || properties.keys().any(|key| is_secret(key, properties.get(key).unwrap_or_default()))
}

/// The first property that holds a secret itself.
pub(super) fn literal_secret(properties: &Properties) -> Option<&str> {
    let is_reference = |key: &str| properties.references().any(|(of, _)| of == key);
    properties
        .keys()
        .find(|key| is_secret(key, properties.get(key).unwrap_or_default()) && !is_reference(key))
}

fn refused(why: Objection, path: &Path, reason: Reason) -> Error {
    let shown = path.display();
    let hint = match (why, reason) {
        (Objection::Owner { .. }, Reason::Project) => format!(
            "read it; then allow its content with `floe trust {shown}`, name it with --config, or choose tables with \
             --warehouse"
        ),
        (Objection::Owner { .. }, _) => format!("read it; then allow its content with `floe trust {shown}`"),
        (Objection::Writable { .. }, _) => {
            format!("take that permission away, or read it and allow its content with `floe trust {shown}`")
        }
    };
    Error::new(ErrorKind::PermissionDenied, format!("{why}: it is not read")).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names() {
        for (key, value, secret) in [
            ("s3.secret-access-key", "x", true),
            ("credential", "a:b", true),
            ("token", "x", true),
            ("adls.sas-token.acc", "x", true),
            ("header.Authorization", "Bearer x", true),
            ("uri", "postgresql://u:p@h/db", true),
            ("uri", "postgresql://h/db?user=a&password=b", true),
            ("uri", "postgresql://u@h/db", false),
            ("oauth2-server-uri", "https://h/oauth/tokens", false),
            ("vended-credentials-enabled", "false", false),
            ("s3.access-key-id", "AK", false),
            ("warehouse", "s3://b/x", false),
            ("abfss", "abfss://c@a.dfs.core.windows.net", false),
        ] {
            assert_eq!(is_secret(key, value), secret, "{key}");
        }
    }
}
