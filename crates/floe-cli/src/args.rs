//! The grammar of the command line: `floe [--warehouse DIR | --catalog NAME] [--json] COMMAND NAMESPACE.TABLE …`.

mod catalog;
mod merge;
mod names;
mod refs;
mod schema;
mod write;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::catalog::{CatalogAction, CatalogArgs, TrustArgs};
pub(crate) use self::merge::MergeArgs;
pub(crate) use self::names::{DropArgs, NamespaceAction, NamespaceArgs, RegisterArgs, RenameArgs};
pub(crate) use self::refs::{
    BranchArgs, CherryPickArgs, FastForwardArgs, PlaceArgs, PublishArgs, RollbackArgs, SetCurrentArgs,
    TagArgs,
};
pub(crate) use self::schema::{EvolveArgs, PropertiesArgs, TransactionArgs};
pub(crate) use self::write::{
    AppendArgs, CommitArgs, DeleteArgs, IsolationLevel, Matched, Mode, NotMatched, OverwriteArgs, RerunArgs,
    RowArgs, SourceArgs, Strategy, UpsertArgs,
};
use crate::partition::PartitionTerm;
use crate::values::{KeyValue, TableName};

/// Everything on the command line.
#[derive(Debug, Parser)]
#[command(
    name = "floe",
    version,
    about = "Apache Iceberg tables from the command line: create, write, read, travel in time",
    long_about = "Apache Iceberg tables from the command line: create, write, read, travel in time.\n\n\
        Without configuration, tables live in one folder, the warehouse (./warehouse), beside a SQLite catalog \
        that PyIceberg opens too. Other catalogs are named in floe.toml.",
    after_long_help = AFTER_HELP,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 110
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  floe quickstart
  floe create trips.flights --from flights.parquet --partition 'month(time_hour)'
  floe append trips.flights january.csv february.csv
  floe delete trips.flights --filter \"carrier = 'AS'\" --dry-run
  floe scan trips.flights --filter \"origin = 'JFK' and dep_delay > 60\" --columns carrier,dest --limit 20
  floe scan trips.flights --at 2024-05-01 --format parquet --out flights.parquet

Where the tables are, first match wins:
  --warehouse DIR or --catalog NAME, FLOE_WAREHOUSE, FLOE_CATALOG, the default catalog of floe.toml
  (--config FILE, or in this folder or one above it up to the home folder, laid over ~/.config/floe/floe.toml), or of .pyiceberg.yaml where no catalog is
  configured otherwise, ./warehouse

Exit codes:
  0 done                      5 conflict with another writer
  1 defect, please report     6 unknown whether the change took effect: look before trying again
  2 mend the input            7 credentials or permission are missing
  3 not found                 8 try again later
  4 already exists            9 table, disk or environment needs repair
                            130 interrupted";

/// Options that every command takes, before its name or after it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// The folder that holds the tables and their catalog [env: FLOE_WAREHOUSE]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) warehouse: Option<PathBuf>,

    /// A catalog from floe.toml [env: FLOE_CATALOG]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) catalog: Option<String>,

    /// A configuration file to read in place of the project's floe.toml [env: FLOE_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Memory that a command may take for rows, such as 512MB; rows beyond it go to temporary files [default: 256MiB]. Larger
    /// metadata and pages are refused if it is given
    #[arg(long, global = true, value_name = "SIZE", value_parser = crate::values::bytes)]
    pub(crate) memory: Option<u64>,

    /// Print one JSON object on standard output; errors as one JSON object on standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// No progress bars, notes or statistics
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    /// Log to standard error: -v operations, -vv details; FLOE_LOG takes a filter such as floe=debug
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

