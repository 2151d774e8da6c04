//! What was seen of a real Polaris: realms, tables that are made by calls that fail, throttling, addresses that are not
//! quite right.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use floe_core::{Action, CatalogClient, CommitOutcome, Error, ErrorKind};
use floe_testkit::SeededEnvironment;
use floe_testkit::http::{Answer, FaultProxy, HttpFault, HttpServer, Reply, Request, Rule, TokenRules};
use iceberg::{NamespaceIdent, TableIdent, TableUpdate};
use serde_json::json;
use support::fake::{fake, plain, table};
use support::{creation, open, open_at};

fn space(name: &str) -> NamespaceIdent {
    NamespaceIdent::new(name.into())
}

fn ident() -> TableIdent {
    TableIdent::new(space("ns"), "t".into())
}

fn says(error: &Error, kind: ErrorKind, words: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "'{word}' is missing: {error}");
    }
    assert!(!format!("{error} {error:?}").contains("hunter2"), "a secret is shown: {error:?}");
}

/// An environment whose pauses take no time.
fn quick() -> Arc<SeededEnvironment> {
    Arc::new(SeededEnvironment::new(1))
}

async fn listing_server() -> HttpServer {
    fake(plain(), |r| {
        (r.path() == "/v1/namespaces").then(|| Reply::json(200, &json!({"namespaces": [["ns"]]})).into())
    })
    .await
}

#[tokio::test]
async fn realm_and_headers_go_with_the_request_for_a_token() {
    let server = listing_server().await;
    let proxy =
        FaultProxy::with_tokens(&server.uri(), TokenRules::new("floe", "hunter2").in_realm("north")).await;
    let uri = proxy.uri();
    let mut pairs = vec![
        ("uri", &*uri),
        ("credential", "floe:hunter2"),
        ("header.X-Tenant", "t1"),
        ("polaris.realm", "north"),
    ];
    let catalog = open(&pairs).await.unwrap();
    assert_eq!(catalog.list_namespaces(None).await.unwrap(), [space("ns")]);
    let requests = proxy.requests();
    let asked = requests.iter().find(|r| r.path() == "/v1/oauth/tokens").unwrap();
    assert_eq!((asked.header("polaris-realm"), asked.header("x-tenant")), (Some("north"), Some("t1")));
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(asked.header("authorization"), None);
    assert_eq!(asked.header("x-iceberg-access-delegation"), None, "it is about tables");

    // A header of the configuration does not say how the form is written.
    pairs.push(("header.content-type", "application/vnd.api+json"));
    open(&pairs).await.unwrap();
    pairs.retain(|(key, _)| *key != "polaris.realm");
    let error = open(&pairs).await.unwrap_err();
    says(&error, ErrorKind::Unauthenticated, &["not authorized", "`polaris.realm`", "`credential`"]);
    pairs.push(("polaris.realm", "nowhere"));
    let error = open(&pairs).await.unwrap_err();
    says(&error, ErrorKind::Unauthenticated, &["Missing or invalid realm", "check `polaris.realm`"]);
    assert!(!error.to_string().contains("warehouse"), "{error}");
}

#[tokio::test]
async fn another_host_that_gives_tokens_gets_no_header_but_the_realm() {
    let server = fake(plain(), |r| {
        let good = r.header("authorization") == Some("Bearer issued-token-1");
        (!good).then(|| Reply::iceberg_error(401, "NotAuthorizedException", "no").into())
    })
    .await;
    let issuer = FaultProxy::with_tokens(&server.uri(), TokenRules::new("floe", "hunter2")).await;
    let elsewhere = format!("{}/v1/oauth/tokens", issuer.uri());
    let uri = server.uri();
    let pairs = [
        ("uri", &*uri),
        ("credential", "floe:hunter2"),
        ("oauth2-server-uri", &*elsewhere),
        ("header.X-Api-Key", "hunter2-key"),
        ("polaris.realm", "north"),
    ];
    open(&pairs).await.unwrap();
    let asked = issuer.requests().pop().unwrap();
    assert_eq!((asked.header("polaris-realm"), asked.header("x-api-key")), (Some("north"), None));
}

