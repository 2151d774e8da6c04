//! Credentials that a catalog gives out for the files of one table.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{Result, SecretString};

/// Storage properties that a catalog gave for the files below a prefix: short-lived credentials
/// (`s3.access-key-id`, `gcs.oauth2.token`, `adls.sas-token.*`), and what belongs to them (`s3.endpoint`,
/// `client.region`). They are laid over the properties that the storage was connected with.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct VendedCredentials {
    /// Locations that start with this text are meant; empty for every location.
    pub prefix: String,
    /// Properties in the spelling of the Iceberg ecosystem. Any value may be a secret.
    pub properties: BTreeMap<String, SecretString>,
    /// When they end, in milliseconds since 1970-01-01T00:00:00Z; `None` where the catalog did not say.
    pub expires_at_ms: Option<i64>,
}

impl VendedCredentials {
    /// Whether these credentials are for `location`. The aliases `s3a` and `s3n` of the scheme `s3` count as it.
    pub fn cover(&self, location: &str) -> bool {
        without_alias(location).starts_with(&*without_alias(&self.prefix))
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
}

fn without_alias(location: &str) -> std::borrow::Cow<'_, str> {
    match location.strip_prefix("s3a://").or_else(|| location.strip_prefix("s3n://")) {
        Some(rest) => format!("s3://{rest}").into(),
        None => location.into(),
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
    fn debug_shows_no_value() {
        let mut credentials = of("s3://a/");
        credentials.properties.insert("s3.secret-access-key".into(), SecretString::new("hunter2"));
        let shown = format!("{credentials:?}");
        assert!(shown.contains("s3.secret-access-key") && !shown.contains("hunter2"), "{shown}");
    }
}
