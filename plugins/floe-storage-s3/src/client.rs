//! Opening buckets.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use floe_core::{Error, ErrorKind, Result, StorageCapabilities, address};
use floe_object_store::{
    Network, NetworkOptions, ObjectStoreClient, ObjectStoreStorage, StoreOptions, StoreProvider, Vended,
    seconds,
};
use object_store::ObjectStore;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use serde::{Deserialize, Serialize};

use crate::config::S3StorageConfig;
use crate::credentials::Source;
use crate::error::cannot_open;
use crate::names::{check_bucket, check_region, fits_host};
use crate::vended::{VendedKeys, has_keys};

/// The URI schemes of S3; all of them mean the same files.
pub(crate) const SCHEMES: &[&str] = &["s3", "s3a", "s3n"];

/// Where nothing says otherwise.
const DEFAULT_REGION: &str = "us-east-1";

/// What S3 does: `If-None-Match: *`, files that show whole, `DeleteObjects`.
const CAPABILITIES: StorageCapabilities =
    StorageCapabilities { create_if_absent: true, atomic_write: true, bulk_delete: true };

/// A client for the warehouse of this configuration. Makes no request.
pub(crate) async fn connect(config: S3StorageConfig) -> Result<ObjectStoreClient> {
    let config = with_region(config).await?;
    let warehouse = config.warehouse.clone();
    let stores = S3Stores::new(config);
    stores.network()?;
    if let Some(endpoint) = stores.endpoint(&env).filter(|_| stores.config.warns_of_http()) {
        address::warn_if_exposed("s3.endpoint", "s3.allow-http", &endpoint);
    }
    ObjectStoreClient::new(ObjectStoreStorage::new(Arc::new(stores)), &warehouse, CAPABILITIES)
}

/// The value of an environment variable; an empty one counts as absent.
fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// With the region of the profile, where credentials come from one and nothing else says the region.
async fn with_region(config: S3StorageConfig) -> Result<S3StorageConfig> {
    #[cfg(feature = "profiles")]
    if config.region.is_none()
        && config.client_region.is_none()
        && env("AWS_REGION").or_else(|| env("AWS_DEFAULT_REGION")).is_none()
        && let Ok(Source::Sdk(chain)) = Source::choose(&config, &env)
    {
        let region = crate::chain::region(*chain, &config).await;
        return Ok(S3StorageConfig { region, ..config });
    }
    Ok(config)
}

/// How requests are sent.
pub(crate) fn network_options(config: &S3StorageConfig) -> Result<NetworkOptions> {
    let mut options = NetworkOptions { proxy: config.proxy_uri.clone(), ..NetworkOptions::default() };
    options.ca_file.clone_from(&config.ca_file);
    if let Some(limit) = config.connect_timeout {
        options = options.with_connect_timeout(seconds("s3.connect-timeout", limit)?);
    }
    if let Some(limit) = config.request_timeout {
        options = options.with_request_timeout(seconds("s3.request-timeout", limit)?);
    }
    options.max_retries = config.retry_num_retries.unwrap_or(options.max_retries);
    options.min_backoff = config.retry_min_wait_ms.map_or(options.min_backoff, Duration::from_millis);
    options.max_backoff = config.retry_max_wait_ms.map_or(options.max_backoff, Duration::from_millis);
    if options.min_backoff > options.max_backoff {
        return Err(Error::validation("s3.retry.min-wait-ms must not be above s3.retry.max-wait-ms"));
    }
    Ok(options)
}

/// The buckets that one configuration reaches.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct S3Stores {
    config: S3StorageConfig,
    /// Made at the first use; shared by all buckets.
    #[serde(skip)]
    network: Arc<OnceLock<Network>>,
}

impl S3Stores {
    pub(crate) fn new(config: S3StorageConfig) -> Self {
        Self { config, network: Arc::default() }
    }

    fn network(&self) -> Result<Network> {
        if let Some(network) = self.network.get() {
            return Ok(network.clone());
        }
        let network = Network::new(network_options(&self.config)?)?;
        Ok(self.network.get_or_init(|| network).clone())
    }

    /// The same connections with what a catalog says about the bucket.
    fn laid_under(&self, vended: S3StorageConfig) -> Result<Self> {
        let mut config = self.config.clone();
        config.lay(vended, self.endpoint(&env).as_deref())?;
        Ok(Self { config, network: Arc::clone(&self.network) })
    }

    /// The address that the user says, if any.
    fn endpoint(&self, env: &dyn Fn(&str) -> Option<String>) -> Option<String> {
        let endpoint = self.config.endpoint.clone();
        endpoint.or_else(|| env("AWS_ENDPOINT_URL_S3")).or_else(|| env("AWS_ENDPOINT_URL"))
    }

    /// Everything about a bucket but its credentials.
    fn builder(&self, bucket: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<AmazonS3Builder> {
        check_bucket(bucket)?;
        let config = &self.config;
        let network = self.network()?;
        let region = config.region.clone().or_else(|| config.client_region.clone());
        let region = region.or_else(|| env("AWS_REGION")).or_else(|| env("AWS_DEFAULT_REGION"));
        let endpoint = self.endpoint(env);
        if let (None, Some(region)) = (&endpoint, &region) {
            check_region(region)?;
        }
        let path_style = config.path_style_access.or(config.force_virtual_addressing.map(|v| !v));
        let path_style = path_style.unwrap_or_else(|| endpoint.is_some() || !fits_host(bucket));
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(region.as_deref().unwrap_or(DEFAULT_REGION))
            .with_virtual_hosted_style_request(!path_style)
            .with_allow_http(true)
            .with_retry(network.options().retry())
            .with_http_connector(network)
            .with_request_payer(config.requester_pays.unwrap_or(false));
        if let Some(endpoint) = endpoint {
            let endpoint = if path_style { endpoint } else { in_host(&endpoint, bucket) };
            builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
        }
        if config.checksum_enabled == Some(true) {
            builder = builder.with_checksum_algorithm(Checksum::SHA256);
        }
        if let Some((kind, key)) = config.encryption()? {
            builder = builder.with_config(option("aws_server_side_encryption")?, kind);
            let name = if kind == "sse-c" { "aws_sse_customer_key_base64" } else { "aws_sse_kms_key_id" };
            if let Some(key) = key {
                builder = builder.with_config(option(name)?, key);
            }
        }
        Ok(builder)
    }
}

#[typetag::serde(name = "s3")]
impl StoreProvider for S3Stores {
    fn schemes(&self) -> &'static [&'static str] {
        SCHEMES
    }

