//! Credentials for the files of one table, as the server gives them with it.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use floe_core::{
    CredentialProvider, Error, ErrorKind, PluginConfig, Result, SecretString, VendedCredentials,
};
use iceberg::TableIdent;

use crate::connection::Connection;
use crate::endpoints::Endpoint;
use crate::error::About;
use crate::http::Call;
use crate::trust::is_for_storage;
use crate::types::{CredentialsReply, StorageCredential, TableReply};

/// Credentials are renewed this long before they end, or a quarter of their life before, whichever is shorter.
const MARGIN_MS: i64 = 300_000;
/// After a renewal that failed while the credentials still hold.
const PAUSE_MS: i64 = 10_000;
/// The server wants each request to S3 signed by itself.
const REMOTE_SIGNING: &str = "s3.remote-signing-enabled";

/// The credentials of one table, renewed as they end.
#[derive(Debug)]
pub(crate) struct TableCredentials {
    table: TableIdent,
    connection: Arc<Connection>,
    state: RwLock<State>,
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    current: Arc<[VendedCredentials]>,
    renew_at_ms: Option<i64>,
}

impl TableCredentials {
    pub(crate) fn new(table: TableIdent, connection: Arc<Connection>, first: Vec<VendedCredentials>) -> Self {
        let state = State::new(first, connection.env.now_ms());
        Self { table, connection, state: RwLock::new(state), fetching: tokio::sync::Mutex::default() }
    }

    /// Takes credentials that came with the table.
    pub(crate) fn put(&self, credentials: Vec<VendedCredentials>) {
        let state = State::new(credentials, self.connection.env.now_ms());
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Those at hand while nothing needs to be renewed.
    fn fresh(&self) -> Option<Arc<[VendedCredentials]>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let holds = state.renew_at_ms.is_none_or(|at| self.connection.env.now_ms() < at);
        holds.then(|| state.current.clone())
    }

    /// From the endpoint for it, where the server has that; else with the table.
    async fn fetch(&self) -> Result<Vec<VendedCredentials>> {
        let connection = &self.connection;
        if connection.endpoints.has(Endpoint::Credentials) {
            let call = Call::get(connection.paths.credentials(&self.table)?);
            let reply: CredentialsReply = connection.read(&call, About::Table).await?.json()?;
            // The other properties came with the table and stay.
            let general: BTreeMap<_, _> = self
                .current()
                .iter()
                .filter(|entry| entry.prefix.is_empty())
                .flat_map(|entry| entry.properties.clone())
                .filter(|(key, _)| !is_credential(key))
                .collect();
            return Ok(vended(&BTreeMap::new(), general, reply.storage_credentials));
        }
        let call = Call::get(connection.paths.table(&self.table)?);
        let reply: TableReply = connection.read(&call, About::Table).await?.json()?;
        Ok(of_table(connection, &reply))
    }
}

#[async_trait]
impl CredentialProvider for TableCredentials {
    fn current(&self) -> Arc<[VendedCredentials]> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).current.clone()
    }

    async fn credentials(&self) -> Result<Arc<[VendedCredentials]>> {
        if let Some(fresh) = self.fresh() {
            return Ok(fresh);
        }
        let _one_at_a_time = self.fetching.lock().await;
        if let Some(fresh) = self.fresh() {
            return Ok(fresh);
        }
        match self.fetch().await {
            Ok(credentials) => {
                tracing::debug!(table = %self.table, "the credentials of the table's storage were renewed");
                self.put(credentials);
                Ok(self.current())
            }
            Err(error) => {
                let now = self.connection.env.now_ms();
                let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
                if state.current.iter().filter_map(|c| c.expires_at_ms).all(|end| now < end) {
                    tracing::warn!(table = %self.table, kind = %error.kind(), "credentials cannot be renewed yet");
                    state.renew_at_ms = Some(now + PAUSE_MS);
                    return Ok(state.current.clone());
                }
                let why = "the credentials of the table's storage ended and cannot be renewed";
                Err(error.context(why).with_table(&self.table))
            }
        }
    }

    async fn renewed(&self) -> Result<Arc<[VendedCredentials]>> {
        let refused = self.current();
        let _one_at_a_time = self.fetching.lock().await;
        // Another request that was refused may have had them renewed meanwhile.
        if Arc::ptr_eq(&refused, &self.current()) {
            self.put(self.fetch().await.map_err(|e| e.with_table(&self.table))?);
        }
        Ok(self.current())
    }

    fn allows_own(&self) -> bool {
        self.connection.own_credentials
    }
}

