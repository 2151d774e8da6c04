//! Servers without measure: replies, listings and waits that would have no end.
//!
//! Limits are those of the process, so that these tests are in a binary of their own.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::sync::Once;
use std::time::{Duration, Instant};

use floe_core::limits::{Limits, install};
use floe_core::{CatalogClient, CommitOutcome, Error, ErrorKind};
use floe_testkit::http::{Answer, HttpServer, Reply, Request};
use iceberg::{NamespaceIdent, TableIdent, TableUpdate};
use serde_json::json;
use support::fake::{Counter, fake, plain, table};
use support::open;

const PATIENCE: Duration = Duration::from_secs(10);

fn small_limits() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        install(Limits {
            reply_bytes: 1 << 20,
            reply_seconds: 2,
            listing_pages: 30,
            listing_names: 1000,
            ..Limits::default()
        });
    });
}

fn ident() -> TableIdent {
    TableIdent::new(NamespaceIdent::new("ns".into()), "t".into())
}

fn flood(status: u16) -> Answer {
    Answer::Endless { status, piece: vec![b' '; 64 << 10].into(), pause: Duration::ZERO }
}

fn trickle(status: u16) -> Answer {
    Answer::Endless { status, piece: b" ".to_vec().into(), pause: Duration::from_millis(100) }
}

/// A server that gives `answer` to every call but the first.
async fn server(answer: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) -> HttpServer {
    small_limits();
    fake(plain(), move |request| if request.path() == "/v1/config" { None } else { answer(request) }).await
}

async fn timed<T>(work: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let done = work.await;
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    done
}

fn names(error: &Error, kind: ErrorKind, setting: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.message().contains(setting), "{error}");
}

#[tokio::test]
async fn a_reply_without_end_is_refused_at_its_limit() {
    let server = server(|_| Some(flood(200))).await;
    let catalog = open(&[("uri", &server.uri())]).await.unwrap();
    let error = timed(catalog.load_table(&ident())).await.unwrap_err();
    names(&error, ErrorKind::Corrupted, "`limits.reply-bytes`");
    let error = timed(catalog.list_namespaces(None)).await.unwrap_err();
    names(&error, ErrorKind::Corrupted, "`limits.reply-bytes`");
    // What says beforehand that it is too large is not read at all.
    let large =
        self::server(|_| Some(Reply { body: vec![b' '; 2 << 20].into(), ..Reply::status(200) }.into())).await;
    let catalog = open(&[("uri", &large.uri())]).await.unwrap();
    names(
        &timed(catalog.load_table(&ident())).await.unwrap_err(),
        ErrorKind::Corrupted,
        "`limits.reply-bytes`",
    );
}

#[tokio::test]
async fn a_reply_below_the_limit_is_read_whole() {
    let server = server(|request| {
        let metadata = table("file:///t", json!({"config": {"note": "x".repeat(900 << 10)}}));
        request.path().ends_with("/tables/t").then(|| Reply::json(200, &metadata).into())
    })
    .await;
    let catalog = open(&[("uri", &server.uri())]).await.unwrap();
    assert!(timed(catalog.load_table(&ident())).await.is_ok());
}

#[tokio::test]
async fn a_refusal_is_a_refusal_however_much_is_said_to_it() {
    let server = server(|_| Some(flood(404))).await;
    let catalog = open(&[("uri", &server.uri())]).await.unwrap();
    let error = timed(catalog.load_table(&ident())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchTable, "{error}");
}

#[tokio::test]
async fn a_reply_that_trickles_ends_in_time_and_a_commit_is_in_doubt_then() {
    let server = server(|request| match request.method.as_str() {
        "POST" => Some(trickle(200)),
        _ if request.path().ends_with("/tables/t") => Some(trickle(200)),
        _ => None,
    })
    .await;
    let catalog = open(&[("uri", &server.uri())]).await.unwrap();
    let error = timed(catalog.load_table(&ident())).await.unwrap_err();
    names(&error, ErrorKind::Timeout, "`limits.reply-seconds`");
    let updates = [TableUpdate::SetProperties { updates: HashMap::from([("a".into(), "b".into())]) }];
    let outcome = timed(catalog.commit(&ident(), &[], &updates)).await.unwrap();
    assert!(matches!(outcome, CommitOutcome::Unknown(_)), "{outcome:?}");
}

#[tokio::test]
async fn the_configuration_and_the_token_of_such_servers_end_too() {
    small_limits();
    for answer in [flood(200), trickle(200)] {
        let server = fake(plain(), move |_| Some(answer.clone())).await;
        let uri = server.uri();
        let pairs = [("uri", uri.as_str()), ("rest.client.socket-timeout-ms", "2000")];
        assert!(timed(open(&pairs)).await.is_err());
        let mut pairs = pairs.to_vec();
        pairs.push(("credential", "id:secret"));
        assert!(tokio::time::timeout(Duration::from_secs(30), open(&pairs)).await.unwrap().is_err());
    }
}

#[tokio::test]
async fn listings_end_at_their_limits() {
    let counter = Counter::default();
    let server = server(move |request| {
        let page = counter.next("page");
        // Always another token; other names, or many of them.
        let names: Vec<_> = match request.path().ends_with("/tables") {
            true => (0..200).map(|n| json!({"namespace": ["ns"], "name": format!("t{page}-{n}")})).collect(),
            false => Vec::new(),
        };
        let namespaces = [[format!("n{page}")]];
        let body =
            json!({"namespaces": namespaces, "identifiers": names, "next-page-token": page.to_string()});
        Some(Reply::json(200, &body).into())
    })
    .await;
    let catalog = open(&[("uri", &server.uri())]).await.unwrap();
    let error = timed(catalog.list_namespaces(None)).await.unwrap_err();
    names(&error, ErrorKind::Corrupted, "`limits.listing-pages`");
    let error = timed(catalog.list_tables(ident().namespace())).await.unwrap_err();
    names(&error, ErrorKind::Corrupted, "`limits.listing-names`");
}
