//! Google Cloud Storage holds the storage contract: fake-gcs-server, behind an adapter to the XML interface.

use std::sync::Arc;

use floe_core::{PluginConfig, Properties, StorageClient, StoragePlugin};
use floe_storage_gcs::GcsStoragePlugin;
use floe_testkit::contract::storage;
use floe_testkit::gcs_xml::GcsXml;
use floe_testkit::services;

#[tokio::test(flavor = "multi_thread")]
async fn fake_gcs_server_holds_the_contract() {
    let Some([endpoint, bucket]) = services::find(["FLOE_TEST_GCS_ENDPOINT", "FLOE_TEST_GCS_BUCKET"]) else {
        return;
    };
    let adapter = GcsXml::start(&endpoint).await.expect("a free port");
    storage::run_all(|| async {
        let properties = Properties::default()
            .with("warehouse", format!("gs://{bucket}/{}", uuid::Uuid::new_v4()))
            .with("gcs.service.host", adapter.endpoint())
            .with("gcs.no-auth", "true");
        let config = PluginConfig::new("test", &properties).expect("configuration");
        GcsStoragePlugin::new().connect(&config).await.expect("connects") as Arc<dyn StorageClient>
    })
    .await;
}
