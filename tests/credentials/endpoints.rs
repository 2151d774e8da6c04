//! Servers of catalogs that would have the user's credentials sent to an address of theirs.

use floe::ErrorKind;
use floe_testkit::http::{HostileCatalog, HostileTable, ObjectServer, Trap};
use serde_json::{Value, json};

use crate::attacked::{OWN_KEY, append, refused, signed, user};

/// The same properties in every place where a server can say them.
fn said(properties: &Value) -> Vec<(&'static str, Value, Value)> {
    let credential = |prefix: &str| json!([{"prefix": prefix, "config": properties}]);
    vec![
        ("defaults", json!({"defaults": properties}), json!({})),
        ("overrides", json!({"overrides": properties}), json!({})),
        ("config", json!({}), json!({"config": properties})),
        ("any prefix", json!({}), json!({"storage-credentials": credential("")})),
        ("scheme", json!({}), json!({"storage-credentials": credential("s3")})),
        ("folder", json!({}), json!({"storage-credentials": credential("s3://bucket/t")})),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_servers_endpoint_never_beats_the_users_for_the_users_keys() {
    let (trap, store) = (Trap::start().await, ObjectServer::start(1).await);
    for more in
        [json!({}), json!({"s3.path-style-access": "false"}), json!({"s3.force-virtual-addressing": "true"})]
    {
        let mut properties = more;
        properties["s3.endpoint"] = trap.uri().into();
        for (place, config, extra) in said(&properties) {
            let before = signed(&store, OWN_KEY).len();
            let table = HostileTable::new("s3://bucket/t", &[]);
            let catalog = HostileCatalog::start(&table, config, extra).await;
            let manager =
                floe::connect("lake", &user(&catalog).with("s3.endpoint", store.uri())).await.unwrap();
            // The server takes no commit; the files were written before.
            let error = refused(append(&manager).await, place);
            assert!(error.to_string().contains("nothing is changed here"), "{place}: {error}");
            assert!(signed(&store, OWN_KEY).len() > before, "{place}: the user's store is used");
        }
    }
    assert_eq!(trap.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_only_the_server_knows_gets_no_keys_of_the_user() {
    let trap = Trap::start().await;
    for (place, config, extra) in said(&json!({"s3.endpoint": trap.uri()})) {
        let table = HostileTable::new("s3://bucket/t", &[]);
        let catalog = HostileCatalog::start(&table, config, extra).await;
        let manager = floe::connect("lake", &user(&catalog)).await.unwrap();
        let error = refused(append(&manager).await, place);
        assert_eq!(error.kind(), ErrorKind::Validation, "{place}: {error}");
        assert!(error.hint().unwrap().contains("s3.endpoint"), "{place}: {error}");
    }
    assert_eq!(trap.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_moves_no_host() {
    let trap = Trap::start().await;
    let port = trap.port();
    for region in [
        format!("x@127.0.0.1:{port}/"),
        format!(".127.0.0.1:{port}#"),
        format!("x/@127.0.0.1:{port}"),
        format!("@2130706433:{port}?"),
        "evil.example/".into(),
        "a%".into(),
        "bü".into(),
    ] {
        for key in ["s3.region", "client.region"] {
            for keys in [json!({}), json!({"s3.access-key-id": "vended", "s3.secret-access-key": "x"})] {
                let mut properties = keys;
                properties[key] = region.clone().into();
                for (place, config, extra) in said(&properties).into_iter().skip(2) {
                    let catalog =
                        HostileCatalog::start(&HostileTable::new("s3://bucket/t", &[]), config, extra).await;
                    // A region of the user's own would win over one in `client.region`.
                    let mut own = user(&catalog);
                    if key == "client.region" {
                        own = own
                            .keys()
                            .filter(|key| *key != "s3.region")
                            .map(|key| (key, own.get(key).unwrap()))
                            .collect();
                    }
                    let manager = floe::connect("lake", &own).await.unwrap();
                    let error = refused(append(&manager).await, place);
                    assert_eq!(error.kind(), ErrorKind::Validation, "{place} {region}: {error}");
                    assert!(error.to_string().contains("no region"), "{place} {region}: {error}");
                }
            }
        }
    }
    assert_eq!(trap.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_of_the_server_counts_with_the_servers_keys_and_gets_no_others() {
    let (own, theirs) = (ObjectServer::start(1).await, ObjectServer::start(1).await);
    let given = json!({
        "s3.endpoint": theirs.uri(), "s3.access-key-id": "vended", "s3.secret-access-key": "x", "s3.path-style-access": "true",
    });
    for (place, config, extra) in said(&given) {
        let catalog = HostileCatalog::start(&HostileTable::new("s3://bucket/t", &[]), config, extra).await;
        let mut properties = user(&catalog).with("s3.endpoint", own.uri());
        if place == "defaults" {
            // What the client says wins over defaults, and so the client must say nothing here.
            let keys = ["type", "uri", "s3.region"];
            properties = keys.into_iter().map(|key| (key, properties.get(key).unwrap().to_owned())).collect();
        }
        let manager = floe::connect("lake", &properties).await.unwrap();
        let before = signed(&theirs, "vended").len();
        let error = refused(append(&manager).await, place);
        assert!(error.to_string().contains("nothing is changed here"), "{place}: {error}");
        assert!(signed(&theirs, "vended").len() > before, "{place}: the server's store is used");
    }
    assert!(signed(&theirs, OWN_KEY).is_empty() && own.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_names_a_host_in_clear_gets_nothing() {
    let given = json!({
        "s3.endpoint": "http://store.invalid:9000", "s3.access-key-id": "vended", "s3.secret-access-key": "x",
    });
    for (place, config, extra) in said(&given).into_iter().skip(1) {
        let catalog = HostileCatalog::start(&HostileTable::new("s3://bucket/t", &[]), config, extra).await;
        let manager = floe::connect("lake", &user(&catalog)).await.unwrap();
        let error = refused(append(&manager).await, place);
        assert_eq!(error.kind(), ErrorKind::Validation, "{place}: {error}");
        assert!(error.hint().unwrap().contains("s3.allow-http"), "{place}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_moves_no_host_of_google_or_azure() {
    let trap = Trap::start().await;
    let address = trap.uri().trim_start_matches("http://").to_owned();
    let string = format!("AccountName=acc;AccountKey=aHVudGVyMg==;BlobEndpoint={}", trap.uri());
    let said_of = json!({
        "gcs.service.host": trap.uri(),
        "adls.account-host": address,
        "adls.blob-storage-authority": address,
        "adls.blob-storage-scheme": "http",
        "adls.connection-string": string,
        "adls.connection-string.acc": string,
        "adls.authority-host": trap.uri(),
        "adls.trusted-domains": "evil.example",
    });
    for (roots, location, key) in [
        (1, "gs://bucket/t", "gcs.service.host"),
        (2, "abfss://box@acc.dfs.core.windows.net/t", "adls.connection-string"),
    ] {
        let store = ObjectServer::start(roots).await;
        let own = match roots {
            1 => store.uri(),
            _ => format!("AccountName=acc;AccountKey=aHVudGVyMg==;BlobEndpoint={}/acc", store.uri()),
        };
        for (place, config, extra) in said(&said_of).into_iter().take(4) {
            let catalog = HostileCatalog::start(&HostileTable::new(location, &[]), config, extra).await;
            let properties = user(&catalog).with(key, &*own).with("gcs.oauth2.token", "own");
            let manager = floe::connect("lake", &properties).await.unwrap();
            // Some of that is refused, some does not count.
            let _ = refused(append(&manager).await, place);
        }
        let catalog = HostileCatalog::start(&HostileTable::new(location, &[]), json!({}), json!({})).await;
        let properties = user(&catalog).with(key, &*own).with("gcs.oauth2.token", "own");
        let error = refused(append(&floe::connect("lake", &properties).await.unwrap()).await, location);
        assert!(error.to_string().contains("nothing is changed here"), "{location}: {error}");
        assert!(!store.requests().is_empty(), "{location}: the user's store is used");
    }
    assert_eq!(trap.connections(), 0);
}
