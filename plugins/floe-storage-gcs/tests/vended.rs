//! Access tokens that a catalog gives for one table; the adapter before fake-gcs-server checks them.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use floe_core::{
    CredentialProvider, ErrorKind, PluginConfig, Properties, Result, SecretString, StorageClient,
    StoragePlugin, VendedCredentials,
};
use floe_storage_gcs::GcsStoragePlugin;
use floe_testkit::gcs_xml::{Accepted, GcsXml};
use floe_testkit::services;

/// A catalog that gives a token, and another when it is asked for it.
#[derive(Debug)]
struct Catalog {
    given: Mutex<Arc<[VendedCredentials]>>,
    next: &'static str,
}

fn token(token: &str) -> Arc<[VendedCredentials]> {
    let properties = [("gcs.oauth2.token".to_owned(), SecretString::new(token))].into();
    vec![VendedCredentials { prefix: String::new(), properties, expires_at_ms: None }].into()
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
        *self.given.lock().expect("lock") = token(self.next);
        Ok(self.current())
    }
}

async fn storage(adapter: &GcsXml, bucket: &str) -> Arc<dyn StorageClient> {
    let properties = Properties::default()
        .with("warehouse", format!("gs://{bucket}/{}", uuid::Uuid::new_v4()))
        .with("gcs.service.host", adapter.endpoint())
        .with("gcs.oauth2.token", "own-token");
    let config = PluginConfig::new("test", &properties).expect("configuration");
    GcsStoragePlugin::new().connect(&config).await.expect("connects")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_is_replaced_in_the_middle_of_a_write() {
    let Some([endpoint, bucket]) = services::find(["FLOE_TEST_GCS_ENDPOINT", "FLOE_TEST_GCS_BUCKET"]) else {
        return;
    };
    let accepted: Accepted = Arc::new(Mutex::new(Some("first".to_owned())));
    let adapter = GcsXml::start_with(&endpoint, Arc::clone(&accepted)).await.expect("a free port");
    let own = storage(&adapter, &bucket).await;
    let error = own.check().await.expect_err("its own token is none that is accepted");
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");

    let catalog = Arc::new(Catalog { given: Mutex::new(token("first")), next: "second" });
    let vended = own.with_credentials(catalog).expect("takes credentials from a catalog");
    let location = format!("{}/data/large", vended.warehouse());
    let piece = Bytes::from(vec![7_u8; 10 << 20]);
    let mut writer = vended.file_io().new_output(&location).expect("output").writer().await.expect("writer");
    writer.write(piece.clone()).await.expect("with the first token");
    *accepted.lock().expect("lock") = Some("second".to_owned());
    writer.write(piece.clone()).await.expect("with the second token");
    writer.close().await.expect("completes");
    let read = vended.file_io().new_input(&location).expect("input").read().await.expect("reads");
    assert_eq!(read.len(), 2 * piece.len());
}
