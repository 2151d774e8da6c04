//! Running one side in a process of its own.

use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

/// Time that something took.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Took {
    /// Seconds on the clock.
    pub(crate) seconds: f64,
    /// Seconds of all processors together, which other processes disturb less.
    pub(crate) cpu_seconds: f64,
}

impl Took {
    /// The share of one of `count`.
    pub(crate) fn each(self, count: usize) -> Self {
        Self { seconds: self.seconds / count as f64, cpu_seconds: self.cpu_seconds / count as f64 }
    }
}

/// Measures what this process does.
pub(crate) struct Stopwatch {
    clock: Instant,
    cpu: Result<f64>,
}

impl Stopwatch {
    /// Starts now.
    pub(crate) fn start() -> Self {
        Self { clock: Instant::now(), cpu: cpu_seconds() }
    }

    /// What it took since the start.
    pub(crate) fn stop(self) -> Result<Took> {
        let seconds = self.clock.elapsed().as_secs_f64();
        Ok(Took { seconds, cpu_seconds: cpu_seconds()? - self.cpu? })
    }
}

/// Processor time of this process so far. Linux counts it in hundredths of a second.
fn cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").context("processor time is read on Linux only")?;
    // The name of the program, in brackets, may hold anything.
    let (_, fields) = stat.rsplit_once(')').context("/proc/self/stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    Ok(ticks / 100.0)
}

/// What one side took.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Measurement {
    /// The measured part: start-up and preparation are not in it.
    #[serde(flatten)]
    pub(crate) took: Took,
    /// Peak resident memory of the whole process.
    pub(crate) peak_rss_bytes: u64,
}

/// Runs a process whose last line of output is a [`Measurement`] as JSON.
pub(crate) fn run_child(program: impl AsRef<OsStr>, arguments: &[&OsStr]) -> Result<Measurement> {
    let output = Command::new(program.as_ref())
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{} does not start", program.as_ref().display()))?;
    ensure!(output.status.success(), "{} {arguments:?} failed", program.as_ref().display());
    let text = String::from_utf8(output.stdout)?;
    let last = text.lines().last().context("no measurement was printed")?;
    Ok(serde_json::from_str(last)?)
}

/// Peak resident memory.
pub(crate) struct Peak;

impl Peak {
    /// Bytes that this process held at most so far.
    pub(crate) fn of_process() -> Result<u64> {
        let status =
            std::fs::read_to_string("/proc/self/status").context("peak memory is read on Linux only")?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024)
    }
}
