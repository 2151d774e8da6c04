//! Configuration of the Glue catalog.

use aws_types::SdkConfig;
use floe_aws::{AwsKeys, AwsRole, AwsSettings};
use floe_core::{Error, ErrorKind, Result, SecretString, hosts};
use schemars::JsonSchema;
use serde::Deserialize;

/// Properties of a catalog of `type = "glue"`, spelled as PyIceberg and Iceberg for Java do.
///
/// Without keys the default credential chain of AWS is asked: environment variables, the shared configuration
/// files (profiles, SSO, processes, assumed roles), web identity, containers and instances.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GlueCatalogConfig {
    /// The id of the Data Catalog: the number of the AWS account that owns it. Default: the caller's account.
    #[serde(rename = "glue.id")]
    pub id: Option<String>,
    /// Another endpoint of the service, as `https://host`.
    #[serde(rename = "glue.endpoint")]
    pub endpoint: Option<String>,
    /// Send signed requests over plain http to other machines, where everybody on the way can read the token of temporary
    /// keys and send the request again. Default: false.
    #[serde(rename = "glue.allow-http")]
    pub allow_http: Option<bool>,
    /// The AWS region; `client.region` and then the environment serve where it is absent.
    #[serde(rename = "glue.region")]
    pub region: Option<String>,
    /// Profile of the shared AWS configuration files; else `client.profile-name`.
    #[serde(rename = "glue.profile-name")]
    pub profile_name: Option<String>,
    /// Access key; else `client.access-key-id`.
    #[serde(rename = "glue.access-key-id")]
    #[schemars(with = "Option<String>")]
    pub access_key_id: Option<SecretString>,
    /// Secret of the access key; else `client.secret-access-key`.
    #[serde(rename = "glue.secret-access-key")]
    #[schemars(with = "Option<String>")]
    pub secret_access_key: Option<SecretString>,
    /// Token of temporary credentials; else `client.session-token`.
    #[serde(rename = "glue.session-token")]
    #[schemars(with = "Option<String>")]
    pub session_token: Option<SecretString>,
    /// The AWS region for every AWS service.
    #[serde(rename = "client.region")]
    pub client_region: Option<String>,
    /// Profile for every AWS service.
    #[serde(rename = "client.profile-name")]
    pub client_profile_name: Option<String>,
    /// Access key for every AWS service.
    #[serde(rename = "client.access-key-id")]
    #[schemars(with = "Option<String>")]
    pub client_access_key_id: Option<SecretString>,
    /// Secret of the access key for every AWS service.
    #[serde(rename = "client.secret-access-key")]
    #[schemars(with = "Option<String>")]
    pub client_secret_access_key: Option<SecretString>,
    /// Token of temporary credentials for every AWS service.
    #[serde(rename = "client.session-token")]
    #[schemars(with = "Option<String>")]
    pub client_session_token: Option<SecretString>,
    /// A role to assume, with the keys or the profile, for every AWS service.
    #[serde(rename = "client.role-arn")]
    pub client_role_arn: Option<String>,
    /// How the session of the role is named. Default: `floe`.
    #[serde(rename = "client.role-session-name")]
    pub client_role_session_name: Option<String>,
    /// A role to assume, as Iceberg for Java spells it.
    #[serde(rename = "client.assume-role.arn")]
    pub assume_role_arn: Option<String>,
    /// How the session of that role is named. Default: `floe`.
    #[serde(rename = "client.assume-role.session-name")]
    pub assume_role_session_name: Option<String>,
    /// What the owner of the role asks strangers for.
    #[serde(rename = "client.assume-role.external-id")]
    pub assume_role_external_id: Option<String>,
    /// The region in which the role is assumed. Default: that of the catalog.
    #[serde(rename = "client.assume-role.region")]
    pub assume_role_region: Option<String>,
    /// How long a session lasts, in seconds. Default: what AWS says, an hour.
    #[serde(rename = "client.assume-role.timeout-sec")]
    #[schemars(range(min = 900, max = 43200))]
    pub assume_role_timeout_sec: Option<u64>,
    /// Without effect: a class of Iceberg for Java.
    #[serde(rename = "client.factory")]
    pub client_factory: Option<String>,
    /// Whether Glue keeps no former version of a table at a commit. Default: true.
    #[serde(rename = "glue.skip-archive")]
    pub skip_archive: Option<bool>,
    /// Whether names may hold more than lower-case ASCII letters, digits and underscores, which is all that Athena
    /// and Hive take. Upper-case letters are refused in any case: Glue would fold them. Default: false.
    #[serde(rename = "glue.skip-name-validation")]
    pub skip_name_validation: Option<bool>,
    /// How many times a request is tried at most, where trying again is safe. Default: 3.
    #[serde(rename = "glue.max-retries")]
    #[schemars(range(min = 1, max = 100))]
    pub max_retries: Option<u32>,
    /// Credentials for each table from Lake Formation. Not supported: `true` is refused.
    #[serde(rename = "glue.lakeformation-enabled")]
    pub lakeformation_enabled: Option<bool>,
}

