//! Local files hold the storage contract, bare and behind the fault injector.

use std::sync::{Arc, Mutex};

use floe_core::{PluginConfig, Properties, StorageClient, StoragePlugin};
use floe_storage_local::LocalStoragePlugin;
use floe_testkit::contract::storage;
use floe_testkit::storage::{FaultPlan, FaultyStorage};
use tempfile::TempDir;

/// Makes storages in folders of their own, which live as long as this does.
#[derive(Default)]
struct Folders(Mutex<Vec<TempDir>>);

impl Folders {
    async fn connect(&self) -> Arc<dyn StorageClient> {
        let folder = tempfile::tempdir().expect("temporary folder");
        let warehouse = folder.path().join("ware house %20 é").display().to_string();
        self.0.lock().expect("no panic").push(folder);
        let properties = Properties::default().with("warehouse", warehouse);
        let config = PluginConfig::new("test", &properties).expect("configuration");
        LocalStoragePlugin::new().connect(&config).await.expect("connects")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn local_storage_holds_the_contract() {
    let folders = Folders::default();
    storage::run_all(|| folders.connect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn local_storage_behind_the_fault_injector_holds_the_contract() {
    let folders = Folders::default();
    storage::run_all(|| async {
        let inner = folders.connect().await;
        Arc::new(FaultyStorage::new(inner, FaultPlan::none())) as Arc<dyn StorageClient>
    })
    .await;
}
