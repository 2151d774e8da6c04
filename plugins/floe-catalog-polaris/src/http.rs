//! Requests and replies.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::DateTime;
use floe_core::guard::Guard;
use floe_core::limits;
use floe_core::{Environment, Error, ErrorKind, PluginConfig, Result};
use reqwest::Method;
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, DATE, ETAG, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::auth::{Auth, Token};
use crate::config::{HEADER_PREFIX, RestCatalogConfig, TOKEN_TYPE_PREFIX, below};
use crate::error::{Failure, transport};
use crate::message;
use crate::reply;
use crate::signing::Signer;
use crate::trust::check_encrypted;
use crate::types::{ErrorModel, ErrorReply};

/// What a server delegates access by (Iceberg REST specification, parameter `data-access`).
pub(crate) const DELEGATION: &str = "x-iceberg-access-delegation";
/// Polaris's name for the header that chooses a realm.
pub(crate) const REALM: &str = "polaris-realm";
/// How often a call that changes nothing is tried.
const ATTEMPTS: u32 = 4;
/// A call waits this long at most, while the server has asked for patience.
const PATIENCE_MS: i64 = 5_000;
/// Calls that change nothing are not tried again after this time.
const RETRY_FOR_MS: i64 = 8_000;
/// How often a call that the server was too busy to take (429) is tried.
const BUSY_ATTEMPTS: u32 = 6;

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) body: Option<Bytes>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) if_none_match: Option<String>,
    pub(crate) timeout: Option<Duration>,
    /// Asks for no credentials with the table.
    pub(crate) plain: bool,
}

impl Call {
    pub(crate) fn new(method: Method, url: String) -> Self {
        Self {
            method,
            url,
            query: Vec::new(),
            body: None,
            idempotency_key: None,
            if_none_match: None,
            timeout: None,
            plain: false,
        }
    }

    pub(crate) fn get(url: String) -> Self {
        Self::new(Method::GET, url)
    }

    pub(crate) fn post(url: String, body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(body).map_err(|e| {
            Error::new(ErrorKind::Internal, "a request cannot be written as JSON").with_source(e)
        })?;
        Ok(Self { body: Some(body.into()), ..Self::new(Method::POST, url) })
    }

    /// Adds a query parameter; its value is encoded on the way.
    pub(crate) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    fn changes_nothing(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }
}

/// A reply of the server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
    pub(crate) etag: Option<String>,
    /// Of a refusal; its message is short and without secrets.
    pub(crate) error: ErrorModel,
    pub(crate) retry_after: Option<Duration>,
    /// By how much this machine's clock is ahead of the server's.
    pub(crate) clock_ahead_seconds: Option<i64>,
    pub(crate) with_token: bool,
    pub(crate) token_ended: bool,
    /// The body is a web page.
    pub(crate) is_page: bool,
    /// An earlier attempt of the same call was answered with 429.
    pub(crate) repeated: bool,
    /// What was asked for with the call: credentials of the table's storage.
    pub(crate) asked_for_credentials: bool,
}

impl Reply {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether a change may have happened: the server, or one in between, failed. 429 leaves no doubt: a call that
    /// came too often was not taken (RFC 6585, section 4).
    pub(crate) fn leaves_doubt(&self) -> bool {
        self.status >= 500 && self.status != 501 || self.status == 408
    }

    /// The body as JSON. `Corrupted` when it is something else; no content of it is shown.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        if message::is_page(&self.body) {
            let what =
                "the server answers with a web page, and so is no Iceberg REST catalog at this address";
            return Err(Error::new(ErrorKind::Corrupted, what).with_hint(crate::error::CHECK_URI));
        }
        let parse = || Ok(serde_json::from_slice(&self.body));
        Guard::new("the reader of table metadata", "a reply of the catalog's server").call(parse)?.map_err(|e| {
            Error::new(
                ErrorKind::Corrupted,
                format!(
                    "the reply of the catalog's server does not read as the protocol has it, at line {}, column {}",
                    e.line(),
                    e.column()
                ),
            )
            .with_hint("check that `uri` is the address of an Iceberg REST catalog, and its version")
        })
    }
}

/// The connection to a server: TLS, time-outs, headers, tokens.
#[derive(Debug)]
pub(crate) struct Transport {
    client: reqwest::Client,
    server: String,
    headers: HeaderMap,
    /// Values of configured headers, which no message repeats.
    hidden: Vec<String>,
    auth: Auth,
    signer: Option<Signer>,
    env: Arc<dyn Environment>,
    /// Until when the server asked not to be asked, in milliseconds.
    quiet_until: AtomicI64,
}

