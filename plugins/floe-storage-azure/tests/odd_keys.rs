//! Keys are opaque: the store is asked for the one that a location names, byte for byte, or the location is refused.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use floe_core::{PluginConfig, Properties, StorageClient, StoragePlugin};
use floe_storage_azure::AzureStoragePlugin;
use floe_testkit::contract::{keys, storage};
use floe_testkit::http::ObjectServer;

/// A storage over a store in memory that keeps keys as they come.
async fn connect() -> (ObjectServer, Arc<dyn StorageClient>) {
    let server = ObjectServer::start(2).await;
    let connection =
        format!("AccountName=account;AccountKey=aHVudGVyMg==;BlobEndpoint={}/account", server.uri());
    let properties: Properties = [
        ("warehouse", "abfss://box@account.dfs.core.windows.net/lake"),
        ("adls.connection-string", &connection),
    ]
    .into_iter()
    .collect();
    let config = PluginConfig::new("test", &properties).unwrap();
    let client: Arc<dyn StorageClient> = AzureStoragePlugin::new().connect(&config).await.unwrap();
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
    keys::keys_are_sent_as_they_are(&server, client).await;
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_refused_for_all_that_is_done_and_changes_nothing() {
    let (server, client) = connect().await;
    keys::impossible_keys_are_refused(&server, client).await;
}

#[tokio::test]
async fn a_folder_with_two_slashes_is_another_and_markers_of_folders_are_no_files() {
    let (server, client) = connect().await;
    keys::folders_are_told_apart(&server, client).await;
}
