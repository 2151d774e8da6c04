//! Connection strings, as the portal of Azure shows them.

use floe_core::{Error, Result, SecretString};

/// The account and key of every emulator, which are published.
const EMULATOR: &str = "AccountName=devstoreaccount1;AccountKey=\
    Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;\
    BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1";

/// What a connection string says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ConnectionString {
    pub(crate) account: Option<String>,
    pub(crate) key: Option<SecretString>,
    pub(crate) sas: Option<SecretString>,
    pub(crate) endpoint: Option<String>,
}

impl ConnectionString {
    /// Reads `AccountName=…;AccountKey=…;EndpointSuffix=…`. The error quotes nothing.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut parsed = Self::default();
        let (mut protocol, mut suffix) = ("https", None);
        for pair in text.split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(|| {
                Error::validation("adls.connection-string is not of the form name=value;name=value")
            })?;
            match key.to_ascii_lowercase().as_str() {
                "accountname" => parsed.account = Some(value.to_owned()),
                "accountkey" => parsed.key = Some(SecretString::new(value)),
                "sharedaccesssignature" => parsed.sas = Some(SecretString::new(value)),
                "blobendpoint" => parsed.endpoint = Some(value.trim_end_matches('/').to_owned()),
                "endpointsuffix" => suffix = Some(value),
                "defaultendpointsprotocol" => protocol = value,
                "usedevelopmentstorage" if value.eq_ignore_ascii_case("true") => {
                    return Self::parse(EMULATOR);
                }
                _ => {}
            }
        }
        if parsed.endpoint.is_none()
            && let (Some(account), Some(suffix)) = (&parsed.account, suffix)
        {
            parsed.endpoint = Some(format!("{protocol}://{account}.blob.{suffix}"));
        }
        if parsed.account.is_none() && parsed.sas.is_none() {
            return Err(Error::validation("adls.connection-string has no AccountName"));
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_of_the_portal_is_read() {
        let parsed = ConnectionString::parse(
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=aGk=;EndpointSuffix=core.windows.net",
        )
        .unwrap();
        assert_eq!(parsed.account.as_deref(), Some("a"));
        assert_eq!(parsed.key.unwrap().expose(), "aGk=");
        assert_eq!(parsed.endpoint.as_deref(), Some("https://a.blob.core.windows.net"));
    }

    #[test]
    fn the_emulator_has_a_short_name() {
        let parsed = ConnectionString::parse("UseDevelopmentStorage=true").unwrap();
        assert_eq!(parsed.endpoint.as_deref(), Some("http://127.0.0.1:10000/devstoreaccount1"));
    }

    #[test]
    fn what_is_none_is_refused_and_not_shown() {
        for text in ["hunter2", "AccountKey=hunter2"] {
            let error = ConnectionString::parse(text).unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
