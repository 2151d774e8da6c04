//! Wrong addresses, wrong names, wrong certificates: each says what to check.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::sync::Arc;

use floe_core::{CatalogClient, Error, ErrorKind};
use floe_testkit::http::{Answer, HttpServer, Reply};
use support::fake::{fake, plain};
use support::open;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

fn says(error: &Error, kind: ErrorKind, words: &[&str]) {
    assert_eq!(error.kind(), kind, "{error:?}");
    for word in words {
        assert!(error.to_string().contains(word), "'{word}' is missing: {error}");
    }
    assert!(!format!("{error} {error:?}").contains("hunter2"), "a secret is shown: {error:?}");
}

#[tokio::test]
async fn an_address_where_nothing_is_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = open(&[("uri", &uri), ("token", "hunter2")]).await.unwrap_err();
    says(&error, ErrorKind::Unavailable, &["nothing listens there", "check host and port"]);
    let error = open(&[("uri", &uri), ("credential", "id:hunter2")]).await.unwrap_err();
    says(&error, ErrorKind::Unavailable, &["nothing listens there"]);
}

#[tokio::test]
async fn a_host_that_does_not_exist_says_so() {
    let pairs =
        [("uri", "http://no-such-host.invalid:8181"), ("token", "hunter2"), ("rest.allow-http", "true")];
    let error = open(&pairs).await.unwrap_err();
    says(&error, ErrorKind::Unavailable, &["no-such-host.invalid", "cannot be resolved"]);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let server = HttpServer::start(|_| async {
        std::future::pending::<()>().await;
        Answer::Close
    })
    .await;
    let error = open(&[("uri", &server.uri()), ("rest.client.socket-timeout-ms", "300")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
}

#[tokio::test]
async fn a_web_site_is_no_catalog() {
    let not_found = HttpServer::start(|_| async { Answer::from(Reply::status(404)) }).await;
    let error = open(&[("uri", &not_found.uri())]).await.unwrap_err();
    says(&error, ErrorKind::Validation, &["no Iceberg REST catalog", "`uri`"]);

    let page = HttpServer::start(|_| async {
        Answer::from(Reply { body: "<html>hunter2</html>".into(), ..Reply::status(200) })
    })
    .await;
    let error = open(&[("uri", &page.uri())]).await.unwrap_err();
    says(&error, ErrorKind::Corrupted, &["`uri`"]);

    let moved = HttpServer::start(|_| async {
        Answer::from(Reply::status(301).with_header("location", "http://elsewhere/"))
    })
    .await;
    assert_eq!(open(&[("uri", &moved.uri())]).await.unwrap_err().kind(), ErrorKind::Validation);
}

#[tokio::test]
async fn a_warehouse_that_the_server_does_not_know_is_named() {
    let server = fake(plain(), |r| {
        let known = r.query("warehouse") == Some("lake");
        (!known)
            .then(|| Reply::iceberg_error(404, "NotFoundException", "Unable to find warehouse pond").into())
    })
    .await;
    let error = open(&[("uri", &server.uri()), ("warehouse", "pond")]).await.unwrap_err();
    says(&error, ErrorKind::Validation, &["pond", "check `warehouse`"]);
    open(&[("uri", &server.uri()), ("warehouse", "lake")]).await.unwrap();
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused_until_it_is_trusted() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let tls =
        ServerConfig::builder_with_provider(Arc::new(tokio_rustls::rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
    let (acceptor, listener) =
        (TlsAcceptor::from(Arc::new(tls)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let body = r#"{"defaults":{},"overrides":{}}"#;
            let reply = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(reply.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    let uri = format!("https://localhost:{port}");
    let error = open(&[("uri", &uri), ("token", "hunter2")]).await.unwrap_err();
    says(&error, ErrorKind::Io, &["certificate", "`ssl.cabundle`"]);

    let mut authority = tempfile::NamedTempFile::new().unwrap();
    authority.write_all(made.cert.pem().as_bytes()).unwrap();
    open(&[("uri", &uri), ("ssl.cabundle", authority.path().to_str().unwrap())]).await.unwrap();

    let plain = open(&[("uri", &format!("https://127.0.0.1:{}", plain_http().await))]).await.unwrap_err();
    says(&plain, ErrorKind::Io, &["TLS", "http://"]);
    serving.abort();
}

/// The port of a server that speaks no TLS.
async fn plain_http() -> u16 {
    let server = Box::leak(Box::new(fake(plain(), |_| None).await));
    server.uri().rsplit(':').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_file_that_holds_no_certificate_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let error = open(&[("uri", "https://localhost"), ("ssl.cabundle", path)]).await.unwrap_err();
    says(&error, ErrorKind::Validation, &["ssl.cabundle", path]);
    let error = open(&[("uri", "https://localhost"), ("ssl.cabundle", "/no/such.pem")]).await.unwrap_err();
    says(&error, ErrorKind::FileNotFound, &["ssl.cabundle", "/no/such.pem"]);
}

/// What a server sends is read as a metadata file is.
#[tokio::test]
async fn metadata_that_floe_does_not_know_is_read_past_or_named() {
    let told = |change: fn(&mut serde_json::Value)| async move {
        let server = fake(plain(), move |request| {
            let mut reply = support::fake::table("file:///t", serde_json::json!({}));
            change(&mut reply["metadata"]);
            request.path().ends_with("/tables/t").then(|| Reply::json(200, &reply).into())
        })
        .await;
        let catalog = open(&[("uri", &server.uri())]).await.unwrap();
        catalog.load_table(&iceberg::TableIdent::from_strs(["ns", "t"]).unwrap()).await
    };
    let known = told(|metadata| {
        metadata["x-odd"] = serde_json::json!([1.5]);
        metadata["partition-specs"][0]["fields"] = serde_json::json!([
            {"source-id": 1, "field-id": 1000, "name": "z", "transform": "zorder[3]"}
        ]);
    })
    .await
    .unwrap();
    let field = &known.metadata.default_partition_spec().fields()[0];
    assert_eq!(field.transform, iceberg::spec::Transform::Unknown);
    let newer = told(|metadata| metadata["format-version"] = 4.into()).await.unwrap_err();
    says(&newer, ErrorKind::Unsupported, &["format version 4"]);
    let broken = told(|metadata| metadata["location"] = serde_json::Value::Null).await.unwrap_err();
    says(&broken, ErrorKind::Corrupted, &["no location"]);
}