impl Transport {
    pub(crate) fn new(
        client: reqwest::Client,
        config: &RestCatalogConfig,
        properties: &PluginConfig,
        default_scope: &str,
        env: Arc<dyn Environment>,
    ) -> Result<Self> {
        check_encrypted(config, properties)?;
        let headers = headers(config, properties)?;
        let hidden = below(properties, HEADER_PREFIX).map(|(_, value)| value.to_owned());
        let hidden: Vec<String> = hidden.filter(|value| message::may_be_secret(value)).collect();
        Ok(Self {
            auth: Auth::new(config, properties, default_scope, &headers, client.clone(), env.clone())?,
            client,
            server: config.base()?,
            headers,
            hidden,
            signer: Signer::new(config)?,
            env,
            quiet_until: AtomicI64::new(0),
        })
    }

    /// Sends a call. Those that change nothing are tried again where that may help, and so is any call that the server
    /// was too busy to take (429). All others are sent once, or once more with a new token where the server refused the
    /// first one.
    pub(crate) async fn send(&self, call: &Call) -> Result<Reply, Failure> {
        let started = self.env.now_ms();
        let mut repeated = false;
        for attempt in 1.. {
            let mut outcome = self.send_once(call).await;
            if let Ok(reply) = &mut outcome {
                reply.repeated = repeated;
            }
            let busy = matches!(&outcome, Ok(reply) if reply.status == 429);
            let pause = match &outcome {
                Ok(reply) if matches!(reply.status, 429 | 502 | 503 | 504) => {
                    reply.retry_after.unwrap_or(Duration::from_millis(100 << attempt))
                }
                Err(Failure::Lost(e) | Failure::NotSent(e)) if e.kind() == ErrorKind::Unavailable => {
                    Duration::from_millis(100 << attempt)
                }
                _ => return outcome,
            };
            let elapsed = self.env.now_ms() - started;
            let patient = pause.as_millis() <= PATIENCE_MS as u128 && elapsed < RETRY_FOR_MS;
            // Nobody listens: whoever waits for an answer is told at once, the second time.
            let limit = match &outcome {
                Err(Failure::NotSent(_)) => 2,
                _ if busy => BUSY_ATTEMPTS,
                _ => ATTEMPTS,
            };
            if !(busy || call.changes_nothing()) || attempt >= limit || !patient {
                return outcome;
            }
            repeated |= busy;
            // Clients that were refused together do not come back together.
            let jitter = pause.mul_f64((self.env.random_u64() % 256) as f64 / 1024.0);
            self.env.sleep(pause + jitter).await;
        }
        unreachable!("attempts are counted without end")
    }

    async fn send_once(&self, call: &Call) -> Result<Reply, Failure> {
        self.wait_for_quiet().await.map_err(Failure::NotSent)?;
        let token = self.auth.token().await.map_err(Failure::NotSent)?;
        let reply = self.exchange(call, token.as_ref()).await?;
        match &token {
            // Refused for its token, so certainly not done: once more with a new one.
            Some(token) if matches!(reply.status, 401 | 419) => match self.auth.renew(token.generation).await
            {
                Ok(true) => {
                    let token = self.auth.token().await.map_err(Failure::NotSent)?;
                    self.exchange(call, token.as_ref()).await
                }
                Ok(false) => Ok(reply),
                Err(e) => {
                    let what = "the catalog's server refuses the token, and no other can be had";
                    Err(Failure::NotSent(e.context(what)))
                }
            },
            _ => Ok(reply),
        }
    }

