//! Where things are, and how cargo is called.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_path_buf()
}

/// The cargo that runs this task, called in the root of the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(arguments);
    command
}

/// Where downloaded tools stay between runs: `FLOE_CACHE`, or `~/.cache/floe`.
pub(crate) fn cache() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("FLOE_CACHE") {
        return Ok(path.into());
    }
    let home = std::env::home_dir().context("neither FLOE_CACHE nor HOME is set")?;
    Ok(home.join(".cache").join("floe"))
}
