//! Each server's image: what it is told, which port it listens on, and when it is ready.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use testcontainers::core::{ContainerPort, IntoContainerPort, Mount, WaitFor};
use testcontainers::{ContainerRequest, GenericImage, ImageExt};

/// How long a server may take to start, on a busy machine. Fetching the image is not in it.
const START: Duration = Duration::from_secs(240);
/// The address that ports are published on: this machine only, since the keys are known to everybody.
const HERE: &str = "127.0.0.1";

/// Servers that have an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Server {
    /// S3 and STS.
    Minio,
    /// moto with our additions: Glue, S3 and STS.
    Glue,
    /// fake-gcs-server: the JSON API of Google Cloud Storage.
    Gcs,
    /// Azurite: Azure blobs.
    Azure,
    /// Apache Polaris.
    Polaris,
}

/// What a server is told.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// The port of this machine that it is reached by.
    #[arg(long)]
    pub(crate) port: u16,
    /// The version of the image.
    #[arg(long)]
    pub(crate) tag: String,
    /// A folder that the container sees under the same path.
    #[arg(long)]
    pub(crate) folder: Option<PathBuf>,
    /// The access key of `MinIO`, or the client id of Polaris.
    #[arg(long, default_value = "testing")]
    pub(crate) key: String,
    /// Its secret.
    #[arg(long, default_value = "testingsecret")]
    pub(crate) secret: String,
    /// The bucket that `MinIO` has from the start.
    #[arg(long, default_value = "warehouse")]
    pub(crate) bucket: String,
}

impl Server {
    /// The image's name.
    fn image(self) -> &'static str {
        match self {
            Self::Minio => "minio/minio",
            Self::Glue => "motoserver/moto",
            Self::Gcs => "fsouza/fake-gcs-server",
            Self::Azure => "mcr.microsoft.com/azure-storage/azurite",
            Self::Polaris => "apache/polaris",
        }
    }

    /// The port that it listens on in the container.
    fn port(self) -> ContainerPort {
        match self {
            Self::Minio => 9000.tcp(),
            Self::Glue => 5000.tcp(),
            Self::Gcs => 4443.tcp(),
            Self::Azure => 10000.tcp(),
            Self::Polaris => 8181.tcp(),
        }
    }

    /// The container, as testcontainers is asked for it. Whether the server answers is for the caller to find out.
    pub(crate) fn request(self, settings: &Settings) -> ContainerRequest<GenericImage> {
        let image = GenericImage::new(self.image(), settings.tag.as_str()).with_exposed_port(self.port());
        let request = match self {
            Self::Minio => minio(image, settings),
            Self::Glue => glue(image, settings),
            Self::Gcs => gcs(image, settings),
            Self::Azure => azure(image),
            Self::Polaris => polaris(image, settings),
        };
        let request = request
            .with_mapped_port(settings.port, self.port())
            .with_startup_timeout(START)
            .with_host_config_modifier(|host| {
                for binding in
                    host.port_bindings.iter_mut().flatten().filter_map(|(_, b)| b.as_mut()).flatten()
                {
                    binding.host_ip = Some(HERE.to_owned());
                }
            });
        match &settings.folder {
            Some(folder) => {
                let path = folder.to_string_lossy();
                request.with_mount(Mount::bind_mount(path.clone(), path))
            }
            None => request,
        }
    }
}

fn minio(image: GenericImage, settings: &Settings) -> ContainerRequest<GenericImage> {
    // A folder that is there before the first start becomes a bucket.
    let start = format!("mkdir -p /data/{} && exec minio server /data --address :9000", settings.bucket);
    image
        .with_entrypoint("/bin/sh")
        .with_cmd(["-c".to_owned(), start])
        .with_env_var("MINIO_ROOT_USER", &settings.key)
        .with_env_var("MINIO_ROOT_PASSWORD", &settings.secret)
        .with_env_var("MINIO_BROWSER", "off")
        .with_env_var("MINIO_UPDATE", "off")
}

/// The image's own Python runs our server, which lies in the folder.
fn glue(image: GenericImage, settings: &Settings) -> ContainerRequest<GenericImage> {
    let folder = settings.folder.clone().unwrap_or_default();
    let script = folder.join("glue_server.py").to_string_lossy().into_owned();
    image
        .with_entrypoint("python")
        .with_cmd([script, "-H".to_owned(), "0.0.0.0".to_owned(), "-p".to_owned(), "5000".to_owned()])
        .with_env_var("PYTHONDONTWRITEBYTECODE", "1")
}

fn gcs(image: GenericImage, settings: &Settings) -> ContainerRequest<GenericImage> {
    let host = format!("{HERE}:{}", settings.port);
    image.with_cmd([
        "-scheme".to_owned(),
        "http".to_owned(),
        "-backend".to_owned(),
        "memory".to_owned(),
        // What it calls itself in answers, as this machine sees it.
        "-external-url".to_owned(),
        format!("http://{host}"),
        "-public-host".to_owned(),
        host,
    ])
}

fn azure(image: GenericImage) -> ContainerRequest<GenericImage> {
    image.with_cmd([
        "azurite-blob",
        "--blobHost",
        "0.0.0.0",
        "--inMemoryPersistence",
        "--skipApiVersionCheck",
        "--disableTelemetry",
    ])
}

