//! Opening containers.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use floe_core::{Error, ErrorKind, Result, StorageCapabilities, address};
use floe_object_store::{
    Network, ObjectStoreClient, ObjectStoreStorage, StoreOptions, StoreProvider, Vended,
};
use object_store::ObjectStore;
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use serde::{Deserialize, Serialize};

use crate::config::AzureStorageConfig;
use crate::error::cannot_open;
use crate::location::Place;
use crate::sas::Sas;
use crate::vended::VendedAccess;

/// The URI schemes of Azure; all of them mean the same files.
pub(crate) const SCHEMES: &[&str] = &["abfss", "abfs", "wasbs", "wasb"];

/// What the store does: `If-None-Match: *`, files that show whole, batches of deletions.
const CAPABILITIES: StorageCapabilities =
    StorageCapabilities { create_if_absent: true, atomic_write: true, bulk_delete: true };

/// A client for the warehouse of this configuration. Makes no request.
pub(crate) fn connect(config: AzureStorageConfig) -> Result<ObjectStoreClient> {
    let warehouse = config.warehouse.clone();
    let stores = AzureStores::new(config);
    stores.network()?;
    ObjectStoreClient::new(ObjectStoreStorage::new(Arc::new(stores)), &warehouse, CAPABILITIES)
}

/// The containers that one configuration reaches.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AzureStores {
    config: AzureStorageConfig,
    /// Made at the first use; shared by all containers.
    #[serde(skip)]
    network: Arc<OnceLock<Network>>,
}

impl AzureStores {
    pub(crate) fn new(config: AzureStorageConfig) -> Self {
        Self { config, network: Arc::default() }
    }

    fn network(&self) -> Result<Network> {
        if let Some(network) = self.network.get() {
            return Ok(network.clone());
        }
        let network = Network::new(self.config.network_options()?)?;
        Ok(self.network.get_or_init(|| network).clone())
    }

    /// The address of the account.
    fn endpoint(&self, place: Place<'_>) -> Result<String> {
        let config = &self.config;
        let scheme = config.blob_storage_scheme.as_deref().unwrap_or("https");
        let account = place.account;
        if let Some(host) = &config.account_host {
            return Ok(format!("{scheme}://{host}"));
        }
        if let Some(authority) = &config.blob_storage_authority {
            return Ok(match authority.starts_with('.') {
                true => format!("{scheme}://{account}{authority}"),
                false => format!("{scheme}://{authority}/{account}"),
            });
        }
        if let Some(endpoint) = config.connection_string_of(account)?.and_then(|parsed| parsed.endpoint) {
            return Ok(endpoint);
        }
        place.check_domain(&config.trusted_domains())?;
        Ok(format!("{scheme}://{account}.{}blob.{}", place.zone, place.domain))
    }

    fn builder(&self, place: Place<'_>) -> Result<MicrosoftAzureBuilder> {
        let network = self.network()?;
        let endpoint = self.endpoint(place)?;
        if self.config.allow_http != Some(true) && self.config.anonymous != Some(true) {
            address::warn_if_exposed("the address of the account", "adls.allow-http", &endpoint);
        }
        Ok(MicrosoftAzureBuilder::new()
            .with_account(place.account)
            .with_container_name(place.container)
            .with_endpoint(endpoint)
            .with_allow_http(true)
            .with_retry(network.options().retry())
            .with_http_connector(network))
    }

    /// Gives the builder the credentials that come first; kinds are not mixed.
    fn with_credentials(
        &self,
        mut builder: MicrosoftAzureBuilder,
        account: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<MicrosoftAzureBuilder> {
        let config = &self.config;
        if config.anonymous == Some(true) {
            return Ok(builder.with_skip_signature(true));
        }
        let string = config.connection_string_of(account)?.unwrap_or_default();
        let sas = config.sas_of(account).or(string.sas.as_ref());
        let key = config.key_of(account).or(string.key.as_ref());
        for (option, secret) in [
            (AzureConfigKey::SasKey, sas),
            (AzureConfigKey::AccessKey, key),
            (AzureConfigKey::Token, config.token.as_ref()),
        ] {
            let Some(secret) = secret else { continue };
            if secret.expose() == "***" {
                return Err(Error::new(
                    ErrorKind::Unauthenticated,
                    "secrets do not travel with a serialised storage",
                )
                .with_hint("let the other process open the catalog by its own configuration"));
            }
            return Ok(match Sas::ending(secret.expose()) {
                Some(sas) if option == AzureConfigKey::SasKey => builder.with_credentials(Arc::new(sas)),
                _ => builder.with_config(option, secret.expose()),
            });
        }
        config.check_owner(account, &["AZURE_CLIENT_ID", "IDENTITY_ENDPOINT", "MSI_ENDPOINT"].map(env))?;
        let client = config.client_id.clone().or_else(|| env("AZURE_CLIENT_ID"));
        let tenant = config.tenant_id.clone().or_else(|| env("AZURE_TENANT_ID"));
        let secret = config.client_secret.as_ref().map(|secret| secret.expose().to_owned());
        let secret = secret.or_else(|| env("AZURE_CLIENT_SECRET"));
        let authority = config.authority_host.clone().or_else(|| env("AZURE_AUTHORITY_HOST"));
        let token_file = env("AZURE_FEDERATED_TOKEN_FILE").filter(|_| secret.is_none());
        let managed = env("IDENTITY_ENDPOINT").or_else(|| env("MSI_ENDPOINT"));
        for (option, value) in [
            (AzureConfigKey::ClientId, client),
            (AzureConfigKey::AuthorityId, tenant),
            (AzureConfigKey::ClientSecret, secret),
            (AzureConfigKey::AuthorityHost, authority),
            (AzureConfigKey::FederatedTokenFile, token_file),
            (AzureConfigKey::MsiEndpoint, managed),
        ] {
            if let Some(value) = value {
                builder = builder.with_config(option, value);
            }
        }
        Ok(builder)
    }
}

#[typetag::serde(name = "azure")]
impl StoreProvider for AzureStores {
    fn schemes(&self) -> &'static [&'static str] {
        SCHEMES
    }

