//! Configuration and outcome of a write.

use std::collections::BTreeMap;

use floe_core::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ChangeOptions;
use super::faults::Faults;
use crate::execute::merge::MergeCounts;
use crate::execute::rows::RowCounts;
use crate::execute::upsert::{WhenMatched, WhenNotMatched, WhenNotMatchedBySource};

/// What a write does with the rows that are there (FR-005).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WriteMode {
    /// Adds rows.
    #[default]
    Append,
    /// Puts the new rows in the place of others: all (`overwrite_all`), those that `overwrite_filter` is true for, or those of
    /// the partitions that the new rows belong to (`overwrite_partitions`).
    Overwrite,
    /// Updates the rows whose `join_columns` equal those of a new row, and adds the new rows that no row
    /// equals so.
    Upsert,
}

impl WriteMode {
    /// The `snake_case` name, as configuration and spans carry it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Overwrite => "overwrite",
            Self::Upsert => "upsert",
        }
    }
}

/// How data is written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WriteConfig {
    /// What happens to the rows that are there.
    pub mode: WriteMode,
    /// An overwrite takes away all rows. An overwrite needs exactly one of this, `overwrite_filter` and
    /// `overwrite_partitions`: none of them is a default.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub overwrite_all: bool,
    /// Which rows an overwrite takes away, as SQL-like text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overwrite_filter: Option<String>,
    /// An overwrite takes away the rows of the partitions that the new rows belong to (dynamic overwrite).
    pub overwrite_partitions: bool,
    /// An overwrite may take rows away though the new data has none. Without, it is refused: an input that came empty by
    /// mistake must not empty a table.
    pub allow_empty: bool,
    /// The columns that identify a row to an upsert, which needs them; fields of structs as `struct.field`.
    pub join_columns: Vec<String>,
    /// What an upsert does with rows that are there.
    pub when_matched: WhenMatched,
    /// What an upsert does with rows that are not there.
    pub when_not_matched: WhenNotMatched,
    /// What an upsert does with rows that only the table has.
    pub when_not_matched_by_source: WhenNotMatchedBySource,
    /// How the change is made and committed.
    #[serde(flatten)]
    pub options: ChangeOptions,
}

impl WriteConfig {
    /// Checks what can be checked without the table; one `Validation` error names all faults.
    pub fn validate(&self) -> Result<()> {
        let mut faults = Faults::default();
        self.options.check(&mut faults);
        let overwrites = self.mode == WriteMode::Overwrite;
        faults.check(overwrites || self.overwrite_filter.is_none(), || {
            "overwrite_filter is for the mode overwrite only".into()
        });
        faults.check(overwrites || !self.overwrite_partitions, || {
            "overwrite_partitions is for the mode overwrite only".into()
        });
        faults.check(overwrites || !self.overwrite_all, || {
            "overwrite_all is for the mode overwrite only".into()
        });
        faults.check(overwrites || !self.allow_empty, || "allow_empty is for the mode overwrite only".into());
        let which = [self.overwrite_all, self.overwrite_filter.is_some(), self.overwrite_partitions];
        faults.check(!overwrites || which.iter().filter(|given| **given).count() == 1, || {
            "overwrite needs exactly one of overwrite_all, overwrite_filter and overwrite_partitions".into()
        });
        let upserts = self.mode == WriteMode::Upsert;
        faults.check(upserts != self.join_columns.is_empty(), || {
            let what = if upserts {
                "upsert needs join_columns"
            } else {
                "join_columns are for the mode upsert only"
            };
            what.into()
        });
        faults.check(self.mode != WriteMode::Append || !self.options.dry_run, || {
            "dry_run is not for appends".into()
        });
        faults.into_result("the write configuration")
    }
}

/// What a write did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct WriteOutcome {
    /// The snapshot that holds the rows; the table's current one, if any, when there were no rows.
    #[serde(with = "floe_core::json_id::option")]
    pub snapshot_id: Option<i64>,
    /// Rows that were added.
    pub rows: u64,
    /// Data files that were added.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
    /// Commit attempts; 0 when nothing was committed.
    pub attempts: u32,
    /// How often the write was run again, because another writer changed what it read.
    pub reruns: u32,
    /// Whether an earlier write with the same idempotency key had done this already.
    pub replayed: bool,
    /// What became of the rows and files that were there, for everything but appends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<RowCounts>,
    /// What an upsert or a merge did with the rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged: Option<MergeCounts>,
    /// Whether this only says what would happen.
    pub dry_run: bool,
    /// The snapshot's summary.
    pub summary: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overwrite_says_what_it_takes_away() {
        let fault = |json: &str| serde_json::from_str::<WriteConfig>(json).unwrap().validate();
        for one in
            [r#""overwrite_all": true"#, r#""overwrite_filter": "a = 1""#, r#""overwrite_partitions": true"#]
        {
            fault(&format!(r#"{{"mode": "overwrite", {one}}}"#)).unwrap();
            assert!(fault(&format!("{{{one}}}")).is_err(), "not in the mode append: {one}");
        }
        for json in [
            r#"{"mode": "overwrite"}"#,
            r#"{"mode": "overwrite", "overwrite_all": true, "overwrite_partitions": true}"#,
            r#"{"mode": "overwrite", "overwrite_all": true, "overwrite_filter": "a = 1"}"#,
            r#"{"mode": "overwrite", "overwrite_partitions": true, "overwrite_filter": "a = 1"}"#,
        ] {
            let error = fault(json).unwrap_err();
            assert!(error.to_string().contains("exactly one of overwrite_all"), "{error}");
        }
    }

    #[test]
    fn common_options_stand_beside_the_others_and_unknown_fields_are_refused() {
        let config: WriteConfig = serde_json::from_str(
            r#"{"mode": "overwrite", "overwrite_all": true, "branch": "dev", "snapshot_properties": {"a": "b"}, "dry_run": true}"#,
        )
        .unwrap();
        assert_eq!(config.options.branch.as_deref(), Some("dev"));
        assert_eq!(config.options.snapshot_properties["a"], "b");
        let json = serde_json::to_value(&config).unwrap();
        assert_eq!((&json["branch"], &json["mode"]), (&"dev".into(), &"overwrite".into()));
        assert_eq!(serde_json::from_value::<WriteConfig>(json).unwrap(), config);
        let unknown = serde_json::from_str::<WriteConfig>(r#"{"branche": "dev"}"#).unwrap_err();
        assert!(unknown.to_string().contains("branche"), "{unknown}");
        let schema = serde_json::to_value(schemars::schema_for!(WriteConfig)).unwrap();
        assert!(schema["properties"]["idempotency_key"].is_object(), "{schema}");
    }
}
