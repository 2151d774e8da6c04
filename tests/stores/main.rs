//! Tables in stores over a network, through the manager, with the catalog in a local SQLite file.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch, StringArray};
use floe::data::BatchStream;
use floe::execute::rows::RowMode;
use floe::execute::scan::ScanRequest;
use floe::iceberg::{NamespaceIdent, TableIdent};
use floe::model::{
    ChangeOptions, DeleteConfig, FieldType, PartitionTransform, SchemaField, TableConfig, TableSchema,
    WriteConfig, WriteMode,
};
use floe::plan::expr::Expr;
use floe::{ErrorKind, IcebergTableManager, Properties};
use floe_testkit::gcs_xml::GcsXml;
use floe_testkit::services::{AzureService, S3Service, find};
use floe_tests::sts::assume_role;
use floe_tests::warehouse::spec;
use futures::TryStreamExt;

/// What a table holds: ids and names.
type Rows = BTreeMap<i64, String>;

fn batch(rows: &Rows) -> RecordBatch {
    let ids = Int64Array::from_iter_values(rows.keys().copied());
    let names = StringArray::from_iter_values(rows.values());
    RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(ids) as _, false),
        ("name", Arc::new(names) as _, true),
    ])
    .unwrap()
}

fn rows(ids: std::ops::Range<i64>, name: &str) -> Rows {
    ids.map(|id| (id, format!("{name} {id}/é %20"))).collect()
}

async fn open(folder: &Path, properties: &Properties) -> IcebergTableManager {
    let properties = properties
        .clone()
        .with("type", "local")
        .with("uri", format!("sqlite:///{}", folder.join("catalog.db").display()));
    floe::connect("default", &properties).await.unwrap()
}

async fn write(
    manager: &IcebergTableManager,
    table: &TableIdent,
    rows: &Rows,
    mode: WriteMode,
    row_mode: RowMode,
) {
    let config = WriteConfig {
        mode,
        join_columns: if mode == WriteMode::Upsert { vec!["id".into()] } else { Vec::new() },
        options: ChangeOptions {
            row_mode: (mode == WriteMode::Upsert).then_some(row_mode),
            ..ChangeOptions::default()
        },
        ..WriteConfig::default()
    };
    let batch = batch(rows);
    let data = BatchStream::from_batches(batch.schema(), vec![batch]);
    manager.write_data(table, data, &config).await.unwrap();
}

async fn scan(manager: &IcebergTableManager, table: &TableIdent, filter: Option<&str>) -> Rows {
    let filter = filter.map(|text| Expr::parse(text).unwrap());
    let request = ScanRequest { filter, ..ScanRequest::default() };
    let batches = manager.scan(table, &request).await.unwrap().data.collect().await.unwrap();
    let mut found = Rows::new();
    for batch in &batches {
        let ids = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>();
        let names = batch.column_by_name("name").unwrap().as_string::<i32>();
        for (id, name) in ids.values().iter().zip(names) {
            assert!(found.insert(*id, name.unwrap().to_owned()).is_none(), "{id} is there twice");
        }
    }
    found
}

/// Creates a table, appends, upserts and deletes in one mode, and reads it again with a manager of its own.
async fn a_table_lives(properties: &Properties, mode: RowMode) {
    let folder = tempfile::tempdir().unwrap();
    let manager = open(folder.path(), properties).await;
    manager.ensure_namespace(&NamespaceIdent::new("t".into())).await.unwrap();
    let fields = vec![
        SchemaField::new(1, "id", FieldType::Long, true),
        SchemaField::new(2, "name", FieldType::String, false),
    ];
    let mut config = TableConfig::new("t", "rows", TableSchema { fields });
    config.partition_spec = Some(spec(&[(1, PartitionTransform::Bucket, Some(3))]));
    let table = manager.create_table(&config, false).await.unwrap().ident;

    let mut expected = rows(0..500, "first");
    write(&manager, &table, &expected, WriteMode::Append, mode).await;
    let more = rows(500..700, "more");
    write(&manager, &table, &more, WriteMode::Append, mode).await;
    expected.extend(more);
    assert_eq!(scan(&manager, &table, None).await, expected);

    let changed = rows(650..800, "changed");
    write(&manager, &table, &changed, WriteMode::Upsert, mode).await;
    expected.extend(changed);
    let options =
        DeleteConfig { options: ChangeOptions { row_mode: Some(mode), ..ChangeOptions::default() } };
    manager.delete_data(&table, &Expr::parse("id < 100").unwrap(), &options).await.unwrap();
    expected.retain(|id, _| *id >= 100);
    assert_eq!(scan(&manager, &table, None).await, expected);

    let again = open(folder.path(), properties).await;
    let some: Rows = expected.iter().filter(|(id, _)| **id >= 690).map(|(k, v)| (*k, v.clone())).collect();
    assert_eq!(scan(&again, &table, Some("id >= 690")).await, some);
}

async fn in_both_modes(properties: impl Fn() -> Properties) {
    for mode in [RowMode::CopyOnWrite, RowMode::MergeOnRead] {
        a_table_lives(&properties(), mode).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_lives_on_versitygw() {
    let Some(service) = S3Service::versitygw() else { return };
    in_both_modes(|| service.properties()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_lives_on_minio() {
    let Some(service) = S3Service::minio() else { return };
    in_both_modes(|| service.properties()).await;
}

/// A check of the storage says which permission is missing, and leaves no file unless it may not delete it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_names_the_permission_that_is_missing() {
    let Some(service) = S3Service::minio() else { return };
    let cases = [
        ("s3:PutObject", "no file can be written"),
        ("s3:GetObject", "files can be written, but not read"),
        ("s3:ListBucket", "files can be written and read, but not listed"),
        ("s3:DeleteObject", "files cannot be deleted, and"),
    ];
    for (action, words) in cases {
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":[
                {{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}},
                {{"Effect":"Deny","Action":["{action}"],"Resource":["arn:aws:s3:::*"]}}]}}"#
        );
        let session = assume_role(&service, &policy).await;
        let own = service.properties();
        let folder = tempfile::tempdir().unwrap();
        let manager = open(folder.path(), &session.lay_over(own.clone())).await;
        let error = manager.check_storage().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{action}: {error}");
        let text = error.to_string();
        assert!(text.contains(words) && text.contains(own.get("warehouse").unwrap()), "{action}: {error}");
        assert!(!format!("{text} {error:?}").contains(&session.secret_access_key), "{error:?}");

        let root = open(folder.path(), &own).await;
        let left: Vec<_> = root.storage().list(own.get("warehouse").unwrap()).try_collect().await.unwrap();
        let kept = action == "s3:DeleteObject";
        assert_eq!(left.len(), usize::from(kept), "{action}: {left:?}");
        assert!(left.iter().all(|file| text.contains(&file.location)), "what is left is named: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_lives_on_azurite() {
    let Some(service) = AzureService::azurite() else { return };
    in_both_modes(|| service.properties()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_lives_on_fake_gcs_server() {
    let Some([endpoint, bucket]) = find(["FLOE_TEST_GCS_ENDPOINT", "FLOE_TEST_GCS_BUCKET"]) else { return };
    let adapter = GcsXml::start(&endpoint).await.unwrap();
    in_both_modes(|| {
        Properties::default()
            .with("warehouse", format!("gs://{bucket}/{}", uuid::Uuid::new_v4()))
            .with("gcs.service.host", adapter.endpoint())
            .with("gcs.no-auth", "true")
    })
    .await;
}
