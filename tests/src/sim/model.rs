//! What operations are, and what each does to a list of rows.

use std::collections::{BTreeSet, HashMap};

use floe::execute::rows::RowMode;
use floe::execute::upsert::{WhenMatched, WhenNotMatched, WhenNotMatchedBySource};
use floe::iceberg::spec::{Datum, TableMetadata, UnboundPartitionSpec};
use floe::iceberg::transform::create_transform_function;
use floe::model::CommitStrategy;
use floe::plan::guard::Isolation;

use super::filter::Filter;
use super::row::Row;

/// A kind of operation, with what it works on.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Append {
        rows: Vec<Row>,
    },
    OverwriteAll {
        rows: Vec<Row>,
    },
    OverwriteWhere {
        filter: Filter,
        rows: Vec<Row>,
    },
    OverwritePartitions {
        rows: Vec<Row>,
    },
    Delete {
        filter: Filter,
    },
    Upsert {
        rows: Vec<Row>,
        how: Upsert,
    },
    Merge {
        rows: Vec<Row>,
        on: Vec<&'static str>,
        clauses: Vec<Clause>,
    },
    /// An append and an overwrite in one commit, with a new column before them.
    Transaction {
        column: Option<String>,
        rows: Vec<Row>,
        filter: Filter,
        with: Vec<Row>,
    },
    Evolve {
        column: String,
    },
    Tag {
        name: String,
        snapshot: i64,
    },
    DropTag {
        name: String,
    },
    Branch {
        name: String,
        snapshot: i64,
    },
    Rollback {
        snapshot: i64,
    },
    SetCurrent {
        snapshot: i64,
    },
    FastForward {
        to: String,
    },
    Publish {
        wap: String,
    },
    CherryPick {
        snapshot: i64,
    },
    Respec {
        spec: UnboundPartitionSpec,
    },
}

/// How an upsert is done.
#[derive(Debug, Clone)]
pub(super) struct Upsert {
    pub(super) on: Vec<&'static str>,
    pub(super) matched: WhenMatched,
    pub(super) not_matched: WhenNotMatched,
    pub(super) by_source: WhenNotMatchedBySource,
}

/// A clause of a merge.
#[derive(Debug, Clone)]
pub(super) struct Clause {
    pub(super) when: When,
    pub(super) condition: Option<Filter>,
    pub(super) action: Action,
}

/// Which rows a clause is for. Its condition is about the row that is named first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    SourceMatched,
    TargetMatched,
    NotMatched,
    NotMatchedBySource,
}

/// What a clause does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    UpdateAll,
    /// Sets `t` to this.
    Mark(&'static str),
    Delete,
    Insert,
}

/// An operation as a writer is asked for it.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) op: Op,
    /// `main` when absent.
    pub(super) branch: Option<String>,
    pub(super) key: Option<String>,
    pub(super) isolation: Isolation,
    pub(super) mode: Option<RowMode>,
    pub(super) strategy: CommitStrategy,
    /// The `wap.id` of a snapshot that is staged.
    pub(super) wap: Option<String>,
}

impl Call {
    /// A plain append.
    pub(super) fn append(rows: Vec<Row>) -> Self {
        Self {
            op: Op::Append { rows },
            branch: None,
            key: None,
            isolation: Isolation::Serializable,
            mode: None,
            strategy: CommitStrategy::FastAppend,
            wap: None,
        }
    }
}

/// How a call ended for its writer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    /// It is under way.
    Running,
    /// It succeeded. `attempts` is 0 when nothing was committed.
    Done { snapshot: Option<i64>, attempts: u32, replayed: bool, reruns: u32 },
    /// It certainly failed.
    Failed(String),
    /// The writer was told that nobody knows.
    Unknown,
    /// The writer is gone.
    Crashed,
}

impl Outcome {
    /// How often it was run again, if it succeeded.
    pub(super) fn reruns(&self) -> u32 {
        match self {
            Self::Done { reruns, .. } => *reruns,
            _ => 0,
        }
    }
}

/// A call and its outcome.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) call: Call,
    pub(super) outcome: Outcome,
}

impl Op {
    /// Whether it changes rows; the others move references or change metadata.
    pub(super) fn changes_rows(&self) -> bool {
        matches!(
            self,
            Self::Append { .. }
                | Self::OverwriteAll { .. }
                | Self::OverwriteWhere { .. }
                | Self::OverwritePartitions { .. }
                | Self::Delete { .. }
                | Self::Upsert { .. }
                | Self::Merge { .. }
                | Self::Transaction { .. }
        )
    }

    /// Whether two operations are one, their rows included.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }

    /// Gives the operation one more row, if it takes rows.
    pub(super) fn change_input(&mut self, row: Row) {
        match self {
            Self::Append { rows }
            | Self::OverwriteAll { rows }
            | Self::OverwriteWhere { rows, .. }
            | Self::OverwritePartitions { rows }
            | Self::Transaction { with: rows, .. } => rows.push(row),
            // Keys are told apart.
            Self::Upsert { rows, .. } | Self::Merge { rows, .. } => rows.truncate(rows.len() / 2),
            _ => {}
        }
    }

    /// How many snapshots it adds, if it changes rows.
    pub(super) fn snapshots(&self) -> usize {
        if matches!(self, Self::Transaction { .. }) { 2 } else { 1 }
    }

