//! Writers of all kinds on one table of `id` and `text`, none of which touches the rows of another.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};

/// The rows that are there before.
pub const START: Range<i64> = 0..4000;
/// Rows that a command changes.
const EACH: i64 = 40;

/// What a writer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Adds rows with new ids.
    Append,
    /// Changes rows, and adds some.
    Upsert,
    /// Deletes rows.
    Delete,
}

/// The kinds and numbers of eight writers.
pub const EIGHT: [(Kind, i64); 8] = [
    (Kind::Append, 0),
    (Kind::Append, 1),
    (Kind::Append, 2),
    (Kind::Append, 3),
    (Kind::Upsert, 0),
    (Kind::Upsert, 1),
    (Kind::Delete, 0),
    (Kind::Delete, 1),
];

impl Kind {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Upsert => "upsert",
            Self::Delete => "delete",
        }
    }

    /// The kind with this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Append, Self::Upsert, Self::Delete].into_iter().find(|kind| kind.name() == name)
    }
}

/// What a command of a writer changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The ids of the rows.
    pub ids: Range<i64>,
    /// Their text.
    pub text: String,
}

/// The command number `at` of a writer.
pub fn command(kind: Kind, number: i64, at: i64) -> Command {
    let first = match kind {
        Kind::Append => 100_000 + number * 10_000 + at * EACH,
        // Each command changes half of what the one before it changed; the second writer adds rows, too.
        Kind::Upsert => number * 3900 + at * EACH / 2,
        Kind::Delete => 2000 + number * 1000 + at * EACH,
    };
    Command { ids: first..first + EACH, text: format!("{} {number}, command {at}", kind.name()) }
}

impl Command {
    /// The rows.
    pub fn batch(&self) -> RecordBatch {
        batch(self.ids.clone().map(|id| (id, self.text.clone())))
    }
}

/// The rows that are there before.
pub fn start() -> BTreeMap<i64, String> {
    START.map(|id| (id, format!("row {id}"))).collect()
}

/// The rows after all commands of the eight writers, in whatever order.
pub fn end(commands: i64) -> BTreeMap<i64, String> {
    let mut rows = start();
    for (kind, number) in EIGHT {
        for at in 0..commands {
            let Command { ids, text } = command(kind, number, at);
            match kind {
                Kind::Append | Kind::Upsert => rows.extend(ids.map(|id| (id, text.clone()))),
                Kind::Delete => rows.retain(|id, _| !ids.contains(id)),
            }
        }
    }
    rows
}

/// Rows as a batch.
pub fn batch(rows: impl Iterator<Item = (i64, String)>) -> RecordBatch {
    let (ids, texts): (Vec<i64>, Vec<String>) = rows.unzip();
    let columns: [(&str, ArrayRef, bool); 2] =
        [("id", Arc::new(Int64Array::from(ids)), false), ("text", Arc::new(StringArray::from(texts)), true)];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}
