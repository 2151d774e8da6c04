//! Whom credentials are shown: what a server's configuration may change, and what goes over plain http.
//!
//! A server adds properties to the user's (`defaults`, `overrides`). Most say how to speak to it. Some decide who gets
//! to see the user's credentials; those are the user's alone.

use std::collections::BTreeMap;

use floe_core::{Error, PluginConfig, Result, SecretString, hosts};
use reqwest::header::HeaderName;
use url::Url;

use crate::config::{HEADER_PREFIX, RestCatalogConfig, TOKEN_TYPE_PREFIX, below};

/// The setting that lists what the server may set all the same.
pub(crate) const SERVER_MAY_SET: &str = "rest.server-may-set";
/// The setting that lets credentials go over plain http.
pub(crate) const ALLOW_HTTP: &str = "rest.allow-http";

/// Properties that say who gets credentials, which ones, and over what.
const THE_USERS: &[&str] = &["credential", "token", "oauth2-server-uri"];
/// So do all that begin so.
const THE_USERS_PREFIXES: &[&str] =
    &[TOKEN_TYPE_PREFIX, "rest.sigv4", "rest.signing", "ssl.", "rest.client.proxy", "auth.", "rest.auth."];
/// Keys of AWS to sign with.
const SIGNING_KEYS: &[&str] = &["rest.access-key-id", "rest.secret-access-key", "rest.session-token"];
/// What a token is asked for with. Where another party gives tokens, a server that chose these would have a token for
/// a third one made out, and handed to itself.
const OF_THE_TOKEN: &[&str] = &["scope", "audience", "resource"];
/// Headers that say where a request goes or where it ends; none of them is for a configuration to set.
const FRAMING: &[&str] = &[
    "connection",
    "content-length",
    "content-type",
    "expect",
    "forwarded",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];
/// Parts of the names of headers that carry credentials.
const SECRET_PARTS: &[&str] =
    &["auth", "cookie", "credential", "key", "passw", "secret", "session", "signature", "token"];

