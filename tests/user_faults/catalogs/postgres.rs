//! A catalog in PostgreSQL.

use floe::iceberg::NamespaceIdent;
use floe::{ErrorKind, Properties};
use floe_testkit::services;
use sqlx::{Connection, Executor, PgConnection};

use crate::Fault;
use crate::servers::{NO_HOST, Stranger, closed};
use crate::trial::{Act, Cell, Trial};

/// The tests' server asks this user, alone, for a password.
const USER: &str = "with_password";
/// And this is it.
const PASSWORD: &str = "right-hunter2";

/// A user with a password and no rights to anything, and tables that it may not read.
async fn prepare(server: &str) {
    let mut connection = PgConnection::connect(server).await.unwrap();
    // Another test may be making it.
    let make = format!(
        "DO $$ BEGIN CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'; \
         EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    );
    connection.execute(make.as_str()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let manager = floe::connect("prepared", &properties(server, folder.path())).await.unwrap();
    manager.ensure_namespace(&NamespaceIdent::new("prepared".into())).await.unwrap();
}

fn properties(uri: &str, warehouse: &std::path::Path) -> Properties {
    Properties::default()
        .with("type", "local")
        .with("uri", uri)
        .with("warehouse", warehouse.display().to_string())
        // Its folder is on this machine, whatever machine the database is said to be on.
        .with("storage", "local")
}

fn trial(uri: &str, kind: ErrorKind) -> Trial {
    let folder = tempfile::tempdir().unwrap();
    Trial::new(properties(uri, folder.path()), Act::List, kind).keep(folder)
}

pub(crate) async fn cell(fault: Fault) -> Option<Cell> {
    let [server] = services::find(["FLOE_TEST_POSTGRES_URI"])?;
    let (_, place) = server.split_once('@').unwrap();
    let (address, database) = place.split_once('/').unwrap();
    let trial =
        match fault {
            Fault::UnknownHost => {
                trial(&format!("postgresql://ann:hunter2@{NO_HOST}/lake"), ErrorKind::Unavailable)
                    .names(&[NO_HOST, "`uri`", "name"])
            }
            Fault::NobodyListens => {
                let address = closed();
                trial(&format!("postgresql://ann:hunter2@{address}/lake"), ErrorKind::Unavailable)
                    .names(&[&address, "whether the server runs"])
            }
            Fault::WrongKeyId => {
                trial(&format!("postgresql://nobody_knows:hunter2@{place}"), ErrorKind::Unauthenticated)
                    .names(&["user", "`uri`", "pg_hba.conf"])
            }
            Fault::WrongSecret => {
                prepare(&server).await;
                trial(&format!("postgresql://{USER}:hunter2@{place}"), ErrorKind::Unauthenticated)
                    .names(&["password", "`uri`"])
            }
            Fault::ExpiredToken => {
                return Some(Cell::NotApplicable(
                    "PostgreSQL answers a password that has ended (VALID UNTIL) as it answers a wrong one",
                ));
            }
            Fault::MissingPlace => {
                trial(&format!("postgresql://floe:hunter2@{address}/no_such_database"), ErrorKind::Validation)
                    .names(&["no_such_database", "`uri`"])
            }
            Fault::DeniedPart => {
                prepare(&server).await;
                trial(&format!("postgresql://{USER}:{PASSWORD}@{place}"), ErrorKind::PermissionDenied)
                    .names(&[&format!("database {database}"), "grant"])
            }
            Fault::ClockSkew => {
                return Some(Cell::NotApplicable(
                    "a password holds at any time; the times of a certificate are checked by TLS",
                ));
            }
            Fault::UnknownAuthority => {
                let stranger = Stranger::postgres().await;
                let address = format!("localhost:{}", stranger.port);
                let uri = format!("postgresql://ann:hunter2@{address}/lake?sslmode=verify-full");
                trial(&uri, ErrorKind::Io).names(&[&address, "`sslrootcert`", "clock"]).keep(stranger)
            }
            Fault::PlainToTls => {
                return Some(Cell::NotApplicable(
                    "PostgreSQL begins without TLS, and asks for it on the same port",
                ));
            }
            Fault::TlsToPlain => {
                trial(&format!("postgresql://floe:hunter2@{place}?sslmode=require"), ErrorKind::Io).names(&[
                    address,
                    "`sslmode=disable`",
                    "does not",
                ])
            }
        };
    Some(Cell::Tried(vec![trial]))
}
