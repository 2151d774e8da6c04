//! The catalog contract, on the local catalog over local files.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use floe_catalog_local::LocalCatalogPlugin;
use floe_core::{CatalogPlugin, PluginConfig, Properties, StoragePlugin};
use floe_storage_local::LocalStoragePlugin;
use floe_testkit::contract::catalog::{self, CatalogUnderTest};

async fn make() -> CatalogUnderTest {
    let folder = tempfile::tempdir().unwrap();
    let properties = Properties::default().with("warehouse", folder.path().display().to_string());
    let config = PluginConfig::new("default", &properties).unwrap();
    let storage = LocalStoragePlugin::new().connect(&config).await.unwrap();
    CatalogUnderTest {
        client: LocalCatalogPlugin.connect(&config, storage.clone()).await.unwrap(),
        second: LocalCatalogPlugin.connect(&config, storage.clone()).await.unwrap(),
        storage,
        guard: Box::new(folder),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_local_catalog_holds_the_contract() {
    catalog::run_all(make).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn losers_leave_no_metadata_file() {
    catalog::losers_leave_no_metadata_file(&make().await).await;
}

mod in_memory {
    use floe_testkit::SeededEnvironment;
    use floe_testkit::catalog::{FaultPlan, FaultyCatalog, MemoryCatalog};

    use super::*;

    async fn make_memory() -> CatalogUnderTest {
        let local = make().await;
        let catalog = MemoryCatalog::new(local.storage.as_ref(), Arc::new(SeededEnvironment::new(1)));
        CatalogUnderTest {
            second: Arc::new(catalog.another_client()),
            client: Arc::new(catalog),
            storage: local.storage,
            guard: local.guard,
        }
    }

    #[tokio::test]
    async fn the_memory_catalog_holds_the_contract() {
        catalog::run_all(make_memory).await;
        catalog::losers_leave_no_metadata_file(&make_memory().await).await;
    }

    #[tokio::test]
    async fn a_faulty_catalog_without_faults_holds_the_contract() {
        catalog::run_all(|| async {
            let memory = make_memory().await;
            let env = Arc::new(SeededEnvironment::new(1));
            CatalogUnderTest {
                client: Arc::new(FaultyCatalog::new(memory.client, FaultPlan::none(), env)),
                ..memory
            }
        })
        .await;
    }
}
