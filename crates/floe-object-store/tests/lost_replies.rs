//! Replies that get lost, and requests that are refused as a whole.

#![allow(clippy::unwrap_used)]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use floe_core::{ErrorKind, Result, StorageCapabilities, StorageClient};
use floe_object_store::{ObjectStoreClient, ObjectStoreStorage, StoreOptions, StoreProvider};
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, UploadPart,
};
use serde::{Deserialize, Serialize};

/// A store in memory that answers as a remote one whose replies get lost.
#[derive(Debug, Default)]
struct Lossy {
    inner: InMemory,
    deletes: AtomicUsize,
}

#[derive(Debug)]
struct LossyUpload(Box<dyn MultipartUpload>);

fn gone() -> Error {
    Error::NotFound { path: "x".into(), source: "NoSuchUpload".into() }
}

#[async_trait]
impl MultipartUpload for LossyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.0.put_part(data)
    }

    /// The reply to the first request is lost; the repeated one finds no such upload any more.
    async fn complete(&mut self) -> object_store::Result<PutResult> {
        self.0.complete().await?;
        Err(gone())
    }

    async fn abort(&mut self) -> object_store::Result<()> {
        Err(gone())
    }
}

impl fmt::Display for Lossy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lossy")
    }
}

#[async_trait]
impl ObjectStore for Lossy {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        if path.as_ref().ends_with("vanished") {
            let elsewhere = Path::from("elsewhere");
            return Ok(Box::new(LossyUpload(self.inner.put_multipart_opts(&elsewhere, options).await?)));
        }
        Ok(Box::new(LossyUpload(self.inner.put_multipart_opts(path, options).await?)))
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.inner.get_opts(path, options).await
    }

    /// Refuses each request as a whole.
    fn delete_stream(
        &self,
        paths: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.deletes.fetch_add(1, Ordering::SeqCst);
        drop(paths);
        let refused = Error::PermissionDenied { path: String::new(), source: "AccessDenied".into() };
        futures::stream::once(async { Err(refused) }).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Lossies {
    #[serde(skip)]
    store: Arc<Lossy>,
}

#[typetag::serde(name = "test-lossy")]
impl StoreProvider for Lossies {
    fn schemes(&self) -> &'static [&'static str] {
        &["lossy"]
    }

    fn open(&self, _authority: &str) -> Result<Arc<dyn ObjectStore>> {
        Ok(Arc::clone(&self.store) as Arc<dyn ObjectStore>)
    }

    fn options(&self) -> StoreOptions {
        StoreOptions { part_bytes: 1 << 20, ..StoreOptions::default() }
    }
}

fn connect(stores: &Lossies) -> ObjectStoreClient {
    let capabilities = StorageCapabilities { create_if_absent: true, atomic_write: true, bulk_delete: true };
    let storage = ObjectStoreStorage::new(Arc::new(stores.clone()));
    ObjectStoreClient::new(storage, "lossy://bucket/lake", capabilities).unwrap()
}

async fn write(client: &ObjectStoreClient, name: &str) -> iceberg::Result<()> {
    let output = client.file_io().new_output(format!("lossy://bucket/lake/{name}"))?;
    let mut writer = output.writer().await?;
    writer.write(Bytes::from(vec![1; 3 << 20])).await?;
    writer.close().await
}

#[tokio::test]
async fn a_completion_whose_reply_was_lost_is_a_success() {
    let client = connect(&Lossies::default());
    write(&client, "file").await.unwrap();
    let input = client.file_io().new_input("lossy://bucket/lake/file").unwrap();
    assert_eq!(input.metadata().await.unwrap().size, 3 << 20);
}

#[tokio::test]
async fn an_upload_that_vanished_is_a_failure() {
    let client = connect(&Lossies::default());
    write(&client, "vanished").await.unwrap_err();
}

#[tokio::test]
async fn a_refused_deletion_of_many_is_not_repeated_for_each() {
    let stores = Lossies::default();
    let client = connect(&stores);
    let locations: Vec<String> = (0..500).map(|i| format!("lossy://bucket/lake/{i}")).collect();
    let answers: Vec<_> = client.delete_many(futures::stream::iter(locations).boxed()).collect().await;
    assert_eq!(answers.len(), 500);
    assert!(answers.iter().all(|(_, r)| r.as_ref().unwrap_err().kind() == ErrorKind::PermissionDenied));
    assert_eq!(stores.store.deletes.load(Ordering::SeqCst), 1);
}
