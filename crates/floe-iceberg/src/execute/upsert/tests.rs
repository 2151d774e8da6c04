use std::collections::{BTreeMap, HashSet};

use floe_core::ErrorKind;
use futures::StreamExt;
use iceberg::spec::{Transform, UnboundPartitionSpec};
use proptest::prelude::*;

use super::*;
use crate::execute::merge::MergeCounts;
use crate::execute::merge::fixture::{Fixture, Row, spec};
use crate::execute::rows::RowOptions;

fn options(on: &[&str], mode: RowMode) -> UpsertOptions {
    UpsertOptions {
        join_columns: on.iter().map(|c| (*c).to_owned()).collect(),
        rows: RowOptions { mode: Some(mode), ..RowOptions::default() },
        ..UpsertOptions::default()
    }
}

/// One upsert.
#[derive(Debug, Clone)]
struct Step {
    rows: Vec<Row>,
    each: usize,
    when_matched: WhenMatched,
    when_not_matched: WhenNotMatched,
    mode: RowMode,
    leave_out: bool,
    delete_others: bool,
    spec: Option<usize>,
    add_column: bool,
}

fn row() -> impl Strategy<Value = Row> {
    let float = prop_oneof![
        Just(None),
        Just(Some(f64::NAN)),
        Just(Some(0.0)),
        Just(Some(-0.0)),
        (0_i32..3).prop_map(|v| Some(v.into()))
    ];
    let text = |pattern: &'static str| proptest::option::weighted(0.8, pattern);
    let fields = (
        proptest::option::weighted(0.9, 0_i64..12),
        float,
        text("[a-c]"),
        proptest::option::weighted(0.8, 0_i64..3),
        proptest::option::weighted(0.9, 0_i32..12),
        text("[xy]"),
    );
    fields.prop_map(|(k, f, p, v, x, late)| Row { k, f, p, v, x, late })
}

fn step() -> impl Strategy<Value = Step> {
    use WhenMatched as M;
    let matched = prop_oneof![
        3 => Just(M::UpdateAll), 3 => Just(M::UpdateIfChanged), 1 => Just(M::Ignore), 1 => Just(M::Delete)
    ];
    let not_matched = prop_oneof![4 => Just(WhenNotMatched::Insert), 1 => Just(WhenNotMatched::Ignore)];
    let mode = prop_oneof![Just(RowMode::CopyOnWrite), Just(RowMode::MergeOnRead)];
    let what = (
        proptest::collection::vec(row(), 0..20),
        1_usize..8,
        matched,
        not_matched,
        mode,
        proptest::bool::weighted(0.2),
    );
    let table = (
        proptest::option::weighted(0.2, 0_usize..4),
        proptest::bool::weighted(0.15),
        proptest::bool::weighted(0.15),
    );
    (what, table).prop_map(|((rows, each, when_matched, when_not_matched, mode, leave_out), table)| Step {
        rows,
        each,
        when_matched,
        when_not_matched,
        mode,
        leave_out,
        spec: table.0,
        add_column: table.1,
        delete_others: table.2,
    })
}

fn numbered_spec(number: usize, choice: usize) -> UnboundPartitionSpec {
    match choice {
        0 => spec(number, &[]),
        1 => spec(number, &[(3, Transform::Identity)]),
        2 => spec(number, &[(1, Transform::Bucket(3))]),
        _ => spec(number, &[(3, Transform::Truncate(1)), (4, Transform::Identity)]),
    }
}

/// What an upsert does to rows by key.
fn model(rows: &mut BTreeMap<String, Row>, step: &Step, on: &[&str], late: bool) -> MergeCounts {
    let mut counts = MergeCounts { source_rows: step.rows.len() as u64, ..MergeCounts::default() };
    if step.delete_others {
        let keys: HashSet<String> = step.rows.iter().map(|row| row.key(on)).collect();
        let before = rows.len();
        rows.retain(|key, _| keys.contains(key));
        counts.rows_deleted += (before - rows.len()) as u64;
    }
    for new in &step.rows {
        let mut new = new.clone();
        if !late {
            new.late = None;
        }
        let key = new.key(on);
        let old = rows.get(&key).cloned();
        if step.leave_out {
            new.v = old.as_ref().and_then(|old| old.v);
        }
        match (old, step.when_matched, step.when_not_matched) {
            (None, _, WhenNotMatched::Insert) => {
                counts.rows_inserted += 1;
                rows.insert(key, new);
            }
            (None, _, WhenNotMatched::Ignore) => {}
            (Some(_), WhenMatched::Ignore, _) => counts.rows_unchanged += 1,
            (Some(_), WhenMatched::Delete, _) => {
                counts.rows_deleted += 1;
                rows.remove(&key);
            }
            (Some(old), WhenMatched::UpdateIfChanged, _) if old.text() == new.text() => {
                counts.rows_unchanged += 1;
            }
            (Some(_), WhenMatched::UpdateAll | WhenMatched::UpdateIfChanged, _) => {
                counts.rows_updated += 1;
                rows.insert(key, new);
            }
        }
    }
    counts
}

