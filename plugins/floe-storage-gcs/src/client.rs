//! Opening buckets.

use std::sync::{Arc, OnceLock};

use floe_core::{Error, ErrorKind, Result, StorageCapabilities, address};
use floe_object_store::{
    Network, ObjectStoreClient, ObjectStoreStorage, StoreOptions, StoreProvider, Vended,
};
use object_store::ObjectStore;
use object_store::gcp::GoogleCloudStorageBuilder;
use serde::{Deserialize, Serialize};

use crate::config::GcsStorageConfig;
use crate::credentials::{TOKEN, Token, VendedToken};
use crate::error::cannot_open;
use crate::names::check_bucket;

/// The URI schemes of Google Cloud Storage; both mean the same files.
pub(crate) const SCHEMES: &[&str] = &["gs", "gcs"];
/// The least size of a part but the last.
const LEAST_PART: usize = 5 << 20;

/// What the store does: `x-goog-if-generation-match: 0`, files that show whole; no deletion of many at once.
const CAPABILITIES: StorageCapabilities =
    StorageCapabilities { create_if_absent: true, atomic_write: true, bulk_delete: false };

/// A client for the warehouse of this configuration. Makes no request.
pub(crate) fn connect(config: GcsStorageConfig) -> Result<ObjectStoreClient> {
    let warehouse = config.warehouse.clone();
    let stores = GcsStores::new(config);
    stores.network()?;
    let config = &stores.config;
    if let (Some(host), false, false) =
        (&config.service_host, config.no_auth == Some(true), config.allow_http == Some(true))
    {
        address::warn_if_exposed("gcs.service.host", "gcs.allow-http", host);
    }
    ObjectStoreClient::new(ObjectStoreStorage::new(Arc::new(stores)), &warehouse, CAPABILITIES)
}

/// The buckets that one configuration reaches.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct GcsStores {
    config: GcsStorageConfig,
    /// Made at the first use; shared by all buckets.
    #[serde(skip)]
    network: Arc<OnceLock<Network>>,
}

impl GcsStores {
    pub(crate) fn new(config: GcsStorageConfig) -> Self {
        Self { config, network: Arc::default() }
    }

    fn network(&self) -> Result<Network> {
        if let Some(network) = self.network.get() {
            return Ok(network.clone());
        }
        let network = Network::new(self.config.network_options()?)?;
        Ok(self.network.get_or_init(|| network).clone())
    }

    /// Everything about a bucket but its credentials.
    fn builder(&self, bucket: &str) -> Result<GoogleCloudStorageBuilder> {
        check_bucket(bucket)?;
        let network = self.network()?;
        let mut builder = GoogleCloudStorageBuilder::new()
            .with_bucket_name(bucket)
            .with_retry(network.options().retry())
            .with_http_connector(network);
        if let Some(host) = &self.config.service_host {
            builder = builder.with_base_url(host.trim_end_matches('/'));
        }
        Ok(builder)
    }

    fn with_credentials(&self, builder: GoogleCloudStorageBuilder) -> Result<GoogleCloudStorageBuilder> {
        let config = &self.config;
        if config.no_auth == Some(true) {
            // Given credentials keep the builder from looking for others; none are sent.
            let none = Arc::new(Token::none());
            return Ok(builder
                .with_credentials(none)
                .with_config(object_store::gcp::GoogleConfigKey::SkipSignature, "true"));
        }
        let secrets = [&config.token, &config.credentials_json];
        if secrets.into_iter().flatten().any(|secret| secret.expose() == "***") {
            return Err(Error::new(
                ErrorKind::Unauthenticated,
                "secrets do not travel with a serialised storage",
            )
            .with_hint("let the other process open the catalog by its own configuration"));
        }
        Ok(match (&config.token, &config.credentials_json, &config.credentials_file) {
            (Some(token), _, _) => {
                builder.with_credentials(Arc::new(Token::new(token, config.token_expires_at)))
            }
            (None, Some(json), _) => builder.with_service_account_key(json.expose()),
            (None, None, Some(path)) => builder.with_service_account_path(path),
            (None, None, None) => match std::env::var("GOOGLE_APPLICATION_CREDENTIALS") {
                Ok(path) if !path.is_empty() => builder.with_application_credentials(path),
                _ => builder,
            },
        })
    }
}

#[typetag::serde(name = "gcs")]
impl StoreProvider for GcsStores {
    fn schemes(&self) -> &'static [&'static str] {
        SCHEMES
    }

    fn open(&self, authority: &str) -> Result<Arc<dyn ObjectStore>> {
        let builder = self.with_credentials(self.builder(authority)?)?;
        Ok(Arc::new(builder.build().map_err(|e| cannot_open(&e, authority))?))
    }

    fn takes_credentials(&self) -> bool {
        true
    }

    fn open_vended(&self, authority: &str, vended: &Vended) -> Result<Option<Arc<dyn ObjectStore>>> {
        if vended.current()?.get(TOKEN).is_none() {
            return Ok(None);
        }
        let token = Arc::new(VendedToken(vended.clone()));
        let network = self.network()?.with_renewal(token.clone());
        let builder = self.builder(authority)?.with_credentials(token).with_http_connector(network);
        Ok(Some(Arc::new(builder.build().map_err(|e| cannot_open(&e, authority))?)))
    }

    fn options(&self) -> StoreOptions {
        let default = StoreOptions::default();
        let part_bytes = self.config.write_chunk_size_bytes.unwrap_or(default.part_bytes).max(LEAST_PART);
        StoreOptions { part_bytes, deletes_per_request: 1, ..default }
    }
}