impl GlobalArgs {
    /// The configuration file that is named by the option or the environment.
    pub(crate) fn config(&self, env: &[(String, String)]) -> Option<PathBuf> {
        self.config.clone().or_else(|| crate::configuration::variable(env, "FLOE_CONFIG").map(PathBuf::from))
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Set up a warehouse, and check that it can be written
    #[command(after_help = "Examples:\n  floe init\n  floe --warehouse /data/lake init")]
    Init,

    /// Create an empty table, with the schema of a file or a given one
    #[command(after_help = CREATE_EXAMPLES)]
    Create(CreateArgs),

    /// Append files, folders or standard input to a table, in one snapshot
    #[command(after_help = write::APPEND_EXAMPLES)]
    Append(AppendArgs),

    /// Put files in the place of rows: all, those of a filter, or those of the same partitions
    #[command(after_help = write::OVERWRITE_EXAMPLES)]
    Overwrite(OverwriteArgs),

    /// Update the rows that files have new versions of, and add those that are not there
    #[command(after_help = write::UPSERT_EXAMPLES)]
    Upsert(UpsertArgs),

    /// Update, add and delete rows by clauses of SQL: WHEN MATCHED, NOT MATCHED, NOT MATCHED BY SOURCE
    #[command(after_help = merge::EXAMPLES)]
    Merge(MergeArgs),

    /// Delete the rows for which a filter is true
    #[command(after_help = write::DELETE_EXAMPLES)]
    Delete(DeleteArgs),

    /// Run the operations of a file and commit them together: schema, rows, properties, references
    #[command(after_help = schema::TRANSACTION_EXAMPLES)]
    Transaction(TransactionArgs),

    /// Change a table's schema: add, rename, widen or delete columns; no file is touched
    #[command(after_help = schema::EVOLVE_EXAMPLES)]
    Evolve(EvolveArgs),

    /// Show a table's properties; set and remove some
    #[command(after_help = schema::PROPERTIES_EXAMPLES)]
    Properties(PropertiesArgs),

    /// Read a table: filter, choose columns, travel in time, export
    #[command(after_help = SCAN_EXAMPLES)]
    Scan(ScanArgs),

    /// Show a table's schema, partitioning, properties and size
    #[command(after_help = "Examples:\n  floe describe trips.flights\n  floe describe trips.flights --json")]
    Describe(TableArgs),

    /// List a table's snapshots, newest first
    #[command(after_help = "Examples:\n  floe snapshots trips.flights")]
    Snapshots(TableArgs),

    /// List the data files of a snapshot
    #[command(
        after_help = "Examples:\n  floe files trips.flights\n  floe files trips.flights --at 2024-05-01T12:00:00Z"
    )]
    Files(FilesArgs),

    /// List a table's branches and tags
    #[command(after_help = "Examples:\n  floe refs trips.flights")]
    Refs(TableArgs),

    /// Make, move or drop a tag: a name that keeps a snapshot
    #[command(after_help = refs::TAG_EXAMPLES)]
    Tag(TagArgs),

    /// Make, move or drop a branch: a line of snapshots of its own
    #[command(after_help = refs::BRANCH_EXAMPLES)]
    Branch(BranchArgs),

    /// Set a branch back to a snapshot or time of its own history
    #[command(after_help = refs::ROLLBACK_EXAMPLES)]
    Rollback(RollbackArgs),

    /// Set a branch to any snapshot of the table
    #[command(after_help = refs::SET_CURRENT_EXAMPLES)]
    SetCurrent(SetCurrentArgs),

    /// Move a branch forward to another branch or a tag, losing nothing
    #[command(after_help = refs::FAST_FORWARD_EXAMPLES)]
    FastForward(FastForwardArgs),

    /// Apply the change of one snapshot to a branch
    #[command(after_help = refs::CHERRY_PICK_EXAMPLES)]
    CherryPick(CherryPickArgs),

    /// Publish a staged snapshot, found by its wap.id
    #[command(after_help = refs::PUBLISH_EXAMPLES)]
    Publish(PublishArgs),

    /// List namespaces and tables
    #[command(after_help = "Examples:\n  floe list\n  floe list trips")]
    List(ListArgs),

    /// Drop a table from the catalog; its files stay
    #[command(after_help = names::DROP_EXAMPLES)]
    Drop(DropArgs),

    /// Add a table whose metadata file is there already, such as one that was dropped
    #[command(after_help = names::REGISTER_EXAMPLES)]
    Register(RegisterArgs),

    /// Give a table another name; its files stay where they are
    #[command(after_help = names::RENAME_EXAMPLES)]
    Rename(RenameArgs),

    /// Make, list, describe and drop namespaces, and change their properties
    #[command(after_help = names::NAMESPACE_EXAMPLES)]
    Namespace(NamespaceArgs),

    /// Show the configured catalogs, or check one and its storage
    #[command(after_help = catalog::EXAMPLES)]
    Catalog(CatalogArgs),

    /// Allow a project's configuration to take secrets from variables and files
    #[command(after_help = catalog::TRUST_EXAMPLES)]
    Trust(TrustArgs),

    /// Show the catalog and storage plugins of this binary
    #[command(after_help = "Examples:\n  floe plugins\n  floe plugins --json")]
    Plugins,

    /// Walk through floe with real data: 336,776 flights
    #[command(after_help = "Examples:\n  floe quickstart\n  floe quickstart --warehouse /tmp/lake")]
    Quickstart,

    /// Print a completion script for a shell
    #[command(
        after_help = "Examples:\n  floe completions bash > ~/.local/share/bash-completion/completions/floe\n  \
            floe completions zsh > ~/.zfunc/_floe"
    )]
    Completions(CompletionsArgs),
}

