//! The grammar of the commands on branches and tags.

use clap::Args;

use crate::values::TableName;

pub(super) const TAG_EXAMPLES: &str = "\
Examples:
  floe tag trips.flights 2013-q2
  floe tag trips.flights before-cleanup --at 3051729675574597004 --keep 90
  floe tag trips.flights new-year --at ms:1735689600000
  floe tag trips.flights latest --at audit --replace
  floe tag trips.flights before-cleanup --drop";

pub(super) const BRANCH_EXAMPLES: &str = "\
Write to a branch with `--branch`, read it with `floe scan --at`, bring main up to it with `floe fast-forward`.

Examples:
  floe branch trips.flights audit
  floe branch trips.flights audit --at 2013-q2 --replace
  floe branch trips.flights audit --keep 30 --keep-snapshots 5 --keep-snapshots-for 7 --replace
  floe branch trips.flights audit --drop";

pub(super) const ROLLBACK_EXAMPLES: &str = "\
--to takes a tag or branch of exactly that name, else a snapshot id, else a time: 2024-05-01, '2024-05-01 12:00:00'
(UTC), 2024-05-01T12:00:00+02:00 or ms:1714564800000. Snapshots that come after it stay in the table until they expire:
`floe set-current` gets back to them.

Examples:
  floe rollback trips.flights --to 3051729675574597004
  floe rollback trips.flights --to '2024-05-01 12:00:00'
  floe rollback trips.flights --to 2013-q2 --branch audit";

pub(super) const SET_CURRENT_EXAMPLES: &str = "\
Unlike `floe rollback`, this takes any snapshot, also one that is not in the history of the branch.

Examples:
  floe set-current trips.flights --to 3051729675574597004
  floe set-current trips.flights --to 2013-q2 --branch audit";

pub(super) const FAST_FORWARD_EXAMPLES: &str = "\
Refused when the branch has snapshots that the other one does not have: pick those with `floe cherry-pick`.

Examples:
  floe fast-forward trips.flights main --to audit";

pub(super) const CHERRY_PICK_EXAMPLES: &str = "\
Appends and overwrites of whole partitions can be picked; other changes only where nothing came in between. A change
that the branch has already is refused.

Examples:
  floe cherry-pick trips.flights 3051729675574597004
  floe cherry-pick trips.flights 3051729675574597004 --branch audit";

pub(super) const PUBLISH_EXAMPLES: &str = "\
Write-audit-publish: `floe append --staged --snapshot-property wap.id=ID` adds rows unseen, `floe scan --at SNAPSHOT`
looks at them, and this shows them. A second time is refused.

Examples:
  floe publish trips.flights april
  floe publish trips.flights april --branch audit";

/// `tag NS.T NAME [--at …] [--replace] [--keep DAYS]`, `tag NS.T NAME --drop`.
#[derive(Debug, Args)]
pub(crate) struct TagArgs {
    /// The table
    #[arg(value_name = "NAMESPACE.TABLE")]
    pub(crate) table: TableName,

    /// The tag
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// `branch NS.T NAME …`, as with tags.
#[derive(Debug, Args)]
pub(crate) struct BranchArgs {
    /// The table
    #[arg(value_name = "NAMESPACE.TABLE")]
    pub(crate) table: TableName,

    /// The branch
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,

    /// Keep at least this many of its snapshots when snapshots expire [default: as the table's properties say]
    #[arg(long, value_name = "N", conflicts_with = "drop", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) keep_snapshots: Option<i32>,

    /// Keep its snapshots for this many days [default: as the table's properties say]
    #[arg(long, value_name = "DAYS", conflicts_with = "drop", value_parser = crate::values::age)]
    pub(crate) keep_snapshots_for: Option<i64>,
}

/// Where a branch or tag is, and for how long.
#[derive(Debug, Args)]
pub(crate) struct PlaceArgs {
    /// The state: a branch or tag, a snapshot id, or a time [default: the current snapshot]
    #[arg(long, value_name = "STATE")]
    pub(crate) at: Option<String>,

    /// Move the one that is there
    #[arg(long)]
    pub(crate) replace: bool,

    /// Keep it for this many days, or a time with a unit: 12h, 30min, 1500ms [default: as the table's properties say]
    #[arg(long, value_name = "DAYS", value_parser = crate::values::age)]
    pub(crate) keep: Option<i64>,

    /// Drop it; snapshots stay until they expire
    #[arg(long, conflicts_with_all = ["at", "replace", "keep"])]
    pub(crate) drop: bool,
}

/// `rollback NS.T --to SNAPSHOT|TIMESTAMP [--branch B]`.
#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// The table
    #[arg(value_name = "NAMESPACE.TABLE")]
    pub(crate) table: TableName,

    /// The state: a branch or tag, a snapshot id, or a time
    #[arg(long, value_name = "STATE")]
    pub(crate) to: String,

    /// The branch to set back [default: main]
    #[arg(long, value_name = "BRANCH")]
    pub(crate) branch: Option<String>,
}

/// `set-current NS.T --to SNAPSHOT|REF [--branch B]`.
#[derive(Debug, Args)]
pub(crate) struct SetCurrentArgs {
    /// The table
    #[arg(value_name = "NAMESPACE.TABLE")]
    pub(crate) table: TableName,

    /// The state: a branch or tag, a snapshot id, or a time
    #[arg(long, value_name = "STATE")]
    pub(crate) to: String,

    /// The branch to set [default: main]
    #[arg(long, value_name = "BRANCH")]
    pub(crate) branch: Option<String>,
}

/// `fast-forward NS.T BRANCH --to REF`.
#[derive(Debug, Args)]
pub(crate) struct FastForwardArgs {
    /// The table
    #[arg(value_name = "NAMESPACE.TABLE")]
    pub(crate) table: TableName,

    /// The branch to move
    #[arg(value_name = "BRANCH")]
    pub(crate) branch: String,

    /// The branch or tag to move to
    #[arg(long, value_name = "REF")]
    pub(crate) to: String,
}

/// `cherry-pick NS.T SNAPSHOT [--branch B]`.
#[derive(Debug, Args)]
pub(crate) struct CherryPickArgs {
    /// The table
    #[arg(value_name = "NAMESPACE.TABLE")]
    pub(crate) table: TableName,

    /// The snapshot: its id, or another name of a state
    #[arg(value_name = "STATE")]
    pub(crate) snapshot: String,

    /// The branch that gets the change [default: main]
    #[arg(long, value_name = "BRANCH")]
    pub(crate) branch: Option<String>,
}

/// `publish NS.T WAP_ID [--branch B]`.
#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// The table
    #[arg(value_name = "NAMESPACE.TABLE")]
    pub(crate) table: TableName,

    /// The wap.id that the staged snapshot was given
    #[arg(value_name = "WAP_ID")]
    pub(crate) wap_id: String,

    /// The branch that gets the change [default: main]
    #[arg(long, value_name = "BRANCH")]
    pub(crate) branch: Option<String>,
}
