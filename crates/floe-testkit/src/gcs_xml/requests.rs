//! From requests of the XML interface to calls of the JSON interface.

use std::collections::HashMap;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode, header};

use super::backend::{Backend, Object, Refused};
use super::{Answer, xml};

/// Answers one request.
pub(super) async fn answer(backend: &Backend, request: &Parts, body: Bytes) -> Result<Answer, Refused> {
    let path = request.uri.path().trim_start_matches('/');
    let (bucket, name) = path.split_once('/').unwrap_or((path, ""));
    let (bucket, name) = (decode(bucket), decode(name));
    let query = query(request.uri.query().unwrap_or(""));
    let upload = query.get("uploadId").map(String::as_str);
    let condition = request.headers.get("x-goog-if-generation-match").and_then(|v| v.to_str().ok());
    match (&request.method, upload) {
        (&Method::GET, None) if name.is_empty() => list(backend, &bucket, &query).await,
        (&Method::GET, None) => get(backend, &bucket, &name, request).await,
        (&Method::HEAD, None) => {
            let object = backend.metadata(&bucket, &name).await?;
            let size = object.size.clone();
            respond(with_object(&object).header(header::CONTENT_LENGTH, size), Bytes::new())
        }
        (&Method::PUT, None) => {
            let object = backend.put(&bucket, &name, body, condition).await?;
            respond(with_object(&object), Bytes::new())
        }
        (&Method::PUT, Some(upload)) => put_part(backend, upload, &query, body),
        (&Method::POST, None) if query.contains_key("uploads") => {
            let upload = uuid::Uuid::new_v4().simple().to_string();
            backend.uploads().insert(upload.clone(), Default::default());
            respond(Response::builder(), xml::initiated(&upload).into())
        }
        (&Method::POST, Some(upload)) => complete(backend, &bucket, &name, upload, &body).await,
        (&Method::DELETE, Some(upload)) => match backend.uploads().remove(upload) {
            Some(_) => respond(Response::builder().status(StatusCode::NO_CONTENT), Bytes::new()),
            None => Err(Refused { status: StatusCode::NOT_FOUND, code: "NoSuchUpload" }),
        },
        (&Method::DELETE, None) => {
            backend.delete(&bucket, &name).await?;
            respond(Response::builder().status(StatusCode::NO_CONTENT), Bytes::new())
        }
        _ => Err(Refused { status: StatusCode::NOT_IMPLEMENTED, code: "NotImplemented" }),
    }
}

async fn get(backend: &Backend, bucket: &str, name: &str, request: &Parts) -> Result<Answer, Refused> {
    let object = backend.metadata(bucket, name).await?;
    let range = request.headers.get(header::RANGE).and_then(|v| v.to_str().ok());
    let found = backend.content(bucket, name, range).await?;
    let mut builder = with_object(&object).status(found.status());
    if let Some(range) = found.headers().get(header::CONTENT_RANGE) {
        builder = builder.header(header::CONTENT_RANGE, range.clone());
    }
    let broken = |_| Refused { status: StatusCode::BAD_GATEWAY, code: "IncompleteBody" };
    respond(builder, found.bytes().await.map_err(broken)?)
}

async fn list(backend: &Backend, bucket: &str, query: &HashMap<String, String>) -> Result<Answer, Refused> {
    let renamed = [
        ("prefix", "prefix"),
        ("continuation-token", "pageToken"),
        ("start-after", "startOffset"),
        ("max-keys", "maxResults"),
    ];
    let of = |(theirs, ours): &(&str, &'static str)| Some((*ours, query.get(*theirs)?.as_str()));
    let asked: Vec<(&str, &str)> = renamed.iter().filter_map(of).collect();
    let mut page = backend.list(bucket, &asked).await?;
    if let Some(after) = query.get("start-after") {
        // The offset of JSON is the first key of the page, that of XML the last before it.
        page.items.retain(|object| object.name != *after);
    }
    let next = page.next_page_token.as_deref().filter(|token| !token.is_empty());
    respond(Response::builder(), xml::listing(&page.items, next).into())
}

fn put_part(
    backend: &Backend,
    upload: &str,
    query: &HashMap<String, String>,
    body: Bytes,
) -> Result<Answer, Refused> {
    let number = query.get("partNumber").and_then(|number| number.parse().ok());
    match (number, backend.uploads().get_mut(upload)) {
        (Some(number), Some(parts)) => {
            parts.insert(number, body);
            respond(Response::builder().header(header::ETAG, etag_of(upload, number)), Bytes::new())
        }
        (None, _) => Err(Refused { status: StatusCode::BAD_REQUEST, code: "InvalidArgument" }),
        (_, None) => Err(Refused { status: StatusCode::NOT_FOUND, code: "NoSuchUpload" }),
    }
}

/// Joins the parts in the order of their numbers, when just those are named that were sent.
async fn complete(
    backend: &Backend,
    bucket: &str,
    name: &str,
    upload: &str,
    body: &Bytes,
) -> Result<Answer, Refused> {
    let text = String::from_utf8_lossy(body).replace("&quot;", "\"");
    let numbers: Vec<u32> =
        xml::elements(&text, "PartNumber").iter().filter_map(|n| n.parse().ok()).collect();
    let parts = backend.uploads().get(upload).cloned();
    let parts = parts.ok_or(Refused { status: StatusCode::NOT_FOUND, code: "NoSuchUpload" })?;
    let etags = numbers.iter().map(|number| etag_of(upload, *number));
    let fits = parts.keys().copied().eq(numbers.iter().copied()) && etags.eq(xml::elements(&text, "ETag"));
    let large_enough = parts.values().rev().skip(1).all(|part| part.len() >= 5 << 20);
    if !fits || !large_enough {
        let code = if fits { "EntityTooSmall" } else { "InvalidPart" };
        return Err(Refused { status: StatusCode::BAD_REQUEST, code });
    }
    let content: Vec<u8> = parts.into_values().flatten().collect();
    let object = backend.put(bucket, name, content.into(), None).await?;
    backend.uploads().remove(upload);
    respond(with_object(&object), xml::completed(&object).into())
}

fn etag_of(upload: &str, number: u32) -> String {
    format!("\"{upload}-{number}\"")
}

fn with_object(object: &Object) -> hyper::http::response::Builder {
    let modified = object.updated.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    Response::builder()
        .header(header::ETAG, format!("\"{}\"", object.etag.trim_matches('"')))
        .header(header::LAST_MODIFIED, modified)
        .header("x-goog-generation", &object.generation)
}

fn respond(builder: hyper::http::response::Builder, body: Bytes) -> Result<Answer, Refused> {
    let invalid = |_| Refused { status: StatusCode::BAD_GATEWAY, code: "InvalidHeader" };
    builder.body(Full::new(body)).map_err(invalid)
}

fn query(text: &str) -> HashMap<String, String> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key), decode(&value.replace('+', " ")))
    };
    text.split('&').filter(|pair| !pair.is_empty()).map(pair).collect()
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}
