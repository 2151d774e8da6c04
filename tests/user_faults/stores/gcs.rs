//! Google Cloud Storage: fake-gcs-server, behind the adapter for the XML interface.

use std::sync::{Arc, Mutex};

use floe::{ErrorKind, Properties};
use floe_testkit::gcs_xml::GcsXml;
use floe_testkit::services;

use super::{of, refused, secret_place, tls};
use crate::Fault;
use crate::refusals;
use crate::servers::{NO_HOST, closed};
use crate::trial::{Act, Cell};

const TOKEN: &str = "token-hunter2";
/// The key file of a service account, whose key is none.
const KEY_FILE: &str = r#"{"private_key":"hunter2","private_key_id":"x","client_email":"ann@example.com"}"#;

fn properties(host: &str, bucket: &str) -> Properties {
    Properties::default()
        .with("warehouse", format!("gs://{bucket}/{}", uuid::Uuid::new_v4()))
        .with("gcs.service.host", host)
        .with("gcs.oauth2.token", TOKEN)
}

pub(crate) async fn cell(fault: Fault) -> Option<Cell> {
    let [endpoint, bucket] = services::find(["FLOE_TEST_GCS_ENDPOINT", "FLOE_TEST_GCS_BUCKET"])?;
    let adapter = GcsXml::start_with(&endpoint, Arc::new(Mutex::new(Some(TOKEN.into())))).await.unwrap();
    let host = adapter.endpoint();
    let own = properties(&host, &bucket);
    let check = |properties: Properties, kind| of(properties, Act::Check, kind);
    let at = |address: &str, kind| check(properties(address, &bucket), kind).names(&[address, "endpoint"]);
    let unauthenticated = ErrorKind::Unauthenticated;
    let trial = match fault {
        Fault::UnknownHost => at(&format!("http://{NO_HOST}"), ErrorKind::Unavailable).names(&["host"]),
        Fault::NobodyListens => {
            at(&format!("http://{}", closed()), ErrorKind::Unavailable).names(&["refused"])
        }
        Fault::WrongKeyId => {
            let own = Properties::default()
                .with("warehouse", format!("gs://{bucket}/lake"))
                .with("gcs.service.host", &host)
                .with("gcs.credentials-json", KEY_FILE);
            check(own, unauthenticated).names(&["gcs.credentials-json", "service account"])
        }
        Fault::WrongSecret => check(own.with("gcs.oauth2.token", "another-hunter2"), unauthenticated)
            .names(&["token", "get a new one"]),
        Fault::ExpiredToken => {
            check(own.with("gcs.oauth2.token-expires-at", "1577836800000"), unauthenticated)
                .names(&["gcs.oauth2.token has expired"])
        }
        Fault::MissingPlace => check(properties(&host, "no-such-bucket-here"), ErrorKind::Validation)
            .names(&["no-such-bucket-here", "create the bucket"]),
        Fault::DeniedPart => {
            let proxy = refused(&host, "secret", refusals::GCS_DENIED).await;
            let own = properties(&proxy.uri(), &bucket);
            let place = secret_place(&own);
            of(own, Act::CreateAt(place), ErrorKind::PermissionDenied)
                .names(&["/secret/", "grant"])
                .keep(proxy)
        }
        Fault::ClockSkew => {
            let proxy = refused(&host, "", refusals::GCS_CLOCK).await;
            check(properties(&proxy.uri(), &bucket), unauthenticated).names(&["clock", "ahead"]).keep(proxy)
        }
        Fault::UnknownAuthority | Fault::PlainToTls | Fault::TlsToPlain => tls(fault, &host, at).await,
    };
    Some(Cell::Tried(vec![trial.hides(TOKEN).keep(adapter)]))
}
