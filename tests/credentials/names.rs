//! Names of buckets, containers and accounts that would make another host of a location.

use floe::iceberg::TableIdent;
use floe::{ErrorKind, Properties};
use floe_testkit::http::{HostileCatalog, HostileTable, Trap};
use serde_json::json;

use crate::attacked::{append, append_to, refused, scan_of, user, with_keys};

/// Authorities that lead, or could lead, to the port; none is a bucket, or a container of an account.
fn authorities(port: u16) -> Vec<String> {
    let hosts = ["127.0.0.1", "2130706433", "localhost", "0x7f000001", "[::1]"];
    let mut all = Vec::new();
    for host in hosts {
        for end in ["#", "?", "\\", "%23", "#x", "?x=", "%2f", ":", "\t"] {
            all.push(format!("{host}:{port}{end}"));
        }
        all.push(format!("{host}:{port}"));
        for before in ["user@", "user:pass@", "bucket@", "b:c@", "%40"] {
            all.push(format!("{before}{host}:{port}"));
        }
    }
    for odd in [
        "%",
        "a%",
        "%zz",
        "bücket",
        "b。cket",
        "buc\u{202e}ket",
        "b cket",
        "b\u{7}cket",
        "..",
        ".",
        "b..c",
        "-b-",
    ] {
        all.push(odd.to_owned());
    }
    all
}

/// Locations of every scheme with such authorities.
fn locations(port: u16) -> Vec<String> {
    let mut all = Vec::new();
    for authority in authorities(port) {
        for scheme in ["s3", "s3a", "s3n", "gs", "gcs"] {
            all.push(format!("{scheme}://{authority}/t"));
        }
        for scheme in ["abfss", "abfs", "wasbs", "wasb"] {
            all.push(format!("{scheme}://box@{authority}/t"));
            all.push(format!("{scheme}://box@acc.dfs.{authority}/t"));
            all.push(format!("{scheme}://box@acc.blob.core.windows.net.{authority}/t"));
            all.push(format!("{scheme}://{authority}@acc.dfs.core.windows.net/t"));
        }
    }
    all.push("abfss://box@acc.dfs.evil.example/t".to_owned());
    all
}

fn with_all_keys(properties: Properties) -> Properties {
    with_keys(properties)
        .with("gcs.oauth2.token", "hunter2")
        .with("gcs.connect-timeout", "1")
        .with("adls.token", "hunter2")
        .with("adls.connect-timeout", "1")
}

/// Tables `ns.t0`, `ns.t1`, … of one server.
async fn catalog(tables: &[HostileTable]) -> HostileCatalog {
    let tables = tables.iter().enumerate().map(|(number, table)| (format!("t{number}"), table));
    HostileCatalog::of(tables.collect(), json!({}), json!({})).await
}

fn ident(number: usize) -> TableIdent {
    TableIdent::from_strs(["ns", &format!("t{number}")]).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_servers_location_opens_no_connection_and_makes_no_panic() {
    let trap = Trap::start().await;
    let all = locations(trap.port());
    assert!(all.len() > 1000, "{}", all.len());
    let tables: Vec<_> = all.iter().map(|location| HostileTable::new(location, &[])).collect();
    let catalog = catalog(&tables).await;
    let manager = floe::connect("lake", &with_all_keys(user(&catalog))).await.unwrap();
    for (number, location) in all.iter().enumerate() {
        let error = refused(append_to(&manager, &ident(number)).await, location);
        assert_eq!(error.kind(), ErrorKind::Validation, "{location}: {error}");
    }
    assert_eq!(trap.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_list_elsewhere_opens_no_connection() {
    let trap = Trap::start().await;
    let all: Vec<_> = locations(trap.port()).into_iter().step_by(7).collect();
    let mut tables = Vec::new();
    for location in &all {
        let table = HostileTable::new("s3://bucket/t", &[]);
        tables.push(table.with_files(&format!("{location}/list.avro"), "s3://bucket/t/m.avro", &[]).await);
    }
    let catalog = catalog(&tables).await;
    let manager = floe::connect("lake", &with_all_keys(user(&catalog))).await.unwrap();
    for (number, location) in all.iter().enumerate() {
        let error = refused(scan_of(&manager, &ident(number)).await, location);
        assert_eq!(error.kind(), ErrorKind::Validation, "{location}: {error}");
    }
    assert_eq!(trap.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warehouse_that_is_no_bucket_is_refused_when_it_is_configured() {
    let (trap, folder) = (Trap::start().await, tempfile::tempdir().unwrap());
    let uri = format!("sqlite:///{}", folder.path().join("catalog.db").display());
    for location in locations(trap.port()) {
        let properties = Properties::default().with("type", "local").with("uri", &*uri);
        let connected = floe::connect("lake", &with_all_keys(properties.with("warehouse", &*location))).await;
        let error = refused(connected.map(drop), &location);
        assert_eq!(error.kind(), ErrorKind::Validation, "{location}: {error}");
    }
    assert_eq!(trap.connections(), 0);
}

#[tokio::test]
async fn another_domain_of_azure_is_named_with_the_setting_for_it() {
    let table = HostileTable::new("abfss://box@acc.dfs.evil.example/t", &[]);
    let catalog = HostileCatalog::start(&table, json!({}), json!({})).await;
    for (key, value) in [
        ("adls.token", "hunter2"),
        ("adls.sas-token.acc", "sig=hunter2"),
        ("adls.connection-string.acc", "AccountName=acc;AccountKey=aHVudGVyMg=="),
    ] {
        let manager = floe::connect("lake", &user(&catalog).with(key, value)).await.unwrap();
        let error = refused(append(&manager).await, key);
        assert_eq!(error.kind(), ErrorKind::Validation, "{key}: {error}");
        assert!(error.hint().unwrap().contains("adls.trusted-domains"), "{key}: {error}");
    }
}
