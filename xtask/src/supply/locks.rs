//! Lock files of cargo against the bans and sources of `deny.toml`, and pinned Python packages.

use anyhow::{Context, Result};
use serde::Deserialize;

/// The parts of `deny.toml` that are checked without cargo-deny.
#[derive(Debug, Deserialize)]
pub(super) struct Policy {
    bans: Bans,
    sources: Sources,
    advisories: Advisories,
}

#[derive(Debug, Deserialize)]
struct Bans {
    #[serde(default)]
    deny: Vec<Ban>,
}

#[derive(Debug, Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    #[serde(default)]
    allow_registry: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Advisories {
    #[serde(default)]
    ignore: Vec<Ignored>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Ignored {
    Explained { id: String, reason: String },
    Bare(toml::Value),
}

/// A crate in a lock file.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Package {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Package>,
}

impl Policy {
    /// Of the text of `deny.toml`.
    pub(super) fn read(text: &str) -> Result<Self> {
        toml::from_str(text).context("deny.toml is not understood")
    }

    /// What the policy itself lacks: an exception needs its reason.
    pub(super) fn faults(&self) -> Vec<String> {
        let unexplained = |ignored: &Ignored| match ignored {
            Ignored::Explained { id, reason } if id.starts_with("RUSTSEC-") && reason.len() >= 20 => None,
            Ignored::Explained { id, .. } => Some(format!("the exception {id} has no reason")),
            Ignored::Bare(other) => Some(format!("the exception {other:?} has no reason")),
        };
        self.advisories.ignore.iter().filter_map(unexplained).collect()
    }

    /// Crates that are banned, or come from elsewhere than the registry, or without a checksum.
    pub(super) fn refused(&self, lock: &[Package]) -> Vec<String> {
        let mut faults = Vec::new();
        for package in lock {
            let Package { name, version, .. } = package;
            if self.bans.deny.iter().any(|ban| ban.name == *name) {
                faults.push(format!("{name} {version} is banned"));
            }
            // What has no source is of the workspace.
            let Some(source) = &package.source else { continue };
            let registry = source.strip_prefix("registry+");
            if !registry.is_some_and(|url| self.sources.allow_registry.iter().any(|allowed| allowed == url)) {
                faults.push(format!("{name} {version} comes from {source}"));
            } else if package.checksum.is_none() {
                faults.push(format!("{name} {version} has no checksum"));
            }
        }
        faults
    }
}

/// The crates of a lock file.
pub(super) fn packages(text: &str) -> Result<Vec<Package>> {
    Ok(toml::from_str::<Lock>(text).context("the lock file is not understood")?.package)
}

/// Lines of a file of requirements that name no exact version, or are no requirements.
pub(super) fn unpinned(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pinned = |line: &&str| {
        let requirement = line.split([' ', ';']).next().unwrap_or_default();
        let exact = |(name, version): (&str, &str)| {
            let name = name.trim_end_matches(']').replace('[', "");
            let plain = |text: &str| {
                !text.is_empty()
                    && text
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | ','))
            };
            plain(&name) && plain(version)
        };
        requirement.split_once("==").is_some_and(exact)
    };
    lines.filter(|line| !pinned(line)).map(|line| format!("'{line}' has no exact version")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"
        [bans]
        deny = [{ crate = "openssl", reason = "rustls" }]
        [sources]
        allow-registry = ["https://github.com/rust-lang/crates.io-index"]
        [advisories]
        ignore = [{ id = "RUSTSEC-2024-0436", reason = "no longer kept, and has no known fault" }]
    "#;
    const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

    fn refused(name: &str, source: Option<&str>, checksum: bool) -> Vec<String> {
        let source = source.map(|source| format!("source = \"{source}\"\n")).unwrap_or_default();
        let checksum = if checksum { "checksum = \"00\"\n" } else { "" };
        let text = format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n{source}{checksum}");
        Policy::read(POLICY).unwrap().refused(&packages(&text).unwrap())
    }

    #[test]
    fn crates_come_from_the_registry_with_a_checksum_and_are_not_banned() {
        assert!(refused("serde", Some(REGISTRY), true).is_empty());
        assert!(refused("floe-core", None, false).is_empty());
        assert_eq!(refused("openssl", Some(REGISTRY), true), ["openssl 1.0.0 is banned"]);
        assert_eq!(refused("serde", Some(REGISTRY), false), ["serde 1.0.0 has no checksum"]);
        for source in
            ["git+https://github.com/a/b#c", "registry+https://example.com/index", "sparse+https://x/"]
        {
            assert_eq!(refused("serde", Some(source), true), [format!("serde 1.0.0 comes from {source}")]);
        }
    }

    #[test]
    fn an_exception_has_a_reason() {
        assert!(Policy::read(POLICY).unwrap().faults().is_empty());
        for bare in [
            "\"RUSTSEC-2024-0436\"",
            "{ id = \"RUSTSEC-2024-0436\" }",
            "{ id = \"RUSTSEC-1\", reason = \"-\" }",
        ] {
            let text = format!("[bans]\n[sources]\n[advisories]\nignore = [{bare}]");
            assert_eq!(Policy::read(&text).unwrap().faults().len(), 1, "{bare}");
        }
    }

    #[test]
    fn python_packages_have_exact_versions() {
        let good = "# made by pip freeze\na==1.0\n\nB-c_d[e,f]==2.0.post1 ; python_version > '3'\n";
        assert!(unpinned(good).is_empty(), "{:?}", unpinned(good));
        for bad in
            ["a", "a>=1", "a==", "==1", "git+https://x/y", "-r other.txt", "--index-url https://x", "a==1.*"]
        {
            assert_eq!(unpinned(bad).len(), 1, "{bad}");
        }
    }
}
