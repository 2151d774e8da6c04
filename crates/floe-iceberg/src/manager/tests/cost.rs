//! What an attempt after a conflict asks of the storage, call by call.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use floe_core::Result;
use floe_testkit::storage::{After, Call, MemoryStorage, Operation, StorageHook};

use super::act::Act;
use super::lake::{Lake, rows};
use crate::execute::rows::RowMode;
use crate::model::{ChangeOptions, WriteConfig};

/// The calls of one manager's storage since another one committed.
#[derive(Debug)]
struct Recorder {
    storage: Arc<MemoryStorage>,
    /// What was stored before the other one began, and when it was done; the calls after that.
    seen: Mutex<(BTreeSet<String>, Option<BTreeSet<String>>, Vec<Call>)>,
    /// What this one wrote before.
    own: Mutex<BTreeSet<String>>,
}

impl Recorder {
    fn new(storage: &Arc<MemoryStorage>) -> Arc<Self> {
        Arc::new(Self { storage: storage.clone(), seen: Mutex::default(), own: Mutex::default() })
    }

    fn other_begins(&self) {
        self.seen.lock().unwrap().0 = self.storage.locations().into_iter().collect();
    }

    fn other_is_done(&self) {
        self.seen.lock().unwrap().1 = Some(self.storage.locations().into_iter().collect());
    }

    /// How often each thing was done to whose file.
    fn costs(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let (before, then, calls) = &*seen;
        let own = self.own.lock().unwrap();
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for Call { operation, location } in calls {
            let whose = match location {
                of if own.contains(of) => "own",
                of if before.contains(of) => "an old",
                of if then.as_ref().is_some_and(|then| then.contains(of)) => "their",
                _ => "a new",
            };
            let name = location.rsplit('/').next().unwrap();
            let what = match name {
                _ if name.ends_with(".metadata.json") => "metadata",
                _ if name.starts_with("snap-") => "list",
                _ if name.ends_with(".avro") => "manifest",
                _ => "data file",
            };
            *counts.entry(format!("{operation:?} {whose} {what}")).or_default() += 1;
        }
        counts.into_iter().map(|(what, times)| format!("{times} {what}")).collect()
    }
}

#[async_trait]
impl StorageHook for Recorder {
    async fn before(&self, call: &Call, _bytes: u64) -> Result<After> {
        let mut seen = self.seen.lock().unwrap();
        if seen.1.is_some() {
            seen.2.push(call.clone());
        } else if matches!(call.operation, Operation::Write | Operation::Close) {
            self.own.lock().unwrap().insert(call.location.clone());
        }
        Ok(After::default())
    }
}

/// What the second attempt of `mine` costs when `theirs` was committed after the first one was prepared, on a table
/// with a manifest for each of its partitions `a` and `b`.
async fn second_attempt(mine: Act, theirs: Act, mode: RowMode) -> Vec<String> {
    let lake = Lake::new(&[]).await;
    for part in [[(1, "a", 1), (2, "a", 2)], [(3, "b", 3), (4, "b", 4)]] {
        lake.manager.write_data(&lake.table, rows(&part), &WriteConfig::default()).await.unwrap();
    }
    let recorder = Recorder::new(&lake.storage);
    let (other, table, marks) = (lake.another(), lake.table.clone(), recorder.clone());
    let options = ChangeOptions { row_mode: Some(mode), ..ChangeOptions::default() };
    let others = options.clone();
    let manager = lake.hooked_after(recorder.clone(), async move {
        marks.other_begins();
        theirs.run(&other, &table, others).await.unwrap();
        marks.other_is_done();
    });
    let done = mine.run(&manager, &lake.table, options).await.unwrap();
    assert_eq!(done.attempts, 2);
    recorder.costs()
}

/// What every second attempt has to do: find out that it lost, read the list of the new head, write one of its own and
/// the metadata, and remove the list of the attempt that failed.
const LEAST: [&str; 5] = [
    "1 Delete own list",
    "1 Read their list",
    "1 Read their metadata",
    "1 Write a new list",
    "1 Write a new metadata",
];

fn least_and(more: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = LEAST.iter().chain(more).map(|&cost| cost.to_owned()).collect();
    all.sort_by(|a, b| a[2..].cmp(&b[2..]));
    all
}

#[tokio::test]
async fn an_append_after_a_conflict_costs_one_manifest_list() {
    for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
        for theirs in [Act::Append(8, "b"), Act::Delete("part = 'b' AND id = 3")] {
            let costs = second_attempt(Act::Append(7, "a"), theirs, mode).await;
            assert_eq!(costs, least_and(&[]), "{theirs:?} {mode:?}");
        }
    }
}

/// The guards look at what the other one added, and at nothing else.
#[tokio::test]
async fn changes_of_rows_after_a_conflict_read_the_manifests_that_are_new() {
    for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
        for mine in [
            Act::Delete("part = 'a' AND id = 1"),
            Act::Upsert(1, "a"),
            Act::Overwrite("part = 'a' AND id = 1", 9, "a"),
        ] {
            for theirs in [Act::Append(8, "b"), Act::Delete("part = 'b' AND id = 3")] {
                let costs = second_attempt(mine, theirs, mode).await;
                assert_eq!(costs, least_and(&["1 Read their manifest"]), "{mine:?} {theirs:?} {mode:?}");
            }
        }
    }
}
