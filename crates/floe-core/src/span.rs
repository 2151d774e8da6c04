//! Names of spans and of their attributes, so that every operation is traced alike (FR-041, FR-042).
//!
//! Spans are called `IcebergTableManager.<operation>`. No attribute carries data values or credentials.

/// The table, as `namespace.table`.
pub const TABLE: &str = "iceberg.table.identifier";
/// The operation (`create_table`, `append`, …).
pub const OPERATION: &str = "iceberg.operation";
/// The write mode (`append`, `overwrite`, `upsert`, `merge`).
pub const WRITE_MODE: &str = "iceberg.write.mode";
/// The commit strategy (`fast_append`, `merge_commit`).
pub const COMMIT_STRATEGY: &str = "iceberg.commit.strategy";
/// How often the operation was run again, because another writer changed what it read.
pub const COMMIT_RERUNS: &str = "iceberg.commit.reruns";
/// The snapshot that was read or made.
pub const SNAPSHOT_ID: &str = "iceberg.snapshot.id";
/// Rows that were added.
pub const RECORDS_ADDED: &str = "iceberg.records.added";
/// Data files that were added.
pub const FILES_ADDED: &str = "iceberg.files.added";
/// `ok` or `error`.
pub const STATUS: &str = "status";
/// The kind of the error, where there was one.
pub const ERROR_KIND: &str = "error.kind";
