//! Configuration of the plugin.

use floe_core::{Error, PluginConfig, Result, SecretString, address};
use floe_object_store::{NetworkOptions, Uri, seconds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::client::SCHEMES;
use crate::names::check_bucket;

/// Configuration of the storage plugin `gcs`, in the spelling of PyIceberg and of Iceberg for Java.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GcsStorageConfig {
    /// Where tables are kept: `gs://bucket/path`. The scheme `gcs` means the same.
    pub warehouse: String,

    /// An OAuth 2.0 access token. Absent: the service account, or else application default credentials.
    #[serde(rename = "gcs.oauth2.token")]
    #[schemars(with = "Option<String>")]
    pub token: Option<SecretString>,
    /// When the token ends, in milliseconds since 1970.
    #[serde(rename = "gcs.oauth2.token-expires-at")]
    pub token_expires_at: Option<i64>,
    /// The key of a service account, as JSON.
    #[serde(rename = "gcs.credentials-json")]
    #[schemars(with = "Option<String>")]
    pub credentials_json: Option<SecretString>,
    /// A file with the key of a service account. Absent: `GOOGLE_APPLICATION_CREDENTIALS`, or else what
    /// `gcloud auth application-default login` left, or else the service account of the machine.
    #[serde(rename = "gcs.credentials-file")]
    pub credentials_file: Option<String>,
    /// Send no credentials: for emulators and public data.
    #[serde(rename = "gcs.no-auth")]
    pub no_auth: Option<bool>,

    /// The address of the store, for emulators. Absent: Google's.
    #[serde(rename = "gcs.service.host")]
    pub service_host: Option<String>,
    /// Send credentials over plain http to hosts other than this machine without a warning. Default: false.
    #[serde(rename = "gcs.allow-http")]
    pub allow_http: Option<bool>,
    /// The project. It pays for the requests where `gcs.requester-pays` is true, and has no effect otherwise.
    #[serde(rename = "gcs.project-id")]
    pub project_id: Option<String>,
    /// The project that pays for the requests.
    #[serde(rename = "gcs.user-project")]
    pub user_project: Option<String>,
    /// Pay for the requests yourself, as the owner of the bucket asks; needs a project.
    #[serde(rename = "gcs.requester-pays")]
    pub requester_pays: Option<bool>,

    /// A proxy for all requests. Absent: `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY` of the environment.
    #[serde(rename = "gcs.proxy-uri")]
    #[schemars(with = "Option<String>")]
    pub proxy_uri: Option<SecretString>,
    /// How long an attempt to connect may take, in seconds. Default: 3.
    #[serde(rename = "gcs.connect-timeout")]
    pub connect_timeout: Option<f64>,
    /// How long the answer to a request may take, in seconds. Default: 30.
    #[serde(rename = "gcs.request-timeout")]
    pub request_timeout: Option<f64>,
    /// A file of PEM certificates to trust besides those of the system.
    #[serde(rename = "gcs.ca-file")]
    pub ca_file: Option<String>,
    /// The size of the first part of a large file, in bytes, at least 5 MiB; parts grow with the file.
    /// Default: 8 MiB. What Iceberg for Java would write at a time.
    #[serde(rename = "gcs.channel.write.chunk-size-bytes")]
    pub write_chunk_size_bytes: Option<usize>,

    /// Not supported: it must be absent.
    #[serde(rename = "gcs.encryption-key")]
    #[schemars(with = "Option<String>")]
    pub encryption_key: Option<SecretString>,
    /// Not supported: it must be absent.
    #[serde(rename = "gcs.decryption-key")]
    #[schemars(with = "Option<String>")]
    pub decryption_key: Option<SecretString>,
    /// Not supported: it must be absent.
    #[serde(rename = "gcs.impersonate.service-account")]
    pub impersonate_service_account: Option<String>,

    /// Without effect: a class of Iceberg for Java.
    #[serde(rename = "io-impl")]
    pub io_impl: Option<String>,
    /// Without effect: a class of PyIceberg.
    #[serde(rename = "py-io-impl")]
    pub py_io_impl: Option<String>,
    /// Without effect: floe reads the ranges that it needs.
    #[serde(rename = "gcs.channel.read.chunk-size-bytes")]
    pub read_chunk_size_bytes: Option<usize>,
    /// Without effect: Google Cloud Storage deletes one file by one request here.
    #[serde(rename = "gcs.delete.batch-size")]
    pub delete_batch_size: Option<usize>,
    /// Without effect: the token of the client library of Java.
    #[serde(rename = "gcs.client-lib-token")]
    pub client_lib_token: Option<String>,
    /// Without effect: an option of gcsfs.
    #[serde(rename = "gcs.access")]
    pub access: Option<String>,
    /// Without effect: an option of gcsfs.
    #[serde(rename = "gcs.consistency")]
    pub consistency: Option<String>,
    /// Without effect: an option of gcsfs.
    #[serde(rename = "gcs.cache-timeout")]
    pub cache_timeout: Option<String>,
    /// Without effect: an option of gcsfs.
    #[serde(rename = "gcs.default-bucket-location")]
    pub default_bucket_location: Option<String>,
    /// Without effect: an option of gcsfs.
    #[serde(rename = "gcs.version-aware")]
    pub version_aware: Option<String>,
}

