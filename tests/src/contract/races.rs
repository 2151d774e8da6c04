//! Several writers at once, and replies that are lost.

use std::sync::Arc;

use floe::env::SystemEnvironment;
use floe::iceberg::TableIdent;
use floe::model::{ChangeOptions, DeleteConfig, IcebergTableManagerConfig, WriteConfig};
use floe::{ErrorKind, IcebergTableManager};
use floe_testkit::catalog::{Fault, FaultPlan, FaultyCatalog, Method};
use floe_testkit::http::HttpFault;
use futures::future::join_all;

use super::Target;
use super::rows::{append, delete, read, some, sorted, upsert, write};

/// Many attempts, and little waiting between them.
fn patient() -> IcebergTableManagerConfig {
    IcebergTableManagerConfig {
        max_commit_retries: 10,
        retry_base_delay_seconds: 0.1,
        ..IcebergTableManagerConfig::default()
    }
}

/// Appends of several managers at once are all there, each once, in a line of snapshots.
pub async fn concurrent_appends_lose_nothing(target: &Target) {
    const WRITERS: i64 = 4;
    const EACH: i64 = 3;
    let table = target.table("raced").await;
    let mut managers = Vec::new();
    for _ in 0..WRITERS {
        managers.push(target.another_with(patient()).await);
    }
    let writer = |(n, manager): (i64, &IcebergTableManager)| {
        let (manager, table) = (manager.clone(), table.clone());
        async move {
            for round in 0..EACH {
                append(&manager, &table, &some([n * 100 + round], "a", "x")).await;
            }
        }
    };
    join_all((0..).zip(&managers).map(writer)).await;
    let expected = sorted([(0..WRITERS).flat_map(|n| some(n * 100..n * 100 + EACH, "a", "x")).collect()]);
    assert_eq!(read(&target.manager, &table).await, expected);
    let snapshots = target.manager.list_snapshots(&table).await.unwrap();
    assert_eq!(snapshots.len() as i64, WRITERS * EACH);
    let mut numbers: Vec<i64> = snapshots.iter().map(|s| s.sequence_number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=WRITERS * EACH).collect::<Vec<_>>(), "each snapshot has a number of its own");
}

/// Writers on different partitions do not disturb each other, whatever they do.
pub async fn writers_on_different_partitions_do_not_conflict(target: &Target) {
    let table = target.partitioned("apart").await;
    let parts = ["a", "b", "c"];
    let all =
        (0..).zip(parts).flat_map(|(n, part)| some(n * 100..n * 100 + 10, part, "old")).collect::<Vec<_>>();
    append(&target.manager, &table, &all).await;
    let managers = [
        target.another_with(patient()).await,
        target.another_with(patient()).await,
        target.another_with(patient()).await,
    ];
    let [a, b, c] = &managers;
    let (upserts, deletes) = (upsert(), DeleteConfig::default());
    let overwrites = WriteConfig {
        mode: floe::model::WriteMode::Overwrite,
        overwrite_filter: Some("part = 'c'".into()),
        ..WriteConfig::default()
    };
    let (upserted, replaced) = (some(0..5, "a", "new"), some(200..202, "c", "new"));
    let (first, second, third) = futures::join!(
        write(a, &table, &upserted, &upserts),
        delete(b, &table, "part = 'b' AND id < 105", &deletes),
        write(c, &table, &replaced, &overwrites),
    );
    for (what, outcome) in [("upsert", first), ("delete", second), ("overwrite", third)] {
        outcome.unwrap_or_else(|e| panic!("{what}: {e}"));
    }
    let expected = sorted([upserted, some(5..10, "a", "old"), some(105..110, "b", "old"), replaced]);
    assert_eq!(read(&target.manager, &table).await, expected);
}

