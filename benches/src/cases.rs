//! Which cases there are, and who takes part in each.

use anyhow::{Context, Result};

/// One case: the same work, done by several sides.
pub(crate) struct Case {
    /// The name on the command line.
    pub(crate) name: &'static str,
    /// Who does it. The first is what the others are compared with.
    pub(crate) sides: &'static [&'static str],
    /// Whether a side makes its table first, in a process of its own that is not measured.
    pub(crate) prepared: bool,
}

const ROW_SIDES: &[&str] = &["floe-mor", "floe-cow", "pyiceberg", "deltalake"];
const TRANSFER_SIDES: &[&str] = &["bare", "floe", "s3fs", "pyarrow"];
const TABLE_SIDES: &[&str] = &["floe", "pyiceberg", "deltalake"];

/// Every case, in the order in which they run.
pub(crate) const CASES: &[Case] = &[
    Case { name: "append", sides: &["bare", "floe", "pyiceberg", "deltalake"], prepared: false },
    Case { name: "partitions", sides: &["bare", "floe", "pyiceberg", "deltalake"], prepared: false },
    Case { name: "scan", sides: &["bare", "floe", "pyiceberg"], prepared: false },
    Case { name: "commits", sides: TABLE_SIDES, prepared: false },
    Case { name: "plan", sides: &["floe", "pyiceberg"], prepared: false },
    Case { name: "upsert-1k", sides: ROW_SIDES, prepared: true },
    Case { name: "upsert-10k", sides: ROW_SIDES, prepared: true },
    Case { name: "upsert-100k", sides: ROW_SIDES, prepared: true },
    Case { name: "delete-1pct", sides: ROW_SIDES, prepared: true },
    Case { name: "overwrite-category", sides: ROW_SIDES, prepared: true },
    Case { name: "overwrite-partition", sides: TABLE_SIDES, prepared: true },
    // These need `FLOE_TEST_MINIO_*`: `cargo xtask services run minio -- cargo xtask bench upload download`.
    Case { name: "upload", sides: TRANSFER_SIDES, prepared: false },
    Case { name: "download", sides: TRANSFER_SIDES, prepared: false },
    Case { name: "writers", sides: TABLE_SIDES, prepared: true },
];

/// The case of this name.
pub(crate) fn find(name: &str) -> Result<&'static Case> {
    let names = || CASES.iter().map(|case| case.name).collect::<Vec<_>>().join(", ");
    CASES
        .iter()
        .find(|case| case.name == name)
        .with_context(|| format!("there is no case '{name}': {}", names()))
}
