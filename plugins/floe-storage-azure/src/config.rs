//! Configuration of the plugin.

use std::collections::BTreeMap;

use floe_core::config::PLACED_BY_SERVER;
use floe_core::{Error, PluginConfig, Result, SecretString};
use floe_object_store::{NetworkOptions, Uri, seconds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::client::SCHEMES;
use crate::connection_string::ConnectionString;
use crate::location::{Place, is_domain};

/// Before the host of an account, in the keys of shared access signatures.
pub(crate) const SAS_PREFIX: &str = "adls.sas-token.";
/// Before an account, in the keys of connection strings.
pub(crate) const CONNECTION_STRING_PREFIX: &str = "adls.connection-string.";

/// Configuration of the storage plugin `azure`, in the spelling of PyIceberg and of Iceberg for Java.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AzureStorageConfig {
    /// Where tables are kept: `abfss://container@account.dfs.core.windows.net/path`. The schemes `abfs`, `wasb`
    /// and `wasbs`, and the host `account.blob.core.windows.net`, mean the same.
    pub warehouse: String,

    /// The account, where a location does not name it; and that of `adls.account-key`.
    #[serde(rename = "adls.account-name")]
    pub account_name: Option<String>,
    /// The shared key of the account.
    #[serde(rename = "adls.account-key")]
    #[schemars(with = "Option<String>")]
    pub account_key: Option<SecretString>,
    /// The account, as Iceberg for Java spells it.
    #[serde(rename = "adls.auth.shared-key.account.name")]
    pub shared_key_account_name: Option<String>,
    /// The shared key, as Iceberg for Java spells it.
    #[serde(rename = "adls.auth.shared-key.account.key")]
    #[schemars(with = "Option<String>")]
    pub shared_key_account_key: Option<SecretString>,
    /// A connection string with account, key or signature, and address. One for a single account is set as
    /// `adls.connection-string.ACCOUNT`.
    #[serde(rename = "adls.connection-string")]
    #[schemars(with = "Option<String>")]
    pub connection_string: Option<SecretString>,
    /// A shared access signature. One for a single account is set as `adls.sas-token.HOST`.
    #[serde(rename = "adls.sas-token")]
    #[schemars(with = "Option<String>")]
    pub sas_token: Option<SecretString>,
    /// Shared access signatures and connection strings of single accounts, by their keys.
    #[serde(skip)]
    pub by_account: BTreeMap<String, SecretString>,
    /// An access token of Microsoft Entra.
    #[serde(rename = "adls.token")]
    #[schemars(with = "Option<String>")]
    pub token: Option<SecretString>,
    /// The tenant of a service principal. Absent: `AZURE_TENANT_ID`.
    #[serde(rename = "adls.tenant-id")]
    pub tenant_id: Option<String>,
    /// The client id of a service principal or a managed identity. Absent: `AZURE_CLIENT_ID`.
    #[serde(rename = "adls.client-id")]
    pub client_id: Option<String>,
    /// The secret of a service principal. Absent: `AZURE_CLIENT_SECRET`, or else the workload identity of
    /// `AZURE_FEDERATED_TOKEN_FILE`, or else the managed identity of the machine.
    #[serde(rename = "adls.client-secret")]
    #[schemars(with = "Option<String>")]
    pub client_secret: Option<SecretString>,
    /// Send no credentials, for public data.
    #[serde(rename = "adls.anon")]
    pub anonymous: Option<bool>,

    /// The host of the account, where it is not `ACCOUNT.blob.core.windows.net`.
    #[serde(rename = "adls.account-host")]
    pub account_host: Option<String>,
    /// The host of all accounts: with a dot at its start the account goes before it, otherwise into the path.
    #[serde(rename = "adls.blob-storage-authority")]
    pub blob_storage_authority: Option<String>,
    /// `https` (default) or `http`.
    #[serde(rename = "adls.blob-storage-scheme")]
    pub blob_storage_scheme: Option<String>,
    /// Domains besides those of Azure's public clouds whose accounts get credentials, separated by commas: `stack.example`
    /// for `abfss://container@account.dfs.stack.example/`.
    #[serde(rename = "adls.trusted-domains")]
    pub trusted_domains: Option<String>,
    /// Send credentials over plain http to hosts other than this machine without a warning. Default: false.
    #[serde(rename = "adls.allow-http")]
    pub allow_http: Option<bool>,
    /// Locations are chosen by a catalog's server, not by the user.
    #[serde(skip)]
    pub(crate) placed_by_server: bool,
    /// The address of the sign-in service. Absent: `AZURE_AUTHORITY_HOST`, or else Microsoft's.
    #[serde(rename = "adls.authority-host")]
    pub authority_host: Option<String>,

    /// A proxy for all requests. Absent: `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY` of the environment.
    #[serde(rename = "adls.proxy-uri")]
    #[schemars(with = "Option<String>")]
    pub proxy_uri: Option<SecretString>,
    /// How long an attempt to connect may take, in seconds. Default: 3.
    #[serde(rename = "adls.connect-timeout")]
    pub connect_timeout: Option<f64>,
    /// How long the answer to a request may take, in seconds. Default: 30.
    #[serde(rename = "adls.request-timeout")]
    pub request_timeout: Option<f64>,
    /// A file of PEM certificates to trust besides those of the system.
    #[serde(rename = "adls.ca-file")]
    pub ca_file: Option<String>,
    /// The size of the first block of a large file, in bytes; blocks grow with the file. Default: 8 MiB.
    #[serde(rename = "adls.write.block-size-bytes")]
    pub write_block_size_bytes: Option<usize>,

    /// Not supported: it must be absent.
    #[serde(rename = "adls.token-credential-provider")]
    pub token_credential_provider: Option<String>,

    /// Without effect: a class of Iceberg for Java.
    #[serde(rename = "io-impl")]
    pub io_impl: Option<String>,
    /// Without effect: a class of PyIceberg.
    #[serde(rename = "py-io-impl")]
    pub py_io_impl: Option<String>,
    /// Without effect: floe reads the ranges that it needs.
    #[serde(rename = "adls.read.block-size-bytes")]
    pub read_block_size_bytes: Option<usize>,
    /// Without effect: floe uses the interface for blobs alone.
    #[serde(rename = "adls.dfs-storage-authority")]
    pub dfs_storage_authority: Option<String>,
    /// Without effect: floe uses the interface for blobs alone.
    #[serde(rename = "adls.dfs-storage-scheme")]
    pub dfs_storage_scheme: Option<String>,
}

