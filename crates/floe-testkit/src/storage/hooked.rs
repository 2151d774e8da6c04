//! A storage that asks before each call.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use floe_core::{Error, FileEntry, Result, StorageCapabilities, StorageClient};
use futures::StreamExt;
use futures::stream::BoxStream;
use iceberg::io::{FileIO, FileIOBuilder};

use super::faults::{Call, Operation};
use super::hooked_io::{HookedFactory, Shared};

/// Decides about each call to a [`HookedStorage`], and may hold it up.
#[async_trait]
pub trait StorageHook: Send + Sync + fmt::Debug {
    /// Called before a call that writes `bytes` bytes. An error makes the call fail without any effect.
    async fn before(&self, call: &Call, bytes: u64) -> Result<After>;
}

/// What happens to a call after it took effect.
#[derive(Debug, Default)]
pub struct After {
    /// It reports this error all the same, as when a reply is lost.
    pub error: Option<Error>,
    /// A read gives at most this many bytes.
    pub truncate: Option<usize>,
}

/// Lets every call pass.
#[derive(Debug)]
pub(super) struct Unhooked;

#[async_trait]
impl StorageHook for Unhooked {
    async fn before(&self, _call: &Call, _bytes: u64) -> Result<After> {
        Ok(After::default())
    }
}

/// Wraps a storage and asks a [`StorageHook`] before each of its calls.
#[derive(Debug, Clone)]
pub struct HookedStorage {
    inner: Arc<dyn StorageClient>,
    shared: Arc<Shared>,
    file_io: FileIO,
}

impl HookedStorage {
    /// Wraps `inner`.
    pub fn new(inner: Arc<dyn StorageClient>, hook: Arc<dyn StorageHook>) -> Self {
        let shared = Arc::new(Shared { file_io: inner.file_io(), hook });
        let file_io = FileIOBuilder::new(Arc::new(HookedFactory::new(Arc::clone(&shared)))).build();
        Self { inner, shared, file_io }
    }
}

#[async_trait]
impl StorageClient for HookedStorage {
    fn file_io(&self) -> FileIO {
        self.file_io.clone()
    }

    fn warehouse(&self) -> &str {
        self.inner.warehouse()
    }

    fn capabilities(&self) -> StorageCapabilities {
        self.inner.capabilities()
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<FileEntry>> {
        let (inner, shared, prefix) = (Arc::clone(&self.inner), Arc::clone(&self.shared), prefix.to_owned());
        futures::stream::once(async move {
            match shared.enter(Operation::List, &prefix, 0).await {
                Ok(verdict) => {
                    let after = futures::stream::iter(verdict.error.map(Err));
                    inner.list(&prefix).chain(after).boxed()
                }
                Err(e) => futures::stream::iter([Err(e)]).boxed(),
            }
        })
        .flatten()
        .boxed()
    }

    fn delete_many(&self, locations: BoxStream<'static, String>) -> BoxStream<'static, (String, Result<()>)> {
        let (inner, shared) = (Arc::clone(&self.inner), Arc::clone(&self.shared));
        locations
            .then(move |location| {
                let (inner, shared) = (Arc::clone(&inner), Arc::clone(&shared));
                async move {
                    let verdict = match shared.enter(Operation::Delete, &location, 0).await {
                        Ok(verdict) => verdict,
                        Err(e) => return futures::stream::iter(vec![(location, Err(e))]),
                    };
                    let one = futures::stream::iter([location]).boxed();
                    let mut results: Vec<_> = inner.delete_many(one).collect().await;
                    if let (Some(error), Some((_, result))) = (verdict.error, results.last_mut()) {
                        *result = Err(error);
                    }
                    futures::stream::iter(results)
                }
            })
            .flatten()
            .boxed()
    }

    async fn check_at(&self, location: &str) -> Result<()> {
        let verdict = self.shared.enter(Operation::Check, location, 0).await?;
        self.inner.check_at(location).await?;
        verdict.error.map_or(Ok(()), Err)
    }
}