/// Two updates of the same rows come one after the other: the one that is overtaken is run again.
pub async fn updates_of_the_same_rows_are_never_mixed(target: &Target) {
    let table = target.table("contended").await;
    append(&target.manager, &table, &some(0..20, "a", "old")).await;
    let (a, b) = (target.another_with(patient()).await, target.another_with(patient()).await);
    let (one, two, config) = (some(0..20, "a", "one"), some(0..20, "a", "two"), upsert());
    let (first, second) = futures::join!(write(&a, &table, &one, &config), write(&b, &table, &two, &config));
    for outcome in [first, second] {
        assert_eq!(outcome.unwrap().rows, 20);
    }
    let rows = read(&target.manager, &table).await;
    assert!(rows == one || rows == two, "{rows:?}");
}

/// A commit whose reply is lost is found again; one that never arrived is done once more or told as unknown.
pub async fn a_lost_reply_is_found_again(target: &Target) {
    let table = target.table("lost").await;
    append(&target.manager, &table, &some(0..3, "a", "x")).await;
    let (manager, faulty) = faulty(target);
    faulty.fail_next(Method::Commit, Fault::LostReply);
    let outcome = write(&manager, &table, &some(3..5, "a", "x"), &WriteConfig::default()).await.unwrap();
    assert_eq!(outcome.rows, 2);
    assert_eq!(read(&target.another().await, &table).await, some(0..5, "a", "x"));
    assert_once(target, &table, 2).await;

    faulty.fail_next(Method::Commit, Fault::LostRequest);
    let options = ChangeOptions { idempotency_key: Some("k".into()), ..ChangeOptions::default() };
    let key = WriteConfig { options, ..WriteConfig::default() };
    if let Err(e) = write(&manager, &table, &some(5..6, "a", "x"), &key).await {
        assert_eq!(e.kind(), ErrorKind::CommitStateUnknown, "{e}");
        // What the error asks for: look, and with a key simply call again.
        write(&manager, &table, &some(5..6, "a", "x"), &key).await.unwrap();
    }
    assert_eq!(read(&target.another().await, &table).await, some(0..6, "a", "x"));
    assert_once(target, &table, 3).await;
}

/// The same on the wire: the server did what was asked, and the connection broke before its reply.
pub async fn a_reply_lost_on_the_wire_is_found_again(target: &Target) {
    let Some((manager, proxy, rule)) = target.through_proxy(HttpFault::LostReply).await else {
        println!("n/a: the catalog has no HTTP server");
        return;
    };
    let table = target.table("wire").await;
    append(&target.manager, &table, &some(0..3, "a", "x")).await;
    proxy.inject(rule);
    append(&manager, &table, &some(3..5, "a", "x")).await;
    assert_eq!(proxy.met(), [HttpFault::LostReply]);
    assert_eq!(read(&target.another().await, &table).await, some(0..5, "a", "x"));
    assert_once(target, &table, 2).await;
}

/// Conflicts that come from nowhere are overcome.
pub async fn spurious_conflicts_are_tried_again(target: &Target) {
    let table = target.table("spurious").await;
    let (manager, faulty) = faulty(target);
    faulty.fail_next(Method::Commit, Fault::SpuriousConflict);
    let outcome = write(&manager, &table, &some(0..2, "a", "x"), &WriteConfig::default()).await.unwrap();
    assert_eq!(outcome.attempts, 2);
    assert_eq!(read(&target.another().await, &table).await, some(0..2, "a", "x"));
}

/// A manager whose catalog calls can be made to go wrong on their way.
fn faulty(target: &Target) -> (IcebergTableManager, Arc<FaultyCatalog>) {
    let catalog = target.manager.catalog().clone();
    let catalog = Arc::new(FaultyCatalog::new(catalog, FaultPlan::none(), Arc::new(SystemEnvironment)));
    let storage = target.manager.storage().clone();
    (IcebergTableManager::new(catalog.clone(), storage, patient()).unwrap(), catalog)
}

async fn assert_once(target: &Target, table: &TableIdent, snapshots: usize) {
    assert_eq!(target.another().await.list_snapshots(table).await.unwrap().len(), snapshots);
}
