//! What an upsert does.

use iceberg::spec::MAIN_BRANCH;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::execute::rows::RowOptions;

/// What happens to a row of the table whose key a row of the source has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenMatched {
    /// The row of the source takes its place.
    #[default]
    UpdateAll,
    /// The row of the source takes its place if a column besides the key differs. NULL does not differ from NULL, nor NaN
    /// from NaN.
    UpdateIfChanged,
    /// It stays as it is.
    Ignore,
    /// It is deleted.
    Delete,
}

/// What happens to a row of the source whose key no row of the table has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenNotMatched {
    /// It is added.
    #[default]
    Insert,
    /// Nothing.
    Ignore,
}

/// What happens to a row of the table whose key no row of the source has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenNotMatchedBySource {
    /// It stays as it is.
    #[default]
    Ignore,
    /// It is deleted, so that the table has the keys of the source only. The key columns of the whole table are read.
    Delete,
}

/// How an upsert is done.
///
/// ```
/// use floe_iceberg::execute::upsert::{UpsertOptions, WhenMatched};
///
/// let options: UpsertOptions = serde_json::from_str(r#"{"join_columns": ["id"]}"#)?;
/// assert_eq!(options.when_matched, WhenMatched::UpdateAll);
/// assert_eq!(options.branch, "main");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpsertOptions {
    /// The columns that identify a row: primitive ones, fields of structs as `struct.field`.
    pub join_columns: Vec<String>,
    /// What happens to rows that are there.
    pub when_matched: WhenMatched,
    /// What happens to rows that are not there.
    pub when_not_matched: WhenNotMatched,
    /// What happens to rows that only the table has.
    pub when_not_matched_by_source: WhenNotMatchedBySource,
    /// The branch whose head is changed.
    pub branch: String,
    /// How rows are removed and written. The mode is what `write.merge.mode`, else `write.update.mode` says, if not set.
    pub rows: RowOptions,
}

impl Default for UpsertOptions {
    fn default() -> Self {
        Self {
            join_columns: Vec::new(),
            when_matched: WhenMatched::default(),
            when_not_matched: WhenNotMatched::default(),
            when_not_matched_by_source: WhenNotMatchedBySource::default(),
            branch: MAIN_BRANCH.to_owned(),
            rows: RowOptions::default(),
        }
    }
}
