//! The Python peers: virtual environments made from files of requirements.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// The interpreter of the tests' environment, made first if it is not there. Fails when it cannot be made: the
/// tests with the peers are never left out silently.
pub(crate) fn interpreter() -> Result<PathBuf> {
    environment("tests/python/requirements.txt")
}

/// The interpreter of the environment with these requirements, a path in the repository.
pub(crate) fn environment(requirements: &str) -> Result<PathBuf> {
    let requirements = workspace::root().join(requirements);
    let text = fs::read(&requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&text);
    let folder = workspace::cache()?.join(format!("python-{:016x}", hasher.finish()));
    let python = folder.join("bin").join("python");
    let complete = folder.join("complete");
    fs::create_dir_all(workspace::cache()?)?;
    // Two runs at once would make it twice in the same place.
    let lock = fs::File::create(folder.with_extension("lock"))?;
    lock.lock()?;
    if complete.exists() {
        return Ok(python);
    }
    make(&folder, &requirements)
        .with_context(|| format!("cannot make the Python environment {}", folder.display()))?;
    fs::write(&complete, "")?;
    Ok(python)
}

fn make(folder: &Path, requirements: &Path) -> Result<()> {
    if folder.exists() {
        // An earlier run stopped in the middle.
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    run(Command::new(folder.join("bin").join("python"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "-r"])
        .arg(requirements))
}

fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}; Python 3.10 or later is needed"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}
