//! The manager over a catalog of the REST protocol: every operation, and replies that get lost.
//!
//! The server is the Iceberg REST fixture, whose warehouse is a local folder: `cargo xtask test` starts it.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeSet;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use floe::data::BatchStream;
use floe::execute::scan::ScanRequest;
use floe::iceberg::{NamespaceIdent, TableIdent};
use floe::model::{DeleteConfig, TableConfig, WriteConfig, WriteMode};
use floe::plan::expr::Expr;
use floe::{ErrorKind, IcebergTableManager, Properties};
use floe_testkit::http::{FaultProxy, HttpFault, Rule, TokenRules};
use floe_tests::data::{primitive_batch, primitive_schema};

/// The address of the fixture, or `None` where tests with servers are left out. Panics when neither is said.
fn fixture() -> Option<String> {
    if std::env::var("FLOE_SKIP_SERVICES").is_ok_and(|value| value == "1") {
        println!("NOT RUN: FLOE_SKIP_SERVICES=1 leaves out the tests with servers");
        return None;
    }
    Some(std::env::var("FLOE_TEST_REST_URI").expect(
        "FLOE_TEST_REST_URI is not set: run `cargo xtask test` or `cargo xtask integration`, or set \
         FLOE_SKIP_SERVICES=1 to leave these tests out",
    ))
}

struct Lake {
    manager: IcebergTableManager,
    table: TableIdent,
}

impl Lake {
    /// A table of its own at the server.
    async fn new(properties: &Properties) -> Self {
        let manager = floe::connect("lake", properties).await.unwrap();
        let space = format!("e2e{}", uuid::Uuid::new_v4().simple());
        manager.ensure_namespace(&NamespaceIdent::new(space.clone())).await.unwrap();
        let config = TableConfig::new(&space, "t", primitive_schema());
        let table = manager.create_table(&config, false).await.unwrap().ident;
        Self { manager, table }
    }

    /// Writes the rows with ids from `first` on; their values follow from `seed`.
    async fn write(&self, seed: u64, first: i64, count: usize, config: &WriteConfig) -> floe::Result<()> {
        let batch = primitive_batch(seed, first, count);
        let data = BatchStream::from_batches(batch.schema(), vec![batch]);
        self.manager.write_data(&self.table, data, config).await.map(drop)
    }

    async fn ids(&self, filter: Option<&str>) -> Vec<i64> {
        let filter = filter.map(|text| Expr::parse(text).unwrap());
        let request = ScanRequest { filter, ..ScanRequest::default() };
        let batches = self.manager.scan(&self.table, &request).await.unwrap().data.collect().await.unwrap();
        let mut ids: Vec<i64> = batches
            .iter()
            .flat_map(|b| b.column_by_name("id").unwrap().as_primitive::<Int64Type>().values().to_vec())
            .collect();
        ids.sort_unstable();
        ids
    }
}

fn properties(uri: &str) -> Properties {
    Properties::default().with("type", "rest").with("uri", uri).with("storage", "local")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_works_on_a_rest_catalog() {
    let Some(uri) = fixture() else { return };
    let lake = Lake::new(&properties(&uri)).await;
    let (manager, table) = (&lake.manager, &lake.table);

    lake.write(1, 0, 100, &WriteConfig::default()).await.unwrap();
    assert_eq!(lake.ids(None).await, (0..100).collect::<Vec<_>>());
    assert_eq!(lake.ids(Some("id >= 90")).await, (90..100).collect::<Vec<_>>());
    let first = manager.list_snapshots(table).await.unwrap()[0].snapshot_id;

    let filter = Expr::parse("id < 10").unwrap();
    manager.delete_data(table, &filter, &DeleteConfig::default()).await.unwrap();
    let overwrite = WriteConfig {
        mode: WriteMode::Overwrite,
        overwrite_filter: Some("id >= 50".into()),
        ..WriteConfig::default()
    };
    lake.write(2, 50, 20, &overwrite).await.unwrap();
    assert_eq!(lake.ids(None).await, (10..70).collect::<Vec<_>>());
    let upsert =
        WriteConfig { mode: WriteMode::Upsert, join_columns: vec!["id".into()], ..WriteConfig::default() };
    lake.write(3, 60, 20, &upsert).await.unwrap();
    assert_eq!(lake.ids(None).await, (10..80).collect::<Vec<_>>());

    manager.tag(table, "before", Some(first), None, false).await.unwrap();
    let refs: BTreeSet<String> =
        manager.list_refs(table).await.unwrap().into_iter().map(|(n, _)| n).collect();
    assert!(refs.contains("before") && refs.contains("main"), "{refs:?}");
    manager.rollback_to_snapshot(table, None, first).await.unwrap();
    assert_eq!(lake.ids(None).await, (0..100).collect::<Vec<_>>());

    let again = floe::connect("again", &properties(&uri)).await.unwrap();
    assert_eq!(again.list_tables(table.namespace()).await.unwrap(), std::slice::from_ref(table));
    manager.drop_table(table).await.unwrap();
    assert_eq!(again.load_table(table).await.unwrap_err().kind(), ErrorKind::NoSuchTable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_there_once_whatever_becomes_of_the_reply_to_their_commit() {
    let Some(uri) = fixture() else { return };
    let proxy = FaultProxy::with_tokens(&uri, TokenRules::new("floe", "s3cret")).await;
    let lake = Lake::new(&properties(&proxy.uri()).with("credential", "floe:s3cret")).await;
    let faults = [
        HttpFault::LostReply,
        HttpFault::LostRequest,
        HttpFault::StatusAfter(502),
        HttpFault::Status(503),
        HttpFault::Status(409),
        HttpFault::Status(401),
    ];
    for (i, fault) in faults.into_iter().enumerate() {
        proxy.inject(Rule::next(fault).method("POST").path("/tables/t"));
        let written = lake.write(1, i as i64 * 10, 10, &WriteConfig::default()).await;
        let rows = ((i + 1) * 10) as i64;
        let there = lake.ids(None).await;
        assert_eq!(there, (0..rows).collect::<Vec<_>>(), "{fault:?}: {written:?}");
        written.unwrap_or_else(|e| panic!("{fault:?}: the rows are there: {e}"));
    }
    assert_eq!(proxy.met().len(), faults.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_at_once_lose_nothing() {
    let Some(uri) = fixture() else { return };
    let lake = std::sync::Arc::new(Lake::new(&properties(&uri)).await);
    let writers: Vec<_> = (0..4_i64)
        .map(|writer| {
            let lake = lake.clone();
            tokio::spawn(async move { lake.write(1, writer * 10, 10, &WriteConfig::default()).await })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    assert_eq!(lake.ids(None).await, (0..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_property_that_nobody_knows_is_refused_before_anything_is_sent() {
    let unknown = properties("http://127.0.0.1:1").with("headers.x", "y");
    let error = floe::connect("lake", &unknown).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert!(error.to_string().contains("headers.x"), "{error}");
}
