//! Configuration of the REST catalog, in the spelling of PyIceberg and of Iceberg's Java library.

use std::collections::BTreeMap;
use std::time::Duration;

use floe_core::{Error, PluginConfig, Result, SecretString};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

/// Properties that begin so are headers of every request.
pub(crate) const HEADER_PREFIX: &str = "header.";
/// Properties that begin so hold a token of that type, which is exchanged for an access token (RFC 8693).
pub(crate) const TOKEN_TYPE_PREFIX: &str = "urn:ietf:params:oauth:token-type:";

/// Properties of a catalog of `type = "polaris"` or `type = "rest"`.
///
/// The server adds to them: its `defaults` count where the client says nothing, its `overrides` always
/// (Iceberg REST specification, `getConfig`).
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
#[schemars(extend("patternProperties" = {
    "^header\\.": {"type": "string", "description": "a header of every request"},
    "^urn:ietf:params:oauth:token-type:": {
        "type": "string", "description": "a token of this type, exchanged for an access token (RFC 8693)"
    }
}))]
pub struct RestCatalogConfig {
    /// Where the catalog is: the address before `/v1` (Polaris: `https://host:8181/api/catalog`).
    pub uri: String,
    /// The name that the server knows the catalog by (Polaris: the catalog's name).
    pub warehouse: Option<String>,
    /// The part between `/v1/` and the rest of each path. Most servers tell it by themselves.
    pub prefix: Option<String>,
    /// OAuth2 client credentials, as `id:secret`.
    #[schemars(with = "Option<String>")]
    pub credential: Option<SecretString>,
    /// A bearer token.
    #[schemars(with = "Option<String>")]
    pub token: Option<SecretString>,
    /// The OAuth2 token endpoint, absolute or below `uri`. Default: `v1/oauth/tokens`.
    pub oauth2_server_uri: Option<String>,
    /// The OAuth2 scope. Default: `PRINCIPAL_ROLE:ALL` for `polaris`, `catalog` for `rest`.
    pub scope: Option<String>,
    /// The OAuth2 audience.
    pub audience: Option<String>,
    /// The OAuth2 resource.
    pub resource: Option<String>,
    /// Renew tokens before they end. Default: true.
    pub token_refresh_enabled: Option<bool>,
    /// Exchange a `token` that is about to end for a new one (RFC 8693). Default: where there is an
    /// `oauth2-server-uri` or a `credential`.
    pub token_exchange_enabled: Option<bool>,
    /// How long a token lasts of which nothing says so, in milliseconds. Default: 3600000.
    pub token_expires_in_ms: Option<u64>,
    /// The realm of Polaris, sent as the header `Polaris-Realm`.
    #[serde(rename = "polaris.realm")]
    pub realm: Option<String>,
    /// Ask the server for credentials of each table's storage. Default: true. The property
    /// `header.X-Iceberg-Access-Delegation` has precedence.
    pub vended_credentials_enabled: Option<bool>,
    /// Where the server gave credentials for a table, use the storage's own for files that those do not cover. Only the
    /// client's word counts. Default: false, such files are refused.
    pub own_credentials_enabled: Option<bool>,
    /// Names and namespaces asked for in one page of a listing. Default: the server decides.
    #[schemars(range(min = 1))]
    pub rest_page_size: Option<u32>,
    /// What joins the levels of a namespace in a path, percent-encoded. Default: `%1F`.
    pub namespace_separator: Option<String>,
    /// How long connecting may take, in milliseconds. Default: 5000.
    #[serde(rename = "rest.client.connection-timeout-ms")]
    #[schemars(range(min = 1))]
    pub connection_timeout_ms: Option<u64>,
    /// How long the server may be silent, in milliseconds. Default: 60000; 8000 for the first request.
    #[serde(rename = "rest.client.socket-timeout-ms")]
    #[schemars(range(min = 1))]
    pub socket_timeout_ms: Option<u64>,
    /// A PEM file with the certificates of authorities to trust besides those of the system.
    #[serde(rename = "ssl.cabundle")]
    pub ca_bundle: Option<String>,
    /// A PEM file with the client's certificate.
    #[serde(rename = "ssl.client.cert")]
    pub client_certificate: Option<String>,
    /// A PEM file with the key of the client's certificate.
    #[serde(rename = "ssl.client.key")]
    pub client_key: Option<String>,
    /// Sign requests with AWS Signature Version 4. Needs a binary built with that feature. Default: false.
    #[serde(rename = "rest.sigv4-enabled")]
    pub sigv4_enabled: Option<bool>,
    /// The AWS region to sign for. Default: `AWS_REGION` of the environment.
    #[serde(rename = "rest.signing-region")]
    pub signing_region: Option<String>,
    /// The AWS service to sign for: `glue`, `s3tables`, `execute-api`. Default: `execute-api`.
    #[serde(rename = "rest.signing-name")]
    pub signing_name: Option<String>,
    /// The AWS access key to sign with. Default: `AWS_ACCESS_KEY_ID` of the environment.
    #[serde(rename = "rest.access-key-id")]
    #[schemars(with = "Option<String>")]
    pub access_key_id: Option<SecretString>,
    /// The AWS secret key to sign with. Default: `AWS_SECRET_ACCESS_KEY` of the environment.
    #[serde(rename = "rest.secret-access-key")]
    #[schemars(with = "Option<String>")]
    pub secret_access_key: Option<SecretString>,
    /// The AWS session token to sign with. Default: `AWS_SESSION_TOKEN` of the environment.
    #[serde(rename = "rest.session-token")]
    #[schemars(with = "Option<String>")]
    pub session_token: Option<SecretString>,
    /// Properties that the server's configuration may set although they decide who gets the credentials, separated by
    /// commas: `uri` (to another origin), `oauth2-server-uri`, `token`, `header.NAME`, … Default: none.
    #[serde(rename = "rest.server-may-set")]
    pub server_may_set: Option<String>,
    /// Send credentials over plain http to other machines, where everybody on the way can read them. Default: false.
    #[serde(rename = "rest.allow-http")]
    pub allow_http: Option<bool>,
}

