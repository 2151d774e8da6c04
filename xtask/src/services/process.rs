//! One server process: in a process group of its own, its output in a file, and gone when it should be.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

use crate::tools::tail;

/// Ends the group when the pipe from xtask closes, whatever ended xtask; then becomes the server itself.
const WATCHED: &str = r#"
exec 3<&0
( trap '' TERM; cat <&3 >/dev/null; kill -TERM 0; sleep 20; kill -KILL 0 ) &
exec 3<&- </dev/null
exec "$@"
"#;

/// How long a server may take to end by itself: a container is stopped first, and then removed.
const GRACE: Duration = Duration::from_secs(20);

/// A server process that runs.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    log: PathBuf,
    /// Closes with this process; absent for servers that outlive it.
    pipe: Option<ChildStdin>,
}

/// A user of the machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// How to find a process group again, from another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// The process group, which is the id of the server process as well.
    pub(super) group: i32,
    /// When the process started, as `ps` tells it: ids are used again.
    started: String,
}

impl Process {
    /// Starts a server, as another user where one is given. `watched`, it ends with this process; otherwise it
    /// stays.
    pub(super) fn start(command: &Command, user: Option<User>, log: &Path, watched: bool) -> Result<Self> {
        let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut shell = if watched {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", WATCHED, "server"]).arg(command.get_program());
            shell
        } else {
            Command::new(command.get_program())
        };
        shell.args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(key, value),
                None => shell.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            shell.current_dir(folder);
        }
        if let Some(user) = user {
            shell.uid(user.uid).gid(user.gid);
        }
        let mut child = shell
            .stdin(if watched { Stdio::piped() } else { Stdio::null() })
            .stderr(output.try_clone()?)
            .stdout(output)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let pipe = child.stdin.take();
        Ok(Self { child, log: log.to_owned(), pipe })
    }

    /// The id of its process group.
    pub(super) fn group(&self) -> i32 {
        self.child.id() as i32
    }

    /// How another process finds it.
    pub(super) fn identity(&self) -> Result<Identity> {
        let group = self.group();
        let started = started(group).with_context(|| format!("the process {group} is gone already"))?;
        Ok(Identity { group, started })
    }

    /// Waits until `ready` says yes. Fails with the end of the log when the server ends or takes too long.
    pub(super) fn wait(&mut self, limit: Duration, ready: &dyn Fn() -> bool) -> Result<()> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}; {}", self.log_tail());
            }
            if ready() {
                return Ok(());
            }
            if start.elapsed() > limit {
                bail!("it was not ready within {} s; {}", limit.as_secs(), self.log_tail());
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        format!("the end of {}:\n{}", self.log.display(), tail(&String::from_utf8_lossy(&text), 20))
    }

    /// Ends the server and everything that it started.
    pub(super) fn stop(mut self) {
        let group = self.group();
        drop(self.pipe.take());
        signal(group, Signal::TERM);
        let start = Instant::now();
        while start.elapsed() < GRACE && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(20));
        }
        // The watching shell, and whatever did not listen.
        signal(group, Signal::KILL);
        let _ = self.child.wait();
    }
}

impl Identity {
    /// Whether the process still runs.
    pub(super) fn is_alive(&self) -> bool {
        started(self.group).as_ref() == Some(&self.started)
    }

    /// Ends the process group, if the process still is the one that was started.
    pub(super) fn stop(&self) {
        if !self.is_alive() {
            return;
        }
        signal(self.group, Signal::TERM);
        let start = Instant::now();
        while start.elapsed() < GRACE && self.is_alive() {
            thread::sleep(Duration::from_millis(50));
        }
        signal(self.group, Signal::KILL);
    }
}

/// Ends process groups: each may end by itself first, as a container must, to be stopped and removed.
pub(super) fn end(groups: impl IntoIterator<Item = i32>) {
    let groups: Vec<i32> = groups.into_iter().collect();
    for group in &groups {
        signal(*group, Signal::TERM);
    }
    let start = Instant::now();
    while start.elapsed() < GRACE && groups.iter().any(|group| started(*group).is_some()) {
        thread::sleep(Duration::from_millis(20));
    }
    for group in groups {
        signal(group, Signal::KILL);
    }
}

fn signal(group: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(group) {
        // It may be gone already, which is what is wanted.
        let _ = kill_process_group(pid, signal);
    }
}

/// When a process started; `None` when there is none, or only its remains.
fn started(pid: i32) -> Option<String> {
    let output: io::Result<_> =
        Command::new("ps").args(["-o", "stat=,lstart=", "-p", &pid.to_string()]).env("LC_ALL", "C").output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    let (state, start) = text.trim().split_once(char::is_whitespace)?;
    (!state.starts_with('Z')).then(|| start.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(folder: &Path, watched: bool) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 & echo started; wait"]);
        Process::start(&command, None, &folder.join("log"), watched).unwrap()
    }

    fn group_exists(group: i32) -> bool {
        Pid::from_raw(group).is_some_and(|pid| rustix::process::test_kill_process_group(pid).is_ok())
    }

    fn gone(group: i32) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(30) {
            if !group_exists(group) {
                return true;
            }
            thread::sleep(Duration::from_millis(10));
        }
        false
    }

    #[test]
    fn a_stopped_server_leaves_no_process_of_its_group() {
        for watched in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let mut process = sleeper(folder.path(), watched);
            let log = folder.path().join("log");
            process
                .wait(Duration::from_secs(60), &|| fs::read_to_string(&log).unwrap().contains("started"))
                .unwrap();
            let identity = process.identity().unwrap();
            assert!(identity.is_alive());
            process.stop();
            assert!(!identity.is_alive() && gone(identity.group));
        }
    }

    #[test]
    fn a_watched_server_ends_when_the_pipe_closes() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = sleeper(folder.path(), true);
        let group = process.group();
        process.pipe = None;
        // What the operating system does with the child of a process that died.
        process.child.wait().unwrap();
        end([group]);
        assert!(gone(group));
    }

    #[test]
    fn a_server_that_ends_early_shows_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such thing; exit 4"]);
        let mut process = Process::start(&command, None, &folder.path().join("log"), true).unwrap();
        let error = process.wait(Duration::from_secs(60), &|| false).unwrap_err().to_string();
        assert!(error.contains("no such thing") && error.contains('4'), "{error}");
        process.stop();
    }

    #[test]
    fn an_id_that_was_given_to_another_process_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let process = sleeper(folder.path(), true);
        let real = process.identity().unwrap();
        Identity { started: "Mon Jan  1 00:00:00 2001".into(), ..real.clone() }.stop();
        assert!(real.is_alive());
        process.stop();
    }
}
