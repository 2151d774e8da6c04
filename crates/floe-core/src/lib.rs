//! Contracts of floe: what a catalog plugin and a storage plugin must offer, how plugins are found, how they
//! are configured, and how failures are told.
//!
//! A plugin crate implements [`CatalogPlugin`] or [`StoragePlugin`] and registers itself with
//! [`register_catalog!`] or [`register_storage!`]; an application finds it by name in a [`Registry`].
//! Nothing in this crate performs IO, except for the helpers in [`metadata_file`] which read and write
//! Iceberg table metadata through the storage that a plugin gave.

pub mod address;
pub mod catalog;
pub mod config;
mod credentials;
pub mod env;
mod error;
pub mod guard;
pub mod hosts;
pub mod json_id;
pub mod limits;
pub mod location;
pub mod metadata_file;
pub mod names;
pub mod plugin;
mod registry;
mod roots;
mod router;
pub mod schema;
pub mod secret;
pub mod span;
pub mod storage;
pub mod text;
mod turn;

pub use catalog::{
    CatalogCapabilities, CatalogClient, CatalogPlugin, CommitOutcome, LoadedTable, NameRules, TableChange,
    TablesOutcome,
};
pub use config::{FloeConfig, PluginConfig, Properties};
pub use credentials::{CredentialProvider, VendedCredentials};
pub use env::{Environment, SystemEnvironment};
pub use error::{Action, Error, ErrorKind, Result};
pub use plugin::{PluginDescriptor, PluginKind};
pub use registry::{CatalogRegistration, FeatureAnnouncement, PluginFeature, Registry, StorageRegistration};
pub use roots::{Reach, TableRoots, guarded};
pub use router::{StorageRouter, no_local_files};
pub use secret::{SecretRef, SecretString};
pub use storage::{FileEntry, StorageCapabilities, StorageClient, StoragePlugin};
pub use turn::{CommitTurn, TaskQueues};

/// Re-exported so that [`register_catalog!`], [`register_storage!`] and [`announce_features!`] work in any crate.
#[doc(hidden)]
pub use inventory;
