//! The rows of the catalogs.

pub(crate) mod glue;
pub(crate) mod postgres;
pub(crate) mod rest;

use floe::{ErrorKind, Properties};

use crate::Fault;
use crate::trial::{Act, Cell, Trial};

/// A SQLite file.
pub(crate) async fn sqlite(fault: Fault) -> Option<Cell> {
    Some(match fault {
        Fault::MissingPlace => {
            let folder = tempfile::tempdir().unwrap();
            let properties = Properties::default()
                .with("type", "local")
                .with("uri", format!("sqlite:///{}/none/catalog.db", folder.path().display()))
                .with("warehouse", folder.path().display().to_string());
            let trial = Trial::new(properties, Act::List, ErrorKind::FileNotFound);
            Cell::Tried(vec![trial.names(&["none/catalog.db", "`uri`"]).keep(folder)])
        }
        Fault::UnknownHost
        | Fault::NobodyListens
        | Fault::UnknownAuthority
        | Fault::PlainToTls
        | Fault::TlsToPlain => Cell::NotApplicable("a file of this machine: there is no connection"),
        Fault::WrongKeyId | Fault::WrongSecret | Fault::ExpiredToken | Fault::ClockSkew => {
            Cell::NotApplicable("a file of this machine: there are no credentials")
        }
        Fault::DeniedPart => Cell::NotApplicable(
            "the rights to a file are for all of it: see tests/faults and the plugin's own tests",
        ),
    })
}
