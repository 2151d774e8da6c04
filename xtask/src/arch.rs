//! Who may depend on whom. The drawing is in ARCHITECTURE.md; this is the check.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::workspace::cargo;

/// A crate, and the crates of this workspace that it may use. A pattern may end in `*`.
const ARROWS: &[(&str, &[&str])] = &[
    ("floe-core", &[]),
    ("floe-plan", &["floe-core"]),
    ("floe-aws", &["floe-core"]),
    ("floe-object-store", &["floe-core"]),
    ("floe-iceberg", &["floe-core", "floe-plan"]),
    ("floe-testkit", &["floe-core"]),
    ("floe-catalog-glue", &["floe-core", "floe-aws"]),
    ("floe-catalog-*", &["floe-core"]),
    ("floe-storage-s3", &["floe-core", "floe-object-store", "floe-aws"]),
    ("floe-storage-*", &["floe-core", "floe-object-store"]),
    ("floe", &["floe-core", "floe-plan", "floe-iceberg", "floe-catalog-*", "floe-storage-*"]),
    ("floe-cli", &["floe"]),
    ("floe-python", &["floe"]),
    ("floe-tests", &["floe", "floe-testkit"]),
    ("floe-benches", &["floe", "floe-testkit"]),
    ("xtask", &[]),
];

/// What the tests of any crate may use besides.
const IN_TESTS: &[&str] = &["floe-testkit", "floe-catalog-local", "floe-storage-local"];

/// All that floe-plan may use: nothing that reads, waits or draws random numbers. (What the `iceberg` crate
/// itself could do is kept out by `crates/floe-plan/clippy.toml`.)
const PURE: &[&str] = &[
    "floe-core",
    "iceberg",
    "arrow-*",
    "chrono",
    "schemars",
    "serde",
    "serde_json",
    "sqlparser",
    "uuid",
    "thiserror",
];

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<String>,
    source: Option<String>,
}

/// Fails with every arrow that is not allowed.
pub(crate) fn check() -> Result<()> {
    let output = cargo(&["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .context("cannot start cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    let faults = faults(&metadata);
    if !faults.is_empty() {
        bail!("not allowed (see ARCHITECTURE.md):\n  {}", faults.join("\n  "));
    }
    eprintln!("{} crates, every arrow allowed", metadata.packages.len());
    Ok(())
}

fn faults(metadata: &Metadata) -> Vec<String> {
    let mut faults = BTreeSet::new();
    for package in &metadata.packages {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| matches(name, &package.name)) else {
            faults.insert(format!("{}: a crate that xtask/src/arch.rs does not know", package.name));
            continue;
        };
        for dependency in &package.dependencies {
            let test_only = dependency.kind.as_deref() == Some("dev");
            if dependency.source.as_deref().is_some_and(|source| source.starts_with("git+")) {
                faults.insert(format!("{} -> {}: a git dependency", package.name, dependency.name));
            }
            if dependency.path.is_some() {
                let ok = any(allowed, &dependency.name) || (test_only && any(IN_TESTS, &dependency.name));
                if !ok {
                    faults.insert(format!("{} -> {}", package.name, dependency.name));
                }
            }
            if package.name == "floe-plan" && !test_only && !any(PURE, &dependency.name) {
                faults.insert(format!("floe-plan -> {}: floe-plan is pure", dependency.name));
            }
        }
    }
    faults.into_iter().collect()
}

fn any(patterns: &[&str], name: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, name))
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrow(from: &str, to: &str, kind: Option<&str>, local: bool) -> Vec<String> {
        let dependency = Dependency {
            name: to.into(),
            kind: kind.map(Into::into),
            path: local.then(|| "somewhere".into()),
            source: None,
        };
        faults(&Metadata { packages: vec![Package { name: from.into(), dependencies: vec![dependency] }] })
    }

    #[test]
    fn a_plugin_may_not_know_the_manager() {
        assert_eq!(
            arrow("floe-catalog-glue", "floe-iceberg", None, true),
            ["floe-catalog-glue -> floe-iceberg"]
        );
        assert!(arrow("floe-catalog-glue", "floe-core", None, true).is_empty());
    }

    #[test]
    fn testkit_is_for_tests_only() {
        assert!(arrow("floe-iceberg", "floe-testkit", Some("dev"), true).is_empty());
        assert_eq!(arrow("floe-iceberg", "floe-testkit", None, true), ["floe-iceberg -> floe-testkit"]);
    }

    #[test]
    fn floe_plan_stays_pure() {
        assert_eq!(arrow("floe-plan", "tokio", None, false), ["floe-plan -> tokio: floe-plan is pure"]);
        assert!(arrow("floe-plan", "proptest", Some("dev"), false).is_empty());
        assert!(arrow("floe-plan", "arrow-array", None, false).is_empty());
    }

    #[test]
    fn an_unknown_crate_is_a_fault() {
        assert_eq!(arrow("floe-new", "serde", None, false).len(), 1);
    }
}
