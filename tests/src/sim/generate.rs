//! Drawing operations at random.

use std::collections::BTreeMap;

use floe::execute::rows::RowMode;
use floe::execute::upsert::{WhenMatched, WhenNotMatched, WhenNotMatchedBySource};
use floe::iceberg::spec::{TableMetadata, Transform, UnboundPartitionSpec};
use floe::metadata_file::references;
use floe::model::{CommitStrategy, PartitionField, PartitionSpec, PartitionTransform};
use floe::plan::guard::Isolation;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::filter::Filter;
use super::model::{Action, Call, Clause, Op, Record, Upsert, When};
use super::row::{Row, random_row};

/// The partitioning of a new table: a source column, a transform and its number.
type Field = (i32, PartitionTransform, Option<u32>);

/// Specs that tables have and come to have.
const SPECS: [&[Field]; 5] = [
    &[],
    &[(2, PartitionTransform::Identity, None)],
    &[(1, PartitionTransform::Bucket, Some(2))],
    &[(1, PartitionTransform::Truncate, Some(5))],
    &[(2, PartitionTransform::Identity, None), (1, PartitionTransform::Truncate, Some(6))],
];

/// The spec of a new table.
pub(super) fn first_spec(random: &mut StdRng) -> Option<PartitionSpec> {
    let fields = SPECS[random.random_range(0..SPECS.len())];
    (!fields.is_empty()).then(|| {
        let field = |(index, (source, transform, number)): (usize, &Field)| PartitionField {
            source_field_id: *source,
            partition_field_id: 1000 + index as i32,
            name: name(*source, *transform),
            transform: *transform,
            num_buckets: number.filter(|_| *transform == PartitionTransform::Bucket),
            width: number.filter(|_| *transform == PartitionTransform::Truncate),
        };
        PartitionSpec { fields: fields.iter().enumerate().map(field).collect() }
    })
}

fn next_spec(random: &mut StdRng) -> UnboundPartitionSpec {
    let mut spec = UnboundPartitionSpec::builder();
    for (source, transform, number) in SPECS[random.random_range(0..SPECS.len())] {
        let of = match transform {
            PartitionTransform::Bucket => Transform::Bucket(number.unwrap_or(1)),
            PartitionTransform::Truncate => Transform::Truncate(number.unwrap_or(1)),
            _ => Transform::Identity,
        };
        spec = spec.add_partition_field(*source, name(*source, *transform), of).unwrap();
    }
    spec.build()
}

fn name(source: i32, transform: PartitionTransform) -> String {
    format!("part_{source}_{transform:?}").to_lowercase()
}

/// The properties of a new table.
pub(super) fn properties(random: &mut StdRng) -> BTreeMap<String, String> {
    let mut properties = BTreeMap::new();
    let mut set = |key: &str, value: &str| properties.insert(key.to_owned(), value.to_owned());
    set("commit.retry.min-wait-ms", "100");
    set("commit.retry.num-retries", ["1", "3", "6"][random.random_range(0..3)]);
    set("commit.manifest.min-count-to-merge", "2");
    // The least work for each of many tiny files.
    set("write.parquet.compression-codec", "snappy");
    for mode in ["write.delete.mode", "write.update.mode", "write.merge.mode"] {
        if random.random() {
            set(mode, "merge-on-read");
        }
    }
    properties
}

/// What a writer does next: something new, or what another was asked for already.
pub(super) fn call(random: &mut StdRng, number: usize, table: &TableMetadata, before: &[Record]) -> Call {
    let keyed: Vec<&Call> = before.iter().map(|r| &r.call).filter(|call| call.key.is_some()).collect();
    if let Some(again) = keyed.choose(random).filter(|_| random.random_range(0..8) == 0) {
        let mut again = (*again).clone();
        if random.random_range(0..3) == 0 {
            again.op.change_input(random_row(random, &format!("other{number}")));
        }
        return again;
    }
    let references = references(table).unwrap();
    let branches: Vec<String> = references
        .iter()
        .filter(|(name, r)| r.is_branch() && *name != "main")
        .map(|(n, _)| n.clone())
        .collect();
    let elsewhere = branches.choose(random).filter(|_| random.random_range(0..4) == 0).cloned();
    let op = op(random, number, table, branches.as_slice());
    let rows = op.changes_rows();
    let whole = matches!(op, Op::Transaction { .. });
    let wap = (rows && !whole && !matches!(op, Op::Delete { .. }) && random.random_range(0..12) == 0)
        .then(|| format!("wap-{number}"));
    Call {
        key: (rows && random.random_range(0..3) == 0).then(|| format!("key-{number}")),
        branch: elsewhere.filter(|_| !matches!(op, Op::FastForward { .. })),
        isolation: if !whole && random.random_range(0..3) == 0 {
            Isolation::Snapshot
        } else {
            Isolation::Serializable
        },
        mode: [None, Some(RowMode::CopyOnWrite), Some(RowMode::MergeOnRead)][random.random_range(0..3)],
        strategy: [CommitStrategy::FastAppend, CommitStrategy::MergeCommit][random.random_range(0..2)],
        wap,
        op,
    }
}

