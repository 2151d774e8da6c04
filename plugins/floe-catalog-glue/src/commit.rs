//! Making a table's pointer and moving it, and finding out what a call did whose reply was lost.

use floe_core::metadata_file::Written;
use floe_core::names::{self, no_table};
use floe_core::{ErrorKind, Result};
use iceberg::TableIdent;

use crate::client::{Found, GlueCatalog};
use crate::input::{metadata_location, table_input};
use crate::names::Names;

impl GlueCatalog {
    /// Makes a table whose metadata was written; finds out what happened where the reply was lost.
    pub(crate) async fn insert(&self, table: &TableIdent, written: Written) -> Result<()> {
        let (database, name) = Names::table(table)?;
        let error = match self.service.create_table(database, table_input(name, &written, None)?).await {
            Ok(()) => return Ok(()),
            Err(e) => e,
        };
        match error.kind() {
            ErrorKind::TableAlreadyExists => Err(names::table_exists(table)),
            ErrorKind::NoSuchTable => Err(self.no_database(table.namespace())),
            ErrorKind::CommitStateUnknown => match self.service.table(database, name).await {
                Ok(Some(now)) if metadata_location(&now) == Some(&written.location) => Ok(()),
                Ok(Some(_)) => Err(names::table_exists(table)),
                // It may still be made.
                _ => Err(error),
            },
            _ => Err(error),
        }
    }

    /// Moves the pointer of a table; finds out what happened where the reply was lost.
    pub(crate) async fn swap(&self, table: &TableIdent, found: &Found, written: Written) -> Result<bool> {
        let (database, name) = Names::table(table)?;
        let input = table_input(name, &written, Some(&found.table))?;
        let error = match self.service.update_table(database, input, &found.version).await {
            Ok(()) => return Ok(true),
            Err(e) => e,
        };
        match error.kind() {
            ErrorKind::CommitConflict => Ok(false),
            ErrorKind::NoSuchTable => Err(no_table(table)),
            ErrorKind::CommitStateUnknown => match self.reconcile(table, found, &written.location).await {
                Some(moved) => Ok(moved),
                None => Err(error),
            },
            _ => Err(error),
        }
    }

    /// Whether the pointer was moved to `to`, or never will be, after a reply that was lost; `None` where that is
    /// not certain.
    async fn reconcile(&self, table: &TableIdent, before: &Found, to: &str) -> Option<bool> {
        let now = self.found(table).await.ok()?;
        if now.location == to {
            return Some(true);
        }
        if now.version == before.version {
            // The request may still be on its way.
            return None;
        }
        // Another commit came, before ours or after it: its metadata names those that it came after.
        let head = self.files.load(table, now.location).await.ok()?;
        let log = head.metadata.metadata_log();
        let has = |location: &str| log.iter().any(|entry| entry.metadata_file == location);
        if has(to) {
            return Some(true);
        }
        // The version that ours replaces is gone, so that ours is refused for ever.
        has(&before.location).then_some(false)
    }
}
