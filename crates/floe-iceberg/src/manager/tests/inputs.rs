//! A key stands for its input.

use floe_core::ErrorKind;
use floe_plan::expr::Expr;
use floe_plan::summary::COMMIT_INPUT;
use floe_testkit::catalog::Fault;
use proptest::prelude::*;

use super::lake::{Lake, property, rows};
use crate::IcebergTableManager;
use crate::data::Input;
use crate::model::{ChangeOptions, DeleteConfig, MergeConfig, WriteConfig, WriteMode, WriteOutcome};

type Rows = Vec<(i64, &'static str, i64)>;

/// Who takes an input.
#[derive(Debug, Clone, Copy)]
enum Taker {
    Append,
    Overwrite,
    Upsert,
    Merge,
}

const TAKERS: [Taker; 4] = [Taker::Append, Taker::Overwrite, Taker::Upsert, Taker::Merge];

fn key() -> ChangeOptions {
    ChangeOptions { idempotency_key: Some("k".into()), ..ChangeOptions::default() }
}

impl Taker {
    async fn run(
        self,
        manager: &IcebergTableManager,
        lake: &Lake,
        input: Input,
        options: ChangeOptions,
    ) -> floe_core::Result<WriteOutcome> {
        let config = WriteConfig { options, ..WriteConfig::default() };
        let config = match self {
            Self::Append => config,
            Self::Overwrite => WriteConfig { mode: WriteMode::Overwrite, overwrite_all: true, ..config },
            Self::Upsert => {
                WriteConfig { mode: WriteMode::Upsert, join_columns: vec!["id".into()], ..config }
            }
            Self::Merge => {
                let json = r#"{"on": ["id"], "clauses": [
                    {"when": "matched", "action": "update_all"}, {"when": "not_matched", "action": "insert_all"}]}"#;
                let merge: MergeConfig = serde_json::from_str(json).unwrap();
                let merge = MergeConfig { options: config.options, ..merge };
                return manager.merge_data(&lake.table, input, &merge).await;
            }
        };
        manager.write_data(&lake.table, input, &config).await
    }
}

/// The rows as a stream, or as batches; cut somewhere.
fn input(rows_of: &Rows, once: bool, cut: usize) -> Input {
    let (one, two) = rows_of.split_at(cut.min(rows_of.len()));
    let shape = rows(&[]).schema;
    let batches = futures::executor::block_on(async {
        let mut batches = rows(one).collect().await.unwrap();
        batches.extend(rows(two).collect().await.unwrap());
        batches
    });
    match once {
        true => crate::data::BatchStream::from_batches(shape, batches).into(),
        false => Input::from_batches(shape, batches),
    }
}

