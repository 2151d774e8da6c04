//! Temporary keys that a catalog gives for the files of one table.

use std::sync::Arc;

use async_trait::async_trait;
use floe_core::{Error, ErrorKind, PluginConfig, Result};
use floe_object_store::{Renewal, Vended};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use object_store::client::HttpRequest;

use crate::config::S3StorageConfig;
use crate::signature::signed_anew;

/// Keys of a catalog, asked for before each request; the catalog's own client keeps them while they hold.
#[derive(Debug)]
pub(crate) struct VendedKeys {
    pub(crate) vended: Vended,
    pub(crate) region: String,
    pub(crate) requester_pays: bool,
}

#[async_trait]
impl CredentialProvider for VendedKeys {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let keys = self.vended.fresh().await.and_then(|config| keys(&config));
        keys.map(Arc::new).map_err(|e| object_store::Error::Generic { store: "S3", source: Box::new(e) })
    }
}

#[async_trait]
impl Renewal for VendedKeys {
    async fn renew(&self, request: HttpRequest) -> Result<Option<HttpRequest>> {
        let keys = keys(&self.vended.renewed().await?)?;
        Ok(signed_anew(request, &keys, &self.region, self.requester_pays))
    }
}

/// Whether these properties hold keys.
pub(crate) fn has_keys(config: &PluginConfig) -> bool {
    config.get("s3.access-key-id").is_some() || config.get("client.access-key-id").is_some()
}

fn keys(config: &PluginConfig) -> Result<AwsCredential> {
    let parsed: S3StorageConfig = config.parse()?;
    let id = parsed.access_key_id.or(parsed.client_access_key_id);
    let secret = parsed.secret_access_key.or(parsed.client_secret_access_key);
    let token = parsed.session_token.or(parsed.client_session_token);
    let (Some(id), Some(secret)) = (id, secret) else {
        return Err(Error::new(ErrorKind::Unauthenticated, "the catalog gave no keys for S3"));
    };
    Ok(AwsCredential {
        key_id: id.expose().to_owned(),
        secret_key: secret.expose().to_owned(),
        token: token.map(|token| token.expose().to_owned()),
    })
}
