//! Credentials that a catalog gives for the files of one table.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use floe_core::{CredentialProvider, Error, ErrorKind, PluginConfig, Result, VendedCredentials};
use object_store::ObjectStore;

use crate::provider::StoreProvider;

/// Credentials that a catalog gives for the files below one prefix, asked for again as they end.
#[derive(Debug, Clone)]
pub struct Vended {
    source: Arc<dyn CredentialProvider>,
    prefix: String,
}

impl Vended {
    /// The properties as last known, perhaps ended by now: how to open the store.
    pub fn current(&self) -> Result<PluginConfig> {
        self.properties(&self.source.current())
    }

    /// Properties whose credentials hold for some minutes. Costs nothing as long as those at hand do.
    pub async fn fresh(&self) -> Result<PluginConfig> {
        self.properties(&self.source.credentials().await?)
    }

    /// Properties with other credentials than those that the store refused.
    pub async fn renewed(&self) -> Result<PluginConfig> {
        self.properties(&self.source.renewed().await?)
    }

    fn properties(&self, all: &[VendedCredentials]) -> Result<PluginConfig> {
        let found = all.iter().find(|one| one.prefix == self.prefix);
        let found = found.or_else(|| VendedCredentials::longest(all, &self.prefix)).ok_or_else(|| {
            let why = format!("the catalog gives no credentials for {} any more", self.prefix);
            Error::new(ErrorKind::Unauthenticated, why)
        })?;
        let config = PluginConfig::default();
        Ok(found.properties.iter().fold(config, |config, (key, value)| config.with(key, value.expose())))
    }
}

/// The stores that were opened with the credentials of one table, by authority and prefix.
#[derive(Debug, Clone)]
pub(crate) struct VendedStores {
    source: Arc<dyn CredentialProvider>,
    opened: Arc<RwLock<HashMap<(String, String), Option<Arc<dyn ObjectStore>>>>>,
}

impl VendedStores {
    pub(crate) fn new(source: Arc<dyn CredentialProvider>) -> Self {
        Self { source, opened: Arc::default() }
    }

    /// The store for a location with the credentials of the longest prefix; nothing where the catalog gave none for this
    /// table, or lets the storage's own serve what its credentials do not cover.
    ///
    /// `Validation` for a location that the credentials of the table do not cover: its metadata and manifests may name any,
    /// and must not have it read with the user's own credentials.
    pub(crate) fn store(
        &self,
        provider: &dyn StoreProvider,
        authority: &str,
        location: &str,
    ) -> Result<Option<Arc<dyn ObjectStore>>> {
        let all = self.source.current();
        let given = || all.iter().any(VendedCredentials::has_credentials) && !self.source.allows_own();
        let Some(found) = VendedCredentials::longest(&all, location) else {
            return if given() { Err(not_covered(&all, location)) } else { Ok(None) };
        };
        let key = (authority.to_owned(), found.prefix.clone());
        if let Some(Some(store)) = self.opened.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Some(store.clone()));
        }
        if !found.has_credentials() && given() {
            return Err(not_covered(&all, location));
        }
        let vended = Vended { source: Arc::clone(&self.source), prefix: found.prefix.clone() };
        let store = provider.open_vended(authority, &vended)?;
        if store.is_none() && given() {
            return Err(not_covered(&all, location));
        }
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        Ok(opened.entry(key).or_insert(store).clone())
    }
}

fn not_covered(all: &[VendedCredentials], location: &str) -> Error {
    let covered = all.iter().filter(|one| one.has_credentials());
    let covered: Vec<String> = covered.map(|one| format!("'{}'", one.prefix.escape_debug())).collect();
    let why = format!(
        "the catalog gave credentials for this table's files below {}, and '{}' is not one of them: it is not asked for \
         with other credentials",
        covered.join(", "),
        location.escape_debug()
    );
    Error::validation(why).with_hint(
        "let the catalog's server give credentials for it; or, if you trust the server and all who write this table, set \
         own-credentials-enabled = true for the catalog, and the storage's own credentials are used there",
    )
}