/// `Validation` where the server's configuration would change what is the user's alone, with the names of those
/// properties and of the setting that allows it.
pub(crate) fn check_server(
    user: &PluginConfig,
    config: &RestCatalogConfig,
    defaults: &BTreeMap<String, SecretString>,
    overrides: &BTreeMap<String, SecretString>,
) -> Result<()> {
    let allowed: Vec<String> = config
        .server_may_set
        .iter()
        .flat_map(|list| list.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let of_other_party = token_party_is_another(config);
    // A default counts only where the user says nothing.
    let defaults = defaults.iter().filter(|(key, _)| of_user(user, key).is_none());
    let mut refused: Vec<String> = defaults
        .chain(overrides)
        .filter(|(key, value)| of_user(user, key) != Some(value.expose()))
        .filter(|(key, value)| is_the_users(user, config, key, value.expose(), of_other_party))
        // These two open the others, and nothing opens them.
        .filter(|(key, _)| {
            let key = key.to_ascii_lowercase();
            [SERVER_MAY_SET, ALLOW_HTTP].contains(&key.as_str()) || !allowed.contains(&key)
        })
        .map(|(key, value)| shown(key, value.expose()))
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    refused.sort();
    refused.dedup();
    let names = refused.join(", ");
    Err(Error::validation(format!(
        "the configuration that the catalog's server sends would set {names}: that decides who gets the credentials, \
         and is not for the server to say"
    ))
    .with_hint(format!(
        "if it is right, set the same value in the catalog's own configuration, or list the property in \
         `{SERVER_MAY_SET}`; otherwise ask those who run the server"
    )))
}

/// `Validation` where credentials would go in clear to another machine.
pub(crate) fn check_encrypted(config: &RestCatalogConfig, properties: &PluginConfig) -> Result<()> {
    if config.allow_http == Some(true) {
        return Ok(());
    }
    let tokens = config.token.is_some()
        || config.credential.is_some()
        || below(properties, TOKEN_TYPE_PREFIX).next().is_some();
    let headers = below(properties, HEADER_PREFIX)
        .any(|(name, value)| !value.is_empty() && carries_credentials(&name.to_ascii_lowercase()));
    let mut places = Vec::new();
    if tokens || headers || config.sigv4_enabled == Some(true) {
        places.push(("uri", config.base()?));
    }
    if tokens {
        places.push(("oauth2-server-uri", config.token_endpoint()?));
    }
    for (key, place) in places {
        if let Some(host) = in_clear(&place) {
            return Err(Error::validation(format!(
                "`{key}` of the REST catalog is plain http to {host}: everybody on the way could read the credentials"
            ))
            .with_hint(format!("use https; where the network is trusted, set `{ALLOW_HTTP} = true`")));
        }
    }
    Ok(())
}

/// Whether a property that came with a table may be for its storage: none that is about the catalog's own connection
/// is, such as a `token` for this table, which goes to the catalog's server only.
pub(crate) fn is_for_storage(key: &str) -> bool {
    let catalogs = [HEADER_PREFIX, TOKEN_TYPE_PREFIX, "rest.", "ssl.", "auth.", "polaris."];
    key == "expiration-time" || key.contains('.') && !catalogs.iter().any(|prefix| key.starts_with(prefix))
}

/// The host of an address of plain http on another machine.
fn in_clear(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    let host = url.host_str()?;
    (url.scheme() != "https" && !hosts::is_loopback(host)).then(|| host.to_owned())
}

fn is_the_users(
    user: &PluginConfig,
    config: &RestCatalogConfig,
    key: &str,
    value: &str,
    of_other_party: bool,
) -> bool {
    if key == "uri" {
        // Another path at the same server is the server's business.
        return !config.base().is_ok_and(|own| same_origin(&own, value));
    }
    if let Some(name) = header(key) {
        return of_user(user, key).is_some()
            || FRAMING.contains(&name.as_str())
            || carries_credentials(&name);
    }
    THE_USERS.contains(&key)
        || SIGNING_KEYS.contains(&key)
        || [SERVER_MAY_SET, ALLOW_HTTP].contains(&key)
        || THE_USERS_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
        || OF_THE_TOKEN.contains(&key) && of_other_party
}

/// The user's value of a property. Names of headers are the same in any case of letters.
fn of_user<'a>(user: &'a PluginConfig, key: &str) -> Option<&'a str> {
    let Some(name) = header(key) else { return user.get(key) };
    let own = user.keys().find(|own| header(own).is_some_and(|own| own == name))?;
    user.get(own)
}

/// The name of the header that a property sets, in small letters.
fn header(key: &str) -> Option<String> {
    Some(key.strip_prefix(HEADER_PREFIX)?.to_ascii_lowercase())
}

/// Whether a header, by its name in small letters, may prove who asks.
fn carries_credentials(name: &str) -> bool {
    SECRET_PARTS.iter().any(|part| name.contains(part))
}

/// Whether tokens come from elsewhere than the catalog's server.
fn token_party_is_another(config: &RestCatalogConfig) -> bool {
    match (config.base(), config.token_endpoint()) {
        (Ok(base), Ok(endpoint)) => !same_origin(&base, &endpoint),
        _ => true,
    }
}

/// Whether two addresses have scheme, host and port in common.
pub(crate) fn same_origin(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => one.origin() == other.origin(),
        _ => false,
    }
}

/// A property for a message: its name, and of an address the origin. A server chose both.
fn shown(key: &str, value: &str) -> String {
    let key = match header(key) {
        Some(name) if name.parse::<HeaderName>().is_err() => "header.…".to_owned(),
        Some(name) => format!("{HEADER_PREFIX}{name}"),
        None => key.chars().take(80).flat_map(char::escape_default).collect(),
    };
    let address = ["uri", "oauth2-server-uri"].contains(&key.as_str());
    let origin = Url::parse(value).ok().filter(|_| address).map(|url| url.origin());
    match origin.filter(url::Origin::is_tuple) {
        Some(origin) => format!("`{key}` (to {})", origin.ascii_serialization()),
        None => format!("`{key}`"),
    }
}

