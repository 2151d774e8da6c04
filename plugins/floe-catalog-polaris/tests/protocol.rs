//! The protocol, against servers that say what a test wants them to say.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::sync::Arc;

use floe_core::{CatalogClient, CommitOutcome, ErrorKind};
use floe_testkit::http::{Answer, Reply, Request};
use iceberg::{NamespaceIdent, TableIdent, TableUpdate};
use serde_json::json;
use support::fake::{Counter, fake, plain, table};
use support::{creation, open};

fn space(name: &str) -> NamespaceIdent {
    NamespaceIdent::new(name.into())
}

fn ident() -> TableIdent {
    TableIdent::new(space("ns"), "t".into())
}

fn set() -> Vec<TableUpdate> {
    vec![TableUpdate::SetProperties { updates: HashMap::from([("a".into(), "b".into())]) }]
}

#[tokio::test]
async fn prefix_and_properties_come_from_the_server_and_headers_from_the_client() {
    let config = json!({
        "defaults": {"prefix": "default", "rest-page-size": "7"},
        "overrides": {"prefix": "my cat"},
    });
    let server = fake(config, |r| {
        (r.path() == "/v1/my%20cat/namespaces")
            .then(|| Reply::json(200, &json!({"namespaces": [["a"]]})).into())
    })
    .await;
    let catalog = open(&[
        ("uri", &server.uri()),
        ("warehouse", "lake & co"),
        ("prefix", "client"),
        ("token", "t0ken"),
        ("polaris.realm", "north"),
        ("header.X-Own", "value"),
    ])
    .await
    .unwrap();
    assert_eq!(catalog.list_namespaces(None).await.unwrap(), [space("a")]);
    let requests = server.requests();
    assert_eq!(requests[0].query("warehouse"), Some("lake+%26+co"));
    assert_eq!(requests[1].query("pageSize"), Some("7"));
    for request in &requests {
        assert_eq!(request.header("authorization"), Some("Bearer t0ken"));
        assert_eq!(request.header("polaris-realm"), Some("north"));
        assert_eq!(request.header("x-own"), Some("value"));
        assert_eq!(request.header("x-iceberg-access-delegation"), Some("vended-credentials"));
    }
}

