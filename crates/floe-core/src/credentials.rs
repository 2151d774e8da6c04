//! Credentials that a catalog gives out for the files of one table.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::location::{parts, store_scheme};
use crate::{Result, SecretString};

/// Storage properties that a catalog gave for the files below a prefix: short-lived credentials
/// (`s3.access-key-id`, `gcs.oauth2.token`, `adls.sas-token.*`), and what belongs to them (`s3.endpoint`,
/// `client.region`). They are laid over the properties that the storage was connected with.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct VendedCredentials {
    /// Locations at or below this one are meant, up to a border between folders: `s3://b/t` is not for `s3://b/t2`. A
    /// scheme alone (`s3`) is for all of its stores, and an empty text for every location.
    pub prefix: String,
    /// Properties in the spelling of the Iceberg ecosystem. Any value may be a secret.
    pub properties: BTreeMap<String, SecretString>,
    /// When they end, in milliseconds since 1970-01-01T00:00:00Z; `None` where the catalog did not say.
    pub expires_at_ms: Option<i64>,
}

impl VendedCredentials {
    /// Whether these credentials are for `location`. All schemes and hosts of one store count as it.
    pub fn cover(&self, location: &str) -> bool {
        let prefix = self.prefix.as_str();
        if prefix.is_empty() {
            return true;
        }
        let Some(asked) = parts(location) else { return false };
        let Some(own) = parts(prefix) else {
            let scheme = prefix.trim_end_matches([':', '/']);
            return store_scheme(scheme) == asked.store_scheme();
        };
        if own.authority.is_empty() && own.path.is_empty() && !own.is_local() {
            return own.store_scheme() == asked.store_scheme();
        }
        own.store_scheme() == asked.store_scheme()
            && own.store_authority() == asked.store_authority()
            && is_below(asked.path, own.path)
    }

    /// Whether these properties hold credentials, and not only what belongs to them.
    pub fn has_credentials(&self) -> bool {
        const PARTS: &[&str] =
            &["access-key", "secret", "token", "account-key", "connection-string", "credentials-json"];
        let is_one = |key: &String| PARTS.iter().any(|part| key.contains(part)) && !key.contains("expires");
        self.properties.keys().any(is_one)
    }

    /// Those of `all` with the longest prefix that covers `location` (Iceberg REST specification,
    /// `LoadTableResult.storage-credentials`).
    ///
    /// ```
    /// use floe_core::VendedCredentials;
    ///
    /// let of = |prefix: &str| VendedCredentials { prefix: prefix.into(), ..Default::default() };
    /// let all = [of(""), of("s3://lake/sales"), of("s3://lake")];
    /// let found = VendedCredentials::longest(&all, "s3a://lake/sales/orders/data/1.parquet");
    /// assert_eq!(found.unwrap().prefix, "s3://lake/sales");
    /// ```
    pub fn longest<'a>(all: &'a [Self], location: &str) -> Option<&'a Self> {
        all.iter().filter(|one| one.cover(location)).max_by_key(|one| one.prefix.len())
    }
}

/// Shows prefix, keys and end; no value.
impl fmt::Debug for VendedCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VendedCredentials")
            .field("prefix", &self.prefix)
            .field("keys", &self.properties.keys().collect::<Vec<_>>())
            .field("expires_at_ms", &self.expires_at_ms)
            .finish()
    }
}

/// Gives credentials for the files of one table, and new ones before they end.
///
/// A storage asks before each request ([`CredentialProvider::credentials`] costs nothing while they hold), or
/// where its client library asks it for credentials. It never keeps them beyond that.
#[async_trait]
pub trait CredentialProvider: Send + Sync + fmt::Debug {
    /// The credentials as last known, perhaps ended by now. Tells a storage, without waiting, which prefixes
    /// there are and how to open the stores behind them (endpoint, region).
    fn current(&self) -> Arc<[VendedCredentials]>;