#[tokio::test]
async fn an_authorization_header_stands_alone_or_is_refused() {
    let server = listing_server().await;
    let uri = server.uri();
    let alone = open(&[("uri", &uri), ("header.Authorization", "Basic hunter2")]).await.unwrap();
    alone.list_namespaces(None).await.unwrap();
    for request in server.requests() {
        let sent: Vec<_> = request.headers.iter().filter(|(name, _)| name == "authorization").collect();
        assert_eq!(sent.len(), 1);
    }
    let both =
        open(&[("uri", &uri), ("header.Authorization", "Basic hunter2"), ("token", "t")]).await.unwrap_err();
    says(&both, ErrorKind::Validation, &["header.authorization", "`token`"]);
}

/// A server whose creation of a table answers `status`, and whether the table was made by it.
async fn making(status: u16, message: &'static str, made: bool) -> HttpServer {
    let there = Arc::new(AtomicBool::new(false));
    fake(plain(), move |r: &Request| {
        let path = r.path().to_owned();
        let answer: Answer = match (r.method.as_str(), path.as_str()) {
            (_, "/v1/namespaces/ns") => Reply::json(200, &json!({"namespace": ["ns"]})).into(),
            ("POST", "/v1/namespaces/ns/tables") => {
                there.fetch_or(made, Ordering::SeqCst);
                match status {
                    0 => Answer::Close,
                    status => Reply::iceberg_error(status, "BadRequestException", message).into(),
                }
            }
            (method, "/v1/namespaces/ns/tables/t") if there.load(Ordering::SeqCst) => {
                let vends = r.header("x-iceberg-access-delegation").is_some();
                match (method, vends && status == 400) {
                    ("HEAD", _) => Reply::status(204).into(),
                    (_, true) => Reply::iceberg_error(400, "BadRequestException", message).into(),
                    _ => Reply::json(200, &table("s3://lake/ns/t", json!({}))).into(),
                }
            }
            _ => return None,
        };
        Some(answer)
    })
    .await
}

const NO_CREDENTIALS: &str =
    "Credential vending was requested for table ns.t, but no credentials are available";

#[tokio::test]
async fn a_creation_that_fails_is_told_with_what_is_there_after_it() {
    for (status, message) in
        [(400, NO_CREDENTIALS), (403, "no"), (429, "slow"), (500, "oops"), (503, "busy"), (0, "")]
    {
        for made in [true, false] {
            let server = making(status, message, made).await;
            let catalog = open_at(&[("uri", &server.uri())], quick()).await.unwrap();
            let error = catalog.create_table(&space("ns"), creation("t")).await.unwrap_err();
            let text = error.to_string();
            let case = format!("{status} {made}: {text}");
            if made {
                assert_eq!(error.kind(), ErrorKind::CommitStateUnknown, "{case}");
                assert!(text.contains("the table is there now") && text.contains("s3://lake/ns/t"), "{case}");
                assert!(text.contains("uuid"), "{case}");
            } else {
                assert!(!text.contains("the table is there now"), "{case}");
                let kind = match status {
                    400 => ErrorKind::Validation,
                    403 => ErrorKind::PermissionDenied,
                    429 => ErrorKind::Unavailable,
                    _ => ErrorKind::CommitStateUnknown,
                };
                assert_eq!(error.kind(), kind, "{case}");
            }
            assert_eq!(text.contains("`vended-credentials-enabled = false`"), status == 400, "{case}");
            assert!(text.contains(message), "the server's message is told: {case}");
            let deleted = server.requests().iter().filter(|r| r.method == "DELETE").count();
            assert_eq!(deleted, 0, "nothing is deleted that may be another's: {case}");
        }
    }
}

