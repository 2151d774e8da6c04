//! Azure holds the storage contract: Azurite.

use std::sync::Arc;

use floe_core::{PluginConfig, StorageClient, StoragePlugin};
use floe_storage_azure::AzureStoragePlugin;
use floe_testkit::contract::storage;
use floe_testkit::services::AzureService;

#[tokio::test(flavor = "multi_thread")]
async fn azurite_holds_the_contract() {
    let Some(service) = AzureService::azurite() else { return };
    storage::run_all(|| async {
        let config = PluginConfig::new("test", &service.properties()).expect("configuration");
        AzureStoragePlugin::new().connect(&config).await.expect("connects") as Arc<dyn StorageClient>
    })
    .await;
}