    /// Credentials that hold for some minutes to come; fetched anew when those at hand are about to end.
    /// Callers at once share one fetch. Fails as a catalog call does (`Unauthenticated`, `PermissionDenied`,
    /// `Unavailable`, `Timeout`, …).
    async fn credentials(&self) -> Result<Arc<[VendedCredentials]>>;

    /// Credentials fetched anew, because a store refused those at hand although they should hold: they were
    /// withdrawn, or end earlier than the catalog said. By default what [`credentials`](Self::credentials) gives.
    async fn renewed(&self) -> Result<Arc<[VendedCredentials]>> {
        self.credentials().await
    }

    /// Whether the storage's own credentials may serve locations that the given ones do not cover, although the catalog
    /// gave some for this table. Only the user can say so; by default they may not.
    fn allows_own(&self) -> bool {
        false
    }
}

/// Whether a key is `folder`, or below it. A folder may be written with its slash.
fn is_below(key: &str, folder: &str) -> bool {
    match key.strip_prefix(folder) {
        Some(rest) => rest.is_empty() || folder.is_empty() || folder.ends_with('/') || rest.starts_with('/'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(prefix: &str) -> VendedCredentials {
        VendedCredentials { prefix: prefix.into(), ..Default::default() }
    }

    #[test]
    fn what_covers_nothing_is_not_taken() {
        assert_eq!(VendedCredentials::longest(&[of("s3://a/"), of("gs://")], "s3://b/c"), None);
        assert_eq!(VendedCredentials::longest(&[of("s3")], "s3a://b/c"), Some(&of("s3")));
        assert_eq!(VendedCredentials::longest(&[of("s3a://b")], "s3://b/c"), Some(&of("s3a://b")));
    }

    #[test]
    fn a_prefix_ends_at_a_border() {
        let cases = [
            ("s3://b/t", "s3://b/t2/x", false),
            ("s3://b/t", "s3://b/t", true),
            ("s3://b/t", "s3n://b/t/x", true),
            ("s3://b/t/", "s3://b/t/x", true),
            ("s3://b/t/", "s3://b/t", false),
            ("s3://b", "s3://b2/x", false),
            ("s3://b", "s3://b/x", true),
            ("s3://b/", "s3://b/x", true),
            ("s3://", "s3://b/x", true),
            ("s3", "s3x://b/x", false),
            ("gs", "gcs://b/x", true),
            ("gs://b", "s3://b/x", false),
            ("abfss://c@a.dfs.core.windows.net/t", "wasb://c@a.blob.core.windows.net/t/x", true),
            ("abfss://c@a.dfs.core.windows.net/t", "abfss://c@a.dfs.core.windows.net.evil/t/x", false),
            ("s3://b/t", "s3://b/u/../t/x", false),
            ("s3://b/t", "/b/t", false),
        ];
        for (prefix, location, expected) in cases {
            assert_eq!(of(prefix).cover(location), expected, "{prefix} {location}");
        }
    }

    #[test]
    fn what_belongs_to_credentials_is_none() {
        let with = |key: &str| VendedCredentials {
            properties: BTreeMap::from([(key.to_owned(), SecretString::new("x"))]),
            ..of("")
        };
        for key in ["s3.access-key-id", "gcs.oauth2.token", "adls.sas-token.acc", "adls.account-key"] {
            assert!(with(key).has_credentials(), "{key}");
        }
        for key in ["s3.endpoint", "client.region", "s3.session-token-expires-at-ms", "s3.sse.type"] {
            assert!(!with(key).has_credentials(), "{key}");
        }
    }

    #[test]
    fn debug_shows_no_value() {
        let mut credentials = of("s3://a/");
        credentials.properties.insert("s3.secret-access-key".into(), SecretString::new("hunter2"));
        let shown = format!("{credentials:?}");
        assert!(shown.contains("s3.secret-access-key") && !shown.contains("hunter2"), "{shown}");
    }
}