impl GlueCatalogConfig {
    /// Whether Glue keeps no former version of a table at a commit.
    pub fn skip_archive(&self) -> bool {
        self.skip_archive.unwrap_or(true)
    }

    /// Checks what can be checked without a network, with `Validation` and `Unsupported`.
    pub fn check(&self) -> Result<()> {
        if self.lakeformation_enabled == Some(true) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "credentials for each table from Lake Formation (`glue.lakeformation-enabled`) are not supported",
            )
            .with_hint("grant the caller's role access to the tables' locations, and leave the property out"));
        }
        if !(1..=100).contains(&self.max_retries.unwrap_or(3)) {
            return Err(Error::validation("`glue.max-retries` must be between 1 and 100"));
        }
        if let Some(endpoint) = &self.endpoint
            && !(endpoint.starts_with("http://") || endpoint.starts_with("https://"))
        {
            return Err(Error::validation("`glue.endpoint` must begin with https:// or http://"));
        }
        if let Some(endpoint) = &self.endpoint {
            self.check_encrypted("glue.endpoint", endpoint)?;
        }
        self.keys().map(drop)
    }

    /// The settings of the SDK, from this configuration and, where it is silent, from the environment.
    ///
    /// Fails with `Validation` where no region is known.
    pub(crate) async fn sdk(&self) -> Result<SdkConfig> {
        self.check()?;
        let keys = self.keys()?.map(|(id, secret, token)| AwsKeys {
            id: id.clone(),
            secret: secret.clone(),
            token: token.cloned(),
        });
        let settings = AwsSettings {
            region: self.region.clone().or_else(|| self.client_region.clone()),
            profile: self.profile_name.clone().or_else(|| self.client_profile_name.clone()),
            keys,
            role: self.role(),
            max_attempts: Some(self.max_retries.unwrap_or(3)),
        };
        let config = settings.load().await;
        if self.endpoint.is_none() {
            let of_glue = std::env::var("AWS_ENDPOINT_URL_GLUE").ok();
            if let Some(endpoint) = of_glue.as_deref().or(config.endpoint_url()) {
                self.check_encrypted("AWS_ENDPOINT_URL", endpoint)?;
            }
        }
        if config.region().is_none() {
            return Err(Error::validation("no AWS region is known")
                .with_hint("set `glue.region`, AWS_REGION, or a region in the profile"));
        }
        Ok(config)
    }

    /// `Validation` for an endpoint that is spoken to in clear on another machine, or that holds a password.
    fn check_encrypted(&self, key: &str, endpoint: &str) -> Result<()> {
        let (scheme, rest) = endpoint.split_once("://").unwrap_or(("", endpoint));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if rest.contains('@') {
            return Err(Error::validation(format!("`{key}` holds a user or a password"))
                .with_hint("write it as https://host:port; keys have properties of their own"));
        }
        let port = authority.rsplit_once(':').filter(|_| !authority.ends_with(']'));
        let host = port.map_or(authority, |(host, _)| host);
        if scheme.eq_ignore_ascii_case("https") || hosts::is_loopback(host) || self.allow_http == Some(true) {
            return Ok(());
        }
        Err(Error::validation(format!(
            "`{key}` is plain http to another machine: everybody on the way could use the requests that are signed"
        ))
        .with_hint("use https; where the network is trusted, set `glue.allow-http = true`"))
    }

    /// The role that is to be assumed.
    fn role(&self) -> Option<AwsRole> {
        let arn = self.client_role_arn.clone().or_else(|| self.assume_role_arn.clone())?;
        let session_name =
            self.client_role_session_name.clone().or_else(|| self.assume_role_session_name.clone());
        Some(AwsRole {
            arn,
            session_name,
            external_id: self.assume_role_external_id.clone(),
            region: self.assume_role_region.clone(),
            seconds: self.assume_role_timeout_sec,
        })
    }

    /// The keys that are configured: those of Glue, else those of every service. Half a pair is `Validation`.
    fn keys(&self) -> Result<Option<(&SecretString, &SecretString, Option<&SecretString>)>> {
        let glue = (&self.access_key_id, &self.secret_access_key, &self.session_token, "glue");
        let client = (
            &self.client_access_key_id,
            &self.client_secret_access_key,
            &self.client_session_token,
            "client",
        );
        for (key, secret, token, prefix) in [glue, client] {
            match (key, secret) {
                (Some(key), Some(secret)) => return Ok(Some((key, secret, token.as_ref()))),
                (None, None) => {}
                _ => {
                    return Err(Error::validation(format!(
                        "`{prefix}.access-key-id` and `{prefix}.secret-access-key` belong together"
                    ))
                    .with_hint("set both, or neither to use the default credentials of AWS"));
                }
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use floe_core::{PluginConfig, Properties};

    use super::*;

    fn config(properties: &[(&str, &str)]) -> GlueCatalogConfig {
        let properties: Properties = properties.iter().copied().collect();
        PluginConfig::new("c", &properties).unwrap().parse().unwrap()
    }

    #[test]
    fn a_configuration_of_pyiceberg_is_read_as_it_is() {
        let config = config(&[
            ("type", "glue"),
            ("glue.id", "123456789012"),
            ("glue.endpoint", "https://glue.example"),
            ("glue.skip-archive", "false"),
            ("client.region", "eu-central-1"),
            ("client.access-key-id", "AKIA"),
            ("client.secret-access-key", "hunter2"),
        ]);
        config.check().unwrap();
        assert!(!config.skip_archive());
        let (key, secret, token) = config.keys().unwrap().unwrap();
        assert_eq!((key.expose(), secret.expose(), token), ("AKIA", "hunter2", None));
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn the_keys_of_glue_come_before_those_of_every_service() {
        let config = config(&[
            ("glue.access-key-id", "one"),
            ("glue.secret-access-key", "s1"),
            ("client.access-key-id", "two"),
            ("client.secret-access-key", "s2"),
            ("client.session-token", "token of two"),
        ]);
        let (key, _, token) = config.keys().unwrap().unwrap();
        assert_eq!((key.expose(), token), ("one", None), "a token stays with its keys");
    }

    #[test]
    fn what_cannot_work_is_refused_before_anything_is_asked() {
        let cases = [
            (&[("glue.access-key-id", "hunter2")][..], ErrorKind::Validation, "glue.secret-access-key"),
            (&[("client.secret-access-key", "hunter2")], ErrorKind::Validation, "client.access-key-id"),
            (&[("glue.lakeformation-enabled", "true")], ErrorKind::Unsupported, "Lake Formation"),
            (&[("glue.max-retries", "0")], ErrorKind::Validation, "glue.max-retries"),
            (&[("glue.endpoint", "glue.example")], ErrorKind::Validation, "glue.endpoint"),
        ];
        for (properties, kind, named) in cases {
            let error = config(properties).check().unwrap_err();
            assert_eq!(error.kind(), kind, "{properties:?}");
            assert!(error.to_string().contains(named) && !error.to_string().contains("hunter2"), "{error}");
        }
        assert!(config(&[("glue.lakeformation-enabled", "false")]).check().is_ok());
    }

    #[test]
    fn signed_requests_go_in_clear_to_this_machine_only() {
        for endpoint in
            ["https://glue.example", "http://127.0.0.1:5000", "http://localhost", "http://[::1]:5000/x"]
        {
            config(&[("glue.endpoint", endpoint)]).check().unwrap();
        }
        for endpoint in [
            "http://glue.example",
            "http://10.0.0.1:5000",
            "http://localhost.example.com",
            "http://moto:5000/",
        ] {
            let error = config(&[("glue.endpoint", endpoint)]).check().unwrap_err();
            assert!(error.to_string().contains("glue.allow-http"), "{endpoint}: {error}");
            config(&[("glue.endpoint", endpoint), ("glue.allow-http", "true")]).check().unwrap();
        }
        for endpoint in ["https://u:hunter2@glue.example", "https://u:hun/hunter2@glue.example"] {
            let error = config(&[("glue.endpoint", endpoint)]).check().unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
