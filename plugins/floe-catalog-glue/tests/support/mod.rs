//! An empty Data Catalog for each test: one account of the moto server that `FLOE_TEST_GLUE_ENDPOINT` names, behind a
//! proxy that can lose requests and replies.

#![allow(clippy::unwrap_used, dead_code, unused_imports)]

pub(crate) mod proxy;

use std::sync::Arc;

use floe_catalog_glue::GlueCatalogPlugin;
use floe_core::{
    CatalogClient, CatalogPlugin, PluginConfig, Properties, Result, StorageClient, StoragePlugin,
};
use floe_storage_local::LocalStoragePlugin;
use floe_testkit::contract::catalog::CatalogUnderTest;
use floe_testkit::services;

pub(crate) use proxy::{Fault, Proxy};

/// A Data Catalog and a warehouse of local files.
pub(crate) struct Lake {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) storage: Arc<dyn StorageClient>,
    pub(crate) proxy: Arc<Proxy>,
}

impl Lake {
    /// `None` when tests with servers are left out.
    pub(crate) async fn new() -> Option<Self> {
        let [endpoint] = services::find(["FLOE_TEST_GLUE_ENDPOINT"])?;
        // An account has twelve digits; moto keeps each apart.
        let account = 100_000_000_000 + uuid::Uuid::new_v4().as_u128() % 900_000_000_000;
        let folder = tempfile::tempdir().unwrap();
        let properties = Properties::default().with("warehouse", folder.path().display().to_string());
        let storage =
            LocalStoragePlugin::new().connect(&PluginConfig::new("", &properties).unwrap()).await.unwrap();
        Some(Self { folder, storage, proxy: Arc::new(Proxy::start(&endpoint, account).await) })
    }

    /// A client with more properties, in the order of precedence last to first.
    pub(crate) async fn open_with(&self, properties: &[(&str, &str)]) -> Result<Arc<dyn CatalogClient>> {
        let mut all = Properties::default()
            .with("glue.endpoint", self.proxy.endpoint())
            .with("glue.region", "eu-central-1")
            .with("glue.access-key-id", "AKIAIOSFODNN7EXAMPLE")
            .with("glue.secret-access-key", SECRET);
        for (key, value) in properties {
            all.set(*key, *value);
        }
        GlueCatalogPlugin.connect(&PluginConfig::new("lake", &all).unwrap(), self.storage.clone()).await
    }

    pub(crate) async fn open(&self) -> Arc<dyn CatalogClient> {
        self.open_with(&[]).await.unwrap()
    }

    /// For the contract suite, with two clients.
    pub(crate) async fn under_test(self, properties: &[(&str, &str)]) -> CatalogUnderTest {
        CatalogUnderTest {
            client: self.open_with(properties).await.unwrap(),
            second: self.open_with(properties).await.unwrap(),
            storage: self.storage,
            guard: Box::new((self.folder, self.proxy)),
        }
    }

    /// Glue itself, to see and to make what floe does not.
    pub(crate) fn glue(&self) -> aws_sdk_glue::Client {
        use aws_sdk_glue::config::{BehaviorVersion, Builder, Credentials, Region};
        let config = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("AKIAIOSFODNN7EXAMPLE", SECRET, None, None, "test"))
            .endpoint_url(self.proxy.endpoint())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        aws_sdk_glue::Client::from_conf(config)
    }
}

/// What must never be shown.
pub(crate) const SECRET: &str = "hunter2-hunter2-hunter2-hunter2-hunter2x";
