//! Namespaces and their properties.

use std::collections::{BTreeMap, HashMap};

use floe_core::names::{check_properties, check_seen, namespace_exists, unfit_for_new};
use floe_core::text::escape;
use floe_core::{Error, ErrorKind, Result};
use iceberg::NamespaceIdent;

use super::IcebergTableManager;
use super::settle::Seen;
use super::traced::{operation_span, traced};

impl IcebergTableManager {
    /// Makes a namespace with properties. Where the catalog keeps namespaces below others, those above it are left to the
    /// catalog: see [`IcebergTableManager::ensure_namespace`].
    ///
    /// A call whose reply was lost is looked up, not repeated. Fails with `NamespaceAlreadyExists`; `NoSuchNamespace` when
    /// the catalog wants the one above it first; `Validation` for a name that the catalog does not take; `Unsupported` for
    /// properties that it cannot keep; `CommitStateUnknown`.
    pub async fn create_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: BTreeMap<String, String>,
    ) -> Result<()> {
        traced(operation_span!("create_namespace"), async {
            check_new_namespace(namespace)?;
            properties.keys().try_for_each(|key| check_seen("a property", key))?;
            if !properties.is_empty() {
                self.need_namespace_properties()?;
            }
            if self.catalog.namespace_exists(namespace).await? {
                return Err(namespace_exists(namespace));
            }
            self.check_storage().await?;
            let made =
                self.catalog.create_namespace(namespace, properties.clone().into_iter().collect()).await;
            let Err(error) = made else { return Ok(()) };
            self.settle(error, async || {
                if !self.catalog.namespace_exists(namespace).await? {
                    return Ok(Seen::NotYet);
                }
                let now = self.properties_of(namespace).await?;
                let has = properties.iter().all(|(key, value)| now.get(key) == Some(value));
                let other = || Seen::Mixed("another has made the namespace, with other properties".into());
                Ok(if has { Seen::Done(()) } else { other() })
            })
            .await
        })
        .await
    }

    /// The properties of a namespace, those included that the catalog adds by itself. `NoSuchNamespace`.
    pub async fn load_namespace(&self, namespace: &NamespaceIdent) -> Result<BTreeMap<String, String>> {
        traced(operation_span!("load_namespace"), self.properties_of(namespace)).await
    }

    /// Whether the namespace is there.
    pub async fn namespace_exists(&self, namespace: &NamespaceIdent) -> Result<bool> {
        traced(operation_span!("namespace_exists"), self.catalog.namespace_exists(namespace)).await
    }

    /// Sets properties of a namespace, and removes others, in one step.
    ///
    /// A call whose reply was lost is looked up, not repeated. Fails with `NoSuchNamespace`; `Validation` for one that is
    /// both set and removed; `Unsupported` when the catalog keeps none; `CommitStateUnknown`.
    pub async fn update_namespace(
        &self,
        namespace: &NamespaceIdent,
        set: &BTreeMap<String, String>,
        remove: &[String],
    ) -> Result<()> {
        traced(operation_span!("update_namespace"), async {
            let given: HashMap<String, String> = set.clone().into_iter().collect();
            check_properties(&given, remove)?;
            if let Some(key) = set.keys().chain(remove).find(|key| key.trim().is_empty()) {
                return Err(Error::validation(format!("a property needs a name, not {key:?}")));
            }
            set.keys().try_for_each(|key| check_seen("a property", key))?;
            self.need_namespace_properties()?;
            let done = self.catalog.update_namespace(namespace, given, remove.to_vec()).await;
            let Err(error) = done else { return Ok(()) };
            self.settle(error, async || {
                let now = self.properties_of(namespace).await?;
                let as_asked = set.iter().all(|(key, value)| now.get(key) == Some(value))
                    && remove.iter().all(|key| !now.contains_key(key));
                Ok(if as_asked { Seen::Done(()) } else { Seen::NotYet })
            })
            .await
        })
        .await
    }

    /// Drops a namespace that holds nothing. Its properties are gone with it: [`IcebergTableManager::load_namespace`] tells
    /// them before.
    ///
    /// A call whose reply was lost is looked up, not repeated. Fails with `NoSuchNamespace`, `NamespaceNotEmpty`,
    /// `CommitStateUnknown`.
    pub async fn drop_namespace(&self, namespace: &NamespaceIdent) -> Result<()> {
        traced(operation_span!("drop_namespace"), async {
            let Err(error) = self.catalog.drop_namespace(namespace).await else { return Ok(()) };
            self.settle(error, async || {
                Ok(if self.catalog.namespace_exists(namespace).await? {
                    Seen::NotYet
                } else {
                    Seen::Done(())
                })
            })
            .await
        })
        .await
    }

    async fn properties_of(&self, namespace: &NamespaceIdent) -> Result<BTreeMap<String, String>> {
        let loaded = self.catalog.load_namespace(namespace).await?;
        Ok(loaded.properties().clone().into_iter().collect())
    }

    fn need_namespace_properties(&self) -> Result<()> {
        if self.catalog.capabilities().namespace_properties {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unsupported, "this catalog keeps no properties of namespaces"))
    }
}

/// Fails with `Validation` for a name that no terminal, URL or folder keeps.
fn check_new_namespace(namespace: &NamespaceIdent) -> Result<()> {
    for part in namespace.iter() {
        if let Some(why) = unfit_for_new(part) {
            let part = escape(part);
            return Err(Error::validation(format!("'{part}' cannot be part of a namespace's name: {why}")));
        }
    }
    Ok(())
}
