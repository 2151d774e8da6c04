//! PostgreSQL.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::launch::{Launch, Place};
use super::process::User;
use crate::tools;

/// The folder of PostgreSQL's own programs: Debian keeps them out of `PATH`.
pub(super) fn programs() -> Result<PathBuf> {
    let newest = || {
        let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let folders = versions.map(|v| v.path().join("bin")).filter(|bin| bin.join("initdb").exists());
        folders.max().or_else(|| tools::find("initdb").and_then(|p| p.parent().map(Path::to_owned)))
    };
    if let Some(found) = newest() {
        return Ok(found);
    }
    tools::install("postgresql").with_context(|| tools::missing("PostgreSQL", "postgresql"))?;
    newest().with_context(|| tools::missing("PostgreSQL", "postgresql"))
}

pub(super) fn launch(place: &Place) -> Result<Launch> {
    let programs = programs()?;
    let user = unprivileged()?;
    // Another user may not look into the cache, which lies in a home.
    let folder = std::env::temp_dir().join(format!("floe-postgres-{}-{}", std::process::id(), place.port));
    fs::create_dir_all(&folder)?;
    if let Some(user) = user {
        std::os::unix::fs::chown(&folder, Some(user.uid), Some(user.gid))?;
    }
    let data = folder.join("data");
    let mut init = Command::new(programs.join("initdb"));
    init.args(["--username=floe", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
        .arg(&data);
    init.current_dir(&folder);
    as_user(&mut init, user);
    let output = init.output().context("cannot start initdb")?;
    if !output.status.success() {
        bail!("initdb ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    // One user has to give a password; everybody else is trusted. The first line that fits counts.
    let access = data.join("pg_hba.conf");
    let trusted = fs::read_to_string(&access)?;
    fs::write(&access, format!("host all with_password all scram-sha-256\n{trusted}"))?;
    let port = place.port.to_string();
    let mut command = Command::new(programs.join("postgres"));
    command.arg("-D").arg(&data).args(["-p", &port, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]);
    command.args(["-c", &format!("unix_socket_directories={}", folder.display())]).current_dir(&folder);
    let check = programs.join("pg_isready");
    let uri = format!("postgres://floe@127.0.0.1:{port}/postgres");
    let mut launch = Launch::new(command, vec![uri], move || {
        let output = Command::new(&check).args(["-q", "-h", "127.0.0.1", "-p", &port]).output();
        output.is_ok_and(|o| o.status.success())
    });
    launch.user = user;
    launch.folders.push(folder);
    Ok(launch)
}

/// PostgreSQL refuses to run as root: its own user then, or nobody.
fn unprivileged() -> Result<Option<User>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
    let find = |name: &str| {
        let line = users.lines().find(|l| l.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some(User { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    };
    find("postgres")
        .or_else(|| find("nobody"))
        .map(Some)
        .context("there is neither a user postgres nor nobody")
}

fn as_user(command: &mut Command, user: Option<User>) {
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
}
