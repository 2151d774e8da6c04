//! Several processes that commit to one table at once.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use floe::data::BatchStream;
use floe::model::WriteConfig;

use crate::data::{batch, schema};
use crate::floe_side::{ident, runtime};
use crate::measure::{Measurement, Peak, Stopwatch, Took};

/// Processes at once.
const WRITERS: usize = 8;
/// Commits of each.
const COMMITS: usize = 10;
/// Rows of a commit.
const ROWS: usize = 10;

/// Starts the writers, lets them go at one moment, and waits for the last. Each says `ready`, waits for a line, and says at
/// the end how many of its commits failed, its peak memory and its processor time.
pub(crate) fn race(program: &OsStr, arguments: &[&OsStr]) -> Result<Measurement> {
    let mut writers = (0..WRITERS).map(|_| Writer::start(program, arguments)).collect::<Result<Vec<_>>>()?;
    for writer in &mut writers {
        writer.expect("ready")?;
    }
    let start = Instant::now();
    for writer in &mut writers {
        writer.go()?;
    }
    let mut failed = 0;
    let mut peak_rss_bytes = 0;
    let mut cpu_seconds = 0.0;
    for mut writer in writers {
        let said = writer.line()?;
        let said: Vec<&str> = said.split_whitespace().collect();
        let [count, peak, cpu] = said[..] else { bail!("a writer said {said:?}") };
        failed += count.parse::<usize>()?;
        peak_rss_bytes += peak.parse::<u64>()?;
        cpu_seconds += cpu.parse::<f64>()?;
        writer.child.wait()?;
    }
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("{failed} of {} commits failed", WRITERS * COMMITS);
    Ok(Measurement { took: Took { seconds, cpu_seconds }, peak_rss_bytes })
}

/// One of floe's writers.
pub(crate) fn write(folder: &Path) -> Result<()> {
    runtime()?.block_on(async {
        let manager = floe::embedded(folder.join("warehouse")).await?;
        let table = ident("writers")?;
        let data = batch(0, ROWS)?;
        println!("ready");
        std::io::stdin().lock().read_line(&mut String::new())?;
        let start = Stopwatch::start();
        let mut failed = 0;
        for _ in 0..COMMITS {
            let rows = BatchStream::from_batches(schema(), vec![data.clone()]);
            failed += usize::from(manager.write_data(&table, rows, &WriteConfig::default()).await.is_err());
        }
        println!("{failed} {} {}", Peak::of_process()?, start.stop()?.cpu_seconds);
        Ok(())
    })
}

struct Writer {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Writer {
    fn start(program: &OsStr, arguments: &[&OsStr]) -> Result<Self> {
        let mut child =
            Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = BufReader::new(child.stdout.take().context("a writer has no output")?);
        Ok(Self { child, output })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("a writer ended early");
        }
        Ok(line)
    }

    fn expect(&mut self, word: &str) -> Result<()> {
        let said = self.line()?;
        if said.trim() != word {
            bail!("a writer said '{}' in the place of '{word}'", said.trim());
        }
        Ok(())
    }

    fn go(&mut self) -> Result<()> {
        let input = self.child.stdin.as_mut().context("a writer has no input")?;
        Ok(input.write_all(b"go\n")?)
    }
}
