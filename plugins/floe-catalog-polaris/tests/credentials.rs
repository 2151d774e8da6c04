//! Credentials that a server gives for a table's storage, and gives anew in the middle of a job.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use floe_catalog_polaris::{RestCatalog, RestCatalogPlugin};
use floe_core::{
    CatalogClient, CredentialProvider, Environment, ErrorKind, FileEntry, Result, StorageCapabilities,
    StorageClient, VendedCredentials,
};
use floe_testkit::SeededEnvironment;
use floe_testkit::http::{Answer, Reply, Request};
use futures::stream::BoxStream;
use iceberg::io::FileIO;
use iceberg::{NamespaceIdent, TableIdent};
use serde_json::{Value, json};
use support::fake::{Counter, fake, plain, table};
use support::{config, local};

/// A storage that keeps what it is given.
#[derive(Debug)]
struct Keeping {
    inner: Arc<dyn StorageClient>,
    given: Mutex<Vec<Arc<dyn CredentialProvider>>>,
}

#[async_trait]
impl StorageClient for Keeping {
    fn file_io(&self) -> FileIO {
        self.inner.file_io()
    }

    fn with_credentials(&self, credentials: Arc<dyn CredentialProvider>) -> Option<Arc<dyn StorageClient>> {
        self.given.lock().unwrap().push(credentials);
        Some(self.inner.clone())
    }

    fn warehouse(&self) -> &str {
        self.inner.warehouse()
    }