impl AzureStorageConfig {
    /// Reads the properties of a catalog, and checks them; all faults are reported at once.
    pub fn new(config: &PluginConfig) -> Result<Self> {
        let mut parsed: Self = config.parse()?;
        parsed.placed_by_server = config.get(PLACED_BY_SERVER).is_some();
        for key in config.keys() {
            if [SAS_PREFIX, CONNECTION_STRING_PREFIX].iter().any(|prefix| key.starts_with(prefix)) {
                let value = config.get(key).unwrap_or_default();
                parsed.by_account.insert(key.to_owned(), SecretString::new(value));
            }
        }
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
                Ok(uri) if SCHEMES.contains(&uri.scheme) => {
                    let account = self.account_of_config();
                    let place = Place::parse(uri.authority, account.as_deref());
                    faults.extend(place.err().map(|e| format!("warehouse: {e}")));
                }
                _ => faults.push(format!(
                    "warehouse '{}' is not of the form abfss://container@account.dfs.core.windows.net/path",
                    self.warehouse
                )),
            }
        }
        for text in self.connection_strings() {
            faults.extend(ConnectionString::parse(text.expose()).err().map(|e| e.to_string()));
        }
        if self.client_secret.is_some() && (self.client_id.is_none() || self.tenant_id.is_none()) {
            faults.push("adls.client-secret needs adls.client-id and adls.tenant-id".into());
        }
        if self.token_credential_provider.is_some() {
            faults.push("adls.token-credential-provider is not supported".into());
        }
        if self.blob_storage_scheme.as_deref().is_some_and(|scheme| scheme != "http" && scheme != "https") {
            faults.push("adls.blob-storage-scheme must be http or https".into());
        }
        if let Some(domain) = self.trusted_domains().into_iter().find(|domain| !is_domain(domain)) {
            faults.push(format!("adls.trusted-domains: '{}' is no domain", domain.escape_debug()));
        }
        if self.write_block_size_bytes.is_some_and(|n| !(64 << 10..=512 << 20).contains(&n)) {
            faults.push("adls.write.block-size-bytes must be between 64 KiB and 512 MiB".into());
        }
        faults.extend(self.network_options().err().map(|e| e.to_string()));
        faults
    }

    fn connection_strings(&self) -> impl Iterator<Item = &SecretString> {
        let of_accounts = self.by_account.iter().filter(|(key, _)| key.starts_with(CONNECTION_STRING_PREFIX));
        self.connection_string.iter().chain(of_accounts.map(|(_, text)| text))
    }

    /// The account of locations that name none.
    pub(crate) fn account_of_config(&self) -> Option<String> {
        let named = self.account_name.clone().or_else(|| self.shared_key_account_name.clone());
        named.or_else(|| ConnectionString::parse(self.connection_string.as_ref()?.expose()).ok()?.account)
    }

    /// The connection string for an account.
    pub(crate) fn connection_string_of(&self, account: &str) -> Result<Option<ConnectionString>> {
        let own = self.by_account.iter().find(|(key, _)| {
            key.strip_prefix(CONNECTION_STRING_PREFIX).is_some_and(|host| is_host_of(host, account))
        });
        let Some(text) = own.map(|(_, text)| text).or(self.connection_string.as_ref()) else {
            return Ok(None);
        };
        let parsed = ConnectionString::parse(text.expose())?;
        let fits = match &parsed.account {
            Some(named) => named == account,
            // It says where the account is, or whose it is was said elsewhere.
            None => parsed.endpoint.is_some() || self.owns(account),
        };
        Ok(Some(parsed).filter(|_| fits))
    }

    /// The domains that the user trusts.
    pub(crate) fn trusted_domains(&self) -> Vec<&str> {
        let domains = self.trusted_domains.as_deref().unwrap_or_default().split(',');
        domains.map(str::trim).filter(|domain| !domain.is_empty()).collect()
    }

    /// The account that secrets without an account of their own belong to: the configured one, or that of the warehouse,
    /// where it is the user that chose it.
    fn owner(&self) -> Option<String> {
        self.account_of_config().or_else(|| {
            let uri = Uri::parse(&self.warehouse).ok().filter(|_| !self.placed_by_server)?;
            Some(Place::parse(uri.authority, None).ok()?.account.to_owned())
        })
    }

    /// Whether secrets without an account of their own belong to this one.
    fn owns(&self, account: &str) -> bool {
        self.owner().map_or(!self.placed_by_server, |owner| owner == account)
    }

    /// Fails with `Validation` where a key or signature is there, belongs to another account than this one, or to nobody
    /// knows which, and nothing `other` is there to be used in its place.
    pub(crate) fn check_owner(&self, account: &str, other: &[Option<String>]) -> Result<()> {
        let secrets =
            [&self.sas_token, &self.account_key, &self.shared_key_account_key, &self.connection_string];
        let has_others = self.client_id.is_some() || other.iter().any(Option::is_some);
        if has_others || secrets.iter().all(|secret| secret.is_none()) {
            return Ok(());
        }
        let whose = match self.owner() {
            Some(owner) => format!("is that of the account {owner}"),
            None => "says not of which account it is".into(),
        };
        let why = format!(
            "the key or signature that is configured for Azure {whose}, and is not sent to {account}"
        );
        Err(Error::validation(why).with_hint(format!(
            "set adls.account-name to its account; for several, set adls.sas-token.{account} or \
             adls.connection-string.{account}"
        )))
    }

    /// The shared access signature for an account.
    pub(crate) fn sas_of(&self, account: &str) -> Option<&SecretString> {
        let own = self
            .by_account
            .iter()
            .find(|(key, _)| key.strip_prefix(SAS_PREFIX).is_some_and(|host| is_host_of(host, account)));
        own.map(|(_, sas)| sas).or_else(|| self.sas_token.as_ref().filter(|_| self.owns(account)))
    }

    /// The shared key, if it is that of the account.
    pub(crate) fn key_of(&self, account: &str) -> Option<&SecretString> {
        let fits = |named: &Option<String>| match named {
            Some(named) => named == account,
            None => self.owns(account),
        };
        let own = self.account_key.as_ref().filter(|_| fits(&self.account_name));
        own.or_else(|| self.shared_key_account_key.as_ref().filter(|_| fits(&self.shared_key_account_name)))
    }

    /// How requests are sent.
    pub(crate) fn network_options(&self) -> Result<NetworkOptions> {
        let mut options = NetworkOptions {
            proxy: self.proxy_uri.clone(),
            ca_file: self.ca_file.clone(),
            ..NetworkOptions::default()
        };
        if let Some(limit) = self.connect_timeout {
            options = options.with_connect_timeout(seconds("adls.connect-timeout", limit)?);
        }
        if let Some(limit) = self.request_timeout {
            options = options.with_request_timeout(seconds("adls.request-timeout", limit)?);
        }
        Ok(options)
    }
}

