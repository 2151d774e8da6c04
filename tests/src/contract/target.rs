//! What the suite runs on: a catalog with a storage, and how other engines reach the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use floe::catalog::CatalogCapabilities;
use floe::iceberg::{NamespaceIdent, TableIdent};
use floe::model::{IcebergTableManagerConfig, PartitionSpec, TableConfig};
use floe::{IcebergTableManager, Properties, Registry};
use floe_testkit::SeededEnvironment;
use floe_testkit::catalog::MemoryCatalog;
use floe_testkit::gcs_xml::GcsXml;
use floe_testkit::http::{FaultProxy, HttpFault, Rule, TokenRules};
use floe_testkit::services::{self, S3Service};
use serde_json::{Value, json};

use super::rows;
use super::sessions::Sessions;
use crate::sts::assume_role;

/// What temporary keys of the suite may do.
const EVERYTHING: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}"#;

/// A catalog of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Catalog {
    /// In memory: the measure of the others.
    Memory,
    /// A SQLite file.
    Sqlite,
    /// The same on PostgreSQL.
    Postgres,
    /// Iceberg's REST reference catalog.
    Rest,
    /// A running Polaris, which decides on the storage.
    Polaris,
    /// Glue, by moto.
    Glue,
}

/// A storage of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// A folder of this machine.
    Local,
    /// S3, by versitygw.
    S3,
    /// S3, by MinIO.
    Minio,
    /// Google Cloud Storage, by fake-gcs-server.
    Gcs,
    /// Azure blobs, by Azurite.
    Azure,
}

/// A catalog with a storage, and a namespace of its own in it.
pub struct Target {
    catalog: Catalog,
    storage: Storage,
    /// A manager of the catalog.
    pub manager: IcebergTableManager,
    /// A namespace that nobody else uses; it is there.
    pub namespace: NamespaceIdent,
    /// How PyIceberg reaches the catalog, as JSON; `None` where it cannot.
    pub peer: Option<String>,
    /// How DuckDB attaches the catalog; `None` where it cannot.
    pub duckdb: Option<Value>,
    reach: Reach,
    _guard: (Option<tempfile::TempDir>, Option<GcsXml>),
}

/// How another manager is made.
enum Reach {
    /// By configuration, as an application does.
    Properties(String, Properties),
    /// The catalog is in this process.
    Memory(MemoryCatalog, IcebergTableManager),
}

/// What a target is made of.
#[derive(Debug, Default)]
struct Parts {
    properties: BTreeMap<String, String>,
    /// What PyIceberg needs besides.
    peer: BTreeMap<String, String>,
    duckdb: Option<Value>,
    guard: Option<tempfile::TempDir>,
    adapter: Option<GcsXml>,
}

impl Target {
    /// Opens the pair; `None` when its servers are left out.
    pub async fn open(catalog: Catalog, storage: Storage) -> Option<Self> {
        let mut parts = Parts::default();
        if catalog.places_tables() {
            storage.describe_access(&mut parts).await?;
        } else {
            storage.describe(&mut parts).await?;
        }
        catalog.describe(storage, &mut parts)?;
        if storage == Storage::Local && matches!(catalog, Catalog::Rest | Catalog::Glue) {
            // A server's word counts for files of this machine only where that is asked for.
            parts.set("storage", "local");
        }
        let name = format!("{catalog:?}_{}", unique()).to_lowercase();
        let properties: Properties = parts.properties.clone().into_iter().collect();
        let reach = if catalog == Catalog::Memory {
            let beside = floe::connect(&name, &properties.with("type", "local")).await.unwrap();
            let memory = MemoryCatalog::new(&**beside.storage(), Arc::new(SeededEnvironment::new(1)));
            Reach::Memory(memory, beside)
        } else {
            Reach::Properties(name.clone(), properties)
        };
        let peer = (!parts.peer.is_empty()).then(|| {
            parts.peer.insert("name".into(), name);
            json!(parts.peer).to_string()
        });
        let manager = reach.connect(IcebergTableManagerConfig::default()).await;
        let namespace = NamespaceIdent::new(format!("ns_{}", unique()));
        manager.ensure_namespace(&namespace).await.unwrap();
        Some(Self {
            catalog,
            storage,
            manager,
            namespace,
            peer,
            duckdb: parts.duckdb,
            reach,
            _guard: (parts.guard, parts.adapter),
        })
    }

