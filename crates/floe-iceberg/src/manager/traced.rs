//! One span for each operation, with its status (FR-041, FR-042).

use std::future::Future;

use floe_core::{Result, span};
use tracing::{Instrument, Span};

/// Opens the span of an operation: `operation_span!("append", table_ident)`, or without a table.
macro_rules! operation_span {
    ($operation:literal) => {
        $crate::manager::traced::operation_span!($operation, tracing::field::Empty)
    };
    ($operation:literal, $table:expr) => {
        tracing::info_span!(
            concat!("IcebergTableManager.", $operation),
            iceberg.operation = $operation,
            iceberg.table.identifier = $table,
            iceberg.write.mode = tracing::field::Empty,
            iceberg.commit.strategy = tracing::field::Empty,
            iceberg.commit.reruns = tracing::field::Empty,
            iceberg.snapshot.id = tracing::field::Empty,
            iceberg.records.added = tracing::field::Empty,
            iceberg.files.added = tracing::field::Empty,
            status = tracing::field::Empty,
            error.kind = tracing::field::Empty,
        )
    };
}
pub(crate) use operation_span;

/// Runs `operation` in `span` and records how it ended. Errors carry no data values, so that their message
/// may be logged (FR-044).
pub(crate) async fn traced<T>(span: Span, operation: impl Future<Output = Result<T>>) -> Result<T> {
    let result = operation.instrument(span.clone()).await;
    match &result {
        Ok(_) => {
            span.record(span::STATUS, "ok");
        }
        Err(error) => {
            span.record(span::STATUS, "error");
            span.record(span::ERROR_KIND, error.kind().as_str());
            span.in_scope(|| tracing::debug!(error = %error, "operation failed"));
        }
    }
    result
}
