//! Runs seeds of the simulation: `floe-test-sim [--seed X] [--from S] [--seeds N] [--trace]`. Called by
//! `cargo xtask sim`.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use floe_tests::sim::{Failure, Options, run};

#[derive(Default)]
struct Totals {
    runs: u64,
    operations: usize,
    commits: usize,
    faults: u64,
    failures: Vec<Failure>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        Some(arguments.get(at + 1)?.parse::<u64>().unwrap_or_else(|_| panic!("{name} needs a number")))
    };
    if let Some(seed) = number("--seed") {
        return one(seed, arguments.iter().any(|argument| argument == "--trace"));
    }
    many(number("--from").unwrap_or(0), number("--seeds").unwrap_or(1000))
}

fn one(seed: u64, trace: bool) -> ExitCode {
    match run(seed, Options::default()) {
        Ok(report) => {
            if trace {
                report.trace.iter().for_each(|event| println!("{event}"));
            }
            let (operations, commits) = (report.operations, report.commits);
            println!(
                "seed {seed} passes: {operations} operations, {commits} commits, {} faults",
                report.faults
            );
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn many(from: u64, seeds: u64) -> ExitCode {
    let (next, stop, totals) = (AtomicU64::new(from), AtomicBool::new(false), Mutex::new(Totals::default()));
    let terminal = std::io::stderr().is_terminal();
    let started = Instant::now();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds {
                        return;
                    }
                    let result = run(seed, Options::default());
                    let mut totals = totals.lock().unwrap();
                    totals.runs += 1;
                    match result {
                        Ok(report) => {
                            totals.operations += report.operations;
                            totals.commits += report.commits;
                            totals.faults += report.faults;
                        }
                        Err(failure) => {
                            totals.failures.push(*failure);
                            stop.store(totals.failures.len() >= 5, Ordering::Relaxed);
                        }
                    }
                    progress(terminal, totals.runs, seeds);
                }
            });
        }
    });
    let totals = totals.into_inner().unwrap();
    if terminal {
        eprintln!();
    }
    for failure in totals.failures.iter().rev() {
        println!("{failure}\n");
    }
    println!(
        "{} seeds from {from} in {:.1} s: {} operations, {} commits, {} faults, {} seeds failed",
        totals.runs,
        started.elapsed().as_secs_f64(),
        totals.operations,
        totals.commits,
        totals.faults,
        totals.failures.len()
    );
    if totals.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn progress(terminal: bool, done: u64, all: u64) {
    if terminal {
        let filled = (done * 40 / all.max(1)) as usize;
        eprint!("\r[{:<40}] {done}/{all}", "#".repeat(filled.min(40)));
        drop(std::io::stderr().flush());
    } else if done.is_multiple_of(1000) {
        eprintln!("{done} of {all} seeds");
    }
}
