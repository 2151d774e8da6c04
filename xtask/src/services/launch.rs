//! How each server is brought, started and known to be ready.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::containers::{self, Image};
use super::kind::Service;
use super::process::User;
use super::{http, postgres, stores};
use crate::{peers, tools, workspace};

/// The access key of the S3 servers.
pub(super) const KEY: &str = "testing";
/// Their secret key.
pub(super) const SECRET: &str = "testingsecret";
/// Their region.
pub(super) const REGION: &str = "us-east-1";
/// The bucket, or container, on each storage server.
pub(super) const BUCKET: &str = "warehouse";
/// The catalog that is made in Polaris.
const POLARIS_CATALOG: &str = "floe";
const REST_FIXTURE: &str = "1.10.0";
const MOTO: &str = "5.2.5";
const POLARIS: &str = "1.4.0";

/// Where a server goes.
#[derive(Debug)]
pub(super) struct Place {
    /// An empty folder for its data.
    pub(super) folder: PathBuf,
    /// The port that it listens on.
    pub(super) port: u16,
    /// The endpoints of stores that run.
    pub(super) stores: Stores,
}

/// The endpoints of stores that run, which other servers keep their files in.
#[derive(Debug, Clone, Default)]
pub(super) struct Stores {
    pub(super) s3: Option<String>,
    pub(super) minio: Option<String>,
}

/// How a server is started.
pub(super) struct Launch {
    /// The server.
    pub(super) command: Command,
    /// The user it runs as, where that is another one.
    pub(super) user: Option<User>,
    /// Whether it answers.
    pub(super) ready: Box<dyn Fn() -> bool + Send>,
    /// What is to be done once it answers.
    pub(super) after: Box<dyn FnOnce() -> Result<()> + Send>,
    /// Folders outside of the place that go with it.
    pub(super) folders: Vec<PathBuf>,
    /// What tests are told, in the order of [`Service::variables`].
    pub(super) values: Vec<String>,
}

impl Launch {
    pub(super) fn new(
        command: Command,
        values: Vec<String>,
        ready: impl Fn() -> bool + Send + 'static,
    ) -> Self {
        Self {
            command,
            user: None,
            ready: Box::new(ready),
            after: Box::new(|| Ok(())),
            folders: Vec::new(),
            values,
        }
    }

    pub(super) fn after(mut self, after: impl FnOnce() -> Result<()> + Send + 'static) -> Self {
        self.after = Box::new(after);
        self
    }
}

impl Service {
    /// Brings what the server needs, once; it stays in the cache.
    pub(super) fn bring(self) -> Result<()> {
        if containers::runs(self) {
            return containers::program().map(|_| ());
        }
        match self {
            Self::Rest | Self::RestS3 | Self::RestMinio => java().and_then(|_| rest_jar()).map(|_| ()),
            Self::S3 => stores::versitygw().map(|_| ()),
            Self::Minio => stores::minio().map(|_| ()),
            Self::Glue => moto().map(|_| ()),
            Self::Gcs => stores::fake_gcs().map(|_| ()),
            Self::Azure => stores::azurite().map(|_| ()),
            Self::Postgres => postgres::programs().map(|_| ()),
            Self::Polaris => bail!(
                "Polaris is in no package registry: start Docker, or set FLOE_POLARIS_URL, FLOE_POLARIS_CREDENTIAL and \
                 FLOE_POLARIS_CATALOG to use one that runs"
            ),
        }
    }

    /// How the server is started in `place`.
    pub(super) fn launch(self, place: &Place) -> Result<Launch> {
        match self {
            Self::Rest => rest(place),
            Self::RestS3 => rest_in(place, place.stores.s3.as_deref()),
            Self::RestMinio => rest_in(place, place.stores.minio.as_deref()),
            Self::S3 => stores::s3(place),
            Self::Minio => stores::minio_server(place),
            Self::Glue => glue(place),
            Self::Gcs => stores::gcs(place),
            Self::Azure => stores::azure(place),
            Self::Postgres => postgres::launch(place),
            Self::Polaris => polaris(place),
        }
    }
}

