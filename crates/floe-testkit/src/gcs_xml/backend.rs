//! The JSON interface, as a client.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use hyper::StatusCode;
use hyper::body::Bytes;
use serde::Deserialize;

/// An answer that is no success.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
}

/// What the server says about an object.
#[derive(Debug, Deserialize)]
pub(super) struct Object {
    pub(super) name: String,
    #[serde(default)]
    pub(super) etag: String,
    #[serde(default)]
    pub(super) generation: String,
    pub(super) size: String,
    pub(super) updated: DateTime<Utc>,
}

/// One page of a listing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    #[serde(default)]
    pub(super) items: Vec<Object>,
    #[serde(default)]
    pub(super) next_page_token: Option<String>,
}

/// The server, and the parts of uploads under way, which it knows nothing of.
#[derive(Debug)]
pub(super) struct Backend {
    endpoint: String,
    client: reqwest::Client,
    uploads: Mutex<HashMap<String, BTreeMap<u32, Bytes>>>,
}

impl Backend {
    pub(super) fn new(endpoint: &str) -> Self {
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        Self { endpoint, client: reqwest::Client::new(), uploads: Mutex::default() }
    }

    pub(super) async fn put(
        &self,
        bucket: &str,
        name: &str,
        content: Bytes,
        generation: Option<&str>,
    ) -> Result<Object, Refused> {
        let url = format!("{}/upload/storage/v1/b/{bucket}/o", self.endpoint);
        let mut query = vec![("uploadType", "media"), ("name", name)];
        query.extend(generation.map(|generation| ("ifGenerationMatch", generation)));
        read_json(self.client.post(url).query(&query).body(content), "NoSuchBucket").await
    }

    pub(super) async fn metadata(&self, bucket: &str, name: &str) -> Result<Object, Refused> {
        read_json(self.client.get(self.object(bucket, name)), "NoSuchKey").await
    }

    /// The content, or a range of it; the answer as it came.
    pub(super) async fn content(
        &self,
        bucket: &str,
        name: &str,
        range: Option<&str>,
    ) -> Result<reqwest::Response, Refused> {
        let mut request = self.client.get(self.object(bucket, name)).query(&[("alt", "media")]);
        if let Some(range) = range {
            request = request.header("range", range);
        }
        send(request, "NoSuchKey").await
    }

    pub(super) async fn delete(&self, bucket: &str, name: &str) -> Result<(), Refused> {
        send(self.client.delete(self.object(bucket, name)), "NoSuchKey").await.map(drop)
    }

    pub(super) async fn list(&self, bucket: &str, query: &[(&str, &str)]) -> Result<Page, Refused> {
        let url = format!("{}/storage/v1/b/{bucket}/o", self.endpoint);
        read_json(self.client.get(url).query(query), "NoSuchBucket").await
    }

    /// The parts of uploads under way, by upload and number.
    pub(super) fn uploads(&self) -> std::sync::MutexGuard<'_, HashMap<String, BTreeMap<u32, Bytes>>> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn object(&self, bucket: &str, name: &str) -> String {
        let name = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
        format!("{}/storage/v1/b/{bucket}/o/{name}", self.endpoint)
    }
}

async fn send(request: reqwest::RequestBuilder, missing: &'static str) -> Result<reqwest::Response, Refused> {
    let unreachable = |_| Refused { status: StatusCode::BAD_GATEWAY, code: "ServiceUnavailable" };
    let answer = request.send().await.map_err(unreachable)?;
    match answer.status() {
        status if status.is_success() => Ok(answer),
        StatusCode::NOT_FOUND => Err(Refused { status: StatusCode::NOT_FOUND, code: missing }),
        StatusCode::PRECONDITION_FAILED => {
            Err(Refused { status: StatusCode::PRECONDITION_FAILED, code: "PreconditionFailed" })
        }
        StatusCode::RANGE_NOT_SATISFIABLE => {
            Err(Refused { status: StatusCode::RANGE_NOT_SATISFIABLE, code: "InvalidRange" })
        }
        status => Err(Refused { status, code: "Other" }),
    }
}

async fn read_json<T: serde::de::DeserializeOwned>(
    request: reqwest::RequestBuilder,
    missing: &'static str,
) -> Result<T, Refused> {
    let invalid = Refused { status: StatusCode::BAD_GATEWAY, code: "InvalidJson" };
    let Ok(body) = send(request, missing).await?.bytes().await else { return Err(invalid) };
    serde_json::from_slice(&body).map_err(|_| invalid)
}
