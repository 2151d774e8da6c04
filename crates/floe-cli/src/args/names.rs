//! The grammar of `drop`, `register`, `rename` and `namespace`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use crate::values::{KeyValue, NamespaceName, TableName};

pub(super) const DROP_EXAMPLES: &str = "\
The line `undo:` names the metadata file to register the table by. The files of a table that is not registered again are
nobody's: delete them with the storage's own tools.

Examples:
  floe drop trips.flights
  floe drop trips.flights --if-exists";

pub(super) const REGISTER_EXAMPLES: &str = "\
The metadata file is a path or a URI, as `floe drop` and `floe describe` tell it; it is read and checked first. Two names
for one table lose commits: drop the other one before writing.

Examples:
  floe register trips.flights warehouse/trips/flights/metadata/00001-8e5f.metadata.json
  floe register trips.flights s3://lake/trips/flights/metadata/00001-8e5f.metadata.json";

pub(super) const RENAME_EXAMPLES: &str = "\
The namespace of the new name must be there.

Examples:
  floe rename trips.flights trips.departures
  floe rename trips.flights archive.flights";

pub(super) const NAMESPACE_EXAMPLES: &str = "\
Examples:
  floe namespace create trips --property owner=ann
  floe namespace list
  floe namespace describe trips
  floe namespace properties trips --set owner=bob --remove note
  floe namespace drop trips";

/// `drop NS.T`.
#[derive(Debug, Args)]
pub(crate) struct DropArgs {
    /// The table
    #[arg(value_name = "NAMESPACE.TABLE")]
    pub(crate) table: TableName,

    /// No error when there is no such table
    #[arg(long)]
    pub(crate) if_exists: bool,
}

/// `register NS.T FILE`.
#[derive(Debug, Args)]
pub(crate) struct RegisterArgs {
    /// The table
    #[arg(value_name = "NAMESPACE.TABLE")]
    pub(crate) table: TableName,

    /// Its metadata file
    #[arg(value_name = "METADATA_FILE")]
    pub(crate) metadata: PathBuf,
}

/// `rename NS.T NS.T`.
#[derive(Debug, Args)]
pub(crate) struct RenameArgs {
    /// The table
    #[arg(value_name = "NAMESPACE.TABLE")]
    pub(crate) table: TableName,

    /// Its new name
    #[arg(value_name = "NEW_NAMESPACE.TABLE")]
    pub(crate) to: TableName,
}

/// `namespace create | list | describe | properties | drop`.
#[derive(Debug, Args)]
pub(crate) struct NamespaceArgs {
    #[command(subcommand)]
    pub(crate) action: NamespaceAction,
}

/// What to do with namespaces.
#[derive(Debug, Subcommand)]
pub(crate) enum NamespaceAction {
    /// Make a namespace
    #[command(after_help = "Examples:\n  floe namespace create trips --property owner=ann")]
    Create(NamespaceCreateArgs),

    /// List the namespaces directly below one, or the top ones
    #[command(after_help = "Examples:\n  floe namespace list\n  floe namespace list trips")]
    List(NamespaceListArgs),

    /// Show the properties of a namespace, and how many tables it has
    #[command(after_help = "Examples:\n  floe namespace describe trips")]
    Describe(NamespaceDescribeArgs),

    /// Show the properties of a namespace; set and remove some
    #[command(after_help = "Examples:\n  floe namespace properties trips --set owner=bob --remove note")]
    Properties(NamespacePropertiesArgs),

    /// Drop a namespace that holds nothing
    #[command(after_help = "Examples:\n  floe namespace drop trips\n  floe namespace drop trips --if-exists")]
    Drop(NamespaceDropArgs),
}

/// `namespace create NS`.
#[derive(Debug, Args)]
pub(crate) struct NamespaceCreateArgs {
    /// The namespace
    #[arg(value_name = "NAMESPACE")]
    pub(crate) namespace: NamespaceName,

    /// Set a property; may be given more than once
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) property: Vec<KeyValue>,

    /// Leave a namespace that is there already as it is
    #[arg(long)]
    pub(crate) if_not_exists: bool,
}

/// `namespace list [NS]`.
#[derive(Debug, Args)]
pub(crate) struct NamespaceListArgs {
    /// The namespace above [default: the top]
    #[arg(value_name = "NAMESPACE")]
    pub(crate) parent: Option<NamespaceName>,
}

/// `namespace describe NS`.
#[derive(Debug, Args)]
pub(crate) struct NamespaceDescribeArgs {
    /// The namespace
    #[arg(value_name = "NAMESPACE")]
    pub(crate) namespace: NamespaceName,
}

/// `namespace properties NS [--set …] [--remove …]`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").multiple(true).args(["set", "remove"]))]
pub(crate) struct NamespacePropertiesArgs {
    /// The namespace
    #[arg(value_name = "NAMESPACE")]
    pub(crate) namespace: NamespaceName,

    /// Set a property; may be given more than once
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<KeyValue>,

    /// Remove a property; may be given more than once
    #[arg(long, value_name = "KEY")]
    pub(crate) remove: Vec<String>,
}

/// `namespace drop NS`.
#[derive(Debug, Args)]
pub(crate) struct NamespaceDropArgs {
    /// The namespace
    #[arg(value_name = "NAMESPACE")]
    pub(crate) namespace: NamespaceName,

    /// No error when there is no such namespace
    #[arg(long)]
    pub(crate) if_exists: bool,
}