/// Whether the host of a key (`account`, `account.dfs.core.windows.net`) is that of the account.
fn is_host_of(host: &str, account: &str) -> bool {
    host.split_once('.').map_or(host, |(name, _)| name) == account
}

#[cfg(test)]
pub(crate) mod tests {
    use floe_core::Properties;

    use super::*;

    /// A configuration with a warehouse and these properties.
    pub(crate) fn config(pairs: &[(&str, &str)]) -> Result<AzureStorageConfig> {
        let mut properties =
            Properties::default().with("warehouse", "abfss://box@account.dfs.core.windows.net/lake");
        for (key, value) in pairs {
            properties.set(*key, *value);
        }
        AzureStorageConfig::new(&PluginConfig::new("test", &properties)?)
    }

    #[test]
    fn a_signature_belongs_to_its_account() {
        let config = config(&[
            ("adls.sas-token.account.dfs.core.windows.net", "sig=1"),
            ("adls.sas-token.other", "sig=2"),
            ("adls.sas-token", "sig=3"),
        ])
        .unwrap();
        let of = |account| config.sas_of(account).unwrap().expose();
        assert_eq!([of("account"), of("other")], ["sig=1", "sig=2"]);
        assert!(config.sas_of("third").is_none(), "the warehouse is in another account");
    }

