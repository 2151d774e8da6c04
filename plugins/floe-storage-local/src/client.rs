//! Opening local files as an object store.

use std::sync::Arc;

use floe_core::{Error, Result, StorageCapabilities};
use floe_object_store::{ObjectStoreClient, ObjectStoreStorage, StoreOptions, StoreProvider};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use serde::{Deserialize, Serialize};

/// The URI schemes of local files.
pub(crate) const SCHEMES: &[&str] = &["file"];

/// A client for the warehouse at this absolute path; `sync` flushes each file to the device.
pub(crate) fn connect(warehouse: &str, sync: bool) -> Result<ObjectStoreClient> {
    let storage = ObjectStoreStorage::new(Arc::new(LocalFiles { sync }));
    let capabilities = StorageCapabilities { create_if_absent: true, atomic_write: true, bulk_delete: false };
    ObjectStoreClient::new(storage, warehouse, capabilities)
}

/// The file system of this machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LocalFiles {
    sync: bool,
}

#[typetag::serde(name = "local")]
impl StoreProvider for LocalFiles {
    fn schemes(&self) -> &'static [&'static str] {
        SCHEMES
    }

    fn open(&self, authority: &str) -> Result<Arc<dyn ObjectStore>> {
        if !authority.is_empty() {
            return Err(Error::validation(format!("files on the host '{authority}' are not local"))
                .with_hint("write file:///path with three slashes"));
        }
        Ok(Arc::new(LocalFileSystem::new()))
    }

    fn options(&self) -> StoreOptions {
        StoreOptions {
            part_bytes: 256 << 10,
            double_parts_after: 0,
            parts_in_flight: 2,
            deletes_in_flight: 16,
            deletes_per_request: 1,
            local_files: true,
            sync_files: self.sync,
        }
    }
}