impl GcsStorageConfig {
    /// Reads the properties of a catalog, and checks them; all faults are reported at once.
    pub fn new(config: &PluginConfig) -> Result<Self> {
        let parsed: Self = config.parse()?;
        let faults = parsed.faults();
        match faults.len() {
            0 => Ok(parsed),
            _ => Err(Error::validation(faults.join("; "))),
        }
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !self.warehouse.is_empty() {
            match Uri::parse(&self.warehouse) {
                Ok(uri) if SCHEMES.contains(&uri.scheme) && !uri.authority.is_empty() => {
                    faults.extend(check_bucket(uri.authority).err().map(|e| format!("warehouse: {e}")));
                }
                _ => {
                    let warehouse = self.warehouse.escape_debug();
                    faults.push(format!("warehouse '{warehouse}' is not of the form gs://bucket/path"));
                }
            }
        }
        if self.credentials_json.is_some() && self.credentials_file.is_some() {
            faults.push("gcs.credentials-json and gcs.credentials-file exclude each other".into());
        }
        for (name, given) in [
            ("gcs.encryption-key", self.encryption_key.is_some()),
            ("gcs.decryption-key", self.decryption_key.is_some()),
            ("gcs.impersonate.service-account", self.impersonate_service_account.is_some()),
        ] {
            if given {
                faults.push(format!("{name} is not supported"));
            }
        }
        if self.requester_pays == Some(true) && self.paying_project().is_none() {
            faults.push("gcs.requester-pays needs gcs.user-project or gcs.project-id".into());
        }
        if let Some(host) = &self.service_host {
            faults.extend(address::check("gcs.service.host", host).err().map(|e| e.message().to_owned()));
        }
        faults.extend(self.network_options().err().map(|e| e.to_string()));
        faults
    }

    /// The project that pays, where it is not the bucket's own.
    pub(crate) fn paying_project(&self) -> Option<&str> {
        let own = self.project_id.as_deref().filter(|_| self.requester_pays == Some(true));
        self.user_project.as_deref().or(own)
    }

    /// How requests are sent.
    pub(crate) fn network_options(&self) -> Result<NetworkOptions> {
        let mut options = NetworkOptions {
            proxy: self.proxy_uri.clone(),
            ca_file: self.ca_file.clone(),
            ..NetworkOptions::default()
        };
        if let Some(limit) = self.connect_timeout {
            options = options.with_connect_timeout(seconds("gcs.connect-timeout", limit)?);
        }
        if let Some(limit) = self.request_timeout {
            options = options.with_request_timeout(seconds("gcs.request-timeout", limit)?);
        }
        if let Some(project) = self.paying_project() {
            options.headers.insert("x-goog-user-project".into(), project.into());
        }
        Ok(options)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use floe_core::Properties;

    use super::*;

    /// A configuration with a warehouse and these properties.
    pub(crate) fn config(pairs: &[(&str, &str)]) -> Result<GcsStorageConfig> {
        let mut properties = Properties::default().with("warehouse", "gs://bucket/lake");
        for (key, value) in pairs {
            properties.set(*key, *value);
        }
        GcsStorageConfig::new(&PluginConfig::new("test", &properties)?)
    }

    #[test]
    fn a_configuration_of_pyiceberg_is_read() {
        let config = config(&[
            ("gcs.project-id", "p"),
            ("gcs.oauth2.token", "hunter2"),
            ("gcs.oauth2.token-expires-at", "1732700000000"),
            ("gcs.service.host", "http://localhost:4443"),
            ("gcs.requester-pays", "True"),
        ])
        .unwrap();
        assert_eq!(config.paying_project(), Some("p"));
        assert_eq!(config.network_options().unwrap().headers["x-goog-user-project"], "p");
        let shown = format!("{config:?} {}", serde_json::to_string(&config).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let error = config(&[
            ("warehouse", "s3://b/x"),
            ("gcs.encryption-key", "k"),
            ("gcs.requester-pays", "true"),
            ("gcs.service.host", "localhost"),
            ("gcs.credentials-json", "{}"),
            ("gcs.credentials-file", "/f"),
        ])
        .unwrap_err()
        .to_string();
        for word in ["gs://bucket", "encryption-key", "requester-pays", "service.host", "credentials-file"] {
            assert!(error.contains(word), "{word}: {error}");
        }
    }
}
