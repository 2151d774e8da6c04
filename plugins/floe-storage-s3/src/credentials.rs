//! Where credentials come from.

use floe_core::{Error, ErrorKind, Result, SecretString};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

use crate::config::S3StorageConfig;

/// Looks up an environment variable; an empty one counts as absent.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Where the credentials of a bucket come from. The first that is configured is taken; sources are not mixed, so
/// that a session token of one never meets the key of another.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    /// None are sent.
    Anonymous,
    /// An access key.
    Keys { id: SecretString, secret: SecretString, token: Option<SecretString> },
    /// A profile of `~/.aws`.
    Profile(String),
    /// A role for the token of a Kubernetes service account.
    WebIdentity { token_file: String, role: String },
    /// The service of the container, at this path.
    Container(String),
    /// The service of the container, at this address with the token of this file.
    ContainerUri { address: String, token_file: String },
    /// The metadata service of the machine.
    Machine,
}

impl Source {
    /// The source that the configuration chooses, or else the environment, or else the machine.
    pub(crate) fn choose(config: &S3StorageConfig, env: Env<'_>) -> Result<Self> {
        if config.is_anonymous() {
            return Ok(Self::Anonymous);
        }
        let configured = keys(&config.access_key_id, &config.secret_access_key, &config.session_token);
        let general = keys(
            &config.client_access_key_id,
            &config.client_secret_access_key,
            &config.client_session_token,
        );
        if let Some(keys) = configured.or(general) {
            return keys.usable();
        }
        if let Some(profile) = config.profile_name.clone().or_else(|| config.client_profile_name.clone()) {
            return Ok(Self::Profile(profile));
        }
        let secret = |name| env(name).map(SecretString::new);
        let from_env = keys(
            &secret("AWS_ACCESS_KEY_ID"),
            &secret("AWS_SECRET_ACCESS_KEY"),
            &secret("AWS_SESSION_TOKEN"),
        );
        if let Some(keys) = from_env {
            return Ok(keys);
        }
        if let Some(profile) = env("AWS_PROFILE") {
            return Ok(Self::Profile(profile));
        }
        if let (Some(token_file), Some(role)) = (env("AWS_WEB_IDENTITY_TOKEN_FILE"), env("AWS_ROLE_ARN")) {
            return Ok(Self::WebIdentity { token_file, role });
        }
        if let Some(path) = env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            return Ok(Self::Container(path));
        }
        if let (Some(address), Some(token_file)) =
            (env("AWS_CONTAINER_CREDENTIALS_FULL_URI"), env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"))
        {
            return Ok(Self::ContainerUri { address, token_file });
        }
        if env("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Err(Error::new(ErrorKind::Unauthenticated, "no credentials for S3 are configured")
                .with_hint(
                    "set s3.access-key-id and s3.secret-access-key, or s3.anonymous for public data",
                ));
        }
        Ok(Self::Machine)
    }

    /// Keys that came through a serialised storage are no keys any more.
    fn usable(self) -> Result<Self> {
        match &self {
            Self::Keys { secret, .. } if secret.expose() == "***" => {
                Err(Error::new(ErrorKind::Unauthenticated, "secrets do not travel with a serialised storage")
                    .with_hint("let the other process open the catalog by its own configuration"))
            }
            _ => Ok(self),
        }
    }

    /// Gives the credentials to a bucket.
    pub(crate) fn apply(self, builder: AmazonS3Builder, env: Env<'_>) -> Result<AmazonS3Builder> {
        let set = |builder: AmazonS3Builder, key, name: &str| match env(name) {
            Some(value) => builder.with_config(key, value),
            None => builder,
        };
        Ok(match self {
            Self::Anonymous => builder.with_skip_signature(true),
            Self::Keys { id, secret, token } => {
                let builder = builder.with_access_key_id(id.expose()).with_secret_access_key(secret.expose());
                match token {
                    Some(token) => builder.with_token(token.expose()),
                    None => builder,
                }
            }
            Self::Profile(name) => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("profiles of ~/.aws are not read, and the profile '{name}' is asked for"),
                )
                .with_hint(format!(
                    "eval \"$(aws configure export-credentials --profile {name} --format env)\" gives its keys to \
                     the environment; unset AWS_PROFILE"
                )));
            }
            Self::WebIdentity { token_file, role } => {
                let builder = builder
                    .with_config(AmazonS3ConfigKey::WebIdentityTokenFile, token_file)
                    .with_config(AmazonS3ConfigKey::RoleArn, role);
                let builder = set(builder, AmazonS3ConfigKey::RoleSessionName, "AWS_ROLE_SESSION_NAME");
                set(builder, AmazonS3ConfigKey::StsEndpoint, "AWS_ENDPOINT_URL_STS")
            }
            Self::Container(path) => {
                builder.with_config(AmazonS3ConfigKey::ContainerCredentialsRelativeUri, path)
            }
            Self::ContainerUri { address, token_file } => builder
                .with_config(AmazonS3ConfigKey::ContainerCredentialsFullUri, address)
                .with_config(AmazonS3ConfigKey::ContainerAuthorizationTokenFile, token_file),
            Self::Machine => {
                set(builder, AmazonS3ConfigKey::MetadataEndpoint, "AWS_EC2_METADATA_SERVICE_ENDPOINT")
            }
        })
    }
}

