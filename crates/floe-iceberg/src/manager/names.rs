//! Tables under their names: dropping, registering, renaming.

use floe_core::metadata_file;
use floe_core::names::{render_table, table_exists, unfit_for_new};
use floe_core::schema::check_foreign_schema;
use floe_core::text::escape;
use floe_core::{Error, ErrorKind, LoadedTable, Result};
use iceberg::TableIdent;
use iceberg::spec::TableMetadata;

use super::IcebergTableManager;
use super::settle::Seen;
use super::traced::{operation_span, traced};

/// A table that was dropped from its catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedTable {
    /// The metadata file that the catalog knew just before, to register the table again; `None` when it could not be read.
    pub metadata_location: Option<String>,
}

impl IcebergTableManager {
    /// Forgets a table. Its files stay, so that it can be registered again by the metadata file that is answered; what
    /// another writer commits between the look at it and the drop is in a later file of the same folder.
    ///
    /// A drop whose reply was lost is looked up, not repeated. Fails with `NoSuchTable`; `CommitStateUnknown` when it cannot
    /// be told whether the table is dropped.
    pub async fn drop_table(&self, table: &TableIdent) -> Result<DroppedTable> {
        let run = async {
            // A table with damaged metadata can be dropped too.
            let before = match self.catalog.load_table(table).await {
                Ok(loaded) => Some(loaded),
                Err(e) if e.kind() == ErrorKind::NoSuchTable => return Err(e),
                Err(_) => None,
            };
            let dropped = DroppedTable {
                metadata_location: before.as_ref().map(|loaded| loaded.metadata_location.clone()),
            };
            let Err(error) = self.catalog.drop_table(table).await else { return Ok(dropped) };
            let uuid = before.map(|loaded| loaded.metadata.uuid());
            self.settle(error, async || {
                Ok(match self.there(table).await? {
                    None => Seen::Done(dropped.clone()),
                    // Dropped, and made anew by another.
                    Some(now) if uuid.is_some_and(|uuid| uuid != now.metadata.uuid()) => {
                        Seen::Done(dropped.clone())
                    }
                    Some(_) => Seen::NotYet,
                })
            })
            .await
        };
        traced(operation_span!("drop_table", render_table(table)), run).await.map_err(|e| e.with_table(table))
    }

    /// Adds a table whose metadata file is there already: one that was dropped, or that another catalog knows. The file is
    /// read and checked first. Two names for one table lose commits: drop the other one before writing.
    ///
    /// A call whose reply was lost is looked up, not repeated. Fails with `TableAlreadyExists`, `NoSuchNamespace`,
    /// `FileNotFound`; `Corrupted` when the file is no table metadata; `Unsupported` when the catalog cannot do it, or for a
    /// format that floe does not read; `CommitStateUnknown` when it cannot be told whether the table is registered.
    pub async fn register_table(&self, table: &TableIdent, metadata_location: &str) -> Result<LoadedTable> {
        let run = async {
            check_new_name(table)?;
            let can = self.catalog.capabilities();
            if !can.register_table {
                return Err(Error::new(ErrorKind::Unsupported, "this catalog cannot register tables"));
            }
            if self.catalog.table_exists(table).await? {
                return Err(table_exists(table)
                    .with_hint("choose another name, or rename or drop the table that has this one"));
            }
            let read = metadata_file::read(&self.storage.file_io(), metadata_location).await;
            let metadata = match read {
                Ok(metadata) => Some(metadata),
                // The server reads it with credentials of its own, and may see what this process does not.
                Err(e) if can.server_side_metadata && e.kind() != ErrorKind::Corrupted => None,
                Err(e) => return Err(e),
            };
            if let Some(metadata) = &metadata {
                check_registrable(metadata)?;
            }
            let registered = self.catalog.register_table(table, metadata_location).await;
            match registered.and_then(|loaded| check_registrable(&loaded.metadata).map(|()| loaded)) {
                Ok(loaded) => Ok(loaded),
                // The answer of a server that did it may be of no use.
                Err(error)
                    if is_doubtful(&error) && self.catalog.table_exists(table).await.unwrap_or(false) =>
                {
                    Err(error
                        .context("the table is registered, and cannot be used as it is")
                        .with_kind(ErrorKind::CommitStateUnknown)
                        .with_hint("mend what is wrong, or drop the table; its files stay"))
                }
                Err(error) => {
                    let uuid = metadata.as_ref().map(TableMetadata::uuid);
                    self.settle(error, async || {
                        Ok(match self.there(table).await? {
                            None => Seen::NotYet,
                            Some(now)
                                if now.metadata_location == metadata_location
                                    || uuid == Some(now.metadata.uuid()) =>
                            {
                                Seen::Done(now)
                            }
                            Some(_) => Seen::Mixed("another table has the name by now".into()),
                        })
                    })
                    .await
                }
            }
        };
        traced(operation_span!("register_table", render_table(table)), Box::pin(run))
            .await
            .map_err(|e| e.with_table(table))
    }

