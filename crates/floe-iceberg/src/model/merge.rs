//! Configuration of a merge.

use floe_core::{Error, Result, names};
use floe_plan::merge::{JoinColumn, MergeClause, MergeSpec};
use iceberg::TableIdent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ChangeOptions;
use super::faults::Faults;

/// How rows of a source are merged into a table.
///
/// ```
/// use floe_iceberg::model::MergeConfig;
///
/// let config: MergeConfig = serde_json::from_str(
///     r#"{
///         "on": ["id"],
///         "clauses": [
///             {"when": "matched", "condition": "source.op = 'D'", "action": "delete"},
///             {"when": "matched", "action": {"update": {"n": "target.n + source.n"}}},
///             {"when": "not_matched", "action": "insert_all"}
///         ]
///     }"#,
/// )?;
/// assert!(config.validate().is_ok());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MergeConfig {
    /// Columns whose values are equal in rows that match, NULL equal to NULL and NaN to NaN; fields of structs as
    /// `struct.field`.
    pub on: Vec<JoinColumn>,
    /// What else holds for rows that match, in SQL, where `=` is never true for NULL. At least one column of the table
    /// must equal something of the source, here or by `on`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_condition: Option<String>,
    /// What becomes of rows. Of the clauses for a row, the first whose condition is true decides; a row that none decides
    /// about stays as it is, or is not added.
    pub clauses: Vec<MergeClause>,
    /// What expressions call the source; `source` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_name: Option<String>,
    /// What expressions call the table; `target` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_name: Option<String>,
    /// How the change is made and committed.
    #[serde(flatten)]
    pub options: ChangeOptions,
}

impl MergeConfig {
    /// The configuration for a statement in SQL, in the grammar of Spark. What it calls the source is only a name: the rows
    /// are given beside it.
    ///
    /// Fails with `Validation`, with the position; and for a statement about another table than `table`: its name must end
    /// as that of the statement does.
    ///
    /// ```
    /// use floe_iceberg::model::MergeConfig;
    /// use iceberg::TableIdent;
    ///
    /// let table = TableIdent::from_strs(["shop", "customers"])?;
    /// let sql = "MERGE INTO shop.customers t USING changes s ON t.id = s.id WHEN NOT MATCHED THEN INSERT *";
    /// assert_eq!(MergeConfig::from_sql(sql, &table)?.clauses.len(), 1);
    /// assert!(MergeConfig::from_sql(&sql.replace("customers", "orders"), &table).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_sql(sql: &str, table: &TableIdent) -> Result<Self> {
        let (name, spec) = MergeSpec::parse(sql).map_err(|e| e.with_table(table))?;
        let mut own: Vec<&str> = table.namespace().as_ref().iter().map(String::as_str).collect();
        own.push(table.name());
        // A statement may name the catalog too, and need not name the namespace.
        let same = name.iter().rev().zip(own.iter().rev()).all(|(a, b)| a.eq_ignore_ascii_case(b));
        if !same {
            return Err(Error::validation(format!(
                "the statement is about the table {}",
                names::render_parts(&name)
            ))
            .with_table(table)
            .with_hint("name the table in the statement as the call does"));
        }
        let MergeSpec { on, on_condition, clauses, source_name, target_name } = spec;
        Ok(Self { on, on_condition, clauses, source_name, target_name, ..Self::default() })
    }

    /// Checks what can be checked without the table; one `Validation` error names all faults.
    pub fn validate(&self) -> Result<()> {
        let mut faults = Faults::default();
        self.options.check(&mut faults);
        faults.check(!self.on.is_empty() || self.on_condition.is_some(), || {
            "on or on_condition must say which rows match".into()
        });
        faults.check(!self.clauses.is_empty(), || "clauses must say what becomes of rows".into());
        faults.into_result("the merge configuration")
    }

    /// Which rows match, and what becomes of rows.
    pub fn spec(&self) -> MergeSpec {
        MergeSpec {
            on: self.on.clone(),
            on_condition: self.on_condition.clone(),
            clauses: self.clauses.clone(),
            source_name: self.source_name.clone(),
            target_name: self.target_name.clone(),
        }
    }
}
