//! What a plugin's configuration says, for the SDK.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::region::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Builder as HttpClientBuilder, Connector, tls};
use aws_types::SdkConfig;
use aws_types::region::Region;
use floe_core::SecretString;

/// How long to wait for a connection: three attempts end within ten seconds.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(2_500);
/// How long one request may take, its connection included.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// How STS names a session where nobody says.
const SESSION: &str = "floe";

/// What a configuration says; what it does not say comes from the environment and the files of `~/.aws`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AwsSettings {
    /// The region.
    pub region: Option<String>,
    /// A profile of the shared configuration files.
    pub profile: Option<String>,
    /// An access key; it comes before the profile.
    pub keys: Option<AwsKeys>,
    /// A role that is assumed with the keys, the profile, or what else there is.
    pub role: Option<AwsRole>,
    /// How many times a request is tried at most, where trying again is safe; the SDK's own number where absent.
    pub max_attempts: Option<u32>,
}

/// An access key.
#[derive(Debug, Clone, PartialEq)]
pub struct AwsKeys {
    /// Its id.
    pub id: SecretString,
    /// Its secret.
    pub secret: SecretString,
    /// The token of temporary keys.
    pub token: Option<SecretString>,
}

/// A role to assume.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AwsRole {
    /// `arn:aws:iam::123456789012:role/name`.
    pub arn: String,
    /// How the session is named; `floe` where absent.
    pub session_name: Option<String>,
    /// What the role's owner asks strangers for.
    pub external_id: Option<String>,
    /// The region of STS; that of the settings where absent.
    pub region: Option<String>,
    /// How long the session lasts, in seconds; STS decides where absent.
    pub seconds: Option<u64>,
}

impl AwsSettings {
    /// The settings of the SDK. Reads environment and files; asks no service yet.
    pub async fn load(&self) -> SdkConfig {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(HttpClientBuilder::new().build_with_connector_fn(|settings, parts| {
                let mut connector = Connector::builder()
                    .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
                    .proxy_config(ProxyConfig::from_env());
                connector.set_connector_settings(settings.cloned());
                connector.set_sleep_impl(parts.and_then(|parts| parts.sleep_impl()));
                connector.build()
            }))
            .timeout_config(timeouts);
        if let Some(attempts) = self.max_attempts {
            loader = loader.retry_config(RetryConfig::standard().with_max_attempts(attempts));
        }
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(keys) = &self.keys {
            let token = keys.token.as_ref().map(|token| token.expose().to_owned());
            let (id, secret) = (keys.id.expose(), keys.secret.expose());
            loader =
                loader.credentials_provider(Credentials::new(id, secret, token, None, "floe configuration"));
        }
        let config = loader.load().await;
        match (&self.role, config.credentials_provider()) {
            (Some(role), Some(base)) => {
                let assumed = SharedCredentialsProvider::new(role.provider(&config, base).await);
                config.into_builder().credentials_provider(assumed).build()
            }
            _ => config,
        }
    }

    /// The region that the profile says, or the default profile; `None` where it says none.
    pub async fn region_of_profile(&self) -> Option<String> {
        let mut provider = ProfileFileRegionProvider::builder();
        if let Some(profile) = &self.profile {
            provider = provider.profile_name(profile);
        }
        provider.build().region().await.map(|region| region.to_string())
    }
}

impl AwsRole {
    async fn provider(&self, config: &SdkConfig, base: SharedCredentialsProvider) -> AssumeRoleProvider {
        let session = self.session_name.as_deref().unwrap_or(SESSION);
        let mut builder = AssumeRoleProvider::builder(&self.arn).configure(config).session_name(session);
        if let Some(id) = &self.external_id {
            builder = builder.external_id(id);
        }
        if let Some(region) = &self.region {
            builder = builder.region(Region::new(region.clone()));
        }
        if let Some(seconds) = self.seconds {
            builder = builder.session_length(Duration::from_secs(seconds));
        }
        builder.build_from_provider(base).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let secret = || SecretString::new("hunter2");
        let keys = AwsKeys { id: secret(), secret: secret(), token: Some(secret()) };
        let settings = AwsSettings { keys: Some(keys), ..AwsSettings::default() };
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