    /// Waits while the server has asked for patience; `Unavailable` when that is too long.
    async fn wait_for_quiet(&self) -> Result<()> {
        let wait = self.quiet_until.load(Ordering::Relaxed).saturating_sub(self.env.now_ms());
        if wait <= 0 {
            return Ok(());
        }
        if wait > PATIENCE_MS {
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!("the catalog's server asked for {} s of patience; nothing was sent", wait / 1000),
            )
            .with_hint("try again later"));
        }
        self.env.sleep(Duration::from_millis(wait as u64)).await;
        Ok(())
    }

    /// One request, one reply.
    async fn exchange(&self, call: &Call, token: Option<&Token>) -> Result<Reply, Failure> {
        let mut request = self.request(call, token).map_err(Failure::NotSent)?;
        let limits = limits::current();
        let whole = Duration::from_secs(limits.reply_seconds);
        let whole = request.timeout().map_or(whole, |own| whole.min(*own));
        *request.timeout_mut() = Some(whole);
        let started = Instant::now();
        let failed = |e: reqwest::Error| match e.is_timeout() && started.elapsed() >= whole {
            true if call.timeout.is_none() => Failure::Lost(reply::too_slow(&self.server, whole)),
            _ => transport(e, &self.server),
        };
        let response = self.client.execute(request).await.map_err(failed)?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        // The status alone is an answer where it is a refusal.
        let most = if status >= 400 { reply::REFUSAL_BYTES } else { limits.reply_bytes };
        let body = match reply::body(response, most).await {
            Ok(Some(body)) => body,
            Ok(None) | Err(_) if status >= 400 => Bytes::new(),
            Ok(None) => return Err(Failure::Lost(reply::too_large(&self.server, most))),
            Err(e) => return Err(failed(e)),
        };
        let now = self.env.now_ms();
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let clock = text(DATE).and_then(|date| DateTime::parse_from_rfc2822(date).ok());
        let mut reply = Reply {
            status,
            etag: text(ETAG).map(str::to_owned),
            retry_after: text(RETRY_AFTER).and_then(|value| retry_after(value, now)),
            clock_ahead_seconds: clock.map(|date| now / 1000 - date.timestamp()),
            with_token: token.is_some(),
            token_ended: token.is_some_and(|token| token.ends_at_ms.is_some_and(|end| end <= now))
                || status == 419,
            is_page: message::is_page(&body),
            repeated: false,
            asked_for_credentials: !call.plain && self.headers.contains_key(DELEGATION),
            body,
            error: ErrorModel::default(),
        };
        if let Some(pause) = reply.retry_after.filter(|_| matches!(status, 429 | 503)) {
            let pause_ms = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
            self.quiet_until.fetch_max(now.saturating_add(pause_ms), Ordering::Relaxed);
        }
        if status >= 400 {
            reply.error =
                serde_json::from_slice::<ErrorReply>(&reply.body).map(|e| e.error).unwrap_or_default();
            reply.error.message = match message::said(&reply.body) {
                Some(said) => Some(self.auth.safe(&said, &self.hidden).await),
                None => None,
            };
        }
        Ok(reply)
    }

    fn request(&self, call: &Call, token: Option<&Token>) -> Result<reqwest::Request> {
        let mut headers = self.headers.clone();
        if call.plain {
            headers.remove(DELEGATION);
        }
        let mut builder = self.client.request(call.method.clone(), &call.url).headers(headers);
        if !call.query.is_empty() {
            builder = builder.query(&call.query);
        }
        if let Some(body) = &call.body {
            builder = builder.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        if let Some(key) = &call.idempotency_key {
            builder = builder.header("idempotency-key", key);
        }
        if let Some(etag) = &call.if_none_match {
            builder = builder.header("if-none-match", etag);
        }
        if let Some(timeout) = call.timeout {
            builder = builder.timeout(timeout);
        }
        if let Some(token) = token {
            let mut value =
                HeaderValue::from_str(&format!("Bearer {}", token.value.expose())).map_err(|_| {
                    Error::validation("the token holds characters that no header can carry")
                        .with_hint("check `token`")
                })?;
            value.set_sensitive(true);
            builder = builder.header(AUTHORIZATION, value);
        }
        let mut request = builder.build().map_err(|e| {
            Error::new(ErrorKind::Internal, "a request cannot be made").with_source(e.without_url())
        })?;
        if let Some(signer) = &self.signer {
            signer.sign(&mut request, call.body.as_ref(), self.env.now_ms())?;
        }
        Ok(request)
    }
}

