//! Shared access signatures that a catalog gives for one table, on Azurite.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use floe_core::{
    CredentialProvider, PluginConfig, Properties, Result, SecretString, StorageClient, StoragePlugin,
    VendedCredentials,
};
use floe_storage_azure::AzureStoragePlugin;
use floe_testkit::services::AzureService;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// A signature for the container until `end` (Azure, "Create a service SAS", version 2020-12-06).
fn signature(service: &AzureService, end: &str) -> VendedCredentials {
    let AzureService { account, container, key, .. } = service;
    let (permissions, version) = ("racwdl", "2020-12-06");
    let text = format!(
        "{permissions}\n\n{end}\n/blob/{account}/{container}\n\n\nhttps,http\n{version}\nc\n\n\n\n\n\n\n"
    );
    let key = BASE64_STANDARD.decode(key).expect("a key in base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key");
    mac.update(text.as_bytes());
    let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    let encode = |text: &str| text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let sas = format!(
        "sp={permissions}&se={}&spr=https,http&sv={version}&sr=c&sig={}",
        end.replace(':', "%3A"),
        encode(&signature)
    );
    let host = format!("{account}.dfs.core.windows.net");
    VendedCredentials {
        prefix: format!("abfss://{container}@{host}/"),
        properties: [(format!("adls.sas-token.{host}"), SecretString::new(sas))].into(),
        expires_at_ms: None,
    }
}

/// A catalog that gives one signature, and another when it is asked for it.
#[derive(Debug)]
struct Catalog {
    given: Mutex<Arc<[VendedCredentials]>>,
    next: Mutex<Option<VendedCredentials>>,
    renewals: AtomicUsize,
}

impl Catalog {
    fn giving(first: VendedCredentials, next: Option<VendedCredentials>) -> Arc<Self> {
        let given = Mutex::new(vec![first].into());
        Arc::new(Self { given, next: Mutex::new(next), renewals: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl CredentialProvider for Catalog {
    fn current(&self) -> Arc<[VendedCredentials]> {
        self.given.lock().expect("lock").clone()
    }

    async fn credentials(&self) -> Result<Arc<[VendedCredentials]>> {
        Ok(self.current())
    }

    async fn renewed(&self) -> Result<Arc<[VendedCredentials]>> {
        self.renewals.fetch_add(1, Ordering::SeqCst);
        if let Some(next) = self.next.lock().expect("lock").take() {
            *self.given.lock().expect("lock") = vec![next].into();
        }
        Ok(self.current())
    }
}

/// A storage that has no credentials of its own.
async fn storage(service: &AzureService) -> Arc<dyn StorageClient> {
    let AzureService { endpoint, account, container, .. } = service;
    let folder = uuid::Uuid::new_v4();
    let (scheme, authority) = endpoint.split_once("://").expect("a URL");
    let authority = authority.split('/').next().expect("a host");
    let properties = Properties::default()
        .with("warehouse", format!("abfss://{container}@{account}.dfs.core.windows.net/{folder}"))
        .with("adls.blob-storage-authority", authority)
        .with("adls.blob-storage-scheme", scheme)
        .with("adls.anon", "true");
    let config = PluginConfig::new("test", &properties).expect("configuration");
    AzureStoragePlugin::new().connect(&config).await.expect("connects")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_of_a_catalog_opens_the_table() {
    let Some(service) = AzureService::azurite() else { return };
    let own = storage(&service).await;
    let catalog = Catalog::giving(signature(&service, "2099-01-01T00:00:00Z"), None);
    let vended = own.with_credentials(catalog).expect("Azure takes credentials from a catalog");
    vended.check().await.expect("with the signature");
    own.check().await.expect_err("without it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_has_ended_is_replaced() {
    let Some(service) = AzureService::azurite() else { return };
    let ended = signature(&service, "2001-01-01T00:00:00Z");
    let catalog = Catalog::giving(ended.clone(), Some(signature(&service, "2099-01-01T00:00:00Z")));
    let vended = storage(&service).await.with_credentials(catalog.clone()).expect("takes credentials");
    let location = format!("{}/data/large", vended.warehouse());
    let piece = Bytes::from(vec![7_u8; 10 << 20]);
    let mut writer = vended.file_io().new_output(&location).expect("output").writer().await.expect("writer");
    writer.write(piece.clone()).await.expect("the first block");
    writer.write(piece.clone()).await.expect("more blocks");
    writer.close().await.expect("completes");
    assert!(catalog.renewals.load(Ordering::SeqCst) >= 1);
    let read = vended.file_io().new_input(&location).expect("input").read().await.expect("reads");
    assert_eq!(read.len(), 2 * piece.len());

    let stale = Catalog::giving(ended, None);
    let refused = storage(&service).await.with_credentials(stale).expect("takes credentials");
    let error = refused.check().await.expect_err("it has ended");
    assert!(!format!("{error} {error:?}").contains("sig="), "{error:?}");
}
