//! Errors of the plugin.

use floe_core::Error;
use object_store::Error as StoreError;

/// A bucket that cannot be opened; no request was made yet. The text of the cause may quote a value.
pub(crate) fn cannot_open(error: &StoreError, bucket: &str) -> Error {
    let why = match error.to_string() {
        text if text.contains("encryption") || text.contains("Encryption") => "s3.sse.key is not valid",
        text if text.contains("Zone") => "the name of a directory bucket ends in --ZONE--x-s3",
        _ => "its configuration is not valid",
    };
    Error::validation(format!("the bucket '{bucket}' cannot be opened: {why}"))
}
