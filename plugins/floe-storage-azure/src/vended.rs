//! Signatures and tokens that a catalog gives for the files of one table.

use std::sync::Arc;

use async_trait::async_trait;
use floe_core::{Error, ErrorKind, PluginConfig, Result};
use floe_object_store::{Renewal, Vended};
use object_store::CredentialProvider;
use object_store::azure::{AzureAuthorizer, AzureCredential};
use object_store::client::HttpRequest;

use crate::config::AzureStorageConfig;
use crate::sas::pairs;

/// Credentials of a catalog for one account, asked for before each request; the catalog's own client keeps them
/// while they hold.
#[derive(Debug)]
pub(crate) struct VendedAccess {
    pub(crate) vended: Vended,
    pub(crate) account: String,
}

impl VendedAccess {
    /// What these properties give for the account; nothing when they give none.
    pub(crate) fn credential(&self, config: &PluginConfig) -> Result<Option<AzureCredential>> {
        let config = AzureStorageConfig::new(config)?;
        if let Some(sas) = config.sas_of(&self.account) {
            return Ok(Some(AzureCredential::SASToken(pairs(sas.expose())?)));
        }
        Ok(config.token.map(|token| AzureCredential::BearerToken(token.expose().to_owned())))
    }

    fn needed(&self, config: &PluginConfig) -> Result<AzureCredential> {
        self.credential(config)?.ok_or_else(|| {
            let why = format!("the catalog gave no credentials for the account {}", self.account);
            Error::new(ErrorKind::Unauthenticated, why)
        })
    }
}

#[async_trait]
impl CredentialProvider for VendedAccess {
    type Credential = AzureCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AzureCredential>> {
        let credential = self.vended.fresh().await.and_then(|config| self.needed(&config));
        credential
            .map(Arc::new)
            .map_err(|e| object_store::Error::Generic { store: "MicrosoftAzure", source: Box::new(e) })
    }
}

#[async_trait]
impl Renewal for VendedAccess {
    async fn renew(&self, mut request: HttpRequest) -> Result<Option<HttpRequest>> {
        let credential = self.needed(&self.vended.renewed().await?)?;
        request.headers_mut().remove("authorization");
        let Ok(uri) = without_signature(&request.uri().to_string()).parse() else { return Ok(None) };
        *request.uri_mut() = uri;
        AzureAuthorizer::new(&credential, &self.account).authorize(&mut request);
        Ok(Some(request))
    }
}

/// The URI without the parts of a signature; those of the request itself stay.
fn without_signature(uri: &str) -> String {
    const OWN: &[&str] = &[
        "comp",
        "restype",
        "blockid",
        "prefix",
        "marker",
        "delimiter",
        "maxresults",
        "include",
        "startFrom",
    ];
    let Some((path, query)) = uri.split_once('?') else { return uri.to_owned() };
    let own = |pair: &&str| OWN.contains(&pair.split('=').next().unwrap_or(""));
    let kept: Vec<&str> = query.split('&').filter(own).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_taken_off_and_the_request_stays() {
        assert_eq!(
            without_signature("https://h/c/b?comp=block&blockid=MQ%3D%3D&sv=1&sig=old"),
            "https://h/c/b?comp=block&blockid=MQ%3D%3D"
        );
        assert_eq!(without_signature("https://h/c/b?sig=old"), "https://h/c/b");
    }
}
