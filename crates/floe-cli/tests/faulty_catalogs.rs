//! What a user reads whose catalog or storage is not there, does not let them in, or lacks something: each fault has an
//! error of its own that says what to check, soon enough, and without a secret.
#![cfg(feature = "full")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;

use floe_testkit::services;
use serde_json::Value;
use support::Floe;

/// A port that nobody listens on: it was given to us, and given back.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server that speaks HTTP without TLS, and says no to everything.
fn plain_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer);
            let _ = stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        }
    });
    port
}

/// The first fault of a check: its step and the error.
fn fault(floe: &Floe, name: &str) -> (String, Value) {
    // A step that takes longer fails as a timeout, which no case here expects.
    let run = floe.run(&["catalog", "check", name, "--timeout", "10", "--json"]);
    let shown = format!("{}{}", run.text(), run.stderr);
    assert!(!shown.contains("hunter2"), "{name}: a secret is shown: {shown}");
    assert_ne!(run.code, 0, "{name}: {shown}");
    let report: Value =
        serde_json::from_slice(&run.stdout).unwrap_or_else(|e| panic!("{name}: {e}: {shown}"));
    let steps = report["steps"].as_array().unwrap();
    let step = steps.iter().find(|s| s["status"] == "failed").unwrap_or_else(|| panic!("{name}: {shown}"));
    (step["step"].as_str().unwrap().to_owned(), step.clone())
}

/// Checks each catalog: the kinds that its fault may have, and what its error must name.
fn check(toml: &str, cases: &[(&str, &[&str], &str)]) {
    let floe = Floe::new();
    floe.file("floe.toml", toml);
    let mut messages = BTreeMap::new();
    for (name, kinds, word) in cases {
        let (step, fault) = fault(&floe, name);
        let text =
            format!("{} {}", fault["message"].as_str().unwrap(), fault["hint"].as_str().unwrap_or_default());
        println!("{name}: {step}: {}: {text}", fault["kind"].as_str().unwrap());
        assert!(kinds.contains(&fault["kind"].as_str().unwrap()), "{name}: {fault}");
        assert!(text.contains(word), "{name}: the error must name {word}: {fault}");
        assert!(fault["hint"].is_string(), "{name}: the error must say what to check: {fault}");
        if let Some(other) = messages.insert(text, name) {
            panic!("{name} and {other} have the same error");
        }
    }
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let (closed, plain) = (closed_port(), plain_server());
    let toml = format!(
        "
        [catalogs.rest]
        type = 'rest'
        uri = 'http://127.0.0.1:{closed}'
        credential = 'ann:hunter2'
        [catalogs.nowhere]
        type = 'rest'
        uri = 'http://no-such-host.invalid'
        [catalogs.tls]
        type = 'rest'
        uri = 'https://127.0.0.1:{plain}'
        [catalogs.glue]
        type = 'glue'
        storage = 'local'
        warehouse = 'glue'
        glue.endpoint = 'http://127.0.0.1:{closed}'
        glue.region = 'eu-central-1'
        glue.access-key-id = 'key'
        glue.secret-access-key = 'hunter2'
        [catalogs.postgres]
        type = 'local'
        warehouse = 'files'
        uri = 'postgresql://ann:hunter2@127.0.0.1:{closed}/lake'
        [catalogs.s3]
        type = 'local'
        uri = 'catalog.db'
        warehouse = 's3://bucket/lake'
        s3.endpoint = 'http://127.0.0.1:{closed}'
        s3.access-key-id = 'key'
        s3.secret-access-key = 'hunter2'
        [catalogs.gcs]
        type = 'local'
        uri = 'catalog.db'
        warehouse = 'gs://bucket/lake'
        gcs.service.host = 'http://127.0.0.1:{closed}'
        gcs.oauth2.token = 'hunter2'
        [catalogs.azure]
        type = 'local'
        uri = 'catalog.db'
        warehouse = 'abfss://container@account.dfs.core.windows.net/lake'
        adls.connection-string = 'AccountName=account;AccountKey=aHVudGVyMg==;BlobEndpoint=http://127.0.0.1:{closed}/account'
        "
    );
    let there = format!("127.0.0.1:{closed}");
    let there = there.as_str();
    check(
        &toml,
        &[
            ("rest", &["unavailable"], there),
            ("nowhere", &["unavailable"], "no-such-host.invalid"),
            ("tls", &["io"], "TLS"),
            ("glue", &["unavailable"], there),
            ("postgres", &["unavailable"], there),
            ("s3", &["unavailable"], there),
            ("gcs", &["unavailable"], there),
            ("azure", &["unavailable"], there),
        ],
    );
}