fn keys(
    id: &Option<SecretString>,
    secret: &Option<SecretString>,
    token: &Option<SecretString>,
) -> Option<Source> {
    Some(Source::Keys { id: id.clone()?, secret: secret.clone()?, token: token.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(pairs: &[(&str, &str)], env: &[(&str, &str)]) -> Result<Source> {
        let config = crate::config::tests::config(pairs).unwrap();
        Source::choose(&config, &|name| env.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).into()))
    }

    fn of_keys(id: &str, token: Option<&str>) -> Source {
        Source::Keys {
            id: SecretString::new(id),
            secret: SecretString::new("s"),
            token: token.map(SecretString::new),
        }
    }

    const CONFIGURED: [(&str, &str); 2] = [("s3.access-key-id", "config"), ("s3.secret-access-key", "s")];
    const ENV: [(&str, &str); 3] =
        [("AWS_ACCESS_KEY_ID", "env"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_SESSION_TOKEN", "t")];

    #[test]
    fn a_token_of_the_environment_never_meets_a_configured_key() {
        assert_eq!(choose(&CONFIGURED, &ENV).unwrap(), of_keys("config", None));
        assert_eq!(choose(&[], &ENV).unwrap(), of_keys("env", Some("t")));
    }

    #[test]
    fn a_profile_is_refused_and_the_way_round_is_told() {
        let source = choose(&[], &[("AWS_PROFILE", "work")]).unwrap();
        let error = source.apply(AmazonS3Builder::new(), &|_| None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.hint().unwrap().contains("--profile work"), "{error}");
    }

    #[test]
    fn the_configuration_wins_over_the_environment_over_the_machine() {
        let anonymous = [CONFIGURED[0], CONFIGURED[1], ("s3.anonymous", "true")];
        assert_eq!(choose(&anonymous, &ENV).unwrap(), Source::Anonymous);
        let general = [("client.access-key-id", "general"), ("client.secret-access-key", "s")];
        assert_eq!(choose(&general, &ENV).unwrap(), of_keys("general", None));
        assert_eq!(choose(&[("s3.profile-name", "p")], &ENV).unwrap(), Source::Profile("p".into()));
        let web = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/f"), ("AWS_ROLE_ARN", "r")];
        assert_eq!(
            choose(&[], &web).unwrap(),
            Source::WebIdentity { token_file: "/f".into(), role: "r".into() }
        );
        let container = [("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/p")];
        assert_eq!(choose(&[], &container).unwrap(), Source::Container("/p".into()));
        assert_eq!(choose(&[], &[]).unwrap(), Source::Machine);
        let disabled = choose(&[], &[("AWS_EC2_METADATA_DISABLED", "true")]).unwrap_err();
        assert_eq!(disabled.kind(), ErrorKind::Unauthenticated);
    }
}
