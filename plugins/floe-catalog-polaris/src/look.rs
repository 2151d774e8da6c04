//! Looking whether a table was made by a call that the server refused or never answered.
//!
//! Servers make a table first and may fail after that: Polaris answers 400 where it has no credentials to give for the
//! table that it has just made. So nothing is said of a refused call before the catalog was looked at.

use floe_core::{Error, ErrorKind, names};
use iceberg::TableIdent;
use reqwest::Method;

use crate::connection::Connection;
use crate::endpoints::Endpoint;
use crate::error::{About, NO_VENDING, lacks_credentials};
use crate::http::{Call, Reply};
use crate::types::TableReply;

/// Whether a refusal may come after the table was made. Those who ask, what is asked for and what is taken already are
/// looked at before.
pub(crate) fn may_have_made(reply: &Reply) -> bool {
    match reply.status {
        401 | 404..=407 | 415 | 419 | 501 => false,
        // An earlier attempt of this call may have made it.
        409 => reply.repeated,
        _ => true,
    }
}

/// What is there now under the name of a table that was to be made; asks for no credentials with it.
#[derive(Debug)]
pub(crate) enum There {
    Nothing,
    /// A table: its UUID and location, where the server tells them.
    Table(Option<(String, String)>),
    /// The server does not say.
    Unknown,
}

pub(crate) async fn look(connection: &Connection, table: &TableIdent) -> There {
    let absent = |e: &Error| matches!(e.kind(), ErrorKind::NoSuchTable | ErrorKind::NoSuchNamespace);
    let Ok(url) = connection.paths.table(table) else { return There::Unknown };
    let get = Call { plain: true, ..Call::get(url.clone()) };
    let reply = connection.read(&get, About::Table).await;
    let loaded = reply.and_then(|reply| reply.json::<TableReply>()?.metadata());
    match loaded {
        Ok(told) => {
            let (uuid, location) = (told.uuid().to_string(), told.location().to_owned());
            There::Table(Some((uuid, location)))
        }
        Err(e) if absent(&e) => There::Nothing,
        Err(_) if connection.endpoints.has(Endpoint::TableExists) => {
            match connection.read(&Call::new(Method::HEAD, url), About::Table).await {
                Ok(_) => There::Table(None),
                Err(e) if absent(&e) => There::Nothing,
                Err(_) => There::Unknown,
            }
        }
        Err(_) => There::Unknown,
    }
}

/// The error of a creation that failed, with what is there now. `was_there`: whether the name was taken before, which
/// says that the table is another's.
pub(crate) async fn told(
    connection: &Connection,
    table: &TableIdent,
    error: Error,
    reply: Option<&Reply>,
    was_there: bool,
) -> Error {
    if was_there || reply.is_some_and(|reply| !may_have_made(reply)) {
        return error;
    }
    match look(connection, table).await {
        There::Table(what) => {
            let what =
                what.map(|(uuid, location)| format!(" (uuid {uuid}, at {location})")).unwrap_or_default();
            let vending = reply.is_some_and(|reply| {
                lacks_credentials(reply) || reply.asked_for_credentials && reply.status == 400
            });
            let text = in_shell(names::render_table(table));
            let next = match vending {
                true => format!(
                    "{NO_VENDING}; the table is then used as it is, or removed with `floe drop {text}`"
                ),
                false => format!(
                    "look at it with `floe describe {text}` before trying again; --if-not-exists takes it as it is"
                ),
            };
            let said = error.message().to_owned();
            let what = format!(
                "{said}; but the table is there now{what}: made by this call, unless another made it at the same moment"
            );
            Error::new(ErrorKind::CommitStateUnknown, what).with_hint(next)
        }
        There::Nothing if error.kind() == ErrorKind::CommitStateUnknown => {
            error.context("the table is not there, though it may still come")
        }
        There::Nothing => error,
        There::Unknown => {
            let error = match error.kind() {
                ErrorKind::Validation | ErrorKind::PermissionDenied | ErrorKind::Io => {
                    error.with_kind(ErrorKind::CommitStateUnknown)
                }
                _ => error,
            };
            error.context("the table may have been made, which cannot be looked up now")
        }
    }
}

/// A name as a shell takes it.
fn in_shell(name: String) -> String {
    let plain = |c: char| c.is_alphanumeric() || "._-".contains(c);
    if name.chars().all(plain) { name } else { format!("'{}'", name.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_is_advised_works_in_a_shell() {
        for (name, word) in [("ns.t", "ns.t"), ("ns.\"a.b\"", "'ns.\"a.b\"'"), ("ns.it's", "'ns.it'\\''s'")] {
            assert_eq!(in_shell(name.to_owned()), word);
        }
    }

    #[test]
    fn only_what_certainly_made_nothing_is_not_looked_up() {
        let made = |status: u16| may_have_made(&Reply { status, ..Reply::default() });
        let looked: Vec<u16> = (400..600).filter(|status| made(*status)).collect();
        for status in [400, 403, 408, 422, 429, 500, 502, 503, 504] {
            assert!(looked.contains(&status), "{status}");
        }
        for status in [401, 404, 405, 407, 409, 419, 501] {
            assert!(!looked.contains(&status), "{status}");
        }
        assert!(may_have_made(&Reply { status: 409, repeated: true, ..Reply::default() }));
    }
}
