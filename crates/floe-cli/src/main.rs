//! The `floe` command: Apache Iceberg tables from the command line.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod args;
mod commands;
mod configuration;
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
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use tokio::sync::Notify;

use crate::args::Cli;
use crate::ui::Ui;

/// How long an interrupted command may take to end by itself.
const INTERRUPT_GRACE: Duration = Duration::from_millis(500);

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
        let interrupt = Arc::new(Notify::new());
        tokio::spawn(watch_for_interrupt(interrupt.clone(), ui.clone()));
        tokio::select! {
            done = commands::run(cli, &ui) => match done {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => exit::failure(&ui, &error),
            },
            // Temporary files are removed as the command is dropped.
            () = interrupt.notified() => exit::interrupted(&ui),
        }
    });
    // A thread that waits for standard input would keep the process alive.
    runtime.shutdown_background();
    code
}

/// Tells of an interrupt. Ends the process where the command does not hear it, because it waits for a file.
async fn watch_for_interrupt(interrupt: Arc<Notify>, ui: Ui) {
    if tokio::signal::ctrl_c().await.is_ok() {
        interrupt.notify_one();
        tokio::time::sleep(INTERRUPT_GRACE).await;
        let _ = exit::interrupted(&ui);
        std::process::exit(exit::INTERRUPTED);
    }
}
