//! Runs steps one after the other and says at the end how long each took.

use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Steps that have run.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<(String, Duration, &'static str)>,
    tests: Tally,
}

/// What the lines `test result:` of a test run add up to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Test binaries and documentation tests of a crate that reported.
    pub(crate) runs: u64,
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed.
    pub(crate) failed: u64,
    /// Tests that are marked as ignored.
    pub(crate) ignored: u64,
}

impl Tally {
    /// Adds a line of a test run, if it is a result line.
    pub(crate) fn add_line(&mut self, line: &str) {
        let Some(rest) = line.trim_start().strip_prefix("test result: ") else { return };
        self.runs += 1;
        for part in rest.split([';', '.']) {
            let mut words = part.split_whitespace();
            let (Some(count), Some(what)) = (words.next().and_then(|w| w.parse::<u64>().ok()), words.next())
            else {
                continue;
            };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }
}

impl Steps {
    /// Runs a step that is a function.
    pub(crate) fn run<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        eprintln!("\n==> {name}");
        let start = Instant::now();
        let result = step();
        self.note(name, start, result.is_ok());
        result.with_context(|| format!("step '{name}' failed"))
    }

    /// Runs a step that is a command.
    pub(crate) fn command(&mut self, name: &str, mut command: Command) -> Result<()> {
        self.run(name, || {
            let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
            if !status.success() {
                bail!("{command:?} ended with {status}");
            }
            Ok(())
        })
    }

    /// Runs a step that is a test run: what it prints is passed on, and its results are added up.
    pub(crate) fn tests(&mut self, name: &str, mut command: Command) -> Result<()> {
        let mut tally = self.tests;
        let before = tally.runs;
        let result = self.run(name, || {
            let mut child = command
                .stdout(Stdio::piped())
                .spawn()
                .with_context(|| format!("cannot start {command:?}"))?;
            let stdout = child.stdout.take().context("the test run has no output")?;
            for line in BufReader::new(stdout).split(b'\n') {
                let line = line?;
                let line = String::from_utf8_lossy(&line);
                tally.add_line(&line);
                writeln!(std::io::stdout(), "{line}")?;
            }
            let status = child.wait()?;
            if !status.success() {
                bail!("the test run ended with {status}");
            }
            if tally.runs == before {
                bail!("the test run reported no result");
            }
            Ok(())
        });
        self.tests = tally;
        result
    }

    /// Says that a step was left out, and why.
    pub(crate) fn skipped(&mut self, name: &str, why: &str) {
        eprintln!("\n==> {name}: left out, {why}");
        self.done.push((name.to_owned(), Duration::ZERO, "left out"));
    }

    /// Prints the steps with their durations, and the results of the tests.
    pub(crate) fn report(&self) {
        let width = self.done.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
        println!();
        for (name, time, outcome) in &self.done {
            println!("{name:<width$}  {:>8.1} s  {outcome}", time.as_secs_f64());
        }
        let total: Duration = self.done.iter().map(|(_, time, _)| *time).sum();
        println!("{:<width$}  {:>8.1} s", "all", total.as_secs_f64());
        if self.tests.runs > 0 {
            let Tally { runs, passed, failed, ignored } = self.tests;
            let outcome =
                if failed == 0 && self.done.iter().all(|(.., o)| *o != "FAILED") { "ok" } else { "FAILED" };
            println!(
                "test result: {outcome}. {passed} passed; {failed} failed; {ignored} ignored; {runs} test runs"
            );
        }
    }

    fn note(&mut self, name: &str, start: Instant, ok: bool) {
        self.done.push((name.to_owned(), start.elapsed(), if ok { "ok" } else { "FAILED" }));
    }
}

/// Whether people watch: then cargo may use colours.
pub(crate) fn interactive() -> bool {
    std::io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_add_up_and_other_lines_do_not() {
        let mut tally = Tally::default();
        tally.add_line("test it_works ... ok");
        tally.add_line(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.00s",
        );
        tally.add_line("test result: FAILED. 2 passed; 5 failed; 0 ignored; 0 measured; 0 filtered out");
        assert_eq!(tally, Tally { runs: 2, passed: 14, failed: 5, ignored: 1 });
    }
}
