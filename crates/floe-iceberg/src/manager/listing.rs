//! Every namespace of a catalog, whatever its server answers.

use std::collections::BTreeSet;

use floe_core::limits::{self, refusal};
use floe_core::{Error, ErrorKind, Result, names};
use iceberg::NamespaceIdent;

use super::IcebergTableManager;
use super::traced::{operation_span, traced};

/// Levels of namespaces that are looked into: a server that makes up deeper ones for ever is stopped here.
const LEVELS: usize = 64;

/// What a walk over a catalog found.
#[derive(Debug, Clone, Default)]
pub struct NamespaceListing {
    /// The namespaces, each once, and before those below it.
    pub namespaces: Vec<NamespaceIdent>,
    /// Those that could not be looked into, and why: dropped meanwhile (which are not in `namespaces`), or not allowed
    /// to the caller (which are).
    pub skipped: Vec<SkippedNamespace>,
}

/// A namespace that a walk could not look into.
#[derive(Debug, Clone)]
pub struct SkippedNamespace {
    /// The namespace.
    pub namespace: NamespaceIdent,
    /// Why: `NoSuchNamespace` or `PermissionDenied`.
    pub error: Error,
}

impl SkippedNamespace {
    /// The namespace, if `error` is one for which a walk passes it by: it is gone, or not allowed to the caller.
    /// Otherwise the error.
    pub fn pass_by(namespace: &NamespaceIdent, error: Error) -> Result<Self> {
        match error.kind() {
            ErrorKind::NoSuchNamespace | ErrorKind::PermissionDenied => {
                Ok(Self { namespace: namespace.clone(), error })
            }
            _ => Err(error),
        }
    }

    /// Whether the namespace is gone.
    pub fn is_gone(&self) -> bool {
        self.error.kind() == ErrorKind::NoSuchNamespace
    }
}

impl IcebergTableManager {
    /// Every namespace, at any depth. One that goes away meanwhile, or that the caller may not look into, is passed
    /// by and named. Ends whatever the server answers: each namespace is looked into once, only what lies below it is
    /// taken from the answer, and no more than 64 levels are.
    ///
    /// Fails where the top namespaces cannot be listed, and with every other fault.
    pub async fn list_all_namespaces(&self) -> Result<NamespaceListing> {
        traced(operation_span!("list_all_namespaces"), self.walk()).await
    }

    async fn walk(&self) -> Result<NamespaceListing> {
        let nested = self.catalog.capabilities().nested_namespaces;
        let mut listing = NamespaceListing::default();
        let mut seen = BTreeSet::new();
        let top = self.catalog.list_namespaces(None).await?;
        let mut open = next_level(None, top, &mut seen)?;
        let most = limits::current().listing_names;
        while let Some(namespace) = open.pop() {
            if seen.len() as u64 > most {
                let what = "the catalog lists, in namespaces,";
                return Err(refusal(ErrorKind::Corrupted, what, "listing-names", most));
            }
            if nested {
                match self.catalog.list_namespaces(Some(&namespace)).await {
                    Ok(found) => {
                        let below = next_level(Some(&namespace), found, &mut seen)?;
                        if namespace.len() >= LEVELS && !below.is_empty() {
                            let text = names::render_namespace(&namespace);
                            return Err(Error::new(
                                ErrorKind::Unsupported,
                                format!(
                                    "the catalog lists more than {LEVELS} levels of namespaces, below {text}"
                                ),
                            )
                            .with_hint("name the namespace that is to be listed"));
                        }
                        open.extend(below);
                    }
                    Err(e) => {
                        let skipped = SkippedNamespace::pass_by(&namespace, e)?;
                        let gone = skipped.is_gone();
                        listing.skipped.push(skipped);
                        if gone {
                            continue;
                        }
                    }
                }
            }
            listing.namespaces.push(namespace);
        }
        Ok(listing)
    }
}

/// The namespaces directly below `parent` that were not seen before, the last first.
fn next_level(
    parent: Option<&NamespaceIdent>,
    found: Vec<NamespaceIdent>,
    seen: &mut BTreeSet<NamespaceIdent>,
) -> Result<Vec<NamespaceIdent>> {
    let mut below = names::children(parent, found.iter().map(|n| n.as_ref().as_slice()))?;
    below.retain(|namespace| seen.insert(namespace.clone()));
    below.reverse();
    Ok(below)
}
