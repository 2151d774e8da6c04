//! Which container of which account a location names.

use floe_core::{Error, Result};

/// Azure's own domain.
const DOMAIN: &str = "core.windows.net";
/// OneLake's, whose accounts and containers have other names.
const FABRIC: &str = "fabric.microsoft.com";
/// Where accounts have a zone before their domain: `account.z12.dfs.storage.azure.net`.
const ZONED: &str = "storage.azure.net";
/// The domains of Microsoft's public clouds, in which credentials are sent to an account.
const DOMAINS: &[&str] =
    &[DOMAIN, "core.chinacloudapi.cn", "core.usgovcloudapi.net", "core.cloudapi.de", FABRIC, ZONED];

/// A container, its account, and the domain of the cloud that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    pub(crate) container: &'a str,
    pub(crate) account: &'a str,
    /// With its dot, or empty.
    pub(crate) zone: &'a str,
    pub(crate) domain: &'a str,
}

impl<'a> Place<'a> {
    /// Reads the authority of a location: `container@account.dfs.core.windows.net`, or `container` alone, of the
    /// configured account. `Validation` for names that no container and no account has. Whether the domain is one of
    /// Azure's, [`Place::check_domain`] says.
    pub(crate) fn parse(authority: &'a str, account: Option<&'a str>) -> Result<Self> {
        let invalid = |why: &str| {
            Error::validation(format!("'{}' {why}", authority.escape_debug()))
                .with_hint("write abfss://container@account.dfs.core.windows.net/path")
        };
        let (container, host) = authority.split_once('@').unwrap_or((authority, ""));
        let (account, rest) = match (host, account) {
            ("", Some(account)) => (account, ""),
            ("", None) => return Err(invalid("names no account, and adls.account-name is not set")),
            (host, _) => host.split_once('.').unwrap_or((host, "")),
        };
        let (zone, rest) = match rest.split_once('.') {
            Some((zone, _)) if is_zone(zone) && rest.ends_with(ZONED) => rest.split_at(zone.len() + 1),
            _ => ("", rest),
        };
        let domain = rest.strip_prefix("dfs.").or_else(|| rest.strip_prefix("blob.")).unwrap_or(rest);
        let domain = if domain.is_empty() { DOMAIN } else { domain };
        let is_fabric = domain == FABRIC;
        if !(is_container(container) || (is_fabric && is_workspace(container))) {
            return Err(invalid(
                "names no container: it has 3 to 63 lower-case letters and digits, and single hyphens between them",
            ));
        }
        if !(is_account(account) || (is_fabric && is_onelake(account))) {
            return Err(invalid("names no account: it has 3 to 24 lower-case letters and digits"));
        }
        Ok(Self { container, account, zone, domain })
    }

    /// Fails with `Validation` for a domain that is none of Azure's and none of the `trusted` ones: whoever owns it would
    /// get the credentials.
    pub(crate) fn check_domain(&self, trusted: &[&str]) -> Result<()> {
        if DOMAINS.contains(&self.domain) || trusted.contains(&self.domain) {
            return Ok(());
        }
        let domain = self.domain.escape_debug();
        let why = format!("'{domain}' is no domain of Azure's: no credentials are sent to accounts in it");
        Err(Error::validation(why).with_hint(
            "if it is a cloud of yours, name it in adls.trusted-domains, or set adls.blob-storage-authority or \
             adls.account-host",
        ))
    }

    /// The one spelling of the authority.
    pub(crate) fn canonical(&self) -> String {
        format!("{}@{}.{}dfs.{}", self.container, self.account, self.zone, self.domain)
    }
}

/// What may follow the account in the host of a trusted cloud.
pub(crate) fn is_domain(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.split('.').all(part)
}

fn is_container(name: &str) -> bool {
    if matches!(name, "$root" | "$web" | "$logs") {
        return true;
    }
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let words = name.split('-').all(|word| !word.is_empty() && word.bytes().all(plain));
    (3..=63).contains(&name.len()) && words
}

/// An account, or its copy in another region, which is read.
fn is_account(name: &str) -> bool {
    let name = name.strip_suffix("-secondary").unwrap_or(name);
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (3..=24).contains(&name.len()) && name.bytes().all(plain)
}