    /// Another manager of the same catalog, with connections and caches of its own, as another process has.
    pub async fn another(&self) -> IcebergTableManager {
        self.another_with(IcebergTableManagerConfig::default()).await
    }

    /// The same, with settings.
    pub async fn another_with(&self, config: IcebergTableManagerConfig) -> IcebergTableManager {
        self.reach.connect(config).await
    }

    /// A manager whose requests to the catalog's server take their way through a proxy, the proxy, and the rule by
    /// which the reply to a commit meets a fault. `None` where there is no such server.
    pub async fn through_proxy(&self, fault: HttpFault) -> Option<(IcebergTableManager, FaultProxy, Rule)> {
        let (key, rule) = match self.catalog {
            Catalog::Rest => ("uri", Rule::next(fault).method("POST").path("/tables/")),
            Catalog::Glue => ("glue.endpoint", Rule::next(fault).header("x-amz-target", "UpdateTable")),
            _ => return None,
        };
        let Reach::Properties(name, properties) = &self.reach else { return None };
        let proxy = FaultProxy::start(properties.get(key)?).await;
        let properties = properties.clone().with(key, proxy.uri());
        let reach = Reach::Properties(name.clone(), properties);
        Some((reach.connect(IcebergTableManagerConfig::default()).await, proxy, rule))
    }

    /// A manager whose requests to the storage, and to a catalog that vends credentials for it, take their way through
    /// the proxies of `sessions`. `Err` says why there is no such thing.
    pub(super) async fn with_sessions(
        &self,
        sessions: &Sessions,
    ) -> Result<IcebergTableManager, &'static str> {
        let Reach::Properties(name, properties) = &self.reach else {
            return Err("the catalog is in this process, on local files");
        };
        let mut properties = properties.clone();
        let key = match self.storage {
            Storage::Local => return Err("files of this machine: there are no credentials"),
            Storage::S3 | Storage::Minio => "s3.endpoint",
            Storage::Gcs => "gcs.service.host",
            Storage::Azure => "adls.connection-string",
        };
        let before = properties.get(key).unwrap_or_default().to_owned();
        let endpoint = before.rsplit_once("BlobEndpoint=").map_or(&*before, |(_, endpoint)| endpoint);
        let address = endpoint.find('/').map_or(endpoint, |_| {
            let host = endpoint.find("://").map_or(0, |at| at + 3);
            &endpoint[..endpoint[host..].find('/').map_or(endpoint.len(), |at| host + at)]
        });
        properties.set(key, before.replacen(address, &sessions.before_store(self.storage, address).await, 1));
        if self.vends_credentials() {
            let catalog = properties.get("uri").unwrap_or_default().to_owned();
            properties.set("uri", sessions.before_catalog(&catalog).await);
        }
        let reach = Reach::Properties(name.clone(), properties);
        Ok(reach.connect(IcebergTableManagerConfig::default()).await)
    }

    /// Whether tables come with temporary keys for their files: the REST catalog gives the keys that it has itself,
    /// and MinIO makes temporary ones of them.
    pub fn vends_credentials(&self) -> bool {
        self.catalog == Catalog::Rest && self.storage == Storage::Minio
    }

    /// Temporary keys that the catalog gives, one after the other; none where it gives none.
    pub(super) async fn sessions(&self) -> Sessions {
        let mut keys = Vec::new();
        if self.vends_credentials()
            && let Some(service) = S3Service::minio()
        {
            for _ in 0..Sessions::MOST {
                keys.push(assume_role(&service, EVERYTHING).await);
            }
        }
        Sessions::of(keys)
    }

    /// A manager whose requests to the catalog need a token, by a proxy that can end it. `Err` says why there is no
    /// such thing.
    pub async fn with_token(&self) -> Result<(IcebergTableManager, FaultProxy), &'static str> {
        let Reach::Properties(name, properties) = &self.reach else {
            return Err("the catalog is in this process");
        };
        match self.catalog {
            Catalog::Rest => {}
            Catalog::Glue => return Err("requests to Glue are signed, each by itself"),
            Catalog::Polaris => return Err("its tokens are its own: see the tests of the plugin"),
            _ => return Err("a database knows no tokens"),
        }
        let server = properties.get("uri").unwrap_or_default();
        let proxy = FaultProxy::with_tokens(server, TokenRules::new("floe", "hunter2")).await;
        let properties = properties.clone().with("uri", proxy.uri()).with("credential", "floe:hunter2");
        let reach = Reach::Properties(name.clone(), properties);
        Ok((reach.connect(IcebergTableManagerConfig::default()).await, proxy))
    }

    /// What the catalog says that it can do.
    pub fn capabilities(&self) -> CatalogCapabilities {
        self.manager.catalog().capabilities()
    }

    /// The configuration of a table of the suite's rows, in the target's namespace.
    pub fn config(&self, name: &str, spec: Option<PartitionSpec>) -> TableConfig {
        let mut config = TableConfig::new(self.namespace.as_ref().join("."), name, rows::schema());
        config.partition_spec = spec;
        config
    }

    /// An empty table without partitions.
    pub async fn table(&self, name: &str) -> TableIdent {
        self.manager.create_table(&self.config(name, None), false).await.unwrap().ident
    }

    /// An empty table, partitioned by `part`.
    pub async fn partitioned(&self, name: &str) -> TableIdent {
        self.manager.create_table(&self.config(name, Some(rows::by_part())), false).await.unwrap().ident
    }
}