fn java() -> Result<PathBuf> {
    tools::program(
        "java",
        "openjdk-17-jre-headless",
        "Java 17 or later, which the Iceberg REST catalog runs on",
    )
}

/// Iceberg's own REST catalog, which its compatibility tests run against.
fn rest_jar() -> Result<PathBuf> {
    let name = format!("iceberg-open-api-{REST_FIXTURE}.jar");
    let folder = tools::cached(&format!("iceberg-open-api-{REST_FIXTURE}"), |folder| {
        let maven = tools::program("mvn", "maven", "Maven, which brings the Iceberg REST catalog")?;
        tools::run(
            Command::new(maven)
                .args(["-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"])
                .arg(format!("-Dartifact=org.apache.iceberg:iceberg-open-api:{REST_FIXTURE}"))
                .arg(format!("-DoutputDirectory={}", folder.display()))
                .current_dir(folder),
        )
    })?;
    let jar = folder.join(name);
    if !jar.exists() {
        bail!("Maven left no {}", jar.display());
    }
    Ok(jar)
}

fn rest_command(place: &Place) -> Result<Command> {
    let mut command = Command::new(java()?);
    command
        .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-jar"])
        .arg(rest_jar()?)
        .env("CATALOG_REST_PORT", place.port.to_string())
        .env("CATALOG_CATALOG__IMPL", "org.apache.iceberg.jdbc.JdbcCatalog")
        .env("CATALOG_URI", format!("jdbc:sqlite:file:{}/catalog.db", place.folder.display()))
        .env("CATALOG_JDBC_SCHEMA__VERSION", "V1")
        // With more connections than one, writers at once leave the SQLite file locked for good.
        .env("CATALOG_CLIENTS", "1");
    Ok(command)
}

fn rest(place: &Place) -> Result<Launch> {
    let warehouse = place.folder.join("warehouse");
    fs::create_dir_all(&warehouse)?;
    let mut command = rest_command(place)?;
    command
        .env("CATALOG_WAREHOUSE", format!("file://{}", warehouse.display()))
        .env("CATALOG_IO__IMPL", "org.apache.iceberg.hadoop.HadoopFileIO");
    let uri = local(place.port);
    let config = format!("{uri}/v1/config");
    let values = vec![uri, warehouse.display().to_string()];
    Ok(Launch::new(command, values, move || http::status(&config) == Some(200)))
}

/// The REST catalog with its warehouse in a store that speaks S3.
fn rest_in(place: &Place, store: Option<&str>) -> Result<Launch> {
    let store = store.context("the store of its warehouse is not there")?;
    let mut command = rest_command(place)?;
    command
        .env("CATALOG_WAREHOUSE", format!("s3://{BUCKET}/rest"))
        .env("CATALOG_IO__IMPL", "org.apache.iceberg.aws.s3.S3FileIO")
        .env("CATALOG_S3_ENDPOINT", store)
        .env("CATALOG_S3_PATH__STYLE__ACCESS", "true")
        .env("CATALOG_S3_ACCESS__KEY__ID", KEY)
        .env("CATALOG_S3_SECRET__ACCESS__KEY", SECRET)
        .env("CATALOG_CLIENT_REGION", REGION)
        // Tables come with the credentials for their files.
        .env("CATALOG_INCLUDE__CREDENTIALS", "true")
        .env("AWS_REGION", REGION);
    let uri = local(place.port);
    let config = format!("{uri}/v1/config");
    Ok(Launch::new(command, vec![uri], move || http::status(&config) == Some(200)))
}

/// An environment of its own: what moto needs clashes with the peers.
fn moto() -> Result<PathBuf> {
    peers::environment("tests/python/requirements-moto.txt")
}