const CREATE_EXAMPLES: &str = "\
Partition terms:
  col, identity(col), year(col), month(col), day(col), hour(col), bucket(16, col), truncate(8, col)

Schema file: JSON as Iceberg metadata has it, or shorter, without ids:
  {\"fields\": [{\"name\": \"id\", \"type\": \"long\", \"required\": true}, {\"name\": \"at\", \"type\": \"timestamptz\"}]}

Types are taken from Parquet and Arrow files. In CSV and JSON they are inferred from the first rows: boolean,
long, double, date, timestamp, timestamptz, string; numbers with leading zeros stay strings; whole numbers beyond
long are decimal(20, 0) or decimal(38, 0).

Examples:
  floe create trips.flights --from flights.parquet --partition 'month(time_hour)'
  floe create trips.flights --from flights.csv --null NA --partition 'bucket(16, tailnum)' --partition origin
  floe create web.events --schema events.json --property write.parquet.compression-codec=zstd";

const SCAN_EXAMPLES: &str = "\
Filters: = != < <= > >=, AND OR NOT, IN (…), BETWEEN … AND …, LIKE 'abc%', IS NULL, IS NOT NULL, IS NAN.

--at takes a branch or tag of exactly that name; else a snapshot id (N, or id:N); else a time in UTC (2024-05-01,
'2024-05-01 12:00:00'), with an offset (2024-05-01T12:00:00+02:00), or in milliseconds since 1970 (ms:1714564800000). A bare
number is never a time.

--format json prints one JSON object for each row; --json prints one object for the whole command, with the rows
in `data`.

Examples:
  floe scan trips.flights --limit 10
  floe scan trips.flights --filter \"origin = 'JFK' and dep_delay > 60\" --columns carrier,dest,dep_delay
  floe scan trips.flights --at main --format csv > flights.csv
  floe scan trips.flights --out flights.parquet";

/// `create NS.T --from FILE | --schema FILE`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("source").required(true).args(["from", "schema"])))]
pub(crate) struct CreateArgs {
    /// The table
    #[arg(value_name = "NAMESPACE.TABLE")]
    pub(crate) table: TableName,

    /// Take the schema of this file ('-': standard input); its rows are not read into the table
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,

    /// Take the schema from this JSON file
    #[arg(long, value_name = "FILE.json")]
    pub(crate) schema: Option<PathBuf>,

    /// Partition by this term; may be given more than once
    #[arg(long, value_name = "TERM")]
    pub(crate) partition: Vec<PartitionTerm>,

    /// Set a table property; may be given more than once
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) property: Vec<KeyValue>,

    /// Leave a table that is there already as it is
    #[arg(long)]
    pub(crate) if_not_exists: bool,

    /// Keep the table's files here, not in the warehouse
    #[arg(long, value_name = "URI")]
    pub(crate) location: Option<String>,

    #[command(flatten)]
    pub(crate) input: InputArgs,
}

