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
mod undo;
mod values;
mod warehouse;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser;
use floe::guard::Guard;
use tokio::sync::Notify;

use crate::args::Cli;
use crate::ui::Ui;

/// How long an interrupted command may take to hear of it.
const INTERRUPT_GRACE: Duration = Duration::from_millis(500);
/// How long it may take to delete what it wrote.
const CLEARING_GRACE: Duration = Duration::from_secs(10);

/// An interrupt by the user.
#[derive(Debug, Default)]
struct Interrupt {
    came: Notify,
    heard: AtomicBool,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    let ui = Ui::new(&cli.global);
    logging::start(cli.global.verbose);
    quiet_panics();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::failure(&ui, &floe::Error::from(error)),
    };
    let code = runtime.block_on(async {
        let interrupt = Arc::new(Interrupt::default());
        tokio::spawn(watch_for_interrupt(interrupt.clone(), ui.clone()));
        let guard = Guard::command();
        let done = tokio::select! {
            done = guard.future(commands::run(cli, &ui)) => Some(done),
            // The command is dropped, and its temporary files with it.
            () = interrupt.came.notified() => None,
        };
        match done {
            Some(Ok(())) => ExitCode::SUCCESS,
            Some(Err(error)) => exit::failure(&ui, &error),
            None => {
                interrupt.heard.store(true, Ordering::SeqCst);
                // What it wrote and did not commit is being deleted.
                let _ = tokio::time::timeout(CLEARING_GRACE, floe::settled()).await;
                exit::interrupted(&ui)
            }
        }
    });
    // A thread that waits for standard input would keep the process alive.
    runtime.shutdown_background();
    code
}

/// A panic outside of every guard is told by its place only: its text may quote data, and steer a terminal.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|info| {
        let at = info.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
        let line = format!("a thread failed{at}: a defect of floe, please report it");
        let _ = writeln!(std::io::stderr(), "{}", floe::text::escape(&line));
    }));
}

/// Tells of an interrupt. Ends the process where the command does not hear it, because it waits for a file, and at the next
/// interrupt.
async fn watch_for_interrupt(interrupt: Arc<Interrupt>, ui: Ui) {
    if tokio::signal::ctrl_c().await.is_err() {
        return;
    }
    interrupt.came.notify_one();
    let again = async {
        tokio::time::sleep(INTERRUPT_GRACE).await;
        if interrupt.heard.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = again => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    let _ = exit::interrupted(&ui);
    std::process::exit(exit::INTERRUPTED);
}
