//! Renaming, which Glue does not know.

use floe_core::{Error, ErrorKind, Result, names};
use iceberg::TableIdent;

use crate::client::GlueCatalog;
use crate::input::renamed;
use crate::names::Names;

impl GlueCatalog {
    /// Renames a table: makes it under its new name, and drops it under its old one.
    pub(crate) async fn rename(&self, from: &TableIdent, to: &TableIdent) -> Result<()> {
        let (from_database, from_name) = Names::table(from)?;
        let (to_database, to_name) = Names::table(to)?;
        self.names.check_new(to_name).map_err(|e| e.with_table(to))?;
        let found = self.found(from).await?;
        if from == to {
            return Ok(());
        }
        self.database(to.namespace()).await.map_err(|e| e.with_table(to))?;
        let made = self.service.create_table(to_database, renamed(to_name, &found.table)?).await;
        made.map_err(|e| match e.kind() {
            ErrorKind::TableAlreadyExists => names::table_exists(to),
            ErrorKind::NoSuchTable => self.no_database(to.namespace()).with_table(to),
            _ => e.with_table(to),
        })?;
        // A commit in between is in neither the new name, nor, once the old one is dropped, anywhere.
        let dropped = match self.found(from).await {
            Ok(now) if now.version == found.version => {
                self.service.delete_table(from_database, from_name).await
            }
            Ok(_) => {
                Err(Error::new(ErrorKind::CommitConflict, "the table was committed to while it was renamed")
                    .with_hint("rename it again"))
            }
            Err(e) => Err(e),
        };
        match dropped {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == ErrorKind::CommitStateUnknown => Err(e
                .context(format!("the table is there as {to} as well, if its old name was not dropped"))
                .with_table(from)),
            Err(e) => Err(match self.undo_rename(to).await {
                Ok(()) => e.with_table(from),
                Err(_) => e
                    .context(format!("the table is there as {to} as well"))
                    .with_table(from)
                    .with_hint(format!("drop {to}, which shares its files, without deleting them")),
            }),
        }
    }

    /// Takes the new name of a table back, after its old one could not be dropped.
    async fn undo_rename(&self, to: &TableIdent) -> Result<()> {
        let (database, name) = Names::table(to)?;
        self.service.delete_table(database, name).await
    }
}
