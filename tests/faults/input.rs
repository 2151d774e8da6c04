//! Input that does not fit.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use floe::ErrorKind;
use floe::data::BatchStream;
use floe::model::{CommitStrategy, TableConfig, WriteConfig};
use floe_tests::data::{primitive_batch, primitive_schema};

use crate::Before;

fn with_column(batch: &RecordBatch, name: &str, array: ArrayRef) -> RecordBatch {
    let names = batch.schema();
    let mut columns: Vec<(String, ArrayRef, bool)> = names
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(f, c)| (f.name().clone(), c.clone(), f.is_nullable()))
        .filter(|(n, ..)| n != name)
        .collect();
    columns.push((name.to_owned(), array, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// Appends and expects `SchemaMismatch` with `word` in its message.
async fn assert_refused(before: &Before, batches: Vec<RecordBatch>, word: &str) {
    for strategy in [CommitStrategy::FastAppend, CommitStrategy::MergeCommit] {
        let error = before.warehouse.try_append(&before.table, batches.clone(), strategy).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch, "{error}");
        assert!(error.to_string().contains(word), "'{word}' is not in: {error}");
        assert_eq!(error.table(), Some("t.fine"));
    }
    before.assert_unchanged().await;
}

#[tokio::test]
async fn an_unknown_column_is_refused_by_name() {
    let before = Before::new().await;
    let batch = primitive_batch(3, 100, 5);
    let bad = with_column(&batch, "surplus", Arc::new(Int64Array::from(vec![1; 5])));
    assert_refused(&before, vec![bad], "surplus").await;
}

#[tokio::test]
async fn a_type_that_does_not_fit_is_refused_by_column() {
    let before = Before::new().await;
    let batch = primitive_batch(3, 100, 3);
    let bad = with_column(&batch, "c_date", Arc::new(StringArray::from(vec!["x", "y", "z"])));
    assert_refused(&before, vec![bad], "c_date").await;
}

#[tokio::test]
async fn null_in_a_required_column_is_refused_even_late_in_the_stream() {
    let before = Before::new().await;
    let nullable = |first: i64, nulls: bool| {
        let batch = primitive_batch(3, first, 200);
        let ids: Int64Array = (0..200).map(|n| (!nulls || n != 150).then_some(first + n)).collect();
        with_column(&batch, "id", Arc::new(ids))
    };
    assert_refused(&before, vec![nullable(100, true)], "id").await;
    assert_refused(&before, vec![nullable(100, false), nullable(300, false), nullable(500, true)], "id")
        .await;
}

#[tokio::test]
async fn a_missing_required_column_is_refused() {
    let before = Before::new().await;
    let batch = primitive_batch(3, 100, 5);
    let columns: Vec<usize> = (1..batch.num_columns()).collect();
    assert_refused(&before, vec![batch.project(&columns).unwrap()], "id").await;
}

#[tokio::test]
async fn an_error_of_the_source_ends_the_append() {
    let before = Before::new().await;
    let batch = primitive_batch(3, 100, 500);
    let broken = floe::Error::new(ErrorKind::Unavailable, "the source went away");
    let data = BatchStream::new(batch.schema(), Box::pin(futures::stream::iter([Ok(batch), Err(broken)])));
    let error =
        before.warehouse.manager.write_data(&before.table, data, &WriteConfig::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    before.assert_unchanged().await;
}

#[tokio::test]
async fn a_table_needs_its_namespace_and_a_free_name() {
    let before = Before::new().await;
    let manager = &before.warehouse.manager;
    let error =
        manager.create_table(&TableConfig::new("nowhere", "x", primitive_schema()), false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchNamespace, "{error}");
    let same = TableConfig::new("t", "fine", primitive_schema());
    let error = manager.create_table(&same, false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TableAlreadyExists, "{error}");
    assert_eq!(manager.create_table(&same, true).await.unwrap().ident, before.table);
    before.assert_unchanged().await;
}

#[tokio::test]
async fn a_table_that_is_not_there_is_no_such_table() {
    let before = Before::new().await;
    let missing = floe::iceberg::TableIdent::from_strs(["t", "missing"]).unwrap();
    let batch = primitive_batch(3, 100, 5);
    let append =
        before.warehouse.try_append(&missing, vec![batch], CommitStrategy::FastAppend).await.unwrap_err();
    let scan = before.warehouse.try_scan(&missing, None).await.unwrap_err();
    assert_eq!((append.kind(), scan.kind()), (ErrorKind::NoSuchTable, ErrorKind::NoSuchTable));
    before.assert_unchanged().await;
}

#[tokio::test]
async fn a_malformed_filter_is_a_validation_error() {
    let before = Before::new().await;
    for filter in
        ["id >", "id = = 3", "id = 'unclosed", "(id = 1", "nothing = 1", "id = 'text'", "id LIKE 'a%'"]
    {
        let error = before.warehouse.try_scan(&before.table, Some(filter)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation, "{filter}: {error}");
    }
    before.assert_unchanged().await;
}

#[tokio::test]
async fn every_fault_of_a_table_configuration_is_reported_at_once() {
    let before = Before::new().await;
    let mut config = TableConfig::new("t", " 1bad", primitive_schema());
    config.table_schema.fields[0].name.clear();
    config.table_schema.fields[5].precision = Some(99);
    let error = before.warehouse.manager.create_table(&config, false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    for fault in ["1bad", "precision"] {
        assert!(error.to_string().contains(fault), "'{fault}' is not in: {error}");
    }
    before.assert_unchanged().await;
}

#[tokio::test]
async fn errors_name_columns_and_never_values() {
    let before = Before::new().await;
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("c_int", DataType::Utf8, true),
    ]));
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(vec![424_242])), Arc::new(StringArray::from(vec!["very-secret"]))];
    assert_eq!(columns[0].len(), 1);
    let batch = RecordBatch::try_new(schema, columns).unwrap();
    let error = before
        .warehouse
        .try_append(&before.table, vec![batch], CommitStrategy::FastAppend)
        .await
        .unwrap_err();
    for shown in [error.to_string(), format!("{error:?}")] {
        assert!(!shown.contains("very-secret") && !shown.contains("424242"), "{shown}");
    }
    before.assert_unchanged().await;
}
