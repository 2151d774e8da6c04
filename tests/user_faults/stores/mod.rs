//! The rows of the storages, each with a catalog in a SQLite file.

pub(crate) mod azure;
pub(crate) mod gcs;
pub(crate) mod s3;

use floe::{ErrorKind, Properties};
use floe_testkit::http::{Canned, FaultProxy};

use crate::Fault;
use crate::refusals::below;
use crate::servers::Stranger;
use crate::trial::{Act, Cell, Trial};

/// A trial of a storage with these properties.
fn of(properties: Properties, act: Act, kind: ErrorKind) -> Trial {
    let folder = tempfile::tempdir().unwrap();
    let uri = format!("sqlite:///{}", folder.path().join("catalog.db").display());
    Trial::new(properties.with("type", "local").with("uri", uri), act, kind).keep(folder)
}

/// Where no table may be made, below the warehouse of `properties`.
fn secret_place(properties: &Properties) -> String {
    format!("{}/secret/t", properties.get("warehouse").unwrap())
}

/// A proxy before `server` which refuses requests below a part of a path.
async fn refused(server: &str, path: &str, refusal: Canned) -> FaultProxy {
    let proxy = FaultProxy::start(server).await;
    proxy.inject(below(path, refusal));
    proxy
}

/// A fault of the secure connection; `at` makes a trial of the store at an address, `server` is one that speaks plain HTTP.
async fn tls(fault: Fault, server: &str, at: impl Fn(&str, ErrorKind) -> Trial) -> Trial {
    let names: &[&str] = match fault {
        Fault::UnknownAuthority => &["certificate", "clock"],
        Fault::PlainToTls => &["https://"],
        Fault::TlsToPlain => {
            let address = server.replacen("http://", "https://", 1);
            return at(&address, ErrorKind::Io).names(&["TLS", "http://"]);
        }
        _ => unreachable!("not a fault of the secure connection"),
    };
    let stranger = Stranger::start().await;
    let scheme = if matches!(fault, Fault::PlainToTls) { "http" } else { "https" };
    at(&format!("{scheme}://localhost:{}", stranger.port), ErrorKind::Io).names(names).keep(stranger)
}

/// Local files.
pub(crate) async fn local(fault: Fault) -> Option<Cell> {
    Some(match fault {
        Fault::DeniedPart => {
            let folder = tempfile::tempdir().unwrap();
            // Root may write anywhere; nobody may write below a file.
            std::fs::write(folder.path().join("secret"), "a file").unwrap();
            let properties = Properties::default().with("warehouse", folder.path().display().to_string());
            let place = secret_place(&properties);
            let trial = of(properties, Act::CreateAt(place.clone()), ErrorKind::PermissionDenied);
            Cell::Tried(vec![trial.names(&[&place, "folder"]).keep(folder)])
        }
        Fault::MissingPlace => Cell::NotApplicable("a folder that is not there is made"),
        Fault::UnknownHost
        | Fault::NobodyListens
        | Fault::UnknownAuthority
        | Fault::PlainToTls
        | Fault::TlsToPlain => Cell::NotApplicable("files of this machine: there is no connection"),
        Fault::WrongKeyId | Fault::WrongSecret | Fault::ExpiredToken | Fault::ClockSkew => {
            Cell::NotApplicable("files of this machine: there are no credentials")
        }
    })
}
