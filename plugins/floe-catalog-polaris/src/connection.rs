//! A catalog on a server: its address, its configuration, the calls it answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use floe_core::{Environment, Error, ErrorKind, PluginConfig, Result, SecretString};
use uuid::Uuid;

use crate::config::{HEADER_PREFIX, RestCatalogConfig, TOKEN_TYPE_PREFIX, merged};
use crate::endpoints::Endpoints;
use crate::error::{About, Failure, refused, refused_write};
use crate::http::{Call, Reply, Transport, client};
use crate::paths::Paths;
use crate::trust::check_server;
use crate::types::ServerConfig;

/// Properties that are for a storage begin so.
const STORAGE_PREFIXES: &[&str] = &["s3.", "gcs.", "adls.", "client.", "oss.", "hdfs."];

/// A connection, set up as client and server want it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) transport: Transport,
    pub(crate) paths: Paths,
    pub(crate) endpoints: Endpoints,
    pub(crate) page_size: Option<u32>,
    /// Storage properties that the server gave for all tables.
    pub(crate) storage_properties: BTreeMap<String, SecretString>,
    /// Properties of client and server together.
    pub(crate) properties: PluginConfig,
    pub(crate) env: Arc<dyn Environment>,
    /// The client lets its own credentials serve what the server's do not cover.
    pub(crate) own_credentials: bool,
    idempotency_keys: bool,
}

impl Connection {
    /// Asks the server for its configuration, which proves address, TLS and credentials.
    ///
    /// `Validation`, `Unavailable`, `Timeout`, `Unauthenticated`, `PermissionDenied`; within the time of the first
    /// request, which is 8 s unless configured.
    pub(crate) async fn open(
        given: &PluginConfig,
        default_scope: &str,
        env: Arc<dyn Environment>,
    ) -> Result<Self> {
        let config: RestCatalogConfig = given.parse()?;
        let base = config.base()?;
        let http = client(&config)?;
        let transport = Transport::new(http.clone(), &config, given, default_scope, env.clone())?;

        let mut call = Call::get(format!("{base}/v1/config"));
        if let Some(warehouse) = &config.warehouse {
            call = call.query("warehouse", warehouse);
        }
        let limit = config.first_timeout();
        call.timeout = Some(limit);
        let reply = tokio::time::timeout(limit, transport.send(&call)).await.map_err(|_| {
            let seconds = limit.as_secs_f32();
            Error::new(
                ErrorKind::Timeout,
                format!("the catalog's server {base} did not answer within {seconds} s"),
            )
            .with_hint("check host and port in `uri`, and the network")
        })?;
        let reply = reply.map_err(Failure::of_read)?;
        if !reply.is_success() {
            return Err(refused(&reply, About::Config));
        }
        let server: ServerConfig = reply.json()?;
        let (defaults, overrides) =
            (server.defaults.unwrap_or_default(), server.overrides.unwrap_or_default());
        check_server(given, &config, &defaults, &overrides)?;
        let for_storage = |key: &str| STORAGE_PREFIXES.iter().any(|prefix| key.starts_with(prefix));
        let storage_properties = defaults
            .iter()
            .filter(|(key, _)| given.get(key).is_none())
            .chain(&overrides)
            .filter(|(key, _)| for_storage(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();

        let properties = merged(given, defaults, overrides);
        let typed: RestCatalogConfig =
            properties.parse().map_err(|e| e.context("the server's configuration does not fit"))?;
        let transport = match same_connection(given, &properties) {
            true => transport,
            false => Transport::new(http, &typed, &properties, default_scope, env.clone())?,
        };
        if typed.rest_page_size == Some(0) {
            return Err(Error::validation("`rest-page-size` of the REST catalog must be at least 1"));
        }
        let endpoints = Endpoints::new(server.endpoints);
        tracing::debug!(server = %base, calls = endpoints.count(), "connected to a REST catalog");
        Ok(Self {
            paths: Paths::new(&typed.base()?, typed.prefix.as_deref(), typed.namespace_separator.as_deref()),
            transport,
            endpoints,
            page_size: typed.rest_page_size,
            storage_properties,
            properties,
            env,
            // As the client gave it: a server has no say in that.
            own_credentials: config.own_credentials_enabled.unwrap_or(false),
            idempotency_keys: server.idempotency_key_lifetime.is_some(),
        })
    }

    /// A call that changes nothing. Fails with what the server refused it for.
    pub(crate) async fn read(&self, call: &Call, about: About) -> Result<Reply> {
        let reply = self.transport.send(call).await.map_err(Failure::of_read)?;
        if reply.is_success() || reply.status == 304 { Ok(reply) } else { Err(refused(&reply, about)) }
    }

    /// A call that changes something. `CommitStateUnknown` when it may have.
    pub(crate) async fn write(&self, call: Call, about: About) -> Result<Reply> {
        let reply = self.propose(call).await.map_err(Failure::of_write)?;
        if reply.is_success() { Ok(reply) } else { Err(refused_write(&reply, about)) }
    }

    /// Sends a call that changes something: once, with an idempotency key where the server offers that. Under such
    /// a key a call whose fate is not known is sent a second time, and only a success is taken from that, because
    /// any other answer would rest on the server having kept its promise.
    pub(crate) async fn propose(&self, mut call: Call) -> Result<Reply, Failure> {
        if !self.idempotency_keys {
            return self.transport.send(&call).await;
        }
        call.idempotency_key = Some(self.new_key());
        let first = self.transport.send(&call).await;
        let in_doubt = match &first {
            Ok(reply) => reply.leaves_doubt(),
            Err(Failure::Lost(_)) => true,
            Err(Failure::NotSent(_)) => false,
        };
        if in_doubt
            && let Ok(second) = self.transport.send(&call).await
            && second.is_success()
        {
            return Ok(second);
        }
        first
    }

    /// A UUID of version 7, as the specification asks for.
    fn new_key(&self) -> String {
        let (high, low) = (self.env.random_u64().to_be_bytes(), self.env.random_u64().to_be_bytes());
        let mut random = [0; 10];
        random[..8].copy_from_slice(&high);
        random[8..].copy_from_slice(&low[..2]);
        let now = self.env.now_ms().max(0) as u64;
        let key: Uuid = uuid::Builder::from_unix_timestamp_millis(now, &random).into_uuid();
        key.to_string()
    }
}

/// Whether the server left alone what makes a connection: its address, tokens, headers.
fn same_connection(given: &PluginConfig, together: &PluginConfig) -> bool {
    const KEYS: &[&str] = &[
        "uri",
        "token",
        "credential",
        "scope",
        "audience",
        "resource",
        "oauth2-server-uri",
        "polaris.realm",
        "token-refresh-enabled",
        "token-exchange-enabled",
        "token-expires-in-ms",
        "vended-credentials-enabled",
        "rest.sigv4-enabled",
        "rest.signing-region",
        "rest.signing-name",
    ];
    together
        .keys()
        .filter(|key| {
            KEYS.contains(key) || key.starts_with(HEADER_PREFIX) || key.starts_with(TOKEN_TYPE_PREFIX)
        })
        .all(|key| given.get(key) == together.get(key))
}
