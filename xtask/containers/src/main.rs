//! Runs one server of the tests as a container, until this process is ended: `floe-container NAME --port PORT --tag TAG`.

mod images;

use std::thread;

use anyhow::{Context, Result};
use clap::Parser;
use testcontainers::runners::SyncRunner;

use images::{Server, Settings};

/// Runs one server as a container.
#[derive(Debug, Parser)]
struct Arguments {
    /// Which.
    server: Server,
    #[command(flatten)]
    settings: Settings,
}

fn main() -> Result<()> {
    let Arguments { server, settings } = Arguments::parse();
    let _container = server
        .request(&settings)
        .start()
        .with_context(|| format!("cannot start {server:?}; FLOE_CONTAINERS=0 runs servers without Docker"))?;
    eprintln!("started on port {}", settings.port);
    // A signal ends this process, and testcontainers removes the container first.
    loop {
        thread::park();
    }
}
