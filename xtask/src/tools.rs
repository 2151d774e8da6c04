//! Programs and packages that the tasks use: found on the machine, or brought by the client of their registry.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Folders that are looked into besides those of `PATH`.
const MORE_FOLDERS: &[&str] = &["/usr/local/go/bin", "/usr/local/bin", "/usr/bin"];

/// Whether `--install` was given.
static MAY_INSTALL: AtomicBool = AtomicBool::new(false);

/// Lets what is missing be installed from Debian's packages, if `may` says so; see [`install`].
pub(crate) fn allow_installing(may: bool) {
    MAY_INSTALL.store(may, Ordering::Relaxed);
}

/// A lock between processes; held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock of the file `path`, which is made with its folder.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let file = lock_file(path)?;
        file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(Self { _file: file })
    }

    /// The lock, if nobody holds it.
    pub(crate) fn try_take(path: &Path) -> Result<Option<Self>> {
        let file = lock_file(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(e)) => {
                Err(e).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }
}

fn lock_file(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))
}

/// The program `name`. Where it is missing, the Debian package `package` is installed if that is allowed, and
/// otherwise the error says what is missing and how to get it.
pub(crate) fn program(name: &str, package: &str, what: &str) -> Result<PathBuf> {
    if let Some(path) = find(name) {
        return Ok(path);
    }
    install(package).with_context(|| missing(what, package))?;
    find(name).with_context(|| missing(what, package))
}

/// What is missing and how to get it.
pub(crate) fn missing(what: &str, package: &str) -> String {
    format!("{what} is missing: install it, on Debian by `apt-get install {package}`")
}

/// The program `name` in `PATH` or in a usual place.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(MORE_FOLDERS.iter().map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Installs a Debian package, where this may change the machine: as root, with `--install`, or when `CI` or `FLOE_INSTALL`
/// is set.
pub(crate) fn install(package: &str) -> Result<()> {
    let wanted = MAY_INSTALL.load(Ordering::Relaxed)
        || ["CI", "FLOE_INSTALL"].iter().any(|name| std::env::var_os(name).is_some_and(|v| !v.is_empty()));
    if !wanted || !rustix::process::geteuid().is_root() {
        bail!("nothing is installed without being asked: as root, give --install, or set FLOE_INSTALL=1");
    }
    let apt = find("apt-get").context("this machine has no apt-get")?;
    let _lock = Lock::take(&workspace::cache()?.join("apt.lock"))?;
    let apt = |arguments: &[&str]| {
        run(Command::new(&apt)
            .args(["-qq", "-o", "DPkg::Lock::Timeout=300"])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null()))
    };
    eprintln!("installing {package}");
    apt(&["update"])?;
    apt(&["install", "-y", "--no-install-recommends", package])
}

/// Brings a tool into a folder of its own below the cache, once: `bring` fills the folder, which is its argument.
pub(crate) fn cached(name: &str, bring: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let tools = workspace::cache()?.join("tools");
    let folder = tools.join(name);
    let complete = folder.join("complete");
    let _lock = Lock::take(&tools.join(format!("{name}.lock")))?;
    if complete.exists() {
        return Ok(folder);
    }
    if folder.exists() {
        // An earlier run stopped in the middle.
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    bring(&folder).with_context(|| format!("cannot bring {name}"))?;
    fs::write(&complete, "")?;
    Ok(folder)
}

/// Runs a command to its end, at low priority: what brings tools runs beside builds. Its output is shown when it
/// fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let mut nice = Command::new("nice");
    nice.args(["-n", "10"]).arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => nice.env(key, value),
            None => nice.env_remove(key),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        nice.current_dir(folder);
    }
    let output = nice.stdin(Stdio::null()).output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        bail!("{command:?} ended with {}:\n{}", output.status, tail(&String::from_utf8_lossy(&text), 30));
    }
    Ok(())
}

/// The last lines of a text.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/lock");
        let held = Lock::take(&path).unwrap();
        assert!(Lock::try_take(&path).unwrap().is_none());
        drop(held);
        assert!(Lock::try_take(&path).unwrap().is_some());
    }

    #[test]
    fn the_tail_is_the_last_lines() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a", 5), "a");
    }

    #[test]
    fn a_failed_command_shows_what_it_printed() {
        let error = run(Command::new("sh").args(["-c", "echo to-out; echo to-err >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("to-out") && text.contains("to-err") && text.contains('3'), "{text}");
    }
}
