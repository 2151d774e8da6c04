//! Manifests that name files for which the catalog gave no credentials.

use floe::ErrorKind;
use floe_testkit::http::{HostileCatalog, HostileTable, NamedFile, ObjectServer};
use serde_json::{Value, json};

use crate::attacked::{OWN_KEY, delete, refused, scan, signed, user};

const LIST: &str = "s3://bucket/t/metadata/list.avro";
const MANIFEST: &str = "s3://bucket/t/metadata/m.avro";

fn vended(prefix: &str) -> Value {
    json!({
        "config": {"s3.region": "us-east-1"},
        "storage-credentials": [
            {"prefix": prefix, "config": {"s3.access-key-id": "vended", "s3.secret-access-key": "x"}},
        ],
    })
}

/// A table whose manifest names `file`, on a store that has everything.
async fn table(file: &str) -> (ObjectServer, HostileTable) {
    let store = ObjectServer::start(1).await;
    let file = NamedFile { path: file.into(), size: 100, rows: 1 };
    let table = HostileTable::new("s3://bucket/t", &[]).with_files(LIST, MANIFEST, &[file]).await;
    for (location, content) in table.objects() {
        store.put(location.strip_prefix("s3://bucket/").unwrap(), content);
    }
    (store, table)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_credentials_came_nothing_else_is_read_with_the_users_own() {
    for prefix in ["s3://bucket/t", "s3://bucket/t/", "s3a://bucket/t"] {
        for file in [
            "s3://bucket/t2/x.parquet",
            "s3://bucket/x.parquet",
            "s3a://bucket/tt/x.parquet",
            "s3://other/t/x.parquet",
            "s3n://bucket2/t/x.parquet",
            "s3://bucket/t%2Fx.parquet",
        ] {
            let (store, table) = table(file).await;
            let catalog = HostileCatalog::start(&table, json!({}), vended(prefix)).await;
            let properties = user(&catalog).with("s3.endpoint", store.uri());
            let manager = floe::connect("lake", &properties).await.unwrap();
            for result in [scan(&manager).await.map(drop), delete(&manager).await] {
                let error = refused(result, file);
                assert_eq!(error.kind(), ErrorKind::Validation, "{prefix} {file}: {error}");
                assert!(error.to_string().contains(file), "{file}: {error}");
                assert!(error.hint().unwrap().contains("own-credentials-enabled"), "{file}: {error}");
            }
            assert!(signed(&store, OWN_KEY).is_empty(), "{prefix} {file}");
            assert!(!signed(&store, "vended").is_empty(), "the manifest was read");

            let properties = properties.with("own-credentials-enabled", "true");
            let manager = floe::connect("lake", &properties).await.unwrap();
            let error = refused(scan(&manager).await, file);
            assert_ne!(
                error.kind(),
                ErrorKind::Validation,
                "{file}: it is asked for, and is not there: {error}"
            );
            assert!(!signed(&store, OWN_KEY).is_empty(), "{file}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_cannot_allow_itself_the_users_credentials() {
    let (store, table) = table("s3://other/x.parquet").await;
    let config = json!({
        "defaults": {"own-credentials-enabled": "true", "other-schemes-enabled": "true"},
        "overrides": {"own-credentials-enabled": "true", "storage": "local"},
    });
    let catalog = HostileCatalog::start(&table, config, vended("s3://bucket/t")).await;
    let manager = floe::connect("lake", &user(&catalog).with("s3.endpoint", store.uri())).await.unwrap();
    let error = refused(scan(&manager).await, "overrides");
    assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
    assert!(signed(&store, OWN_KEY).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_elsewhere_are_read_in_the_tables_own_kind_of_storage_alone() {
    for file in [
        "gs://bucket/x.parquet",
        "abfss://box@acc.dfs.core.windows.net/x.parquet",
        "gcs://bucket/t/x.parquet",
    ] {
        let (store, table) = table(file).await;
        let catalog = HostileCatalog::start(&table, json!({}), json!({})).await;
        let other = ObjectServer::start(1).await;
        let properties = user(&catalog)
            .with("s3.endpoint", store.uri())
            .with("gcs.service.host", other.uri())
            .with("gcs.oauth2.token", "own")
            .with(
                "adls.connection-string",
                format!("AccountName=acc;AccountKey=aGk=;BlobEndpoint={}", other.uri()),
            );
        let manager = floe::connect("lake", &properties).await.unwrap();
        let error = refused(scan(&manager).await, file);
        assert_eq!(error.kind(), ErrorKind::Validation, "{file}: {error}");
        assert!(error.hint().unwrap().contains("other-schemes-enabled"), "{file}: {error}");
        assert!(other.requests().is_empty(), "{file}");

        let manager = floe::connect("lake", &properties.with("other-schemes-enabled", "true")).await.unwrap();
        let error = refused(scan(&manager).await, file);
        assert_ne!(error.kind(), ErrorKind::Validation, "{file}: {error}");
        assert!(!other.requests().is_empty(), "{file}: the user allowed it");
    }
}
