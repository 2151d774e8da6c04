//! Keys are opaque: the store is asked for the one that a location names, byte for byte, or the location is refused.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use floe_core::{ErrorKind, PluginConfig, Properties, StorageClient, StoragePlugin};
use floe_storage_gcs::GcsStoragePlugin;
use floe_testkit::contract::storage;
use floe_testkit::http::ObjectServer;
use futures::StreamExt;

/// A storage over a store in memory that keeps keys as they come.
async fn connect() -> (ObjectServer, Arc<dyn StorageClient>) {
    let server = ObjectServer::start(1).await;
    let properties: Properties = [
        ("warehouse", "gs://bucket/lake"),
        ("gcs.service.host", &server.uri()),
        ("gcs.oauth2.token", "token"),
    ]
    .into_iter()
    .collect();
    let config = PluginConfig::new("test", &properties).unwrap();
    let client: Arc<dyn StorageClient> = GcsStoragePlugin::new().connect(&config).await.unwrap();
    (server, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_keys_never_meet() {
    let (_server, client) = connect().await;
    storage::odd_keys_never_meet(client).await;
}

#[tokio::test]
async fn the_store_sees_the_key_that_the_location_names() {
    let (server, client) = connect().await;
    let names = [
        "a//b",
        "a///b",
        "a/b",
        "a b",
        "a%20b",
        "a%2Fb",
        "a+b",
        "a#b",
        "a?b",
        "é",
        "日本/表",
        "a&b<c>",
        "..a/b..",
    ];
    for name in names {
        let location = format!("{}/{name}", client.warehouse());
        client.file_io().new_output(&location).unwrap().write("x".into()).await.unwrap();
        assert_eq!(server.keys(), [format!("lake/{name}")], "{location}");
        let listed: Vec<_> =
            client.list(client.warehouse()).map(|entry| entry.unwrap().location).collect().await;
        assert_eq!(listed, [location.as_str()], "a listing names it as it was written");
        client.file_io().delete(&location).await.unwrap();
        assert!(server.keys().is_empty(), "{location}");
    }
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_refused_for_all_that_is_done_and_changes_nothing() {
    let (server, client) = connect().await;
    let root = client.warehouse().strip_suffix("/lake").unwrap().to_owned();
    for key in ["lake/a", "a", "lake/b/c"] {
        server.put(key, b"another's");
    }
    let before = server.keys();
    for name in ["/lake/a", "lake/./a", "lake/../a", "lake/b/../a", "..", "lake/a\t", "lake/a/"] {
        let location = format!("{root}/{name}");
        let io = client.file_io();
        let kinds = [
            io.new_output(&location).unwrap().write("x".into()).await.err(),
            io.new_input(&location).unwrap().read().await.err(),
            io.exists(&location).await.err(),
            io.delete(&location).await.err(),
        ]
        .map(|e| floe_core::Error::from(e.unwrap_or_else(|| panic!("{location:?} is taken"))));
        for error in kinds {
            assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
            assert!(error.message().contains(&location.escape_debug().to_string()), "{error}");
        }
        assert_eq!(server.keys(), before, "{location}");
    }
}

#[tokio::test]
async fn a_folder_with_two_slashes_is_another_and_markers_of_folders_are_no_files() {
    let (server, client) = connect().await;
    for (key, content) in
        [("lake/t/x", "1"), ("lake/t//x", "2"), ("lake//t/x", "3"), ("lake/t/", ""), ("lake/t/sub/", "")]
    {
        server.put(key, content.as_bytes());
    }
    let list = async |prefix: &str| -> Vec<String> {
        let prefix = format!("{}{prefix}", client.warehouse());
        client
            .list(&prefix)
            .map(|entry| entry.unwrap().location.replace(client.warehouse(), ""))
            .collect()
            .await
    };
    assert_eq!(list("/t").await, ["/t//x", "/t/x"]);
    assert_eq!(list("/t/").await, ["/t//x", "/t/x"]);
    assert_eq!(list("/t//").await, ["/t//x"]);
    assert_eq!(list("//t").await, ["//t/x"]);
    client.file_io().delete_prefix(format!("{}/t//", client.warehouse())).await.unwrap();
    assert_eq!(list("").await, ["//t/x", "/t/x"]);
    // The check of a location uses the same keys.
    client.check_at(&format!("{}//odd", client.warehouse())).await.unwrap();
    assert_eq!(list("").await.len(), 2);
}