#[test]
fn a_server_that_refuses_is_told_from_one_that_lacks_something() {
    let Some([s3, bucket]) = services::find(["FLOE_TEST_S3_ENDPOINT", "FLOE_TEST_S3_BUCKET"]) else { return };
    let Some([key, secret]) =
        services::find(["FLOE_TEST_S3_ACCESS_KEY_ID", "FLOE_TEST_S3_SECRET_ACCESS_KEY"])
    else {
        return;
    };
    let Some([azure, account, azure_key]) =
        services::find(["FLOE_TEST_AZURE_ENDPOINT", "FLOE_TEST_AZURE_ACCOUNT", "FLOE_TEST_AZURE_KEY"])
    else {
        return;
    };
    let on_s3 =
        format!("type = 'local'\nuri = 'catalog.db'\ns3.endpoint = '{s3}'\ns3.region = 'us-east-1'\n");
    let on_azure = "type = 'local'\nuri = 'catalog.db'\n";
    let toml = format!(
        "
        [catalogs.s3-secret]
        {on_s3}
        warehouse = 's3://{bucket}/faulty'
        s3.access-key-id = '{key}'
        s3.secret-access-key = 'hunter2'
        [catalogs.s3-key]
        {on_s3}
        warehouse = 's3://{bucket}/faulty'
        s3.access-key-id = 'nobody'
        s3.secret-access-key = 'hunter2'
        [catalogs.s3-bucket]
        {on_s3}
        warehouse = 's3://no-such-bucket/faulty'
        s3.access-key-id = '{key}'
        s3.secret-access-key = '{secret}'
        [catalogs.azure-key]
        {on_azure}
        warehouse = 'abfss://warehouse@{account}.dfs.core.windows.net/faulty'
        adls.connection-string = 'AccountName={account};AccountKey=aHVudGVyMg==;BlobEndpoint={azure}'
        [catalogs.azure-container]
        {on_azure}
        warehouse = 'abfss://no-such-container@{account}.dfs.core.windows.net/faulty'
        adls.connection-string = 'AccountName={account};AccountKey={azure_key};BlobEndpoint={azure}'
        "
    );
    let refused: &[&str] = &["unauthenticated"];
    check(
        &toml,
        &[
            ("s3-secret", refused, "secret"),
            ("s3-key", refused, "access key"),
            ("s3-bucket", &["validation"], "no-such-bucket"),
            ("azure-key", refused, "key"),
            ("azure-container", &["validation"], "no-such-container"),
        ],
    );
}

#[test]
fn a_server_that_places_tables_is_checked_where_they_are() {
    let Some([rest, store]) = services::find(["FLOE_TEST_REST_MINIO_URI", "FLOE_TEST_MINIO_ENDPOINT"]) else {
        return;
    };
    let closed = closed_port();
    let floe = Floe::new();
    let catalog = |name: &str, endpoint: &str| {
        format!(
            "[catalogs.{name}]\ntype = 'rest'\nuri = '{rest}'\ns3.endpoint = '{endpoint}'\n\
             s3.region = 'us-east-1'\n"
        )
    };
    // The server gives the credentials with each table.
    floe.file("floe.toml", catalog("good", &store) + &catalog("gone", &format!("http://127.0.0.1:{closed}")));
    let namespace = format!("checked_{}", std::process::id());
    floe.file("rows.csv", "id\n1\n");
    let table = format!("{namespace}.rows");
    floe.run(&["--catalog", "good", "create", &table, "--from", "rows.csv"]).ok();
    floe.run(&["--catalog", "good", "append", &table, "rows.csv"]).ok();
    let report = floe.run(&["catalog", "check", "good", "--write", "--json"]).ok().json();
    let steps = report["steps"].as_array().unwrap();
    for name in ["list", "read", "storage", "write"] {
        let step = steps.iter().find(|step| step["step"] == name).unwrap();
        assert_eq!(step["status"], "ok", "{name}: {report}");
    }
    let storage = steps.iter().find(|step| step["step"] == "storage").unwrap();
    assert!(
        storage["message"].as_str().unwrap().contains("s3://"),
        "the place of a table is named: {storage}"
    );

    let (_, fault) = fault(&floe, "gone");
    assert_eq!(fault["kind"], "unavailable", "{fault}");
    assert!(fault["message"].as_str().unwrap().contains(&format!("127.0.0.1:{closed}")), "{fault}");
    floe.run(&["--catalog", "good", "drop", &table]).ok();
}