impl State {
    fn new(credentials: Vec<VendedCredentials>, now: i64) -> Self {
        let end = credentials.iter().filter_map(|c| c.expires_at_ms).min();
        // The server's word: any number may come.
        let early = |end: i64| (end.saturating_sub(now) / 4).clamp(0, MARGIN_MS);
        let renew_at_ms = end.map(|end| end.saturating_sub(early(end)));
        Self { current: credentials.into(), renew_at_ms }
    }
}

/// The credentials that came with a table.
pub(crate) fn of_table(connection: &Connection, reply: &TableReply) -> Vec<VendedCredentials> {
    vended(
        &connection.storage_properties,
        reply.config.clone().unwrap_or_default(),
        reply.storage_credentials.clone().unwrap_or_default(),
    )
}

/// Puts together what the server gave for all tables, for this one, and for prefixes of locations; the narrower
/// wins. Nothing when it gave nothing.
pub(crate) fn vended(
    server: &BTreeMap<String, SecretString>,
    table: BTreeMap<String, SecretString>,
    prefixes: Vec<StorageCredential>,
) -> Vec<VendedCredentials> {
    let mut general = server.clone();
    general.extend(table.into_iter().filter(|(key, _)| is_for_storage(key)));
    let entry = |prefix: String, properties: BTreeMap<String, SecretString>| VendedCredentials {
        prefix,
        expires_at_ms: expiry(&properties),
        properties,
    };
    let mut all: Vec<_> = prefixes
        .into_iter()
        .map(|credential| {
            let mut properties = general.clone();
            properties.extend(credential.config.into_iter().filter(|(key, _)| is_for_storage(key)));
            entry(credential.prefix, properties)
        })
        .collect();
    if !general.is_empty() && !all.iter().any(|c| c.prefix.is_empty()) {
        all.push(entry(String::new(), general));
    }
    all
}

/// The earliest end that the properties tell, in the spellings that servers use.
fn expiry(properties: &BTreeMap<String, SecretString>) -> Option<i64> {
    let tells = |key: &str| {
        ["s3.session-token-expires-at-ms", "gcs.oauth2.token-expires-at", "expiration-time"].contains(&key)
            || key.starts_with("adls.sas-token-expires-at-ms")
    };
    properties.iter().filter(|(key, _)| tells(key)).filter_map(|(_, value)| value.expose().parse().ok()).min()
}

/// Whether a property is one that credentials consist of, and not of what they are used for.
pub(crate) fn is_credential(key: &str) -> bool {
    ["token", "secret", "access-key", "account-key", "expir"].iter().any(|part| key.contains(part))
}

/// `Unsupported` when the server wants to sign each request to S3 by itself, gives no credentials, and the client
/// has none of its own.
pub(crate) fn refuse_remote_signing(
    credentials: &[VendedCredentials],
    own: &PluginConfig,
    table: &TableIdent,
) -> Result<()> {
    let asked =
        |c: &VendedCredentials| c.properties.get(REMOTE_SIGNING).is_some_and(|v| v.expose() == "true");
    let given = |c: &VendedCredentials| c.properties.contains_key("s3.access-key-id");
    let own = own.get("s3.access-key-id").or(own.get("s3.profile-name")).is_some();
    if !credentials.iter().any(asked) || credentials.iter().any(given) || own {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unsupported, "the catalog's server wants to sign each request to S3 by itself")
        .with_table(table)
        .with_hint("let the server vend credentials, or set `s3.access-key-id` and `s3.secret-access-key`"))
}

#[cfg(test)]
mod tests {
    use floe_core::Properties;