#[tokio::test]
async fn a_table_that_was_there_before_is_not_taken_for_ours() {
    let server = fake(plain(), |r| match (r.method.as_str(), r.path()) {
        (_, "/v1/namespaces/ns") => Some(Reply::json(200, &json!({"namespace": ["ns"]})).into()),
        ("POST", _) => Some(Reply::iceberg_error(400, "BadRequestException", "bad schema").into()),
        (_, "/v1/namespaces/ns/tables/t") => {
            Some(Reply::json(200, &table("s3://lake/ns/t", json!({}))).into())
        }
        _ => None,
    })
    .await;
    let catalog = open(&[("uri", &server.uri())]).await.unwrap();
    let error = catalog.create_table(&space("ns"), creation("t")).await.unwrap_err();
    says(&error, ErrorKind::Validation, &["bad schema"]);
}

#[tokio::test]
async fn what_the_server_did_not_take_is_sent_again_and_at_last_unavailable() {
    // After so many refusals: (times, ends well).
    for (times, good) in [(1, true), (3, true), (100, false)] {
        let server = fake(plain(), |r| {
            (r.method == "POST").then(|| Reply::json(200, &table("s3://lake/ns/t", json!({}))).into())
        })
        .await;
        let proxy = FaultProxy::start(&server.uri()).await;
        let catalog = open_at(&[("uri", &proxy.uri())], quick()).await.unwrap();
        proxy.inject(Rule::next(HttpFault::Status(429)).method("POST").times(times));
        let set = TableUpdate::SetProperties { updates: HashMap::from([("a".into(), "b".into())]) };
        let outcome = catalog.commit(&ident(), &[], &[set]).await;
        let sent = proxy.count("POST", "/tables/t");
        match outcome {
            Ok(CommitOutcome::Committed(_)) => assert!(good && sent == times + 1, "{times}: sent {sent}"),
            Err(error) if !good => {
                says(&error, ErrorKind::Unavailable, &["429"]);
                assert_eq!(error.kind().action(), Action::Retry);
                assert!((2..=8).contains(&sent), "bounded: {sent}");
                assert_eq!(server.count("POST", "/"), 0);
            }
            other => panic!("{times}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn retry_after_is_kept_to_and_too_much_of_it_is_told() {
    let server = listing_server().await;
    let proxy = FaultProxy::start(&server.uri()).await;
    let catalog = open_at(&[("uri", &proxy.uri())], quick()).await.unwrap();
    proxy.inject(Rule::next(HttpFault::RetryAfter(429, 2)).method("DELETE").times(1));
    // The double knows no deletion; that it is asked twice is what counts.
    let _ = catalog.drop_table(&ident()).await;
    assert_eq!(proxy.count("DELETE", "/tables/t"), 2);
    proxy.inject(Rule::next(HttpFault::RetryAfter(429, 3600)).method("DELETE"));
    let error = catalog.drop_table(&ident()).await.unwrap_err();
    says(&error, ErrorKind::Unavailable, &["429"]);
    assert_eq!(proxy.count("DELETE", "/tables/t"), 3, "an hour is not waited for");
}

#[tokio::test]
async fn a_creation_that_was_throttled_and_then_finds_its_name_taken_says_both() {
    let made = Arc::new(AtomicUsize::new(0));
    let server = fake(plain(), move |r| match (r.method.as_str(), r.path()) {
        (_, "/v1/namespaces/ns") => Some(Reply::json(200, &json!({"namespace": ["ns"]})).into()),
        ("POST", _) => Some(match made.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::iceberg_error(429, "TooManyRequests", "slow").into(),
            _ => Reply::iceberg_error(409, "AlreadyExistsException", "Table already exists: ns.t").into(),
        }),
        (_, "/v1/namespaces/ns/tables/t") if made.load(Ordering::SeqCst) > 0 => {
            Some(Reply::json(200, &table("s3://lake/ns/t", json!({}))).into())
        }
        _ => None,
    })
    .await;
    let catalog = open_at(&[("uri", &server.uri())], quick()).await.unwrap();
    let error = catalog.create_table(&space("ns"), creation("t")).await.unwrap_err();
    says(&error, ErrorKind::CommitStateUnknown, &["the table is there now", "s3://lake/ns/t"]);
}

#[tokio::test]
async fn an_address_that_is_not_quite_right_is_named_and_nothing_else() {
    // Polaris knows /api/catalog/v1, and answers every other path in the protocol's own words.
    let server = HttpServer::start(|r: Request| async move {
        let answer = match r.path() {
            "/api/catalog/v1/config" => Reply::json(200, &plain()),
            "/api/catalog/v1/oauth/tokens" => {
                Reply::json(200, &json!({"access_token": "t", "token_type": "bearer", "expires_in": 3600}))
            }
            "/page/v1/config" | "/page/v1/oauth/tokens" => {
                Reply { body: "<!DOCTYPE html><html><title>Console</title>".into(), ..Reply::status(200) }
            }
            _ => Reply::iceberg_error(404, "NotFoundException", "HTTP 404 Not Found"),
        };
        Answer::from(answer)
    })
    .await;
    for path in ["", "/api", "/api/catalog/v1", "/api/management/v1", "/page"] {
        for secret in [("credential", "floe:hunter2"), ("token", "hunter2")] {
            let uri = format!("{}{path}", server.uri());
            let error = open(&[("uri", &uri), ("warehouse", "lake"), secret]).await.unwrap_err();
            let hint = error.hint().unwrap_or_default();
            assert!(hint.contains("check `uri`") && hint.contains("/api/catalog"), "{path}: {error}");
            assert!(!hint.contains("`credential`") && !hint.contains("`warehouse`"), "{path}: {error}");
            assert!(error.message().contains(if path == "/page" { "web page" } else { "404" }), "{error}");
        }
    }
    open(&[("uri", &format!("{}/api/catalog", server.uri())), ("credential", "floe:hunter2")]).await.unwrap();
}

#[tokio::test]
async fn the_servers_words_are_told_without_secrets_and_harmless() {
    let said = Arc::new(Mutex::new(String::new()));
    let shared = said.clone();
    let server = fake(plain(), move |_| {
        Some(Reply::iceberg_error(403, "ForbiddenException", &shared.lock().unwrap()).into())
    })
    .await;
    let uri = server.uri();
    for (message, expected) in [
        ("Principal 'etl' may not LIST", "Principal 'etl' may not LIST"),
        ("key hunter2 and hunter2%2B and aWQ6aHVudGVyMg==", "key *** and"),
        ("tenant hunter2-tenant-9", "tenant ***"),
        ("two\nlines \u{1b}[31m", "two lines \\u001b[31m"),
    ] {
        message.clone_into(&mut said.lock().unwrap());
        let pairs = [("uri", &*uri), ("token", "hunter2"), ("header.X-Tenant", "hunter2-tenant-9")];
        let error = open(&pairs).await.unwrap_err();
        says(&error, ErrorKind::PermissionDenied, &[expected]);
        assert!(!error.to_string().contains('\u{1b}') && !error.to_string().contains('\n'), "{error:?}");
    }
    *said.lock().unwrap() = "x".repeat(100_000);
    let error = open(&[("uri", &uri), ("token", "hunter2")]).await.unwrap_err();
    assert!(error.to_string().len() < 1000);
}

#[tokio::test]
async fn a_server_that_gives_another_name_than_asked_for_is_found_out() {
    let server = fake(plain(), |r| {
        (r.method == "POST").then(|| Reply::json(200, &json!({"namespace": ["pl us"]})).into())
    })
    .await;
    let catalog = open(&[("uri", &server.uri())]).await.unwrap();
    let error = catalog.create_namespace(&space("pl+us"), HashMap::new()).await.unwrap_err();
    says(&error, ErrorKind::Unsupported, &["pl us", "pl+us"]);
    catalog.create_namespace(&space("pl us"), HashMap::new()).await.unwrap();
}
