//! The HTTP client that every store of a plugin shares.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use floe_core::{Error, Result};
use http::header::DATE;
use http::{HeaderMap, HeaderName, StatusCode, Uri};
use object_store::ClientOptions;
use object_store::client::{
    ClientConfigKey, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};

use super::body::WatchedBody;
use super::clock::seconds_ahead;
use super::failure::{Failed, Failure, innermost};
use super::listing::{is_listing, with_protected_keys};
use super::options::NetworkOptions;
use super::xml::has_plain_tags;

/// S3 names the right region of a bucket in this header of an answer to the wrong one.
const REGION_HEADER: &str = "x-amz-bucket-region";
/// The pause before the second attempt to connect; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Answers that are no content of an object have no more bytes: a page of a listing holds a thousand keys.
const ANSWER_BYTES: u64 = 64 << 20;
/// `object_store` asks for this limit where the metadata service of a machine is asked for credentials, which
/// answers at once or is not there.
const METADATA_SERVICE: &str = "1s";

/// Sends the requests of all stores that are given it, over connections that they share.
///
/// It adds to the client of `object_store`: trying to connect ends after
/// [`connect_patience`](NetworkOptions::connect_patience), a failing TLS handshake at once; the time for an
/// answer grows with the size of the request, and a body may take as long as it keeps coming.
#[derive(Clone)]
pub struct Network {
    client: reqwest::Client,
    options: NetworkOptions,
    renewal: Option<Arc<dyn Renewal>>,
}

impl Network {
    /// A client. Makes no request. `Validation` for a proxy or certificates that cannot be used.
    pub fn new(options: NetworkOptions) -> Result<Self> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("floe/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(options.connect_timeout)
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(30))
            .http1_only();
        if let Some(proxy) = &options.proxy {
            // The error would quote the URL, which may hold a password.
            let proxy = reqwest::Proxy::all(proxy.expose())
                .map_err(|_| Error::validation("the proxy is not a valid URL"))?;
            builder = builder.proxy(proxy);
        }
        if let Some(path) = &options.ca_file {
            let pem = std::fs::read(path)
                .map_err(|e| Error::from(e).context(format!("the certificate file {path}")))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .ok()
                .filter(|found| !found.is_empty())
                .ok_or_else(|| Error::validation(format!("{path} holds no PEM certificates")))?;
            for certificate in certificates {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &options.headers {
            let invalid = || Error::validation(format!("the header {name} has no valid name or value"));
            let key: HeaderName = name.parse().map_err(|_| invalid())?;
            headers.insert(key, value.parse().map_err(|_| invalid())?);
        }
        let client = builder
            .default_headers(headers)
            .build()
            .map_err(|e| Error::validation(format!("the HTTP client cannot be set up: {}", innermost(&e))))?;
        Ok(Self { client, options, renewal: None })
    }

    /// How requests are sent.
    pub fn options(&self) -> &NetworkOptions {
        &self.options
    }

    /// The same connections for one store, whose requests are sent once more with new credentials when the store
    /// refuses those they were signed with.
    pub fn with_renewal(&self, renewal: Arc<dyn Renewal>) -> Self {
        Self { renewal: Some(renewal), ..self.clone() }
    }

    /// The answer to a request; sends it again if its credentials were refused and there are others.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = self.send_once(&request).await?;
        if !may_be_refusal(answer.status()) {
            return Ok(answer);
        }
        let (parts, body) = answer.into_parts();
        let body = body.bytes().await?;
        let text = String::from_utf8_lossy(&body);
        let again = match &self.renewal {
            Some(renewal) if parts.status == StatusCode::UNAUTHORIZED || refuses_credentials(&text) => {
                // The error comes back whole on the other side of `object_store`.
                let failed = |e: Error| HttpError::new(HttpErrorKind::Unknown, not_renewed(e, &text));
                renewal.renew(request.clone()).await.map_err(failed)?
            }
            _ => None,
        };
        if let Some(again) = again {
            return self.send_once(&again).await;
        }
        if parts.status == StatusCode::UNAUTHORIZED || refuses_signature(&text) {
            let date = parts.headers.get(DATE).and_then(|date| date.to_str().ok());
            if let Some(ahead) = date.and_then(seconds_ahead) {
                return Err(failed(request.uri(), HttpErrorKind::Unknown, Failure::Clock(ahead)));
            }
        }
        Ok(HttpResponse::from_parts(parts, body.into()))
    }

    async fn send_once(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        let limit = self.options.until_response(request.body().content_length());
        let Ok(answer) = tokio::time::timeout(limit, self.connect_and_send(request)).await else {
            return Err(failed(request.uri(), HttpErrorKind::Timeout, Failure::NoAnswer(limit)));
        };
        let (parts, body) = answer?.into_parts();
        let object = parts.status.is_success()
            && request.method() == http::Method::GET
            && !is_listing(request.method(), request.uri());
        let most = if object { u64::MAX } else { ANSWER_BYTES };
        let body = HttpResponseBody::new(WatchedBody::new(body, self.options.idle_timeout, most));
        Ok(HttpResponse::from_parts(parts, body))
    }