    #[test]
    fn what_a_server_places_names_no_owner_of_a_secret() {
        let of = |pairs: &[(&str, &str)], placed: bool| {
            let mut properties: Properties = pairs.iter().copied().collect();
            properties.set("warehouse", "abfss://box@account.dfs.core.windows.net");
            if placed {
                properties.set(PLACED_BY_SERVER, "true");
            }
            AzureStorageConfig::new(&PluginConfig::new("test", &properties).unwrap()).unwrap()
        };
        for secret in ["adls.sas-token", "adls.account-key"] {
            let found = |config: &AzureStorageConfig, account: &str| {
                config.sas_of(account).or(config.key_of(account)).is_some()
            };
            let own = of(&[(secret, "hunter2=")], false);
            assert!(found(&own, "account") && !found(&own, "other"), "{secret}");
            let placed = of(&[(secret, "hunter2=")], true);
            assert!(!found(&placed, "account"), "{secret}");
            let error = placed.check_owner("account", &[]).unwrap_err();
            assert_eq!(error.kind(), floe_core::ErrorKind::Validation);
            assert!(error.hint().unwrap().contains("adls.account-name"), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
            let named = of(&[(secret, "hunter2="), ("adls.account-name", "account")], true);
            assert!(found(&named, "account") && !found(&named, "other"), "{secret}");
        }
    }

    #[test]
    fn a_key_belongs_to_its_account() {
        let config = config(&[("adls.account-name", "account"), ("adls.account-key", "k")]).unwrap();
        assert!(config.key_of("account").is_some() && config.key_of("other").is_none());
        let any = self::config(&[("adls.account-key", "k")]).unwrap();
        assert!(any.key_of("account").is_some());
    }

    #[test]
    fn all_faults_are_reported_at_once_and_no_value_with_them() {
        let error = config(&[
            ("warehouse", "abfss://c/x"),
            ("adls.connection-string", "hunter2"),
            ("adls.client-secret", "hunter2"),
            ("adls.blob-storage-scheme", "ftp"),
            ("adls.token-credential-provider", "x"),
        ])
        .unwrap_err()
        .to_string();
        for word in ["account", "connection-string", "client-id", "scheme", "token-credential-provider"] {
            assert!(error.contains(word), "{word}: {error}");
        }
        assert!(!error.contains("hunter2"), "{error}");
    }
}
