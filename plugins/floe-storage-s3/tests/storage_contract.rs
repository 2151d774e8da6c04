//! S3 holds the storage contract on real servers.

use std::sync::Arc;

use floe_core::{PluginConfig, Properties, StorageClient, StoragePlugin};
use floe_storage_s3::S3StoragePlugin;
use floe_testkit::contract::storage;
use floe_testkit::services::S3Service;

async fn connect(properties: &Properties) -> Arc<dyn StorageClient> {
    let config = PluginConfig::new("test", properties).expect("configuration");
    S3StoragePlugin::new().connect(&config).await.expect("connects")
}

#[tokio::test(flavor = "multi_thread")]
async fn versitygw_holds_the_contract() {
    let Some(service) = S3Service::versitygw() else { return };
    storage::run_all(|| async { connect(&service.properties()).await }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn minio_holds_the_contract() {
    let Some(service) = S3Service::minio() else { return };
    storage::run_all(|| async { connect(&service.properties()).await }).await;
}
