//! Bodies of requests and replies (Iceberg REST specification, `components/schemas`).

use std::collections::{BTreeMap, HashMap};

use floe_core::{SecretString, TableChange};
use iceberg::spec::{Schema, SortOrder, TableMetadata, UnboundPartitionSpec};
use iceberg::{TableIdent, TableRequirement, TableUpdate};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// `CatalogConfig`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct ServerConfig {
    pub(crate) defaults: Option<BTreeMap<String, SecretString>>,
    pub(crate) overrides: Option<BTreeMap<String, SecretString>>,
    pub(crate) endpoints: Option<Vec<String>>,
    pub(crate) idempotency_key_lifetime: Option<String>,
}

/// `OAuthTokenResponse`.
#[derive(Debug, Deserialize)]
pub(crate) struct TokenReply {
    pub(crate) access_token: SecretString,
    pub(crate) expires_in: Option<i64>,
}

/// `OAuthError`. Its description is left alone: it may repeat what was sent.
#[derive(Debug, Deserialize)]
pub(crate) struct TokenError {
    pub(crate) error: String,
}

/// `IcebergErrorResponse`.
#[derive(Debug, Deserialize)]
pub(crate) struct ErrorReply {
    pub(crate) error: ErrorModel,
}

/// `ErrorModel`; some servers leave out the type.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ErrorModel {
    pub(crate) message: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
}

/// A page of `ListNamespacesResponse` or `ListTablesResponse`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Page {
    #[serde(default)]
    pub(crate) namespaces: Vec<Vec<String>>,
    #[serde(default)]
    pub(crate) identifiers: Vec<Identifier>,
    pub(crate) next_page_token: Option<String>,
}

/// `TableIdentifier`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Identifier {
    pub(crate) namespace: Vec<String>,
    pub(crate) name: String,
}

impl Identifier {
    /// Namespace and name together.
    pub(crate) fn parts(&self) -> Vec<String> {
        self.namespace.iter().chain([&self.name]).cloned().collect()
    }
}

impl From<&TableIdent> for Identifier {
    fn from(table: &TableIdent) -> Self {
        Self { namespace: table.namespace().as_ref().clone(), name: table.name().to_owned() }
    }
}

/// `CreateNamespaceRequest`, and the replies of creating and loading.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NamespaceBody {
    pub(crate) namespace: Vec<String>,
    #[serde(default)]
    pub(crate) properties: Option<HashMap<String, String>>,
}

/// `UpdateNamespacePropertiesRequest`.
#[derive(Debug, Serialize)]
pub(crate) struct PropertiesRequest {
    pub(crate) removals: Vec<String>,
    pub(crate) updates: HashMap<String, String>,
}

/// `CreateTableRequest`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct CreateTableRequest {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) location: Option<String>,
    pub(crate) schema: Schema,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) partition_spec: Option<UnboundPartitionSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) write_order: Option<SortOrder>,
    pub(crate) stage_create: bool,
    pub(crate) properties: HashMap<String, String>,
}

/// `RegisterTableRequest`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct RegisterRequest<'a> {
    pub(crate) name: &'a str,
    pub(crate) metadata_location: &'a str,
}

/// `RenameTableRequest`.
#[derive(Debug, Serialize)]
pub(crate) struct RenameRequest {
    pub(crate) source: Identifier,
    pub(crate) destination: Identifier,
}

/// `LoadTableResult`, and `CommitTableResponse`, which is a part of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct TableReply {
    /// Absent for a table that is only staged.
    pub(crate) metadata_location: Option<String>,
    /// In the form of a metadata file.
    metadata: Box<RawValue>,
    #[serde(default)]
    pub(crate) config: Option<BTreeMap<String, SecretString>>,
    #[serde(default)]
    pub(crate) storage_credentials: Option<Vec<StorageCredential>>,
}

impl TableReply {
    /// The table's metadata. `Unsupported` for what floe does not know, `Corrupted` for what is none.
    pub(crate) fn metadata(&self) -> floe_core::Result<TableMetadata> {
        let location = self.metadata_location.as_deref().unwrap_or("that the catalog's server sent");
        floe_core::metadata_file::parse(self.metadata.get().as_bytes(), location)
    }
}

/// `StorageCredential`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct StorageCredential {
    pub(crate) prefix: String,
    pub(crate) config: BTreeMap<String, SecretString>,
}

/// `LoadCredentialsResponse`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct CredentialsReply {
    pub(crate) storage_credentials: Vec<StorageCredential>,
}

/// `CommitTableRequest`.
#[derive(Debug, Serialize)]
pub(crate) struct CommitRequest<'a> {
    pub(crate) identifier: Identifier,
    pub(crate) requirements: &'a [TableRequirement],
    pub(crate) updates: &'a [TableUpdate],
}

impl<'a> CommitRequest<'a> {
    pub(crate) fn new(
        table: &TableIdent,
        requirements: &'a [TableRequirement],
        updates: &'a [TableUpdate],
    ) -> Self {
        Self { identifier: table.into(), requirements, updates }
    }
}

/// `CommitTransactionRequest`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct TransactionRequest<'a> {
    pub(crate) table_changes: Vec<CommitRequest<'a>>,
}

impl<'a> TransactionRequest<'a> {
    pub(crate) fn new(changes: &'a [TableChange]) -> Self {
        let change = |c: &'a TableChange| CommitRequest::new(&c.table, &c.requirements, &c.updates);
        Self { table_changes: changes.iter().map(change).collect() }
    }
}
