//! The source of a merge, held for another run.

use std::sync::Arc;

use floe_core::{Error, ErrorKind, Result};

use crate::base::TableBase;
use crate::execute::join::Source;

/// The rows of a source that can be read once only, as the join holds them: in memory or in temporary files. They fit as long as
/// the table has the schema that they were matched to.
#[derive(Debug, Default)]
pub(crate) struct HeldSource(Option<(i32, Arc<Source>)>);

impl HeldSource {
    /// Whether the rows are there.
    pub(crate) fn is_taken(&self) -> bool {
        self.0.is_some()
    }

    /// The rows, if they are there.
    pub(super) fn for_table(&self, base: &TableBase) -> Result<Option<Arc<Source>>> {
        match &self.0 {
            None => Ok(None),
            Some((schema_id, source)) if *schema_id == base.metadata().current_schema_id() => {
                Ok(Some(source.clone()))
            }
            Some(_) => Err(Error::new(
                ErrorKind::CommitConflict,
                "another writer changed the schema of the table, and the input was a stream, which is read once",
            )
            .with_hint("run the operation again with all of its input")),
        }
    }

    pub(super) fn keep(&mut self, base: &TableBase, source: &Arc<Source>) {
        self.0 = Some((base.metadata().current_schema_id(), source.clone()));
    }
}
