//! A server of the protocol that says what a test wants it to say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use floe_core::metadata_file;
use floe_testkit::http::{Answer, HttpServer, Reply, Request};
use serde_json::{Value, json};

use super::creation;

type Handler = Arc<dyn Fn(&Request) -> Option<Answer> + Send + Sync>;

/// Answers `/v1/config` with `config`, and everything else as `handler` says; 404 where it says nothing.
pub(crate) async fn fake(
    config: Value,
    handler: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
) -> HttpServer {
    let handler: Handler = Arc::new(handler);
    HttpServer::start(move |request| {
        let (config, handler) = (config.clone(), handler.clone());
        async move {
            match handler(&request) {
                Some(answer) => answer,
                None if request.path() == "/v1/config" => Reply::json(200, &config).into(),
                None => Reply::iceberg_error(404, "NoSuchTableException", "not there").into(),
            }
        }
    })
    .await
}

/// A server without a configuration of its own.
pub(crate) fn plain() -> Value {
    json!({"defaults": {}, "overrides": {}})
}

/// `LoadTableResult` of an empty table at `location`.
pub(crate) fn table(location: &str, extra: Value) -> Value {
    let mut creation = creation("t");
    creation.location = Some(location.to_owned());
    let metadata = metadata_file::create(creation).unwrap();
    let mut reply = json!({
        "metadata-location": format!("{location}/metadata/00000-a.metadata.json"),
        "metadata": metadata,
    });
    for (key, value) in extra.as_object().unwrap() {
        reply[key] = value.clone();
    }
    reply
}

/// Counts by name.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counter(Arc<Mutex<BTreeMap<&'static str, usize>>>);

impl Counter {
    /// The next number of `name`, from 1.
    pub(crate) fn next(&self, name: &'static str) -> usize {
        let mut counts = self.0.lock().unwrap();
        let count = counts.entry(name).or_default();
        *count += 1;
        *count
    }

    pub(crate) fn of(&self, name: &'static str) -> usize {
        self.0.lock().unwrap().get(name).copied().unwrap_or_default()
    }
}
