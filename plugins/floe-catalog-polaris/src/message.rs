//! What a server says for itself: found in its answer, made safe to show.

use floe_core::text::escape;
use serde_json::Value;

/// Characters of a server's message that are passed on.
const MESSAGE_CHARS: usize = 400;
/// Shorter values are too common to be taken for secrets.
const SECRET_CHARS: usize = 6;

/// What an answer says in words, wherever servers and proxies put it: the error of the protocol, an OAuth2 error, the
/// usual fields of other JSON, the title of a web page, or a line of text. Not yet safe to show.
pub(crate) fn said(body: &[u8]) -> Option<String> {
    if let Ok(json) = serde_json::from_slice::<Value>(body) {
        return in_json(&json);
    }
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    if is_page(body) {
        let title = between(text, "<title", "</title").and_then(|t| t.split_once('>')).map(|(_, t)| t.trim());
        return Some(match title.filter(|title| !title.is_empty()) {
            Some(title) => format!("a web page, '{title}'"),
            None => "a web page".to_owned(),
        });
    }
    Some(text.to_owned())
}

/// Whether a body is HTML or XML, which no catalog answers.
pub(crate) fn is_page(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'<')
}

/// A message without secrets, control characters and what makes it longer than a line or two.
pub(crate) fn safe<'a>(message: &str, secrets: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = message.to_owned();
    let mut secrets: Vec<&str> = secrets.into_iter().filter(|s| !s.is_empty()).collect();
    // A secret that holds another one goes first.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in secrets {
        text = text.replace(secret, "***");
    }
    // Cut after the secrets are out of it: a part of one is one too.
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    let mut out = String::new();
    for (i, c) in line.chars().enumerate() {
        if i == MESSAGE_CHARS {
            out.push('…');
            break;
        }
        out.push(c);
    }
    escape(&out).into_owned()
}

/// Whether a header's value is long enough to be kept out of messages.
pub(crate) fn may_be_secret(value: &str) -> bool {
    value.chars().count() >= SECRET_CHARS
}

fn in_json(json: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned);
    let error = json.get("error");
    let message = error.and_then(|e| e.get("message")).and_then(text);
    if message.is_some() {
        return message;
    }
    let code = error.and_then(text);
    let described = ["error_description", "message", "Message", "detail", "title", "errorMessage"]
        .into_iter()
        .find_map(|key| json.get(key).and_then(text));
    match (code, described) {
        (Some(code), Some(described)) => Some(format!("{code}: {described}")),
        (code, described) => described.or(code),
    }
}

/// What stands between two marks, whatever their case.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let lower = text.to_ascii_lowercase();
    let start = lower.find(open)? + open.len();
    let end = lower[start..].find(close)? + start;
    text.get(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_found_wherever_it_stands() {
        for (body, expected) in [
            (r#"{"error":{"message":"no warehouse","type":"X","code":404}}"#, Some("no warehouse")),
            (r#"{"error":"invalid_client","error_description":"who?"}"#, Some("invalid_client: who?")),
            (r#"{"error":"invalid_client"}"#, Some("invalid_client")),
            (r#"{"message":"Forbidden"}"#, Some("Forbidden")),
            (r#"{"title":"Not Found","status":404}"#, Some("Not Found")),
            ("<!doctype html><HTML><Title lang=en> 404 here </TITLE>", Some("a web page, '404 here'")),
            (" <html><body>x", Some("a web page")),
            ("upstream connect error", Some("upstream connect error")),
            ("", None),
            ("{}", None),
        ] {
            assert_eq!(said(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn what_is_shown_is_short_plain_and_without_secrets() {
        let long = "x".repeat(2000);
        assert_eq!(safe(&long, []).chars().count(), MESSAGE_CHARS + 1);
        assert_eq!(safe("a\nb\tc \u{1b}[31mred\u{202e}", []), r"a b c \u001b[31mred\u202e");
        assert_eq!(safe("id hunter2 hunter22 x", ["hunter2", "hunter22", ""]), "id *** *** x");
        let cut = format!("{}hunter2", "y".repeat(MESSAGE_CHARS - 3));
        assert!(!safe(&cut, ["hunter2"]).contains("hun"), "a part of a secret is one too");
    }
}