async fn follow(steps: Vec<Step>, on: &[&str], first: usize) {
    let properties = [("write.parquet.row-group-limit", "4")];
    let mut table = Fixture::new(numbered_spec(0, first), &properties);
    let mut expected: BTreeMap<String, Row> = BTreeMap::new();
    for (number, mut step) in steps.into_iter().enumerate() {
        if let Some(choice) = step.spec {
            table.change(|b| b.add_default_partition_spec(numbered_spec(number + 1, choice)).unwrap());
        }
        if step.add_column && !table.has_late() {
            table.add_column();
        }
        let mut seen = HashSet::new();
        step.rows.retain(|row| seen.insert(row.key(on)));
        let wanted = UpsertOptions {
            when_matched: step.when_matched,
            when_not_matched: step.when_not_matched,
            when_not_matched_by_source: match step.delete_others {
                true => WhenNotMatchedBySource::Delete,
                false => WhenNotMatchedBySource::Ignore,
            },
            ..options(on, step.mode)
        };
        let leave_out: &[&str] = if step.leave_out { &["v"] } else { &[] };
        let before = table.texts().await;
        let dry =
            UpsertOptions { rows: RowOptions { dry_run: true, ..wanted.rows.clone() }, ..wanted.clone() };
        let data = table.data(&step.rows, step.each, leave_out);
        let dry = upsert(&table.base(), data, &dry, &table.env).await.unwrap();
        assert!(dry.rows.change.is_empty());
        assert_eq!(table.texts().await, before);

        let data = table.data(&step.rows, step.each, leave_out);
        let done = upsert(&table.base(), data, &wanted, &table.env).await.unwrap();
        let late = table.has_late();
        let mut counts = model(&mut expected, &step, on, late);
        counts.files = done.counts.files;
        assert_eq!(done.counts, counts);
        let rows = |c: &MergeCounts| {
            (c.rows_updated, c.rows_inserted, c.rows_deleted, c.rows_unchanged, c.files.rows_added)
        };
        assert_eq!(rows(&dry.counts), rows(&done.counts));
        assert!(counts.files.rows_removed >= counts.rows_updated + counts.rows_deleted);
        if !done.rows.change.is_empty() {
            table.commit(&done.rows).await;
        }
        let mut texts: Vec<String> = expected.values().map(Row::text).collect();
        texts.sort();
        assert_eq!(table.texts().await, texts, "after {step:?}");
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn upserts_are_those_of_a_map_by_key(
        steps in proptest::collection::vec(step(), 2..6),
        on in prop_oneof![
            Just(&["k"][..]), Just(&["k", "f"][..]), Just(&["p", "k"][..]), Just(&["point.x"][..])
        ],
        first in 0_usize..4,
    ) {
        runtime().block_on(follow(steps, on, first));
    }
}

fn numbered(range: std::ops::Range<i64>, v: i64) -> Vec<Row> {
    let row =
        |k: i64| Row { k: Some(k), p: Some(format!("p{}", k % 3)), v: Some(v), late: None, ..Row::default() };
    range.map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_larger_than_memory_goes_through_files_and_changes_the_same() {
    for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
        let mut texts = Vec::new();
        for memory_bytes in [64 << 10, 64 << 20] {
            let mut table = Fixture::new(numbered_spec(0, 1), &[("write.parquet.row-group-limit", "1000")]);
            let data = table.data(&numbered(0..6000, 0), 700, &[]);
            let first = upsert(&table.base(), data, &options(&["k"], mode), &table.env).await.unwrap();
            table.commit(&first.rows).await;
            let rows = RowOptions { memory_bytes, mode: Some(mode), ..RowOptions::default() };
            let wanted =
                UpsertOptions { when_matched: WhenMatched::UpdateIfChanged, rows, ..options(&["k"], mode) };
            let mut source = numbered(3000..4000, 0);
            source.extend(numbered(4000..9000, 1));
            let data = table.data(&source, 512, &[]);
            let done = upsert(&table.base(), data, &wanted, &table.env).await.unwrap();
            let counts = done.counts;
            assert_eq!(
                (counts.rows_updated, counts.rows_inserted, counts.rows_unchanged),
                (2000, 3000, 1000)
            );
            assert_eq!(counts.source_spills > 0, memory_bytes < 1 << 20);
            table.commit(&done.rows).await;
            texts.push(table.texts().await);
        }
        assert_eq!(texts[0].len(), 9000);
        assert_eq!(texts[0], texts[1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_with_the_same_key_are_refused_and_counted_and_nothing_is_written() {
    let table = Fixture::new(numbered_spec(0, 0), &[]);
    for memory_bytes in [64 << 10, 64 << 20] {
        let mut source = numbered(0..3000, 0);
        source.extend(numbered(10..27, 1));
        source.extend([Row::default(), Row::default(), Row::default()]);
        let rows = RowOptions { memory_bytes, ..RowOptions::default() };
        let wanted = UpsertOptions { rows, ..options(&["k"], RowMode::CopyOnWrite) };
        let data = table.data(&source, 100, &[]);
        let error = upsert(&table.base(), data, &wanted, &table.env).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
        assert!(error.message().starts_with("19 rows"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn join_columns_that_do_not_fit_are_refused_before_the_source_is_read() {
    let table = Fixture::new(numbered_spec(0, 0), &[]);
    for (on, leave_out) in
        [(&[][..], &[][..]), (&["z"], &[]), (&["point"], &[]), (&["k", "k"], &[]), (&["k"], &["k"])]
    {
        let schema = table.data(&[], 1, leave_out).schema;
        let source = futures::stream::poll_fn(|_| panic!("the source is read")).boxed();
        let wanted = options(on, RowMode::CopyOnWrite);
        let error = upsert(&table.base(), BatchStream::new(schema, source), &wanted, &table.env).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Validation, "{on:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_hold_no_key_are_not_opened_and_stay() {
    let properties = [("write.parquet.row-group-limit", "100")];
    let mut table = Fixture::new(numbered_spec(0, 0), &properties);
    for start in [0, 1000, 2000] {
        let data = table.data(&numbered(start..start + 1000, 0), 1000, &[]);
        let done =
            upsert(&table.base(), data, &options(&["k"], RowMode::CopyOnWrite), &table.env).await.unwrap();
        assert_eq!(done.counts.files.files_read, 0);
        table.commit(&done.rows).await;
    }
    let data = table.data(&[numbered(1550..1551, 9), numbered(5000..5001, 9)].concat(), 10, &[]);
    let done = upsert(&table.base(), data, &options(&["k"], RowMode::CopyOnWrite), &table.env).await.unwrap();
    let files = done.counts.files;
    assert_eq!((files.files_read, files.files_rewritten, files.rows_rewritten), (1, 1, 999));
    table.commit(&done.rows).await;
    assert_eq!(table.rows().await.len(), 3001);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_source_leaves_nothing_behind() {
    let mut table = Fixture::new(numbered_spec(0, 0), &[]);
    let first = table.data(&numbered(0..10, 0), 10, &[]);
    let done =
        upsert(&table.base(), first, &options(&["k"], RowMode::CopyOnWrite), &table.env).await.unwrap();
    table.commit(&done.rows).await;
    let data = table.data(&numbered(5..15, 1), 4, &[]);
    let broken = futures::stream::iter([Err(floe_core::Error::validation("broken"))]);
    let source = BatchStream::new(data.schema.clone(), data.stream.chain(broken).boxed());
    let error = upsert(&table.base(), source, &options(&["k"], RowMode::MergeOnRead), &table.env).await;
    assert_eq!(error.unwrap_err().message(), "broken");
    assert_eq!(table.rows().await.len(), 10);
}
