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
    async fn connect(&self, sync: bool) -> Arc<dyn StorageClient> {
        let folder = tempfile::tempdir().expect("temporary folder");
        let warehouse = folder.path().join("ware house %20 é").display().to_string();
        self.0.lock().expect("no panic").push(folder);
        let properties =
            Properties::default().with("warehouse", warehouse).with("local.sync", sync.to_string());
        let config = PluginConfig::new("test", &properties).expect("configuration");
        LocalStoragePlugin::new().connect(&config).await.expect("connects")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn local_storage_holds_the_contract() {
    let folders = Folders::default();
    storage::run_all(|| folders.connect(false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn local_storage_keeps_odd_names_apart_as_the_operating_system_does() {
    let folders = Folders::default();
    storage::odd_keys_never_meet(folders.connect(false).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn local_storage_that_flushes_holds_the_contract() {
    let folders = Folders::default();
    storage::what_is_written_is_read(folders.connect(true).await).await;
    storage::an_overwrite_is_visible_whole(folders.connect(true).await).await;
    storage::a_large_file_arrives_whole(folders.connect(true).await).await;
    storage::the_check_passes_and_leaves_nothing(folders.connect(true).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn local_storage_behind_the_fault_injector_holds_the_contract() {
    let folders = Folders::default();
    storage::run_all(|| async {
        let inner = folders.connect(false).await;
        Arc::new(FaultyStorage::new(inner, FaultPlan::none())) as Arc<dyn StorageClient>
    })
    .await;
}
