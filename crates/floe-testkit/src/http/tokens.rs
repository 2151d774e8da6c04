//! An OAuth2 token endpoint, and the check of the tokens it gave.

use std::collections::BTreeSet;

use serde_json::json;

use super::server::{Reply, Request};

/// Who gets a token. The rules of a [`super::FaultProxy`].
#[derive(Debug, Clone)]
pub struct TokenRules {
    /// The path of the token endpoint.
    pub path: String,
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: String,
    /// The scope a client must ask for, if any.
    pub scope: Option<String>,
    /// What clients are told of the lifetime of a token, in seconds. No clock ends a token here: see
    /// [`super::FaultProxy::revoke_tokens`].
    pub expires_in: Option<u64>,
    /// Tokens that are good from the start.
    pub good: Vec<String>,
    /// The realm in which the client is known, as Polaris has it: each request names its realm by the header
    /// `Polaris-Realm`, and without one means the first of `realms`.
    pub realm: Option<String>,
    /// The realms that there are.
    pub realms: Vec<String>,
}

impl TokenRules {
    /// The token endpoint `/v1/oauth/tokens` for one client; tokens are said to last an hour.
    pub fn new(client_id: &str, client_secret: &str) -> Self {
        Self {
            path: "/v1/oauth/tokens".into(),
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            scope: None,
            expires_in: Some(3600),
            good: Vec::new(),
            realm: None,
            realms: Vec::new(),
        }
    }

    /// The same client, known in `realm` alone, beside a default realm `POLARIS`.
    pub fn in_realm(self, realm: &str) -> Self {
        Self { realm: Some(realm.into()), realms: vec!["POLARIS".into(), realm.into()], ..self }
    }

    /// Why a request is not in the realm of the client; nothing where it is.
    fn outside(&self, request: &Request, token: bool) -> Option<Reply> {
        let realm = self.realm.as_ref()?;
        let asked =
            request.header("polaris-realm").or(self.realms.first().map(String::as_str)).unwrap_or_default();
        if !self.realms.iter().any(|known| known == asked) {
            return Some(Reply::iceberg_error(404, "MissingOrInvalidRealm", "Missing or invalid realm"));
        }
        if asked == realm {
            return None;
        }
        Some(match token {
            true => Reply::json(
                401,
                &json!({"error": "unauthorized_client", "error_description": "The client is not authorized"}),
            ),
            false => Reply::iceberg_error(401, "NotAuthorizedException", "the token is of another realm"),
        })
    }
}

/// Tokens that are good.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) rules: TokenRules,
    pub(super) good: BTreeSet<String>,
    pub(super) issued: usize,
}

impl Tokens {
    pub(super) fn new(rules: TokenRules) -> Self {
        let good = rules.good.iter().cloned().collect();
        Self { rules, good, issued: 0 }
    }

    /// The reply to a request for a token, and the refusal of a request without a good one; `None` lets it pass.
    pub(super) fn judge(&mut self, request: &Request) -> Option<Reply> {
        if request.path() == self.rules.path {
            return Some(self.rules.outside(request, true).unwrap_or_else(|| self.issue(request)));
        }
        if let Some(refusal) = self.rules.outside(request, false) {
            return Some(refusal);
        }
        let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        match token {
            Some(token) if self.good.contains(token) => None,
            Some(_) => Some(Reply::iceberg_error(401, "NotAuthorizedException", "the token is not good")),
            None => Some(Reply::iceberg_error(401, "NotAuthorizedException", "a token is needed")),
        }
    }

    /// RFC 6749, section 4.4, and RFC 8693.
    fn issue(&mut self, request: &Request) -> Reply {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let field = |name: &str| {
            body.split('&')
                .find_map(|pair| pair.split_once('=').filter(|(n, _)| *n == name).map(|(_, v)| decode(v)))
        };
        let refused = |error: &str| {
            let status = if error == "invalid_client" { 401 } else { 400 };
            Reply::json(
                status,
                &json!({"error": error, "error_description": "refused by the test's token endpoint"}),
            )
        };
        let granted = match field("grant_type").as_deref() {
            Some("client_credentials") => {
                field("client_id").as_ref() == Some(&self.rules.client_id)
                    && field("client_secret").as_ref() == Some(&self.rules.client_secret)
            }
            Some("urn:ietf:params:oauth:grant-type:token-exchange") => {
                field("subject_token").is_some_and(|token| self.good.contains(&token))
                    && field("subject_token_type").is_some()
            }
            _ => return refused("unsupported_grant_type"),
        };
        if !granted {
            return refused("invalid_client");
        }
        if self.rules.scope.is_some() && field("scope") != self.rules.scope {
            return refused("invalid_scope");
        }
        self.issued += 1;
        let token = format!("issued-token-{}", self.issued);
        self.good.insert(token.clone());
        let mut reply = json!({
            "access_token": token,
            "token_type": "bearer",
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        });
        if let Some(expires_in) = self.rules.expires_in {
            reply["expires_in"] = json!(expires_in);
        }
        Reply::json(200, &reply)
    }
}

/// `application/x-www-form-urlencoded`.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = (bytes[i] == b'%').then(|| text.get(i + 1..i + 3)).flatten();
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(byte);
            i += 3;
        } else {
            out.push(if bytes[i] == b'+' { b' ' } else { bytes[i] });
            i += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
