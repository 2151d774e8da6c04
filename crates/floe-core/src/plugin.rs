//! What a plugin says about itself.

use schemars::Schema as JsonSchema;
use serde::{Deserialize, Serialize};

/// Which of the two plugin contracts a plugin fulfils.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginKind {
    /// Implements [`crate::CatalogPlugin`].
    Catalog,
    /// Implements [`crate::StoragePlugin`].
    Storage,
}

/// What a plugin says about itself: shown by `floe plugins`, used to check configuration before connecting.
#[derive(Debug, Clone, Serialize)]
pub struct PluginDescriptor {
    /// Catalog or storage.
    pub kind: PluginKind,
    /// The short name used in configuration (`type = "local"`), unique within its kind.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// The version of the crate that implements it.
    pub version: &'static str,
    /// URI schemes a storage plugin serves (`file`, `s3`, …); empty for catalogs.
    pub schemes: &'static [&'static str],
    /// JSON Schema of the configuration that `connect` takes.
    pub config_schema: JsonSchema,
}
