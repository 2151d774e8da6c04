//! The `uri` of a catalog in PostgreSQL.

use std::str::FromStr;
use std::time::Duration;

use floe_core::{Error, Result, hosts};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

/// Parameters of the URI that the driver knows.
const KNOWN: [&str; 9] =
    ["host", "port", "user", "password", "dbname", "sslmode", "sslrootcert", "sslcert", "sslkey"];

/// Parameters of libpq that the driver lacks: only these are named in errors, since anything else may be a piece of a
/// password that was not encoded.
const OF_LIBPQ: [&str; 22] = [
    "channel_binding",
    "client_encoding",
    "fallback_application_name",
    "gssencmode",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "options",
    "passfile",
    "prepare_threshold",
    "replication",
    "require_auth",
    "requiressl",
    "service",
    "sslcompression",
    "sslcrl",
    "ssl_min_protocol_version",
    "target_session_attrs",
    "tcp_user_timeout",
];

/// How to connect to the database of `uri`, as libpq and SQLAlchemy spell it, and how long to wait for a connection
/// where the URI says so. What it does not say comes from libpq's environment variables and `~/.pgpass`.
///
/// Fails with `Validation` and shows nothing of the URI but the names of its parameters: it holds a password.
pub(crate) fn parse(uri: &str) -> Result<(PgConnectOptions, Option<Duration>)> {
    let (_, rest) = uri.split_once("://").unwrap_or_default();
    let invalid = || {
        Error::validation("`uri` of the catalog is no valid PostgreSQL URI").with_hint(
            "write postgresql://user:password@host:5432/database, special characters percent-encoded: %40 for @, \
             %2F for /, %3A for :, %3F for ?, %23 for #, %25 for %",
        )
    };
    if !is_unambiguous(rest) {
        return Err(invalid());
    }
    // libpq leaves the host out where a parameter names a socket; a URL with a user needs one.
    let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let place = place.replacen("@/", "@localhost/", 1);
    let mut url = Url::parse(&format!("postgresql://{place}?{parameters}")).map_err(|_| invalid())?;
    let mut wait = None;
    let mut known = Vec::new();
    let mut encryption_is_given = false;
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
            known_key if KNOWN.contains(&known_key) => {
                encryption_is_given |= known_key == "sslmode";
                known.push((key.into_owned(), value.into_owned()));
            }
            other => {
                let other = if OF_LIBPQ.contains(&other) { format!(" '{other}'") } else { String::new() };
                return Err(Error::validation(format!("a parameter{other} in `uri` is not known"))
                    .with_hint(format!("known: {}, connect_timeout", KNOWN.join(", "))));
            }
        }
    }
    url.query_pairs_mut().clear().extend_pairs(known);
    let options = PgConnectOptions::from_url(&url).map_err(|_| invalid())?;
    let options = if encryption_is_given {
        options
    } else {
        encrypted(options, std::env::var("PGSSLMODE").ok().as_deref())?
    };
    Ok((options.application_name("floe"), wait))
}

/// Options of which the URI does not say how to encrypt. On this machine that stays as libpq has it. To others
/// nothing is sent without TLS, unless the environment (`PGSSLMODE`) says otherwise: with libpq's own default,
/// `prefer`, whoever answers that there is no TLS gets the password in clear.
fn encrypted(options: PgConnectOptions, environment: Option<&str>) -> Result<PgConnectOptions> {
    match environment.filter(|mode| !mode.is_empty()) {
        Some(mode) if PgSslMode::from_str(mode).is_ok() => Ok(options),
        Some(_) => Err(Error::validation("PGSSLMODE of the environment is not one that there is")
            .with_hint("disable, allow, prefer, require, verify-ca or verify-full")),
        None if is_local(&options) => Ok(options),
        None => Ok(options.ssl_mode(PgSslMode::Require)),
    }
}

/// Whether the database is on this machine: behind a socket in the file system, or on the loopback.
fn is_local(options: &PgConnectOptions) -> bool {
    options.get_socket().is_some()
        || options.get_host().starts_with('/')
        || hosts::is_loopback(options.get_host())
}

