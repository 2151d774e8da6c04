//! floe storage plugin `s3`: a warehouse in Amazon S3, or in a store that speaks its protocol (MinIO, Ceph,
//! versitygw, R2 …).
//!
//! Properties are those of PyIceberg and of Iceberg for Java (`s3.endpoint`, `s3.access-key-id` …), so that a
//! configuration of either works as it is. `s3://`, `s3a://` and `s3n://` are one scheme: a file has one name,
//! whichever of them a location is written with.
//!
//! Credentials come from the first of: `s3.anonymous`; `s3.access-key-id`; `client.access-key-id`; the profile
//! `s3.profile-name` or `client.profile-name`; `AWS_ACCESS_KEY_ID`; the profile `AWS_PROFILE`; a web identity
//! (`AWS_WEB_IDENTITY_TOKEN_FILE`, as EKS sets it); the service of a container; that of the machine. A role
//! (`s3.role-arn`, `client.role-arn`, `client.assume-role.arn`) is assumed with the configured keys, or the profile, or
//! what else the AWS SDK finds. Profiles and roles need the feature `profiles`; without it they are refused, not passed
//! over.
//!
//! An address that nobody answers at is an error after some seconds; a store that asks for fewer requests
//! (`SlowDown`, 503, 429) is given time. Files above 8 MiB are written in parts, eight at once, which are removed
//! again when the write fails.
//!
//! ```
//! use floe_core::{PluginConfig, Properties, StoragePlugin};
//! use floe_storage_s3::S3StoragePlugin;
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let properties = Properties::default()
//!     .with("warehouse", "s3a://lake/tables")
//!     .with("s3.endpoint", "http://localhost:9000")
//!     .with("s3.access-key-id", "testing")
//!     .with("s3.secret-access-key", "env:HOME");
//! let config = PluginConfig::new("lake", &properties)?;
//! let storage = S3StoragePlugin::new().connect(&config).await?;
//! assert_eq!(storage.warehouse(), "s3a://lake/tables");
//! # Ok::<(), floe_core::Error>(())
//! # }).unwrap();
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

#[cfg(feature = "profiles")]
mod chain;
mod client;
mod config;
mod credentials;
mod error;
mod names;
mod signature;
mod vended;

use std::sync::Arc;

use async_trait::async_trait;
use floe_core::{PluginConfig, PluginDescriptor, PluginKind, Result, StorageClient, StoragePlugin};

pub use config::S3StorageConfig;

floe_core::register_storage!(|| Arc::new(S3StoragePlugin::new()));

/// The storage plugin `s3`, schemes `s3`, `s3a` and `s3n`.
#[derive(Debug, Clone, Copy, Default)]
pub struct S3StoragePlugin;

impl S3StoragePlugin {
    /// The plugin.
    pub fn new() -> Self {
        Self
    }
}

#[async_trait]
impl StoragePlugin for S3StoragePlugin {
    fn descriptor(&self) -> PluginDescriptor {
        PluginDescriptor {
            kind: PluginKind::Storage,
            name: "s3",
            summary: "A warehouse in Amazon S3, or in a store that speaks its protocol",
            version: env!("CARGO_PKG_VERSION"),
            schemes: client::SCHEMES,
            config_schema: schemars::schema_for!(S3StorageConfig),
        }
    }

    async fn connect(&self, config: &PluginConfig) -> Result<Arc<dyn StorageClient>> {
        Ok(Arc::new(client::connect(S3StorageConfig::new(config)?).await?))
    }
}
