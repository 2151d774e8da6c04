//! Configuration of the plugin.

use floe_core::{Error, ErrorKind, PluginConfig, Result, SecretString, address};
use floe_object_store::Uri;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::client::SCHEMES;
use crate::names::check_bucket;

/// Configuration of the storage plugin `s3`, in the spelling of PyIceberg and of Iceberg for Java. Where both
/// have a property of their own for one thing, either does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct S3StorageConfig {
    /// Where tables are kept: `s3://bucket/path`. The schemes `s3a` and `s3n` mean the same. Absent where the
    /// catalog decides it.
    pub warehouse: String,

    /// The address of the store: `http://localhost:9000`. Absent: `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`,
    /// or else Amazon's own for the region.
    #[serde(rename = "s3.endpoint")]
    pub endpoint: Option<String>,
    /// Send credentials over plain http to hosts other than this machine without a warning, and also where a catalog's
    /// server names such an address. Default: false.
    #[serde(rename = "s3.allow-http")]
    pub allow_http: Option<bool>,
    /// The region. Absent: `client.region`, `AWS_REGION`, `AWS_DEFAULT_REGION`, or else `us-east-1`.
    #[serde(rename = "s3.region")]
    pub region: Option<String>,
    /// The region, where `s3.region` does not say.
    #[serde(rename = "client.region")]
    pub client_region: Option<String>,
    /// Name the bucket in the path and not in the host. Absent: true with an endpoint of its own, and for a
    /// bucket with a dot in its name.
    #[serde(rename = "s3.path-style-access")]
    pub path_style_access: Option<bool>,
    /// Name the bucket in the host: the opposite of `s3.path-style-access`.
    #[serde(rename = "s3.force-virtual-addressing")]
    pub force_virtual_addressing: Option<bool>,

    /// The access key. Absent, with its secret: the profile, or else the environment
    /// (`AWS_ACCESS_KEY_ID`, web identity, container), or else the role of the machine.
    #[serde(rename = "s3.access-key-id")]
    #[schemars(with = "Option<String>")]
    pub access_key_id: Option<SecretString>,
    /// The secret of the access key.
    #[serde(rename = "s3.secret-access-key")]
    #[schemars(with = "Option<String>")]
    pub secret_access_key: Option<SecretString>,
    /// The session token of temporary credentials.
    #[serde(rename = "s3.session-token")]
    #[schemars(with = "Option<String>")]
    pub session_token: Option<SecretString>,
    /// When the session token ends, in milliseconds since 1970. A catalog that vends credentials sets it.
    #[serde(rename = "s3.session-token-expires-at-ms")]
    pub session_token_expires_at_ms: Option<i64>,
    /// The access key, where `s3.access-key-id` does not say.
    #[serde(rename = "client.access-key-id")]
    #[schemars(with = "Option<String>")]
    pub client_access_key_id: Option<SecretString>,
    /// The secret of `client.access-key-id`.
    #[serde(rename = "client.secret-access-key")]
    #[schemars(with = "Option<String>")]
    pub client_secret_access_key: Option<SecretString>,
    /// The session token of `client.access-key-id`.
    #[serde(rename = "client.session-token")]
    #[schemars(with = "Option<String>")]
    pub client_session_token: Option<SecretString>,
    /// Send no credentials, for public data.
    #[serde(rename = "s3.anonymous")]
    pub anonymous: Option<bool>,
    /// The same as `s3.anonymous`.
    #[serde(rename = "client.no-sign-request")]
    pub no_sign_request: Option<bool>,
    /// A profile of `~/.aws`, with its keys, processes, SSO and roles; it may say the region too. Needs the feature
    /// `storage-s3-profiles` of floe.
    #[serde(rename = "s3.profile-name")]
    pub profile_name: Option<String>,
    /// The profile, where `s3.profile-name` does not say.
    #[serde(rename = "client.profile-name")]
    pub client_profile_name: Option<String>,
    /// A role to assume with the keys, the profile, or what else there is: `arn:aws:iam::123456789012:role/name`. Needs
    /// the feature `storage-s3-profiles` of floe.
    #[serde(rename = "s3.role-arn")]
    pub role_arn: Option<String>,
    /// How the session of the role is named. Default: `floe`.
    #[serde(rename = "s3.role-session-name")]
    pub role_session_name: Option<String>,
    /// The role, where `s3.role-arn` does not say.
    #[serde(rename = "client.role-arn")]
    pub client_role_arn: Option<String>,
    /// How its session is named.
    #[serde(rename = "client.role-session-name")]
    pub client_role_session_name: Option<String>,
    /// The role, as Iceberg for Java spells it, where neither of the others says.
    #[serde(rename = "client.assume-role.arn")]
    pub assume_role_arn: Option<String>,
    /// How its session is named.
    #[serde(rename = "client.assume-role.session-name")]
    pub assume_role_session_name: Option<String>,
    /// What the owner of the role asks strangers for.
    #[serde(rename = "client.assume-role.external-id")]
    pub assume_role_external_id: Option<String>,
    /// The region in which the role is assumed. Default: that of the store.
    #[serde(rename = "client.assume-role.region")]
    pub assume_role_region: Option<String>,
    /// How long a session lasts, in seconds. Default: what AWS says, an hour.
    #[serde(rename = "client.assume-role.timeout-sec")]
    #[schemars(range(min = 900, max = 43200))]
    pub assume_role_timeout_sec: Option<u64>,
    /// Without effect: a class of Iceberg for Java.
    #[serde(rename = "client.factory")]
    pub client_factory: Option<String>,

    /// Encryption by the server: `none`, `s3` (or `AES256`), `kms` (or `aws:kms`), `dsse-kms` (or
    /// `aws:kms:dsse`), `custom` (a key of your own).
    #[serde(rename = "s3.sse.type")]
    pub sse_type: Option<String>,
    /// The id of the KMS key, or your own key in base64 where the type is `custom`.
    #[serde(rename = "s3.sse.key")]
    #[schemars(with = "Option<String>")]
    pub sse_key: Option<SecretString>,
    /// Without effect: the MD5 of your own key is computed from it.
    #[serde(rename = "s3.sse.md5")]
    pub sse_md5: Option<String>,
    /// Encryption by the server, as PyIceberg spells it.
    #[serde(rename = "s3.server-side-encryption")]
    pub server_side_encryption: Option<String>,
    /// The id of the KMS key, as PyIceberg spells it.
    #[serde(rename = "s3.sse-kms-key-id")]
    pub sse_kms_key_id: Option<String>,
    /// Keep a SHA-256 checksum with each file, which the store verifies.
    #[serde(rename = "s3.checksum-enabled")]
    pub checksum_enabled: Option<bool>,
    /// Pay for the requests yourself, as the owner of the bucket asks.
    #[serde(rename = "s3.requester-pays")]
    pub requester_pays: Option<bool>,

    /// A proxy for all requests. Absent: `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY` of the environment.
    #[serde(rename = "s3.proxy-uri")]
    #[schemars(with = "Option<String>")]
    pub proxy_uri: Option<SecretString>,
    /// How long an attempt to connect may take, in seconds. Default: 3.
    #[serde(rename = "s3.connect-timeout")]
    pub connect_timeout: Option<f64>,
    /// How long the answer to a request may take, in seconds. Default: 30.
    #[serde(rename = "s3.request-timeout")]
    pub request_timeout: Option<f64>,
    /// A file of PEM certificates to trust besides those of the system.
    #[serde(rename = "s3.ca-file")]
    pub ca_file: Option<String>,
    /// How often a failed request is repeated. Default: 10.
    #[serde(rename = "s3.retry.num-retries")]
    pub retry_num_retries: Option<usize>,
    /// The first pause before a request is repeated, in milliseconds. Default: 100.
    #[serde(rename = "s3.retry.min-wait-ms")]
    pub retry_min_wait_ms: Option<u64>,
    /// The longest pause before a request is repeated, in milliseconds. Default: 10000.
    #[serde(rename = "s3.retry.max-wait-ms")]
    pub retry_max_wait_ms: Option<u64>,
    /// The size of the first part of a large file, in bytes, at least 5 MiB; parts grow with the file.
    /// Default: 8 MiB.
    #[serde(rename = "s3.multipart.part-size-bytes")]
    pub multipart_part_size_bytes: Option<usize>,
    /// Parts of one file under way at once. Default: 8.
    #[serde(rename = "s3.multipart.num-threads")]
    pub multipart_num_threads: Option<usize>,
    /// Files deleted by one request, 1 to 1000. Default: 1000.
    #[serde(rename = "s3.delete.batch-size")]
    pub delete_batch_size: Option<usize>,
    /// Requests to delete under way at once. Default: 16.
    #[serde(rename = "s3.delete.num-threads")]
    pub delete_num_threads: Option<usize>,

    /// Not supported: it must be absent or false. Requests are signed here, not by the catalog.
    #[serde(rename = "s3.remote-signing-enabled")]
    pub remote_signing_enabled: Option<bool>,
    /// Not supported: it must be absent or false.
    #[serde(rename = "s3.access-grants.enabled")]
    pub access_grants_enabled: Option<bool>,
    /// Not supported: it must be absent or false. Set `s3.endpoint` to the accelerated address instead.
    #[serde(rename = "s3.acceleration-enabled")]
    pub acceleration_enabled: Option<bool>,
    /// Not supported: it must be absent or false. Set `s3.endpoint` to the dual-stack address instead.
    #[serde(rename = "s3.dualstack-enabled")]
    pub dualstack_enabled: Option<bool>,
    /// Must be absent or true: floe deletes what it is told to delete.
    #[serde(rename = "s3.delete-enabled")]
    pub delete_enabled: Option<bool>,

    /// Without effect: a class of Iceberg for Java.
    #[serde(rename = "io-impl")]
    pub io_impl: Option<String>,
    /// Without effect: a class of PyIceberg.
    #[serde(rename = "py-io-impl")]
    pub py_io_impl: Option<String>,
    /// Without effect: floe keeps no files of its own.
    #[serde(rename = "s3.staging-dir")]
    pub staging_dir: Option<String>,
    /// Without effect: the client is made at the first use.
    #[serde(rename = "s3.preload-client-enabled")]
    pub preload_client_enabled: Option<bool>,
    /// Without effect: a choice among the HTTP clients of Java.
    #[serde(rename = "http-client.type")]
    pub http_client_type: Option<String>,
    /// Without effect: the error for a wrong region names the right one.
    #[serde(rename = "s3.resolve-region")]
    pub resolve_region: Option<bool>,
}

