//! The tasks that are made of cargo commands.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::steps::{Steps, interactive};
use crate::workspace::cargo;
use crate::{arch, peers};

/// What `test` does.
#[derive(Debug, Default)]
pub(crate) struct TestOptions {
    /// Without the Python peers.
    pub(crate) fast: bool,
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
    steps.run("arrows between crates", arch::check)?;
    steps.command("formatting", cargo(&["fmt", "--all", "--check"]))?;
    if installed("deny") {
        steps.command(
            "licences, bans, sources",
            cargo(&["deny", "--all-features", "check", "bans", "licenses", "sources"]),
        )?;
    } else {
        steps.skipped("licences, bans, sources", "cargo-deny is not installed; the public workflow runs it");
    }
    let mut python = None;
    if options.fast {
        steps.skipped("Python peers", "--fast");
    } else {
        python = Some(steps.run("Python peers", peers::interpreter)?);
    }
    let quiet = |arguments: &[&str]| {
        let mut command = cargo(arguments);
        if options.ci {
            command.env("CARGO_INCREMENTAL", "0");
        }
        if options.ci || !interactive() {
            command.env("CARGO_TERM_COLOR", "never").env("CARGO_TERM_PROGRESS_WHEN", "never");
        }
        command
    };
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
    let mut tests = quiet(&["test", "--workspace", "--all-features", "--locked", "--no-fail-fast"]);
    match python {
        Some(python) => tests.env("FLOE_TEST_PYTHON", python).env_remove("FLOE_SKIP_INTEROP"),
        None => tests.env("FLOE_SKIP_INTEROP", "1"),
    };
    steps.tests("tests", tests)
}

/// The interoperability tests only.
pub(crate) fn interop(filter: Option<&str>) -> Result<()> {
    let mut steps = Steps::default();
    let result = steps.run("Python peers", peers::interpreter).and_then(|python| {
        let mut tests = cargo(&["test", "--package", "floe-tests", "--test", "interop", "--locked"]);
        tests.env("FLOE_TEST_PYTHON", python).env_remove("FLOE_SKIP_INTEROP");
        tests.args(filter);
        steps.tests("interoperability", tests)
    });
    steps.report();
    result
}

/// The benchmarks, with the peers in Python.
pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    let python = peers::environment("benches/python/requirements.txt")?;
    let mut command = cargo(&["run", "--release", "--quiet", "--package", "floe-benches", "--"]);
    let status =
        command.args(arguments).env("FLOE_BENCH_PYTHON", python).status().context("cannot start cargo")?;
    if !status.success() {
        bail!("the benchmarks ended with {status}");
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

/// Whether `cargo SUBCOMMAND` is there.
fn installed(subcommand: &str) -> bool {
    let program = format!("cargo-{subcommand}");
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
