//! Guards against brute force: whatever another writer did meanwhile, a change is refused, or the rows are those of a
//! plain model.

use floe_core::{ErrorKind, Result};
use floe_plan::guard::Isolation;
use floe_testkit::catalog::Method;
use iceberg::spec::{Literal, Struct, Transform, UnboundPartitionSpec};
use proptest::prelude::*;

use super::act::Act;
use super::lake::{Lake, rows};
use crate::IcebergTableManager;
use crate::execute::rows::RowMode;
use crate::model::{ChangeOptions, RerunOptions, WriteConfig};

/// A row, and the partition spec that it was written with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    id: i64,
    part: &'static str,
    v: i64,
    spec: i32,
}

/// What another writer does: as floe does it, or as a stream writer that knows keys only.
#[derive(Debug, Clone, Copy)]
enum Theirs {
    Act(Act),
    /// Deletes the rows with this id that are in the partition of a row like this, of the spec; and may add such a row.
    Equality(i64, &'static str, i32, bool),
}

/// The partition specs: by `part`; without fields; by `part` and `id`.
const BY_PART: i32 = 0;
const GLOBAL: i32 = 1;
const EVOLVED: i32 = 2;

/// A table, and what happens to it.
#[derive(Debug, Clone)]
struct Case {
    /// Written one after the other, the last one after the spec was changed.
    appends: Vec<Vec<(i64, &'static str)>>,
    /// Partitioned by `part` and `id` in the end, instead of by `part`.
    evolved: bool,
    /// Deleted beforehand, on the side.
    deleted: Option<&'static str>,
    mine: Act,
    theirs: Theirs,
    isolation: Isolation,
    mode: RowMode,
    their_mode: RowMode,
    /// Whether my change is run again after a conflict.
    again: bool,
}

/// Filters of the tests: what they select, and the only partition they can select rows of.
const FILTERS: [(&str, fn(&Row) -> bool, Option<&str>); 6] = [
    ("part = 'a'", |row| row.part == "a", Some("a")),
    ("part = 'b'", |row| row.part == "b", Some("b")),
    ("part = 'a' AND id = 1", |row| row.part == "a" && row.id == 1, Some("a")),
    ("part = 'b' AND id <= 2", |row| row.part == "b" && row.id <= 2, Some("b")),
    ("id = 2", |row| row.id == 2, None),
    ("v >= 3", |row| row.v >= 3, None),
];

fn selects(filter: &str, row: &Row) -> bool {
    FILTERS.iter().find(|known| known.0 == filter).unwrap().1(row)
}

impl Case {
    fn default_spec(&self) -> i32 {
        if self.evolved { EVOLVED } else { BY_PART }
    }

    fn start(&self) -> Vec<Row> {
        let last = self.appends.len() - 1;
        let appends = self.appends.iter().enumerate();
        let rows = appends.flat_map(|(number, rows)| {
            let spec = if number == last { self.default_spec() } else { BY_PART };
            rows.iter().map(move |&(id, part)| Row { id, part, v: id, spec })
        });
        rows.filter(|row| self.deleted.is_none_or(|filter| !selects(filter, row))).collect()
    }

    /// Whether an operation removes a row.
    fn removes(&self, act: Act, row: &Row) -> bool {
        match act {
            Act::Append(..) => false,
            Act::Upsert(id, _) => row.id == id,
            Act::Delete(filter) | Act::Overwrite(filter, ..) => selects(filter, row),
            Act::Dynamic(id, part) => row.part == part && (!self.evolved || row.id == id),
        }
    }

    fn added(&self, act: Act) -> Option<Row> {
        let (id, part) = match act {
            Act::Delete(_) => return None,
            Act::Append(id, part) | Act::Upsert(id, part) | Act::Dynamic(id, part) => (id, part),
            Act::Overwrite(_, id, part) => (id, part),
        };
        Some(Row { id, part, v: 99, spec: self.default_spec() })
    }

    fn after_theirs(&self) -> Vec<Row> {
        let mut rows = self.start();
        match self.theirs {
            Theirs::Act(act) => {
                rows.retain(|row| !self.removes(act, row));
                rows.extend(self.added(act));
            }
            Theirs::Equality(id, part, spec, adds) => {
                // Partitioned by `part` and `id`, the key is the partition's too.
                let applies = |row: &Row| spec == GLOBAL || (row.spec == spec && row.part == part);
                rows.retain(|row| row.id != id || !applies(row));
                rows.extend(adds.then(|| Row { id, part, v: 99, spec: self.default_spec() }));
            }
        }
        rows
    }

