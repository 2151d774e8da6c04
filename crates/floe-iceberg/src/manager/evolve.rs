//! Changing the schema and the properties of a table: transactions of one step.

use std::collections::BTreeMap;

use floe_core::{LoadedTable, Result};
use floe_plan::evolve::{SchemaEvolution, evolve};
use iceberg::spec::TableMetadata;
use iceberg::{TableIdent, TableUpdate};

use super::IcebergTableManager;
use super::traced::{operation_span, traced};
use crate::commit::commit_updates;
use crate::properties;

impl IcebergTableManager {
    /// Changes the schema of a table, all changes or none (FR-002). Rows that are there stay readable; no file changes.
    /// A table that has that schema already is left as it is. When other writers change the schema at the same time, the
    /// changes are made upon theirs.
    ///
    /// Fails with `NoSuchTable`, `Validation`; `SchemaEvolution` when a change does not fit the table;
    /// `IncompatibleSchemaChange` for one that existing data or readers would not survive, naming the column and the
    /// reason (FR-020); `CommitConflict`, `CommitStateUnknown`.
    pub async fn evolve_schema(
        &self,
        table: &TableIdent,
        evolution: &SchemaEvolution,
    ) -> Result<LoadedTable> {
        let span = operation_span!("evolve_schema", table.to_string());
        let run = self.update_metadata(table, |metadata| evolve(metadata, evolution));
        traced(span, Box::pin(run)).await.map_err(|e| e.with_table(table))
    }

    /// Sets properties of a table, and removes those of `remove` that it has. Fails with `NoSuchTable`, `Validation` for
    /// one that is both set and removed or is not a user's to set, `CommitConflict`, `CommitStateUnknown`.
    pub async fn update_properties(
        &self,
        table: &TableIdent,
        set: &BTreeMap<String, String>,
        remove: &[String],
    ) -> Result<LoadedTable> {
        let span = operation_span!("update_properties", table.to_string());
        let run = self.update_metadata(table, |metadata| properties::update(metadata, set, remove));
        traced(span, Box::pin(run)).await.map_err(|e| e.with_table(table))
    }

    /// Commits updates, made anew for each head.
    pub(super) async fn update_metadata(
        &self,
        table: &TableIdent,
        build: impl Fn(&TableMetadata) -> Result<Vec<TableUpdate>>,
    ) -> Result<LoadedTable> {
        let base = self.base(table).await?;
        let retry = self.retry_policy(&base.table)?;
        // What cannot be is told before the storage is asked.
        build(base.metadata())?;
        self.check_storage().await?;
        let done = commit_updates(&*self.catalog, &base, build, &retry, &*self.environment).await?;
        Ok(done.table)
    }
}