    /// The answer to a request; repeats what could not be connected, as long as patience lasts.
    async fn connect_and_send(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match HttpService::call(&self.client, request.clone()).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let Some(failure) = Failure::of(&error) else { return Err(error) };
            let patience = self.options.connect_patience.saturating_sub(started.elapsed() + pause);
            if failure.is_final() || patience.is_zero() {
                // Of this kind, nobody tries again.
                return Err(failed(request.uri(), HttpErrorKind::Unknown, failure));
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}

impl HttpConnector for Network {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let mut network = self.clone();
        let limit = options.get_config_value(&ClientConfigKey::ConnectTimeout);
        if limit.as_deref() == Some(METADATA_SERVICE) {
            network.options.connect_patience = Duration::ZERO;
            network.options.response_timeout = Duration::from_secs(2);
        }
        Ok(HttpClient::new(network))
    }
}

#[async_trait]
impl HttpService for Network {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let uri = request.uri().clone();
        let listing = is_listing(request.method(), &uri);
        // The answers that are read as XML; the other ones are files.
        let read_as_xml = listing || request.method() == http::Method::POST;
        let mut answer = self.send(request).await?;
        if read_as_xml && answer.status().is_success() {
            let (parts, body) = answer.into_parts();
            let mut body = body.bytes().await?;
            if !has_plain_tags(&body) {
                return Err(failed(&uri, HttpErrorKind::Unknown, Failure::OddXml));
            }
            if let Some(protected) = listing.then(|| with_protected_keys(&body)).flatten() {
                body = protected.into();
            }
            answer = HttpResponse::from_parts(parts, body.into());
        }
        if answer.status().is_redirection()
            && let Some(region) = answer.headers().get(REGION_HEADER).and_then(|r| r.to_str().ok())
        {
            return Err(failed(&uri, HttpErrorKind::Unknown, Failure::WrongRegion(region.to_owned())));
        }
        Ok(answer)
    }
}

/// Without the client, whose own form shows the proxy with its password.
impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Signs requests anew.
#[async_trait]
pub trait Renewal: std::fmt::Debug + Send + Sync {
    /// The request with other credentials than those that were refused; nothing where it cannot be signed anew.
    /// Fails as the source of the credentials does.
    async fn renew(&self, request: HttpRequest) -> Result<Option<HttpRequest>>;
}

/// A failure with the address that was tried, and no more of the URL: queries may hold a signature.
fn failed(uri: &Uri, kind: HttpErrorKind, failure: Failure) -> HttpError {
    let scheme = uri.scheme_str().unwrap_or("http");
    let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    let address = format!("{scheme}://{}{port}", uri.host().unwrap_or_default());
    HttpError::new(kind, Failed { address, failure })
}

/// Credentials were refused, and asking for others failed.
fn not_renewed(error: Error, refusal: &str) -> Error {
    let ended = ["<Code>ExpiredToken", "<Code>TokenRefreshRequired", "is expired"];
    let what = match ended.iter().any(|words| refusal.contains(words)) {
        true => "the credentials have expired and could not be renewed",
        false => "the store refuses the credentials, and they could not be renewed",
    };
    error.context(what)
}

/// Whether a store that refuses credentials may answer so.
fn may_be_refusal(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

/// Whether the body of an answer says that the credentials have ended or are none, not that they are too weak.
fn refuses_credentials(body: &str) -> bool {
    const CODES: &[&str] = &[
        "ExpiredToken",
        "TokenRefreshRequired",
        "InvalidToken",
        "InvalidTokenId",
        "InvalidAccessKeyId",
        "AuthenticationFailed",
        "InvalidAuthenticationInfo",
    ];
    CODES.iter().any(|code| body.contains(&format!("<Code>{code}</Code>")))
        || body.contains("Server failed to authenticate the request")
}

/// Whether the body of an answer says that the signature is not right, which a wrong clock makes it too.
fn refuses_signature(body: &str) -> bool {
    const CODES: &[&str] = &["SignatureDoesNotMatch", "RequestTimeTooSkewed", "AuthenticationFailed"];
    CODES.iter().any(|code| body.contains(&format!("<Code>{code}</Code>")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_neither_password_nor_query() {
        let uri: Uri = "https://ann:hunter2@host:9000/b/x?sig=hunter2".parse().unwrap();
        let error = failed(&uri, HttpErrorKind::Unknown, Failure::Refused);
        let shown = format!("{error:?} {}", innermost(&error));
        assert!(shown.contains("https://host:9000") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn lack_of_permission_is_no_reason_for_new_credentials() {
        assert!(refuses_credentials("<Error><Code>ExpiredToken</Code></Error>"));
        assert!(!refuses_credentials(
            "<Error><Code>AccessDenied</Code><Message>ExpiredToken</Message></Error>"
        ));
    }
}
