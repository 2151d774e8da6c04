//! Fitting incoming rows to the table.

use floe_core::Result;
use floe_plan::schema_match::match_schema;

use super::context::Context;
use crate::data::{BatchStream, fitted};

/// The data with the columns of the table, in its order and of its Arrow types. Fails at once when the
/// schemas do not fit, and in the stream when a value does not.
pub(super) fn conform(context: &Context, data: BatchStream) -> Result<BatchStream> {
    let mapping = match_schema(&data.schema, &context.schema)?;
    Ok(BatchStream::new(context.encoding.arrow.clone(), fitted(data.stream, mapping)))
}
