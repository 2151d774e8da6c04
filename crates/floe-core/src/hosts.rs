//! Which hosts are this machine.

use std::net::IpAddr;

/// Whether what is sent to `host` stays on this machine: `localhost`, names below it (RFC 6761, section 6.3), and the
/// loopback addresses of IPv4 and IPv6, with or without brackets. Private addresses do not: a network that is called
/// private has other machines in it.
///
/// ```
/// use floe_core::hosts::is_loopback;
///
/// assert!(is_loopback("localhost") && is_loopback("127.0.0.1") && is_loopback("[::1]"));
/// assert!(!is_loopback("10.0.0.1") && !is_loopback("localhost.example.com"));
/// ```
pub fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return match address {
            IpAddr::V4(address) => address.is_loopback(),
            IpAddr::V6(address) => {
                address.is_loopback() || address.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback())
            }
        };
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_on_this_machine_is_loopback() {
        for host in [
            "localhost",
            "LocalHost.",
            "polaris.localhost",
            "127.0.0.1",
            "127.255.0.3",
            "::1",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "10.0.0.1",
            "192.168.1.2",
            "172.17.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "::",
            "[fe80::1]",
            "[::ffff:10.0.0.1]",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "notlocalhost",
            "polaris",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