    /// Gives a table another name, which may be in another namespace. Its files stay where they are.
    ///
    /// A rename whose reply was lost is looked up, not repeated. Fails with `NoSuchTable`, `TableAlreadyExists`,
    /// `NoSuchNamespace` for the namespace of the new name; `Validation` for a name that the catalog does not take;
    /// `Unsupported` when the catalog cannot rename; `CommitStateUnknown` when it cannot be told whether it is renamed, or
    /// when the table is there under both names.
    pub async fn rename_table(&self, from: &TableIdent, to: &TableIdent) -> Result<()> {
        let run = async {
            if from == to {
                return Err(Error::validation("the new name is the old one"));
            }
            check_new_name(to)?;
            if !self.catalog.capabilities().rename_table {
                return Err(Error::new(ErrorKind::Unsupported, "this catalog cannot rename tables")
                    .with_hint("register its metadata file under the new name, and drop the old one"));
            }
            let uuid = self.catalog.load_table(from).await?.metadata.uuid();
            if self.catalog.table_exists(to).await? {
                return Err(table_exists(to));
            }
            let Err(error) = self.catalog.rename_table(from, to).await else { return Ok(()) };
            self.settle(error, async || {
                let is_it = |found: Option<LoadedTable>| found.is_some_and(|t| t.metadata.uuid() == uuid);
                let (old, new) = (is_it(self.there(from).await?), is_it(self.there(to).await?));
                Ok(match (old, new) {
                    (false, true) => Seen::Done(()),
                    (true, false) => Seen::NotYet,
                    (true, true) => Seen::Mixed(format!(
                        "the table is there as {} and as {}, for now or for good",
                        render_table(from),
                        render_table(to)
                    )),
                    (false, false) => Seen::Mixed("the table is there under neither name".into()),
                })
            })
            .await
        };
        traced(operation_span!("rename_table", render_table(from)), Box::pin(run))
            .await
            .map_err(|e| e.with_table(from))
    }

    /// The table, or nothing where there is none.
    async fn there(&self, table: &TableIdent) -> Result<Option<LoadedTable>> {
        match self.catalog.load_table(table).await {
            Ok(loaded) => Ok(Some(loaded)),
            Err(e) if matches!(e.kind(), ErrorKind::NoSuchTable | ErrorKind::NoSuchNamespace) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// Fails with `Validation` for a name that no terminal, URL or folder keeps.
fn check_new_name(table: &TableIdent) -> Result<()> {
    match unfit_for_new(table.name()) {
        None => Ok(()),
        Some(why) => Err(Error::validation(format!("'{}' cannot name a table: {why}", escape(table.name())))),
    }
}

/// Whether a failed registration may have taken effect, other than by a lost reply.
fn is_doubtful(error: &Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::CommitStateUnknown
            | ErrorKind::TableAlreadyExists
            | ErrorKind::NoSuchNamespace
            | ErrorKind::FileNotFound
    )
}

/// Fails when what a metadata file says is no table that can be read: `Corrupted`, or `Validation` for a schema that the
/// format does not allow.
fn check_registrable(metadata: &TableMetadata) -> Result<()> {
    if metadata.location().is_empty() {
        return Err(Error::new(ErrorKind::Corrupted, "the metadata file names no location of a table"));
    }
    check_foreign_schema(metadata.current_schema(), metadata.format_version())
}
