//! The third party's plugin holds the contract of catalogs: the suite that floe's own plugins run, as it is published.

use audited_catalog as _;
use floe::config::PluginConfig;
use floe::{Properties, Registry};
use floe_testkit::contract::catalog::{CatalogUnderTest, losers_leave_no_metadata_file, run_all};

/// Two clients of one catalog, by the plugins that are linked.
async fn make() -> CatalogUnderTest {
    let folder = tempfile::tempdir().unwrap();
    let properties = Properties::default().with("warehouse", folder.path().to_string_lossy());
    let config = PluginConfig::new("audited", &properties).unwrap();
    let registry = Registry::linked();
    let storage = registry.storage("local").unwrap().connect(&config).await.unwrap();
    let plugin = registry.catalog("audited").unwrap();
    CatalogUnderTest {
        client: plugin.connect(&config, storage.clone()).await.unwrap(),
        second: plugin.connect(&config, storage.clone()).await.unwrap(),
        storage,
        guard: Box::new(folder),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_holds_the_contract() {
    run_all(make).await;
    losers_leave_no_metadata_file(&make().await).await;
}