fn glue(place: &Place) -> Result<Launch> {
    let scripts = workspace::root().join("tests/python");
    let native = || {
        let mut command = Command::new(moto()?);
        command
            .arg(scripts.join("glue_server.py"))
            .args(["-H", "127.0.0.1", "-p", &place.port.to_string()])
            .env("PYTHONDONTWRITEBYTECODE", "1");
        Ok(command)
    };
    let image = Image { tag: MOTO, folder: Some(scripts.clone()) };
    let command = containers::or(Service::Glue, place, &image, native)?;
    let uri = local(place.port);
    let (health, bucket) = (format!("{uri}/moto-api/"), format!("{uri}/{BUCKET}"));
    let launch = Launch::new(command, vec![uri], move || http::status(&health) == Some(200));
    // Any signature will do for moto, but there must be one.
    let signature = format!(
        "AWS4-HMAC-SHA256 Credential={KEY}/20240101/{REGION}/s3/aws4_request, SignedHeaders=host, Signature=0"
    );
    Ok(launch.after(move || http::send("PUT", &bucket, &[("authorization".into(), signature)], None)))
}

/// Polaris with one catalog, whose tables lie in a folder that the container sees under the same path.
fn polaris(place: &Place) -> Result<Launch> {
    let warehouse = std::env::temp_dir().join(format!("floe-polaris-{}-{}", std::process::id(), place.port));
    fs::create_dir_all(&warehouse)?;
    // The server runs as a user of its own in the container.
    fs::set_permissions(&warehouse, Permissions::from_mode(0o777))?;
    let image = Image { tag: POLARIS, folder: Some(warehouse.clone()) };
    let command = containers::command(Service::Polaris, place, &image)?;
    let uri = local(place.port);
    let tokens = format!("{uri}/api/catalog/v1/oauth/tokens");
    let values = vec![uri.clone(), format!("{KEY}:{SECRET}"), POLARIS_CATALOG.into()];
    let location = format!("file://{}", warehouse.display());
    let mut launch = Launch::new(command, values, move || http::status(&tokens).is_some());
    launch.folders.push(warehouse);
    Ok(launch.after(move || {
        let token =
            http::token(&format!("{uri}/api/catalog/v1/oauth/tokens"), KEY, SECRET, "PRINCIPAL_ROLE:ALL")?;
        let headers = [
            ("authorization".to_owned(), format!("Bearer {token}")),
            ("content-type".to_owned(), "application/json".to_owned()),
        ];
        let storage = serde_json::json!({"storageType": "FILE", "allowedLocations": [location]});
        let catalog = serde_json::json!({"catalog": {
            "type": "INTERNAL",
            "name": POLARIS_CATALOG,
            "properties": {"default-base-location": location},
            "storageConfigInfo": storage,
        }});
        let management = format!("{uri}/api/management/v1/catalogs");
        http::send("POST", &management, &headers, Some(&catalog.to_string()))?;
        let grant = serde_json::json!({"grant": {"type": "catalog", "privilege": "CATALOG_MANAGE_CONTENT"}});
        let role = format!("{management}/{POLARIS_CATALOG}/catalog-roles/catalog_admin/grants");
        http::send("PUT", &role, &headers, Some(&grant.to_string()))
    }))
}

/// A program that the Go module proxy has: built once, its sources pinned by its own sums.
pub(super) fn go_tool(name: &str, package: &str, version: &str) -> Result<PathBuf> {
    let folder = tools::cached(&format!("{name}-{version}"), |folder| {
        let go = tools::program("go", "golang-go", "Go 1.25 or later")?;
        tools::run(Command::new(go).args(["install", &format!("{package}@{version}")]).env("GOBIN", folder))
    })?;
    Ok(folder.join(name))
}

pub(super) fn local(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_of_moto_is_of_the_version_that_runs_natively() {
        let requirements = include_str!("../../../tests/python/requirements-moto.txt");
        assert!(requirements.lines().any(|line| line == format!("moto=={MOTO}")));
    }
}
