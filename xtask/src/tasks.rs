//! The tasks that are made of cargo commands.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::{self, ScopedJoinHandle};

use anyhow::{Context, Result, anyhow, bail};

use crate::services::{Servers, Service};
use crate::steps::{Steps, interactive};
use crate::workspace::cargo;
use crate::{arch, features, peers, spark, supply};

/// What `test` does.
#[derive(Debug, Default)]
pub(crate) struct TestOptions {
    /// Without other engines and without servers.
    pub(crate) fast: bool,
    /// Without Spark.
    pub(crate) no_spark: bool,
    /// Without incremental builds.
    pub(crate) ci: bool,
}

/// Every check and every test.
pub(crate) fn test(options: &TestOptions) -> Result<()> {
    let mut steps = Steps::default();
    let result = test_steps(options, &mut steps);
    steps.report();
    result
}

fn test_steps(options: &TestOptions, steps: &mut Steps) -> Result<()> {
    if options.fast {
        return checks_and_tests(options, steps, None);
    }
    // What the tests need from elsewhere is brought while clippy and the compiler work.
    thread::scope(|scope| {
        let surroundings = scope.spawn(|| Surroundings::prepare(!options.no_spark));
        checks_and_tests(options, steps, Some(surroundings))
    })
}

/// What tests find around them.
struct Surroundings {
    engines: Engines,
    servers: Servers,
}

impl Surroundings {
    fn prepare(with_spark: bool) -> Result<Self> {
        thread::scope(|scope| {
            let engines = scope.spawn(move || Engines::find(with_spark));
            let servers = Servers::start(&[]);
            let engines =
                engines.join().map_err(|_| anyhow!("making the Python environments panicked"))??;
            Ok(Self { engines, servers: servers? })
        })
    }
}

/// Where the other engines are.
struct Engines {
    python: PathBuf,
    spark: Option<PathBuf>,
}

impl Engines {
    /// Makes what is not there.
    fn find(with_spark: bool) -> Result<Self> {
        let python = peers::interpreter()?;
        let spark = with_spark.then(spark::folder).transpose()?;
        Ok(Self { python, spark })
    }

    /// Tells the tests.
    fn set(&self, tests: &mut Command) {
        tests.env("FLOE_TEST_PYTHON", &self.python).env_remove("FLOE_SKIP_INTEROP");
        match &self.spark {
            Some(folder) => tests.env("FLOE_TEST_SPARK", folder).env_remove("FLOE_SKIP_SPARK"),
            None => tests.env("FLOE_SKIP_SPARK", "1"),
        };
    }
}

