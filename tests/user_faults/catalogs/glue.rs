//! Glue: moto, which takes any credentials, behind a proxy that answers as AWS does.

use floe::{ErrorKind, Properties};
use floe_testkit::http::{Canned, FaultProxy};
use floe_testkit::services;

use crate::Fault;
use crate::refusals::{self, below};
use crate::servers::{NO_HOST, Stranger, closed};
use crate::trial::{Act, Cell, Trial};

fn trial(endpoint: &str, act: Act, kind: ErrorKind) -> Trial {
    let folder = tempfile::tempdir().unwrap();
    let properties = Properties::default()
        .with("type", "glue")
        .with("storage", "local")
        .with("warehouse", folder.path().display().to_string())
        .with("glue.endpoint", endpoint)
        .with("glue.region", "us-east-1")
        .with("glue.access-key-id", "testing")
        .with("glue.secret-access-key", "hunter2")
        .with("glue.session-token", "session-hunter2");
    Trial::new(properties, act, kind).keep(folder)
}

async fn refused(server: &str, act: Act, kind: ErrorKind, refusal: Canned) -> Trial {
    let proxy = FaultProxy::start(server).await;
    proxy.inject(below("", refusal));
    trial(&proxy.uri(), act, kind).keep(proxy)
}

pub(crate) async fn cell(fault: Fault) -> Option<Cell> {
    let [server] = services::find(["FLOE_TEST_GLUE_ENDPOINT"])?;
    let unauthenticated = ErrorKind::Unauthenticated;
    let trial = match fault {
        Fault::UnknownHost => {
            let endpoint = format!("https://{NO_HOST}");
            trial(&endpoint, Act::List, ErrorKind::Unavailable).names(&[&endpoint, "`glue.endpoint`", "name"])
        }
        Fault::NobodyListens => {
            let endpoint = format!("http://{}", closed());
            trial(&endpoint, Act::List, ErrorKind::Unavailable).names(&[&endpoint, "`glue.endpoint`"])
        }
        Fault::WrongKeyId => refused(&server, Act::List, unauthenticated, refusals::GLUE_KEY)
            .await
            .names(&["`glue.access-key-id`"]),
        Fault::WrongSecret => refused(&server, Act::List, unauthenticated, refusals::GLUE_SECRET)
            .await
            .names(&["`glue.secret-access-key`"]),
        Fault::ExpiredToken => {
            refused(&server, Act::List, unauthenticated, refusals::GLUE_EXPIRED).await.names(&["expired"])
        }
        Fault::MissingPlace => {
            return Some(Cell::NotApplicable(
                "an account has one Data Catalog in each region, and always has it",
            ));
        }
        Fault::DeniedPart => {
            let act = Act::ListTables("secret");
            refused(&server, act, ErrorKind::PermissionDenied, refusals::GLUE_DENIED).await.names(&[
                "database/secret",
                "glue:GetTables",
                "grant",
            ])
        }
        Fault::ClockSkew => {
            refused(&server, Act::List, unauthenticated, refusals::GLUE_CLOCK).await.names(&["clock"])
        }
        Fault::UnknownAuthority => {
            let stranger = Stranger::start().await;
            let endpoint = format!("https://localhost:{}", stranger.port);
            trial(&endpoint, Act::List, ErrorKind::Io)
                .names(&[&endpoint, "certificate", "clock"])
                .keep(stranger)
        }
        Fault::PlainToTls => {
            let stranger = Stranger::start().await;
            let endpoint = format!("http://localhost:{}", stranger.port);
            trial(&endpoint, Act::List, ErrorKind::Io)
                .names(&[&endpoint, "https://", "`glue.endpoint`"])
                .keep(stranger)
        }
        Fault::TlsToPlain => {
            let endpoint = server.replacen("http://", "https://", 1);
            trial(&endpoint, Act::List, ErrorKind::Io).names(&[&endpoint, "TLS", "`glue.endpoint`"])
        }
    };
    Some(Cell::Tried(vec![trial]))
}
