//! Requests to servers on this machine: whether they answer, and the making of buckets.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use ureq::Agent;

/// Sends requests; every status is an answer.
fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(20)))
        .proxy(None)
        .build()
        .into()
}

/// The status of a GET; `None` when nobody answers.
pub(super) fn status(url: &str) -> Option<u16> {
    agent().get(url).call().ok().map(|answer| answer.status().as_u16())
}

/// Sends a request without a body, or with one of JSON. Fails unless the answer is a success.
pub(super) fn send(method: &str, url: &str, headers: &[(String, String)], body: Option<&str>) -> Result<()> {
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let body = body.unwrap_or_default().to_owned();
    let mut answer =
        agent().run(request.body(body)?).with_context(|| format!("{method} {url} has no answer"))?;
    if !answer.status().is_success() {
        let text = answer.body_mut().read_to_string().unwrap_or_default();
        bail!("{method} {url} was answered with {}: {text}", answer.status());
    }
    Ok(())
}

/// A token for client credentials (OAuth 2.0).
pub(super) fn token(url: &str, id: &str, secret: &str, scope: &str) -> Result<String> {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", id),
        ("client_secret", secret),
        ("scope", scope),
    ];
    let mut answer = agent().post(url).send_form(form).with_context(|| format!("{url} has no answer"))?;
    let text = answer.body_mut().read_to_string()?;
    if !answer.status().is_success() {
        bail!("{url} was answered with {}", answer.status());
    }
    let answer: serde_json::Value = serde_json::from_str(&text)?;
    let token = answer.get("access_token").and_then(serde_json::Value::as_str);
    token.map(str::to_owned).with_context(|| format!("{url} gave no token"))
}
