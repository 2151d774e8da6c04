//! A storage that fails as planned.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use floe_core::{Environment, FileEntry, Result, StorageCapabilities, StorageClient, SystemEnvironment};
use futures::StreamExt;
use futures::stream::BoxStream;
use iceberg::io::{FileIO, FileIOBuilder};

use super::faults::{Call, FaultPlan, Faults, Operation};
use super::faulty_io::{FaultyFactory, Shared};

/// Wraps a storage and lets its calls fail as a [`FaultPlan`] says; without rules it behaves as what it wraps.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use std::sync::Arc;
/// use floe_core::{Error, ErrorKind, StorageClient};
/// use floe_testkit::storage::*;
///
/// let full = FaultRule::new(Operation::Write, "*", Fault::DiskFull { after_bytes: 4 });
/// let storage = FaultyStorage::new(Arc::new(MemoryStorage::new()), FaultPlan::of(full));
/// let file = storage.file_io().new_output("memory://warehouse/x")?;
/// let error: Error = file.write("hello".into()).await.unwrap_err().into();
/// assert_eq!(error.kind(), ErrorKind::StorageFull);
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct FaultyStorage {
    inner: Arc<dyn StorageClient>,
    shared: Arc<Shared>,
    file_io: FileIO,
}

impl FaultyStorage {
    /// Wraps `inner`; delays are real.
    pub fn new(inner: Arc<dyn StorageClient>, plan: FaultPlan) -> Self {
        Self::with_environment(inner, plan, Arc::new(SystemEnvironment))
    }

    /// Wraps `inner`; delays are on the clock of `environment`.
    pub fn with_environment(
        inner: Arc<dyn StorageClient>,
        plan: FaultPlan,
        environment: Arc<dyn Environment>,
    ) -> Self {
        let shared = Arc::new(Shared { file_io: inner.file_io(), faults: Faults::new(plan), environment });
        let file_io = FileIOBuilder::new(Arc::new(FaultyFactory::new(Arc::clone(&shared)))).build();
        Self { inner, shared, file_io }
    }

    /// Puts another plan in force. Calls stay on record; its rules count from here.
    pub fn set_plan(&self, plan: FaultPlan) {
        self.shared.faults.set_plan(plan);
    }

    /// Every call so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.faults.calls()
    }

    /// How many calls of each kind there were.
    pub fn counts(&self) -> BTreeMap<Operation, u64> {
        self.shared.faults.counts()
    }
}

#[async_trait]
impl StorageClient for FaultyStorage {
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
                    let after = futures::stream::iter(verdict.after.map(Err));
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
                    if let (Some(error), Some((_, result))) = (verdict.after, results.last_mut()) {
                        *result = Err(error);
                    }
                    futures::stream::iter(results)
                }
            })
            .flatten()
            .boxed()
    }

    async fn check(&self) -> Result<()> {
        let location = self.inner.warehouse();
        let verdict = self.shared.enter(Operation::Check, location, 0).await?;
        self.inner.check().await?;
        verdict.after.map_or(Ok(()), Err)
    }
}