    fn capabilities(&self) -> StorageCapabilities {
        self.inner.capabilities()
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<FileEntry>> {
        self.inner.list(prefix)
    }

    fn delete_many(&self, locations: BoxStream<'static, String>) -> BoxStream<'static, (String, Result<()>)> {
        self.inner.delete_many(locations)
    }

    async fn check_at(&self, location: &str) -> Result<()> {
        self.inner.check_at(location).await
    }
}

const HOUR_MS: i64 = 3_600_000;

/// The `n`-th credentials, for the folder of the table; each holds an hour longer.
fn credentials(n: usize) -> Value {
    let end = SeededEnvironment::START_MS + HOUR_MS * n as i64;
    json!([
        {"prefix": "s3://lake", "config": {"s3.access-key-id": "wide"}},
        {"prefix": "s3://lake/t", "config": {
            "s3.access-key-id": format!("key-{n}"),
            "s3.secret-access-key": "hunter2",
            "s3.session-token-expires-at-ms": end.to_string(),
        }},
    ])
}

async fn open(uri: &str, env: Arc<dyn Environment>) -> (RestCatalog, Arc<Keeping>) {
    let inner = local("/tmp/floe-no-warehouse").await;
    let storage = Arc::new(Keeping { inner, given: Mutex::default() });
    let catalog =
        RestCatalogPlugin::polaris().open(&config(&[("uri", uri)]), storage.clone(), env).await.unwrap();
    (catalog, storage)
}

fn ident() -> TableIdent {
    TableIdent::new(NamespaceIdent::new("ns".into()), "t".into())
}

fn key(all: &[VendedCredentials]) -> String {
    let found = VendedCredentials::longest(all, "s3://lake/t/data/1.parquet").unwrap();
    assert_eq!(found.properties["s3.region"].expose(), "north", "what came with the table stays");
    found.properties["s3.access-key-id"].expose().to_owned()
}

async fn renews(
    config: Value,
    handler: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
) -> usize {
    let server = fake(config, handler).await;
    let env = Arc::new(SeededEnvironment::new(1));
    let (catalog, storage) = open(&server.uri(), env.clone()).await;
    catalog.load_table(&ident()).await.unwrap();
    let provider = storage.given.lock().unwrap()[0].clone();
    assert_eq!(key(&provider.credentials().await.unwrap()), "key-1");
    env.advance(Duration::from_secs(3000));
    assert_eq!(key(&provider.credentials().await.unwrap()), "key-1", "ten minutes are enough");
    env.advance(Duration::from_secs(400));
    let calls = (0..8).map(|_| provider.credentials());
    for all in futures::future::join_all(calls).await {
        assert_eq!(key(&all.unwrap()), "key-2");
    }
    assert_eq!(key(&provider.current()), "key-2");
    assert!(!format!("{provider:?} {catalog:?}").contains("hunter2"), "a secret is shown");
    server.requests().len()
}

#[tokio::test]
async fn credentials_are_renewed_at_the_endpoint_for_it() {
    let config = json!({"endpoints": [
        "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
        "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials",
    ]});
    let counter = Counter::default();
    let requests = renews(config, move |r| match r.path() {
        "/v1/namespaces/ns/tables/t" => {
            let extra = json!({"config": {"s3.region": "north"}, "storage-credentials": credentials(1)});
            Some(Reply::json(200, &table("s3://lake/t", extra)).into())
        }
        "/v1/namespaces/ns/tables/t/credentials" => {
            let n = counter.next("credentials") + 1;
            Some(Reply::json(200, &json!({"storage-credentials": credentials(n)})).into())
        }
        _ => None,
    })
    .await;
    assert_eq!(requests, 3, "configuration, table, credentials once for all callers");
}

#[tokio::test]
async fn without_that_endpoint_they_are_renewed_with_the_table() {
    let counter = Counter::default();
    let requests = renews(plain(), move |r| {
        (r.path() == "/v1/namespaces/ns/tables/t").then(|| {
            let n = counter.next("table");
            let extra = json!({"config": {"s3.region": "north"}, "storage-credentials": credentials(n)});
            Reply::json(200, &table("s3://lake/t", extra)).with_header("etag", "v").into()
        })
    })
    .await;
    assert_eq!(requests, 3);
}

#[tokio::test]
async fn a_server_that_cannot_renew_is_waited_for_until_they_end() {
    let counter = Counter::default();
    let server = fake(plain(), move |r| {
        (r.path() == "/v1/namespaces/ns/tables/t").then(|| match counter.next("table") {
            1 => {
                let extra = json!({"config": {"s3.region": "north"}, "storage-credentials": credentials(1)});
                Reply::json(200, &table("s3://lake/t", extra)).into()
            }
            _ => Reply::iceberg_error(403, "ForbiddenException", "no more").into(),
        })
    })
    .await;
    let env = Arc::new(SeededEnvironment::new(1));
    let (catalog, storage) = open(&server.uri(), env.clone()).await;
    catalog.load_table(&ident()).await.unwrap();
    let provider = storage.given.lock().unwrap()[0].clone();
    env.advance(Duration::from_secs(3400));
    assert_eq!(key(&provider.credentials().await.unwrap()), "key-1");
    env.advance(Duration::from_secs(300));
    let error = provider.credentials().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("cannot be renewed"), "{error}");
}

#[tokio::test]
async fn a_table_keeps_its_storage_from_load_to_load_and_takes_new_credentials_along() {
    let counter = Counter::default();
    let server = fake(plain(), move |r| {
        (r.path() == "/v1/namespaces/ns/tables/t").then(|| {
            let n = counter.next("table");
            let region = if n < 3 { "north" } else { "south" };
            let extra = json!({"config": {"s3.region": region}, "storage-credentials": credentials(n)});
            Reply::json(200, &table("s3://lake/t", extra)).into()
        })
    })
    .await;
    let (catalog, storage) = open(&server.uri(), Arc::new(SeededEnvironment::new(1))).await;
    for _ in 0..2 {
        catalog.load_table(&ident()).await.unwrap();
    }
    let providers = storage.given.lock().unwrap().clone();
    assert_eq!(providers.len(), 1, "one storage for both loads");
    assert_eq!(key(&providers[0].current()), "key-2");
    catalog.load_table(&ident()).await.unwrap();
    assert_eq!(storage.given.lock().unwrap().len(), 2, "another region is another storage");
}

#[tokio::test]
async fn a_server_that_signs_by_itself_is_refused() {
    let server = fake(plain(), |r| {
        let extra = json!({"config": {"s3.remote-signing-enabled": "true"}});
        (r.method == "GET" && r.path() != "/v1/config")
            .then(|| Reply::json(200, &table("s3://lake/t", extra)).into())
    })
    .await;
    let (catalog, _) = open(&server.uri(), Arc::new(SeededEnvironment::new(1))).await;
    let error = catalog.load_table(&ident()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.table(), Some("ns.t"));
}
