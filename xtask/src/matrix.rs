//! `cargo xtask integration`: the manager's contract on every catalog with every storage, as a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::services::{self, Servers, Service};
use crate::tasks::build_environment;
use crate::{peers, workspace};

/// A catalog of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Catalog {
    /// In memory.
    Memory,
    /// A SQLite file.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// Iceberg's REST reference catalog.
    Rest,
    /// A running Polaris.
    Polaris,
    /// Glue, by moto.
    Glue,
}

/// A storage of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Storage {
    /// Local files.
    Local,
    /// S3, by versitygw (with Glue: by moto).
    S3,
    /// S3, by `MinIO`.
    Minio,
    /// Google Cloud Storage, by fake-gcs-server.
    Gcs,
    /// Azure blobs, by Azurite.
    Azure,
}

/// Which pairs are run.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// All when empty.
    pub(crate) catalogs: Vec<Catalog>,
    /// All when empty.
    pub(crate) storages: Vec<Storage>,
}

/// What the tests of a pair said.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Pair {
    passed: usize,
    ignored: usize,
    failed: Vec<String>,
}

impl Catalog {
    fn services(self) -> &'static [Service] {
        match self {
            Self::Memory | Self::Sqlite | Self::Polaris => &[],
            Self::Postgres => &[Service::Postgres],
            Self::Rest => &[Service::Rest, Service::RestS3, Service::RestMinio],
            Self::Glue => &[Service::Glue],
        }
    }
}

impl Storage {
    fn services(self) -> &'static [Service] {
        match self {
            Self::Local => &[],
            Self::S3 => &[Service::S3],
            Self::Minio => &[Service::Minio],
            Self::Gcs => &[Service::Gcs],
            Self::Azure => &[Service::Azure],
        }
    }
}

/// Why a pair has no tests.
fn reason(catalog: Catalog, storage: Storage) -> &'static str {
    match (catalog, storage) {
        (Catalog::Memory, _) => "the memory catalog is the measure on local files only",
        (Catalog::Rest, Storage::Gcs | Storage::Azure) => {
            "the REST fixture writes metadata itself, and is started for local files and S3"
        }
        (Catalog::Glue, Storage::Gcs | Storage::Azure) => "Glue keeps tables on S3",
        (Catalog::Polaris, _) => {
            "Polaris runs where Docker does, or where FLOE_POLARIS_URL says; its tables are on local files here"
        }
        (Catalog::Postgres, _) => "the same code as sqlite, which is run on this storage",
        _ => "no such pair is tested",
    }
}

/// Runs the chosen pairs and prints the table. Fails when a test failed or when nothing ran.
pub(crate) fn run(choice: &Choice) -> Result<()> {
    let catalogs = chosen(&choice.catalogs);
    let storages = chosen(&choice.storages);
    let mut wanted: Vec<Service> = catalogs.iter().flat_map(|c| c.services()).copied().collect();
    wanted.extend(storages.iter().flat_map(|s| s.services()));
    if catalogs.contains(&Catalog::Polaris) && services::containers_run() {
        wanted.push(Service::Polaris);
    }
    wanted.sort_unstable();
    wanted.dedup();
    let python = peers::interpreter()?;
    let servers = if wanted.is_empty() { Servers::default() } else { Servers::start(&wanted)? };
    let mut command =
        workspace::cargo(&["test", "--workspace", "--all-features", "--locked", "--no-fail-fast"]);
    build_environment(&mut command, false);
    command.args(["--test", "matrix", "--"]);
    for catalog in &catalogs {
        for storage in &storages {
            command.arg(format!("{}::", pair(*catalog, *storage)));
        }
    }
    let polaris = Service::Polaris.variables();
    let is_given =
        |name: &str| servers.variables().iter().any(|(n, _)| n == name) || std::env::var_os(name).is_some();
    if polaris.iter().all(|name| is_given(name)) {
        command.arg("--include-ignored");
    }
    command.env("FLOE_TEST_PYTHON", python).env_remove("FLOE_SKIP_INTEROP").env_remove("FLOE_SKIP_SERVICES");
    command.envs(servers.variables().iter().cloned());
    let (results, status) = collect(command)?;
    drop(servers);
    print!("{}", table(&catalogs, &storages, &results));
    if results.values().all(|r| r.passed + r.failed.len() == 0) {
        bail!("no test ran");
    }
    if !status {
        bail!("the matrix has failures");
    }
    Ok(())
}

