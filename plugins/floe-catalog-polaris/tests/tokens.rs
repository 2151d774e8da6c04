//! Tokens: had, renewed, exchanged, refused.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use floe_core::{CatalogClient, Error, ErrorKind};
use floe_testkit::SeededEnvironment;
use floe_testkit::http::{FaultProxy, HttpFault, HttpServer, Reply, Rule, TokenRules};
use serde_json::json;
use support::fake::{fake, plain};
use support::{open, open_at};

/// A server without namespaces, behind a proxy that asks for tokens.
async fn guarded(rules: TokenRules) -> (HttpServer, FaultProxy) {
    let server = fake(plain(), |r| {
        (r.path() == "/v1/namespaces").then(|| Reply::json(200, &json!({"namespaces": []})).into())
    })
    .await;
    let proxy = FaultProxy::with_tokens(&server.uri(), rules).await;
    (server, proxy)
}

fn rules() -> TokenRules {
    TokenRules::new("floe", "hunter2")
}

fn form_of_last(proxy: &FaultProxy) -> String {
    let requests = proxy.requests();
    let last = requests.iter().rev().find(|r| r.path() == "/v1/oauth/tokens").unwrap();
    String::from_utf8(last.body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_by_all_callers_at_once() {
    let (_server, proxy) = guarded(rules()).await;
    let env = Arc::new(SeededEnvironment::new(1));
    let uri = proxy.uri();
    let pairs = [("uri", &*uri), ("credential", "floe:hunter2"), ("scope", "a b"), ("audience", "lake")];
    let catalog = open_at(&pairs, env.clone()).await.unwrap();
    assert_eq!(
        form_of_last(&proxy),
        "grant_type=client_credentials&client_secret=hunter2&client_id=floe&scope=a+b&audience=lake"
    );
    env.advance(Duration::from_secs(3000));
    catalog.list_namespaces(None).await.unwrap();
    assert_eq!(proxy.issued_tokens(), 1, "it still holds for ten minutes");
    env.advance(Duration::from_secs(400));
    let calls = (0..8).map(|_| catalog.list_namespaces(None));
    for result in futures::future::join_all(calls).await {
        result.unwrap();
    }
    assert_eq!(proxy.issued_tokens(), 2);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let (_server, proxy) = guarded(rules()).await;
    let catalog = open(&[("uri", &proxy.uri()), ("credential", "floe:hunter2")]).await.unwrap();
    proxy.revoke_tokens();
    catalog.list_namespaces(None).await.unwrap();
    assert_eq!(proxy.issued_tokens(), 2);
    proxy.inject(Rule::next(HttpFault::Status(401)).path("/v1/namespaces").times(10));
    assert_eq!(catalog.list_namespaces(None).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    assert_eq!(proxy.issued_tokens(), 3, "not for ever");
}

#[tokio::test]
async fn a_given_token_is_exchanged_before_it_ends() {
    let given = TokenRules { good: vec!["given".into()], ..rules() };
    let (_server, proxy) = guarded(given).await;
    let env = Arc::new(SeededEnvironment::new(1));
    let uri = proxy.uri();
    let pairs = [
        ("uri", &*uri),
        ("token", "given"),
        ("token-expires-in-ms", "60000"),
        ("token-exchange-enabled", "true"),
    ];
    let catalog = open_at(&pairs, env.clone()).await.unwrap();
    assert_eq!(proxy.issued_tokens(), 0);
    env.advance(Duration::from_secs(58));
    catalog.list_namespaces(None).await.unwrap();
    assert_eq!(proxy.issued_tokens(), 1);
    let form = form_of_last(&proxy);
    assert!(form.contains("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange"), "{form}");
    assert!(form.contains("subject_token=given"), "{form}");
}

#[tokio::test]
async fn a_token_of_another_type_is_exchanged_at_once() {
    let given = TokenRules { good: vec!["from-elsewhere".into()], ..rules() };
    let (_server, proxy) = guarded(given).await;
    let kind = "urn:ietf:params:oauth:token-type:jwt";
    open(&[("uri", &proxy.uri()), (kind, "from-elsewhere")]).await.unwrap();
    let form = form_of_last(&proxy);
    assert!(form.contains("subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt"), "{form}");
}

#[tokio::test]
async fn a_busy_token_endpoint_is_asked_again() {
    let (_server, proxy) = guarded(rules()).await;
    proxy.inject(Rule::next(HttpFault::Status(503)).path("/oauth/tokens"));
    proxy.inject(Rule::next(HttpFault::LostReply).path("/oauth/tokens"));
    open(&[("uri", &proxy.uri()), ("credential", "floe:hunter2")]).await.unwrap();
}

/// An error with this kind, these words, and no secret.
fn says(error: &Error, kind: ErrorKind, words: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "'{word}' is missing: {error}");
    }
    assert!(!format!("{error} {error:?}").contains("hunter2"), "a secret is shown: {error:?}");
}

#[tokio::test]
async fn each_way_to_be_refused_says_what_to_check() {
    let denied = ErrorKind::Unauthenticated;
    let (_server, proxy) = guarded(TokenRules { scope: Some("catalog".into()), ..rules() }).await;
    let uri = proxy.uri();
    let failed = async |pairs: &[(&str, &str)]| {
        let mut all = vec![("uri", uri.as_str())];
        all.extend(pairs);
        open(&all).await.unwrap_err()
    };
    says(&failed(&[("credential", "other:hunter2")]).await, denied, &["id and secret", "`credential`"]);
    let scope = failed(&[("credential", "floe:hunter2"), ("scope", "everything")]).await;
    says(&scope, denied, &["everything", "`scope`"]);
    says(&failed(&[]).await, denied, &["set `credential` or `token`"]);
    says(&failed(&[("token", "hunter2")]).await, denied, &["the token was refused"]);
    let nowhere = failed(&[("credential", "floe:hunter2"), ("oauth2-server-uri", "/elsewhere")]).await;
    assert_eq!(nowhere.kind(), denied, "{nowhere}");

    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(br#"{"exp":1700000000}"#);
    let ended = failed(&[("token", &format!("h.{claims}.hunter2"))]).await;
    says(&ended, denied, &["has ended"]);
}

#[tokio::test]
async fn a_message_that_repeats_the_token_is_passed_on_without_it() {
    let server = fake(plain(), |r| {
        let token = r.header("authorization").unwrap_or_default();
        Some(Reply::iceberg_error(403, "ForbiddenException", &format!("no rights for {token}")).into())
    })
    .await;
    let error = open(&[("uri", &server.uri()), ("token", "hunter2")]).await.unwrap_err();
    says(&error, ErrorKind::PermissionDenied, &["no rights for Bearer ***"]);
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_named() {
    let server = fake(plain(), |_| {
        let refused = Reply::iceberg_error(401, "NotAuthorizedException", "token not valid yet");
        Some(refused.with_header("date", "Thu, 01 Jan 2026 00:00:00 GMT").into())
    })
    .await;
    let env = Arc::new(SeededEnvironment::new(1));
    let uri = server.uri();
    let error = open_at(&[("uri", &uri), ("token", "hunter2")], env).await.unwrap_err();
    says(&error, ErrorKind::Unauthenticated, &["clock of this machine", "behind"]);
}
