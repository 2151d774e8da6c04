//! A store of objects in memory that keeps keys as they come: what S3, Google Cloud Storage (XML) and Azure promise, and
//! what stores over a file system do not keep.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::server::{Answer, HttpServer, Reply, Request};

/// What a listing gives at once: few, so that tests see several pages.
const PAGE: usize = 3;
const DATE: &str = "Thu, 01 Jan 2026 00:00:00 GMT";

/// A server of the requests that `object_store` makes of S3, Google Cloud Storage and Azure: put, get, ranges, head,
/// delete, delete many, list. It checks no signature and takes no uploads in parts.
///
/// The first part of a path is the bucket: `http://127.0.0.1:PORT/bucket/key`. For Azure two are: account and container.
#[derive(Debug)]
pub struct ObjectServer {
    server: HttpServer,
    objects: Objects,
}

type Objects = Arc<Mutex<BTreeMap<String, Bytes>>>;

impl ObjectServer {
    /// Starts a server with one empty bucket, whatever it is called; `roots` parts of a path come before a key: 1 for a
    /// bucket, 2 for account and container.
    pub async fn start(roots: usize) -> Self {
        let objects: Objects = Arc::default();
        let shared = objects.clone();
        let server = HttpServer::start(move |request| {
            let answer = answer(&mut lock(&shared), &request, roots);
            async move { Answer::from(answer) }
        })
        .await;
        Self { server, objects }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn uri(&self) -> String {
        self.server.uri()
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }

    /// The keys that are there, byte for byte.
    pub fn keys(&self) -> Vec<String> {
        lock(&self.objects).keys().cloned().collect()
    }

    /// Puts an object as another client would.
    pub fn put(&self, key: &str, content: &[u8]) {
        lock(&self.objects).insert(key.to_owned(), Bytes::copy_from_slice(content));
    }

    /// Forgets everything.
    pub fn clear(&self) {
        lock(&self.objects).clear();
    }
}

fn answer(objects: &mut BTreeMap<String, Bytes>, request: &Request, roots: usize) -> Reply {
    let path = request.path().strip_prefix('/').unwrap_or_default();
    // The key is what follows the bucket and one slash.
    let key = decoded(path.splitn(roots + 1, '/').nth(roots).unwrap_or_default());
    let query = |name: &str| request.query(name).map(|value| decoded(&value.replace('+', " ")));
    let flag =
        |name: &str| request.target.split_once('?').is_some_and(|(_, q)| q.split('&').any(|p| p == name));
    let azure = roots == 2;
    match request.method.as_str() {
        "GET" if query("list-type").is_some() || query("comp").as_deref() == Some("list") => {
            let after = query("continuation-token").or(query("marker")).unwrap_or_default();
            listing(objects, &query("prefix").unwrap_or_default(), &after, azure)
        }
        "GET" | "HEAD" => found(objects.get(&key), request),
        "PUT" => {
            objects.insert(key, request.body.clone());
            Reply::status(if azure { 201 } else { 200 })
                .with_header("etag", "\"1\"")
                .with_header("last-modified", DATE)
        }
        "DELETE" => match objects.remove(&key) {
            Some(_) => Reply::status(if azure { 202 } else { 204 }),
            None if azure => failed(404, "BlobNotFound"),
            None => Reply::status(204),
        },
        "POST" if flag("delete") || flag("delete=") => delete_many(objects, &request.body),
        "POST" if query("comp").as_deref() == Some("batch") => delete_batch(objects, request, roots),
        _ => failed(501, "NotImplemented"),
    }
}

fn found(object: Option<&Bytes>, request: &Request) -> Reply {
    let Some(content) = object else { return failed(404, "NoSuchKey") };
    let length = content.len();
    let range =
        request.header("range").or(request.header("x-ms-range")).and_then(|r| r.strip_prefix("bytes="));
    let (status, from, to) = match range.and_then(|range| range.split_once('-')) {
        Some((from, to)) => {
            let from: usize = from.parse().unwrap_or_default();
            (206, from, to.parse().map_or(length, |to: usize| (to + 1).min(length)))
        }
        None => (200, 0, length),
    };
    if from > to || (status == 206 && from >= length) {
        return failed(416, "InvalidRange");
    }
    let reply = Reply::status(status).with_header("etag", "\"1\"").with_header("last-modified", DATE);
    let reply = match status {
        206 => reply.with_header("content-range", &format!("bytes {from}-{}/{length}", to.saturating_sub(1))),
        _ => reply,
    };
    if request.method == "HEAD" {
        return reply.with_header("content-length", &length.to_string());
    }
    Reply { body: content.slice(from..to), ..reply }
}

fn listing(objects: &BTreeMap<String, Bytes>, prefix: &str, after: &str, azure: bool) -> Reply {
    let mut found = objects.iter().filter(|(key, _)| key.starts_with(prefix) && key.as_str() > after);
    let page: Vec<_> = found.by_ref().take(PAGE).collect();
    let next = found.next().and(page.last()).map(|(key, _)| escaped(key));
    let mut entries = String::new();
    for (key, content) in &page {
        let (key, size) = (escaped(key), content.len());
        let entry = match azure {
            true => format!(
                "<Blob><Name>{key}</Name><Properties><Last-Modified>{DATE}</Last-Modified><Content-Length>{size}\
                 </Content-Length><Content-Type>x/y</Content-Type><Etag>1</Etag></Properties></Blob>"
            ),
            false => format!(
                "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>1</ETag>\
                 <Size>{size}</Size></Contents>"
            ),
        };
        entries.push_str(&entry);
    }
    let body = if azure {
        let next = next.unwrap_or_default();
        format!(
            "<EnumerationResults><Blobs>{entries}</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"
        )
    } else {
        let token = next.map(|next| format!("<NextContinuationToken>{next}</NextContinuationToken>"));
        let token = token.unwrap_or_default();
        format!("<ListBucketResult>{token}{entries}</ListBucketResult>")
    };
    xml(200, body)
}

/// `DeleteObjects` of S3.
fn delete_many(objects: &mut BTreeMap<String, Bytes>, body: &[u8]) -> Reply {
    let text = String::from_utf8_lossy(body).into_owned();
    let mut deleted = String::new();
    for part in text.split("<Key>").skip(1) {
        let raw = part.split("</Key>").next().unwrap_or_default();
        objects.remove(&unescaped(raw));
        let _ = write!(deleted, "<Deleted><Key>{raw}</Key></Deleted>");
    }
    xml(200, format!("<DeleteResult>{deleted}</DeleteResult>"))
}

/// The batch of deletions of Azure.
fn delete_batch(objects: &mut BTreeMap<String, Bytes>, request: &Request, roots: usize) -> Reply {
    let text = String::from_utf8_lossy(&request.body).into_owned();
    let mut body = String::new();
    let lines = text.lines().filter_map(|line| line.strip_prefix("DELETE ")?.strip_suffix(" HTTP/1.1"));
    for (id, target) in lines.enumerate() {
        let path = target.split('?').next().unwrap_or_default().trim_start_matches('/');
        let key = decoded(path.splitn(roots + 1, '/').nth(roots).unwrap_or_default());
        let status = if objects.remove(&key).is_some() {
            "202 Accepted"
        } else {
            "404 The specified blob does not exist."
        };
        let _ = write!(
            body,
            "--batch\r\nContent-Type: application/http\r\nContent-ID: {id}\r\n\r\nHTTP/1.1 {status}\r\n\
             x-ms-request-id: 1\r\n\r\n"
        );
    }
    body.push_str("--batch--\r\n");
    Reply { body: body.into(), ..Reply::status(202) }
        .with_header("content-type", "multipart/mixed; boundary=batch")
}

fn failed(status: u16, code: &str) -> Reply {
    xml(status, format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>"))
        .with_header("x-ms-error-code", code)
}

fn xml(status: u16, body: String) -> Reply {
    Reply { body: body.into(), ..Reply::status(status) }.with_header("content-type", "application/xml")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn unescaped(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    text.replace("&amp;", "&")
}

/// Percent-encoded text; a plus sign is one.
fn decoded(text: &str) -> String {
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