    /// The rows it removes from `rows`, and those it adds, in a table with this metadata. `step` counts its snapshots.
    pub(super) fn effect(&self, step: usize, rows: &[Row], metadata: &TableMetadata) -> Effect {
        let matching = |filter: &Filter| rows.iter().filter(|r| filter.is_true(r)).cloned().collect();
        match self {
            Self::Append { rows: new } => Effect { removed: Vec::new(), added: new.clone() },
            Self::OverwriteAll { rows: new } => Effect { removed: rows.to_vec(), added: new.clone() },
            Self::OverwriteWhere { filter, rows: new } => {
                Effect { removed: matching(filter), added: new.clone() }
            }
            Self::OverwritePartitions { rows: new } => {
                let of = |row: &Row| partition(row, metadata);
                let hit: BTreeSet<Vec<String>> = new.iter().map(of).collect();
                let removed = rows.iter().filter(|row| hit.contains(&of(row))).cloned().collect();
                Effect { removed, added: new.clone() }
            }
            Self::Delete { filter } => Effect { removed: matching(filter), added: Vec::new() },
            Self::Upsert { rows: new, how } => upsert(rows, new, how),
            Self::Transaction { rows: new, .. } if step == 0 => {
                Effect { removed: Vec::new(), added: new.clone() }
            }
            Self::Transaction { filter, with, .. } => {
                Effect { removed: matching(filter), added: with.clone() }
            }
            Self::Merge { rows: new, on, clauses } => merge(rows, new, on, clauses),
            _ => Effect::default(),
        }
    }
}

/// What an operation does to rows.
#[derive(Debug, Clone, Default)]
pub(super) struct Effect {
    pub(super) removed: Vec<Row>,
    pub(super) added: Vec<Row>,
}

impl Effect {
    /// The sorted rows after it; `None` when a row that it removes is not there.
    pub(super) fn apply(&self, rows: &[Row]) -> Option<Vec<Row>> {
        let mut counts: HashMap<&Row, i64> = HashMap::new();
        for row in &self.removed {
            *counts.entry(row).or_default() += 1;
        }
        let mut after = Vec::with_capacity(rows.len());
        for row in rows {
            match counts.get_mut(row) {
                Some(count) if *count > 0 => *count -= 1,
                _ => after.push(row.clone()),
            }
        }
        if counts.values().any(|count| *count > 0) {
            return None;
        }
        after.extend(self.added.iter().cloned());
        after.sort_unstable();
        Some(after)
    }
}

fn upsert(rows: &[Row], new: &[Row], how: &Upsert) -> Effect {
    let key = |row: &Row| how.on.iter().map(|column| row.key(column)).collect::<Vec<_>>();
    let source: HashMap<Vec<String>, &Row> = new.iter().map(|row| (key(row), row)).collect();
    let mut matched = BTreeSet::new();
    let mut effect = Effect::default();
    for row in rows {
        let Some(with) = source.get(&key(row)) else {
            if how.by_source == WhenNotMatchedBySource::Delete {
                effect.removed.push(row.clone());
            }
            continue;
        };
        matched.insert(key(row));
        match how.matched {
            WhenMatched::Ignore => {}
            WhenMatched::UpdateIfChanged if row == *with => {}
            WhenMatched::Delete => effect.removed.push(row.clone()),
            WhenMatched::UpdateAll | WhenMatched::UpdateIfChanged => {
                effect.removed.push(row.clone());
                effect.added.push((*with).clone());
            }
        }
    }
    if how.not_matched == WhenNotMatched::Insert {
        effect.added.extend(new.iter().filter(|row| !matched.contains(&key(row))).cloned());
    }
    effect
}

fn merge(rows: &[Row], new: &[Row], on: &[&str], clauses: &[Clause]) -> Effect {
    let key = |row: &Row| on.iter().map(|column| row.key(column)).collect::<Vec<_>>();
    let source: HashMap<Vec<String>, &Row> = new.iter().map(|row| (key(row), row)).collect();
    let is_true =
        |clause: &Clause, row: &Row| clause.condition.as_ref().is_none_or(|filter| filter.is_true(row));
    let mut matched = BTreeSet::new();
    let mut effect = Effect::default();
    for row in rows {
        let with = source.get(&key(row));
        matched.extend(with.map(|_| key(row)));
        let decides = |clause: &&Clause| match (clause.when, with) {
            (When::SourceMatched, Some(with)) => is_true(clause, with),
            (When::TargetMatched, Some(_)) | (When::NotMatchedBySource, None) => is_true(clause, row),
            _ => false,
        };
        let Some(clause) = clauses.iter().find(decides) else { continue };
        effect.removed.push(row.clone());
        match (clause.action, with) {
            (Action::UpdateAll, Some(with)) => effect.added.push((*with).clone()),
            (Action::Mark(mark), _) => effect.added.push(row.with_t(mark)),
            _ => {}
        }
    }
    for row in new.iter().filter(|row| !matched.contains(&key(row))) {
        let decides = |clause: &&Clause| clause.when == When::NotMatched && is_true(clause, row);
        effect.added.extend(clauses.iter().find(decides).map(|_| row.clone()));
    }
    effect
}

/// The partition of a row under the default spec, by the transforms of the `iceberg` crate.
fn partition(row: &Row, metadata: &TableMetadata) -> Vec<String> {
    let fields = metadata.default_partition_spec().fields().iter();
    let value = fields.map(|field| {
        let datum = match field.source_id {
            1 => row.id.map(Datum::long),
            2 => row.p.map(Datum::int),
            3 => row.v().map(Datum::double),
            _ => row.t.as_ref().map(Datum::string),
        };
        let transform = create_transform_function(&field.transform).unwrap();
        let value = datum.and_then(|datum| transform.transform_literal(&datum).unwrap());
        value.map_or_else(|| "NULL".to_owned(), |value| format!("{value:?}"))
    });
    value.collect()
}
