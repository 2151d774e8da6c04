//! Servers as containers, where a Docker engine runs: by `floe-container`, a program of its own that xtask builds
//! there only (`xtask/containers`).

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

use super::kind::Service;
use super::launch::{BUCKET, KEY, Place, SECRET};
use crate::tools::{self, Lock};
use crate::workspace;

/// Set to `0`, no container is used even where an engine runs.
const SWITCH: &str = "FLOE_CONTAINERS";

/// What a container needs besides its place.
#[derive(Debug)]
pub(super) struct Image {
    /// The version.
    pub(super) tag: &'static str,
    /// A folder that the container sees under the same path.
    pub(super) folder: Option<PathBuf>,
}

/// Whether a Docker engine runs and is to be used.
pub(crate) fn engine_runs() -> bool {
    static RUNS: OnceLock<bool> = OnceLock::new();
    *RUNS.get_or_init(|| {
        !switched_off() && answer(&["version", "--format", "{{.Server.Os}}"]).as_deref() == Some("linux")
    })
}

fn switched_off() -> bool {
    std::env::var(SWITCH).is_ok_and(|value| value == "0")
}

/// What the command line of Docker answers; nothing when it fails or is not there.
fn answer(arguments: &[&str]) -> Option<String> {
    let output = Command::new("docker").args(arguments).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

/// Whether there is an image of a server.
fn has_image(service: Service) -> bool {
    use Service::{Azure, Gcs, Glue, Minio, Polaris};
    matches!(service, Azure | Gcs | Glue | Minio | Polaris)
}

/// Whether a server is run as a container here.
pub(super) fn runs(service: Service) -> bool {
    has_image(service) && engine_runs()
}

/// Says which of the servers are containers, and which are not although there are images of them.
pub(super) fn say(services: &[Service]) {
    if let Some(text) = notice(services, engine_runs(), switched_off()) {
        eprintln!("{text}");
    }
}

fn notice(services: &[Service], engine: bool, switched_off: bool) -> Option<String> {
    let names: Vec<String> = services.iter().filter(|s| has_image(**s)).map(|s| s.name()).collect();
    let names = (!names.is_empty()).then(|| names.join(", "))?;
    Some(match (engine, switched_off) {
        (true, _) => format!("as containers, since Docker runs ({SWITCH}=0 for processes): {names}"),
        (_, true) => format!("as processes, by {SWITCH}=0: {names}"),
        _ => format!("as processes, since no Docker engine answers: {names}"),
    })
}

/// Builds the program that runs containers.
pub(super) fn program() -> Result<PathBuf> {
    let target = workspace::cache()?.join("containers");
    let _lock = Lock::take(&target.with_extension("lock"))?;
    let manifest = workspace::root().join("xtask/containers/Cargo.toml");
    let mut build = workspace::cargo(&["build", "--quiet", "--locked", "--manifest-path"]);
    build.arg(&manifest).env("CARGO_TARGET_DIR", &target);
    tools::run(&mut build).context("cannot build what runs the containers")?;
    Ok(target.join("debug").join("floe-container"))
}

/// A container where a Docker engine runs, and a process elsewhere.
pub(super) fn or(
    service: Service,
    place: &Place,
    image: &Image,
    native: impl FnOnce() -> Result<Command>,
) -> Result<Command> {
    if runs(service) { command(service, place, image) } else { native() }
}

/// What runs `service` as a container in `place`.
pub(super) fn command(service: Service, place: &Place, image: &Image) -> Result<Command> {
    if !engine_runs() {
        bail!("the server {} runs as a container only, and no Docker engine answers", service.name());
    }
    let mut command = Command::new(program()?);
    command.args(arguments(service, place, image));
    if std::env::var_os("DOCKER_HOST").is_none() {
        // The engine that the command line talks to, which need not be at the usual socket.
        if let Some(host) = answer(&["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]) {
            command.env("DOCKER_HOST", host);
        }
    }
    Ok(command)
}

/// The arguments of `floe-container`.
pub(super) fn arguments(service: Service, place: &Place, image: &Image) -> Vec<OsString> {
    let port = place.port.to_string();
    let name = service.name();
    let given =
        [&name, "--port", &port, "--tag", image.tag, "--key", KEY, "--secret", SECRET, "--bucket", BUCKET];
    let mut arguments: Vec<OsString> = given.iter().map(OsString::from).collect();
    if let Some(folder) = &image.folder {
        arguments.extend(["--folder".into(), folder.into()]);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::launch::Stores;

    #[test]
    fn what_runs_where_is_said_once() {
        let all = Service::all();
        let without = notice(all, false, false).unwrap();
        assert_eq!(without, "as processes, since no Docker engine answers: minio, glue, gcs, azure, polaris");
        assert!(notice(all, true, false).unwrap().starts_with("as containers, since Docker runs"));
        assert!(notice(all, false, true).unwrap().starts_with("as processes, by FLOE_CONTAINERS=0"));
        assert_eq!(notice(&[Service::Rest, Service::S3, Service::Postgres], false, false), None);
    }

    #[test]
    fn a_container_is_told_its_port_version_and_folder() {
        let place = Place { folder: "/data".into(), port: 4711, stores: Stores::default() };
        let image = Image { tag: "1.4.0", folder: Some("/shared".into()) };
        let told = arguments(Service::Polaris, &place, &image);
        let told: Vec<&str> = told.iter().map(|a| a.to_str().unwrap()).collect();
        assert_eq!(told[..5], ["polaris", "--port", "4711", "--tag", "1.4.0"]);
        assert_eq!(told[told.len() - 2..], ["--folder", "/shared"]);
    }

    #[test]
    fn a_process_is_chosen_where_no_engine_is_used() {
        // Without an image there is no container, whatever runs here.
        for service in [Service::Rest, Service::RestS3, Service::S3, Service::Postgres] {
            assert!(!runs(service));
        }
        let place = Place { folder: "/data".into(), port: 1, stores: Stores::default() };
        let image = Image { tag: "1", folder: None };
        let chosen = or(Service::S3, &place, &image, || Ok(Command::new("native"))).unwrap();
        assert_eq!(chosen.get_program(), "native");
    }
}
