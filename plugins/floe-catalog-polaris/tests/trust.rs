//! A server that wants the user's credentials elsewhere: by its configuration, by redirects, by plain http.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use floe_core::{CatalogClient, ErrorKind};
use floe_testkit::SeededEnvironment;
use floe_testkit::http::{HttpServer, Reply};
use iceberg::{NamespaceIdent, TableIdent};
use serde_json::json;
use support::fake::{fake, plain};
use support::{creation, open, open_at};

/// Another server, which gives whoever asks what they ask for.
async fn elsewhere() -> HttpServer {
    fake(plain(), |r| {
        let token = json!({"access_token": "stolen", "token_type": "bearer", "expires_in": 60});
        match r.path() {
            path if path.ends_with("/token") => Some(Reply::json(200, &token).into()),
            path if path.ends_with("/namespaces") => {
                Some(Reply::json(200, &json!({"namespaces": []})).into())
            }
            _ => None,
        }
    })
    .await
}

#[tokio::test]
async fn a_server_moves_neither_the_address_nor_the_token_endpoint_unless_the_user_allows_it() {
    for part in ["defaults", "overrides"] {
        for key in ["uri", "oauth2-server-uri"] {
            if (part, key) == ("defaults", "uri") {
                continue;
            }
            let other = elsewhere().await;
            let moved = format!("{}/token", other.uri());
            let config = json!({part: {key: moved}});
            let server = fake(config, |r| {
                let token = json!({"access_token": "t", "token_type": "bearer", "expires_in": 1});
                (r.path() == "/v1/oauth/tokens").then(|| Reply::json(200, &token).into())
            })
            .await;
            let uri = server.uri();
            let pairs = [("uri", &*uri), ("credential", "id:hunter2")];
            let error = open(&pairs).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
            assert!(error.to_string().contains("rest.server-may-set"), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
            assert!(other.requests().is_empty(), "{part} {key}: {:?}", other.requests());

            let allowed = [pairs[0], pairs[1], ("rest.server-may-set", key)];
            let _ = open(&allowed).await.unwrap().list_namespaces(None).await;
            assert!(!other.requests().is_empty(), "the user allowed it");
        }
    }
}

#[tokio::test]
async fn a_server_sets_no_header_that_proves_who_asks() {
    let config = json!({"overrides": {"header.authorization": "Basic c3RvbGVu"}});
    let server = fake(config, |_| None).await;
    let error = open(&[("uri", &server.uri()), ("token", "hunter2")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn the_users_header_wins_over_a_default_in_another_case_of_letters() {
    let config = json!({"defaults": {"header.x-team": "south", "header.X-Trace": "1"}});
    let server = fake(config, |r| {
        r.path().ends_with("/namespaces").then(|| Reply::json(200, &json!({"namespaces": []})).into())
    })
    .await;
    let catalog = open(&[("uri", &server.uri()), ("header.X-Team", "north")]).await.unwrap();
    catalog.list_namespaces(None).await.unwrap();
    let last = server.requests().pop().unwrap();
    assert_eq!((last.header("x-team"), last.header("x-trace")), (Some("north"), Some("1")));
}

#[tokio::test]
async fn no_redirect_is_followed_by_whatever_call() {
    for status in [301, 302, 303, 307, 308] {
        let other = elsewhere().await;
        let to = format!("{}/v1/namespaces", other.uri());
        let redirect = move || Reply::status(status).with_header("location", &to);

        let moved = redirect.clone();
        let server = fake(plain(), move |_| Some(moved().into())).await;
        open(&[("uri", &server.uri()), ("token", "hunter2")]).await.unwrap_err();

        let moved = redirect.clone();
        let server = fake(plain(), move |r| (r.path() == "/v1/oauth/tokens").then(|| moved().into())).await;
        open(&[("uri", &server.uri()), ("credential", "id:hunter2")]).await.unwrap_err();

        let server = fake(plain(), move |r| (r.path() != "/v1/config").then(|| redirect().into())).await;
        let catalog = open(&[("uri", &server.uri()), ("token", "hunter2")]).await.unwrap();
        let space = NamespaceIdent::new("ns".into());
        let table = TableIdent::new(space.clone(), "t".into());
        catalog.list_namespaces(None).await.unwrap_err();
        catalog.load_table(&table).await.unwrap_err();
        catalog.drop_table(&table).await.unwrap_err();
        catalog.create_table(&space, creation("t")).await.unwrap_err();
        catalog.create_namespace(&space, Default::default()).await.unwrap_err();
        assert!(other.requests().is_empty(), "{status}: {:?}", other.requests());
    }
}

#[tokio::test]
async fn credentials_do_not_go_in_clear_to_another_machine() {
    for pair in
        [("token", "hunter2"), ("credential", "id:hunter2"), ("header.Authorization", "Basic hunter2")]
    {
        // Nobody is at this address of the block for documentation (RFC 5737): a connection would run out of time.
        let error = open(&[("uri", "http://192.0.2.1:8181"), pair]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation, "{error}");
        assert!(error.to_string().contains("rest.allow-http"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

/// What a server says of time is any number.
#[tokio::test]
async fn no_number_of_a_server_is_too_big_to_wait_for() {
    for expires_in in [i64::MIN, -1, 0, i64::MAX / 1000, i64::MAX] {
        let server = fake(plain(), move |r| {
            let token = json!({"access_token": "t", "token_type": "bearer", "expires_in": expires_in});
            match r.path() {
                "/v1/oauth/tokens" => Some(Reply::json(200, &token).into()),
                "/v1/namespaces" => Some(Reply::json(200, &json!({"namespaces": []})).into()),
                _ => None,
            }
        })
        .await;
        let catalog = open(&[
            ("uri", &server.uri()),
            ("credential", "id:hunter2"),
            ("token-expires-in-ms", "18446744073709551615"),
        ])
        .await
        .unwrap();
        catalog.list_namespaces(None).await.unwrap();
    }
    for after in ["4294967295", "18446744073709551615", "-1", "Fri, 31 Dec 9999 23:59:59 GMT", "1e9"] {
        let server = fake(plain(), move |r| {
            (r.path() == "/v1/namespaces")
                .then(|| Reply::status(429).with_header("retry-after", after).into())
        })
        .await;
        let env = Arc::new(SeededEnvironment::new(1));
        let catalog = open_at(&[("uri", &server.uri())], env).await.unwrap();
        for _ in 0..2 {
            let error = catalog.list_namespaces(None).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{after}: {error}");
        }
    }
}
