//! Which cases there are, and who takes part in each.

use anyhow::{Result, bail};

/// One case: the same work, done by several sides.
pub(crate) struct Case {
    /// The name on the command line.
    pub(crate) name: &'static str,
    /// Who does it. The first is what the others are compared with.
    pub(crate) sides: &'static [&'static str],
    /// Whether a side makes its table first, in a process of its own that is not measured.
    pub(crate) prepared: bool,
    /// Variables that name the server it needs, as the tests name it. Where one is not set, the case is left out.
    pub(crate) needs: &'static [&'static str],
    /// What it counts, where the seconds are those of one of many.
    pub(crate) counts: Option<&'static str>,
}

const ROW_SIDES: &[&str] = &["floe-mor", "floe-cow", "pyiceberg", "deltalake"];
const TRANSFER_SIDES: &[&str] = &["bare", "floe", "s3fs", "pyarrow"];
const TABLE_SIDES: &[&str] = &["floe", "pyiceberg", "deltalake"];
const CATALOG_SIDES: &[&str] = &["floe", "pyiceberg"];

/// Every case, in the order in which they run.
pub(crate) const CASES: &[Case] = &[
    case("append", &["bare", "floe", "pyiceberg", "deltalake"]),
    case("partitions", &["bare", "floe", "pyiceberg", "deltalake"]),
    case("scan", &["bare", "floe", "pyiceberg"]),
    case("commits", TABLE_SIDES).counting("commits"),
    case("plan", &["floe", "pyiceberg"]),
    case("upsert-1k", ROW_SIDES).prepared(),
    case("upsert-10k", ROW_SIDES).prepared(),
    case("upsert-100k", ROW_SIDES).prepared(),
    case("delete-1pct", ROW_SIDES).prepared(),
    case("overwrite-category", ROW_SIDES).prepared(),
    case("overwrite-partition", TABLE_SIDES).prepared(),
    // `cargo xtask services run minio -- cargo xtask bench upload download`
    case("upload", TRANSFER_SIDES).needing(&["FLOE_TEST_MINIO_ENDPOINT"]),
    case("download", TRANSFER_SIDES).needing(&["FLOE_TEST_MINIO_ENDPOINT"]),
    case("writers", TABLE_SIDES).prepared(),
    // `cargo xtask services run postgres rest glue -- cargo xtask bench catalogs`
    case("catalogs-sqlite", CATALOG_SIDES).counting("commits"),
    case("catalogs-postgres", CATALOG_SIDES).counting("commits").needing(&["FLOE_TEST_POSTGRES_URI"]),
    case("catalogs-rest", CATALOG_SIDES).counting("commits").needing(&["FLOE_TEST_REST_URI"]),
    case("catalogs-glue", CATALOG_SIDES).counting("commits").needing(&["FLOE_TEST_GLUE_ENDPOINT"]),
];

const fn case(name: &'static str, sides: &'static [&'static str]) -> Case {
    Case { name, sides, prepared: false, needs: &[], counts: None }
}

impl Case {
    const fn prepared(mut self) -> Self {
        self.prepared = true;
        self
    }

    const fn needing(mut self, variables: &'static [&'static str]) -> Self {
        self.needs = variables;
        self
    }

    const fn counting(mut self, what: &'static str) -> Self {
        self.counts = Some(what);
        self
    }

    /// Why the case cannot be run here.
    pub(crate) fn missing(&self) -> Option<String> {
        if self.name == "catalogs-glue" && !cfg!(feature = "glue") {
            return Some("the feature `glue` of floe-benches is switched off".to_owned());
        }
        let missing: Vec<&str> =
            self.needs.iter().copied().filter(|name| std::env::var_os(name).is_none()).collect();
        (!missing.is_empty()).then(|| format!("{} not set", missing.join(", ")))
    }
}

/// The case of this name, or the cases of the group: `upsert` is `upsert-1k`, `upsert-10k` and `upsert-100k`.
pub(crate) fn find(name: &str) -> Result<Vec<&'static Case>> {
    let in_group = |case: &&Case| {
        case.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let found: Vec<&Case> = CASES.iter().filter(in_group).collect();
    if found.is_empty() {
        let names = CASES.iter().map(|case| case.name).collect::<Vec<_>>().join(", ");
        bail!("there is no case '{name}': {names}");
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_case_or_a_group() {
        let names = |name: &str| find(name).unwrap().iter().map(|case| case.name).collect::<Vec<_>>();
        assert_eq!(names("commits"), ["commits"]);
        assert_eq!(names("upsert"), ["upsert-1k", "upsert-10k", "upsert-100k"]);
        assert_eq!(names("catalogs").len(), 4);
        assert!(find("cat").is_err() && find("").is_err());
    }
}
