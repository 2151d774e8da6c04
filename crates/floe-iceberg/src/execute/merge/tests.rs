#![allow(clippy::option_option, reason = "whether a clause decides, whether it changes the row, and to what")]

use floe_core::{Error, ErrorKind};
use floe_plan::merge::{JoinColumn, MergeAction, MergeClause, MergeSpec, MergeWhen};
use iceberg::spec::{Transform, UnboundPartitionSpec};
use proptest::prelude::*;

use super::fixture::{Fixture, Row, spec};
use super::*;
use crate::data::BatchStream;
use crate::execute::rows::{RowMode, RowOptions};

type Pair = fn(&Row, &Row) -> bool;
type One = fn(&Row) -> bool;

fn equal(a: Option<f64>, b: Option<f64>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if a == b)
}

fn like<T: PartialEq>(a: Option<&T>, b: Option<&T>) -> bool {
    a.is_some() && a == b
}

fn same_float(a: Option<f64>, b: Option<f64>) -> bool {
    equal(a, b) || (a.is_none() && b.is_none()) || a.is_some_and(f64::is_nan) && b.is_some_and(f64::is_nan)
}

/// Conditions of ON, and what they mean for a row of the source and one of the table.
const ON: &[(&str, Pair)] = &[
    ("target.k = source.k", |s, t| like(s.k.as_ref(), t.k.as_ref())),
    ("source.k <=> target.k", |s, t| s.k == t.k),
    ("target.f = source.f", |s, t| equal(s.f, t.f)),
    ("target.f IS NOT DISTINCT FROM source.f AND target.p <=> source.p", |s, t| {
        same_float(s.f, t.f) && s.p == t.p
    }),
    ("target.point.x = source.point.x", |s, t| like(s.x.as_ref(), t.x.as_ref())),
    ("target.k = source.point.x", |s, t| like(s.x.map(i64::from).as_ref(), t.k.as_ref())),
    ("target.point.x = source.k", |s, t| like(s.k.as_ref(), t.x.map(i64::from).as_ref())),
    ("target.k = source.k + 1", |s, t| like(s.k.map(|k| k + 1).as_ref(), t.k.as_ref())),
    ("target.k = source.k AND target.p = 'a'", |s, t| {
        like(s.k.as_ref(), t.k.as_ref()) && t.p.as_deref() == Some("a")
    }),
    ("target.k = source.k AND source.v = 1", |s, t| like(s.k.as_ref(), t.k.as_ref()) && s.v == Some(1)),
    ("target.k <=> source.k AND source.v >= target.v", |s, t| {
        s.k == t.k && matches!((s.v, t.v), (Some(s), Some(t)) if s >= t)
    }),
];

const MATCHED: &[(&str, Pair)] = &[
    ("source.v > target.v", |s, t| matches!((s.v, t.v), (Some(s), Some(t)) if s > t)),
    ("source.p = 'a'", |s, _| s.p.as_deref() == Some("a")),
    ("target.point.x IS NULL OR target.v = 1", |_, t| t.x.is_none() || t.v == Some(1)),
    ("source.f <=> target.f", |s, t| same_float(s.f, t.f)),
    ("NOT isnan(source.f) AND target.p IN ('a', 'c')", |s, t| {
        !s.f.is_some_and(f64::is_nan) && matches!(t.p.as_deref(), Some("a" | "c"))
    }),
];

const NEW: &[(&str, One)] = &[
    ("source.p <> 'a'", |s| s.p.as_deref().is_some_and(|p| p != "a")),
    ("k BETWEEN 2 AND 8", |s| s.k.is_some_and(|k| (2..=8).contains(&k))),
];

const ALONE: &[(&str, One)] = &[
    ("target.p = 'b'", |t| t.p.as_deref() == Some("b")),
    ("v < 2 OR v IS NULL", |t| t.v.is_none_or(|v| v < 2)),
    ("target.k > 5", |t| t.k.is_some_and(|k| k > 5)),
    ("target.f < 1.5 AND NOT (target.p LIKE 'a%')", |t| {
        t.f.is_some_and(|f| f < 1.5) && t.p.as_deref().is_some_and(|p| !p.starts_with('a'))
    }),
];

