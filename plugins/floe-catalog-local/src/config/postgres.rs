//! The `uri` of a catalog in PostgreSQL.

use std::str::FromStr;
use std::time::Duration;

use floe_core::{Error, Result};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

/// Parameters of the URI that the driver knows.
const KNOWN: [&str; 9] =
    ["host", "port", "user", "password", "dbname", "sslmode", "sslrootcert", "sslcert", "sslkey"];

/// How to connect to the database of `uri`, as libpq and SQLAlchemy spell it, and how long to wait for a connection
/// where the URI says so. What it does not say comes from libpq's environment variables and `~/.pgpass`.
///
/// Fails with `Validation` and shows nothing of the URI but the names of its parameters: it holds a password.
pub(crate) fn parse(uri: &str) -> Result<(PgConnectOptions, Option<Duration>)> {
    let (_, rest) = uri.split_once("://").unwrap_or_default();
    let invalid = || {
        Error::validation("`uri` of the catalog is no valid PostgreSQL URI").with_hint(
            "write postgresql://user:password@host:5432/database, special characters percent-encoded",
        )
    };
    // libpq leaves the host out where a parameter names a socket; a URL with a user needs one.
    let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let place = place.replacen("@/", "@localhost/", 1);
    let mut url = Url::parse(&format!("postgresql://{place}?{parameters}")).map_err(|_| invalid())?;
    let mut wait = None;
    let mut known = Vec::new();
    for (key, value) in url.query_pairs() {
        match key.as_ref() {
            "connect_timeout" => match value.parse() {
                Ok(seconds @ 1..=3600) => wait = Some(Duration::from_secs(seconds)),
                _ => {
                    return Err(Error::validation(
                        "`connect_timeout` in `uri` must be between 1 and 3600 seconds",
                    ));
                }
            },
            "sslmode" if PgSslMode::from_str(&value).is_err() => {
                return Err(Error::validation("`sslmode` in `uri` is not one that there is")
                    .with_hint("disable, allow, prefer, require, verify-ca or verify-full"));
            }
            // How the driver calls itself changes nothing.
            "application_name" => {}
            known_key if KNOWN.contains(&known_key) => known.push((key.into_owned(), value.into_owned())),
            other => {
                return Err(Error::validation(format!("parameter '{other}' in `uri` is not known"))
                    .with_hint(format!("known: {}, connect_timeout", KNOWN.join(", "))));
            }
        }
    }
    url.query_pairs_mut().clear().extend_pairs(known);
    let options = PgConnectOptions::from_url(&url).map_err(|_| invalid())?;
    Ok((options.application_name("floe"), wait))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spellings_of_libpq_and_sqlalchemy_name_a_database() {
        for scheme in ["postgresql", "postgres", "postgresql+psycopg2", "postgresql+psycopg"] {
            let (options, wait) =
                parse(&format!("{scheme}://ann:hun%40ter2@db.example:6432/lake?sslmode=require")).unwrap();
            assert_eq!(options.get_host(), "db.example");
            assert_eq!((options.get_port(), options.get_username()), (6432, "ann"));
            assert_eq!(options.get_database(), Some("lake"));
            assert!(matches!(options.get_ssl_mode(), PgSslMode::Require));
            assert!(wait.is_none());
        }
        let (options, wait) = parse("postgresql://ann@/lake?host=/run/postgresql&connect_timeout=3").unwrap();
        assert_eq!(
            options.get_socket().map(|path| path.as_path()),
            Some(std::path::Path::new("/run/postgresql"))
        );
        assert_eq!(wait, Some(Duration::from_secs(3)));
    }

    #[test]
    fn what_is_not_understood_is_refused_without_showing_it() {
        for uri in [
            "postgresql://ann:hunter2@db:port/lake",
            "postgresql://ann:hunter2@db/lake?sslmode=hunter2",
            "postgresql://ann:hunter2@db/lake?odd=hunter2",
            "postgresql://ann:hunter2@db/lake?connect_timeout=hunter2",
        ] {
            let error = parse(uri).unwrap_err();
            assert_eq!(error.kind(), floe_core::ErrorKind::Validation);
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
