//! What a store answered, read from the text of an error of `object_store`.
//!
//! Its retry errors are private types; their text holds method, URL, status and the body of the answer. The
//! body of S3 repeats parts of the request, signed headers among them, so that no more than the code and the
//! message are taken out of it.

/// The longest message of a store that is passed on.
const LONGEST: usize = 300;

/// What a store answered instead of doing what it was asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// The HTTP status; 0 where there is none.
    pub(super) status: u16,
    /// The error code of the store (`NoSuchBucket`); empty where there is none.
    pub(super) code: String,
    /// What the store says about it; empty where there is nothing.
    pub(super) message: String,
    /// Why Azure refuses credentials. Not shown: it repeats the signature.
    pub(super) detail: String,
}

impl Answer {
    /// Reads the text of an error; nothing when it tells of no answer.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let status = between(text, "status code: ", ' ')
            .and_then(|s| s.get(..3))
            .and_then(|s| s.parse().ok())
            .unwrap_or(0);
        let code = element(text, "Code")
            .or_else(|| between(text, "(code: ", ')'))
            .or_else(|| between(text, "\"error\":\"", '"'))
            .unwrap_or_default();
        let message = element(text, "Message")
            .or_else(|| between(text, "\"error_description\":\"", '"'))
            .unwrap_or_default();
        if status == 0 && code.is_empty() {
            return None;
        }
        let detail = element(text, "AuthenticationErrorDetail").map(one_line).unwrap_or_default();
        Some(Self { status, code: code.trim().to_owned(), message: one_line(message), detail })
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the store answered")?;
        if self.status != 0 {
            write!(f, " {}", self.status)?;
        }
        if !self.code.is_empty() {
            write!(f, " {}", self.code)?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(inside, _)| inside)
}

fn between<'a>(text: &'a str, before: &str, after: char) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after).map_or(rest, |(inside, _)| inside))
}

/// The first line without a final stop. Azure puts ids and the time into further lines.
fn one_line(message: &str) -> String {
    let line = message.trim().lines().next().unwrap_or("").trim_end_matches('.');
    line.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_message_are_taken_and_nothing_else() {
        let text = "Error performing GET https://h/b?X-Amz-Signature=hunter2 in 3ms - Server returned non-2xx \
                    status code: 403 Forbidden: <?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code>\
                    <Message>The signature does not match.\nRequestId: 1</Message>\
                    <CanonicalRequest>x-amz-security-token:hunter2</CanonicalRequest></Error>";
        let answer = Answer::parse(text).unwrap();
        assert_eq!(
            answer.to_string(),
            "the store answered 403 SignatureDoesNotMatch: The signature does not match"
        );
    }

    #[test]
    fn every_way_to_name_a_code_is_read() {
        let code = |text: &str| Answer::parse(text).map(|a| a.code).unwrap_or_default();
        assert_eq!(code("DeleteObjects request failed for key a: no (code: AccessDenied)"), "AccessDenied");
        assert_eq!(
            code("status code: 400 Bad Request: {\"error\":\"invalid_grant\",\"error_description\":\"no\"}"),
            "invalid_grant"
        );
        assert_eq!(Answer::parse("status code: 404 Not Found: ").unwrap().status, 404);
        assert_eq!(Answer::parse("connection closed"), None);
    }
}