    use super::*;

    fn of(pairs: &[(&str, &str)]) -> BTreeMap<String, SecretString> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), SecretString::new(*v))).collect()
    }

    #[test]
    fn the_narrower_wins_and_the_longest_prefix_is_found() {
        let prefixed = |prefix: &str, key: &str| StorageCredential {
            prefix: prefix.into(),
            config: of(&[
                ("s3.access-key-id", key),
                ("s3.session-token-expires-at-ms", "5000"),
                ("token", "not for storage"),
                ("header.Authorization", "not for storage"),
            ]),
        };
        let all = vended(
            &of(&[("s3.endpoint", "http://server"), ("s3.region", "r")]),
            of(&[
                ("s3.endpoint", "http://table"),
                ("s3.access-key-id", "table"),
                ("token", "not for storage"),
            ]),
            vec![prefixed("s3://b", "bucket"), prefixed("s3://b/t", "folder")],
        );
        let at = |location: &str| {
            let found = VendedCredentials::longest(&all, location).unwrap();
            let get = |key: &str| found.properties.get(key).map(SecretString::expose);
            assert_eq!((get("s3.endpoint"), get("s3.region")), (Some("http://table"), Some("r")));
            assert_eq!((get("token"), get("header.Authorization")), (None, None));
            (get("s3.access-key-id").unwrap().to_owned(), found.expires_at_ms)
        };
        assert_eq!(at("s3://b/t/data"), ("folder".into(), Some(5000)));
        assert_eq!(at("s3://b/u"), ("bucket".into(), Some(5000)));
        assert_eq!(at("s3://c/u"), ("table".into(), None));
    }

    #[test]
    fn nothing_given_is_nothing_vended() {
        assert!(vended(&of(&[]), of(&[("token", "x")]), vec![]).is_empty());
    }

    #[test]
    fn every_spelling_of_an_end_counts() {
        for key in [
            "s3.session-token-expires-at-ms",
            "gcs.oauth2.token-expires-at",
            "expiration-time",
            "adls.sas-token-expires-at-ms.account.dfs.core.windows.net",
        ] {
            assert_eq!(expiry(&of(&[(key, "7"), ("s3.region", "8")])), Some(7), "{key}");
        }
    }

    #[test]
    fn credentials_are_renewed_before_they_end() {
        let ending = |end| VendedCredentials { expires_at_ms: Some(end), ..Default::default() };
        assert_eq!(State::new(vec![ending(3_600_000), ending(7_200_000)], 0).renew_at_ms, Some(3_300_000));
        assert_eq!(State::new(vec![ending(1_000)], 0).renew_at_ms, Some(750));
        assert_eq!(State::new(vec![ending(1_000)], 2_000).renew_at_ms, Some(1_000), "at once");
        assert_eq!(State::new(vec![VendedCredentials::default()], 0).renew_at_ms, None);
        for end in [i64::MIN, -1, i64::MAX] {
            let at = State::new(vec![ending(end)], 1_700_000_000_000).renew_at_ms.unwrap();
            assert!(at <= end && end.saturating_sub(at) <= MARGIN_MS, "{end}: {at}");
        }
    }

    #[test]
    fn remote_signing_is_refused_where_nothing_else_is_there() {
        let table = TableIdent::from_strs(["n", "t"]).unwrap();
        let none = PluginConfig::default();
        let own = Properties::default().with("s3.access-key-id", "own");
        let own = PluginConfig::new("c", &own).unwrap();
        let signing = vended(&of(&[]), of(&[(REMOTE_SIGNING, "true")]), vec![]);
        let error = refuse_remote_signing(&signing, &none, &table).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        refuse_remote_signing(&signing, &own, &table).unwrap();
        let both = vended(&of(&[("s3.access-key-id", "given")]), of(&[(REMOTE_SIGNING, "true")]), vec![]);
        refuse_remote_signing(&both, &none, &table).unwrap();
        refuse_remote_signing(&vended(&of(&[]), of(&[(REMOTE_SIGNING, "false")]), vec![]), &none, &table)
            .unwrap();
    }
}
