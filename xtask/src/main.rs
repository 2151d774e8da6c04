//! Development tasks of floe: `cargo xtask COMMAND`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod arch;
mod peers;
mod steps;
mod tasks;
mod workspace;

use clap::{Parser, Subcommand};

/// Development tasks of floe.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Every check and every test. What the public workflow runs.
    Test {
        /// Leave out the tests that need the Python peers.
        #[arg(long)]
        fast: bool,
    },
    /// The same as `test`, without incremental builds and without colours.
    Ci,
    /// The interoperability tests only: PyIceberg and `DuckDB` against floe.
    Interop {
        /// Run only the tests whose name contains this.
        filter: Option<String>,
    },
    /// The arrows between the crates, and what floe-plan may depend on.
    Arch,
    /// Measures floe beside PyIceberg and delta-rs, in one run.
    Bench {
        /// Cases and options; `--help` shows them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// The main job on real data: `floe quickstart`.
    Quickstart {
        /// Arguments for `floe quickstart`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Test { fast } => tasks::test(&tasks::TestOptions { fast, ci: false }),
        Command::Ci => tasks::test(&tasks::TestOptions { fast: false, ci: true }),
        Command::Interop { filter } => tasks::interop(filter.as_deref()),
        Command::Arch => arch::check(),
        Command::Bench { arguments } => tasks::bench(&arguments),
        Command::Quickstart { arguments } => tasks::quickstart(&arguments),
    }
}