fn some_rows() -> impl Strategy<Value = Rows> {
    // Keys are told apart, as upserts want them.
    let row = (prop_oneof![Just("a"), Just("b")], 0_i64..3);
    proptest::collection::vec(row, 1..5)
        .prop_map(|rows| rows.into_iter().enumerate().map(|(id, (part, v))| (id as i64, part, v)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_input_was_done_before_and_another_one_is_refused(
        taker in proptest::sample::select(TAKERS.to_vec()),
        first in some_rows(),
        other in some_rows(),
        change in (0_usize..5, 0_i64..3),
        once in any::<[bool; 4]>(),
        cut in 0_usize..5,
        lost in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut changed = first.clone();
        let at = change.0 % changed.len();
        changed[at].2 = change.1;
        runtime.block_on(async {
            let lake = Lake::new(&[]).await;
            lake.manager.write_data(&lake.table, rows(&[(0, "a", 7)]), &WriteConfig::default()).await.unwrap();
            let manager = if lost { lake.faulty(Fault::LostReply) } else { lake.another() };
            let done = taker.run(&manager, &lake, input(&first, once[0], 2), key()).await.unwrap();
            let (rows, files) = (lake.rows().await, lake.data_files());
            for (number, again) in [&first, &other, &changed].into_iter().enumerate() {
                let said = taker.run(&lake.another(), &lake, input(again, once[number + 1], cut), key()).await;
                if *again == first {
                    let said = said.unwrap();
                    prop_assert_eq!((said.replayed, said.snapshot_id), (true, done.snapshot_id));
                } else {
                    let error = said.unwrap_err();
                    prop_assert_eq!(error.kind(), ErrorKind::Validation);
                    prop_assert!(error.to_string().contains("another input"), "{}", error);
                    let id = done.snapshot_id.unwrap().to_string();
                    prop_assert!(error.to_string().contains(&id), "{}", error);
                }
                prop_assert_eq!((lake.rows().await, lake.data_files()), (rows.clone(), files));
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn an_input_that_is_told_need_not_be_read() {
    for taker in TAKERS {
        let lake = Lake::new(&[]).await;
        let data = vec![(1, "a", 1)];
        taker.run(&lake.manager, &lake, input(&data, false, 0).with_digest("v1"), key()).await.unwrap();
        let unread = || Input::repeatable(rows(&[]).schema, || panic!("it is read"));
        assert!(taker.run(&lake.manager, &lake, unread().with_digest("v1"), key()).await.unwrap().replayed);
        for other in [unread().with_digest("v2"), input(&data, false, 0)] {
            let error = taker.run(&lake.manager, &lake, other, key()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Validation, "{taker:?}: {error}");
        }
    }
}

#[tokio::test]
async fn files_that_are_untouched_are_not_read_and_others_with_the_same_rows_are_the_same() {
    for taker in TAKERS {
        let lake = Lake::new(&[]).await;
        let data = vec![(1, "a", 1), (2, "b", 2)];
        taker.run(&lake.manager, &lake, input(&data, false, 0).with_files("f 1"), key()).await.unwrap();
        let unread = Input::repeatable(rows(&[]).schema, || panic!("it is read")).with_files("f 1");
        assert!(taker.run(&lake.manager, &lake, unread, key()).await.unwrap().replayed);
        let copied = input(&data, true, 1).with_files("g 2");
        assert!(taker.run(&lake.manager, &lake, copied, key()).await.unwrap().replayed);
        let fewer = Input::repeatable(rows(&[]).schema, || panic!("it is read"));
        let error = taker.run(&lake.manager, &lake, fewer.with_rows(Some(1)), key()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation, "{taker:?}: {error}");
    }
}

#[tokio::test]
async fn the_key_alone_decides_if_that_is_wanted() {
    let lake = Lake::new(&[]).await;
    let any = || ChangeOptions { any_input: true, ..key() };
    let one = input(&vec![(1, "a", 1)], false, 0);
    Taker::Append.run(&lake.manager, &lake, one, any()).await.unwrap();
    assert_eq!(property(&lake.snapshots().await[0], COMMIT_INPUT), None);
    for options in [any(), key()] {
        let other = input(&vec![(2, "a", 2)], false, 0);
        assert!(Taker::Append.run(&lake.manager, &lake, other, options).await.unwrap().replayed);
    }
}

/// Snapshots of earlier versions tell the operation, and not the input.
#[tokio::test]
async fn a_snapshot_that_does_not_tell_its_input_matches_any() {
    let lake = Lake::new(&[]).await;
    let config =
        WriteConfig { options: ChangeOptions { any_input: true, ..key() }, ..WriteConfig::default() };
    lake.manager.write_data(&lake.table, rows(&[(1, "a", 1)]), &config).await.unwrap();
    let config = WriteConfig { options: key(), ..WriteConfig::default() };
    let other = lake.another().write_data(&lake.table, rows(&[(2, "a", 2)]), &config).await.unwrap();
    assert!(other.replayed);
}

/// Two processes under one key at once, with different rows: the second one finds the first when it commits.
#[tokio::test]
async fn of_two_inputs_at_once_one_is_refused_and_leaves_nothing_behind() {
    for taker in TAKERS {
        let lake = std::sync::Arc::new(Lake::new(&[]).await);
        let (other, place) = (lake.another(), lake.clone());
        let (manager, _) = lake.after(async move {
            taker.run(&other, &place, input(&vec![(1, "a", 1)], false, 0), key()).await.unwrap();
        });
        let error = taker.run(&manager, &lake, input(&vec![(1, "a", 2)], false, 0), key()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation, "{taker:?}: {error}");
        assert_eq!((lake.rows().await, lake.data_files()), (vec!["1 a 1".to_owned()], 1), "{taker:?}");
    }
}

#[tokio::test]
async fn a_transaction_stands_for_all_of_its_inputs() {
    let lake = Lake::new(&[]).await;
    let run = async |first: i64, second: i64| {
        let upsert = WriteConfig {
            mode: WriteMode::Upsert,
            join_columns: vec!["id".into()],
            ..WriteConfig::default()
        };
        let manager = lake.another();
        let transaction = manager
            .transaction(&lake.table)
            .write(rows(&[(1, "a", first)]), WriteConfig::default())
            .write_from(move |_| Ok(rows(&[(1, "a", second)])), upsert)
            .delete(Expr::parse("id = 77").unwrap(), DeleteConfig::default())
            .idempotency_key("k");
        transaction.commit().await
    };
    let done = run(1, 2).await.unwrap();
    assert_eq!(done.snapshot_ids.len(), 2);
    let again = run(1, 2).await.unwrap();
    assert!(again.replayed);
    for (first, second) in [(3, 2), (1, 3)] {
        let error = run(first, second).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
        assert!(error.to_string().contains("another input"), "{error}");
    }
    assert_eq!(lake.rows().await, ["1 a 2"]);
}
