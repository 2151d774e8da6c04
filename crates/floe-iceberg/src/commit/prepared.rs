//! Metadata as updates make it.

use std::borrow::Cow;
use std::sync::Arc;

use floe_core::Result;
use floe_core::metadata_file::updated;
use iceberg::TableUpdate;
use iceberg::spec::TableMetadata;

use crate::base::TableBase;

/// The metadata after `updates`.
///
/// Fails with `Validation` when an update does not fit.
pub(crate) fn prepared<'m>(
    metadata: &'m TableMetadata,
    updates: &[TableUpdate],
) -> Result<Cow<'m, TableMetadata>> {
    if updates.is_empty() {
        return Ok(Cow::Borrowed(metadata));
    }
    updated(metadata, None, updates).map(Cow::Owned)
}

/// `base` with the metadata that it has after `updates`, as if they were committed.
///
/// Fails with `Validation` when an update does not fit.
pub(super) fn prepared_base<'b>(base: &'b TableBase, updates: &[TableUpdate]) -> Result<Cow<'b, TableBase>> {
    Ok(match prepared(base.metadata(), updates)? {
        Cow::Borrowed(_) => Cow::Borrowed(base),
        Cow::Owned(metadata) => {
            let mut after = base.clone();
            after.table.metadata = Arc::new(metadata);
            Cow::Owned(after)
        }
    })
}
