//! Where things are, and how cargo is called.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// The root of the workspace: of the one that `cargo xtask` was called in, which need not be the one that this binary was
/// built in, because two clones may share a target folder.
pub(crate) fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let package = package.as_deref().unwrap_or(Path::new(env!("CARGO_MANIFEST_DIR")));
    package.parent().expect("xtask lies in the workspace").to_path_buf()
}

/// The cargo that runs this task, called in the root of the workspace. It is not told of the package that this task is:
/// build scripts that look at those variables (ring's) would run again, and everything after them be built again,
/// whenever a `cargo xtask` follows a plain `cargo`.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(of_this_package) {
            command.env_remove(name);
        }
    }
    command
}

/// Whether `cargo run` sets a variable to tell of the package that it runs.
fn of_this_package(name: &str) -> bool {
    name.starts_with("CARGO_PKG_")
        || ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_MANIFEST_LINKS"].contains(&name)
}

/// Where downloaded tools stay between runs: `FLOE_CACHE`, or `~/.cache/floe`.
pub(crate) fn cache() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("FLOE_CACHE") {
        return Ok(path.into());
    }
    let home = std::env::home_dir().context("neither FLOE_CACHE nor HOME is set")?;
    Ok(home.join(".cache").join("floe"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_is_not_told_of_this_package() {
        // This test runs as a package of its own too.
        assert!(std::env::var_os("CARGO_PKG_NAME").is_some());
        let command = cargo(&["--version"]);
        let removed: Vec<_> =
            command.get_envs().filter(|(_, value)| value.is_none()).map(|(n, _)| n).collect();
        assert!(removed.contains(&"CARGO_PKG_NAME".as_ref()), "{removed:?}");
        assert!(removed.contains(&"CARGO_MANIFEST_DIR".as_ref()), "{removed:?}");
        assert!(!of_this_package("CARGO_TARGET_DIR") && !of_this_package("CARGO_INCREMENTAL"));
    }
}