impl Reach {
    async fn connect(&self, config: IcebergTableManagerConfig) -> IcebergTableManager {
        match self {
            Self::Properties(name, properties) => {
                IcebergTableManager::connect(&Registry::linked(), name, properties, config).await.unwrap()
            }
            Self::Memory(catalog, beside) => {
                let catalog = Arc::new(catalog.another_client());
                IcebergTableManager::new(catalog, beside.storage().clone(), config).unwrap()
            }
        }
    }
}

impl Storage {
    /// The storage's own properties, and a warehouse of the target's own.
    async fn describe(self, parts: &mut Parts) -> Option<()> {
        self.describe_access(parts).await?;
        let folder = unique();
        let warehouse = match self {
            Self::Local => {
                let folder = tempfile::tempdir().unwrap();
                let warehouse = format!("file://{}", folder.path().display());
                parts.guard = Some(folder);
                warehouse
            }
            Self::S3 => format!("s3://{}/{folder}", variable("FLOE_TEST_S3_BUCKET")?),
            Self::Minio => format!("s3://{}/{folder}", variable("FLOE_TEST_MINIO_BUCKET")?),
            Self::Gcs => format!("gs://{}/{folder}", variable("FLOE_TEST_GCS_BUCKET")?),
            Self::Azure => {
                let (container, account) =
                    (variable("FLOE_TEST_AZURE_CONTAINER")?, variable("FLOE_TEST_AZURE_ACCOUNT")?);
                format!("abfss://{container}@{account}.dfs.core.windows.net/{folder}")
            }
        };
        parts.both("warehouse", warehouse);
        Some(())
    }

    /// How the storage is reached.
    async fn describe_access(self, parts: &mut Parts) -> Option<()> {
        match self {
            Self::Local => {}
            Self::S3 | Self::Minio => {
                let kind = if self == Self::S3 { "S3" } else { "MINIO" };
                let get = |what: &str| variable(&format!("FLOE_TEST_{kind}_{what}"));
                let (key, secret) = (get("ACCESS_KEY_ID")?, get("SECRET_ACCESS_KEY")?);
                parts.both("s3.endpoint", get("ENDPOINT")?);
                parts.both("s3.region", "us-east-1");
                parts.both("s3.access-key-id", key);
                parts.both("s3.secret-access-key", secret);
            }
            Self::Gcs => {
                let endpoint = variable("FLOE_TEST_GCS_ENDPOINT")?;
                // The server has the JSON interface only, which PyIceberg uses.
                let adapter = GcsXml::start(&endpoint).await.unwrap();
                parts.set("gcs.service.host", adapter.endpoint());
                parts.peer("gcs.service.host", endpoint);
                parts.peer("gcs.oauth2.token", "anything");
                parts.peer("gcs.oauth2.token-expires-at", "4102444800000");
                parts.set("gcs.no-auth", "true");
                parts.adapter = Some(adapter);
            }
            Self::Azure => {
                let get = |what: &str| variable(&format!("FLOE_TEST_AZURE_{what}"));
                let (endpoint, account, key) = (get("ENDPOINT")?, get("ACCOUNT")?, get("KEY")?);
                parts.both(
                    "adls.connection-string",
                    format!("AccountName={account};AccountKey={key};BlobEndpoint={endpoint}"),
                );
            }
        }
        Some(())
    }
}

