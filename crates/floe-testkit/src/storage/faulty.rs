//! A storage that fails as planned.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use floe_core::{Environment, FileEntry, Result, StorageCapabilities, StorageClient, SystemEnvironment};
use futures::stream::BoxStream;
use iceberg::io::FileIO;

use super::faults::{Call, FaultPlan, Faults, Operation};
use super::hooked::{After, HookedStorage, StorageHook};

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
    hooked: HookedStorage,
    planned: Arc<Planned>,
}

/// A plan, and the clock that delays are on.
#[derive(Debug)]
struct Planned {
    faults: Faults,
    environment: Arc<dyn Environment>,
}

#[async_trait]
impl StorageHook for Planned {
    async fn before(&self, call: &Call, bytes: u64) -> Result<After> {
        let mut verdict = self.faults.decide(call.operation, &call.location, bytes);
        if verdict.delay_ms > 0 {
            self.environment.sleep(Duration::from_millis(verdict.delay_ms)).await;
        }
        let after = After { error: verdict.after, truncate: verdict.truncate };
        verdict.before.take().map_or(Ok(after), Err)
    }
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
        let planned = Arc::new(Planned { faults: Faults::new(plan), environment });
        Self { hooked: HookedStorage::new(inner, planned.clone()), planned }
    }

    /// Puts another plan in force. Calls stay on record; its rules count from here.
    pub fn set_plan(&self, plan: FaultPlan) {
        self.planned.faults.set_plan(plan);
    }

    /// Every call so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.planned.faults.calls()
    }

    /// How many calls of each kind there were.
    pub fn counts(&self) -> BTreeMap<Operation, u64> {
        self.planned.faults.counts()
    }
}

#[async_trait]
impl StorageClient for FaultyStorage {
    fn file_io(&self) -> FileIO {
        self.hooked.file_io()
    }

    fn warehouse(&self) -> &str {
        self.hooked.warehouse()
    }

    fn capabilities(&self) -> StorageCapabilities {
        self.hooked.capabilities()
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<FileEntry>> {
        self.hooked.list(prefix)
    }

    fn delete_many(&self, locations: BoxStream<'static, String>) -> BoxStream<'static, (String, Result<()>)> {
        self.hooked.delete_many(locations)
    }

    async fn check_at(&self, location: &str) -> Result<()> {
        self.hooked.check_at(location).await
    }
}
