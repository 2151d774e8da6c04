//! What cargo features choose: each plugin builds alone, no plugin brings the SDK of another, and crates outside
//! of the workspace build on the result.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::workspace::{self, cargo};

/// Crates that weigh, and the features of `floe` that may bring them. A pattern may end in `*`.
const SDKS: &[(&str, &[&str])] = &[
    ("aws-sdk-glue", &["catalog-glue"]),
    // STS and SSO, which credentials may come from.
    ("aws-sdk-*", &["catalog-glue", "storage-s3-profiles"]),
    ("aws-config", &["catalog-glue", "storage-s3-profiles"]),
    ("sqlx-sqlite", &["catalog-local", "catalog-postgres"]),
    ("sqlx-postgres", &["catalog-postgres"]),
    ("rustls", NETWORKED),
    ("hyper-rustls", NETWORKED),
    ("native-tls", &[]),
    ("openssl", &[]),
    ("datafusion*", &[]),
    ("opendal*", &[]),
];

/// Plugins that speak to a server.
const NETWORKED: &[&str] = &[
    "catalog-glue",
    "catalog-polaris",
    "catalog-polaris-sigv4",
    "catalog-postgres",
    "storage-s3",
    "storage-s3-profiles",
    "storage-gcs",
    "storage-azure",
];

/// Features that are no plugins.
const SETS: &[&str] = &["default", "full"];

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    features: std::collections::BTreeMap<String, Vec<String>>,
}

/// Fails when a plugin brings an SDK that is not its own, or when `full` is not all of them.
pub(crate) fn trees() -> Result<()> {
    let features = plugin_features()?;
    let mut faults = Vec::new();
    let mut choices: Vec<Vec<&str>> = features.iter().map(|f| vec![f.as_str()]).collect();
    choices.extend([vec![], vec!["catalog-local", "storage-local"]]);
    for chosen in &choices {
        faults
            .extend(surplus(chosen, &crates(chosen)?).into_iter().map(|name| format!("{chosen:?}: {name}")));
    }
    if !faults.is_empty() {
        bail!("crates that these features of floe should not bring:\n  {}", faults.join("\n  "));
    }
    eprintln!("{} choices of features, no SDK too many", choices.len());
    Ok(())
}

/// Builds every plugin alone, by cargo-hack where it is installed.
pub(crate) fn each(hack: bool) -> Result<()> {
    let mut commands = Vec::new();
    if hack {
        commands.push(cargo(&[
            "hack",
            "check",
            "--package",
            "floe",
            "--each-feature",
            "--locked",
            "--quiet",
        ]));
    } else {
        commands.push(cargo(&["check", "--package", "floe", "--no-default-features", "--locked", "--quiet"]));
        for feature in plugin_features()? {
            let mut command =
                cargo(&["check", "--package", "floe", "--no-default-features", "--locked", "--quiet"]);
            command.args(["--features", &feature]);
            commands.push(command);
        }
    }
    commands.into_iter().try_for_each(run)
}

/// Tests the crates outside of the workspace, with the versions that the workspace's lock file has. What is built for
/// them stays in a folder of the workspace's target folder.
pub(crate) fn outside() -> Result<Command> {
    let folder = workspace::root().join("tests/downstream");
    fs::copy(workspace::root().join("Cargo.lock"), folder.join("Cargo.lock"))
        .with_context(|| format!("cannot copy the lock file to {}", folder.display()))?;
    let mut command = cargo(&["test", "--workspace", "--quiet", "--manifest-path"]);
    command
        .arg(folder.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", metadata()?.target_directory.join("outside"));
    // Incremental builds cost time where everything is built once.
    command.env("CARGO_INCREMENTAL", "0");
    Ok(command)
}

fn run(mut command: Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

/// The features of `floe` that are a plugin each.
fn plugin_features() -> Result<Vec<String>> {
    let floe =
        metadata()?.packages.into_iter().find(|p| p.name == "floe").context("there is no crate floe")?;
    let plugins: Vec<String> =
        floe.features.keys().filter(|name| !SETS.contains(&name.as_str())).cloned().collect();
    let mut full: BTreeSet<&str> = BTreeSet::from(["full"]);
    let mut open = vec!["full"];
    while let Some(feature) = open.pop() {
        let brought = floe.features.get(feature).into_iter().flatten().map(String::as_str);
        open.extend(brought.filter(|name| full.insert(name)));
    }
    if let Some(missing) = plugins.iter().find(|name| !full.contains(name.as_str())) {
        bail!("the feature full lacks {missing}");
    }
    Ok(plugins)
}

fn metadata() -> Result<Metadata> {
    let output = cargo(&["metadata", "--no-deps", "--format-version", "1"]).output()?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr)))
}

/// The crates that `floe` brings with these features.
fn crates(features: &[&str]) -> Result<BTreeSet<String>> {
    let output =
        cargo(&["tree", "--package", "floe", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
            .args(["--no-default-features", "--locked", "--features", &features.join(",")])
            .output()
            .context("cannot start cargo tree")?;
    if !output.status.success() {
        bail!("cargo tree failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
}

/// The weighty crates that none of the features may bring.
fn surplus(features: &[&str], crates: &BTreeSet<String>) -> Vec<String> {
    let allowed = |name: &str| {
        let rule = SDKS.iter().find(|(pattern, _)| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => *pattern == name,
        });
        rule.is_none_or(|(_, by)| features.iter().any(|feature| by.contains(feature)))
    };
    crates.iter().filter(|name| !allowed(name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sdk_is_surplus_unless_its_plugin_is_chosen() {
        let crates: BTreeSet<String> = ["aws-sdk-glue", "sqlx-sqlite", "serde"].map(String::from).into();
        assert_eq!(surplus(&["catalog-local"], &crates), ["aws-sdk-glue"]);
        assert_eq!(surplus(&["catalog-local", "catalog-glue"], &crates), Vec::<String>::new());
        assert_eq!(surplus(&[], &crates), ["aws-sdk-glue", "sqlx-sqlite"]);
    }
}
