//! What a storage plugin says about its stores.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use floe_core::Result;
use object_store::ObjectStore;
use serde::{Deserialize, Serialize};

use crate::vended::Vended;

/// Opens the stores of one kind of storage.
///
/// Serialised with the storage it belongs to, so that another process can open the same stores. A provider
/// keeps secrets in [`floe_core::SecretString`], which serialises as `***`: the other process must get them
/// from its own environment, and `open` says so when it cannot. `Debug` must show no secret.
#[typetag::serde(tag = "provider")]
pub trait StoreProvider: fmt::Debug + Send + Sync {
    /// The URI schemes served; all of them mean the same stores.
    fn schemes(&self) -> &'static [&'static str];

    /// Opens the store behind the authority of a URI (the bucket, the container; empty for local files).
    /// Called once for each authority; makes no request yet.
    fn open(&self, authority: &str) -> Result<Arc<dyn ObjectStore>>;

    /// Opens the store with the credentials of a catalog, which it asks for as it needs them. `None` where they
    /// are none for this kind of store; the store is then opened with its own.
    fn open_vended(&self, _authority: &str, _vended: &Vended) -> Result<Option<Arc<dyn ObjectStore>>> {
        Ok(None)
    }

    /// Whether [`open_vended`](Self::open_vended) may open a store.
    fn takes_credentials(&self) -> bool {
        false
    }

    /// Why the store cannot hold an object of this name, where it would give it another. Nothing by default.
    fn refuses(&self, _path: &str) -> Option<&'static str> {
        None
    }

    /// The one spelling of an authority, where a store has several (`c@account.blob.core.windows.net` and
    /// `c@account.dfs.core.windows.net`).
    fn canonical<'a>(&self, authority: &'a str) -> Cow<'a, str> {
        authority.into()
    }

    /// How to read from and write to these stores.
    fn options(&self) -> StoreOptions {
        StoreOptions::default()
    }
}

/// How to read from and write to a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct StoreOptions {
    /// Bytes of the first part of a multipart write. A file up to this size is written by one request.
    pub part_bytes: usize,
    /// After each run of this many parts, parts double in size, so that no file needs more parts than a
    /// store allows (10,000 on S3). 0: they never grow.
    pub double_parts_after: usize,
    /// Parts of one file under way at once.
    pub parts_in_flight: usize,
    /// Deletions under way at once.
    pub deletes_in_flight: usize,
    /// Files deleted by one request, where the store can do that; 1 where it cannot.
    pub deletes_per_request: usize,
    /// The store is a local file system: a reader keeps its file open, and folders are removed with the
    /// prefix they stand for.
    pub local_files: bool,
    /// Flush each file and its folder to the device before the write counts as done; local files only.
    pub sync_files: bool,
}

impl Default for StoreOptions {
    /// For object stores over a network.
    fn default() -> Self {
        Self {
            part_bytes: 8 << 20,
            double_parts_after: 1000,
            parts_in_flight: 8,
            deletes_in_flight: 16,
            deletes_per_request: 1000,
            local_files: false,
            sync_files: false,
        }
    }
}

impl StoreOptions {
    /// Bytes of the part with this index, counted from 0.
    ///
    /// ```
    /// let options = floe_object_store::StoreOptions::default();
    /// // 10,000 parts hold more than the 5 TiB that S3 allows in one object.
    /// let total: u64 = (0..10_000).map(|i| options.part_size(i) as u64).sum();
    /// assert!(total > 5 << 40);
    /// ```
    pub fn part_size(&self, index: usize) -> usize {
        let doublings = index.checked_div(self.double_parts_after).unwrap_or(0).min(9);
        self.part_bytes.max(1) << doublings
    }
}