impl Catalog {
    /// Whether the server decides where tables go.
    fn places_tables(self) -> bool {
        matches!(self, Self::Rest | Self::Polaris)
    }

    /// The catalog's own properties.
    fn describe(self, storage: Storage, parts: &mut Parts) -> Option<()> {
        match self {
            // In this process, where no other engine can look.
            Self::Memory => parts.peer.clear(),
            Self::Sqlite => {
                let folder = parts.guard.get_or_insert_with(|| tempfile::tempdir().unwrap());
                let uri = format!("sqlite:///{}", folder.path().join("catalog.db").display());
                parts.set("type", "local");
                parts.peer("type", "sql");
                parts.both("uri", uri);
            }
            Self::Postgres => {
                let uri = variable("FLOE_TEST_POSTGRES_URI")?;
                parts.set("type", "local");
                parts.set("uri", uri.clone());
                parts.peer("type", "sql");
                parts.peer("uri", uri.replacen("postgres://", "postgresql+psycopg2://", 1));
            }
            Self::Rest => {
                let uri = variable(match storage {
                    Storage::S3 => "FLOE_TEST_REST_S3_URI",
                    Storage::Minio => "FLOE_TEST_REST_MINIO_URI",
                    _ => "FLOE_TEST_REST_URI",
                })?;
                parts.duckdb = Some(duckdb(&uri, parts));
                parts.both("type", "rest");
                parts.both("uri", uri);
            }
            Self::Polaris => {
                parts.set("type", "polaris");
                parts.peer("type", "rest");
                parts.both(
                    "uri",
                    format!("{}/api/catalog", variable("FLOE_POLARIS_URL")?.trim_end_matches('/')),
                );
                parts.both("credential", variable("FLOE_POLARIS_CREDENTIAL")?);
                parts.both("warehouse", variable("FLOE_POLARIS_CATALOG")?);
                parts.both("scope", "PRINCIPAL_ROLE:ALL");
            }
            Self::Glue => {
                parts.both("type", "glue");
                parts.both("glue.endpoint", variable("FLOE_TEST_GLUE_ENDPOINT")?);
                parts.both("glue.region", "us-east-1");
                parts.both("glue.access-key-id", "testing");
                parts.both("glue.secret-access-key", "testing");
            }
        }
        Some(())
    }
}

/// How DuckDB attaches the REST catalog. Files in S3 it reaches by a secret of its own: with vended credentials its
/// version 1.5 asks Amazon, whatever the endpoint.
fn duckdb(uri: &str, parts: &Parts) -> Value {
    let options = format!("ENDPOINT '{uri}', AUTHORIZATION_TYPE 'none', ACCESS_DELEGATION_MODE 'none'");
    let get = |key: &str| parts.properties.get(key).map_or("", String::as_str);
    let secret = get("s3.endpoint").strip_prefix("http://").map(|host| {
        format!(
            "CREATE OR REPLACE SECRET store (TYPE s3, KEY_ID '{}', SECRET '{}', REGION '{}', ENDPOINT '{host}', \
             URL_STYLE 'path', USE_SSL false)",
            get("s3.access-key-id"),
            get("s3.secret-access-key"),
            get("s3.region"),
        )
    });
    json!({"warehouse": "", "options": options, "setup": secret.as_slice()})
}

impl Parts {
    fn set(&mut self, key: &str, value: impl Into<String>) {
        self.properties.insert(key.into(), value.into());
    }

    fn both(&mut self, key: &str, value: impl Into<String>) {
        let value = value.into();
        self.set(key, value.clone());
        self.peer(key, value);
    }

    fn peer(&mut self, key: &str, value: impl Into<String>) {
        self.peer.insert(key.into(), value.into());
    }
}

/// The value of a variable that names a server; `None` when servers are left out.
fn variable(name: &str) -> Option<String> {
    services::find([name]).map(|[value]| value)
}

/// A word that no other test on the same server uses.
pub fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{:x}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}