/// What a clause does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Do {
    All,
    Some,
    Delete,
    Nothing,
}

#[derive(Debug, Clone)]
struct Clause {
    when: MergeWhen,
    condition: Option<usize>,
    action: Do,
}

#[derive(Debug, Clone)]
struct Step {
    rows: Vec<Row>,
    each: usize,
    on: usize,
    clauses: Vec<Clause>,
    mode: RowMode,
    spec: Option<usize>,
    memory: u64,
}

fn clause(when: MergeWhen, conditions: usize) -> impl Strategy<Value = Clause> {
    let action = match when {
        MergeWhen::Matched => vec![Do::All, Do::Some, Do::Delete, Do::Nothing],
        MergeWhen::NotMatched => vec![Do::All, Do::Some, Do::Nothing],
        MergeWhen::NotMatchedBySource => vec![Do::Some, Do::Delete, Do::Nothing],
    };
    (proptest::option::weighted(0.7, 0..conditions), proptest::sample::select(action))
        .prop_map(move |(condition, action)| Clause { when, condition, action })
}

fn clauses() -> impl Strategy<Value = Vec<Clause>> {
    let some = |when, conditions, most| proptest::collection::vec(clause(when, conditions), 0..most);
    (
        some(MergeWhen::Matched, MATCHED.len(), 4),
        some(MergeWhen::NotMatched, NEW.len(), 3),
        some(MergeWhen::NotMatchedBySource, ALONE.len(), 3),
    )
        .prop_map(|(a, b, c)| {
            // Nothing comes after a clause without a condition.
            let cut = |clauses: Vec<Clause>| {
                let end =
                    clauses.iter().position(|c| c.condition.is_none()).map_or(clauses.len(), |at| at + 1);
                clauses.into_iter().take(end)
            };
            cut(a).chain(cut(b)).chain(cut(c)).collect::<Vec<_>>()
        })
        .prop_filter("a merge has clauses", |clauses| !clauses.is_empty())
}

fn row() -> impl Strategy<Value = Row> {
    let float = prop_oneof![
        Just(None),
        Just(Some(f64::NAN)),
        Just(Some(0.0)),
        Just(Some(-0.0)),
        (0_i32..3).prop_map(|v| Some(v.into()))
    ];
    let weighted = proptest::option::weighted::<std::ops::Range<i64>>;
    let fields = (
        weighted(0.9, 0..12),
        float,
        proptest::option::weighted(0.8, "[a-c]"),
        weighted(0.8, 0..3),
        proptest::option::weighted(0.9, 0_i32..12),
    );
    fields.prop_map(|(k, f, p, v, x)| Row { k, f, p, v, x, late: None })
}

