//! Tokens: OAuth2 client credentials (RFC 6749, section 4.4), token exchange (RFC 8693), and given ones.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use floe_core::{Environment, Error, ErrorKind, PluginConfig, Result, SecretString};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, RETRY_AFTER};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::config::{RestCatalogConfig, TOKEN_TYPE_PREFIX, below};
use crate::error::{CHECK_URI, Failure, names_realm, transport};
use crate::http::{DELEGATION, REALM};
use crate::message;
use crate::reply::{REFUSAL_BYTES, body as body_of};
use crate::trust::same_origin;
use crate::types::{ErrorReply, TokenError, TokenReply};

const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// A token is renewed this long before it ends, or a tenth of its life before, whichever is shorter.
const MARGIN_MS: i64 = 300_000;
/// After a renewal that failed while the token still holds.
const PAUSE_MS: i64 = 10_000;
/// The token endpoint is not waited for longer than this.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the token endpoint is asked.
const ATTEMPTS: u32 = 3;

/// The tokens of one catalog, renewed as they end. Callers at once share one renewal.
#[derive(Debug)]
pub(crate) struct Auth {
    client: reqwest::Client,
    env: Arc<dyn Environment>,
    endpoint: String,
    /// The endpoint is the one below `uri`.
    own_endpoint: bool,
    /// Headers of a request for a token.
    headers: HeaderMap,
    credential: Option<(Option<SecretString>, SecretString)>,
    /// A given token, and whether it is an access token or one to exchange, by its type.
    given: Option<(String, SecretString)>,
    extra: Vec<(&'static str, String)>,
    refresh: bool,
    exchange: bool,
    assumed_life_ms: Option<i64>,
    timeout: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    /// Counts the tokens that were had.
    generation: u64,
}

/// A token to send.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) value: SecretString,
    pub(crate) generation: u64,
    pub(crate) ends_at_ms: Option<i64>,
    renew_at_ms: Option<i64>,
}

