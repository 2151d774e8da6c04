//! AWS Signature Version 4, as the REST endpoints of Glue and S3 Tables ask for it.

use bytes::Bytes;
use floe_core::{Error, Result};

use crate::config::RestCatalogConfig;

#[cfg(not(feature = "sigv4"))]
pub(crate) use without::Signer;

#[cfg(feature = "sigv4")]
pub(crate) use with::Signer;

#[cfg(not(feature = "sigv4"))]
mod without {
    use super::{Bytes, Error, RestCatalogConfig, Result};

    /// There is none in this binary.
    #[derive(Debug)]
    pub(crate) enum Signer {}

    impl Signer {
        pub(crate) fn new(config: &RestCatalogConfig) -> Result<Option<Self>> {
            if config.sigv4_enabled == Some(true) {
                return Err(Error::validation("this binary cannot sign requests for AWS")
                    .with_hint("build it with the cargo feature `catalog-polaris-sigv4`"));
            }
            Ok(None)
        }

        pub(crate) fn sign(&self, _: &mut reqwest::Request, _: Option<&Bytes>, _: i64) -> Result<()> {
            match *self {}
        }
    }
}

#[cfg(feature = "sigv4")]
mod with {
    use std::time::{Duration, SystemTime};

    use aws_credential_types::Credentials;
    use aws_sigv4::http_request::{
        PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign,
    };
    use aws_sigv4::sign::v4;
    use floe_core::{ErrorKind, SecretString};
    use reqwest::header::{HeaderName, HeaderValue};

    use super::{Bytes, Error, RestCatalogConfig, Result};

    /// Signs requests.
    #[derive(Debug)]
    pub(crate) struct Signer {
        region: String,
        service: String,
        access_key_id: SecretString,
        secret_access_key: SecretString,
        session_token: Option<SecretString>,
    }

    impl Signer {
        pub(crate) fn new(config: &RestCatalogConfig) -> Result<Option<Self>> {
            if config.sigv4_enabled != Some(true) {
                return Ok(None);
            }
            let or_env = |given: &Option<SecretString>, name: &str| {
                given.clone().or_else(|| std::env::var(name).ok().map(SecretString::new))
            };
            let missing = |what: &str, key: &str, variable: &str| {
                Error::validation(format!("requests cannot be signed without {what}"))
                    .with_hint(format!("set `{key}`, or {variable} in the environment"))
            };
            let region = config.signing_region.clone().or_else(|| std::env::var("AWS_REGION").ok());
            let (id, secret) = ("rest.access-key-id", "rest.secret-access-key");
            Ok(Some(Self {
                region: region.ok_or_else(|| missing("a region", "rest.signing-region", "AWS_REGION"))?,
                service: config.signing_name.clone().unwrap_or_else(|| "execute-api".to_owned()),
                access_key_id: or_env(&config.access_key_id, "AWS_ACCESS_KEY_ID")
                    .ok_or_else(|| missing("an access key", id, "AWS_ACCESS_KEY_ID"))?,
                secret_access_key: or_env(&config.secret_access_key, "AWS_SECRET_ACCESS_KEY")
                    .ok_or_else(|| missing("a secret key", secret, "AWS_SECRET_ACCESS_KEY"))?,
                // A token of the environment belongs to the keys of the environment.
                session_token: match config.access_key_id {
                    Some(_) => config.session_token.clone(),
                    None => or_env(&config.session_token, "AWS_SESSION_TOKEN"),
                },
            }))
        }

        /// Adds the headers of a signature made at `now_ms`.
        pub(crate) fn sign(
            &self,
            request: &mut reqwest::Request,
            body: Option<&Bytes>,
            now_ms: i64,
        ) -> Result<()> {
            let failed =
                |why: String| Error::new(ErrorKind::Internal, format!("a request cannot be signed: {why}"));
            let identity = Credentials::new(
                self.access_key_id.expose(),
                self.secret_access_key.expose(),
                self.session_token.as_ref().map(|token| token.expose().to_owned()),
                None,
                "floe",
            )
            .into();
            let mut settings = SigningSettings::default();
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
            let params = v4::SigningParams::builder()
                .identity(&identity)
                .region(&self.region)
                .name(&self.service)
                .time(SystemTime::UNIX_EPOCH + Duration::from_millis(now_ms.max(0) as u64))
                .settings(settings)
                .build()
                .map_err(|e| failed(e.to_string()))?
                .into();
            let (method, url) = (request.method().as_str().to_owned(), request.url().as_str().to_owned());
            let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
            let headers: Vec<(String, String)> =
                request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
            let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let content = SignableBody::Bytes(body.map_or(&[], |bytes| bytes.as_ref()));
            let signable =
                SignableRequest::new(&method, url, pairs, content).map_err(|e| failed(e.to_string()))?;
            let (instructions, _) = sign(signable, &params).map_err(|e| failed(e.to_string()))?.into_parts();
            for (name, value) in instructions.headers() {
                let invalid = |_| failed(format!("the header {name} is not valid"));
                let mut value = HeaderValue::from_str(value).map_err(|e| invalid(e.to_string()))?;
                value.set_sensitive(true);
                let name = HeaderName::from_bytes(name.as_bytes()).map_err(|e| invalid(e.to_string()))?;
                request.headers_mut().insert(name, value);
            }
            Ok(())
        }
    }
}
