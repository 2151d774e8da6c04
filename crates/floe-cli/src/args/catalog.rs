//! `catalog list` and `catalog check`.

use clap::{Args, Subcommand};

use super::GlobalArgs;

/// Examples for the help.
pub(super) const EXAMPLES: &str = "\
Examples:
  floe catalog list
  floe catalog check
  floe catalog check lake
  floe catalog check lake --write --json";

/// `catalog list | check [NAME]`.
#[derive(Debug, Args)]
pub(crate) struct CatalogArgs {
    #[command(subcommand)]
    pub(crate) action: CatalogAction,
}

/// What to do with catalogs.
#[derive(Debug, Subcommand)]
pub(crate) enum CatalogAction {
    /// Show the configured catalogs, where each is configured, and no secrets
    #[command(after_help = "Examples:\n  floe catalog list\n  floe catalog list --json")]
    List,

    /// Connect to a catalog, look into it, and check its storage; says what is wrong and what to do
    #[command(after_help = "Examples:\n  floe catalog check\n  floe catalog check lake --write")]
    Check(CheckArgs),
}

/// `catalog check [NAME] [--write]`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The catalog [default: the one that other commands would use]
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Also make a table, write and read one row, and remove the table with its files
    #[arg(long)]
    pub(crate) write: bool,

    /// How long a step may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) timeout: u64,
}

impl CatalogArgs {
    /// The global options, with the catalog that was named here.
    pub(crate) fn chosen(&self, global: &GlobalArgs) -> GlobalArgs {
        let mut global = global.clone();
        if let CatalogAction::Check(CheckArgs { name: Some(name), .. }) = &self.action {
            global.catalog = Some(name.clone());
        }
        global
    }
}