impl Auth {
    pub(crate) fn new(
        config: &RestCatalogConfig,
        properties: &PluginConfig,
        default_scope: &str,
        headers: &HeaderMap,
        client: reqwest::Client,
        env: Arc<dyn Environment>,
    ) -> Result<Self> {
        let endpoint = config.token_endpoint()?;
        let headers = token_headers(headers, same_origin(&config.base()?, &endpoint));
        let credential =
            config.credential.as_ref().map(|credential| match credential.expose().split_once(':') {
                Some((id, secret)) => (Some(SecretString::new(id)), SecretString::new(secret)),
                None => (None, credential.clone()),
            });
        let given = match &config.token {
            Some(token) => Some((ACCESS_TOKEN.to_owned(), token.clone())),
            None => below(properties, TOKEN_TYPE_PREFIX)
                .next()
                .map(|(kind, token)| (format!("{TOKEN_TYPE_PREFIX}{kind}"), SecretString::new(token))),
        };
        let scope = config.scope.clone().unwrap_or_else(|| default_scope.to_owned());
        let optional = [("audience", &config.audience), ("resource", &config.resource)];
        let extra = std::iter::once(("scope", scope))
            .chain(optional.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))))
            .collect();
        Ok(Self {
            client,
            env,
            endpoint,
            own_endpoint: config.oauth2_server_uri.is_none(),
            headers,
            exchange: config
                .token_exchange_enabled
                .unwrap_or(config.oauth2_server_uri.is_some() || credential.is_some()),
            credential,
            given,
            extra,
            refresh: config.token_refresh_enabled.unwrap_or(true),
            assumed_life_ms: config.token_expires_in_ms.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX)),
            timeout: config.first_timeout(),
            state: Mutex::default(),
        })
    }

    /// The token to send, if there is one: had for the first time, or anew when it is about to end.
    pub(crate) async fn token(&self) -> Result<Option<Token>> {
        let mut state = self.state.lock().await;
        let now = self.env.now_ms();
        let Some(token) = state.token.clone() else {
            let first = self.first().await?;
            return Ok(first.map(|(value, life)| self.keep(&mut state, value, life)));
        };
        if !self.refresh || token.renew_at_ms.is_none_or(|at| now < at) {
            return Ok(Some(token));
        }
        match self.again(Some(&token)).await {
            Ok(Some((value, life))) => Ok(Some(self.keep(&mut state, value, life))),
            Ok(None) => Ok(Some(token)),
            Err(e) if token.ends_at_ms.is_some_and(|end| now < end) => {
                tracing::warn!(kind = %e.kind(), "the catalog's token cannot be renewed yet");
                if let Some(kept) = &mut state.token {
                    kept.renew_at_ms = Some(now + PAUSE_MS);
                }
                Ok(Some(token))
            }
            Err(e) => Err(e),
        }
    }

    /// Gets a new token in place of the one of `generation`, which the server refused. False when there is no
    /// way to get one.
    pub(crate) async fn renew(&self, generation: u64) -> Result<bool> {
        let mut state = self.state.lock().await;
        if state.generation != generation {
            return Ok(true);
        }
        match self.again(None).await? {
            Some((value, life)) => {
                self.keep(&mut state, value, life);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// What a server said, short and without any secret that is known here, nor what `hidden` lists.
    pub(crate) async fn safe(&self, said: &str, hidden: &[String]) -> String {
        let token = self.state.lock().await.token.as_ref().map(|token| token.value.clone());
        let mut secrets = self.secrets();
        secrets.extend(token.iter().map(|token| token.expose().to_owned()));
        message::safe(said, secrets.iter().chain(hidden).map(String::as_str))
    }

    /// The secrets of the configuration, in the forms they are sent in.
    fn secrets(&self) -> Vec<String> {
        let mut all: Vec<String> = self.given.iter().map(|(_, token)| token.expose().to_owned()).collect();
        if let Some((id, secret)) = &self.credential {
            let secret = secret.expose();
            all.push(secret.to_owned());
            all.push(url::form_urlencoded::byte_serialize(secret.as_bytes()).collect());
            let basic = format!("{}:{secret}", id.as_ref().map_or("", SecretString::expose));
            all.push(base64::engine::general_purpose::STANDARD.encode(basic));
        }
        all
    }

    fn keep(&self, state: &mut State, value: SecretString, life_ms: Option<i64>) -> Token {
        let now = self.env.now_ms();
        // Ends and lives are the server's word: any number may come.
        let ends_at_ms = jwt_end(value.expose()).or_else(|| life_ms.map(|life| now.saturating_add(life)));
        state.generation += 1;
        let token = Token {
            value,
            generation: state.generation,
            ends_at_ms,
            renew_at_ms: ends_at_ms.map(|end| renewal(end, now)),
        };
        state.token = Some(token.clone());
        token
    }

    async fn first(&self) -> Result<Option<(SecretString, Option<i64>)>> {
        match &self.given {
            Some((kind, token)) if kind == ACCESS_TOKEN => Ok(Some((token.clone(), self.assumed_life_ms))),
            _ => self.again(None).await,
        }
    }

    /// A new token: by the client's credentials, by exchange of a given token that is none to send itself, or by
    /// exchange of `current`.
    async fn again(&self, current: Option<&Token>) -> Result<Option<(SecretString, Option<i64>)>> {
        let subject = match (&self.given, current) {
            (Some((kind, token)), _) if kind != ACCESS_TOKEN => Some((kind.as_str(), token)),
            (_, Some(token)) if self.credential.is_none() && self.exchange => {
                Some((ACCESS_TOKEN, &token.value))
            }
            _ => None,
        };
        match (subject, &self.credential) {
            (Some((kind, token)), _) => {
                let form = vec![
                    ("grant_type", EXCHANGE),
                    ("subject_token", token.expose()),
                    ("subject_token_type", kind),
                ];
                self.ask(form, true).await.map(Some)
            }
            (None, Some((id, secret))) => {
                let mut form = vec![("grant_type", "client_credentials"), ("client_secret", secret.expose())];
                form.extend(id.iter().map(|id| ("client_id", id.expose())));
                self.ask(form, false).await.map(Some)
            }
            (None, None) => Ok(None),
        }
    }

    /// Asks the token endpoint. A token that is lost on the way harms nobody, so that asking again is safe.
    async fn ask<'a>(
        &'a self,
        mut form: Vec<(&'a str, &'a str)>,
        exchange: bool,
    ) -> Result<(SecretString, Option<i64>)> {
        form.extend(self.extra.iter().map(|(name, value)| (*name, value.as_str())));
        let mut attempt = 1;
        loop {
            let mut pause = None;
            let request = self.client.post(&self.endpoint).headers(self.headers.clone());
            let mut request = request.timeout(self.timeout).form(&form);
            if let (true, Some((id, secret))) = (exchange, &self.credential) {
                request =
                    request.basic_auth(id.as_ref().map_or("", SecretString::expose), Some(secret.expose()));
            }
            let error = match request.send().await {
                Ok(reply) => {
                    let status = reply.status().as_u16();
                    let asked = reply.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                    pause = asked.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
                    let body = body_of(reply, REFUSAL_BYTES).await.ok().flatten().unwrap_or_default();
                    if (200..300).contains(&status) {
                        return self.granted(&body);
                    }
                    self.denied(status, &body)
                }
                Err(e) => match transport(e, &self.endpoint) {
                    Failure::NotSent(e) | Failure::Lost(e) => e.context("no token can be had"),
                },
            };
            let pause = pause.unwrap_or(Duration::from_millis(200 * u64::from(attempt)));
            if error.kind() != ErrorKind::Unavailable || attempt == ATTEMPTS || pause > PATIENCE {
                return Err(error);
            }
            self.env.sleep(pause).await;
            attempt += 1;
        }
    }

    fn granted(&self, body: &[u8]) -> Result<(SecretString, Option<i64>)> {
        let reply: TokenReply = serde_json::from_slice(body).map_err(|_| {
            self.no_endpoint(match message::is_page(body) {
                true => "it answered with a web page",
                false => "its reply holds no token",
            })
        })?;
        Ok((reply.access_token, reply.expires_in.map(|s| s.saturating_mul(1000)).or(self.assumed_life_ms)))
    }

    fn denied(&self, status: u16, body: &[u8]) -> Error {
        let oauth = serde_json::from_slice::<TokenError>(body).ok();
        let iceberg = serde_json::from_slice::<ErrorReply>(body).ok().map(|reply| reply.error);
        let code = oauth.as_ref().map_or("", |e| e.error.as_str());
        let endpoint = &self.endpoint;
        let secrets = self.secrets();
        let said = message::said(body).map(|said| message::safe(&said, secrets.iter().map(String::as_str)));
        let told = said.as_ref().map(|said| format!(": {said}")).unwrap_or_default();
        let named = iceberg.and_then(|e| e.kind).unwrap_or_default();
        if names_realm(&named) || said.as_deref().is_some_and(names_realm) {
            return Error::new(ErrorKind::Unauthenticated, format!("{endpoint} answered {status}{told}"))
                .with_hint("check `polaris.realm`: the server looks the principal up there");
        }
        match (status, code) {
            (_, "invalid_scope") => {
                let scope =
                    self.extra.iter().find(|(name, _)| *name == "scope").map_or("", |(_, v)| v.as_str());
                Error::new(
                    ErrorKind::Unauthenticated,
                    format!("{endpoint} refused the scope '{scope}'{told}"),
                )
                .with_hint("check `scope`; Polaris: PRINCIPAL_ROLE:ALL, or PRINCIPAL_ROLE:<role>")
            }
            (_, "invalid_client" | "unauthorized_client") | (401 | 403, _) => Error::new(
                ErrorKind::Unauthenticated,
                format!("{endpoint} refused the client's id and secret{told}"),
            )
            .with_hint(match self.headers.contains_key(REALM) {
                true => {
                    "check `credential` (id:secret), and `polaris.realm`, in which the server looks for it"
                }
                false => {
                    "check `credential` (id:secret); for Polaris also `polaris.realm`, if it has several"
                }
            }),
            (_, "invalid_grant") => Error::new(
                ErrorKind::Unauthenticated,
                format!("{endpoint} refused the token it was to exchange{told}"),
            )
            .with_hint("get a new `token`"),
            (429 | 502..=504, _) => {
                Error::new(ErrorKind::Unavailable, format!("{endpoint} answered {status}{told}"))
                    .with_hint("try again")
            }
            (500.., _) => Error::new(ErrorKind::Io, format!("{endpoint} failed with {status}{told}"))
                .with_hint("see the log of the server"),
            // Nobody is at this address who gives tokens, whatever the body looks like.
            (300..=399 | 404 | 405, _) => self.no_endpoint(&format!("it answered {status}{told}")),
            _ if oauth.is_some() || said.is_some() && !message::is_page(body) => {
                Error::new(ErrorKind::Unauthenticated, format!("{endpoint} gave no token: {status}{told}"))
                    .with_hint("check `credential`, `scope`, `audience` and `resource`")
            }
            _ => self.no_endpoint(&format!("it answered {status}{told}")),
        }
    }

    fn no_endpoint(&self, why: &str) -> Error {
        let endpoint = &self.endpoint;
        let hint = match self.own_endpoint {
            true => format!(
                "{CHECK_URI}; or set `oauth2-server-uri` to the token endpoint of the identity provider"
            ),
            false => "set `oauth2-server-uri` to the token endpoint of the identity provider".to_owned(),
        };
        // Below `uri`, that is what is wrong.
        let kind = if self.own_endpoint { ErrorKind::Validation } else { ErrorKind::Unauthenticated };
        Error::new(kind, format!("{endpoint} is no OAuth2 token endpoint: {why}")).with_hint(hint)
    }
}

/// When a token that ends at `end` is renewed.
fn renewal(end: i64, now: i64) -> i64 {
    end.saturating_sub((end.saturating_sub(now) / 10).clamp(0, MARGIN_MS))
}

/// The headers of a request for a token: those of every request, but none that says who asks or what is sent. A token
/// endpoint on another host is another party, and gets the realm only.
fn token_headers(all: &HeaderMap, same_origin: bool) -> HeaderMap {
    let mut headers = all.clone();
    for name in [AUTHORIZATION, CONTENT_TYPE, CONTENT_LENGTH, HOST] {
        headers.remove(name);
    }
    headers.remove(DELEGATION);
    if !same_origin {
        let kept = [ACCEPT.as_str(), REALM];
        let others: Vec<_> = headers.keys().filter(|name| !kept.contains(&name.as_str())).cloned().collect();
        for name in others {
            headers.remove(name);
        }
    }
    headers
}

/// When a JSON Web Token ends (RFC 7519, section 4.1.4), in milliseconds; `None` for any other token.
pub(crate) fn jwt_end(token: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Claims {
        exp: f64,
    }
    let payload = token.split('.').nth(1)?;
    let json = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&json).ok()?;
    Some((claims.exp * 1000.0) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_may_stand_for_the_end_of_a_token() {
        for end in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX] {
            for now in [0, 1_700_000_000_000] {
                let at = renewal(end, now);
                assert!(at <= end && end.saturating_sub(at) <= MARGIN_MS, "{end} {now}: {at}");
            }
        }
        for exp in ["1e400", "-1e300", "1e300", "9223372036854775807", "NaN"] {
            let claims =
                base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{exp}}}"));
            let _any = jwt_end(&format!("h.{claims}.s"));
        }
    }

    #[test]
    fn a_jwt_says_when_it_ends() {
        let payload =
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(br#"{"sub":"a","exp":1700000000}"#);
        assert_eq!(jwt_end(&format!("h.{payload}.s")), Some(1_700_000_000_000));
        assert_eq!(jwt_end("opaque"), None);
        assert_eq!(jwt_end("a.b.c"), None);
    }
}