#[tokio::test]
async fn what_a_server_does_not_list_is_not_called() {
    let config = json!({"endpoints": [
        "GET /v1/{prefix}/namespaces",
        "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    ]});
    let server = fake(config, |_| None).await;
    let catalog = open(&[("uri", &server.uri())]).await.unwrap();
    let capabilities = catalog.capabilities();
    assert!(!capabilities.rename_table && !capabilities.register_table && !capabilities.multi_table_commit);
    let sent = server.requests().len();
    let other = TableIdent::new(space("ns"), "u".into());
    let refused = [
        catalog.rename_table(&ident(), &other).await.unwrap_err(),
        catalog.register_table(&ident(), "file:///m.json").await.unwrap_err(),
        catalog.create_table(&space("ns"), creation("t")).await.unwrap_err(),
        catalog.commit(&ident(), &[], &set()).await.unwrap_err(),
        catalog.commit_tables(&[]).await.unwrap_err(),
        catalog.purge_table(&ident()).await.unwrap_err(),
        catalog.drop_namespace(&space("ns")).await.unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
    assert_eq!(server.requests().len(), sent, "nothing was sent");
    assert!(!catalog.table_exists(&ident()).await.unwrap(), "GET stands in for HEAD");
    assert_eq!(server.count("HEAD", "/"), 0);
}

#[tokio::test]
async fn a_thousand_tables_and_namespaces_are_listed_page_by_page() {
    let page = |request: &Request, key: &str, of: &dyn Fn(usize) -> serde_json::Value| {
        let token = request.query("pageToken").unwrap_or_default();
        let from: usize =
            if token.is_empty() { 0 } else { token.trim_start_matches("at%2F").parse().unwrap() };
        let to = (from + 64).min(1003);
        let items: Vec<_> = (from..to).map(of).collect();
        let next = (to < 1003).then(|| format!("at/{to}"));
        Answer::from(Reply::json(200, &json!({key: items, "next-page-token": next})))
    };
    let server = fake(plain(), move |r| match r.path() {
        "/v1/namespaces" => Some(page(r, "namespaces", &|i| json!(["top", format!("n{i}")]))),
        "/v1/namespaces/ns/tables" => {
            Some(page(r, "identifiers", &|i| json!({"namespace": ["ns"], "name": format!("t{i}")})))
        }
        _ => None,
    })
    .await;
    let catalog = open(&[("uri", &server.uri()), ("rest-page-size", "64")]).await.unwrap();
    let tables = catalog.list_tables(&space("ns")).await.unwrap();
    assert_eq!(tables.len(), 1003);
    assert!(tables.is_sorted());
    let namespaces = catalog.list_namespaces(Some(&space("top"))).await.unwrap();
    assert_eq!(namespaces.len(), 1003);
    assert_eq!(server.count("GET", "/tables"), 16);
}

#[tokio::test]
async fn a_server_that_gives_one_page_for_ever_is_found_out() {
    let server = fake(plain(), |r| {
        let page = json!({"identifiers": [], "next-page-token": "again"});
        (r.path() == "/v1/namespaces/ns/tables").then(|| Reply::json(200, &page).into())
    })
    .await;
    let catalog = open(&[("uri", &server.uri())]).await.unwrap();
    assert_eq!(catalog.list_tables(&space("ns")).await.unwrap_err().kind(), ErrorKind::Corrupted);
}

#[tokio::test]
async fn a_table_that_has_not_changed_is_not_sent_again() {
    let server = fake(plain(), |r| {
        let answer = match r.header("if-none-match") {
            Some("\"v1\"") => Reply::status(304),
            Some(other) => panic!("never given: {other}"),
            None => Reply::json(200, &table("file:///lake/t", json!({}))).with_header("etag", "\"v1\""),
        };
        (r.path() == "/v1/namespaces/ns/tables/t").then(|| answer.into())
    })
    .await;
    let catalog = open(&[("uri", &server.uri())]).await.unwrap();
    let first = catalog.load_table(&ident()).await.unwrap();
    let second = catalog.load_table(&ident()).await.unwrap();
    assert!(Arc::ptr_eq(&first.metadata, &second.metadata));
    assert_eq!(server.requests().last().unwrap().header("if-none-match"), Some("\"v1\""));
}

#[tokio::test]
async fn under_an_idempotency_key_a_lost_commit_is_asked_for_again_and_only_a_success_counts() {
    for (second, expected) in [(200, "committed"), (409, "unknown"), (500, "unknown")] {
        let counter = Counter::default();
        let counts = counter.clone();
        let config = json!({"defaults": {}, "overrides": {}, "idempotency-key-lifetime": "PT30M"});
        let server = fake(config, move |r| {
            if r.method != "POST" {
                return None;
            }
            Some(match (counts.next("commit"), second) {
                (1, _) => Answer::Close,
                (_, 200) => Reply::json(200, &table("file:///lake/t", json!({}))).into(),
                (_, status) => Reply::iceberg_error(status, "CommitFailedException", "late").into(),
            })
        })
        .await;
        let catalog = open(&[("uri", &server.uri())]).await.unwrap();
        let outcome = match catalog.commit(&ident(), &[], &set()).await.unwrap() {
            CommitOutcome::Committed(_) => "committed",
            CommitOutcome::Conflict(_) => "conflict",
            CommitOutcome::Unknown(_) => "unknown",
        };
        assert_eq!(outcome, expected);
        let requests = server.requests();
        let keys: Vec<_> = requests.iter().filter_map(|r| r.header("idempotency-key")).collect();
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[0], keys[1]);
        assert_eq!(uuid::Uuid::parse_str(keys[0]).unwrap().get_version_num(), 7);
    }
}

#[tokio::test]
async fn without_that_offer_no_key_is_sent_and_nothing_is_repeated() {
    let server = fake(plain(), |r| (r.method == "POST").then_some(Answer::Close)).await;
    let catalog = open(&[("uri", &server.uri())]).await.unwrap();
    assert!(matches!(catalog.commit(&ident(), &[], &set()).await.unwrap(), CommitOutcome::Unknown(_)));
    assert_eq!(server.count("POST", "/"), 1);
    assert!(server.requests().iter().all(|r| r.header("idempotency-key").is_none()));
}

#[tokio::test]
async fn a_success_that_cannot_be_read_is_an_unknown_outcome() {
    let server = fake(plain(), |r| {
        (r.method == "POST").then(|| Reply::json(200, &json!({"metadata": "hunter2"})).into())
    })
    .await;
    let catalog = open(&[("uri", &server.uri())]).await.unwrap();
    match catalog.commit(&ident(), &[], &set()).await.unwrap() {
        CommitOutcome::Unknown(error) => assert!(!format!("{error:?}").contains("hunter2"), "{error:?}"),
        other => panic!("{other:?}"),
    }
}

/// A server that answers a listing below `parent` as `below` says; `None` is 404.
async fn listing(
    below: impl Fn(&str) -> Option<Vec<Vec<&'static str>>> + Send + Sync + 'static,
) -> floe_testkit::http::HttpServer {
    fake(plain(), move |r| {
        if r.path() != "/v1/namespaces" {
            return None;
        }
        let parent = r.query("parent").unwrap_or_default().replace("%1F", "/");
        Some(match below(&parent) {
            Some(found) => Reply::json(200, &json!({"namespaces": found})).into(),
            None => Reply::iceberg_error(404, "NoSuchNamespaceException", "gone").into(),
        })
    })
    .await
}

#[tokio::test]
async fn only_what_lies_directly_below_is_listed_whatever_the_server_answers() {
    let ns = |parts: &[&str]| NamespaceIdent::from_strs(parts).unwrap();
    // One that ignores the parent, one that answers with everything, one that gives cousins.
    let server = listing(|_| {
        Some(vec![vec!["a"], vec!["a", "x"], vec!["a", "x", "deep"], vec!["ab", "y"], vec!["a"]])
    })
    .await;
    let catalog = open(&[("uri", &server.uri())]).await.unwrap();
    assert_eq!(catalog.list_namespaces(None).await.unwrap(), [ns(&["a"]), ns(&["ab"])]);
    assert_eq!(catalog.list_namespaces(Some(&ns(&["a"]))).await.unwrap(), [ns(&["a", "x"])]);
    assert_eq!(catalog.list_namespaces(Some(&ns(&["a", "x"]))).await.unwrap(), [ns(&["a", "x", "deep"])]);
    assert!(catalog.list_namespaces(Some(&ns(&["a", "x", "deep"]))).await.unwrap().is_empty());
}

#[tokio::test]
async fn tables_of_other_namespaces_are_not_listed() {
    let server = fake(plain(), |r| {
        let found = json!({"identifiers": [
            {"namespace": ["ns"], "name": "t"}, {"namespace": ["other"], "name": "u"},
            {"namespace": ["ns"], "name": "t"}, {"namespace": ["ns"], "name": "a.b"},
        ]});
        (r.path() == "/v1/namespaces/ns/tables").then(|| Reply::json(200, &found).into())
    })
    .await;
    let catalog = open(&[("uri", &server.uri())]).await.unwrap();
    let names: Vec<_> =
        catalog.list_tables(&space("ns")).await.unwrap().iter().map(|t| t.name().to_owned()).collect();
    assert_eq!(names, ["a.b", "t"]);
}

#[tokio::test]
async fn page_tokens_that_never_end_are_found_out_however_they_look() {
    // The same one, two in turn, and a new one each time without anything new on the page.
    for kind in 0..3 {
        let counter = Counter::default();
        let server = fake(plain(), move |r| {
            if r.path() != "/v1/namespaces/ns/tables" {
                return None;
            }
            let n = counter.next("page");
            let token = match kind {
                0 => "again".to_owned(),
                1 => format!("t{}", n % 2),
                _ => format!("t{n}"),
            };
            let page = json!({"identifiers": [{"namespace": ["ns"], "name": "t"}], "next-page-token": token});
            Some(Reply::json(200, &page).into())
        })
        .await;
        let catalog = open(&[("uri", &server.uri())]).await.unwrap();
        let error = catalog.list_tables(&space("ns")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupted, "{kind}: {error}");
    }
}
