//! The grammar of `evolve`, `properties` and `transaction`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::InputArgs;
use super::write::RerunArgs;
use crate::values::{KeyValue, TableName};

pub(super) const EVOLVE_EXAMPLES: &str = "\
Columns keep their ids: files that are there are read right after every change, and are not touched. Nested columns go by
their path: address.city, list.element, map.value.

Examples:
  floe evolve shop.orders --add 'note:string' --add 'total:decimal(12,2)'
  floe evolve shop.orders --rename id=order_id --widen order_id:long
  floe evolve shop.orders --delete note --allow-incompatible";

pub(super) const PROPERTIES_EXAMPLES: &str = "\
Examples:
  floe properties shop.orders --set write.delete.mode=merge-on-read --remove owner
  floe properties shop.orders --json";

pub(super) const TRANSACTION_EXAMPLES: &str = "\
The file is JSON. Operations run in order, each on the table as those before it leave it, and become visible together, as one
version of the table:

  {\"idempotency_key\": \"load-7\", \"operations\": [
    {\"evolve_schema\": {\"changes\": [{\"add_column\": {\"column\": \"note\", \"type\": \"string\"}}]}},
    {\"write\": {\"files\": [\"new.csv\"], \"config\": {\"mode\": \"overwrite\", \"overwrite_filter\": \"day = '2024-05-01'\"}}},
    {\"delete\": {\"filter\": \"id < 0\"}},
    {\"set_properties\": {\"owner\": \"sales\"}},
    {\"tag\": {\"name\": \"loaded\"}}
  ]}

When another writer changes what was read, the whole transaction is run again on the table as it is then, unless an operation
names a snapshot or an input is a stream.

Others: merge, remove_properties, drop_tag, branch, drop_branch, rollback, fast_forward, cherry_pick, publish.

Examples:
  floe transaction shop.orders load.json
  floe transaction shop.orders load.json --dry-run";

/// `evolve NS.T`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true)
    .args(["rename", "widen", "optional", "add", "delete", "doc"]))]
pub(crate) struct EvolveArgs {
    /// The table
    #[arg(value_name = "NAMESPACE.TABLE")]
    pub(crate) table: TableName,

    /// Give a column another name, without its parents
    #[arg(long, value_name = "COLUMN=NAME")]
    pub(crate) rename: Vec<KeyValue>,

    /// Give a column a wider type: int to long, float to double, decimals more digits
    #[arg(long, value_name = "COLUMN:TYPE")]
    pub(crate) widen: Vec<String>,

    /// Allow NULL in a required column
    #[arg(long, value_name = "COLUMN")]
    pub(crate) optional: Vec<String>,

    /// Add a column, which is NULL in the rows that are there
    #[arg(long, value_name = "COLUMN:TYPE")]
    pub(crate) add: Vec<String>,

    /// Delete a column; needs --allow-incompatible
    #[arg(long, value_name = "COLUMN")]
    pub(crate) delete: Vec<String>,

    /// Say what a column means; nothing removes it
    #[arg(long, value_name = "COLUMN=TEXT")]
    pub(crate) doc: Vec<KeyValue>,

    /// Allow what readers of a column do not survive
    #[arg(long)]
    pub(crate) allow_incompatible: bool,

    /// Only check the changes
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `properties NS.T`.
#[derive(Debug, Args)]
pub(crate) struct PropertiesArgs {
    /// The table
    #[arg(value_name = "NAMESPACE.TABLE")]
    pub(crate) table: TableName,

    /// Set a property; may be given more than once
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<KeyValue>,

    /// Remove a property; may be given more than once
    #[arg(long, value_name = "KEY")]
    pub(crate) remove: Vec<String>,
}

/// `transaction NS.T FILE.json`.
#[derive(Debug, Args)]
pub(crate) struct TransactionArgs {
    /// The table
    #[arg(value_name = "NAMESPACE.TABLE")]
    pub(crate) table: TableName,

    /// The file with the operations
    #[arg(value_name = "FILE.json")]
    pub(crate) file: PathBuf,

    /// A name for this very transaction: done again with the same name, it changes nothing
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,

    /// With a name: it alone decides, the inputs are not compared
    #[arg(long)]
    pub(crate) any_input: bool,

    /// Only say what would happen; files are written and deleted again
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) rerun: RerunArgs,

    #[command(flatten)]
    pub(crate) input: InputArgs,
}
