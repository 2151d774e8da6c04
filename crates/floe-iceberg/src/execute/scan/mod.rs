//! Scans: from a request over a plan to a stream of record batches.
