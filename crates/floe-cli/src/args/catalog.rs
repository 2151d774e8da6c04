//! `catalog list` and `catalog check`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::GlobalArgs;

/// Examples for the help.
pub(super) const EXAMPLES: &str = "\
Examples:
  floe catalog list
  floe catalog check
  floe catalog check lake
  floe catalog check lake --namespace sales --write
  floe catalog check lake --write --json";

/// Examples for the help of `trust`.
pub(super) const TRUST_EXAMPLES: &str = "\
A floe.toml that lies in a project may have been written by somebody else. Nothing that it takes from variables (env:NAME)
or files (file:/path) is given out before you say that you trust it, with the content that it has now.

Examples:
  floe trust
  floe trust projects/lake/floe.toml
  floe trust --list
  floe trust --revoke projects/lake/floe.toml";

/// `trust [PATH] [--list | --revoke]`.
#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// The file, or its folder [default: the project's floe.toml]
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<PathBuf>,

    /// Show the files that are trusted
    #[arg(long, conflicts_with_all = ["path", "revoke"])]
    pub(crate) list: bool,

    /// Trust the file no longer
    #[arg(long)]
    pub(crate) revoke: bool,
}

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
    #[command(
        after_help = "Examples:\n  floe catalog check\n  floe catalog check lake --write\n  floe catalog check lake --namespace sales\n\n\
                            Exit code: 0 where everything that was tried works; a caller who can read tables but may not\n\
                            write files gets 0 and a line that says so, and 7 with --write. Otherwise that of the first\n\
                            fault: 7 for what is not allowed, 8 for a server that is not there."
    )]
    Check(CheckArgs),
}

/// `catalog check [NAME] [--namespace NS] [--write]`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The catalog [default: the one that other commands would use]
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Also make a table, write and read one row, and remove the table with its files
    #[arg(long)]
    pub(crate) write: bool,

    /// Look and write in this namespace only, for callers who may not list all of them
    #[arg(long, value_name = "NAMESPACE", value_parser = crate::values::namespace)]
    pub(crate) namespace: Option<iceberg::NamespaceIdent>,

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