fn op(random: &mut StdRng, number: usize, table: &TableMetadata, branches: &[String]) -> Op {
    let rows = |random: &mut StdRng| -> Vec<Row> {
        let count = random.random_range(1..5);
        (0..count).map(|row| random_row(random, &format!("op{number}-{row}"))).collect()
    };
    // Hash maps have no order of their own.
    let mut snapshots: Vec<_> = table.snapshots().map(|s| (s.sequence_number(), s.snapshot_id())).collect();
    snapshots.sort_unstable();
    let some = |random: &mut StdRng| snapshots.choose(random).map(|(_, id)| *id);
    let history: Vec<i64> = floe::refs::history(table, "main").map(|s| s.snapshot_id()).collect();
    let staged: Vec<(i64, String)> = {
        let wap =
            |s: &&floe::iceberg::spec::SnapshotRef| s.summary().additional_properties.contains_key("wap.id");
        let mut staged: Vec<_> = table
            .snapshots()
            .filter(wap)
            .map(|s| (s.sequence_number(), s.summary().additional_properties["wap.id"].clone()))
            .collect();
        staged.sort_unstable();
        staged
    };
    loop {
        let op = match random.random_range(0..100) {
            0..22 => Op::Append { rows: rows(random) },
            22..24 => Op::OverwriteAll { rows: rows(random) },
            24..33 => Op::OverwriteWhere { filter: Filter::random(random, 2), rows: rows(random) },
            33..41 => Op::OverwritePartitions { rows: rows(random) },
            41..55 => Op::Delete { filter: Filter::random(random, 2) },
            55..68 => {
                let how = upsert(random);
                Op::Upsert { rows: distinct(rows(random), &how.on), how }
            }
            68..75 => {
                let on: &[&'static str] = [&["id"][..], &["p", "t"]][random.random_range(0..2)];
                Op::Merge { rows: distinct(rows(random), on), on: on.to_vec(), clauses: clauses(random) }
            }
            75..79 => Op::Transaction {
                column: random.random::<bool>().then(|| format!("y{number}")),
                rows: rows(random),
                filter: Filter::random(random, 1),
                with: rows(random),
            },
            79 => Op::Evolve { column: format!("x{number}") },
            80..82 => match some(random) {
                Some(snapshot) => Op::Tag { name: format!("tag{}", random.random_range(0..2)), snapshot },
                None => continue,
            },
            82 => Op::DropTag { name: format!("tag{}", random.random_range(0..2)) },
            83..87 => match some(random) {
                Some(snapshot) => Op::Branch { name: format!("b{}", random.random_range(0..2)), snapshot },
                None => continue,
            },
            87..89 => match history.choose(random) {
                Some(snapshot) => Op::Rollback { snapshot: *snapshot },
                None => continue,
            },
            89 => match some(random) {
                Some(snapshot) => Op::SetCurrent { snapshot },
                None => continue,
            },
            90..92 => match branches.choose(random) {
                Some(to) => Op::FastForward { to: to.clone() },
                None => continue,
            },
            92..95 => match staged.choose(random) {
                Some((_, wap)) => Op::Publish { wap: wap.clone() },
                None => continue,
            },
            95..97 => match some(random) {
                Some(snapshot) => Op::CherryPick { snapshot },
                None => continue,
            },
            _ => Op::Respec { spec: next_spec(random) },
        };
        return op;
    }
}

/// Rows of which no two have one key.
fn distinct(mut rows: Vec<Row>, on: &[&str]) -> Vec<Row> {
    let key = |row: &Row| on.iter().map(|column| row.key(column)).collect::<Vec<_>>();
    let mut seen = Vec::new();
    rows.retain(|row| {
        let new = !seen.contains(&key(row));
        seen.push(key(row));
        new
    });
    rows
}

fn clauses(random: &mut StdRng) -> Vec<Clause> {
    let some = |random: &mut StdRng| Some(Filter::of_numbers(random));
    let mut clauses = Vec::new();
    if random.random() {
        let action = [Action::Delete, Action::Mark("marked")][random.random_range(0..2)];
        clauses.push(Clause { when: When::TargetMatched, condition: some(random), action });
    }
    if random.random() {
        clauses.push(Clause { when: When::SourceMatched, condition: some(random), action: Action::Delete });
    }
    if random.random_range(0..4) > 0 {
        clauses.push(Clause { when: When::SourceMatched, condition: None, action: Action::UpdateAll });
    }
    let condition = if random.random() { some(random) } else { None };
    clauses.push(Clause { when: When::NotMatched, condition, action: Action::Insert });
    if random.random_range(0..4) == 0 {
        let action = [Action::Delete, Action::Mark("alone")][random.random_range(0..2)];
        clauses.push(Clause { when: When::NotMatchedBySource, condition: some(random), action });
    }
    clauses
}

fn upsert(random: &mut StdRng) -> Upsert {
    use WhenMatched as Matched;
    let on: &[&'static str] = [&["id"][..], &["id", "p"], &["v"], &["t"]][random.random_range(0..4)];
    Upsert {
        on: on.to_vec(),
        matched: [Matched::UpdateAll, Matched::UpdateIfChanged, Matched::Ignore, Matched::Delete]
            [random.random_range(0..4)],
        not_matched: [WhenNotMatched::Insert, WhenNotMatched::Ignore]
            [usize::from(random.random_range(0..4) == 0)],
        by_source: [WhenNotMatchedBySource::Ignore, WhenNotMatchedBySource::Delete]
            [usize::from(random.random_range(0..6) == 0)],
    }
}
