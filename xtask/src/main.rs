//! Development tasks of floe: `cargo xtask COMMAND`.
#![allow(clippy::print_stdout, clippy::print_stderr)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod arch;
mod features;
mod matrix;
mod peers;
mod requirements;
mod services;
mod spark;
mod steps;
mod supply;
mod tasks;
mod tools;
mod workspace;

use clap::{Parser, Subcommand};

use services::Service;

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
        /// Leave out the tests that need other engines or a server.
        #[arg(long)]
        fast: bool,
        /// Leave out the tests that need Spark.
        #[arg(long)]
        no_spark: bool,
        /// Install Debian packages that the servers of the tests need and that are missing, such as PostgreSQL. As root.
        #[arg(long)]
        install: bool,
    },
    /// The same as `test`, without incremental builds and without colours.
    Ci,
    /// The interoperability tests only: PyIceberg, `DuckDB` and Spark against floe.
    Interop {
        /// Leave out the tests that need Spark, and with it Java.
        #[arg(long)]
        no_spark: bool,
        /// Run only the tests whose name contains this.
        filter: Option<String>,
    },
    /// The manager's contract on every catalog with every storage; prints a table of what passed where.
    Integration {
        /// Only this catalog; may be given more than once.
        #[arg(long)]
        catalog: Vec<matrix::Catalog>,
        /// Only this storage; may be given more than once.
        #[arg(long)]
        storage: Vec<matrix::Storage>,
    },
    /// What cargo features choose: every plugin alone, no SDK too many, and the crates outside of the workspace.
    Features,
    /// The real servers that tests run against.
    Services {
        #[command(subcommand)]
        action: ServicesAction,
    },
    /// What comes from elsewhere: crates of every lock file, actions of the workflows, Python packages.
    Supply,
    /// The arrows between the crates, and what floe-plan may depend on.
    Arch,
    /// Concurrent writers and faults, at random from seeds: `cargo xtask sim --seeds 100000`.
    Sim {
        /// How many seeds to run.
        #[arg(long, default_value_t = 1000)]
        seeds: u64,
        /// The first seed.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Runs this seed only, and prints its events.
        #[arg(long, conflicts_with_all = ["seeds", "from"])]
        seed: Option<u64>,
    },
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

#[derive(Debug, Subcommand)]
enum ServicesAction {
    /// Start servers that stay, and print the variables that tell tests of them:
    /// `eval "$(cargo xtask services start)"`.
    Start {
        /// Which servers; all by default.
        names: Vec<Service>,
    },
    /// Show which of those servers run.
    Status,
    /// Stop them all.
    Stop,
    /// Start servers, run a command that is told of them, and stop them:
    /// `cargo xtask services run s3 gcs -- cargo test -p floe-storage-s3`.
    Run {
        /// Which servers; all by default.
        names: Vec<Service>,
        /// The command.
        #[arg(last = true, required = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// Download and build what the servers need, and start none.
    Bring {
        /// Which servers; all by default.
        names: Vec<Service>,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Test { fast, no_spark, install } => {
            tools::allow_installing(install);
            tasks::test(&tasks::TestOptions { fast, no_spark, ci: false })
        }
        Command::Ci => tasks::test(&tasks::TestOptions { ci: true, ..tasks::TestOptions::default() }),
        Command::Interop { filter, no_spark } => tasks::interop(filter.as_deref(), no_spark),
        Command::Integration { catalog, storage } => {
            matrix::run(&matrix::Choice { catalogs: catalog, storages: storage })
        }
        Command::Features => tasks::features(),
        Command::Services { action } => match action {
            ServicesAction::Start { names } => services::start_lasting(&names),
            ServicesAction::Status => services::status(),
            ServicesAction::Stop => services::stop_lasting(),
            ServicesAction::Run { names, command } => tasks::with_services(&names, &command),
            ServicesAction::Bring { names } => services::bring(&names),
        },
        Command::Sim { seeds, from, seed } => tasks::sim(seeds, from, seed),
        Command::Arch => arch::check(),
        Command::Supply => supply::check(),
        Command::Bench { arguments } => tasks::bench(&arguments),
        Command::Quickstart { arguments } => tasks::quickstart(&arguments),
    }
}
