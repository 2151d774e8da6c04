use floe_core::ErrorKind;
use floe_plan::expr::Expr;
use floe_plan::summary::COMMIT_OPERATION;
use floe_testkit::catalog::Fault;

use super::lake::{Lake, property, rows};
use crate::IcebergTableManager;
use crate::model::{ChangeOptions, DeleteConfig, WriteConfig, WriteMode, WriteOutcome};

fn key(key: &str) -> ChangeOptions {
    ChangeOptions { idempotency_key: Some(key.into()), ..ChangeOptions::default() }
}

fn config(mode: WriteMode, options: ChangeOptions) -> WriteConfig {
    let join_columns = if mode == WriteMode::Upsert { vec!["id".into()] } else { Vec::new() };
    let overwrite_all = mode == WriteMode::Overwrite;
    WriteConfig { mode, overwrite_all, join_columns, options, ..WriteConfig::default() }
}

async fn write(
    manager: &IcebergTableManager,
    lake: &Lake,
    mode: WriteMode,
    options: ChangeOptions,
) -> floe_core::Result<WriteOutcome> {
    manager.write_data(&lake.table, rows(&[(1, "a", 1)]), &config(mode, options)).await
}

async fn delete(
    manager: &IcebergTableManager,
    lake: &Lake,
    filter: &str,
    options: ChangeOptions,
) -> floe_core::Result<WriteOutcome> {
    let filter = Expr::parse(filter).unwrap();
    manager.delete_data(&lake.table, &filter, &DeleteConfig { options }).await
}

#[tokio::test]
async fn every_kind_of_write_is_done_once_after_a_lost_reply_and_from_another_process() {
    for fault in [Fault::LostReply, Fault::LostRequest] {
        for mode in [WriteMode::Append, WriteMode::Overwrite, WriteMode::Upsert] {
            let lake = Lake::new(&[]).await;
            write(&lake.manager, &lake, WriteMode::Append, ChangeOptions::default()).await.unwrap();
            let first = write(&lake.faulty(fault), &lake, mode, key("k")).await.unwrap();
            let files = lake.data_files();
            let again = write(&lake.another(), &lake, mode, key("k")).await.unwrap();
            assert_eq!((again.replayed, again.snapshot_id), (true, first.snapshot_id), "{mode:?} {fault:?}");
            assert_eq!((lake.snapshots().await.len(), lake.data_files()), (2, files));
        }
        let lake = Lake::new(&[]).await;
        write(&lake.manager, &lake, WriteMode::Append, ChangeOptions::default()).await.unwrap();
        let first = delete(&lake.faulty(fault), &lake, "id = 1", key("k")).await.unwrap();
        let again = delete(&lake.another(), &lake, "id=1", key("k")).await.unwrap();
        assert_eq!((again.replayed, again.snapshot_id), (true, first.snapshot_id), "{fault:?}");
    }
}

#[tokio::test]
async fn a_key_stands_for_one_kind_of_operation_and_one_target() {
    let lake = Lake::new(&[]).await;
    let first = write(&lake.manager, &lake, WriteMode::Append, key("k")).await.unwrap();
    let snapshot = &lake.snapshots().await[0];
    assert!(property(snapshot, COMMIT_OPERATION).unwrap().starts_with("append-"));
    for mode in [WriteMode::Overwrite, WriteMode::Upsert] {
        let error = write(&lake.another(), &lake, mode, key("k")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
        assert!(
            error.to_string().contains("of append")
                && !error.to_string().contains('k'.to_string().repeat(2).as_str()),
            "{error}"
        );
    }
    assert!(delete(&lake.another(), &lake, "id = 1", key("k")).await.is_err());
    delete(&lake.manager, &lake, "id = 1", key("d")).await.unwrap();
    assert_eq!(
        delete(&lake.manager, &lake, "id = 2", key("d")).await.unwrap_err().kind(),
        ErrorKind::Validation
    );
    assert!(delete(&lake.manager, &lake, "id = 1", key("d")).await.unwrap().replayed);
    assert_eq!(
        write(&lake.manager, &lake, WriteMode::Append, key("k")).await.unwrap().snapshot_id,
        first.snapshot_id
    );
}

#[tokio::test]
async fn what_was_rolled_back_can_be_done_again() {
    let lake = Lake::new(&[]).await;
    let before = write(&lake.manager, &lake, WriteMode::Append, ChangeOptions::default()).await.unwrap();
    let first = write(&lake.manager, &lake, WriteMode::Append, key("k")).await.unwrap();
    lake.manager.rollback_to_snapshot(&lake.table, None, before.snapshot_id.unwrap()).await.unwrap();
    let again = write(&lake.manager, &lake, WriteMode::Append, key("k")).await.unwrap();
    assert!(!again.replayed && again.snapshot_id != first.snapshot_id);
    assert_eq!(lake.rows().await.len(), 2);
}

#[tokio::test]
async fn a_staged_write_is_found_wherever_it_is_and_not_done_again_unstaged() {
    let lake = Lake::new(&[]).await;
    let staged = || ChangeOptions {
        staged: true,
        snapshot_properties: [("wap.id".to_owned(), "w".to_owned())].into(),
        ..key("k")
    };
    let first = write(&lake.manager, &lake, WriteMode::Append, staged()).await.unwrap();
    let files = lake.data_files();
    let again = write(&lake.another(), &lake, WriteMode::Append, staged()).await.unwrap();
    assert_eq!((again.replayed, again.snapshot_id, lake.data_files()), (true, first.snapshot_id, files));
    let error = write(&lake.another(), &lake, WriteMode::Append, key("k")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
    let published = lake.manager.publish(&lake.table, None, "w").await.unwrap();
    assert_eq!(lake.another().publish(&lake.table, None, "w").await.unwrap(), published);
    assert_eq!(lake.manager.cherry_pick(&lake.table, None, published).await.unwrap(), published);
    assert!(write(&lake.another(), &lake, WriteMode::Append, key("k")).await.unwrap().replayed);
    assert_eq!(lake.rows().await.len(), 1);
}

#[tokio::test]
async fn the_same_write_by_two_processes_at_once_is_done_once() {
    let lake = Lake::new(&[]).await;
    let (other, table) = (lake.another(), lake.table.clone());
    let (manager, _) = lake.after(async move {
        let config = config(WriteMode::Append, key("k"));
        other.write_data(&table, rows(&[(1, "a", 1)]), &config).await.unwrap();
    });
    let second = write(&manager, &lake, WriteMode::Append, key("k")).await.unwrap();
    assert!(second.replayed, "the other one was there first");
    assert_eq!((lake.rows().await.len(), lake.data_files()), (1, 1));
    // Its manifest and manifest list.
    assert_eq!(lake.manifest_files(), 2);
}
