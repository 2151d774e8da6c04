//! Secrets, and references to where they are kept.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result};

/// A string that `Debug`, `Display` and serialisation never show.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SecretString(String);

impl SecretString {
    /// Wraps `value`.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself. Do not log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for SecretString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

impl<'de> Deserialize<'de> for SecretString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

/// Where a configuration value comes from (FR-046).
///
/// ```
/// use floe_core::SecretRef;
///
/// assert_eq!("env:AWS_SECRET".parse::<SecretRef>().unwrap(), SecretRef::Env("AWS_SECRET".into()));
/// assert_eq!("plain".parse::<SecretRef>().unwrap(), SecretRef::Literal("plain".into()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// `env:NAME`: the value of an environment variable.
    Env(String),
    /// `file:/path`: the content of a file, without a final newline. A `file://` URI is a literal.
    File(PathBuf),
    /// Anything else: the value itself.
    Literal(String),
}

impl SecretRef {
    /// Fetches the value. The error names the variable or the file, never a value.
    pub fn resolve(&self) -> Result<SecretString> {
        match self {
            Self::Env(name) => std::env::var(name).map(SecretString).map_err(|_| {
                Error::validation(format!("the environment variable {name} is not set"))
                    .with_hint("a configuration value refers to it as env:NAME")
            }),
            Self::File(path) => match std::fs::read_to_string(path) {
                Ok(text) => Ok(SecretString(text.trim_end_matches(['\r', '\n']).to_owned())),
                Err(e) => Err(Error::from(e).context(format!("secret file {}", path.display()))),
            },
            Self::Literal(value) => Ok(SecretString(value.clone())),
        }
    }
}

/// `env:NAME` or `file:/path`; never a value.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Literal(_) => f.write_str("***"),
        }
    }
}

impl std::str::FromStr for SecretRef {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if let Some(name) = text.strip_prefix("env:") {
            Self::Env(name.to_owned())
        } else if let Some(path) =
            text.strip_prefix("file:").filter(|p| p.starts_with('/') && !p.starts_with("//"))
        {
            Self::File(path.into())
        } else {
            Self::Literal(text.to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shows_the_value() {
        let secret = SecretString::new("hunter2");
        let shown = format!("{secret} {secret:?} {}", serde_json::to_string(&secret).expect("serialises"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn a_file_reference_loses_its_newline() {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        std::fs::write(file.path(), "token\n").expect("writes");
        let reference: SecretRef = format!("file:{}", file.path().display()).parse().expect("infallible");
        assert_eq!(reference.resolve().expect("resolves").expose(), "token");
    }

    #[test]
    fn a_file_uri_is_no_reference() {
        assert_eq!("file:///data".parse(), Ok(SecretRef::Literal("file:///data".into())));
    }

    #[test]
    fn a_missing_variable_is_named() {
        let error = SecretRef::Env("FLOE_TEST_NOT_SET".into()).resolve().expect_err("not set");
        assert!(error.to_string().contains("FLOE_TEST_NOT_SET"));
    }
}
