//! Errors of the plugin.

use floe_core::{Error, ErrorKind};
use object_store::Error as StoreError;

/// A bucket that cannot be opened; no request was made yet. The text of the cause may quote a key.
pub(crate) fn cannot_open(error: &StoreError, bucket: &str) -> Error {
    let text = error.to_string();
    let why = if text.contains("Unable to open") {
        "the file with its credentials cannot be read"
    } else if text.contains("key")
        || text.contains("pem")
        || text.contains("decode")
        || text.contains("credential")
    {
        "its credentials are not the key of a service account, nor application default credentials"
    } else {
        "its configuration is not valid"
    };
    Error::new(ErrorKind::Unauthenticated, format!("the bucket '{bucket}' cannot be opened: {why}"))
        .with_hint("check gcs.credentials-json, gcs.credentials-file and GOOGLE_APPLICATION_CREDENTIALS")
}
