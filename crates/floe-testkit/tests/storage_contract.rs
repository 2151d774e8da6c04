//! The testkit's own storages pass the storage contract.

use std::sync::Arc;

use floe_core::{PluginConfig, Properties, StorageClient, StoragePlugin};
use floe_testkit::contract::storage;
use floe_testkit::storage::{FaultPlan, FaultyStorage, MemoryStorage, MemoryStoragePlugin};

#[tokio::test(flavor = "multi_thread")]
async fn memory_storage_holds_the_contract() {
    storage::run_all(|| async {
        let config = PluginConfig::new("test", &Properties::default()).expect("configuration");
        MemoryStoragePlugin::default().connect(&config).await.expect("connects")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_storage_keeps_odd_keys_apart() {
    storage::odd_keys_never_meet(Arc::new(MemoryStorage::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faulty_storage_without_faults_holds_the_contract() {
    storage::run_all(|| async {
        let inner = Arc::new(MemoryStorage::new());
        Arc::new(FaultyStorage::new(inner, FaultPlan::none())) as Arc<dyn StorageClient>
    })
    .await;
}
