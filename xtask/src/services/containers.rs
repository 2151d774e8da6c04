//! Servers as containers, where a Docker engine runs: by `floe-container`, a program of its own that xtask builds
//! there only (`xtask/containers`).

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

use super::kind::Service;
use super::launch::Place;
use crate::tools::{self, Lock};
use crate::workspace;

/// Set to `0`, no container is used even where an engine runs.
const SWITCH: &str = "FLOE_CONTAINERS";

/// Whether a Docker engine runs and is to be used.
pub(crate) fn engine_runs() -> bool {
    static RUNS: OnceLock<bool> = OnceLock::new();
    *RUNS.get_or_init(|| {
        let wanted = std::env::var(SWITCH).map_or(true, |value| value != "0");
        let asked = || {
            let mut docker = Command::new("docker");
            docker.arg("info").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            docker.status().is_ok_and(|status| status.success())
        };
        wanted && asked()
    })
}

/// Whether a server is run as a container here.
pub(super) fn runs(service: Service) -> bool {
    matches!(service, Service::Minio | Service::Gcs | Service::Azure | Service::Polaris) && engine_runs()
}

/// Builds the program that runs containers.
pub(super) fn program() -> Result<PathBuf> {
    let target = workspace::cache()?.join("containers");
    let _lock = Lock::take(&target.with_extension("lock"))?;
    let manifest = workspace::root().join("xtask/containers/Cargo.toml");
    let mut build = workspace::cargo(&["build", "--quiet", "--manifest-path"]);
    build.arg(&manifest).env("CARGO_TARGET_DIR", &target);
    tools::run(&mut build).context("cannot build what runs the containers")?;
    Ok(target.join("debug").join("floe-container"))
}

/// What runs `service` as a container in `place`.
pub(super) fn command(service: Service, place: &Place, key: &str, secret: &str) -> Result<Command> {
    if !engine_runs() {
        bail!("the server {} runs as a container only, and no Docker engine answers", service.name());
    }
    let mut command = Command::new(program()?);
    command.args([&service.name(), "--port", &place.port.to_string(), "--key", key, "--secret", secret]);
    Ok(command)
}
