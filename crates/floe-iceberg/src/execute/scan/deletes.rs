//! Rows that delete files take away (Iceberg spec, "Row-level Deletes").

use arrow_schema::Fields;
use floe_core::{Error, ErrorKind, Result};

use super::open::Context;
use super::project::Constants;
use super::request::ScanTask;

/// The delete files of a scan.
#[derive(Debug, Default)]
pub(super) struct Deletes;

/// Which rows of a file are live.
#[derive(Debug, Clone)]
pub(super) struct LiveRows;

impl Deletes {
    pub(super) async fn for_task(
        &self,
        _context: &Context,
        task: &ScanTask,
        _fields: &Fields,
        _constants: &Constants,
    ) -> Result<LiveRows> {
        match task.deletes.first() {
            None => Ok(LiveRows),
            Some(delete) => Err(Error::new(
                ErrorKind::Unsupported,
                format!("the delete file {} applies to {}", delete.path, task.path),
            )),
        }
    }
}