/// A client with the TLS and the time-outs of `config`; proxies are those of the environment (`HTTPS_PROXY`,
/// `NO_PROXY`). It follows no redirect and repeats no request by itself: a repeated commit would turn a lost
/// reply into a false conflict.
pub(crate) fn client(config: &RestCatalogConfig) -> Result<reqwest::Client> {
    let read = |key: &str, path: &str| {
        std::fs::read(path).map_err(|e| Error::from(e).context(format!("`{key}` ({path})")))
    };
    let unusable = |key: &str, path: &str| {
        Error::validation(format!("`{key}` ({path}) holds nothing of use")).with_hint("it must be a PEM file")
    };
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("floe/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(config.connection_timeout())
        .read_timeout(config.socket_timeout())
        // Below the time after which servers close idle connections: a request on a closed one may be lost.
        .pool_idle_timeout(Duration::from_secs(15));
    if let Some(path) = &config.ca_bundle {
        let pem = read("ssl.cabundle", path)?;
        let authorities = reqwest::Certificate::from_pem_bundle(&pem)
            .ok()
            .filter(|found| !found.is_empty())
            .ok_or_else(|| unusable("ssl.cabundle", path))?;
        for authority in authorities {
            builder = builder.add_root_certificate(authority);
        }
    }
    if let Some(path) = &config.client_certificate {
        let mut pem = read("ssl.client.cert", path)?;
        if let Some(key) = &config.client_key {
            pem.push(b'\n');
            pem.extend(read("ssl.client.key", key)?);
        }
        let identity = reqwest::Identity::from_pem(&pem).map_err(|_| unusable("ssl.client.cert", path))?;
        builder = builder.identity(identity);
    }
    builder.build().map_err(|e| {
        Error::validation("the TLS settings of the REST catalog cannot be used")
            .with_hint("check `ssl.cabundle`, `ssl.client.cert` and `ssl.client.key`")
            .with_source(e)
    })
}

/// The headers of every request. `Validation` for a header that cannot be sent, and for an `Authorization` beside a
/// token or a credential, of which one would silently win.
fn headers(config: &RestCatalogConfig, properties: &PluginConfig) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert("accept", HeaderValue::from_static("application/json"));
    if config.vended_credentials_enabled.unwrap_or(true) {
        headers.insert(DELEGATION, HeaderValue::from_static("vended-credentials"));
    }
    let realm = config.realm.as_deref().map(|realm| (REALM, realm));
    for (name, value) in realm.into_iter().chain(below(properties, HEADER_PREFIX)) {
        let fault = || Error::validation(format!("the property header.{name} is no valid header"));
        let name: HeaderName = name.parse().map_err(|_| fault())?;
        if value.is_empty() {
            headers.remove(name);
            continue;
        }
        if name == AUTHORIZATION && has_token(config, properties) {
            let why =
                "`header.authorization` stands beside `token` or `credential`: only one of them can be sent";
            return Err(Error::validation(why).with_hint("leave out one of them"));
        }
        let mut value = HeaderValue::from_str(value).map_err(|_| fault())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn has_token(config: &RestCatalogConfig, properties: &PluginConfig) -> bool {
    config.token.is_some()
        || config.credential.is_some()
        || below(properties, TOKEN_TYPE_PREFIX).next().is_some()
}

/// `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(value: &str, now_ms: i64) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let date = DateTime::parse_from_rfc2822(value.trim()).ok()?;
    Some(Duration::from_millis(date.timestamp_millis().saturating_sub(now_ms).max(0) as u64))
}

#[cfg(test)]
mod tests {
    use floe_core::Properties;

    use super::*;

    #[test]
    fn patience_is_told_in_seconds_or_by_a_date() {
        assert_eq!(retry_after("3", 0), Some(Duration::from_secs(3)));
        let date = "Thu, 01 Jan 1970 00:00:10 GMT";
        assert_eq!(retry_after(date, 4_000), Some(Duration::from_secs(6)));
        assert_eq!(retry_after(date, 60_000), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", 0), None);
    }

    #[test]
    fn a_header_of_the_configuration_wins_and_an_empty_one_removes() {
        let of = |pairs: &[(&str, &str)]| {
            let properties: Properties = pairs.iter().copied().collect();
            let properties = PluginConfig::new("c", &properties).unwrap();
            headers(&RestCatalogConfig { realm: Some("r".into()), ..Default::default() }, &properties)
                .unwrap()
        };
        assert_eq!(of(&[])[DELEGATION], "vended-credentials");
        assert_eq!(of(&[])["polaris-realm"], "r");
        let asked =
            of(&[("header.X-Iceberg-Access-Delegation", "remote-signing"), ("header.X-Own", "secret")]);
        assert_eq!(asked[DELEGATION], "remote-signing");
        assert!(!format!("{asked:?}").contains("secret\""), "headers are not shown: {asked:?}");
        assert!(of(&[("header.X-Iceberg-Access-Delegation", "")]).get(DELEGATION).is_none());
    }

    #[test]
    fn a_header_does_not_replace_a_token() {
        let of = |pairs: &[(&str, &str)]| {
            let properties: Properties = pairs.iter().copied().collect();
            let properties = PluginConfig::new("c", &properties).unwrap();
            headers(&properties.parse().unwrap(), &properties)
        };
        let header = ("header.Authorization", "Basic hunter2");
        assert_eq!(of(&[header]).unwrap()[AUTHORIZATION], "Basic hunter2");
        for other in [("token", "t"), ("credential", "a:b"), ("urn:ietf:params:oauth:token-type:jwt", "j")] {
            let error = of(&[header, other]).unwrap_err();
            assert!(
                error.to_string().contains("only one") && !error.to_string().contains("hunter2"),
                "{error}"
            );
        }
    }

    #[test]
    fn only_a_failed_server_leaves_doubt() {
        let doubtful: Vec<u16> =
            [200, 204, 301, 400, 401, 403, 404, 408, 409, 422, 429, 500, 501, 502, 503, 504]
                .into_iter()
                .filter(|status| Reply { status: *status, ..Reply::default() }.leaves_doubt())
                .collect();
        assert_eq!(doubtful, [408, 500, 502, 503, 504]);
    }
}
