//! Addresses of servers: what may be one, and where a request would go in clear.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use url::Url;

use crate::hosts::is_loopback;
use crate::{Error, Result};

/// The host that would be asked in clear, over a network: of a plain http address that is not of this machine.
///
/// ```
/// use floe_core::address::exposed_host;
///
/// assert_eq!(exposed_host("http://store.example:9000/x").as_deref(), Some("store.example"));
/// for good in ["https://store.example", "http://localhost:9000", "http://127.0.0.1", "http://[::1]:9000"] {
///     assert_eq!(exposed_host(good), None, "{good}");
/// }
/// ```
pub fn exposed_host(address: &str) -> Option<String> {
    let url = Url::parse(address.trim()).ok()?;
    (url.scheme() == "http" && !is_this_machine(&url)).then(|| url.host_str().unwrap_or_default().to_owned())
}

/// Fails with `Validation` for what is no http or https address of a server, or holds a user, a query or a fragment.
/// `setting` says where it comes from.
pub fn check(setting: &str, address: &str) -> Result<()> {
    let fault = |why: &str| {
        Error::validation(format!("{setting} {why}"))
            .with_hint("write it as http://host:port or https://host")
    };
    let begins = |scheme: &str| address.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme));
    if !begins("http://") && !begins("https://") {
        return Err(fault("must begin with http:// or https://"));
    }
    let url = Url::parse(address).map_err(|_| fault("is no address"))?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err(fault("names no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fault("must hold no user and no password"));
    }
    if url.query().is_some() || url.fragment().is_some() || address.contains('\\') {
        return Err(fault("must hold no query, no fragment and no backslash"));
    }
    Ok(())
}

/// Warns, once in a process for each host, where the user configured that credentials are sent in clear.
pub fn warn_if_exposed(setting: &str, allowed_by: &str, address: &str) {
    static TOLD: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);
    if let Some(host) = exposed_host(address)
        && TOLD.lock().unwrap_or_else(PoisonError::into_inner).insert(host.clone())
    {
        tracing::warn!(
            host,
            setting,
            "requests to the store are not encrypted; use https, or set {allowed_by} = true if the network is trusted"
        );
    }
}

/// Fails with `Validation` where a server named an address that would be asked in clear.
pub fn refuse_exposed(setting: &str, allowed_by: &str, address: &str) -> Result<()> {
    match exposed_host(address) {
        None => Ok(()),
        Some(host) => Err(Error::validation(format!(
            "the catalog's server names the host {host} as {setting} without encryption: no credentials are sent there"
        ))
        .with_hint(format!(
            "let the server name an https address; or set {allowed_by} = true for the catalog if the network is trusted"
        ))),
    }
}

fn is_this_machine(url: &Url) -> bool {
    url.host_str().is_some_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_the_client_would_ask() {
        for exposed in [
            "http://store:9000",
            "HTTP://STORE",
            "http://10.0.0.1",
            "http://127.0.0.1@evil.example",
            "http://localhost.evil.example",
            "http://[2001:db8::1]",
            "http://0x0a000001",
        ] {
            assert!(exposed_host(exposed).is_some(), "{exposed}");
        }
        for own in
            ["http://2130706433:80", "http://127.9.9.9", "http://b.localhost", "http://[::ffff:127.0.0.1]"]
        {
            assert_eq!(exposed_host(own), None, "{own}");
        }
    }

    #[test]
    fn what_is_more_than_an_address_is_refused_without_its_password() {
        check("s3.endpoint", "http://h:9000/base").expect("an address");
        for wrong in [
            "localhost:9000",
            "http://",
            "http://u:hunter2@h",
            "http://h?x",
            "http://h/#f",
            "ftp://h",
            "http://h\\@evil",
            "http://h:port",
        ] {
            let error = check("s3.endpoint", wrong).expect_err(wrong);
            assert!(
                error.message().contains("s3.endpoint") && !error.message().contains("hunter2"),
                "{error}"
            );
        }
    }
}
