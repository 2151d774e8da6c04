//! The Python peers: virtual environments made from files of requirements.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::tools::{self, Lock};
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
    // Two runs at once would make it twice in the same place.
    let _lock = Lock::take(&folder.with_extension("lock"))?;
    if complete.exists() {
        return Ok(python);
    }
    make(&folder, &requirements)
        .with_context(|| format!("cannot make the Python environment {}", folder.display()))?;
    fs::write(&complete, "")?;
    Ok(python)
}

/// Makes a virtual environment in `folder`, in the place of what is there.
pub(crate) fn make(folder: &Path, requirements: &Path) -> Result<()> {
    if folder.exists() {
        // An earlier run stopped in the middle.
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let python = tools::program("python3", "python3-venv", "Python 3.10 or later")?;
    tools::run(Command::new(python).args(["-m", "venv"]).arg(folder))?;
    tools::run(
        Command::new(folder.join("bin").join("python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "-r"])
            .arg(requirements),
    )
}