fn chosen<T: ValueEnum + Copy>(given: &[T]) -> Vec<T> {
    if given.is_empty() { T::value_variants().to_vec() } else { given.to_vec() }
}

fn name<T: ValueEnum>(value: T) -> String {
    value.to_possible_value().map_or_else(String::new, |v| v.get_name().to_owned())
}

fn pair(catalog: Catalog, storage: Storage) -> String {
    format!("{}_{}", name(catalog), name(storage))
}

/// Runs the tests, passes on what they print, and sorts it by pair.
fn collect(mut command: Command) -> Result<(BTreeMap<String, Pair>, bool)> {
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {command:?}"))?;
    let stdout = child.stdout.take().context("the test run has no output")?;
    let mut results = BTreeMap::new();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        add(&mut results, &line);
    }
    Ok((results, child.wait()?.success()))
}

/// Adds a line `test PAIR::PROPERTY ... ok`.
fn add(results: &mut BTreeMap<String, Pair>, line: &str) {
    let parsed = line.trim().strip_prefix("test ").and_then(|rest| rest.split_once(" ... "));
    let Some(((pair, property), outcome)) = parsed.and_then(|(name, o)| Some((name.split_once("::")?, o)))
    else {
        return;
    };
    let result = results.entry(pair.to_owned()).or_default();
    match outcome.split([',', ' ']).next() {
        Some("ok") => result.passed += 1,
        Some("ignored") => result.ignored += 1,
        _ => result.failed.push(property.to_owned()),
    }
}

/// Catalogs down, storages across: what passed where, then why some pairs are empty, then what failed.
fn table(catalogs: &[Catalog], storages: &[Storage], results: &BTreeMap<String, Pair>) -> String {
    let mut text = format!("\n{:<10}", "");
    for storage in storages {
        let _ = write!(text, "{:<12}", name(*storage));
    }
    let (mut reasons, mut failures) = (BTreeMap::<&str, Vec<String>>::new(), Vec::new());
    for catalog in catalogs {
        let _ = write!(text, "\n{:<10}", name(*catalog));
        for storage in storages {
            let pair = pair(*catalog, *storage);
            let cell = match results.get(&pair) {
                Some(r) if r.failed.is_empty() && r.passed > 0 => format!("✓ {}", r.passed),
                Some(r) if !r.failed.is_empty() => {
                    failures.extend(r.failed.iter().map(|property| format!("{pair}: {property}")));
                    format!("✗ {}/{}", r.failed.len(), r.failed.len() + r.passed)
                }
                _ => {
                    reasons.entry(reason(*catalog, *storage)).or_default().push(pair);
                    "n/a".to_owned()
                }
            };
            let _ = write!(text, "{cell:<12}");
        }
    }
    text.push('\n');
    for (reason, pairs) in reasons {
        let _ = write!(text, "\nn/a  {}: {reason}", pairs.join(", "));
    }
    for failure in failures {
        let _ = write!(text, "\n✗    {failure}");
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_test_run_are_sorted_by_pair() {
        let mut results = BTreeMap::new();
        for line in [
            "running 4 tests",
            "test sqlite_local::a ... ok",
            "test sqlite_local::b ... FAILED",
            "test rest_s3::a ... ok",
            "test polaris_s3::a ... ignored, needs a Polaris",
            "test result: FAILED. 2 passed; 1 failed",
        ] {
            add(&mut results, line);
        }
        let failed = Pair { passed: 1, ignored: 0, failed: vec!["b".into()] };
        assert_eq!(results["sqlite_local"], failed);
        assert_eq!(results["polaris_s3"].ignored, 1);
        let text = table(&[Catalog::Sqlite, Catalog::Rest], &[Storage::Local, Storage::S3], &results);
        for part in ["✗ 1/2", "✓ 1", "✗    sqlite_local: b", "n/a  sqlite_s3, rest_local"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
