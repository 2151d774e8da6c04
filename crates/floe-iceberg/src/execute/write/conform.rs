//! Fitting incoming rows to the table.

use floe_core::Result;
use floe_plan::schema_match::{apply, match_schema};
use futures::StreamExt;

use super::context::Context;
use crate::data::BatchStream;

/// The data with the columns of the table, in its order and of its Arrow types. Fails at once when the
/// schemas do not fit, and in the stream when a value does not.
pub(super) fn conform(context: &Context, data: BatchStream) -> Result<BatchStream> {
    let mapping = match_schema(&data.schema, &context.schema)?;
    let stream = data.stream.map(move |batch| apply(&mapping, &batch?)).boxed();
    Ok(BatchStream::new(context.encoding.arrow.clone(), stream))
}