fn polaris(image: GenericImage, settings: &Settings) -> ContainerRequest<GenericImage> {
    let Settings { key, secret, .. } = settings;
    image
        .with_wait_for(WaitFor::message_on_stdout("Listening on"))
        .with_entrypoint("/bin/sh")
        // The server, which runs as a user of its own, and the tests write into each other's folders.
        .with_cmd(["-c", "umask 000 && exec /opt/jboss/container/java/run/run-java.sh"])
        .with_env_var("POLARIS_BOOTSTRAP_CREDENTIALS", format!("POLARIS,{key},{secret}"))
        .with_env_var("polaris.realm-context.realms", "POLARIS")
        .with_env_var("quarkus.log.file.enabled", "false")
        // Tables of the tests lie in a folder that both sides see: not safe, and not offered otherwise.
        .with_env_var("polaris.features.\"ALLOW_INSECURE_STORAGE_TYPES\"", "true")
        .with_env_var("polaris.features.\"SUPPORTED_CATALOG_STORAGE_TYPES\"", "[\"FILE\"]")
        .with_env_var("polaris.features.\"DROP_WITH_PURGE_ENABLED\"", "true")
        .with_env_var("polaris.readiness.ignore-severe-issues", "true")
}

#[cfg(test)]
mod tests {
    use testcontainers::bollard::models::{HostConfig, PortBinding};

    use super::*;

    fn settings() -> Settings {
        Settings {
            port: 41234,
            tag: "1.2.3".into(),
            folder: Some("/shared/folder".into()),
            key: "the-key".into(),
            secret: "the-secret".into(),
            bucket: "the-bucket".into(),
        }
    }

    fn command(request: &ContainerRequest<GenericImage>) -> String {
        request.cmd().collect::<Vec<_>>().join(" ")
    }

    fn variable(request: &ContainerRequest<GenericImage>, name: &str) -> Option<String> {
        request.env_vars().find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
    }

    #[test]
    fn each_is_reached_by_the_given_port_of_this_machine_only() {
        for server in Server::value_variants() {
            let request = server.request(&settings());
            let ports = request.ports().unwrap();
            assert_eq!(ports.len(), 1, "{server:?}");
            assert_eq!((ports[0].host_port(), ports[0].container_port()), (41234, server.port()));
            assert!(request.expose_ports().contains(&server.port()));
            let binding = PortBinding { host_ip: None, host_port: Some("41234".into()) };
            let bindings = [(server.port().to_string(), Some(vec![binding]))].into_iter().collect();
            let mut host = HostConfig { port_bindings: Some(bindings), ..HostConfig::default() };
            request.host_config_modifier().unwrap()(&mut host);
            let bound = host.port_bindings.unwrap().into_values().next().unwrap().unwrap();
            assert_eq!(bound[0].host_ip.as_deref(), Some("127.0.0.1"), "{server:?}");
        }
    }

    #[test]
    fn each_is_of_the_given_version_and_sees_the_folder_under_the_same_path() {
        for server in Server::value_variants() {
            let request = server.request(&settings());
            assert_eq!(request.descriptor(), format!("{}:1.2.3", server.image()));
            let mount = request.mounts().next().unwrap();
            assert_eq!((mount.source(), mount.target()), (Some("/shared/folder"), Some("/shared/folder")));
        }
    }

    #[test]
    fn minio_has_the_keys_and_the_bucket() {
        let request = Server::Minio.request(&settings());
        assert_eq!(variable(&request, "MINIO_ROOT_USER").unwrap(), "the-key");
        assert_eq!(variable(&request, "MINIO_ROOT_PASSWORD").unwrap(), "the-secret");
        assert!(command(&request).starts_with("-c mkdir -p /data/the-bucket && exec minio server /data"));
        assert_eq!(request.entrypoint(), Some("/bin/sh"));
    }

    #[test]
    fn moto_runs_the_server_of_the_folder() {
        let request = Server::Glue.request(&settings());
        assert_eq!(request.entrypoint(), Some("python"));
        assert_eq!(command(&request), "/shared/folder/glue_server.py -H 0.0.0.0 -p 5000");
    }

    #[test]
    fn the_gcs_server_calls_itself_as_this_machine_sees_it() {
        let command = command(&Server::Gcs.request(&settings()));
        assert!(
            command.contains("-external-url http://127.0.0.1:41234 -public-host 127.0.0.1:41234"),
            "{command}"
        );
    }

    #[test]
    fn polaris_has_the_credentials_and_offers_local_files() {
        let request = Server::Polaris.request(&settings());
        let bootstrap = variable(&request, "POLARIS_BOOTSTRAP_CREDENTIALS").unwrap();
        assert_eq!(bootstrap, "POLARIS,the-key,the-secret");
        let offered = variable(&request, "polaris.features.\"SUPPORTED_CATALOG_STORAGE_TYPES\"").unwrap();
        assert_eq!(offered, "[\"FILE\"]");
        assert!(matches!(&request.ready_conditions()[..], [WaitFor::Log(_)]));
        assert!(request.startup_timeout().unwrap() >= Duration::from_secs(120));
    }
}
