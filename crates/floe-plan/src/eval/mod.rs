//! Evaluating expressions over Arrow record batches.
