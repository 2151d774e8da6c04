//! Where credentials come from.

use floe_core::{Error, ErrorKind, Result, SecretString};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

use crate::config::S3StorageConfig;

/// Looks up an environment variable; an empty one counts as absent.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What the SDK is asked for: keys, or a profile, or neither, and a role.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Chain {
    pub(crate) keys: Option<(SecretString, SecretString, Option<SecretString>)>,
    pub(crate) profile: Option<String>,
    pub(crate) role: Option<Role>,
}

/// A role that is assumed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Role {
    pub(crate) arn: String,
    pub(crate) session_name: Option<String>,
}

impl Chain {
    fn profile(name: String) -> Self {
        Self { profile: Some(name), ..Self::default() }
    }

    fn name(&self) -> String {
        match (&self.role, &self.profile) {
            (Some(role), _) => format!("the role {}", role.arn),
            (None, Some(profile)) => format!("the profile '{profile}'"),
            (None, None) => "the default profile".into(),
        }
    }
}

/// Where the credentials of a bucket come from. The first that is configured is taken; sources are not mixed, so
/// that a session token of one never meets the key of another.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    /// None are sent.
    Anonymous,
    /// An access key.
    Keys { id: SecretString, secret: SecretString, token: Option<SecretString> },
    /// What the SDK finds: a profile of `~/.aws`, or a role that is assumed.
    Sdk(Box<Chain>),
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
        let configured = keys(
            config.access_key_id.clone(),
            config.secret_access_key.clone(),
            config.session_token.clone(),
        );
        let general = keys(
            config.client_access_key_id.clone(),
            config.client_secret_access_key.clone(),
            config.client_session_token.clone(),
        );
        let profile = config.profile_name.clone().or_else(|| config.client_profile_name.clone());
        let given = configured.or(general).map(Self::usable).transpose()?;
        if let Some(role) = role(config) {
            let keys = match given {
                Some(Self::Keys { id, secret, token }) => Some((id, secret, token)),
                _ => None,
            };
            return Ok(Self::Sdk(Box::new(Chain { keys, profile, role: Some(role) })));
        }
        if let Some(keys) = given {
            return Ok(keys);
        }
        if let Some(profile) = profile {
            return Ok(Self::Sdk(Box::new(Chain::profile(profile))));
        }
        let secret = |name| env(name).map(SecretString::new);
        let from_env =
            keys(secret("AWS_ACCESS_KEY_ID"), secret("AWS_SECRET_ACCESS_KEY"), secret("AWS_SESSION_TOKEN"));
        if let Some(keys) = from_env {
            return Ok(keys);
        }
        if let Some(profile) = env("AWS_PROFILE") {
            return Ok(Self::Sdk(Box::new(Chain::profile(profile))));
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

    /// Gives the credentials to a bucket. `Unsupported` for those that only the SDK finds.
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
            Self::Sdk(chain) => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("{} is asked for, and this build reads no profiles and assumes no roles", chain.name()),
                )
                .with_hint(
                    "build floe with the feature storage-s3-profiles; or let `aws configure export-credentials \
                     --format env` give temporary keys to the environment, and unset AWS_PROFILE",
                ));
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

/// The role that is to be assumed; the first that is named.
fn role(config: &S3StorageConfig) -> Option<Role> {
    let named = [
        (&config.role_arn, &config.role_session_name),
        (&config.client_role_arn, &config.client_role_session_name),
        (&config.assume_role_arn, &config.assume_role_session_name),
    ];
    let (arn, session_name) = named.into_iter().find_map(|(arn, name)| Some((arn.clone()?, name.clone())))?;
    Some(Role { arn, session_name })
}

fn keys(
    id: Option<SecretString>,
    secret: Option<SecretString>,
    token: Option<SecretString>,
) -> Option<Source> {
    Some(Source::Keys { id: id?, secret: secret?, token })
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
    fn a_build_without_profiles_names_what_is_missing() {
        let source = choose(&[], &[("AWS_PROFILE", "work")]).unwrap();
        let error = source.apply(AmazonS3Builder::new(), &|_| None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("'work'"), "{error}");
        assert!(error.hint().unwrap().contains("storage-s3-profiles"), "{error}");
    }

    #[cfg(feature = "profiles")]
    #[test]
    fn a_role_is_assumed_with_the_keys_or_the_profile_and_the_first_name_wins() {
        let role =
            [("s3.role-arn", "first"), ("s3.role-session-name", "s"), ("client.assume-role.arn", "last")];
        let with_keys = choose(&[CONFIGURED[0], CONFIGURED[1], role[0], role[1], role[2]], &ENV).unwrap();
        let Source::Sdk(chain) = with_keys else { panic!("{with_keys:?}") };
        assert_eq!(chain.role, Some(Role { arn: "first".into(), session_name: Some("s".into()) }));
        assert_eq!(chain.keys.unwrap().0.expose(), "config");
        let Source::Sdk(chain) = choose(&[role[2], ("s3.profile-name", "p")], &ENV).unwrap() else {
            panic!()
        };
        assert_eq!((chain.keys, chain.profile.as_deref()), (None, Some("p")));
        assert_eq!(chain.role.unwrap().arn, "last");
    }

    #[test]
    fn the_configuration_wins_over_the_environment_over_the_machine() {
        let anonymous = [CONFIGURED[0], CONFIGURED[1], ("s3.anonymous", "true")];
        assert_eq!(choose(&anonymous, &ENV).unwrap(), Source::Anonymous);
        let general = [("client.access-key-id", "general"), ("client.secret-access-key", "s")];
        assert_eq!(choose(&general, &ENV).unwrap(), of_keys("general", None));
        let profile = Source::Sdk(Box::new(Chain::profile("p".into())));
        assert_eq!(choose(&[("s3.profile-name", "p")], &ENV).unwrap(), profile);
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