    fn open(&self, authority: &str) -> Result<Arc<dyn ObjectStore>> {
        let account = self.config.account_of_config();
        let place = Place::parse(authority, account.as_deref())?;
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let builder = self.with_credentials(self.builder(place)?, place.account, &env)?;
        Ok(Arc::new(builder.build().map_err(|_| cannot_open(place.container))?))
    }

    fn takes_credentials(&self) -> bool {
        true
    }

    fn open_vended(&self, authority: &str, vended: &Vended) -> Result<Option<Arc<dyn ObjectStore>>> {
        let account = self.config.account_of_config();
        let place = Place::parse(authority, account.as_deref())?;
        let access = VendedAccess { vended: vended.clone(), account: place.account.to_owned() };
        if access.credential(&vended.current()?)?.is_none() {
            return Ok(None);
        }
        let access = Arc::new(access);
        let network = self.network()?.with_renewal(access.clone());
        let builder = self.builder(place)?.with_credentials(access).with_http_connector(network);
        Ok(Some(Arc::new(builder.build().map_err(|_| cannot_open(place.container))?)))
    }

    fn refuses(&self, path: &str) -> Option<&'static str> {
        path.contains('\\').then_some("Azure takes a backslash in a name for a slash")
    }

    fn canonical<'a>(&self, authority: &'a str) -> Cow<'a, str> {
        let account = self.config.account_of_config();
        Place::parse(authority, account.as_deref()).map_or(authority.into(), |p| p.canonical().into())
    }

    fn options(&self) -> StoreOptions {
        let default = StoreOptions::default();
        let part_bytes = self.config.write_block_size_bytes.unwrap_or(default.part_bytes);
        StoreOptions { part_bytes, deletes_per_request: 256, ..default }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::config;

    fn endpoint(pairs: &[(&str, &str)], authority: &str) -> String {
        let stores = AzureStores::new(config(pairs).unwrap());
        stores.endpoint(Place::parse(authority, None).unwrap()).unwrap()
    }

    #[test]
    fn the_address_follows_location_and_configuration() {
        let here = "box@acc.dfs.core.windows.net";
        assert_eq!(endpoint(&[], here), "https://acc.blob.core.windows.net");
        assert_eq!(
            endpoint(&[], "box@acc.dfs.core.usgovcloudapi.net"),
            "https://acc.blob.core.usgovcloudapi.net"
        );
        assert_eq!(endpoint(&[("adls.account-host", "acc.example.com")], here), "https://acc.example.com");
        let emulator =
            [("adls.blob-storage-authority", "127.0.0.1:10000"), ("adls.blob-storage-scheme", "http")];
        assert_eq!(endpoint(&emulator, here), "http://127.0.0.1:10000/acc");
        assert_eq!(endpoint(&[("adls.blob-storage-authority", ".example")], here), "https://acc.example");
        let string =
            [("adls.connection-string", "AccountName=acc;AccountKey=aGk=;BlobEndpoint=http://h/acc/")];
        assert_eq!(endpoint(&string, here), "http://h/acc");
    }

    #[test]
    fn one_container_has_one_name() {
        let stores = AzureStores::new(config(&[("adls.account-name", "acc")]).unwrap());
        let names = ["box@acc.dfs.core.windows.net", "box@acc.blob.core.windows.net", "box"];
        assert!(names.iter().all(|name| stores.canonical(name) == names[0]));
    }

    #[test]
    fn a_principal_of_the_environment_is_used_where_nothing_is_configured() {
        let env = [("AZURE_CLIENT_ID", "id"), ("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_SECRET", "s")];
        let env = |name: &str| env.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).to_owned());
        let value = |pairs: &[(&str, &str)], key: AzureConfigKey| {
            let stores = AzureStores::new(config(pairs).unwrap());
            let place = Place::parse("box@account.dfs.core.windows.net", None).unwrap();
            let builder = stores.builder(place).unwrap();
            stores.with_credentials(builder, "account", &env).unwrap().get_config_value(&key)
        };
        assert_eq!(value(&[], AzureConfigKey::ClientSecret).as_deref(), Some("s"));
        assert_eq!(value(&[("adls.account-key", "aGk=")], AzureConfigKey::ClientSecret), None);
        assert_eq!(value(&[("adls.sas-token", "sig=x")], AzureConfigKey::SasKey).as_deref(), Some("sig=x"));
    }
}
