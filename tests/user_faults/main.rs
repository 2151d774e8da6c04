//! What a user may get wrong, on every catalog and every storage: each fault has an error of its own kind, which names
//! what to check, comes soon, differs from those of all other faults, and shows no secret.
//!
//! Each module of `catalogs` and `stores` is a row of the table, with a cell for each [`Fault`]. A cell where a fault
//! makes no sense says why.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod catalogs;
mod refusals;
mod servers;
mod stores;
mod trial;

use std::collections::BTreeMap;

use trial::Cell;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// The host's name cannot be resolved.
    UnknownHost,
    /// Nobody listens at the port.
    NobodyListens,
    /// The key, user or account is one that nobody knows.
    WrongKeyId,
    /// The key is right, its secret is not.
    WrongSecret,
    /// The token, session or signature has ended.
    ExpiredToken,
    /// The bucket, container, warehouse or database is not there.
    MissingPlace,
    /// One prefix, or namespace, is out of bounds; the rest is not.
    DeniedPart,
    /// The clock of this machine is wrong.
    ClockSkew,
    /// TLS with a certificate of an authority that nobody knows.
    UnknownAuthority,
    /// HTTP is spoken where HTTPS is understood.
    PlainToTls,
    /// HTTPS is spoken where HTTP is understood.
    TlsToPlain,
}

impl Fault {
    const ALL: [Self; 11] = [
        Self::UnknownHost,
        Self::NobodyListens,
        Self::WrongKeyId,
        Self::WrongSecret,
        Self::ExpiredToken,
        Self::MissingPlace,
        Self::DeniedPart,
        Self::ClockSkew,
        Self::UnknownAuthority,
        Self::PlainToTls,
        Self::TlsToPlain,
    ];
}

/// Goes through a row of the table. `cell` gives nothing where its servers are left out.
async fn row(name: &str, cell: impl AsyncFn(Fault) -> Option<Cell>) {
    let mut texts: BTreeMap<String, Fault> = BTreeMap::new();
    for fault in Fault::ALL {
        match cell(fault).await {
            None => return,
            Some(Cell::NotApplicable(reason)) => println!("{name}: {fault:?}: n/a: {reason}"),
            Some(Cell::Tried(trials)) => {
                for trial in trials {
                    let text = trial.run(&format!("{name}: {fault:?}")).await;
                    // Addresses differ anyway: what is left without them must differ too.
                    let text = text.replace(|c: char| c.is_ascii_digit(), "");
                    let other = texts.insert(text, fault).filter(|other| *other != fault);
                    assert_eq!(other, None, "{name}: {fault:?} has the error of another fault");
                }
            }
        }
    }
}

macro_rules! rows {
    ($($name:ident: $cell:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            row(stringify!($name), $cell).await;
        }
    )*};
}

rows! {
    catalog_sqlite: catalogs::sqlite;
    catalog_postgres: catalogs::postgres::cell;
    catalog_rest: catalogs::rest::cell;
    catalog_glue: catalogs::glue::cell;
    storage_local: stores::local;
    storage_s3: stores::s3::versitygw;
    storage_minio: stores::s3::minio;
    storage_gcs: stores::gcs::cell;
    storage_azure: stores::azure::cell;
}
