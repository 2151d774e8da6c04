//! The files of a catalog that keeps a pointer: what is kept and what is removed, by the outcome of the swap.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use floe_core::metadata_file::PointedFiles;
use floe_core::{CommitOutcome, Error, ErrorKind, LoadedTable, Result, StorageClient};
use floe_testkit::SeededEnvironment;
use floe_testkit::storage::MemoryStorage;
use futures::TryStreamExt;
use iceberg::{TableCreation, TableIdent, TableRequirement, TableUpdate};

fn table() -> TableIdent {
    TableIdent::from_strs(["ns", "t"]).unwrap()
}

fn creation() -> TableCreation {
    let schema = iceberg::spec::Schema::builder().build().unwrap();
    TableCreation::builder().name("t".into()).location("memory://warehouse/t/".into()).schema(schema).build()
}

fn property() -> [TableUpdate; 1] {
    [TableUpdate::SetProperties { updates: [("a".to_owned(), "b".to_owned())].into() }]
}

async fn metadata_files(storage: &MemoryStorage) -> usize {
    let files: Vec<_> = storage.list("memory://warehouse/t/metadata/").try_collect().await.unwrap();
    files.len()
}

/// A table, its files, and its storage.
async fn made() -> (MemoryStorage, PointedFiles, LoadedTable) {
    let storage = MemoryStorage::new();
    let files = PointedFiles::new(storage.file_io(), Arc::new(SeededEnvironment::new(1)));
    let made = files.create(&table(), creation(), async |_| Ok(())).await.unwrap();
    (storage, files, made)
}

fn failure(kind: ErrorKind) -> Error {
    Error::new(kind, "the server said so")
}

#[tokio::test]
async fn a_commit_keeps_its_file_unless_it_certainly_did_not_happen() {
    let cases: [(Result<bool>, &str, usize); 5] = [
        (Ok(true), "committed", 2),
        (Ok(false), "conflict", 1),
        (Err(failure(ErrorKind::CommitStateUnknown)), "unknown", 2),
        (Err(failure(ErrorKind::Unavailable)), "unavailable", 1),
        (Err(failure(ErrorKind::NoSuchTable)), "no_such_table", 1),
    ];
    for (swapped, expected, left) in cases {
        let (storage, files, made) = made().await;
        let mut seen = None;
        let swap = |written: floe_core::metadata_file::Written| {
            seen = Some(written.location);
            std::future::ready(swapped)
        };
        let outcome = files.commit(&made.ident, &made.metadata_location, &[], &property(), swap).await;
        let got = match outcome {
            Ok(CommitOutcome::Committed(after)) => {
                assert_eq!(seen.as_deref(), Some(after.metadata_location.as_str()));
                assert_eq!(
                    files.load(&made.ident, after.metadata_location).await.unwrap().metadata,
                    after.metadata
                );
                "committed"
            }
            Ok(CommitOutcome::Conflict(error)) => {
                assert_eq!((error.kind(), error.table()), (ErrorKind::CommitConflict, Some("ns.t")));
                "conflict"
            }
            Ok(CommitOutcome::Unknown(error)) => {
                assert_eq!(error.table(), Some("ns.t"));
                "unknown"
            }
            Err(error) => {
                assert_eq!(error.table(), Some("ns.t"));
                error.kind().as_str()
            }
        };
        assert_eq!(got, expected);
        assert_eq!(metadata_files(&storage).await, left, "{expected}");
    }
}

#[tokio::test]
async fn what_changes_nothing_or_may_not_be_done_writes_no_file_and_swaps_nothing() {
    let (storage, files, made) = made().await;
    let (head, never) = (&made.metadata_location, async |_| panic!("swapped"));
    let same = files.commit(&made.ident, head, &[], &[], never).await.unwrap();
    assert!(matches!(same, CommitOutcome::Committed(same) if same.metadata_location == *head));
    let broken = [TableRequirement::UuidMatch { uuid: uuid::Uuid::from_u128(1) }];
    let refused = files.commit(&made.ident, head, &broken, &property(), never).await.unwrap();
    assert!(matches!(refused, CommitOutcome::Conflict(_)));
    let unfit = [TableUpdate::SetCurrentSchema { schema_id: 42 }];
    let error = files.commit(&made.ident, head, &[], &unfit, never).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert_eq!(metadata_files(&storage).await, 1);
}

#[tokio::test]
async fn a_creation_keeps_its_file_unless_it_certainly_did_not_happen() {
    for (kind, left) in [(ErrorKind::CommitStateUnknown, 1), (ErrorKind::TableAlreadyExists, 0)] {
        let storage = MemoryStorage::new();
        let files = PointedFiles::new(storage.file_io(), Arc::new(SeededEnvironment::new(1)));
        let error = files.create(&table(), creation(), async |_| Err(failure(kind))).await.unwrap_err();
        assert_eq!((error.kind(), error.table()), (kind, Some("ns.t")));
        assert_eq!(metadata_files(&storage).await, left, "{kind}");
    }
}

#[tokio::test]
async fn a_missing_file_is_damage_to_a_table_and_plainly_missing_to_who_names_it() {
    let (_storage, files, made) = made().await;
    let gone = "memory://warehouse/t/metadata/gone.metadata.json";
    assert_eq!(files.load(&made.ident, gone.to_owned()).await.unwrap_err().kind(), ErrorKind::Corrupted);
    assert_eq!(files.open(&made.ident, gone).await.unwrap_err().kind(), ErrorKind::FileNotFound);
    assert!(!made.metadata.location().ends_with('/'));
}