    fn open(&self, authority: &str) -> Result<Arc<dyn ObjectStore>> {
        check_bucket(authority)?;
        let source = Source::choose(&self.config, &env)?;
        let builder = self.builder(authority, &env)?;
        let builder = match source {
            #[cfg(feature = "profiles")]
            Source::Sdk(chain) => {
                let region = builder.get_config_value(&AmazonS3ConfigKey::Region).unwrap_or_default();
                let keys = Arc::new(crate::chain::SdkKeys::new(*chain, &self.config, region));
                let network = self.network()?.with_renewal(keys.clone());
                builder.with_credentials(keys).with_http_connector(network)
            }
            source => source.apply(builder, &env)?,
        };
        Ok(Arc::new(builder.build().map_err(|e| cannot_open(&e, authority))?))
    }

    fn takes_credentials(&self) -> bool {
        true
    }

    fn open_vended(&self, authority: &str, vended: &Vended) -> Result<Option<Arc<dyn ObjectStore>>> {
        let given = vended.current()?;
        if given.keys().next().is_none() {
            return Ok(None);
        }
        check_bucket(authority)?;
        let stores = self.laid_under(S3StorageConfig::vended(&given)?)?;
        if !has_keys(&given) {
            return stores.open(authority).map(Some);
        }
        let builder = stores.builder(authority, &env)?;
        let region = builder.get_config_value(&AmazonS3ConfigKey::Region).unwrap_or_default();
        let requester_pays = stores.config.requester_pays.unwrap_or(false);
        let keys = Arc::new(VendedKeys { vended: vended.clone(), region, requester_pays });
        let network = stores.network()?.with_renewal(keys.clone());
        let builder = builder.with_credentials(keys).with_http_connector(network);
        Ok(Some(Arc::new(builder.build().map_err(|e| cannot_open(&e, authority))?)))
    }

    fn options(&self) -> StoreOptions {
        let default = StoreOptions::default();
        StoreOptions {
            part_bytes: self.config.multipart_part_size_bytes.unwrap_or(default.part_bytes),
            parts_in_flight: self.config.multipart_num_threads.unwrap_or(default.parts_in_flight),
            deletes_in_flight: self.config.delete_num_threads.unwrap_or(default.deletes_in_flight),
            deletes_per_request: self.config.delete_batch_size.unwrap_or(default.deletes_per_request),
            ..default
        }
    }
}

/// An option whose key `object_store` does not export as a type.
fn option(name: &str) -> Result<AmazonS3ConfigKey> {
    name.parse().map_err(|_| Error::new(ErrorKind::Internal, format!("object_store knows no option {name}")))
}

/// The endpoint with the bucket in its host name.
fn in_host(endpoint: &str, bucket: &str) -> String {
    match endpoint.split_once("://") {
        Some((scheme, host)) => format!("{scheme}://{bucket}.{host}"),
        None => format!("{bucket}.{endpoint}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where requests for a bucket go.
    fn address(pairs: &[(&str, &str)], env: &[(&str, &str)], bucket: &str) -> String {
        let config = crate::config::tests::config(pairs).unwrap();
        let env = |name: &str| env.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).to_owned());
        let builder = S3Stores::new(config).builder(bucket, &env).unwrap();
        let value = |key| builder.get_config_value(&key).unwrap_or_default();
        format!(
            "{} {} {}",
            value(AmazonS3ConfigKey::Endpoint),
            value(AmazonS3ConfigKey::Region),
            value(AmazonS3ConfigKey::VirtualHostedStyleRequest)
        )
    }

    #[test]
    fn the_address_follows_endpoint_style_and_region() {
        let minio = ("s3.endpoint", "http://h:9000/");
        assert_eq!(address(&[], &[], "bkt"), " us-east-1 true");
        assert_eq!(address(&[], &[], "b.c.d"), " us-east-1 false");
        assert_eq!(address(&[minio], &[], "bkt"), "http://h:9000 us-east-1 false");
        assert_eq!(
            address(&[minio, ("s3.path-style-access", "false")], &[], "bkt"),
            "http://bkt.h:9000 us-east-1 true"
        );
        assert_eq!(
            address(&[minio, ("s3.force-virtual-addressing", "True")], &[], "bkt"),
            "http://bkt.h:9000 us-east-1 true"
        );
        assert_eq!(address(&[("s3.path-style-access", "true")], &[], "bkt"), " us-east-1 false");
        assert_eq!(address(&[("client.region", "x"), ("s3.region", "y")], &[], "bkt"), " y true");
        let env = [("AWS_REGION", "z"), ("AWS_ENDPOINT_URL", "http://e")];
        assert_eq!(address(&[], &env, "bkt"), "http://e z false");
        assert_eq!(address(&[minio, ("s3.region", "y")], &env, "bkt"), "http://h:9000 y false");
    }
}
