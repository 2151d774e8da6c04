//! How each server is brought, started and known to be ready.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::containers;
use super::http;
use super::kind::Service;
use super::process::User;
use crate::{peers, tools, workspace};

/// The access key of the S3 servers.
const KEY: &str = "testing";
/// Their secret key.
const SECRET: &str = "testingsecret";
/// Their region.
const REGION: &str = "us-east-1";
/// The bucket, or container, on each storage server.
const BUCKET: &str = "warehouse";
/// The catalog that is made in Polaris.
const POLARIS_CATALOG: &str = "floe";
/// The account of Azurite, and its published key.
const AZURE_ACCOUNT: &str = "devstoreaccount1";
const AZURE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

const REST_FIXTURE: &str = "1.10.0";
const VERSITYGW: &str = "v1.8.0";
const MINIO: &str = "v0.0.0-20260212201848-7aac2a2c5b7c";
const FAKE_GCS: &str = "v1.56.1";
const AZURITE: &str = "3.37.0";

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
    fn new(command: Command, values: Vec<String>, ready: impl Fn() -> bool + Send + 'static) -> Self {
        Self {
            command,
            user: None,
            ready: Box::new(ready),
            after: Box::new(|| Ok(())),
            folders: Vec::new(),
            values,
        }
    }

    fn after(mut self, after: impl FnOnce() -> Result<()> + Send + 'static) -> Self {
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
            Self::S3 => versitygw().map(|_| ()),
            Self::Minio => minio().map(|_| ()),
            Self::Glue => moto().map(|_| ()),
            Self::Gcs => fake_gcs().map(|_| ()),
            Self::Azure => azurite().map(|_| ()),
            Self::Postgres => postgres_programs().map(|_| ()),
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
            Self::S3 => s3(place),
            Self::Minio => minio_server(place),
            Self::Glue => glue(place),
            Self::Gcs => gcs(place),
            Self::Azure => azure(place),
            Self::Postgres => postgres(place),
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

fn versitygw() -> Result<PathBuf> {
    go_tool("versitygw", "github.com/versity/versitygw/cmd/versitygw", VERSITYGW)
}

fn s3(place: &Place) -> Result<Launch> {
    // On a local folder, a bucket is a folder.
    fs::create_dir_all(place.folder.join(BUCKET))?;
    let mut command = Command::new(versitygw()?);
    command
        .args(["--port", &format!("127.0.0.1:{}", place.port), "--region", REGION, "posix"])
        .arg(&place.folder)
        .env("ROOT_ACCESS_KEY", KEY)
        .env("ROOT_SECRET_KEY", SECRET);
    let uri = local(place.port);
    let values = vec![uri.clone(), KEY.into(), SECRET.into(), BUCKET.into()];
    Ok(Launch::new(command, values, move || http::status(&uri).is_some()))
}

fn minio() -> Result<PathBuf> {
    go_tool("minio", "github.com/minio/minio", MINIO)
}

fn minio_server(place: &Place) -> Result<Launch> {
    let native = || {
        // A folder that is there before the first start becomes a bucket.
        fs::create_dir_all(place.folder.join(BUCKET))?;
        let mut command = Command::new(minio()?);
        command
            .arg("server")
            .arg(&place.folder)
            .args(["--address", &format!("127.0.0.1:{}", place.port), "--quiet"])
            .env("MINIO_ROOT_USER", KEY)
            .env("MINIO_ROOT_PASSWORD", SECRET)
            .env("MINIO_BROWSER", "off")
            .env("MINIO_UPDATE", "off");
        Ok(command)
    };
    let command = contained_or(Service::Minio, place, native)?;
    let uri = local(place.port);
    let health = format!("{uri}/minio/health/ready");
    let values = vec![uri, KEY.into(), SECRET.into(), BUCKET.into()];
    Ok(Launch::new(command, values, move || http::status(&health) == Some(200)))
}

/// An environment of its own: what moto needs clashes with the peers.
fn moto() -> Result<PathBuf> {
    peers::environment("tests/python/requirements-moto.txt")
}

fn glue(place: &Place) -> Result<Launch> {
    let mut command = Command::new(moto()?);
    command
        .arg(workspace::root().join("tests/python/glue_server.py"))
        .args(["-H", "127.0.0.1", "-p", &place.port.to_string()])
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let uri = local(place.port);
    let (health, bucket) = (format!("{uri}/moto-api/"), format!("{uri}/{BUCKET}"));
    let launch = Launch::new(command, vec![uri], move || http::status(&health) == Some(200));
    // Any signature will do for moto, but there must be one.
    let signature = format!(
        "AWS4-HMAC-SHA256 Credential={KEY}/20240101/{REGION}/s3/aws4_request, SignedHeaders=host, Signature=0"
    );
    Ok(launch.after(move || http::send("PUT", &bucket, &[("authorization".into(), signature)], None)))
}

fn fake_gcs() -> Result<PathBuf> {
    go_tool("fake-gcs-server", "github.com/fsouza/fake-gcs-server", FAKE_GCS)
}

fn gcs(place: &Place) -> Result<Launch> {
    let uri = local(place.port);
    let native = || {
        let mut command = Command::new(fake_gcs()?);
        command.args(["-scheme", "http", "-host", "127.0.0.1", "-port", &place.port.to_string()]).args([
            "-backend",
            "memory",
            "-external-url",
            &uri,
            "-public-host",
            &format!("127.0.0.1:{}", place.port),
        ]);
        Ok(command)
    };
    let command = contained_or(Service::Gcs, place, native)?;
    let buckets = format!("{uri}/storage/v1/b?project=floe");
    let make = buckets.clone();
    let launch = Launch::new(command, vec![uri, BUCKET.into()], move || http::status(&buckets) == Some(200));
    let json = ("content-type".to_owned(), "application/json".to_owned());
    Ok(launch.after(move || http::send("POST", &make, &[json], Some(&format!(r#"{{"name":"{BUCKET}"}}"#)))))
}

/// Azurite's folder, and the node that runs it.
fn azurite() -> Result<(PathBuf, PathBuf)> {
    let node = tools::program("node", "nodejs", "Node.js 18 or later, which Azurite runs on")?;
    let folder = tools::cached(&format!("azurite-{AZURITE}"), |folder| {
        let npm = tools::program("npm", "npm", "npm, which brings Azurite")?;
        tools::run(
            Command::new(npm)
                .args(["install", "--silent", "--no-fund", "--no-audit", &format!("azurite@{AZURITE}")])
                .current_dir(folder),
        )
    })?;
    Ok((folder, node))
}

fn azure(place: &Place) -> Result<Launch> {
    let native = || {
        let (folder, node) = azurite()?;
        let mut command = Command::new(node);
        command
            .arg(folder.join("node_modules").join(".bin").join("azurite-blob"))
            .args(["--blobHost", "127.0.0.1", "--blobPort", &place.port.to_string()])
            .args(["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"])
            .current_dir(&place.folder);
        Ok(command)
    };
    let command = contained_or(Service::Azure, place, native)?;
    let uri = local(place.port);
    let account = format!("{uri}/{AZURE_ACCOUNT}");
    let container = format!("{account}/{BUCKET}?restype=container");
    let values = vec![account.clone(), AZURE_ACCOUNT.into(), AZURE_KEY.into(), BUCKET.into()];
    let launch = Launch::new(command, values, move || http::status(&account).is_some());
    Ok(launch.after(move || http::send("PUT", &container, &azure_headers()?, None)))
}

/// A container where a Docker engine runs, and a process elsewhere.
fn contained_or(
    service: Service,
    place: &Place,
    native: impl FnOnce() -> Result<Command>,
) -> Result<Command> {
    if containers::runs(service) { containers::command(service, place, KEY, SECRET) } else { native() }
}

/// Polaris with one catalog, whose tables lie in a folder that the container sees under the same path.
fn polaris(place: &Place) -> Result<Launch> {
    let warehouse = std::env::temp_dir().join(format!("floe-polaris-{}-{}", std::process::id(), place.port));
    fs::create_dir_all(&warehouse)?;
    // The server runs as a user of its own in the container.
    fs::set_permissions(&warehouse, Permissions::from_mode(0o777))?;
    let mut command = containers::command(Service::Polaris, place, KEY, SECRET)?;
    command.arg("--folder").arg(&warehouse);
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

/// The headers, signed, of the request that makes the container (Azure "Authorize with Shared Key").
fn azure_headers() -> Result<Vec<(String, String)>> {
    let date = chrono::Utc::now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let version = "2021-08-06";
    let resource = format!("/{AZURE_ACCOUNT}/{AZURE_ACCOUNT}/{BUCKET}\nrestype:container");
    let text = format!("PUT{}x-ms-date:{date}\nx-ms-version:{version}\n{resource}", "\n".repeat(12));
    let mut mac = Hmac::<Sha256>::new_from_slice(&BASE64_STANDARD.decode(AZURE_KEY)?)?;
    mac.update(text.as_bytes());
    let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    Ok(vec![
        ("x-ms-date".into(), date),
        ("x-ms-version".into(), version.into()),
        ("content-length".into(), "0".into()),
        ("authorization".into(), format!("SharedKey {AZURE_ACCOUNT}:{signature}")),
    ])
}

/// The folder of PostgreSQL's own programs: Debian keeps them out of `PATH`.
fn postgres_programs() -> Result<PathBuf> {
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

fn postgres(place: &Place) -> Result<Launch> {
    let programs = postgres_programs()?;
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
    use std::os::unix::process::CommandExt;
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
}

/// A program that the Go module proxy has: built once, its sources pinned by its own sums.
fn go_tool(name: &str, package: &str, version: &str) -> Result<PathBuf> {
    let folder = tools::cached(&format!("{name}-{version}"), |folder| {
        let go = tools::program("go", "golang-go", "Go 1.25 or later")?;
        tools::run(Command::new(go).args(["install", &format!("{package}@{version}")]).env("GOBIN", folder))
    })?;
    Ok(folder.join(name))
}

fn local(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}
