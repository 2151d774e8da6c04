//! Access tokens.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use floe_core::{Error, ErrorKind, PluginConfig, Result, SecretString};
use floe_object_store::{Renewal, Vended};
use object_store::CredentialProvider;
use object_store::client::HttpRequest;
use object_store::gcp::GcpCredential;

/// The property that holds a token.
pub(crate) const TOKEN: &str = "gcs.oauth2.token";

/// A configured token, until it ends.
pub(crate) struct Token {
    bearer: SecretString,
    expires_at_ms: Option<i64>,
}

impl Token {
    pub(crate) fn new(bearer: &SecretString, expires_at_ms: Option<i64>) -> Self {
        Self { bearer: bearer.clone(), expires_at_ms }
    }

    /// A token that is not sent.
    pub(crate) fn none() -> Self {
        Self { bearer: SecretString::default(), expires_at_ms: None }
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("expires_at_ms", &self.expires_at_ms).finish_non_exhaustive()
    }
}

#[async_trait]
impl CredentialProvider for Token {
    type Credential = GcpCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<GcpCredential>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
        if self.expires_at_ms.is_some_and(|end| end <= now) {
            let error = Error::new(ErrorKind::Unauthenticated, "gcs.oauth2.token has expired")
                .with_hint("get a new token, or configure a service account");
            return Err(object_store::Error::Generic { store: "GCS", source: Box::new(error) });
        }
        Ok(Arc::new(GcpCredential { bearer: self.bearer.expose().to_owned() }))
    }
}

/// A token that a catalog gives for the files of one table.
#[derive(Debug)]
pub(crate) struct VendedToken(pub(crate) Vended);

#[async_trait]
impl CredentialProvider for VendedToken {
    type Credential = GcpCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<GcpCredential>> {
        let bearer = self.0.fresh().await.and_then(|config| bearer(&config));
        bearer
            .map(|bearer| Arc::new(GcpCredential { bearer }))
            .map_err(|e| object_store::Error::Generic { store: "GCS", source: Box::new(e) })
    }
}

#[async_trait]
impl Renewal for VendedToken {
    async fn renew(&self, mut request: HttpRequest) -> Result<Option<HttpRequest>> {
        let bearer = bearer(&self.0.renewed().await?)?;
        let Ok(value) = format!("Bearer {bearer}").parse() else { return Ok(None) };
        request.headers_mut().insert("authorization", value);
        Ok(Some(request))
    }
}

fn bearer(config: &PluginConfig) -> Result<String> {
    let token = config.get(TOKEN).map(str::to_owned);
    token.ok_or_else(|| {
        Error::new(ErrorKind::Unauthenticated, "the catalog gave no token for Google Cloud Storage")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_that_has_ended_is_not_sent() {
        let token = |end| Token::new(&SecretString::new("hunter2"), end);
        assert_eq!(token(None).get_credential().await.unwrap().bearer, "hunter2");
        assert!(token(Some(i64::MAX)).get_credential().await.is_ok());
        let error = token(Some(1)).get_credential().await.unwrap_err();
        let error = floe_object_store::storage_error(error, "reading", "gs://b/x");
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert!(!format!("{:?}", token(None)).contains("hunter2"));
    }
}
