//! The folder of a run: logs, data, and a record of what was started, so that a later run can end what a run that
//! was killed left behind.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::process::Identity;
use crate::tools::Lock;
use crate::workspace;

/// Runs whose logs are kept.
const KEPT: usize = 5;
const RECORD: &str = "record.json";
const LOCK: &str = "lock";

/// The folder of a run.
#[derive(Debug)]
pub(super) struct Run {
    folder: PathBuf,
    /// Held as long as the run is in hand; free when its process died.
    _lock: Lock,
}

/// What was started.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) servers: Vec<Started>,
}

/// A server that was started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Started {
    pub(super) name: String,
    pub(super) identity: Identity,
    pub(super) log: PathBuf,
    /// Folders that go with the server.
    pub(super) folders: Vec<PathBuf>,
    pub(super) variables: Vec<(String, String)>,
}

impl Run {
    /// A new run that ends with this process. Ends what dead runs left first.
    pub(super) fn new() -> Result<Self> {
        let place = place()?;
        sweep(&place)?;
        let stamp = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis();
        Self::take(place.join(format!("run-{stamp}-{}", std::process::id())))
    }

    /// The run of servers that stay, in hand until the value is dropped.
    pub(super) fn lasting() -> Result<Self> {
        Self::take(place()?.join("lasting"))
    }

    fn take(folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let lock = Lock::take(&folder.join(LOCK))?;
        Ok(Self { folder, _lock: lock })
    }

    /// An empty folder for a server, and the path of its log.
    pub(super) fn place_of(&self, server: &str) -> Result<(PathBuf, PathBuf)> {
        let data = self.folder.join(server);
        if data.exists() {
            fs::remove_dir_all(&data).with_context(|| format!("cannot empty {}", data.display()))?;
        }
        fs::create_dir_all(&data)?;
        Ok((data, self.folder.join(format!("{server}.log"))))
    }

    /// What was started.
    pub(super) fn record(&self) -> Record {
        read(&self.folder)
    }

    /// Keeps what was started.
    pub(super) fn keep(&self, record: &Record) -> Result<()> {
        let path = self.folder.join(RECORD);
        let draft = self.folder.join("record.draft");
        fs::write(&draft, serde_json::to_vec_pretty(record)?)?;
        fs::rename(&draft, &path).with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Started {
    /// Ends the server and removes its folders.
    pub(super) fn stop(&self) {
        self.identity.stop();
        self.remove_folders();
    }

    /// Removes the server's folders; its log stays.
    pub(super) fn remove_folders(&self) {
        for folder in &self.folders {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// Where runs are kept.
fn place() -> Result<PathBuf> {
    Ok(workspace::cache()?.join("services"))
}

fn read(folder: &Path) -> Record {
    fs::read(folder.join(RECORD)).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// Ends what runs left whose process is dead, and forgets all but the last of them.
fn sweep(place: &Path) -> Result<()> {
    let _lock = Lock::take(&place.join("sweep.lock"))?;
    let mut dead = Vec::new();
    for entry in fs::read_dir(place)? {
        let folder = entry?.path();
        let is_run = folder.file_name().is_some_and(|n| n.to_string_lossy().starts_with("run-"));
        if is_run && Lock::try_take(&folder.join(LOCK))?.is_some() {
            read(&folder).servers.iter().for_each(Started::stop);
            dead.push(folder);
        }
    }
    dead.sort();
    for folder in &dead[..dead.len().saturating_sub(KEPT)] {
        let _ = fs::remove_dir_all(folder);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::process::Process;
    use super::*;

    #[test]
    fn a_dead_run_is_swept_and_a_living_one_is_not() {
        let place = tempfile::tempdir().unwrap();
        let server = |name: &str| {
            let run = Run::take(place.path().join(name)).unwrap();
            let (data, log) = run.place_of("server").unwrap();
            let mut command = Command::new("sleep");
            command.arg("1000");
            let process = Process::start(&command, None, &log, false).unwrap();
            let identity = process.identity().unwrap();
            let started = Started {
                name: "server".into(),
                identity: identity.clone(),
                log,
                folders: vec![data.clone()],
                variables: vec![],
            };
            run.keep(&Record { servers: vec![started] }).unwrap();
            (run, process, identity, data)
        };
        let (dead, dead_process, dead_identity, dead_data) = server("run-1");
        let (_living, living_process, living_identity, living_data) = server("run-2");
        drop(dead);
        sweep(place.path()).unwrap();
        assert!(!dead_identity.is_alive() && !dead_data.exists());
        assert!(living_identity.is_alive() && living_data.exists());
        dead_process.stop();
        living_process.stop();
    }
}
