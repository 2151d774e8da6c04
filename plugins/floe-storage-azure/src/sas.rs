//! Shared access signatures.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use floe_core::{Error, ErrorKind, Result};
use object_store::CredentialProvider;
use object_store::azure::AzureCredential;

/// A configured signature, until it ends. Azure tells one that has ended from a wrong one in no way that can be relied
/// on; the signature itself says when it ends.
pub(crate) struct Sas {
    pairs: Vec<(String, String)>,
    /// In seconds since 1970.
    ends_at: i64,
}

impl Sas {
    /// Nothing where the signature does not say when it ends.
    pub(crate) fn ending(sas: &str) -> Option<Self> {
        let pairs = pairs(sas).ok()?;
        let ends_at = pairs.iter().find(|(name, _)| name == "se").and_then(|(_, end)| seconds(end))?;
        Some(Self { pairs, ends_at })
    }
}

impl std::fmt::Debug for Sas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sas").field("ends_at", &self.ends_at).finish_non_exhaustive()
    }
}

#[async_trait]
impl CredentialProvider for Sas {
    type Credential = AzureCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AzureCredential>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64);
        if self.ends_at <= now {
            let error = Error::new(ErrorKind::Unauthenticated, "the shared access signature has expired")
                .with_hint("get a new one for adls.sas-token, and check the clock of this machine");
            return Err(object_store::Error::Generic { store: "MicrosoftAzure", source: Box::new(error) });
        }
        Ok(Arc::new(AzureCredential::SASToken(self.pairs.clone())))
    }
}

/// The name=value pairs of a signature, decoded.
pub(crate) fn pairs(sas: &str) -> Result<Vec<(String, String)>> {
    let invalid = || Error::validation("a shared access signature is not of the form name=value&name=value");
    let decode = |text: &str| {
        percent_encoding::percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| invalid())
    };
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').ok_or_else(invalid)?;
        Ok((decode(name)?, decode(value)?))
    };
    sas.trim_start_matches('?').split('&').filter(|pair| !pair.is_empty()).map(pair).collect()
}

/// A time as Azure takes it (ISO 8601 in UTC, to the day, the minute or the second), in seconds since 1970.
fn seconds(time: &str) -> Option<i64> {
    if let Ok(time) = DateTime::parse_from_rfc3339(time) {
        return Some(time.timestamp());
    }
    let minute = NaiveDateTime::parse_from_str(time, "%Y-%m-%dT%H:%MZ").ok();
    let day = || NaiveDate::parse_from_str(time, "%Y-%m-%d").ok().and_then(|day| day.and_hms_opt(0, 0, 0));
    minute.or_else(day).map(|time| time.and_utc().timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_signature_that_has_ended_is_not_sent() {
        let of = |end: &str| Sas::ending(&format!("sv=1&se={end}&sig=hunter2")).unwrap();
        assert!(of("2999-01-01T00%3A00%3A00Z").get_credential().await.is_ok());
        let error = of("2020-01-01T00%3A00Z").get_credential().await.unwrap_err();
        let error = floe_object_store::storage_error(error, "reading", "abfss://c@a/x");
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert!(error.to_string().contains("expired"), "{error}");
        assert!(!format!("{error:?} {:?}", of("2020-01-01")).contains("hunter2"));
        assert!(Sas::ending("sv=1&sig=x").is_none());
    }

    #[test]
    fn a_signature_is_decoded_once() {
        assert_eq!(pairs("?sv=1&sig=a%2Bb%3D").unwrap()[1], ("sig".into(), "a+b=".into()));
        assert!(pairs("hunter2").is_err_and(|e| !format!("{e:?}").contains("hunter2")));
    }
}
