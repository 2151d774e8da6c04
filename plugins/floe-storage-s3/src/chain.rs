//! Keys that the AWS SDK finds: by a profile of `~/.aws`, or by assuming a role.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use floe_aws::{AwsKeys, AwsRole, AwsSettings, no_credentials};
use floe_core::{Error, ErrorKind, Result};
use floe_object_store::Renewal;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use object_store::client::HttpRequest;
use tokio::sync::{Mutex, OnceCell};

use crate::config::S3StorageConfig;
use crate::credentials::Chain;
use crate::signature::{key_of, signed_anew};

/// Keys are renewed this long before they end.
const MARGIN: Duration = Duration::from_secs(300);

/// Keys of the SDK, kept while they hold. Callers at once share one renewal.
#[derive(Debug)]
pub(crate) struct SdkKeys {
    settings: AwsSettings,
    region: String,
    requester_pays: bool,
    source: OnceCell<SharedCredentialsProvider>,
    held: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    keys: Arc<AwsCredential>,
    ends_at: Option<SystemTime>,
}

impl SdkKeys {
    pub(crate) fn new(chain: Chain, config: &S3StorageConfig, region: String) -> Self {
        let settings = settings(chain, config, &region);
        let requester_pays = config.requester_pays.unwrap_or(false);
        Self { settings, region, requester_pays, source: OnceCell::new(), held: Mutex::default() }
    }

    /// Keys that hold for some minutes, and are others than the `refused` ones.
    async fn keys(&self, refused: Option<&str>) -> Result<Arc<AwsCredential>> {
        let mut held = self.held.lock().await;
        let fits = |held: &Held| held.is_fresh() && refused != Some(held.keys.key_id.as_str());
        if let Some(held) = held.as_ref().filter(|held| fits(held)) {
            return Ok(held.keys.clone());
        }
        match self.fetch().await {
            Ok(fetched) => Ok(held.insert(fetched).keys.clone()),
            Err(e) => match held.as_ref().filter(|held| held.holds() && refused.is_none()) {
                Some(held) => Ok(held.keys.clone()),
                None => Err(e),
            },
        }
    }

    async fn fetch(&self) -> Result<Held> {
        let source = self.source.get_or_try_init(|| async {
            let found = self.settings.load().await.credentials_provider();
            found.ok_or_else(|| Error::new(ErrorKind::Unauthenticated, "there are no AWS credentials"))
        });
        let found = source.await?.provide_credentials().await.map_err(|e| self.failed(no_credentials(&e)))?;
        let keys = AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        };
        Ok(Held { keys: Arc::new(keys), ends_at: found.expiry() })
    }

    fn failed(&self, error: Error) -> Error {
        match (&self.settings.role, &self.settings.profile) {
            (Some(role), _) => error
                .context(format!("the role {} cannot be assumed", role.arn))
                .with_hint("check the role's name and trust, and the keys or profile it is assumed with"),
            (None, profile) => error
                .context(format!("the profile '{}' of ~/.aws", profile.as_deref().unwrap_or("default")))
                .with_hint("check s3.profile-name or AWS_PROFILE, and the files of ~/.aws"),
        }
    }
}

impl Held {
    fn holds(&self) -> bool {
        self.ends_at.is_none_or(|end| SystemTime::now() < end)
    }

    fn is_fresh(&self) -> bool {
        self.ends_at.is_none_or(|end| SystemTime::now() + MARGIN < end)
    }
}

#[async_trait]
impl CredentialProvider for SdkKeys {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let keys = self.keys(None).await;
        keys.map_err(|e| object_store::Error::Generic { store: "S3", source: Box::new(e) })
    }
}

#[async_trait]
impl Renewal for SdkKeys {
    async fn renew(&self, request: HttpRequest) -> Result<Option<HttpRequest>> {
        let Some(refused) = key_of(&request) else { return Ok(None) };
        let keys = self.keys(Some(&refused)).await?;
        if keys.key_id == refused {
            return Ok(None);
        }
        Ok(signed_anew(request, &keys, &self.region, self.requester_pays))
    }
}

/// The region that the profile says, for a configuration that says none.
pub(crate) async fn region(chain: Chain, config: &S3StorageConfig) -> Option<String> {
    settings(chain, config, "").region_of_profile().await
}

fn settings(chain: Chain, config: &S3StorageConfig, region: &str) -> AwsSettings {
    AwsSettings {
        region: (!region.is_empty()).then(|| region.to_owned()),
        profile: chain.profile,
        keys: chain.keys.map(|(id, secret, token)| AwsKeys { id, secret, token }),
        role: chain.role.map(|role| AwsRole {
            arn: role.arn,
            session_name: role.session_name,
            external_id: config.assume_role_external_id.clone(),
            region: config.assume_role_region.clone(),
            seconds: config.assume_role_timeout_sec,
        }),
        max_attempts: None,
    }
}
