//! The grammar of `append`, `overwrite`, `upsert` and `delete`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::InputArgs;
use crate::values::{KeyValue, TableName};

pub(super) const APPEND_EXAMPLES: &str = "\
Formats are known by extension (.parquet .csv .tsv .json .ndjson .jsonl .arrow .arrows .feather .ipc, the text ones
also with .gz or .zst) or else by content. Folders are read with everything below them, in the order of their names, without
hidden files and those that start with '_'. Schemas of all inputs are checked before anything is written.

CSV has a header line, and is read with the types of the table. An empty field is NULL, a quoted one (\"\") an empty text,
unless --null says what NULL is. A value that does not fit its column exactly is refused, with file, line and column: nothing
is rounded, cut or shifted. Numbers go to timestamp columns with --epoch only. See docs/inputs.md.

What is no regular file, such as '-', <(...) and a FIFO, is read once.

--staged adds the snapshot without showing it: `floe publish` shows it, by the wap.id it was given.

Examples:
  floe append trips.flights january.parquet february.parquet
  floe append trips.flights exports/ --strategy merge_commit --snapshot-property job=nightly
  floe append trips.flights march.parquet --branch audit --idempotency-key march-2013
  floe append trips.flights april.parquet --staged --snapshot-property wap.id=april
  floe append web.events clicks.ndjson --epoch ms
  zcat flights.csv.gz | floe append trips.flights - --input-format csv";

pub(super) const OVERWRITE_EXAMPLES: &str = "\
Inputs are read as `floe append` reads them. In one snapshot, the new rows take the place of

  with --all: all rows,
  with --filter: the rows for which it is true; the new rows need not match it,
  with --dynamic: the rows of the partitions that the new rows belong to; in a table without partitions, all rows.

Inputs without rows are refused where rows would be taken away, unless --allow-empty says that this is meant: a
command that wrote the input may have failed.

When another writer changes what was read, --dynamic is run again on the table as it is then, others only with --reruns N:
what came meanwhile is then overwritten, too.

Examples:
  floe overwrite trips.flights flights.parquet --all
  floe overwrite trips.flights june.parquet --filter \"time_hour >= '2013-06-01' and time_hour < '2013-07-01'\"
  floe overwrite trips.flights june.parquet --dynamic --dry-run
  floe overwrite trips.flights june.parquet --dynamic --branch audit --idempotency-key june-2013
  floe overwrite trips.flights june.parquet --filter \"month = 6\" --reruns 3";

pub(super) const UPSERT_EXAMPLES: &str = "\
Inputs are read as `floe append` reads them. In one snapshot, a new row takes the place of the rows whose columns --on
equal its own, NULL equal to NULL, and is added where there is none. A column that the inputs lack keeps its value; all of
them have to have the same columns, and all objects of NDJSON the same keys. Two new rows with one key are an error.

When another writer changes what was read, the upsert is run again on the table as it is then, and says how often (`reruns`).
That takes inputs that can be read again: files, or a small standard input.

Examples:
  floe upsert shop.customers changes.csv --on id
  floe upsert shop.prices today.parquet --on shop,article --matched update-if-changed --mode merge-on-read
  floe upsert shop.customers gone.csv --on id --matched delete --not-matched ignore --dry-run
  floe upsert shop.customers changes.csv --on id --idempotency-key run-17
  floe upsert shop.customers changes.csv --on id --reruns 3 --rerun-timeout 60";

pub(super) const DELETE_EXAMPLES: &str = "\
Rows for which the filter is false or unknown, as with NULL, stay. `--filter true` deletes every row.
Files that match as a whole are removed unread. When another writer changes what was read, the delete is run again on the
table as it is then, unless --reruns 0 says not to.

Filters: = != < <= > >=, AND OR NOT, IN (…), BETWEEN … AND …, LIKE 'abc%', IS NULL, IS NOT NULL, IS NAN.

Examples:
  floe delete trips.flights --filter \"carrier = 'AS'\" --dry-run
  floe delete trips.flights --filter \"dep_delay is null\" --mode merge-on-read
  floe delete trips.flights --filter \"time_hour < '2013-02-01'\" --idempotency-key retention-2013-01";

/// Files of rows, and the table that they go to.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// The table
    #[arg(value_name = "NAMESPACE.TABLE")]
    pub(crate) table: TableName,

    /// Files and folders; '-' is standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) input: InputArgs,
}

/// `append NS.T FILE…`.
#[derive(Debug, Args)]
pub(crate) struct AppendArgs {
    /// How the commit treats the table's manifests
    #[arg(long, value_enum, value_name = "STRATEGY")]
    pub(crate) strategy: Option<Strategy>,

    /// Add the snapshot to the table, and leave the branch where it is until `floe publish`
    #[arg(long)]
    pub(crate) staged: bool,

