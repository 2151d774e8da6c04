//! Iceberg storage over [`object_store`]: the ground every storage plugin of floe stands on.
//!
//! A plugin implements [`StoreProvider`] (which schemes, how to open a bucket) and gets from it an Iceberg
//! [`Storage`](iceberg::io::Storage) with cached clients, range reads and concurrent multipart writes
//! ([`ObjectStoreStorage`]), and a whole [`StorageClient`](floe_core::StorageClient) with listing, deletion
//! and an accessibility check ([`ObjectStoreClient`]).
//!
//! Locations are literal strings, as the Iceberg specification has it: nothing is decoded, collapsed or resolved on
//! its way to a file or object name, so that `a%20b`, `a b`, `a//b`, `é`, `#` and `?` each name what they say. What
//! cannot be sent to a store so is refused ([`floe_core::location`]). Local files are what the operating system takes
//! them for, for which `a//b` is `a/b`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod client;
mod error;
mod keys;
mod provider;
mod read;
mod remote;
mod storage;
mod uri;
mod vended;
mod write;

pub use client::ObjectStoreClient;
pub use error::storage_error;
pub use provider::{StoreOptions, StoreProvider};
#[cfg(feature = "cloud")]
pub use remote::{Network, NetworkOptions, Renewal, seconds};
pub use storage::{ObjectStoreFactory, ObjectStoreStorage};
pub use uri::Uri;
pub use vended::Vended;
