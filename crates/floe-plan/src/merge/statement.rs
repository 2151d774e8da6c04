//! What a merge does, as a caller writes it: as values, or as SQL.

use std::collections::BTreeMap;

use floe_core::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sql;

/// A column of the source and the column of the table that it is compared with. Written as one name if both have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum JoinColumn {
    /// A column that both have.
    Both(String),
    /// Columns of different names.
    Pair {
        /// The column of the source.
        source: String,
        /// The column of the table.
        target: String,
    },
}

impl JoinColumn {
    /// The name of the source's column.
    pub fn source(&self) -> &str {
        match self {
            Self::Both(name) | Self::Pair { source: name, .. } => name,
        }
    }

    /// The name of the table's column.
    pub fn target(&self) -> &str {
        match self {
            Self::Both(name) | Self::Pair { target: name, .. } => name,
        }
    }
}

impl From<&str> for JoinColumn {
    fn from(name: &str) -> Self {
        Self::Both(name.to_owned())
    }
}

/// Which rows a clause is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MergeWhen {
    /// Rows of the table that a row of the source matches, with that row.
    Matched,
    /// Rows of the source that match no row of the table.
    NotMatched,
    /// Rows of the table that no row of the source matches.
    NotMatchedBySource,
}

impl MergeWhen {
    /// As SQL has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Matched => "MATCHED",
            Self::NotMatched => "NOT MATCHED",
            Self::NotMatchedBySource => "NOT MATCHED BY SOURCE",
        }
    }
}

/// What a clause does with its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MergeAction {
    /// Columns of the table take the value of the source's column of the same name; a column that the source lacks keeps
    /// its value. `UPDATE SET *`
    UpdateAll,
    /// These columns of the table take the value of an expression.
    Update(BTreeMap<String, String>),
    /// A row is added, of the source's columns of the same names; a column that the source lacks takes its default, else
    /// NULL. `INSERT *`
    InsertAll,
    /// A row is added, of these columns and expressions; a column that is not named takes its default, else NULL.
    Insert(BTreeMap<String, String>),
    /// The row is deleted.
    Delete,
    /// The row stays as it is, or is not added.
    Nothing,
}

/// One clause of a merge. Of the clauses for a row, the first whose condition is true decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MergeClause {
    /// Which rows it is for.
    pub when: MergeWhen,
    /// The condition, in SQL; none for all rows. Only the last clause for the same rows may have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// What it does.
    pub action: MergeAction,
}

impl MergeClause {
    /// A clause without a condition.
    pub fn new(when: MergeWhen, action: MergeAction) -> Self {
        Self { when, condition: None, action }
    }

    /// The clause under a condition.
    pub fn with_condition(self, condition: impl Into<String>) -> Self {
        Self { condition: Some(condition.into()), ..self }
    }

    /// Reads clauses from SQL, in the grammar of Spark; the word `WHEN` of the first may be left out.
    ///
    /// # Errors
    /// [`floe_core::ErrorKind::Validation`] with the position. Values are never echoed.
    ///
    /// ```
    /// use floe_plan::merge::{MergeAction, MergeClause};
    ///
    /// let clauses = MergeClause::parse("MATCHED AND source.op = 'D' THEN DELETE WHEN NOT MATCHED THEN INSERT *")?;
    /// assert_eq!(clauses[0].condition.as_deref(), Some("source.op = 'D'"));
    /// assert_eq!(clauses[1].action, MergeAction::InsertAll);
    /// # Ok::<(), floe_core::Error>(())
    /// ```
    pub fn parse(text: &str) -> Result<Vec<Self>> {
        sql::clauses(text)
    }
}

/// What a merge does: which rows match, and what becomes of rows. See [`super::bind`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MergeSpec {
    /// Columns whose values are equal in rows that match, NULL equal to NULL and NaN to NaN.
    pub on: Vec<JoinColumn>,
    /// What else holds for rows that match, in SQL. At least one column of the table must be equal to something of the
    /// source, here or by `on`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_condition: Option<String>,
    /// What becomes of rows.
    pub clauses: Vec<MergeClause>,
    /// What expressions call the source; `source` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_name: Option<String>,
    /// What expressions call the table; `target` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_name: Option<String>,
}

impl MergeSpec {
    /// Reads a whole statement, `MERGE INTO … USING … ON … WHEN …`, in the grammar of Spark. Gives the name of the table
    /// too, as it is written.
    ///
    /// # Errors
    /// [`floe_core::ErrorKind::Validation`] with the position. Values are never echoed.
    ///
    /// ```
    /// use floe_plan::merge::MergeSpec;
    ///
    /// let sql = "MERGE INTO shop.customers AS t USING changes AS s ON t.id = s.id
    ///            WHEN MATCHED AND s.op = 'D' THEN DELETE
    ///            WHEN MATCHED THEN UPDATE SET name = s.name, visits = t.visits + 1
    ///            WHEN NOT MATCHED THEN INSERT (id, name, visits) VALUES (s.id, s.name, 1)";
    /// let (table, spec) = MergeSpec::parse(sql)?;
    /// assert_eq!(table, ["shop", "customers"]);
    /// assert_eq!(spec.on_condition.as_deref(), Some("t.id = s.id"));
    /// assert_eq!(spec.clauses.len(), 3);
    /// # Ok::<(), floe_core::Error>(())
    /// ```
    pub fn parse(text: &str) -> Result<(Vec<String>, Self)> {
        sql::statement(text)
    }
}