impl S3StorageConfig {
    /// Reads the properties of a catalog, and checks them; all faults are reported at once.
    pub fn new(config: &PluginConfig) -> Result<Self> {
        let parsed: Self = config.parse()?;
        let faults = parsed.faults();
        match faults.len() {
            0 => Ok(parsed),
            _ => Err(Error::validation(faults.join("; "))),
        }
    }

    /// Reads what a catalog gives for a table; it may hold properties of other kinds of storage too.
    pub(crate) fn vended(config: &PluginConfig) -> Result<Self> {
        // A server that would sign requests may give keys besides; who has keys signs by itself.
        let parsed = Self { remote_signing_enabled: None, ..config.parse()? };
        match parsed.faults().as_slice() {
            [] => Ok(parsed),
            faults => Err(Error::new(
                ErrorKind::Unsupported,
                format!("what the catalog gives for this table cannot be used: {}", faults.join("; ")),
            )),
        }
    }

    /// Lays what a catalog gives over this configuration: where the bucket is, and how to write to it.
    ///
    /// Where the bucket is, and who pays, counts only together with credentials of the catalog's own, or none at all: the
    /// user's are sent where the user says. `own_endpoint` is what the user says. `Validation` where only the catalog knows
    /// the address, or has it asked in clear.
    pub(crate) fn lay(&mut self, over: Self, own_endpoint: Option<&str>) -> Result<()> {
        macro_rules! lay {
            ($($field:ident),* $(,)?) => {$( if over.$field.is_some() { self.$field = over.$field; } )*};
        }
        let brings_keys = over.access_key_id.is_some() || over.client_access_key_id.is_some();
        if let (true, Some(endpoint)) = (brings_keys && self.allow_http != Some(true), &over.endpoint) {
            address::refuse_exposed("s3.endpoint", "s3.allow-http", endpoint)?;
        }
        if brings_keys || over.is_anonymous() || self.is_anonymous() {
            lay!(
                endpoint,
                path_style_access,
                force_virtual_addressing,
                access_key_id,
                secret_access_key,
                session_token,
                client_access_key_id,
                client_secret_access_key,
                client_session_token,
                anonymous,
                no_sign_request,
                requester_pays,
            );
        } else if let (Some(endpoint), None) = (&over.endpoint, own_endpoint) {
            return Err(Error::validation(format!(
                "the catalog's server says that the store is at {endpoint}, and gives no credentials for it: your own are \
                 not sent there on its word"
            ))
            .with_hint("if it is yours, set s3.endpoint to it for the catalog; or let the server vend credentials"));
        }
        lay!(region, client_region, sse_type, sse_key, sse_md5, checksum_enabled);
        Ok(())
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Err(e) = self.check_warehouse() {
            faults.push(e.to_string());
        }
        let mut both = |a: &Option<SecretString>, b: &Option<SecretString>, names: &str| {
            if a.is_some() != b.is_some() {
                faults.push(format!("{names} belong together: one is missing"));
            }
        };
        both(&self.access_key_id, &self.secret_access_key, "s3.access-key-id and s3.secret-access-key");
        both(
            &self.client_access_key_id,
            &self.client_secret_access_key,
            "client.access-key-id and client.secret-access-key",
        );
        if self.path_style_access.is_some() && self.path_style_access == self.force_virtual_addressing {
            faults.push("s3.path-style-access and s3.force-virtual-addressing contradict each other".into());
        }
        if self.assume_role_timeout_sec.is_some_and(|n| !(900..=43_200).contains(&n)) {
            faults.push("client.assume-role.timeout-sec must be between 900 and 43200".into());
        }
        if !cfg!(feature = "profiles") {
            for (name, role) in [
                ("s3.role-arn", &self.role_arn),
                ("client.role-arn", &self.client_role_arn),
                ("client.assume-role.arn", &self.assume_role_arn),
            ] {
                if role.is_some() {
                    faults.push(format!(
                        "{name} needs the feature storage-s3-profiles, which this build lacks"
                    ));
                }
            }
        }
        for (name, set) in [
            ("s3.remote-signing-enabled", self.remote_signing_enabled),
            ("s3.access-grants.enabled", self.access_grants_enabled),
            ("s3.acceleration-enabled", self.acceleration_enabled),
            ("s3.dualstack-enabled", self.dualstack_enabled),
        ] {
            if set == Some(true) {
                faults.push(format!("{name} is not supported"));
            }
        }
        if self.delete_enabled == Some(false) {
            faults.push("s3.delete-enabled=false is not supported: floe deletes what it is told".into());
        }
        if self.multipart_part_size_bytes.is_some_and(|n| !(5 << 20..=512 << 20).contains(&n)) {
            faults.push("s3.multipart.part-size-bytes must be between 5 MiB and 512 MiB".into());
        }
        if self.delete_batch_size.is_some_and(|n| !(1..=1000).contains(&n)) {
            faults.push("s3.delete.batch-size must be between 1 and 1000".into());
        }
        for (name, value) in [
            ("s3.multipart.num-threads", self.multipart_num_threads),
            ("s3.delete.num-threads", self.delete_num_threads),
        ] {
            if value.is_some_and(|n| !(1..=256).contains(&n)) {
                faults.push(format!("{name} must be between 1 and 256"));
            }
        }
        if let Some(endpoint) = &self.endpoint {
            faults.extend(address::check("s3.endpoint", endpoint).err().map(|e| e.message().to_owned()));
        }
        faults.extend(self.encryption().err().map(|e| e.to_string()));
        faults.extend(crate::client::network_options(self).err().map(|e| e.to_string()));
        faults
    }

