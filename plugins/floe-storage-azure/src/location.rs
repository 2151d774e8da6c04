//! Which container of which account a location names.

use floe_core::{Error, Result};

/// Azure's own domain.
const DOMAIN: &str = "core.windows.net";

/// A container, its account, and the domain of the cloud that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    pub(crate) container: &'a str,
    pub(crate) account: &'a str,
    pub(crate) domain: &'a str,
}

impl<'a> Place<'a> {
    /// Reads the authority of a location: `container@account.dfs.core.windows.net`, or `container` alone, of the
    /// configured account.
    pub(crate) fn parse(authority: &'a str, account: Option<&'a str>) -> Result<Self> {
        let invalid = |why: &str| {
            Error::validation(format!("'{authority}' {why}"))
                .with_hint("write abfss://container@account.dfs.core.windows.net/path")
        };
        let (container, host) = authority.split_once('@').unwrap_or((authority, ""));
        if container.is_empty() {
            return Err(invalid("names no container"));
        }
        if host.is_empty() {
            let account =
                account.ok_or_else(|| invalid("names no account, and adls.account-name is not set"))?;
            return Ok(Self { container, account, domain: DOMAIN });
        }
        let (account, rest) = host.split_once('.').unwrap_or((host, ""));
        if account.is_empty() {
            return Err(invalid("names no account"));
        }
        let domain = rest.strip_prefix("dfs.").or_else(|| rest.strip_prefix("blob.")).unwrap_or(rest);
        Ok(Self { container, account, domain: if domain.is_empty() { DOMAIN } else { domain } })
    }

    /// The one spelling of the authority.
    pub(crate) fn canonical(&self) -> String {
        format!("{}@{}.dfs.{}", self.container, self.account, self.domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_container_is_one() {
        let expected = "c@a.dfs.core.windows.net";
        for authority in ["c@a.dfs.core.windows.net", "c@a.blob.core.windows.net", "c@a", "c"] {
            assert_eq!(Place::parse(authority, Some("a")).unwrap().canonical(), expected, "{authority}");
        }
        let other = Place::parse("c@a.blob.core.chinacloudapi.cn", None).unwrap();
        assert_eq!((other.account, other.domain), ("a", "core.chinacloudapi.cn"));
    }

    #[test]
    fn what_names_no_account_or_container_is_refused() {
        for authority in ["c", "", "@a.dfs.core.windows.net", "c@.dfs.core.windows.net"] {
            assert!(Place::parse(authority, None).is_err(), "{authority}");
        }
    }
}