    #[command(flatten)]
    pub(crate) commit: CommitArgs,

    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

/// `overwrite NS.T FILE… --all | --filter … | --dynamic`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["all", "filter", "dynamic"])))]
pub(crate) struct OverwriteArgs {
    /// Take away all rows
    #[arg(long)]
    pub(crate) all: bool,

    /// Take away the rows for which this is true
    #[arg(long, value_name = "EXPRESSION")]
    pub(crate) filter: Option<String>,

    /// Take away the rows of the partitions that the new rows belong to
    #[arg(long)]
    pub(crate) dynamic: bool,

    /// Take rows away even if the inputs have no rows
    #[arg(long)]
    pub(crate) allow_empty: bool,

    #[command(flatten)]
    pub(crate) rows: RowArgs,

    #[command(flatten)]
    pub(crate) commit: CommitArgs,

    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

/// `upsert NS.T FILE… --on COLUMN[,…]`.
#[derive(Debug, Args)]
pub(crate) struct UpsertArgs {
    /// The columns that identify a row; fields of structs as struct.field
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', required = true)]
    pub(crate) on: Vec<String>,

    /// What happens to rows that are there
    #[arg(long, value_enum, value_name = "ACTION", default_value = "update-all")]
    pub(crate) matched: Matched,

    /// What happens to rows that are not there
    #[arg(long, value_enum, value_name = "ACTION", default_value = "insert")]
    pub(crate) not_matched: NotMatched,

    #[command(flatten)]
    pub(crate) rows: RowArgs,

    #[command(flatten)]
    pub(crate) commit: CommitArgs,

    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

/// What an upsert does with rows that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Matched {
    /// The new row takes their place
    UpdateAll,
    /// The new row takes their place if a column differs
    UpdateIfChanged,
    /// They stay as they are
    Ignore,
    /// They are deleted
    Delete,
}

/// What an upsert does with rows that are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NotMatched {
    /// They are added
    Insert,
    /// They are left out
    Ignore,
}

/// `delete NS.T --filter …`.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The table
    #[arg(value_name = "NAMESPACE.TABLE")]
    pub(crate) table: TableName,

    /// Delete the rows for which this is true
    #[arg(long, value_name = "EXPRESSION")]
    pub(crate) filter: String,

    #[command(flatten)]
    pub(crate) rows: RowArgs,

    #[command(flatten)]
    pub(crate) commit: CommitArgs,
}

/// How rows that are there are taken away.
#[derive(Debug, Clone, Args)]
pub(crate) struct RowArgs {
    /// How rows of data files are removed [default: copy-on-write; `delete` asks write.delete.mode of the table]
    #[arg(long, value_enum, value_name = "MODE")]
    pub(crate) mode: Option<Mode>,

    /// What other writers may do meanwhile [default: as write.delete.isolation-level of the table says]
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub(crate) isolation: Option<IsolationLevel>,

    /// Only count what would change; nothing is written
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) rerun: RerunArgs,
}

/// How often a change is made anew.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct RerunArgs {
    /// How often to run again when another writer changed what was read: 0 for never [default: 10, or as
    /// commit.rerun.max-attempts of the table says; 0 for overwrites other than --dynamic]
    #[arg(long, value_name = "N")]
    pub(crate) reruns: Option<u32>,

    /// Seconds after which nothing is run again [default: 1800, or as commit.rerun.total-timeout-ms of the table says]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) rerun_timeout: Option<u32>,
}

/// Where and as what a change is committed.
#[derive(Debug, Clone, Args)]
pub(crate) struct CommitArgs {
    /// The branch to change [default: main]
    #[arg(long, value_name = "BRANCH")]
    pub(crate) branch: Option<String>,

    /// A name for this very change: done again with the same name on the same branch, it changes nothing; with other
    /// inputs, it is refused
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,

    /// With --idempotency-key: the name alone decides, the inputs are not compared
    #[arg(long, requires = "idempotency_key")]
    pub(crate) any_input: bool,

    /// Set a property in the summary of the snapshot; may be given more than once
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) snapshot_property: Vec<KeyValue>,
}

/// How a commit treats the manifests that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Strategy {
    /// One more manifest: the fastest commit
    #[value(name = "fast_append", alias = "fast-append")]
    FastAppend,
    /// Merge small manifests, as the commit.manifest.* properties say
    #[value(name = "merge_commit", alias = "merge-commit")]
    MergeCommit,
}

/// How rows of data files are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Write files anew without the rows: more work now, none for readers
    CopyOnWrite,
    /// Write delete files: little work now, some for each reader
    MergeOnRead,
}

/// What other writers may do meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IsolationLevel {
    /// As if one came after the other: new rows that match are a conflict
    Serializable,
    /// The rows that were there at the start; rows that others add stay
    Snapshot,
}
