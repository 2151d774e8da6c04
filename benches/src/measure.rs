//! Running one side in a process of its own.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

/// What one side took.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Measurement {
    /// Seconds of the measured part: start-up and preparation are not in it.
    pub(crate) seconds: f64,
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
