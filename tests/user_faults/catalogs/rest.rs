//! A REST catalog: Iceberg's fixture, behind a proxy that wants tokens.

use floe::{ErrorKind, Properties};
use floe_testkit::http::{Canned, FaultProxy, TokenRules};
use floe_testkit::services;

use crate::Fault;
use crate::refusals::{self, below};
use crate::servers::{NO_HOST, Stranger, closed};
use crate::trial::{Act, Cell, Trial};

/// A token (RFC 7519) that ended in 2020: `{"sub":"hunter2","exp":1577836800}`.
const ENDED: &str = "e30.eyJzdWIiOiJodW50ZXIyIiwiZXhwIjoxNTc3ODM2ODAwfQ.hunter2";

fn at(uri: impl Into<String>) -> Properties {
    Properties::default().with("type", "rest").with("uri", uri.into()).with("storage", "local")
}

fn list(properties: Properties, kind: ErrorKind) -> Trial {
    Trial::new(properties, Act::List, kind)
}

async fn refused(server: &str, path: &str, refusal: Canned) -> FaultProxy {
    let proxy = FaultProxy::start(server).await;
    proxy.inject(below(path, refusal));
    proxy
}

pub(crate) async fn cell(fault: Fault) -> Option<Cell> {
    let [server] = services::find(["FLOE_TEST_REST_URI"])?;
    let with_secret = |uri: String| at(uri).with("credential", "floe:hunter2");
    let trial = match fault {
        Fault::UnknownHost => list(with_secret(format!("https://{NO_HOST}:8181")), ErrorKind::Unavailable)
            .names(&[NO_HOST, "`uri`"]),
        Fault::NobodyListens => {
            let address = closed();
            list(with_secret(format!("http://{address}")), ErrorKind::Unavailable).names(&[&address, "`uri`"])
        }
        Fault::WrongKeyId => {
            return Some(Cell::NotApplicable(
                "RFC 6749, section 5.2, has one answer (invalid_client) to a wrong id and to a wrong secret",
            ));
        }
        Fault::WrongSecret => {
            let proxy = FaultProxy::with_tokens(&server, TokenRules::new("floe", "right")).await;
            list(with_secret(proxy.uri()), ErrorKind::Unauthenticated)
                .names(&["`credential`", "oauth/tokens"])
                .keep(proxy)
        }
        Fault::ExpiredToken => {
            let proxy = FaultProxy::with_tokens(&server, TokenRules::new("floe", "right")).await;
            list(at(proxy.uri()).with("token", ENDED), ErrorKind::Unauthenticated)
                .names(&["the token has ended"])
                .hides(ENDED)
                .keep(proxy)
        }
        Fault::MissingPlace => {
            let proxy = refused(&server, "/v1/config", refusals::REST_NO_WAREHOUSE).await;
            list(at(proxy.uri()).with("warehouse", "pond"), ErrorKind::Validation)
                .names(&["`warehouse`", "pond"])
                .keep(proxy)
        }
        Fault::DeniedPart => {
            let proxy = refused(&server, "/namespaces/secret", refusals::REST_DENIED).await;
            Trial::new(at(proxy.uri()), Act::ListTables("secret"), ErrorKind::PermissionDenied)
                .names(&["secret", "privilege"])
                .keep(proxy)
        }
        Fault::ClockSkew => {
            let proxy = refused(&server, "", refusals::REST_CLOCK).await;
            list(at(proxy.uri()).with("token", "hunter2"), ErrorKind::Unauthenticated)
                .names(&["clock of this machine", "ahead"])
                .keep(proxy)
        }
        Fault::UnknownAuthority => {
            let stranger = Stranger::start().await;
            let address = format!("https://localhost:{}", stranger.port);
            list(with_secret(address.clone()), ErrorKind::Io)
                .names(&[&address, "certificate", "`ssl.cabundle`", "clock"])
                .keep(stranger)
        }
        Fault::PlainToTls => {
            let stranger = Stranger::start().await;
            let address = format!("http://localhost:{}", stranger.port);
            list(with_secret(address.clone()), ErrorKind::Io)
                .names(&[&address, "https://", "`uri`"])
                .keep(stranger)
        }
        Fault::TlsToPlain => {
            let address = server.replacen("http://", "https://", 1);
            list(with_secret(address.clone()), ErrorKind::Io).names(&[&address, "TLS", "http://"])
        }
    };
    Some(Cell::Tried(vec![trial]))
}