#[cfg(test)]
mod tests {
    use floe_core::Properties;

    use super::*;

    const USER: [(&str, &str); 4] = [
        ("uri", "https://lake.example/api"),
        ("credential", "id:hunter2"),
        ("header.X-Team", "north"),
        ("rest.client.socket-timeout-ms", "5"),
    ];

    fn user(more: &[(&str, &str)]) -> PluginConfig {
        let pairs = USER.iter().chain(more).copied();
        PluginConfig::new("c", &pairs.collect::<Properties>()).unwrap()
    }

    fn server(pairs: &[(&str, &str)]) -> BTreeMap<String, SecretString> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), SecretString::new(*v))).collect()
    }

    fn checked(more: &[(&str, &str)], defaults: &[(&str, &str)], overrides: &[(&str, &str)]) -> Result<()> {
        let user = user(more);
        check_server(&user, &user.parse().unwrap(), &server(defaults), &server(overrides))
    }

    #[test]
    fn what_decides_who_gets_credentials_is_not_the_servers() {
        for (key, value) in [
            ("uri", "https://evil.example/api"),
            ("uri", "http://lake.example/api"),
            ("uri", "https://lake.example:8443/api"),
            ("uri", "https://lake.example.evil.example/api"),
            ("uri", "/api"),
            ("oauth2-server-uri", "https://evil.example/token"),
            ("oauth2-server-uri", "/v1/other"),
            ("token", "t"),
            ("credential", "a:b"),
            ("urn:ietf:params:oauth:token-type:jwt", "j"),
            ("header.Authorization", "Basic x"),
            ("header.authorization", ""),
            ("header.Proxy-Authorization", "x"),
            ("header.X-Api-Key", "x"),
            ("header.Cookie", "a=b"),
            ("header.Host", "other"),
            ("header.Transfer-Encoding", "chunked"),
            ("header.x-team", "south"),
            ("rest.sigv4-enabled", "true"),
            ("rest.signing-region", "r"),
            ("rest.signing-name", "s3"),
            ("rest.access-key-id", "A"),
            ("rest.secret-access-key", "B"),
            ("rest.session-token", "C"),
            ("ssl.cabundle", "/tmp/evil.pem"),
            ("ssl.client.cert", "/tmp/evil.pem"),
            ("rest.client.proxy-host", "evil"),
            (SERVER_MAY_SET, "uri"),
            (ALLOW_HTTP, "true"),
        ] {
            let error = checked(&[], &[], &[(key, value)]).unwrap_err();
            assert_eq!(error.kind(), floe_core::ErrorKind::Validation, "{key}");
            let text = error.to_string();
            assert!(
                text.contains(SERVER_MAY_SET) && text.to_lowercase().contains(&key.to_lowercase()),
                "{text}"
            );
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
            if of_user(&user(&[]), key).is_none() {
                checked(&[], &[(key, value)], &[]).expect_err(key);
            } else {
                checked(&[], &[(key, value)], &[]).expect("the user's own value wins over a default");
            }
        }
    }

    #[test]
    fn what_says_how_to_speak_to_the_server_stays_the_servers() {
        for (key, value) in [
            ("uri", "https://lake.example/other/path"),
            ("uri", "https://LAKE.example:443"),
            ("prefix", "p"),
            ("warehouse", "w"),
            ("rest-page-size", "7"),
            ("scope", "lake"),
            ("polaris.realm", "r"),
            ("token-expires-in-ms", "7"),
            ("vended-credentials-enabled", "false"),
            ("namespace-separator", "%2E"),
            ("s3.region", "r"),
            ("header.X-Trace", "1"),
            ("header.X-Iceberg-Access-Delegation", "remote-signing"),
            ("header.X-TEAM", "north"),
            ("credential", "id:hunter2"),
            ("anything", "else"),
        ] {
            checked(&[], &[(key, value)], &[(key, value)]).unwrap_or_else(|e| panic!("{key}: {e}"));
        }
    }

    #[test]
    fn what_a_token_is_asked_for_with_is_the_users_where_another_party_gives_tokens() {
        let elsewhere = [("oauth2-server-uri", "https://idp.example/token")];
        for key in OF_THE_TOKEN {
            checked(&elsewhere, &[], &[(key, "payroll")]).expect_err(key);
            checked(&elsewhere, &[(key, "payroll")], &[]).expect_err(key);
            checked(&[("oauth2-server-uri", "/oauth")], &[], &[(key, "payroll")]).unwrap();
        }
    }

    #[test]
    fn the_user_may_allow_each_by_its_name_but_not_the_settings_that_allow() {
        let moved = ("uri", "https://evil.example");
        let list = |names: &'static str| [(SERVER_MAY_SET, names)];
        checked(&list("token, URI"), &[], &[moved, ("token", "t")]).unwrap();
        checked(&list("header.authorization"), &[], &[("header.Authorization", "x")]).unwrap();
        checked(&list("token"), &[], &[moved]).unwrap_err();
        for key in [SERVER_MAY_SET, ALLOW_HTTP] {
            checked(&list("rest.server-may-set, rest.allow-http"), &[], &[(key, "true")]).expect_err(key);
            checked(&[], &[(key, "true")], &[]).expect_err(key);
        }
    }

    #[test]
    fn a_message_shows_no_more_of_the_server_than_names_and_origins() {
        let overrides = [
            ("uri", "https://u:hunter3@evil.example/\u{1b}[31m?hunter3"),
            ("ssl.\u{1b}[31m\u{202e}", "hunter3"),
        ];
        let text = checked(&[], &[], &overrides).unwrap_err().to_string();
        assert!(text.contains("(to https://evil.example)"), "{text}");
        assert!(!text.contains("hunter3") && !text.contains(['\u{1b}', '\u{202e}']), "{text}");
    }

    #[test]
    fn credentials_go_in_clear_to_this_machine_only() {
        let of = |uri: &str, more: &[(&str, &str)]| {
            let pairs = [("uri", uri)].into_iter().chain(more.iter().copied());
            let user = PluginConfig::new("c", &pairs.collect::<Properties>()).unwrap();
            check_encrypted(&user.parse().unwrap(), &user)
        };
        let credentials: [&[(&str, &str)]; 6] = [
            &[("token", "hunter2")],
            &[("credential", "id:hunter2")],
            &[("urn:ietf:params:oauth:token-type:jwt", "hunter2")],
            &[("header.Authorization", "Basic hunter2")],
            &[("header.X-Api-Key", "hunter2")],
            &[("rest.sigv4-enabled", "true")],
        ];
        for pairs in credentials {
            for uri in ["http://lake.example", "http://10.0.0.7:8181/api", "http://polaris:8181"] {
                let error = of(uri, pairs).unwrap_err();
                assert!(error.to_string().contains(ALLOW_HTTP), "{error}");
                assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
                let allowed: Vec<_> = pairs.iter().copied().chain([(ALLOW_HTTP, "true")]).collect();
                of(uri, &allowed).unwrap();
                of(uri, &[("header.X-Team", "north")]).unwrap();
            }
            for uri in ["https://lake.example", "http://localhost:8181", "http://127.0.0.1:1", "http://[::1]"]
            {
                of(uri, pairs).unwrap();
            }
        }
        let tokens = [("credential", "id:hunter2"), ("oauth2-server-uri", "http://idp.example/token")];
        let error = of("https://lake.example", &tokens).unwrap_err();
        assert!(error.to_string().contains("oauth2-server-uri"), "{error}");
    }

    #[test]
    fn what_is_the_catalogs_is_not_handed_to_a_storage() {
        for key in
            ["token", "credential", "uri", "header.Authorization", "rest.session-token", "ssl.cabundle"]
        {
            assert!(!is_for_storage(key), "{key}");
        }
        for key in
            ["s3.session-token", "gcs.oauth2.token", "adls.sas-token.a", "client.region", "expiration-time"]
        {
            assert!(is_for_storage(key), "{key}");
        }
    }
}
