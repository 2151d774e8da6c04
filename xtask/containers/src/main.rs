//! Runs one server of the tests as a container, until this process is ended: `floe-container NAME --port PORT`.

use std::path::PathBuf;
use std::thread;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use testcontainers::core::{IntoContainerPort, Mount, WaitFor};
use testcontainers::runners::SyncRunner;
use testcontainers::{ContainerRequest, GenericImage, ImageExt};

/// Runs one server as a container.
#[derive(Debug, Parser)]
struct Arguments {
    /// Which.
    server: Server,
    /// The port of this machine that it is reached by.
    #[arg(long)]
    port: u16,
    /// A folder that the container sees under the same path.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// The access key of MinIO, or the client id of Polaris.
    #[arg(long, default_value = "testing")]
    key: String,
    /// Its secret.
    #[arg(long, default_value = "testingsecret")]
    secret: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Server {
    Minio,
    Gcs,
    Azure,
    Polaris,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let request = request(&arguments);
    let _container = request.start().with_context(|| format!("cannot start {:?}", arguments.server))?;
    eprintln!("started on port {}", arguments.port);
    // A signal ends this process, and testcontainers removes the container first.
    loop {
        thread::park();
    }
}

fn request(arguments: &Arguments) -> ContainerRequest<GenericImage> {
    let Arguments { server, port, folder, key, secret } = arguments;
    let mut request = match server {
        Server::Minio => GenericImage::new("minio/minio", "RELEASE.2025-09-07T16-13-09Z")
            .with_entrypoint("/bin/sh")
            .with_exposed_port(9000.tcp())
            .with_mapped_port(*port, 9000.tcp())
            // A folder that is there before the first start becomes a bucket.
            .with_cmd(["-c", "mkdir -p /data/warehouse && exec minio server /data --address :9000"])
            .with_env_var("MINIO_ROOT_USER", key)
            .with_env_var("MINIO_ROOT_PASSWORD", secret)
            .with_env_var("MINIO_BROWSER", "off"),
        Server::Gcs => GenericImage::new("fsouza/fake-gcs-server", "1.52.2")
            .with_exposed_port(4443.tcp())
            .with_mapped_port(*port, 4443.tcp())
            .with_cmd([
                "-scheme".to_owned(),
                "http".to_owned(),
                "-backend".to_owned(),
                "memory".to_owned(),
                "-external-url".to_owned(),
                format!("http://127.0.0.1:{port}"),
                "-public-host".to_owned(),
                format!("127.0.0.1:{port}"),
            ]),
        Server::Azure => GenericImage::new("mcr.microsoft.com/azure-storage/azurite", "3.35.0")
            .with_exposed_port(10000.tcp())
            .with_mapped_port(*port, 10000.tcp())
            .with_cmd([
                "azurite-blob",
                "--blobHost",
                "0.0.0.0",
                "--inMemoryPersistence",
                "--skipApiVersionCheck",
                "--disableTelemetry",
            ]),
        Server::Polaris => GenericImage::new("apache/polaris", "1.4.0")
            .with_wait_for(WaitFor::message_on_stdout("Listening on"))
            .with_exposed_port(8181.tcp())
            .with_mapped_port(*port, 8181.tcp())
            .with_env_var("POLARIS_BOOTSTRAP_CREDENTIALS", format!("POLARIS,{key},{secret}"))
            .with_env_var("polaris.realm-context.realms", "POLARIS")
            // Tables of the tests lie in a folder that both sides see: not safe, and not offered otherwise.
            .with_env_var("polaris.features.\"ALLOW_INSECURE_STORAGE_TYPES\"", "true")
            .with_env_var("polaris.features.\"SUPPORTED_CATALOG_STORAGE_TYPES\"", "[\"FILE\"]")
            .with_env_var("polaris.features.\"DROP_WITH_PURGE_ENABLED\"", "true")
            .with_env_var("polaris.readiness.ignore-severe-issues", "true"),
    };
    if let Some(folder) = folder {
        let path = folder.to_string_lossy();
        request = request.with_mount(Mount::bind_mount(path.clone(), path));
    }
    request
}