/// A workspace of OneLake: mostly a number of 128 bits.
fn is_workspace(name: &str) -> bool {
    (1..=256).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// `onelake`, `westus-onelake`.
fn is_onelake(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    name.len() <= 63 && name.ends_with("onelake") && name.bytes().all(plain)
}

fn is_zone(text: &str) -> bool {
    matches!(text.as_bytes(), [b'z', a, b] if a.is_ascii_digit() && b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_container_is_one() {
        let expected = "box@acc.dfs.core.windows.net";
        for authority in ["box@acc.dfs.core.windows.net", "box@acc.blob.core.windows.net", "box@acc", "box"] {
            assert_eq!(Place::parse(authority, Some("acc")).unwrap().canonical(), expected, "{authority}");
        }
        let other = Place::parse("box@acc.blob.core.chinacloudapi.cn", None).unwrap();
        assert_eq!((other.account, other.domain), ("acc", "core.chinacloudapi.cn"));
        let zoned = Place::parse("box@acc.z12.blob.storage.azure.net", None).unwrap();
        assert_eq!((zoned.zone, zoned.domain), ("z12.", "storage.azure.net"));
        assert_eq!(zoned.canonical(), "box@acc.z12.dfs.storage.azure.net");
    }

    #[test]
    fn what_names_no_account_or_container_is_refused() {
        for authority in
            ["box", "", "@acc.dfs.core.windows.net", "box@.dfs.core.windows.net", "box@", "c@acc"]
        {
            assert!(Place::parse(authority, None).is_err(), "{authority}");
        }
        for character in
            (0..=0x2ff_u32).filter_map(char::from_u32).chain(['\u{3002}', '\u{ff0e}', '\u{202e}'])
        {
            let plain = character.is_ascii_lowercase() || character.is_ascii_digit();
            let container = format!("bo{character}x@acc.dfs.core.windows.net");
            assert_eq!(Place::parse(&container, None).is_ok(), plain || character == '-', "{container:?}");
            let account = format!("box@ac{character}c.dfs.core.windows.net");
            let taken = Place::parse(&account, None).and_then(|place| place.check_domain(&[]));
            assert_eq!(taken.is_ok(), plain, "{account:?}");
            // At a border of the host, too.
            let host = format!("box@acc{character}.dfs.core.windows.net");
            let taken = Place::parse(&host, None).and_then(|place| place.check_domain(&[]));
            assert_eq!(taken.is_ok(), plain, "{host:?}");
            let host = format!("box@acc.dfs.core.windows.net{character}");
            let taken = Place::parse(&host, None).and_then(|place| place.check_domain(&[]));
            assert!(taken.is_err(), "{host:?}");
        }
    }

    #[test]
    fn no_domain_but_azures_and_the_users_is_trusted() {
        let check = |host: &str, trusted: &[&str]| {
            Place::parse(&format!("box@{host}"), None).and_then(|place| place.check_domain(trusted))
        };
        for host in [
            "acc",
            "acc.dfs.core.windows.net",
            "acc.blob.core.usgovcloudapi.net",
            "acc.core.windows.net",
            "acc-secondary.blob.core.windows.net",
            "onelake.dfs.fabric.microsoft.com",
            "acc.z01.dfs.storage.azure.net",
        ] {
            check(host, &[]).expect(host);
        }
        for host in [
            "acc.dfs.evil.example",
            "acc.dfs.core.windows.net.evil.example",
            "acc.evilcore.windows.net",
            "acc.dfs.xcore.windows.net",
            "acc.dfs.core.windows.net:8080",
            "acc.dfs.core.windows.net#",
            "acc.z1.dfs.storage.azure.net",
            "acc.z01.z02.dfs.storage.azure.net",
            "acc.z01.dfs.core.windows.net",
            "acc.DFS.core.windows.net",
            "acc.blob.dfs.core.windows.net",
        ] {
            let error = check(host, &[]).expect_err(host);
            assert_eq!(error.kind(), floe_core::ErrorKind::Validation, "{host}");
        }
        let error = check("acc.dfs.evil.example", &[]).unwrap_err();
        assert!(error.hint().unwrap().contains("adls.trusted-domains"), "{error}");
        check("acc.dfs.stack.example", &["stack.example"]).expect("the user's own cloud");
    }
}