/// How inputs are read.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Input options")]
pub(crate) struct InputArgs {
    /// The format of the input, whatever its extension says
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) input_format: Option<InputFormat>,

    /// CSV: the text that stands for NULL, in place of the empty field; may be given more than once
    #[arg(long, value_name = "TEXT")]
    pub(crate) null: Vec<String>,

    /// CSV: a text in quotes stands for NULL too; without, what is quoted is a text
    #[arg(long)]
    pub(crate) null_quoted: bool,

    /// What numbers in timestamp columns count since 1970 [default: such numbers are refused]
    #[arg(long, value_enum, value_name = "UNIT")]
    pub(crate) epoch: Option<EpochUnit>,

    /// CSV: the character between fields [default: ',', in .tsv files a tab]
    #[arg(long, value_name = "CHAR", value_parser = crate::values::delimiter)]
    pub(crate) delimiter: Option<u8>,

    /// CSV and JSON: rows to infer a schema from
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) infer_rows: u32,
}

/// What numbers in timestamp columns count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EpochUnit {
    /// Seconds
    S,
    /// Milliseconds
    Ms,
    /// Microseconds
    Us,
    /// Nanoseconds
    Ns,
}

/// `scan NS.T`.
#[derive(Debug, Args)]
pub(crate) struct ScanArgs {
    /// The table
    #[arg(value_name = "NAMESPACE.TABLE")]
    pub(crate) table: TableName,

    /// The columns to read, in this order [default: all]
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) columns: Option<Vec<String>>,

    /// Keep the rows for which this is true
    #[arg(long, value_name = "EXPRESSION")]
    pub(crate) filter: Option<String>,

    /// Read the table as it was: a branch or tag, a snapshot id, or a time
    #[arg(long, value_name = "STATE")]
    pub(crate) at: Option<String>,

    /// Stop after this many rows
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,

    /// How rows are printed [default: by the extension of --out, else table]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<OutputFormat>,

    /// Write the rows to this file, whole or not at all
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// CSV: the text that NULL is written as [default: nothing]
    #[arg(long, value_name = "TEXT")]
    pub(crate) null: Option<String>,
}

/// One table.
#[derive(Debug, Args)]
pub(crate) struct TableArgs {
    /// The table
    #[arg(value_name = "NAMESPACE.TABLE")]
    pub(crate) table: TableName,
}

/// `files NS.T [--at …]`.
#[derive(Debug, Args)]
pub(crate) struct FilesArgs {
    /// The table
    #[arg(value_name = "NAMESPACE.TABLE")]
    pub(crate) table: TableName,

    /// The files as they were: a branch or tag, a snapshot id, or a time
    #[arg(long, value_name = "STATE")]
    pub(crate) at: Option<String>,
}

/// `list [NS]`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// List this namespace only
    #[arg(value_name = "NAMESPACE", value_parser = crate::values::namespace)]
    pub(crate) namespace: Option<iceberg::NamespaceIdent>,
}

/// `completions SHELL`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// A format rows are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputFormat {
    /// Apache Parquet
    Parquet,
    /// Comma-separated values with a header line
    Csv,
    /// One JSON object a line
    #[value(alias = "ndjson", alias = "jsonl")]
    Json,
    /// Arrow IPC, file or stream
    Arrow,
}

/// A format rows are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Aligned columns for people
    Table,
    /// Comma-separated values with a header line
    Csv,
    /// One JSON object a line
    #[value(alias = "ndjson", alias = "jsonl")]
    Json,
    /// Arrow IPC: a stream; a file when --out ends in .arrow, .feather or .ipc
    Arrow,
    /// Apache Parquet
    Parquet,
}

