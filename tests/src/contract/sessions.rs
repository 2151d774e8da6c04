//! Credentials that end after some requests, by proxies before a store and a catalog.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use floe_testkit::http::{FaultProxy, Reply, Request};
use serde_json::Value;
use tokio::sync::Mutex;

use super::Storage;
use crate::sts::Session;

/// Requests to a store, counted; those whose credentials have ended are refused as the store refuses them. A catalog
/// gives the temporary keys `n` with the `n`-th table that it tells of.
#[derive(Debug, Clone, Default)]
pub(super) struct Sessions {
    state: Arc<State>,
    proxies: Arc<Mutex<Vec<FaultProxy>>>,
}

#[derive(Debug, Default)]
struct State {
    keys: Vec<Session>,
    /// How many sessions the catalog gave.
    given: AtomicUsize,
    /// Sessions up to this one have ended.
    ended: AtomicUsize,
    /// So many requests until all that were given end; 0: they do not.
    until_end: AtomicUsize,
    /// Everything has ended, what is no session too.
    all_ended: AtomicBool,
    /// The catalog gives no new ones.
    no_more: AtomicBool,
    /// Requests that were refused.
    refused: AtomicUsize,
}

impl Sessions {
    /// A catalog of a test gives no more than so many.
    pub(super) const MOST: usize = 48;

    /// The catalog gives these, one after the other.
    pub(super) fn of(keys: Vec<Session>) -> Self {
        Self { state: Arc::new(State { keys, ..State::default() }), proxies: Arc::default() }
    }

    /// What was given so far ends with the `requests`-th request to the store from now on.
    pub(super) fn end_after(&self, requests: usize) {
        self.state.until_end.store(requests, Ordering::SeqCst);
    }

    /// The catalog gives no new sessions once those that were given have ended.
    pub(super) fn give_no_more(&self) {
        self.state.no_more.store(true, Ordering::SeqCst);
    }

    /// Everything holds again.
    pub(super) fn hold_again(&self) {
        for flag in [&self.state.no_more, &self.state.all_ended] {
            flag.store(false, Ordering::SeqCst);
        }
        self.state.ended.store(0, Ordering::SeqCst);
    }

    /// How many requests were refused.
    pub(super) fn refused(&self) -> usize {
        self.state.refused.load(Ordering::SeqCst)
    }

    /// The address of a proxy before a store.
    pub(super) async fn before_store(&self, storage: Storage, address: &str) -> String {
        let state = self.state.clone();
        let before = move |request: &Request| state.judge(request).then(|| ended(storage));
        self.keep(FaultProxy::between(address, before, |_, reply| reply).await).await
    }

    /// The address of a proxy before a catalog of the REST protocol, which gives sessions for the store.
    pub(super) async fn before_catalog(&self, address: &str) -> String {
        let (state, giving) = (self.state.clone(), self.state.clone());
        let before = move |request: &Request| {
            let wanted = request.method == "GET" && request.path().contains("/tables/");
            let ended = state.ended.load(Ordering::SeqCst) > 0;
            (wanted && ended && state.no_more.load(Ordering::SeqCst))
                .then(|| Reply::iceberg_error(403, "ForbiddenException", "no credentials any more"))
        };
        let after = move |_: &Request, reply: Reply| giving.given(reply);
        self.keep(FaultProxy::between(address, before, after).await).await
    }

    async fn keep(&self, proxy: FaultProxy) -> String {
        let uri = proxy.uri();
        self.proxies.lock().await.push(proxy);
        uri
    }
}

impl State {
    /// Whether the credentials of a request have ended.
    fn judge(&self, request: &Request) -> bool {
        let left = self.until_end.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        // `Credential=KEY/…` (AWS Signature Version 4, "Authorization header").
        let signed = request.header("authorization").unwrap_or_default();
        let session = self.keys.iter().position(|key| signed.contains(&*key.access_key_id)).map(|at| at + 1);
        if left == Ok(1) {
            self.ended.store(self.given.load(Ordering::SeqCst), Ordering::SeqCst);
            self.all_ended.store(true, Ordering::SeqCst);
        }
        let ended = match session {
            Some(session) => session <= self.ended.load(Ordering::SeqCst),
            None => self.all_ended.load(Ordering::SeqCst),
        };
        if ended {
            self.refused.fetch_add(1, Ordering::SeqCst);
        }
        ended
    }

    /// A reply that tells of a table, with a new session in its configuration.
    fn given(&self, reply: Reply) -> Reply {
        let Ok(mut told) = serde_json::from_slice::<Value>(&reply.body) else { return reply };
        let Some(config) = told.get_mut("config").and_then(Value::as_object_mut) else { return reply };
        if !config.contains_key("s3.access-key-id") {
            return reply;
        }
        let session = &self.keys[self.given.fetch_add(1, Ordering::SeqCst)];
        config.insert("s3.access-key-id".into(), session.access_key_id.as_str().into());
        config.insert("s3.secret-access-key".into(), session.secret_access_key.as_str().into());
        config.insert("s3.session-token".into(), session.session_token.as_str().into());
        Reply { body: told.to_string().into(), ..reply }
    }
}

/// How a store refuses credentials that have ended.
fn ended(storage: Storage) -> Reply {
    let (status, code, detail) = match storage {
        Storage::Gcs => (401, "AuthenticationRequired", ""),
        Storage::Azure => (
            401,
            "InvalidAuthenticationInfo",
            "<AuthenticationErrorDetail>Lifetime validation failed. The token is expired.</AuthenticationErrorDetail>",
        ),
        _ => (400, "ExpiredToken", ""),
    };
    let body = format!("<Error><Code>{code}</Code><Message>It has ended.</Message>{detail}</Error>");
    Reply { body: body.into(), ..Reply::status(status) }
}
