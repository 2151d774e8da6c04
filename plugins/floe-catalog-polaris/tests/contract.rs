//! The catalog contract, on servers of the protocol.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::sync::Arc;

use floe_catalog_polaris::RestCatalogPlugin;
use floe_core::{CatalogClient, CatalogPlugin, PluginConfig, Registry, StorageClient, StorageRouter};
use floe_testkit::catalog::ScopedCatalog;
use floe_testkit::contract::catalog::{self, CatalogUnderTest};
use floe_testkit::http::{FaultProxy, TokenRules};
use support::{config, fixture, fresh, local};

/// Two clients of one server, below a namespace of their own.
async fn scoped(
    plugin: RestCatalogPlugin,
    properties: &PluginConfig,
    storage: Arc<dyn StorageClient>,
) -> CatalogUnderTest {
    let client = plugin.connect(properties, storage.clone()).await.unwrap();
    let second = plugin.connect(properties, storage.clone()).await.unwrap();
    let scope = fresh(client.as_ref()).await;
    let below = |client| -> Arc<dyn CatalogClient> { Arc::new(ScopedCatalog::new(client, scope.clone())) };
    CatalogUnderTest { client: below(client), second: below(second), storage, guard: Box::new(()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_reference_server_holds_the_contract() {
    let Some(server) = fixture() else { return };
    catalog::run_undamaged(|| async {
        let properties = config(&[("uri", &server.uri), ("rest-page-size", "50")]);
        scoped(RestCatalogPlugin::rest(), &properties, local(&server.warehouse).await).await
    })
    .await;
    // This server tries for a minute and a half to read damaged metadata; whoever asks has gone by then.
    let impatient = config(&[("uri", &server.uri), ("rest.client.socket-timeout-ms", "2000")]);
    let storage = local(&server.warehouse).await;
    let made = scoped(RestCatalogPlugin::rest(), &impatient, storage).await;
    catalog::damaged_metadata_is_named(&made).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_asks_for_tokens_and_ends_them_holds_the_contract() {
    let Some(server) = fixture() else { return };
    let proxy = FaultProxy::with_tokens(&server.uri, TokenRules::new("floe", "s3cret")).await;
    catalog::run_undamaged(|| async {
        // Each test meets a token that was good before.
        let properties = config(&[("uri", &proxy.uri()), ("credential", "floe:s3cret")]);
        let made = scoped(RestCatalogPlugin::polaris(), &properties, local(&server.warehouse).await).await;
        proxy.revoke_tokens();
        made
    })
    .await;
    assert!(proxy.issued_tokens() > 40, "every client had a first token and a second");
}

/// A running Polaris, where one is named. Its tables are where its catalog says, so that the storage plugin of that
/// place must be linked and named: local files here.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn polaris_holds_the_contract() {
    let variable = |name: &str| std::env::var(name).ok();
    let (Some(uri), Some(credential), Some(warehouse)) =
        (variable("FLOE_POLARIS_URL"), variable("FLOE_POLARIS_CREDENTIAL"), variable("FLOE_POLARIS_CATALOG"))
    else {
        println!(
            "NOT RUN: FLOE_POLARIS_URL, FLOE_POLARIS_CREDENTIAL and FLOE_POLARIS_CATALOG name no Polaris"
        );
        return;
    };
    let properties = config(&[("uri", &uri), ("credential", &credential), ("warehouse", &warehouse)]);
    let local = Registry::linked().storage("local").unwrap();
    catalog::run_all(|| async {
        let storage =
            Arc::new(StorageRouter::new(Registry::linked(), Some(local.clone()), properties.clone()));
        scoped(RestCatalogPlugin::polaris(), &properties, storage).await
    })
    .await;
}
