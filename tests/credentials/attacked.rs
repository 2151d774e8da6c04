//! Who is attacked: a user with keys, and what is done with a table.

use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use floe::data::BatchStream;
use floe::execute::scan::ScanRequest;
use floe::iceberg::TableIdent;
use floe::model::{DeleteConfig, WriteConfig};
use floe::plan::expr::Expr;
use floe::{Error, IcebergTableManager, Properties};
use floe_testkit::http::{HostileCatalog, ObjectServer, Request};

/// The user's own key, which must be seen by the user's own store alone.
pub(crate) const OWN_KEY: &str = "ownkey";
/// The secret that belongs to it, which nobody must see.
pub(crate) const OWN_SECRET: &str = "hunter2";

/// A user of this catalog, with keys for S3, who waits for nobody.
pub(crate) fn user(catalog: &HostileCatalog) -> Properties {
    with_keys(Properties::default().with("type", "rest").with("uri", catalog.uri()))
}

/// Keys for S3, and no patience.
pub(crate) fn with_keys(properties: Properties) -> Properties {
    properties
        .with("s3.region", "us-east-1")
        .with("s3.access-key-id", OWN_KEY)
        .with("s3.secret-access-key", OWN_SECRET)
        .with("s3.session-token", OWN_SECRET)
        .with("s3.connect-timeout", "1")
        .with("s3.request-timeout", "2")
        .with("s3.retry.num-retries", "0")
}

/// The only table of a hostile catalog.
pub(crate) fn table() -> TableIdent {
    TableIdent::from_strs(["ns", "t"]).unwrap()
}

/// Rows to append.
pub(crate) fn rows() -> BatchStream {
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
    let column = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let batch = RecordBatch::try_new(schema.clone(), vec![column]).unwrap();
    BatchStream::from_batches(schema, vec![batch])
}

/// Appends to the table.
pub(crate) async fn append(manager: &IcebergTableManager) -> Result<(), Error> {
    append_to(manager, &table()).await
}

/// Appends to a table.
pub(crate) async fn append_to(manager: &IcebergTableManager, table: &TableIdent) -> Result<(), Error> {
    manager.write_data(table, rows(), &WriteConfig::default()).await.map(drop)
}

/// Reads the table, and says how many rows came.
pub(crate) async fn scan(manager: &IcebergTableManager) -> Result<usize, Error> {
    scan_of(manager, &table()).await
}

/// Reads a table, and says how many rows came.
pub(crate) async fn scan_of(manager: &IcebergTableManager, table: &TableIdent) -> Result<usize, Error> {
    let batches = manager.scan(table, &ScanRequest::default()).await?.data.collect().await?;
    Ok(batches.iter().map(RecordBatch::num_rows).sum())
}

/// Deletes one row, which rewrites the file that holds it.
pub(crate) async fn delete(manager: &IcebergTableManager) -> Result<(), Error> {
    let filter = Expr::parse("id = 1").unwrap();
    manager.delete_data(&table(), &filter, &DeleteConfig::default()).await.map(drop)
}

/// The error of something that must not work, without the user's secret in it.
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Error>, case: &str) -> Error {
    let error = result.expect_err(case);
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(OWN_SECRET) && !shown.contains(OWN_KEY), "{case}: {shown}");
    error
}

/// Requests that were signed with this key.
pub(crate) fn signed(store: &ObjectServer, key: &str) -> Vec<Request> {
    let by = |request: &Request| {
        request.header("authorization").is_some_and(|header| header.contains(&format!("Credential={key}/")))
    };
    store.requests().into_iter().filter(by).collect()
}