impl RestCatalogConfig {
    /// The address before `/v1`, without a final slash.
    ///
    /// `Validation` when it is no http or https address, or holds a user and a password.
    pub(crate) fn base(&self) -> Result<String> {
        if self.uri.trim().is_empty() {
            return Err(Error::validation("the REST catalog has no `uri`")
                .with_hint("set uri to its address, for instance https://host:8181/api/catalog"));
        }
        let fault = |why: &str| {
            Error::validation(format!("`uri` of the REST catalog {why}"))
                .with_hint("write it as https://host:port/path, without user, query and /v1")
        };
        let url = Url::parse(self.uri.trim()).map_err(|e| fault(&format!("is no address: {e}")))?;
        if !["http", "https"].contains(&url.scheme()) || url.host_str().is_none() {
            return Err(fault("is no http or https address"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(fault("holds a user or a password; use `credential` or `token`"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(fault("has a query or a fragment"));
        }
        Ok(self.uri.trim().trim_end_matches('/').to_owned())
    }

    /// The token endpoint.
    pub(crate) fn token_endpoint(&self) -> Result<String> {
        let base = self.base()?;
        Ok(match self.oauth2_server_uri.as_deref() {
            Some(uri) if uri.contains("://") => {
                Url::parse(uri).map_err(|e| {
                    Error::validation(format!("`oauth2-server-uri` of the REST catalog is no address: {e}"))
                })?;
                uri.to_owned()
            }
            Some(path) => format!("{base}/{}", path.trim_start_matches('/')),
            None => format!("{base}/v1/oauth/tokens"),
        })
    }

    pub(crate) fn connection_timeout(&self) -> Duration {
        Duration::from_millis(self.connection_timeout_ms.unwrap_or(5_000))
    }

    pub(crate) fn socket_timeout(&self) -> Duration {
        Duration::from_millis(self.socket_timeout_ms.unwrap_or(60_000))
    }

    /// For the first request: a wrong address shows at once.
    pub(crate) fn first_timeout(&self) -> Duration {
        Duration::from_millis(self.socket_timeout_ms.unwrap_or(8_000))
    }
}

/// The client's properties between the server's `defaults` and `overrides`.
pub(crate) fn merged(
    client: &PluginConfig,
    defaults: BTreeMap<String, SecretString>,
    overrides: BTreeMap<String, SecretString>,
) -> PluginConfig {
    let mut config = client.clone();
    for (key, value) in defaults {
        if spelled(&config, &key).is_none() {
            config = config.with(key, value.expose());
        }
    }
    for (key, value) in overrides {
        let key = spelled(&config, &key).unwrap_or(key);
        config = config.with(key, value.expose());
    }
    config
}

/// A property as the configuration spells it: the names of headers are the same in any case of letters.
fn spelled(config: &PluginConfig, key: &str) -> Option<String> {
    let is_header = key.starts_with(HEADER_PREFIX);
    config.keys().find(|own| *own == key || is_header && own.eq_ignore_ascii_case(key)).map(str::to_owned)
}

/// The properties that begin with `prefix`, without it.
pub(crate) fn below<'a>(
    config: &'a PluginConfig,
    prefix: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    config.keys().filter_map(move |key| Some((key.strip_prefix(prefix)?, config.get(key)?)))
}

#[cfg(test)]
mod tests {
    use floe_core::Properties;
    use floe_core::config::unknown_keys;

    use super::*;
    use crate::RestCatalogPlugin;

    fn uri(uri: &str) -> Result<String> {
        RestCatalogConfig { uri: uri.into(), ..Default::default() }.base()
    }

    #[test]
    fn an_address_loses_its_final_slash() {
        assert_eq!(uri("https://host/api/catalog/").unwrap(), "https://host/api/catalog");
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_password() {
        for wrong in ["", "host:8181", "s3://bucket", "https://u:hunter2@host", "https://host?x=1", "/tmp"] {
            let error = uri(wrong).unwrap_err();
            assert_eq!(error.kind(), floe_core::ErrorKind::Validation, "{wrong}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn a_token_endpoint_may_be_relative() {
        let with = |endpoint: Option<&str>| {
            let config = RestCatalogConfig {
                uri: "https://host/api/catalog/".into(),
                oauth2_server_uri: endpoint.map(Into::into),
                ..Default::default()
            };
            config.token_endpoint().unwrap()
        };
        assert_eq!(with(None), "https://host/api/catalog/v1/oauth/tokens");
        assert_eq!(with(Some("/oauth")), "https://host/api/catalog/oauth");
        assert_eq!(with(Some("https://idp/realms/x/token")), "https://idp/realms/x/token");
    }

    #[test]
    fn the_server_overrides_and_the_client_wins_over_defaults() {
        let client = Properties::from_iter([("a", "client"), ("b", "client")]);
        let client = PluginConfig::new("c", &client).unwrap();
        let of = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), SecretString::new(*v))).collect::<BTreeMap<_, _>>()
        };
        let merged = merged(
            &client,
            of(&[("a", "default"), ("c", "default"), ("d", "env:HOME")]),
            of(&[("b", "override"), ("c", "override")]),
        );
        let got: Vec<_> = ["a", "b", "c", "d"].iter().map(|key| merged.get(key).unwrap()).collect();
        assert_eq!(got, ["client", "override", "override", "env:HOME"], "a server reads no secret of ours");
    }

    #[test]
    fn every_documented_key_is_known_and_no_other() {
        let descriptor = floe_core::CatalogPlugin::descriptor(&RestCatalogPlugin::polaris());
        let keys = ["uri", "credential", "header.X-A", "polaris.realm", "rest.sigv4-enabled", "ssl.cabundle"];
        assert!(unknown_keys(keys.into_iter(), &[&descriptor]).is_empty());
        assert_eq!(unknown_keys(["headers", "urn:x"].into_iter(), &[&descriptor]), ["headers", "urn:x"]);
        let token = format!("{TOKEN_TYPE_PREFIX}jwt");
        assert!(unknown_keys([token.as_str()].into_iter(), &[&descriptor]).is_empty());
    }
}
