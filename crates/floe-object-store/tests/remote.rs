//! The path that remote stores take, over a store in memory: multipart writes, many deletions by one
//! request, errors, and what is serialised.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use floe_core::{Error, ErrorKind, Result, SecretString, StorageCapabilities, StorageClient};
use floe_object_store::{ObjectStoreClient, ObjectStoreStorage, StoreOptions, StoreProvider};
use floe_testkit::contract::storage;
use iceberg::io::Storage;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use serde::{Deserialize, Serialize};

/// Buckets in memory, opened when they are first used.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Buckets {
    key: SecretString,
    #[serde(skip)]
    opened: Arc<Mutex<Vec<String>>>,
}

#[typetag::serde(name = "test-buckets")]
impl StoreProvider for Buckets {
    fn schemes(&self) -> &'static [&'static str] {
        &["mem", "mema"]
    }

    fn open(&self, authority: &str) -> Result<Arc<dyn ObjectStore>> {
        self.opened.lock().unwrap().push(authority.to_owned());
        Ok(Arc::new(InMemory::new()))
    }

    fn options(&self) -> StoreOptions {
        StoreOptions { part_bytes: 1 << 20, double_parts_after: 4, ..StoreOptions::default() }
    }
}

fn connect(buckets: Buckets) -> ObjectStoreClient {
    let capabilities = StorageCapabilities { create_if_absent: true, atomic_write: true, bulk_delete: true };
    let storage = ObjectStoreStorage::new(Arc::new(buckets));
    ObjectStoreClient::new(storage, "mem://bucket/ware house/", capabilities).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_store_holds_the_contract() {
    storage::run_all(|| async { Arc::new(connect(Buckets::default())) as Arc<dyn StorageClient> }).await;
}

#[tokio::test]
async fn each_bucket_is_opened_once_whatever_its_scheme_is_called() {
    let buckets = Buckets::default();
    let client = connect(buckets.clone());
    let io = client.file_io();
    for location in ["mem://bucket/x", "mema://bucket/y", "mem://other/x"] {
        io.new_output(location).unwrap().write(Bytes::from_static(b"x")).await.unwrap();
    }
    assert!(client.file_io().exists("mem://bucket/y").await.unwrap());
    assert_eq!(*buckets.opened.lock().unwrap(), ["bucket", "other"]);
}

#[tokio::test]
async fn a_whole_bucket_is_never_deleted() {
    let client = connect(Buckets::default());
    let error = Error::from(client.file_io().delete_prefix("mem://bucket/").await.unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Validation);
}

#[tokio::test]
async fn neither_debug_nor_serialised_form_shows_a_secret() {
    let client = connect(Buckets { key: SecretString::new("hunter2"), ..Buckets::default() });
    let storage: Box<dyn Storage> = Box::new(client.storage().clone());
    let json = serde_json::to_string(&storage).unwrap();
    assert!(!json.contains("hunter2"), "{json}");
    assert!(!format!("{client:?} {storage:?} {:?}", client.file_io()).contains("hunter2"));
    let back: Box<dyn Storage> = serde_json::from_str(&json).unwrap();
    assert!(!back.exists("mem://bucket/x").await.unwrap(), "it opens its stores anew");
}
