//! Requests and replies that get lost on their way to a real server.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::sync::Arc;

use floe_catalog_polaris::{RestCatalog, RestCatalogPlugin};
use floe_core::{
    Action, CatalogClient, CommitOutcome, ErrorKind, SystemEnvironment, TableChange, TablesOutcome,
};
use floe_testkit::http::{FaultProxy, HttpFault, Rule, TokenRules};
use iceberg::{TableIdent, TableRequirement, TableUpdate};
use support::{Fixture, config, creation, fixture, fresh, local};

struct Faulty {
    proxy: FaultProxy,
    client: RestCatalog,
    table: TableIdent,
}

/// A table on the server, behind a proxy.
async fn faulty(server: &Fixture) -> Faulty {
    let proxy = FaultProxy::start(&server.uri).await;
    let plugin = RestCatalogPlugin::rest();
    let properties = config(&[("uri", &proxy.uri())]);
    let storage = local(&server.warehouse).await;
    let client = plugin.open(&properties, storage, Arc::new(SystemEnvironment)).await.unwrap();
    let namespace = fresh(&client).await;
    let table = client.create_table(&namespace, creation("t")).await.unwrap().ident;
    Faulty { proxy, client, table }
}

fn set(key: &str) -> TableUpdate {
    TableUpdate::SetProperties { updates: HashMap::from([(key.to_owned(), "x".to_owned())]) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_a_commit_is_told_as_what_it_is_and_nothing_happens_twice() {
    let Some(server) = fixture() else { return };
    let cases = [
        (HttpFault::LostReply, "unknown", true),
        (HttpFault::LostRequest, "unknown", false),
        (HttpFault::Status(500), "unknown", false),
        (HttpFault::StatusAfter(502), "unknown", true),
        (HttpFault::StatusAfter(504), "unknown", true),
        (HttpFault::Status(503), "unknown", false),
        (HttpFault::Status(409), "conflict", false),
        (HttpFault::Status(403), "permission_denied", false),
        (HttpFault::Status(400), "validation", false),
    ];
    let Faulty { proxy, client, table } = faulty(&server).await;
    for (i, (fault, expected, took_effect)) in cases.into_iter().enumerate() {
        let before = client.load_table(&table).await.unwrap();
        let sent = proxy.count("POST", "/tables/t");
        proxy.inject(Rule::next(fault).method("POST").path("/tables/t"));
        let key = format!("case-{i}");
        let uuid = [TableRequirement::UuidMatch { uuid: before.metadata.uuid() }];
        let outcome = match client.commit(&table, &uuid, &[set(&key)]).await {
            Ok(CommitOutcome::Committed(_)) => "committed",
            Ok(CommitOutcome::Conflict(_)) => "conflict",
            Ok(CommitOutcome::Unknown(_)) => "unknown",
            Err(error) => error.kind().as_str(),
        };
        assert_eq!(outcome, expected, "{fault:?}");
        assert_eq!(proxy.count("POST", "/tables/t"), sent + 1, "{fault:?}: a commit is sent once");
        let now = client.load_table(&table).await.unwrap();
        assert_eq!(now.metadata.properties().contains_key(&key), took_effect, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_reply_of_any_change_says_that_it_may_have_happened() {
    let Some(server) = fixture() else { return };
    let Faulty { proxy, client, table } = faulty(&server).await;
    let lose =
        |method: &str, path: &str| proxy.inject(Rule::next(HttpFault::LostReply).method(method).path(path));
    let unknown = |result: floe_core::Result<()>| {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::CommitStateUnknown);
    };

    lose("POST", "/tables");
    unknown(client.create_table(table.namespace(), creation("second")).await.map(drop));
    let second = TableIdent::new(table.namespace().clone(), "second".into());
    assert!(client.table_exists(&second).await.unwrap(), "it was made");

    lose("POST", "/tables/rename");
    let third = TableIdent::new(table.namespace().clone(), "third".into());
    unknown(client.rename_table(&second, &third).await);
    assert!(client.table_exists(&third).await.unwrap());

    lose("DELETE", "/tables/third");
    unknown(client.drop_table(&third).await);
    assert!(!client.table_exists(&third).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_goes_on_over_lost_replies_and_busy_servers() {
    let Some(server) = fixture() else { return };
    let Faulty { proxy, client, table } = faulty(&server).await;
    for fault in [
        HttpFault::LostReply,
        HttpFault::LostRequest,
        HttpFault::Status(503),
        HttpFault::RetryAfter(429, 0),
        HttpFault::Status(502),
    ] {
        proxy.inject(Rule::next(fault).method("GET").times(2));
        client.load_table(&table).await.unwrap_or_else(|e| panic!("{fault:?}: {e}"));
    }
    proxy.inject(Rule::next(HttpFault::Status(503)).method("GET").times(20));
    assert_eq!(client.load_table(&table).await.unwrap_err().kind().action(), Action::Retry);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_while_the_server_asks_for_patience() {
    let Some(server) = fixture() else { return };
    let Faulty { proxy, client, table } = faulty(&server).await;
    proxy.inject(Rule::next(HttpFault::RetryAfter(429, 3600)).method("GET"));
    assert_eq!(client.load_table(&table).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let sent = proxy.requests().len();
    let error = client.commit(&table, &[], &[set("a")]).await.unwrap_err();
    assert_eq!(error.kind().action(), Action::Retry, "not sent, so it may be sent again: {error}");
    assert_eq!(proxy.requests().len(), sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_tables_are_committed_to_at_once_or_not_at_all() {
    let Some(server) = fixture() else { return };
    let Faulty { proxy, client, table } = faulty(&server).await;
    let other = client.create_table(table.namespace(), creation("u")).await.unwrap();
    assert!(client.capabilities().multi_table_commit);
    let change = |table: &TableIdent, requirements: Vec<TableRequirement>, key: &str| TableChange {
        table: table.clone(),
        requirements,
        updates: vec![set(key)],
    };
    let both = async |key: &str| {
        let one = client.load_table(&table).await.unwrap().metadata.properties().contains_key(key);
        let two = client.load_table(&other.ident).await.unwrap().metadata.properties().contains_key(key);
        (one, two)
    };

    let changes = [change(&table, vec![], "first"), change(&other.ident, vec![], "first")];
    assert!(matches!(client.commit_tables(&changes).await.unwrap(), TablesOutcome::Committed));
    assert_eq!(both("first").await, (true, true));

    let stale = vec![TableRequirement::UuidMatch { uuid: uuid::Uuid::from_u128(1) }];
    let changes = [change(&table, vec![], "second"), change(&other.ident, stale, "second")];
    assert!(matches!(client.commit_tables(&changes).await.unwrap(), TablesOutcome::Conflict(_)));
    assert_eq!(both("second").await, (false, false));

    proxy.inject(Rule::next(HttpFault::LostReply).path("/transactions/commit"));
    let changes = [change(&table, vec![], "third"), change(&other.ident, vec![], "third")];
    assert!(matches!(client.commit_tables(&changes).await.unwrap(), TablesOutcome::Unknown(_)));
    assert_eq!(both("third").await, (true, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_staged_table_is_not_there_before_its_commit() {
    let Some(server) = fixture() else { return };
    let Faulty { proxy: _proxy, client, table } = faulty(&server).await;
    let staged = client.stage_table(table.namespace(), creation("staged")).await.unwrap();
    let ident = TableIdent::new(table.namespace().clone(), "staged".into());
    assert!(!client.table_exists(&ident).await.unwrap());
    let schema = staged.current_schema().as_ref().clone();
    let updates = [
        TableUpdate::AssignUuid { uuid: staged.uuid() },
        TableUpdate::UpgradeFormatVersion { format_version: staged.format_version() },
        TableUpdate::AddSchema { schema },
        TableUpdate::SetCurrentSchema { schema_id: -1 },
        TableUpdate::AddSpec { spec: staged.default_partition_spec().as_ref().clone().into_unbound() },
        TableUpdate::SetDefaultSpec { spec_id: -1 },
        TableUpdate::AddSortOrder { sort_order: staged.default_sort_order().as_ref().clone() },
        TableUpdate::SetDefaultSortOrder { sort_order_id: -1 },
        TableUpdate::SetLocation { location: staged.location().to_owned() },
        set("made"),
    ];
    let made = client.commit(&ident, &[TableRequirement::NotExist], &updates).await.unwrap();
    let CommitOutcome::Committed(made) = made else { panic!("{made:?}") };
    assert_eq!(made.metadata.uuid(), staged.uuid());
    assert!(made.metadata.properties().contains_key("made"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_refused_for_its_token_is_sent_once_more_with_a_new_one() {
    let Some(server) = fixture() else { return };
    let proxy = FaultProxy::with_tokens(&server.uri, TokenRules::new("floe", "s3cret")).await;
    let properties = config(&[("uri", &proxy.uri()), ("credential", "floe:s3cret")]);
    let storage = local(&server.warehouse).await;
    let client =
        RestCatalogPlugin::rest().open(&properties, storage, Arc::new(SystemEnvironment)).await.unwrap();
    let namespace = fresh(&client).await;
    let table = client.create_table(&namespace, creation("t")).await.unwrap().ident;
    proxy.revoke_tokens();
    let outcome = client.commit(&table, &[], &[set("a")]).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Committed(_)), "{outcome:?}");
    assert_eq!(proxy.issued_tokens(), 2);
}
