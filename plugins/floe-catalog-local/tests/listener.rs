//! Somebody else answers at the database's address: no password arrives there.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use floe_catalog_local::LocalCatalogPlugin;
use floe_core::{
    CatalogClient, CatalogPlugin, Error, ErrorKind, PluginConfig, Properties, StorageClient, StoragePlugin,
};
use floe_storage_local::LocalStoragePlugin;
use floe_testkit::postgres::PasswordThief;

async fn storage(folder: &std::path::Path) -> Arc<dyn StorageClient> {
    let properties = Properties::default().with("warehouse", folder.display().to_string());
    LocalStoragePlugin::new().connect(&PluginConfig::new("", &properties).unwrap()).await.unwrap()
}

/// What came of asking the catalog at `uri` for its namespaces.
async fn asked(uri: &str) -> Error {
    let folder = tempfile::tempdir().unwrap();
    let properties = Properties::default().with("uri", uri);
    let config = PluginConfig::new("default", &properties).unwrap();
    let client: Arc<dyn CatalogClient> =
        LocalCatalogPlugin.connect(&config, storage(folder.path()).await).await.unwrap();
    client.list_namespaces(None).await.unwrap_err()
}

/// An address of the loopback in a spelling that does not say so: floe takes it for another machine.
const ELSEWHERE: &str = "127.1";

#[tokio::test]
async fn no_password_goes_in_clear_to_whoever_answers_on_another_machine() {
    for parameters in ["", "&sslmode=require", "&sslmode=verify-ca", "&sslmode=verify-full"] {
        let thief = PasswordThief::start().await;
        let uri = format!(
            "postgresql://ann:hunter2@{ELSEWHERE}:{}/lake?connect_timeout=2{parameters}",
            thief.port()
        );
        let error = asked(&uri).await;
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        assert!(error.to_string().contains("sslmode"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        assert!(!thief.received().is_empty(), "it was spoken to");
        assert!(!thief.has("hunter2") && !thief.has("ann"), "{parameters}: the password arrived");
    }
}

#[tokio::test]
async fn who_says_so_sends_it_in_clear() {
    for (host, parameters) in
        [(ELSEWHERE, "&sslmode=disable"), (ELSEWHERE, "&sslmode=prefer"), ("127.0.0.1", "")]
    {
        let thief = PasswordThief::start().await;
        let uri =
            format!("postgresql://ann:hunter2@{host}:{}/lake?connect_timeout=2{parameters}", thief.port());
        let error = asked(&uri).await;
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        assert!(thief.has("hunter2"), "{host} {parameters}: the listener does hear passwords");
    }
}
