//! Isolation levels.

use std::collections::HashMap;

use floe_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// What an operation is isolated from (Iceberg's table properties `write.*.isolation-level`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// As if operations ran one after the other: rows that were added meanwhile and match are a conflict.
    #[default]
    Serializable,
    /// The operation sees the table as it was when it began, and rows that were added meanwhile stay.
    Snapshot,
}

/// Operations that change single rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowOperation {
    /// Deletes rows.
    Delete,
    /// Changes rows.
    Update,
    /// Inserts, changes and deletes rows.
    Merge,
}

impl RowOperation {
    /// The table property with the isolation level of the operation.
    pub fn isolation_property(self) -> &'static str {
        match self {
            Self::Delete => "write.delete.isolation-level",
            Self::Update => "write.update.isolation-level",
            Self::Merge => "write.merge.isolation-level",
        }
    }
}

impl Isolation {
    /// What the table's properties say for `operation`; serializable when they say nothing.
    ///
    /// Fails with `Validation` when the property cannot be read.
    pub fn from_properties(operation: RowOperation, properties: &HashMap<String, String>) -> Result<Self> {
        let key = operation.isolation_property();
        match properties.get(key).map(|text| text.trim().to_ascii_lowercase()).as_deref() {
            None | Some("serializable") => Ok(Self::Serializable),
            Some("snapshot") => Ok(Self::Snapshot),
            Some(_) => Err(Error::validation(format!("the table property {key} cannot be read"))
                .with_hint("set it to serializable or snapshot")),
        }
    }
}