fn step() -> impl Strategy<Value = Step> {
    (
        proptest::collection::vec(row(), 0..14),
        1_usize..8,
        0..ON.len(),
        clauses(),
        prop_oneof![Just(RowMode::CopyOnWrite), Just(RowMode::MergeOnRead)],
        proptest::option::weighted(0.2, 0_usize..4),
        prop_oneof![3 => Just(64_u64 << 20), 1 => Just(1)],
    )
        .prop_map(|(rows, each, on, clauses, mode, spec, memory)| Step {
            rows,
            each,
            on,
            clauses,
            mode,
            spec,
            memory,
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

impl Clause {
    fn written(&self) -> MergeClause {
        use MergeWhen::{Matched, NotMatched, NotMatchedBySource};
        let columns = |columns: &[(&str, &str)]| {
            columns.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let action = match (self.action, self.when) {
            (Do::All, NotMatched) => MergeAction::InsertAll,
            (Do::All, _) => MergeAction::UpdateAll,
            (Do::Some, Matched) => MergeAction::Update(columns(&[
                ("v", "source.v + coalesce(target.v, 10)"),
                ("p", "CASE WHEN source.p = 'a' THEN target.p ELSE source.p END"),
            ])),
            (Do::Some, NotMatched) => {
                MergeAction::Insert(columns(&[("K", "source.k"), ("v", "v * 2"), ("point", "source.point")]))
            }
            (Do::Some, NotMatchedBySource) => {
                MergeAction::Update(columns(&[("v", "target.v + 1"), ("f", "NULL")]))
            }
            (Do::Delete, _) => MergeAction::Delete,
            (Do::Nothing, _) => MergeAction::Nothing,
        };
        let clause = MergeClause::new(self.when, action);
        let text = |conditions: &[&str], at: usize| conditions[at].to_owned();
        match (self.condition, self.when) {
            (None, _) => clause,
            (Some(at), Matched) => {
                clause.with_condition(text(&MATCHED.iter().map(|c| c.0).collect::<Vec<_>>(), at))
            }
            (Some(at), NotMatched) => {
                clause.with_condition(text(&NEW.iter().map(|c| c.0).collect::<Vec<_>>(), at))
            }
            (Some(at), _) => clause.with_condition(text(&ALONE.iter().map(|c| c.0).collect::<Vec<_>>(), at)),
        }
    }

    /// What becomes of a pair of rows; `None` if the clause does not decide.
    fn on_pair(&self, s: &Row, t: &Row) -> Option<Option<Option<Row>>> {
        if self.when != MergeWhen::Matched || self.condition.is_some_and(|at| !MATCHED[at].1(s, t)) {
            return None;
        }
        Some(match self.action {
            Do::Nothing => None,
            Do::Delete => Some(None),
            Do::All => Some(Some(s.clone())),
            Do::Some => {
                let v = s.v.map(|v| v + t.v.unwrap_or(10));
                let p = if s.p.as_deref() == Some("a") { t.p.clone() } else { s.p.clone() };
                Some(Some(Row { p, v, ..t.clone() }))
            }
        })
    }

    fn on_new(&self, s: &Row) -> Option<Option<Row>> {
        if self.when != MergeWhen::NotMatched || self.condition.is_some_and(|at| !NEW[at].1(s)) {
            return None;
        }
        Some(match self.action {
            Do::All => Some(s.clone()),
            Do::Some => Some(Row { k: s.k, v: s.v.map(|v| v * 2), x: s.x, ..Row::default() }),
            _ => None,
        })
    }

    fn on_alone(&self, t: &Row) -> Option<Option<Option<Row>>> {
        if self.when != MergeWhen::NotMatchedBySource || self.condition.is_some_and(|at| !ALONE[at].1(t)) {
            return None;
        }
        Some(match self.action {
            Do::Delete => Some(None),
            Do::Some => Some(Some(Row { v: t.v.map(|v| v + 1), f: None, ..t.clone() })),
            _ => None,
        })
    }
}

/// The table after a merge, and what was done; or how many rows several rows of the source would change.
fn model(table: &[Row], step: &Step) -> Result<(Vec<Row>, MergeCounts), u64> {
    let on = ON[step.on].1;
    let mut counts = MergeCounts { source_rows: step.rows.len() as u64, ..MergeCounts::default() };
    let mut after = Vec::new();
    let mut ambiguous = 0;
    let mut matched = vec![false; step.rows.len()];
    for t in table {
        let mut changes = Vec::new();
        let mut any = false;
        for (s, matched) in step.rows.iter().zip(&mut matched) {
            if on(s, t) {
                (any, *matched) = (true, true);
                changes.extend(step.clauses.iter().find_map(|c| c.on_pair(s, t)).flatten());
            }
        }
        if !any {
            changes.extend(step.clauses.iter().find_map(|c| c.on_alone(t)).flatten());
        }
        if changes.len() > 1 && changes.iter().any(Option::is_some) {
            ambiguous += 1;
        }
        match changes.into_iter().next() {
            None => {
                counts.rows_unchanged += u64::from(any);
                after.push(t.clone());
            }
            Some(None) => counts.rows_deleted += 1,
            Some(Some(new)) => {
                counts.rows_updated += 1;
                after.push(new);
            }
        }
    }
    if ambiguous > 0 {
        return Err(ambiguous);
    }
    for (s, matched) in step.rows.iter().zip(matched) {
        if !matched && let Some(new) = step.clauses.iter().find_map(|c| c.on_new(s)).flatten() {
            counts.rows_inserted += 1;
            after.push(new);
        }
    }
    Ok((after, counts))
}

fn options(step: &Step) -> MergeOptions {
    let spec = MergeSpec {
        on_condition: Some(ON[step.on].0.to_owned()),
        clauses: step.clauses.iter().map(Clause::written).collect(),
        ..MergeSpec::default()
    };
    let rows = RowOptions { mode: Some(step.mode), memory_bytes: step.memory, ..RowOptions::default() };
    MergeOptions { spec, rows, ..MergeOptions::default() }
}

fn sorted(rows: &[Row]) -> Vec<String> {
    let mut texts: Vec<String> = rows.iter().map(Row::text).collect();
    texts.sort();
    texts
}

async fn follow(first: Vec<Row>, steps: Vec<Step>, choice: usize) {
    let mut table = Fixture::new(numbered_spec(0, choice), &[("write.parquet.row-group-limit", "4")]);
    let fill = MergeOptions {
        spec: MergeSpec {
            on: vec!["k".into()],
            clauses: vec![MergeClause::new(MergeWhen::NotMatched, MergeAction::InsertAll)],
            ..MergeSpec::default()
        },
        ..MergeOptions::default()
    };
    let done = merge(&table.base(), table.data(&first, 5, &[]), &fill, &table.env).await.unwrap();
    table.commit(&done.rows).await;
    let mut rows = first;
    assert_eq!(table.texts().await, sorted(&rows));
    for (number, step) in steps.into_iter().enumerate() {
        if let Some(choice) = step.spec {
            table.change(|b| b.add_default_partition_spec(numbered_spec(number + 1, choice)).unwrap());
        }
        let wanted = options(&step);
        let data = || table.data(&step.rows, step.each, &[]);
        let done = merge(&table.base(), data(), &wanted, &table.env).await;
        match (done, model(&rows, &step)) {
            (Ok(done), Ok((after, mut counts))) => {
                counts.files = done.counts.files;
                counts.source_spills = done.counts.source_spills;
                assert_eq!(done.counts, counts, "{step:?}");
                let dry = RowOptions { dry_run: true, ..wanted.rows.clone() };
                let dry = MergeOptions { rows: dry, ..wanted };
                let dry = merge(&table.base(), data(), &dry, &table.env).await.unwrap();
                assert!(dry.rows.change.is_empty());
                assert_eq!(dry.counts.rows_updated, counts.rows_updated);
                if !done.rows.change.is_empty() {
                    table.commit(&done.rows).await;
                }
                rows = after;
            }
            (Err(error), Err(ambiguous)) => {
                assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
                assert!(error.message().starts_with(&format!("{ambiguous} rows of the table")), "{error}");
            }
            (done, model) => panic!("{:?} is not {model:?} after {step:?}", done.map(|d| d.counts)),
        }
        assert_eq!(table.texts().await, sorted(&rows), "after {step:?}");
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn merges_are_those_of_nested_loops(
        first in proptest::collection::vec(row(), 0..16),
        steps in proptest::collection::vec(step(), 1..5),
        choice in 0_usize..4,
    ) {
        runtime().block_on(follow(first, steps, choice));
    }
}

fn numbered(range: std::ops::Range<i64>, v: i64) -> Vec<Row> {
    let row = |k: i64| Row { k: Some(k), p: Some(format!("p{}", k / 1000)), v: Some(v), ..Row::default() };
    range.map(row).collect()
}

fn sql(text: &str) -> MergeOptions {
    let (_, spec) = MergeSpec::parse(&format!("MERGE INTO target USING source {text}")).unwrap();
    MergeOptions { spec, ..MergeOptions::default() }
}

async fn filled(choice: usize) -> Fixture {
    let mut table = Fixture::new(numbered_spec(0, choice), &[("write.parquet.row-group-limit", "100")]);
    for start in [0, 1000, 2000] {
        let data = table.data(&numbered(start..start + 1000, 0), 1000, &[]);
        let insert = sql("ON target.k = source.k WHEN NOT MATCHED THEN INSERT *");
        let done = merge(&table.base(), data, &insert, &table.env).await.unwrap();
        table.commit(&done.rows).await;
    }
    table
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_a_clause_about_the_tables_rows_cannot_change_are_not_opened() {
    for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
        let table = filled(1).await;
        let text = "ON target.k = source.k WHEN NOT MATCHED BY SOURCE AND target.p = 'p1' AND target.k < 1500 THEN DELETE";
        let wanted =
            MergeOptions { rows: RowOptions { mode: Some(mode), ..RowOptions::default() }, ..sql(text) };
        let source = table.data(&numbered(1400..1450, 0), 100, &[]);
        let done = merge(&table.base(), source, &wanted, &table.env).await.unwrap();
        assert_eq!((done.counts.rows_deleted, done.counts.rows_unchanged), (450, 50));
        // Once to look the keys up, and once for the clause; two other files are left alone.
        assert_eq!(done.counts.files.files_read, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_of_on_about_the_table_prunes_what_is_looked_up() {
    let table = filled(1).await;
    let text = "ON target.k = source.k AND target.p = 'p2' WHEN MATCHED THEN UPDATE SET v = target.v + 1";
    let source = table.data(&numbered(1990..2010, 0), 100, &[]);
    let done = merge(&table.base(), source, &sql(text), &table.env).await.unwrap();
    assert_eq!((done.counts.rows_updated, done.counts.rows_inserted), (10, 0));
    assert_eq!((done.counts.files.files_read, done.counts.files.files_rewritten), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_no_clause_changes_make_no_change() {
    let table = filled(0).await;
    let text = "ON target.k = source.k WHEN MATCHED AND source.v <> target.v THEN UPDATE SET *";
    let done = merge(&table.base(), table.data(&numbered(0..500, 0), 100, &[]), &sql(text), &table.env)
        .await
        .unwrap();
    assert_eq!((done.counts.rows_unchanged, done.counts.rows_updated), (500, 0));
    assert!(done.rows.change.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_of_many_rows_without_a_key_is_spilled_and_inserted() {
    let table = filled(0).await;
    let mut source = numbered(0..5000, 1);
    source.iter_mut().skip(500).for_each(|row| row.k = None);
    let text =
        "ON target.k = source.k WHEN MATCHED THEN UPDATE SET v = source.v WHEN NOT MATCHED THEN INSERT *";
    let rows = RowOptions { memory_bytes: 64 << 10, ..RowOptions::default() };
    let wanted = MergeOptions { rows, ..sql(text) };
    let done = merge(&table.base(), table.data(&source, 100, &[]), &wanted, &table.env).await.unwrap();
    assert!(done.counts.source_spills > 0);
    assert_eq!((done.counts.rows_updated, done.counts.rows_inserted), (500, 4500));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_merge_is_told_before_the_source_is_read() {
    let table = filled(0).await;
    for (text, kind) in [
        ("ON target.k = source.k WHEN MATCHED AND target.nope = 1 THEN DELETE", ErrorKind::Validation),
        ("ON target.k < source.k WHEN MATCHED THEN DELETE", ErrorKind::Unsupported),
        ("ON target.k = source.k WHEN NOT MATCHED THEN INSERT (k) VALUES (source.k)", ErrorKind::Validation),
    ] {
        let schema = table.data(&[], 1, &[]).schema;
        let source = futures::stream::poll_fn(|_| panic!("the source is read"));
        let source = BatchStream::new(schema, Box::pin(source));
        let error: Error = merge(&table.base(), source, &sql(text), &table.env).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{text}: {error}");
        assert!(error.table().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_cannot_be_computed_leaves_the_table_as_it_is() {
    let table = filled(0).await;
    let before = table.texts().await;
    let text = "ON target.k = source.k WHEN MATCHED THEN UPDATE SET v = 1 / (target.k - 1200)";
    let error =
        merge(&table.base(), table.data(&numbered(0..2000, 1), 100, &[]), &sql(text), &table.env).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert!(error.message().contains("column 'v'") && !error.to_string().contains("1200"), "{error}");
    assert_eq!(table.texts().await, before);
}

#[test]
fn join_columns_may_have_two_names() {
    let pair: JoinColumn = serde_json::from_str(r#"{"source": "a", "target": "b"}"#).unwrap();
    assert_eq!((pair.source(), pair.target()), ("a", "b"));
}