fn checks_and_tests(
    options: &TestOptions,
    steps: &mut Steps,
    surroundings: Option<ScopedJoinHandle<'_, Result<Surroundings>>>,
) -> Result<()> {
    steps.run("arrows between crates", arch::check)?;
    steps.run("crates and actions of others", supply::check)?;
    steps.command("formatting", cargo(&["fmt", "--all", "--check"]))?;
    if installed("deny") {
        steps.command(
            "licences, bans, sources",
            cargo(&["deny", "--all-features", "check", "bans", "licenses", "sources"]),
        )?;
    } else {
        steps.skipped("licences, bans, sources", "cargo-deny is not installed; the public workflow runs it");
    }
    let quiet = |arguments: &[&str]| {
        let mut command = cargo(arguments);
        build_environment(&mut command, options.ci);
        command
    };
    steps.run("features bring no SDK too many", features::trees)?;
    steps.command(
        "clippy",
        quiet(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--locked",
            "--",
            "-D",
            "warnings",
        ]),
    )?;
    let mut doc = quiet(&["doc", "--workspace", "--no-deps", "--all-features", "--locked", "--quiet"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    steps.command("documentation", doc)?;
    steps.tests("crates outside of the workspace", features::outside()?)?;
    let mut tests = quiet(&["test", "--workspace", "--all-features", "--locked", "--no-fail-fast"]);
    let surroundings = if let Some(thread) = surroundings {
        let wait = || thread.join().map_err(|_| anyhow!("preparing servers and engines panicked"))?;
        let ready = steps.run("servers and other engines", wait)?;
        ready.engines.set(&mut tests);
        tests.envs(ready.servers.variables().iter().cloned()).env_remove("FLOE_SKIP_SERVICES");
        Some(ready)
    } else {
        steps.skipped("servers and other engines", "--fast");
        tests.env("FLOE_SKIP_INTEROP", "1").env("FLOE_SKIP_SERVICES", "1");
        None
    };
    let result = steps.tests("tests", tests);
    drop(surroundings);
    result
}

/// How cargo is to build and print.
pub(crate) fn build_environment(command: &mut Command, ci: bool) {
    if ci {
        command.env("CARGO_INCREMENTAL", "0");
    }
    if ci || !interactive() {
        command.env("CARGO_TERM_COLOR", "never").env("CARGO_TERM_PROGRESS_WHEN", "never");
    }
}

/// What features choose, every plugin built alone as well.
pub(crate) fn features() -> Result<()> {
    let mut steps = Steps::default();
    let result = steps
        .run("features bring no SDK too many", features::trees)
        .and_then(|()| steps.run("every plugin alone", || features::each(installed("hack"))))
        .and_then(|()| steps.tests("crates outside of the workspace", features::outside()?));
    steps.report();
    result
}

/// The interoperability tests only.
pub(crate) fn interop(filter: Option<&str>, no_spark: bool) -> Result<()> {
    let mut steps = Steps::default();
    let result = steps.run("other engines", || Engines::find(!no_spark)).and_then(|engines| {
        // With the features of `cargo xtask test`, so that nothing is built twice.
        let mut tests = cargo(&["test", "--workspace", "--all-features", "--locked", "--test", "interop"]);
        engines.set(&mut tests);
        // Tests against catalogs of servers are for `cargo xtask integration`.
        tests.env("FLOE_SKIP_SERVICES", "1").arg("--").args(filter);
        steps.tests("interoperability", tests)
    });
    steps.report();
    result
}

/// The benchmarks, with the peers in Python.
pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    let python = peers::environment("benches/python/requirements.txt")?;
    let mut command = cargo(&["run", "--release", "--quiet", "--package", "floe-benches"]);
    if std::env::var_os(Service::Glue.variables()[0]).is_some() {
        command.args(["--features", "glue"]);
    }
    let status = command
        .arg("--")
        .args(arguments)
        .env("FLOE_BENCH_PYTHON", python)
        .status()
        .context("cannot start cargo")?;
    if !status.success() {
        bail!("the benchmarks ended with {status}");
    }
    Ok(())
}

/// Runs a command beside servers.
pub(crate) fn with_services(names: &[Service], command: &[OsString]) -> Result<()> {
    let Some((program, arguments)) = command.split_first() else { bail!("no command is given") };
    let servers = Servers::start(names)?;
    let mut command = Command::new(program);
    command.args(arguments).envs(servers.variables().iter().cloned()).env_remove("FLOE_SKIP_SERVICES");
    let status = command.status().with_context(|| format!("cannot start {}", program.display()))?;
    drop(servers);
    if !status.success() {
        bail!("{} ended with {status}", program.display());
    }
    Ok(())
}

/// The simulation, optimised. A seed that fails prints its events and the command that runs it again.
pub(crate) fn sim(seeds: u64, from: u64, seed: Option<u64>) -> Result<()> {
    let mut command = cargo(&["run", "--quiet", "--release", "--package", "floe-tests"]);
    command.args(["--bin", "floe-test-sim", "--"]);
    match seed {
        Some(seed) => command.arg("--trace").arg("--seed").arg(seed.to_string()),
        None => command.args(["--from", &from.to_string(), "--seeds", &seeds.to_string()]),
    };
    let status = command.status().context("cannot start cargo")?;
    if !status.success() {
        bail!("the simulation ended with {status}");
    }
    Ok(())
}

/// `floe quickstart`.
pub(crate) fn quickstart(arguments: &[String]) -> Result<()> {
    let mut command = cargo(&["run", "--quiet", "--package", "floe-cli", "--", "quickstart"]);
    let status = command.args(arguments).status().context("cannot start cargo")?;
    if !status.success() {
        bail!("floe quickstart ended with {status}");
    }
    Ok(())
}

/// Whether `cargo SUBCOMMAND` is there. Asked by cargo itself: not every such program answers when it is called by its
/// own name.
fn installed(subcommand: &str) -> bool {
    let mut command = cargo(&[subcommand, "--version"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subcommand_is_installed_where_cargo_finds_it() {
        assert!(installed("fmt"));
        assert!(!installed("no-such-subcommand"));
    }
}