    fn check_warehouse(&self) -> Result<()> {
        if self.warehouse.is_empty() {
            return Ok(());
        }
        let uri = Uri::parse(&self.warehouse).map_err(|e| e.context("property 'warehouse'"))?;
        if !SCHEMES.contains(&uri.scheme) || uri.authority.is_empty() {
            return Err(Error::validation(format!(
                "property 'warehouse': '{}' is not of the form s3://bucket/path",
                self.warehouse.escape_debug()
            )));
        }
        check_bucket(uri.authority).map_err(|e| e.context("property 'warehouse'"))
    }

    /// No credentials are to be sent.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.anonymous == Some(true) || self.no_sign_request == Some(true)
    }

    /// Whether the user is to be told of plain http.
    pub(crate) fn warns_of_http(&self) -> bool {
        self.allow_http != Some(true) && !self.is_anonymous()
    }

    /// The encryption that is asked for, as `object_store` spells its type, with its key.
    pub(crate) fn encryption(&self) -> Result<Option<(&'static str, Option<&str>)>> {
        let key = self.sse_key.as_ref().map(SecretString::expose).or(self.sse_kms_key_id.as_deref());
        let Some(kind) = self.sse_type.as_deref().or(self.server_side_encryption.as_deref()) else {
            return Ok(None);
        };
        match (kind, key) {
            ("none", _) => Ok(None),
            ("s3" | "AES256", _) => Ok(Some(("AES256", None))),
            ("kms" | "aws:kms", key) => Ok(Some(("aws:kms", key))),
            ("dsse-kms" | "aws:kms:dsse", key) => Ok(Some(("aws:kms:dsse", key))),
            ("custom", Some(key)) => Ok(Some(("sse-c", Some(key)))),
            ("custom", None) => Err(Error::validation("s3.sse.type=custom needs s3.sse.key")),
            _ => Err(Error::validation("s3.sse.type must be one of: none, s3, kms, dsse-kms, custom")),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use floe_core::Properties;

    use super::*;

    /// A configuration with a warehouse and these properties.
    pub(crate) fn config(pairs: &[(&str, &str)]) -> Result<S3StorageConfig> {
        let mut properties = Properties::default().with("warehouse", "s3://bucket/lake");
        for (key, value) in pairs {
            properties.set(*key, *value);
        }
        S3StorageConfig::new(&PluginConfig::new("test", &properties)?)
    }

    #[test]
    fn a_configuration_of_pyiceberg_and_one_of_spark_are_read() {
        let pyiceberg = config(&[
            ("s3.endpoint", "http://localhost:9000"),
            ("s3.access-key-id", "k"),
            ("s3.secret-access-key", "s"),
            ("s3.region", "eu-west-1"),
            ("s3.force-virtual-addressing", "False"),
            ("s3.connect-timeout", "5"),
            ("s3.request-timeout", "60.0"),
            ("py-io-impl", "pyiceberg.io.pyarrow.PyArrowFileIO"),
        ]);
        assert_eq!(pyiceberg.unwrap().connect_timeout, Some(5.0));
        let spark = config(&[
            ("io-impl", "org.apache.iceberg.aws.s3.S3FileIO"),
            ("s3.path-style-access", "true"),
            ("client.region", "eu-west-1"),
            ("s3.sse.type", "kms"),
            ("s3.sse.key", "arn:aws:kms:eu-west-1:1:key/2"),
            ("s3.multipart.part-size-bytes", "33554432"),
            ("s3.delete.batch-size", "250"),
        ]);
        assert_eq!(
            spark.unwrap().encryption().unwrap(),
            Some(("aws:kms", Some("arn:aws:kms:eu-west-1:1:key/2")))
        );
    }

    #[test]
    fn all_faults_are_reported_at_once_and_no_value_with_them() {
        let error = config(&[
            ("warehouse", "gs://bucket/x"),
            ("s3.access-key-id", "hunter2"),
            ("s3.sse.type", "custom"),
            ("s3.endpoint", "localhost:9000"),
            ("s3.remote-signing-enabled", "true"),
            ("s3.connect-timeout", "0"),
            ("s3.multipart.part-size-bytes", "1024"),
        ])
        .unwrap_err()
        .to_string();
        for word in [
            "s3://bucket/path",
            "s3.secret-access-key",
            "s3.sse.key",
            "s3.endpoint",
            "s3.remote-signing-enabled",
            "s3.connect-timeout",
            "5 MiB",
        ] {
            assert!(error.contains(word), "{word}: {error}");
        }
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn debug_shows_no_secret() {
        let config = config(&[
            ("s3.access-key-id", "hunter2"),
            ("s3.secret-access-key", "hunter2"),
            ("s3.session-token", "hunter2"),
            ("s3.proxy-uri", "http://u:hunter2@proxy"),
            ("s3.sse.key", "hunter2"),
        ])
        .unwrap();
        let shown = format!("{config:?} {}", serde_json::to_string(&config).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
