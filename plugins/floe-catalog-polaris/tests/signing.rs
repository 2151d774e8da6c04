//! Signatures for AWS, checked by an implementation of the test's own (AWS documentation, "Create a signed AWS API
//! request").

#![cfg(feature = "sigv4")]
#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Write;

use floe_core::ErrorKind;
use floe_testkit::http::Request;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use support::fake::{fake, plain};
use support::open;

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The `Authorization` header that a request must have, from its other headers.
fn expected(request: &Request, id: &str, secret: &str, region: &str, service: &str) -> String {
    let given = request.header("authorization").unwrap();
    let signed = given.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap();
    let mut headers = String::new();
    for name in signed.split(';') {
        writeln!(headers, "{name}:{}", request.header(name).unwrap().trim()).unwrap();
    }
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let canonical = format!(
        "{}\n{path}\n{query}\n{headers}\n{signed}\n{}",
        request.method,
        hex(&Sha256::digest(&request.body))
    );
    let time = request.header("x-amz-date").unwrap();
    let day = &time[..8];
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let key = ["aws4_request", service, region, day]
        .iter()
        .rfold(format!("AWS4{secret}").into_bytes(), |key, part| mac(&key, part));
    let signature = hex(&mac(&key, &text));
    format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={signed}, Signature={signature}")
}

#[tokio::test]
async fn every_request_carries_a_signature_that_holds() {
    let server = fake(plain(), |_| None).await;
    open(&[
        ("uri", &server.uri()),
        ("warehouse", "lake"),
        ("rest.sigv4-enabled", "true"),
        ("rest.signing-region", "eu-north-1"),
        ("rest.signing-name", "glue"),
        ("rest.access-key-id", "AKIDEXAMPLE"),
        ("rest.secret-access-key", "hunter2"),
        ("rest.session-token", "session"),
    ])
    .await
    .unwrap();
    let requests = server.requests();
    let request = &requests[0];
    assert_eq!(request.header("x-amz-security-token"), Some("session"));
    assert_eq!(request.header("x-amz-content-sha256"), Some(&*hex(&Sha256::digest(b""))));
    let expected = expected(request, "AKIDEXAMPLE", "hunter2", "eu-north-1", "glue");
    assert_eq!(request.header("authorization"), Some(&*expected));
}

#[tokio::test]
async fn what_is_missing_for_a_signature_is_named() {
    let error = open(&[
        ("uri", "http://127.0.0.1:1"),
        ("rest.sigv4-enabled", "true"),
        ("rest.signing-region", "eu-north-1"),
        ("rest.access-key-id", "AKIDEXAMPLE"),
    ])
    .await;
    if std::env::var_os("AWS_SECRET_ACCESS_KEY").is_none() {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
        assert!(error.to_string().contains("rest.secret-access-key"), "{error}");
    }
}
