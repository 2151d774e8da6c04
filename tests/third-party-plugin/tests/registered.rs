//! An application finds the third party's plugin by its name, as it finds floe's own.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
// Named once, so that it is linked and registers itself.
use audited_catalog as _;
use floe::data::BatchStream;
use floe::execute::scan::ScanRequest;
use floe::model::{FieldType, SchemaField, TableConfig, TableSchema, WriteConfig};
use floe::{ErrorKind, Properties, Registry};

#[test]
fn it_is_listed_with_the_schema_of_its_configuration() {
    let found = Registry::linked().catalog("audited").unwrap().descriptor();
    assert_eq!(found.version, "0.3.0");
    assert!(found.config_schema.to_value()["properties"].get("max-commits").is_some());
}

#[tokio::test]
async fn it_takes_part_in_writes_and_its_errors_come_through() {
    let folder = tempfile::tempdir().unwrap();
    let properties = Properties::default()
        .with("type", "audited")
        .with("max-commits", "1")
        .with("warehouse", folder.path().to_string_lossy());
    let manager = floe::connect("audited", &properties).await.unwrap();
    let schema = TableSchema { fields: vec![SchemaField::new(1, "id", FieldType::Long, true)] };
    let config = TableConfig::new("ns", "t", schema);
    manager.ensure_namespace(config.ident().unwrap().namespace()).await.unwrap();
    let table = manager.create_table(&config, false).await.unwrap().ident;
    let write = || {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let batch = RecordBatch::try_from_iter_with_nullable([("id", ids, false)]).unwrap();
        BatchStream::from_batches(batch.schema(), vec![batch])
    };
    let config = WriteConfig::default();
    assert_eq!(manager.write_data(&table, write(), &config).await.unwrap().rows, 3);
    let refused = manager.write_data(&table, write(), &config).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{refused}");
    assert!(refused.to_string().contains("the limit of commits is reached"), "{refused}");

    // Another client of the same catalog reads what the first one committed, and nothing of what was refused.
    let other = floe::connect("audited", &properties).await.unwrap();
    let batches = other.scan(&table, &ScanRequest::default()).await.unwrap().data.collect().await.unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 3);
}

#[tokio::test]
async fn a_property_that_it_does_not_know_is_refused() {
    let properties =
        Properties::default().with("type", "audited").with("warehouse", "/tmp").with("max-commit", "1");
    let error = floe::connect("audited", &properties).await.unwrap_err();
    assert!(error.to_string().contains("max-commit"), "{error}");
}
