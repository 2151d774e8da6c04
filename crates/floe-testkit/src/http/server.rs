//! An HTTP server on a free port of this machine.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A request, whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query as they came, still encoded: `/v1/config?warehouse=a`.
    pub target: String,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Request {
    /// The path, still encoded, without the query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&*self.target, |(path, _)| path)
    }

    /// The value of a query parameter, still encoded.
    pub fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        query.split('&').find_map(|pair| pair.split_once('=').filter(|(n, _)| *n == name).map(|(_, v)| v))
    }

    /// The value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// A whole reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// A reply without a body.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// A reply with a JSON body.
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("serialises").into();
        Self { body, ..Self::status(status) }.with_header("content-type", "application/json")
    }

    /// An error as the Iceberg REST specification has it (`ErrorModel`).
    pub fn iceberg_error(status: u16, kind: &str, message: &str) -> Self {
        let error = serde_json::json!({"error": {"message": message, "type": kind, "code": status}});
        Self::json(status, &error)
    }

    /// Adds a header.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// What a server does about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It replies.
    Reply(Reply),
    /// It closes the connection without a word.
    Close,
    /// It replies with this status and sends the same piece again and again, without end.
    Endless {
        /// The status code.
        status: u16,
        /// What is sent.
        piece: Bytes,
        /// How long it waits before each piece.
        pause: Duration,
    },
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

/// A server on `127.0.0.1` and a free port; it ends when it is dropped.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    accepting: JoinHandle<()>,
}

impl HttpServer {
    /// Starts a server that answers each request as `handler` says.
    pub async fn start<F, Fut>(handler: F) -> Self
    where
        F: Fn(Request) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Answer> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("the listener has an address");
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let seen = requests.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (handler, seen) = (handler.clone(), seen.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let (handler, seen) = (handler.clone(), seen.clone());
                        async move {
                            let request = whole(request).await.map_err(std::io::Error::other)?;
                            lock(&seen).push(request.clone());
                            answer(handler(request).await)
                        }
                    });
                    // An error is a connection that was closed on purpose, by either side.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { address, requests, accepting }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn uri(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far, in the order they came.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.requests).clone()
    }

    /// How many requests came so far with this method and a path that contains `path`.
    pub fn count(&self, method: &str, path: &str) -> usize {
        lock(&self.requests).iter().filter(|r| r.method == method && r.path().contains(path)).count()
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn whole(request: hyper::Request<Incoming>) -> Result<Request, hyper::Error> {
    let (head, body) = request.into_parts();
    let value = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Ok(Request {
        method: head.method.to_string(),
        target: head.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
        headers: head.headers.iter().map(|(name, v)| (name.to_string(), value(v))).collect(),
        body: body.collect().await?.to_bytes(),
    })
}

/// An error makes hyper close the connection.
fn answer(answer: Answer) -> std::io::Result<hyper::Response<Body>> {
    let reply = match answer {
        Answer::Reply(reply) => reply,
        Answer::Close => return Err(std::io::Error::other("closed on purpose")),
        Answer::Endless { status, piece, pause } => {
            let pieces = futures::stream::repeat(piece).then(move |piece| async move {
                tokio::time::sleep(pause).await;
                Ok(Frame::data(piece))
            });
            let body = StreamBody::new(pieces).boxed_unsync();
            let response = hyper::Response::builder().status(status);
            return response.body(body).map_err(std::io::Error::other);
        }
    };
    let mut response = hyper::Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(name, value);
    }
    let body = Full::new(reply.body).map_err(|never| match never {}).boxed_unsync();
    response.body(body).map_err(std::io::Error::other)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