/// Whether every reader of the URI, people included, finds user, password and host in the same places. A password
/// with `@`, `/`, `?` or `#` in it that is not encoded has parts of it taken for a host, a database or a parameter.
fn is_unambiguous(rest: &str) -> bool {
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    // Only the path of a socket is written so.
    let encoded = host.contains('%') && !host.to_ascii_lowercase().starts_with("%2f");
    !encoded && !tail.contains(['@', '#']) && !rest.contains(char::is_control)
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

    fn mode(uri: &str, environment: Option<&str>) -> PgSslMode {
        encrypted(PgConnectOptions::from_str(uri).unwrap(), environment).unwrap().get_ssl_mode()
    }

    #[test]
    fn other_machines_are_spoken_to_over_tls_and_this_one_as_before() {
        for host in ["db.example", "10.0.0.5", "192.168.0.9", "[fe80::1]", "localhost.example.com", "db"] {
            let uri = format!("postgresql://ann:hunter2@{host}/lake");
            assert!(matches!(mode(&uri, None), PgSslMode::Require), "{host}");
            assert!(matches!(mode(&uri, Some("")), PgSslMode::Require), "{host}");
        }
        for uri in [
            "postgresql://ann:hunter2@localhost/lake",
            "postgresql://ann:hunter2@127.0.0.1:6432/lake",
            "postgresql://ann:hunter2@[::1]/lake",
            "postgresql://ann@localhost/lake?host=/run/postgresql",
            "postgresql://ann@%2Frun%2Fpostgresql/lake",
        ] {
            assert!(matches!(mode(uri, None), PgSslMode::Prefer), "{uri}");
        }
        assert!(matches!(mode("postgresql://a@localhost/l?host=db.example", None), PgSslMode::Require));
    }

    #[test]
    fn what_the_user_says_about_tls_counts() {
        for said in ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] {
            let (options, _) = parse(&format!("postgresql://ann@db.example/lake?sslmode={said}")).unwrap();
            let expected = PgSslMode::from_str(said).unwrap();
            assert_eq!(format!("{:?}", options.get_ssl_mode()), format!("{expected:?}"));
        }
        let options = || PgConnectOptions::from_str("postgresql://db.example/lake?sslmode=disable").unwrap();
        assert!(matches!(encrypted(options(), Some("disable")).unwrap().get_ssl_mode(), PgSslMode::Disable));
        let error = encrypted(options(), Some("hunter2")).unwrap_err();
        assert!(error.to_string().contains("PGSSLMODE") && !format!("{error:?}").contains("hunter2"));
    }

    #[test]
    fn every_piece_of_a_password_that_is_not_encoded_stays_hidden() {
        use crate::database::PostgresStore;
        // Pieces that no message has by itself.
        let piece = "(Qz[0-9]{6}|Xw%[0-9a-f]{2}Kv[0-9]{4}|%ff|[0-9]{5})";
        let mark = "[:@%?#/& =\\\\]|%40|%3A|\\?password=|\\?passfile=|;password=|&password=";
        let strategy = proptest::collection::vec((piece, mark), 1..5);
        let frame = (strategy, piece, 0..5_usize);
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        runner
            .run(&frame, |(pieces, last, form)| {
                let password: String = pieces.iter().flat_map(|(p, m)| [p.as_str(), m.as_str()]).collect();
                let password = password + &last;
                let uri = match form {
                    0 => format!("postgresql://ann:{password}@db.example:5432/lake"),
                    1 => format!("postgresql://db.example/lake?password={password}"),
                    2 => format!("postgresql+psycopg2://ann:{password}@db.example/lake?passfile={password}"),
                    3 => format!("postgresql://ann:{password}"),
                    _ => format!("POSTGRES://ann:{password}@db.example/lake?host=db&dbname=lake"),
                };
                let config = crate::LocalCatalogConfig { uri: Some(uri.clone()), ..Default::default() };
                let mut shown = vec![format!("{config:?}")];
                match parse(&uri) {
                    Err(error) => shown.push(format!("{error} {error:?}")),
                    Ok((options, _)) => {
                        let second = Duration::from_secs(1);
                        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                        let _entered = runtime.enter();
                        let store = PostgresStore::new(options, None, second, second);
                        shown.push(format!("{store:?} {}", store.place()));
                    }
                }
                shown.push(format!("{:?}", config.path("/lake").map(drop)));
                let shown = shown.join(" ");
                for secret in pieces.iter().map(|(piece, _)| piece).chain([&last]) {
                    // A run of five digits may be a port, which `ann:12345` cannot be told from.
                    if secret.len() > 5 {
                        assert!(!shown.contains(secret.as_str()), "{uri}: {shown}");
                    }
                }
                Ok(())
            })
            .unwrap();
    }
}
