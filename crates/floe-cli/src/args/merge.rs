//! The grammar of `merge`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::write::{CommitArgs, RowArgs, SourceArgs};

pub(super) const EXAMPLES: &str = "\
Inputs are read as `floe append` reads them, and may have columns that the table lacks. They are called source and the table
target, in one snapshot:

  --when \"MATCHED [AND condition] THEN UPDATE SET * | UPDATE SET column = expression, … | DELETE | DO NOTHING\"
  --when \"NOT MATCHED [AND condition] THEN INSERT * | INSERT (column, …) VALUES (expression, …) | DO NOTHING\"
  --when \"NOT MATCHED BY SOURCE [AND condition] THEN UPDATE SET column = expression, … | DELETE | DO NOTHING\"

Of the clauses for a row, the first whose condition is true decides; other rows stay as they are. --on compares columns with
NULL equal to NULL; a statement's ON condition says = or <=>. Rows of the table that several new rows would change are an
error.

Expressions: columns, 'text', numbers, DATE '…', TIMESTAMP '…', NULL; + - * / % ||; = <> < <= > >= <=>, AND OR NOT, IS NULL,
IS DISTINCT FROM, IN, BETWEEN, LIKE, CASE, CAST; coalesce, nullif, if, greatest, least, upper, lower, trim, length, concat, abs,
current_timestamp. Their meaning is that of Spark in ANSI mode: what does not fit its type is an error.

When another writer changes what was read, the merge is run again on the table as it is then, as `floe upsert` is.

Examples:
  floe merge shop.customers changes.csv --on id --when \"MATCHED AND source.op = 'D' THEN DELETE\" \\
      --when \"MATCHED THEN UPDATE SET *\" --when \"NOT MATCHED AND source.op <> 'D' THEN INSERT *\"
  floe merge shop.visits today.parquet --on id --when \"MATCHED THEN UPDATE SET n = target.n + source.n\" \\
      --when \"NOT MATCHED THEN INSERT *\" --mode merge-on-read
  floe merge shop.customers all.csv --on id=customer_id --dry-run \\
      --when \"NOT MATCHED BY SOURCE AND target.region = 'EU' THEN DELETE\"
  floe merge shop.customers changes.csv --sql-file merge.sql --idempotency-key run-17
  floe merge shop.customers changes.csv --sql \"MERGE INTO shop.customers t USING changes s
      ON t.id = s.id AND t.region = 'EU' WHEN MATCHED THEN UPDATE SET name = upper(s.name)\"";

/// `merge NS.T FILE… (--on … --when … | --sql … | --sql-file …)`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("join").required(true).multiple(true).args(["on", "on_condition", "sql", "sql_file"]))]
pub(crate) struct MergeArgs {
    /// Columns that are equal in rows that match; fields of structs as struct.field. COLUMN=SOURCE where the inputs have
    /// another name
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub(crate) on: Vec<String>,

    /// What else is true for rows that match, as in "target.region = 'EU'"
    #[arg(long, value_name = "EXPRESSION")]
    pub(crate) on_condition: Option<String>,

    /// What becomes of rows; given once or more, the first that is true decides
    #[arg(long, value_name = "CLAUSE", conflicts_with_all = ["sql", "sql_file"])]
    pub(crate) when: Vec<String>,

    /// A whole statement: MERGE INTO … USING … ON … WHEN …; the name after USING is what the inputs are called
    #[arg(long, value_name = "STATEMENT", conflicts_with_all = ["on", "on_condition", "sql_file"])]
    pub(crate) sql: Option<String>,

    /// A file that holds such a statement
    #[arg(long, value_name = "FILE", conflicts_with_all = ["on", "on_condition"])]
    pub(crate) sql_file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) rows: RowArgs,

    #[command(flatten)]
    pub(crate) commit: CommitArgs,

    #[command(flatten)]
    pub(crate) source: SourceArgs,
}
