//! Benchmarks of floe beside its peers, in one run: ratios, not promises of seconds.
//!
//! `cargo run --release -p floe-benches -- upsert-1k delete-1pct` runs the named cases (all of them without a name; a
//! group such as `upsert` or `catalogs` is all of its cases) and prints a table. Every side of a case runs in a process of
//! its own, so that its peak memory is its own too; a table that is changed is made by another process before. PyIceberg
//! and delta-rs run when `FLOE_BENCH_PYTHON` names an interpreter that has them; `cargo xtask bench` sees to that.
#![allow(clippy::print_stdout, clippy::print_stderr)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bare;
mod cases;
mod catalogs;
mod data;
mod floe_side;
mod many_files;
mod measure;
mod report;
mod row_changes;
mod transfer;
mod writers;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use floe::execute::rows::RowMode;

use cases::{CASES, Case};
use measure::{Measurement, Peak, Took, run_child};

#[derive(Parser)]
struct Arguments {
    /// Rows of the data set.
    #[arg(long, default_value_t = 5_000_000, global = true)]
    rows: usize,
    /// How often each side runs, by turns; the run of the median time is shown.
    #[arg(long, default_value_t = 1, global = true, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
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
    One {
        case: String,
        side: String,
        /// Make the table only.
        #[arg(long)]
        prepare: bool,
        /// Be one of several writers.
        #[arg(long)]
        writer: bool,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Side::One { case, side, prepare, writer }) = &arguments.side {
        let folder = arguments.folder.as_deref().context("--folder is needed")?;
        let took = match (prepare, writer) {
            (true, _) => row_changes::prepare(case, folder).map(|()| Took::default())?,
            (_, true) => return writers::write(folder),
            _ => one(case, side, arguments.rows, folder)?,
        };
        let peak_rss_bytes = Peak::of_process()?;
        println!("{}", serde_json::to_string(&Measurement { took, peak_rss_bytes })?);
        return Ok(());
    }
    let chosen = match arguments.cases.as_slice() {
        [] => CASES.iter().collect(),
        names => names.iter().map(|name| cases::find(name)).collect::<Result<Vec<_>>>()?.concat(),
    };
    let temporary = tempfile::tempdir()?;
    let folder = arguments.folder.as_deref().unwrap_or(temporary.path());
    eprintln!("{} rows below {}", arguments.rows, folder.display());
    data::write_input(&folder.join("input.arrow"), arguments.rows)?;
    data::write_sources(folder, arguments.rows)?;
    for case in chosen {
        if let Some(why) = case.missing() {
            eprintln!("{}: left out, {why}", case.name);
            continue;
        }
        let runs = (0..arguments.repeat).map(|_| run_case(case, arguments.rows, folder));
        report::print(case, &medians(runs.collect::<Result<_>>()?));
    }
    Ok(())
}

/// Of several runs of the same sides, that of the median time for each.
fn medians(runs: Vec<Vec<(String, Measurement)>>) -> Vec<(String, Measurement)> {
    let sides = runs.first().into_iter().flatten().map(|(side, _)| side.clone()).collect::<Vec<_>>();
    let median = |(index, side): (usize, String)| {
        let mut all: Vec<Measurement> = runs.iter().filter_map(|run| Some(run.get(index)?.1)).collect();
        all.sort_by(|a, b| a.took.seconds.total_cmp(&b.took.seconds));
        Some((side, *all.get((all.len() - 1) / 2)?))
    };
    sides.into_iter().enumerate().filter_map(median).collect()
}

/// Runs every side of a case, each in a process of its own.
fn run_case(case: &Case, rows: usize, folder: &Path) -> Result<Vec<(String, Measurement)>> {
    let mut results = Vec::new();
    if case.name == "plan" {
        floe_side::make_many_files(folder)?;
    }
    let own = std::env::current_exe()?;
    let rows = rows.to_string();
    for side in case.sides {
        let of_floe: [&OsStr; 7] = [
            "--folder".as_ref(),
            folder.as_ref(),
            "--rows".as_ref(),
            rows.as_ref(),
            "one".as_ref(),
            case.name.as_ref(),
            side.as_ref(),
        ];
        let peer = matches!(*side, "pyiceberg" | "deltalake" | "s3fs" | "pyarrow");
        let script = if matches!(*side, "s3fs" | "pyarrow") { "transfer" } else { side };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("python/{script}_side.py"));
        let of_peer: &[&OsStr] = match *side {
            "s3fs" | "pyarrow" => &[script.as_ref(), case.name.as_ref(), folder.as_ref(), side.as_ref()],
            _ => &[script.as_ref(), case.name.as_ref(), folder.as_ref()],
        };
        let (program, command): (PathBuf, &[&OsStr]) = if peer {
            let Some(python) = std::env::var_os("FLOE_BENCH_PYTHON") else {
                eprintln!("{}: {side} left out, FLOE_BENCH_PYTHON is not set", case.name);
                continue;
            };
            (python.into(), of_peer)
        } else {
            (own.clone(), &of_floe)
        };
        let with = |option: &'static str| [command, &[option.as_ref()]].concat();
        if case.prepared {
            run_child(&program, &with("--prepare"))?;
        }
        let measured = match case.name {
            "writers" => writers::race(program.as_ref(), &with("--writer"))?,
            _ => run_child(&program, command)?,
        };
        results.push(((*side).to_owned(), measured));
    }
    Ok(results)
}

/// The measured part of one side.
fn one(case: &str, side: &str, rows: usize, folder: &Path) -> Result<Took> {
    match (case, side) {
        ("append", "bare") => bare::append(folder),
        ("partitions", "bare") => bare::partitions(folder),
        ("scan", "bare") => bare::scan(folder),
        ("append", "floe") => floe_side::append(folder, false),
        ("partitions", "floe") => floe_side::append(folder, true),
        ("scan", "floe") => floe_side::scan(folder),
        ("commits", "floe") => floe_side::commits(folder),
        ("plan", "floe") => floe_side::plan(folder),
        ("upload" | "download", side) => transfer::run(case, side),
        (case, "floe") if case.starts_with("catalogs-") => catalogs::run(case, folder),
        (case, "floe" | "floe-cow") => row_changes::run(case, RowMode::CopyOnWrite, rows, folder),
        (case, "floe-mor") => row_changes::run(case, RowMode::MergeOnRead, rows, folder),
        _ => bail!("{case} has no side '{side}'"),
    }
}
