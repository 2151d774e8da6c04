//! Why there are no credentials.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use floe_core::{Error, ErrorKind};

/// Characters of a cause that are passed on.
const LONGEST: usize = 200;

/// No credentials are to be had: `Unauthenticated`, or `Unavailable` where their source cannot be reached. The caller
/// says by a hint which properties there are.
pub fn no_credentials(error: &CredentialsError) -> Error {
    let what = match error {
        CredentialsError::ProviderTimedOut(_) => {
            let what = "the source of AWS credentials did not answer in time";
            return Error::new(ErrorKind::Unavailable, what);
        }
        CredentialsError::InvalidConfiguration(_) => "the AWS configuration files are not valid",
        CredentialsError::CredentialsNotLoaded(_) => "there are no AWS credentials",
        _ => "the source of AWS credentials failed",
    };
    let cause = cause(error);
    let unreachable = ["dns error", "connection refused", "connect error", "tls"];
    let kind = match unreachable.iter().any(|words| cause.to_lowercase().contains(words)) {
        true => ErrorKind::Unavailable,
        false => ErrorKind::Unauthenticated,
    };
    Error::new(kind, if cause.is_empty() { what.to_owned() } else { format!("{what}: {cause}") })
}

/// The first line of the last cause, or what STS says of a request: of a signature it may quote what was signed, so that
/// no more than one sentence is taken.
fn cause(error: &CredentialsError) -> String {
    let mut last: &(dyn StdError + 'static) = error;
    while let Some(source) = last.source() {
        last = source;
    }
    let text = last.to_string();
    // What a service answered shows as its fields.
    let text = match text.split_once("message: \"").and_then(|(_, rest)| rest.split_once('"')) {
        Some((message, _)) => message,
        None => text.lines().next().unwrap_or_default(),
    };
    let sentence = text.split_once(". ").map_or(text, |(first, _)| first);
    sentence.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_and_no_more_than_one_sentence_of_it() {
        let said = "the signature does not match. It should have been x-amz-security-token:hunter2";
        let error = no_credentials(&CredentialsError::provider_error(said));
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert!(error.to_string().contains("does not match"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        let answered = "Error { code: \"AccessDenied\", message: \"not for you\", request_id: \"1\" }";
        let error = no_credentials(&CredentialsError::provider_error(answered));
        assert_eq!(error.message(), "the source of AWS credentials failed: not for you");
        let error =
            no_credentials(&CredentialsError::provider_error("tcp connect error: Connection refused"));
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}
