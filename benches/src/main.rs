//! Benchmarks of floe beside its peers, in one run: ratios, not promises of seconds.
//!
//! `cargo run --release -p floe-benches -- append scan partitions commits plan` runs the named cases (all of
//! them without a name) and prints a table. Every side of a case runs in a process of its own, so that its
//! peak memory is its own too. PyIceberg runs when `FLOE_TEST_PYTHON` names an interpreter that has it;
//! `cargo xtask bench` sees to that.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bare;
mod data;
mod floe_side;
mod many_files;
mod measure;
mod report;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};

use measure::{Measurement, peak_rss_bytes, run_child};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Arguments {
    /// Rows of the data set.
    #[arg(long, default_value_t = 5_000_000, global = true)]
    rows: usize,
    /// Folder for data and tables; a temporary one when absent.
    #[arg(long, global = true)]
    folder: Option<PathBuf>,
    #[command(subcommand)]
    side: Option<Side>,
    /// Cases to run.
    cases: Vec<String>,
}

#[derive(Subcommand)]
enum Side {
    /// Runs one side of one case and prints its measurement as JSON. For the benchmark itself.
    #[command(hide = true)]
    One { case: String, side: String },
}

const CASES: [&str; 5] = ["append", "partitions", "scan", "commits", "plan"];

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Side::One { case, side }) = &arguments.side {
        let folder = arguments.folder.as_deref().context("--folder is needed")?;
        let seconds = one(case, side, folder)?;
        println!("{}", serde_json::to_string(&Measurement { seconds, peak_rss_bytes: peak_rss_bytes()? })?);
        return Ok(());
    }
    let temporary = tempfile::tempdir()?;
    let folder = arguments.folder.as_deref().unwrap_or(temporary.path());
    let cases = if arguments.cases.is_empty() { CASES.map(str::to_owned).to_vec() } else { arguments.cases };
    eprintln!("{} rows below {}", arguments.rows, folder.display());
    data::write_input(&folder.join("input.arrow"), arguments.rows)?;
    for case in &cases {
        let sides: &[&str] = match case.as_str() {
            "append" | "partitions" | "scan" => &["bare", "floe", "pyiceberg"],
            "commits" => &["floe", "pyiceberg"],
            "plan" => &["floe", "pyiceberg"],
            other => bail!("there is no case '{other}': {}", CASES.join(", ")),
        };
        report::print(case, &run_case(case, sides, folder)?);
    }
    Ok(())
}

/// Runs every side of a case, each in a process of its own.
fn run_case(case: &str, sides: &[&str], folder: &Path) -> Result<Vec<(String, Measurement)>> {
    let mut results = Vec::new();
    if case == "plan" {
        floe_side::make_many_files(folder)?;
    }
    for side in sides {
        let measured = if *side == "pyiceberg" {
            let Ok(python) = std::env::var("FLOE_TEST_PYTHON") else {
                eprintln!("{case}: PyIceberg left out, FLOE_TEST_PYTHON is not set");
                continue;
            };
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/pyiceberg_side.py");
            run_child(&python, &[script.as_ref(), case.as_ref(), folder.as_ref()])?
        } else {
            let program = std::env::current_exe()?;
            run_child(
                program,
                &["--folder".as_ref(), folder.as_ref(), "one".as_ref(), case.as_ref(), side.as_ref()],
            )?
        };
        results.push(((*side).to_owned(), measured));
    }
    Ok(results)
}

/// Seconds that the measured part of one side took.
fn one(case: &str, side: &str, folder: &Path) -> Result<f64> {
    match (case, side) {
        ("append", "bare") => bare::append(folder),
        ("partitions", "bare") => bare::partitions(folder),
        ("scan", "bare") => bare::scan(folder),
        ("append", "floe") => floe_side::append(folder, false),
        ("partitions", "floe") => floe_side::append(folder, true),
        ("scan", "floe") => floe_side::scan(folder),
        ("commits", "floe") => floe_side::commits(folder),
        ("plan", "floe") => floe_side::plan(folder),
        _ => bail!("{case} has no side '{side}'"),
    }
}