impl Command {
    /// The name on the command line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Create(_) => "create",
            Self::Append(_) => "append",
            Self::Overwrite(_) => "overwrite",
            Self::Upsert(_) => "upsert",
            Self::Merge(_) => "merge",
            Self::Delete(_) => "delete",
            Self::Transaction(_) => "transaction",
            Self::Evolve(_) => "evolve",
            Self::Properties(_) => "properties",
            Self::Scan(_) => "scan",
            Self::Describe(_) => "describe",
            Self::Snapshots(_) => "snapshots",
            Self::Files(_) => "files",
            Self::Refs(_) => "refs",
            Self::Tag(_) => "tag",
            Self::Branch(_) => "branch",
            Self::Rollback(_) => "rollback",
            Self::SetCurrent(_) => "set-current",
            Self::FastForward(_) => "fast-forward",
            Self::CherryPick(_) => "cherry-pick",
            Self::Publish(_) => "publish",
            Self::List(_) => "list",
            Self::Drop(_) => "drop",
            Self::Register(_) => "register",
            Self::Rename(_) => "rename",
            Self::Namespace(_) => "namespace",
            Self::Catalog(_) => "catalog",
            Self::Trust(_) => "trust",
            Self::Plugins => "plugins",
            Self::Quickstart => "quickstart",
            Self::Completions(_) => "completions",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_grammar_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_example_in_the_help_parses() {
        let mut command = Cli::command();
        command.build();
        let mut texts = vec![AFTER_HELP.to_owned()];
        texts.extend(command.get_subcommands().filter_map(|c| c.get_after_help().map(|h| h.to_string())));
        let mut seen = 0;
        for line in texts.iter().flat_map(|t| t.lines()).filter(|l| l.starts_with("  ")) {
            // A pipe leads into the command, a redirection ends it.
            let line = line.rsplit('|').next().unwrap_or(line).split(" > ").next().unwrap_or(line).trim();
            if !line.starts_with("floe ") || line.contains('…') {
                continue;
            }
            // A filter holds ` > ` too: those lines are whole.
            let whole = texts
                .iter()
                .flat_map(|t| t.lines())
                .find(|l| l.contains(line))
                .map_or(line, |l| if l.contains('"') { l.trim() } else { line });
            let words = shell_words(whole);
            Cli::try_parse_from(&words).unwrap_or_else(|e| panic!("{whole}: {e}"));
            seen += 1;
        }
        assert!(seen >= 20, "{seen} examples");
    }

    #[test]
    fn every_command_has_an_example() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(|h| h.to_string()).unwrap_or_default();
            assert!(
                help.contains(&format!("floe {}", command.get_name())) || help.contains("init"),
                "{help}"
            );
        }
    }

    #[test]
    fn global_options_go_before_and_after_the_command() {
        for line in ["--warehouse w --json list", "list --warehouse w --json", "--json list --warehouse w"] {
            let cli = Cli::try_parse_from(["floe"].into_iter().chain(line.split(' '))).unwrap();
            assert_eq!(cli.global.warehouse.as_deref(), Some(std::path::Path::new("w")), "{line}");
            assert!(cli.global.json, "{line}");
        }
    }

    /// Words as a shell would split them: spaces, single and double quotes.
    fn shell_words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote, mut any) = (Vec::new(), String::new(), None, false);
        for c in line.chars() {
            match (quote, c) {
                (Some(q), c) if c == q => quote = None,
                (None, '\'' | '"') => (quote, any) = (Some(c), true),
                (None, ' ') => {
                    if any || !word.is_empty() {
                        words.push(std::mem::take(&mut word));
                    }
                    any = false;
                }
                (_, c) => word.push(c),
            }
        }
        if any || !word.is_empty() {
            words.push(word);
        }
        words
    }
}
