//! The XML interface of Google Cloud Storage before a server that has the JSON interface alone.
//!
//! fake-gcs-server answers uploads over XML with 400; the client of `object_store` speaks nothing else. This
//! adapter takes the requests that the client makes (objects, ranges, uploads in parts, listings, the condition
//! `x-goog-if-generation-match`) and makes the JSON requests that mean the same.

mod backend;
mod requests;
mod xml;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use backend::Backend;

/// A running adapter; it ends with this value.
#[derive(Debug)]
pub struct GcsXml {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl GcsXml {
    /// Starts an adapter before the JSON interface at `endpoint`, on a free port of this machine.
    pub async fn start(endpoint: &str) -> std::io::Result<Self> {
        Self::start_with(endpoint, Arc::default()).await
    }

    /// As [`start`](Self::start), but a request needs the access token that `accepted` holds at that time.
    pub async fn start_with(endpoint: &str, accepted: Accepted) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let backend = Arc::new(Backend::new(endpoint));
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let backend = Arc::clone(&backend);
                let accepted = Arc::clone(&accepted);
                let service = service_fn(move |request| {
                    let refused = !is_accepted(&accepted, &request);
                    answer(Arc::clone(&backend), request, refused)
                });
                let http = hyper::server::conn::http1::Builder::new();
                connections.spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { address, task })
    }

    /// The address of the XML interface, for `gcs.service.host`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for GcsXml {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The access token that requests need; none while it holds none.
pub type Accepted = Arc<Mutex<Option<String>>>;

type Answer = Response<Full<Bytes>>;

fn is_accepted(accepted: &Accepted, request: &Request<Incoming>) -> bool {
    let token = accepted.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(token) = &*token else { return true };
    request
        .headers()
        .get("authorization")
        .is_some_and(|given| given.as_bytes() == format!("Bearer {token}").as_bytes())
}

async fn answer(
    backend: Arc<Backend>,
    request: Request<Incoming>,
    refused: bool,
) -> Result<Answer, Infallible> {
    let (parts, body) = request.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Ok(error(StatusCode::BAD_REQUEST, "IncompleteBody")),
    };
    if refused {
        return Ok(error(StatusCode::UNAUTHORIZED, "AuthenticationRequired"));
    }
    let answer = requests::answer(&backend, &parts, body).await;
    Ok(answer.unwrap_or_else(|e| error(e.status, e.code)))
}

fn error(status: StatusCode, code: &str) -> Answer {
    let mut answer = Response::new(Full::new(xml::error(code).into()));
    *answer.status_mut() = status;
    answer
}
