//! The `floe` command: Apache Iceberg tables from the command line.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod args;
mod commands;
mod exit;
mod flights;
mod input;
mod logging;
mod output;
mod partition;
mod progress;
mod render;
mod schema_file;
mod schema_from;
mod ui;
mod values;
mod warehouse;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::ui::Ui;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    let ui = Ui::new(&cli.global);
    logging::start(cli.global.verbose);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::failure(&ui, &floe::Error::from(error)),
    };
    let code = runtime.block_on(async {
        tokio::select! {
            done = commands::run(cli, &ui) => match done {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => exit::failure(&ui, &error),
            },
            _ = tokio::signal::ctrl_c() => exit::interrupted(&ui),
        }
    });
    // A thread that waits for standard input would keep the process alive.
    runtime.shutdown_background();
    code
}