    /// What must be there after both; `None` if my change cannot be made after theirs.
    fn after_both(&self) -> Option<Vec<Row>> {
        let mut rows = self.after_theirs();
        match self.isolation {
            Isolation::Serializable => rows.retain(|row| !self.removes(self.mine, row)),
            Isolation::Snapshot => {
                for read in self.start().iter().filter(|row| self.removes(self.mine, row)) {
                    let at = rows.iter().position(|row| row == read)?;
                    rows.remove(at);
                }
            }
        }
        rows.extend(self.added(self.mine));
        Some(rows)
    }

    /// What must be there when my change is made on the table that theirs left.
    fn mine_after_theirs(&self) -> Vec<Row> {
        let mut rows = self.after_theirs();
        let before = rows.len();
        rows.retain(|row| !self.removes(self.mine, row));
        // An upsert updates every row with its key.
        let times = if matches!(self.mine, Act::Upsert(..)) { (before - rows.len()).max(1) } else { 1 };
        rows.extend(std::iter::repeat_n(self.added(self.mine), times).flatten());
        rows
    }

    /// Whether the two cannot be in each other's way.
    fn is_disjoint(&self) -> bool {
        let partition = |act: Act| match act {
            Act::Append(_, part) | Act::Dynamic(_, part) => Some(part),
            Act::Delete(filter) => FILTERS.iter().find(|known| known.0 == filter).unwrap().2,
            // Rows may be written to another partition than they were read from.
            Act::Overwrite(..) | Act::Upsert(..) => None,
        };
        let theirs = match self.theirs {
            Theirs::Act(act) => partition(act),
            Theirs::Equality(_, part, spec, _) => (spec != GLOBAL).then_some(part),
        };
        let apart = partition(self.mine).zip(theirs).is_some_and(|(mine, theirs)| mine != theirs);
        matches!(self.mine, Act::Append(..)) || (apart && !self.evolved)
    }
}

async fn set_up(case: &Case) -> Lake {
    let lake = Lake::new(&[]).await;
    lake.add_spec(UnboundPartitionSpec::default(), false).await;
    for (number, append) in case.appends.iter().enumerate() {
        if case.evolved && number + 1 == case.appends.len() {
            let spec = UnboundPartitionSpec::builder()
                .add_partition_field(2, "p", Transform::Identity)
                .and_then(|spec| spec.add_partition_field(1, "i", Transform::Identity));
            lake.add_spec(spec.unwrap().build(), true).await;
        }
        let data: Vec<_> = append.iter().map(|&(id, part)| (id, part, id)).collect();
        lake.manager.write_data(&lake.table, rows(&data), &WriteConfig::default()).await.unwrap();
    }
    if let Some(filter) = case.deleted {
        let options = ChangeOptions { row_mode: Some(RowMode::MergeOnRead), ..ChangeOptions::default() };
        Act::Delete(filter).run(&lake.manager, &lake.table, options).await.unwrap();
    }
    lake
}

async fn perform(theirs: Theirs, manager: &IcebergTableManager, lake: &Lake, mode: RowMode) -> Result<()> {
    let options = ChangeOptions { row_mode: Some(mode), ..ChangeOptions::default() };
    match theirs {
        Theirs::Act(act) => act.run(manager, &lake.table, options).await.map(|_| ()),
        Theirs::Equality(id, part, spec, adds) => {
            let values = [Some(Literal::string(part)), Some(Literal::long(id))];
            let fields =
                [(BY_PART, 1), (GLOBAL, 0), (EVOLVED, 2)].iter().find(|(of, _)| *of == spec).unwrap().1;
            let partition = Struct::from_iter(values.into_iter().take(fields));
            let also = adds.then(|| rows(&[(id, part, 99)]));
            lake.delete_by_key(manager, id, spec, partition, also).await
        }
    }
}

async fn check(case: Case) -> std::result::Result<(), TestCaseError> {
    let lake = std::sync::Arc::new(set_up(&case).await);
    let (other, theirs, their_mode, place) = (lake.another(), case.theirs, case.their_mode, lake.clone());
    let (manager, catalog) =
        lake.after(async move { perform(theirs, &other, &place, their_mode).await.unwrap() });
    let options = ChangeOptions {
        isolation: Some(case.isolation),
        row_mode: Some(case.mode),
        rerun: RerunOptions { max_attempts: Some(if case.again { 2 } else { 0 }), ..RerunOptions::default() },
        ..ChangeOptions::default()
    };
    let done = case.mine.run(&manager, &lake.table, options).await;
    let text = |rows: Vec<Row>| {
        let mut text: Vec<String> =
            rows.iter().map(|Row { id, part, v, .. }| format!("{id} {part} {v}")).collect();
        text.sort();
        text
    };
    let found = lake.rows().await;
    if catalog.calls(Method::Commit) == 0 {
        // There was nothing to do, so that the other one had no occasion.
        prop_assert!(done.is_ok(), "{:?}", case);
        prop_assert_eq!(found, text(case.start()), "{:?}", case);
        return Ok(());
    }
    match done {
        Ok(done) if done.reruns > 0 => {
            prop_assert!(
                case.again && done.reruns == 1 && !case.is_disjoint(),
                "{:?}: {}",
                case,
                done.reruns
            );
            prop_assert_eq!(found, text(case.mine_after_theirs()), "{:?}", case);
        }
        Ok(_) => {
            let wanted = case.after_both().map(text);
            prop_assert_eq!(Some(found), wanted, "{:?}", case);
        }
        Err(e) => {
            prop_assert_eq!(e.kind(), ErrorKind::CommitConflict, "{:?}: {}", case, e);
            prop_assert!(!case.is_disjoint() && !case.again, "{:?}: {}", case, e);
            prop_assert_eq!(found, text(case.after_theirs()), "{:?}", case);
        }
    }
    Ok(())
}

fn part() -> impl Strategy<Value = &'static str> {
    // Mostly the same one: what two writers do in different partitions is of less interest.
    prop_oneof![3 => Just("a"), 1 => Just("b")]
}

fn filter() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(FILTERS.map(|known| known.0).to_vec())
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (1..7_i64, part()).prop_map(|(id, part)| Act::Append(id, part)),
        (1..7_i64, part()).prop_map(|(id, part)| Act::Upsert(id, part)),
        filter().prop_map(Act::Delete),
        (filter(), 1..7_i64, part()).prop_map(|(filter, id, part)| Act::Overwrite(filter, id, part)),
        (1..7_i64, part()).prop_map(|(id, part)| Act::Dynamic(id, part)),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let mode = || prop_oneof![2 => Just(RowMode::CopyOnWrite), 1 => Just(RowMode::MergeOnRead)];
    let isolation = proptest::sample::select(vec![Isolation::Serializable, Isolation::Snapshot]);
    let ids = proptest::collection::vec((part(), 0..2_usize), 4);
    let deleted = proptest::option::weighted(0.3, filter());
    let spec = prop_oneof![3 => Just(BY_PART), 1 => Just(GLOBAL), 1 => Just(EVOLVED)];
    let theirs = prop_oneof![
        act().prop_map(Theirs::Act),
        (1..5_i64, part(), spec, proptest::bool::weighted(0.3))
            .prop_map(|(id, part, spec, adds)| Theirs::Equality(id, part, spec, adds)),
    ];
    let modes = (mode(), mode(), any::<bool>());
    (ids, proptest::bool::weighted(0.3), deleted, act(), theirs, isolation, modes).prop_map(
        |(ids, evolved, deleted, mine, theirs, isolation, (mode, their_mode, again))| {
            let mut appends: Vec<Vec<(i64, &'static str)>> = vec![Vec::new(); 2];
            for (id, (part, at)) in ids.into_iter().enumerate() {
                appends[at].push((id as i64 + 1, part));
            }
            appends.retain(|rows| !rows.is_empty());
            let theirs = match theirs {
                Theirs::Equality(id, part, EVOLVED, adds) if !evolved => {
                    Theirs::Equality(id, part, BY_PART, adds)
                }
                other => other,
            };
            Case { appends, evolved, deleted, mine, theirs, isolation, mode, their_mode, again }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 480, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_change_after_any_other_is_refused_or_right(case in case()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(check(case))?;
    }
}
