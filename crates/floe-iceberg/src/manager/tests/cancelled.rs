//! Writes that nobody waits for any more.

use std::sync::Arc;

use async_trait::async_trait;
use floe_core::Result;
use floe_testkit::storage::{After, Call, Operation, StorageHook};
use tokio::sync::Notify;

use super::act::Act;
use super::lake::{Lake, rows};
use crate::execute::rows::RowMode;
use crate::model::{ChangeOptions, WriteConfig};

/// Never lets a manifest list be written, and tells when that is tried.
#[derive(Debug, Default)]
struct Stuck(Notify);

#[async_trait]
impl StorageHook for Stuck {
    async fn before(&self, call: &Call, _bytes: u64) -> Result<After> {
        let list = call.location.rsplit('/').next().is_some_and(|name| name.starts_with("snap-"));
        if list && call.operation == Operation::Write {
            self.0.notify_one();
            std::future::pending::<()>().await;
        }
        Ok(After::default())
    }
}

async fn lake() -> Lake {
    let lake = Lake::new(&[]).await;
    let data = rows(&[(1, "a", 1), (2, "a", 2), (3, "b", 3)]);
    lake.manager.write_data(&lake.table, data, &WriteConfig::default()).await.unwrap();
    lake
}

/// Lets the runtime delete what it was left.
async fn until(done: impl Fn() -> bool) -> bool {
    for _ in 0..100_000 {
        if done() {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

#[tokio::test]
async fn what_was_written_and_not_proposed_is_deleted() {
    for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
        for act in [
            Act::Append(7, "a"),
            Act::Upsert(1, "a"),
            Act::Delete("id = 1"),
            Act::Overwrite("id < 3", 9, "a"),
            Act::Dynamic(9, "a"),
        ] {
            let lake = lake().await;
            let before = lake.storage.locations();
            let stuck = Arc::new(Stuck::default());
            let manager = lake.hooked_after(stuck.clone(), async {});
            let options = ChangeOptions { row_mode: Some(mode), ..ChangeOptions::default() };
            tokio::select! {
                done = act.run(&manager, &lake.table, options) => panic!("{act:?} ended: {done:?}"),
                () = stuck.0.notified() => assert!(lake.storage.locations().len() > before.len()),
            }
            assert!(
                until(|| lake.storage.locations() == before).await,
                "{act:?} {mode:?}: {:?}",
                lake.storage.locations()
            );
        }
    }
    let lake = lake().await;
    let before = lake.storage.locations();
    let stuck = Arc::new(Stuck::default());
    let manager = lake.hooked_after(stuck.clone(), async {});
    let transaction = manager.transaction(&lake.table).set_properties([("a", "b")]);
    let transaction = transaction.write(rows(&[(4, "c", 4)]), WriteConfig::default());
    tokio::select! {
        done = transaction.commit() => panic!("the transaction ended: {done:?}"),
        () = stuck.0.notified() => {}
    }
    assert!(until(|| lake.storage.locations() == before).await, "{:?}", lake.storage.locations());
    assert_eq!(lake.rows().await.len(), 3);
}

/// The catalog may have it by now, and may answer that it is committed.
#[tokio::test]
async fn what_was_proposed_is_left_alone() {
    let lake = lake().await;
    let before = lake.storage.locations().len();
    let asked = Arc::new(Notify::new());
    let told = asked.clone();
    let (manager, _) = lake.after(async move {
        told.notify_one();
        std::future::pending::<()>().await;
    });
    tokio::select! {
        done = Act::Append(7, "a").run(&manager, &lake.table, ChangeOptions::default()) => panic!("{done:?}"),
        () = asked.notified() => {}
    }
    // A data file, a manifest and a manifest list.
    let there = lake.storage.locations().len();
    assert_eq!(there, before + 3);
    assert!(!until(|| lake.storage.locations().len() != there).await);
}
