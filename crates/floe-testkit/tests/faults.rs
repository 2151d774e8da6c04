//! The faulty storage does to its calls what its plan says.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use floe_core::{Error, ErrorKind, StorageClient};
use floe_testkit::SeededEnvironment;
use floe_testkit::storage::{Fault, FaultPlan, FaultRule, FaultyStorage, MemoryStorage, Operation};
use futures::StreamExt;

const FILE: &str = "memory://warehouse/t/x.parquet";

fn storage(rule: FaultRule) -> FaultyStorage {
    FaultyStorage::new(Arc::new(MemoryStorage::new()), FaultPlan::of(rule))
}

async fn write(storage: &FaultyStorage, content: &'static str) -> Result<(), Error> {
    Ok(storage.file_io().new_output(FILE)?.write(Bytes::from_static(content.as_bytes())).await?)
}

async fn read(storage: &FaultyStorage) -> Result<Bytes, Error> {
    Ok(storage.file_io().new_input(FILE)?.read().await?)
}

#[tokio::test]
async fn an_error_before_has_no_effect() {
    let storage = storage(FaultRule::new(Operation::Write, "*", Fault::ErrorBefore(ErrorKind::Timeout)));
    assert_eq!(write(&storage, "x").await.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(read(&storage).await.unwrap_err().kind(), ErrorKind::FileNotFound);
}

#[tokio::test]
async fn an_error_after_has_its_effect() {
    let storage = storage(FaultRule::new(Operation::Write, "*", Fault::ErrorAfter(ErrorKind::Unavailable)));
    assert_eq!(write(&storage, "x").await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(read(&storage).await.unwrap(), "x");
}

#[tokio::test]
async fn a_failed_piece_leaves_no_file() {
    let rule = FaultRule::new(Operation::WritePiece, "*", Fault::DiskFull { after_bytes: 5 });
    let storage = storage(rule);
    let mut writer = storage.file_io().new_output(FILE).unwrap().writer().await.unwrap();
    writer.write(Bytes::from_static(b"12345")).await.unwrap();
    let error = Error::from(writer.write(Bytes::from_static(b"6")).await.unwrap_err());
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert!(writer.close().await.is_err());
    assert!(!storage.file_io().exists(FILE).await.unwrap());
}

#[tokio::test]
async fn a_lost_reply_of_close_leaves_the_file() {
    let storage = storage(FaultRule::new(Operation::Close, "*", Fault::ErrorAfter(ErrorKind::Unavailable)));
    let mut writer = storage.file_io().new_output(FILE).unwrap().writer().await.unwrap();
    writer.write(Bytes::from_static(b"x")).await.unwrap();
    assert!(writer.close().await.is_err());
    assert_eq!(read(&storage).await.unwrap(), "x");
}

#[tokio::test]
async fn a_truncated_read_is_short() {
    let storage = storage(FaultRule::new(Operation::Read, "*", Fault::Truncate { to_bytes: 3 }));
    write(&storage, "abcdef").await.unwrap();
    assert_eq!(read(&storage).await.unwrap(), "abc");
}

#[tokio::test]
async fn a_delay_passes_on_the_clock_of_the_environment() {
    let environment = Arc::new(SeededEnvironment::new(1));
    let plan = FaultPlan::of(FaultRule::new(Operation::Write, "*", Fault::Delay(60_000)));
    let inner = Arc::new(MemoryStorage::new());
    let storage = FaultyStorage::with_environment(inner, plan, environment.clone());
    write(&storage, "x").await.unwrap();
    assert_eq!(environment.slept(), Duration::from_mins(1));
}

#[tokio::test]
async fn listing_and_deleting_fail_too() {
    let storage = storage(FaultRule::new(Operation::Write, "none", Fault::Delay(0)));
    write(&storage, "x").await.unwrap();
    storage.set_plan(
        FaultPlan::of(FaultRule::new(Operation::List, "*", Fault::ErrorAfter(ErrorKind::Timeout)))
            .with(FaultRule::new(Operation::Delete, "*.parquet", Fault::ErrorBefore(ErrorKind::Timeout))),
    );
    let listed: Vec<_> = storage.list("memory://warehouse").collect().await;
    assert_eq!((listed.len(), listed[0].is_ok(), listed[1].is_err()), (2, true, true));
    let locations = vec![FILE.to_owned(), "memory://warehouse/other".to_owned()];
    let answers: Vec<_> = storage.delete_many(futures::stream::iter(locations).boxed()).collect().await;
    let failed: Vec<_> = answers.iter().filter(|(_, r)| r.is_err()).map(|(l, _)| l.as_str()).collect();
    assert_eq!(failed, [FILE]);
    assert!(storage.file_io().exists(FILE).await.unwrap());
    assert_eq!(storage.counts()[&Operation::Delete], 2);
}
