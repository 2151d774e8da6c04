//! The one error type of floe, and the kinds a caller acts on.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The result of a floe operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. Each kind has one [`Action`]; branch on the action unless the precise kind matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// A configuration, schema, filter or argument is not valid. Nothing was written.
    Validation,
    /// The data does not fit the table's schema (unknown column, type, NULL in a required column).
    SchemaMismatch,
    /// A schema change would make existing data unreadable or wrong.
    IncompatibleSchemaChange,
    /// A schema change could not be applied.
    SchemaEvolution,
    /// The table is there already.
    TableAlreadyExists,
    /// The namespace is there already.
    NamespaceAlreadyExists,
    /// The namespace still holds tables or namespaces.
    NamespaceNotEmpty,
    /// There is no such table.
    NoSuchTable,
    /// There is no such namespace.
    NoSuchNamespace,
    /// There is no such snapshot, tag or branch.
    SnapshotNotFound,
    /// There is no such plugin, or it is not linked into this binary.
    NoSuchPlugin,
    /// A file is not there.
    FileNotFound,
    /// Another writer changed the table in a way this operation cannot be combined with.
    CommitConflict,
    /// The commit may or may not have happened. Nothing was deleted; look before trying again.
    CommitStateUnknown,
    /// Writing data files failed; the table is as it was.
    Write,
    /// A roll-back was refused.
    Rollback,
    /// A compaction failed; the table is as it was.
    Compaction,
    /// Valid credentials are missing or were refused.
    Unauthenticated,
    /// The credentials do not allow this.
    PermissionDenied,
    /// No room is left on the device or in the quota.
    StorageFull,
    /// A service or a lock cannot be had right now.
    Unavailable,
    /// A time limit ran out.
    Timeout,
    /// A metadata file, manifest or data file is damaged or is not what it claims to be.
    Corrupted,
    /// The table or server needs something floe does not do.
    Unsupported,
    /// Reading or writing failed in some other way.
    Io,
    /// A defect in floe or in a library it uses.
    Internal,
}

/// What a caller does about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Mend the input and call again.
    MendInput,
    /// The named thing is not there: create it, or mend the name.
    NotFound,
    /// The named thing is there already.
    AlreadyExists,
    /// Load the table again, decide again, and call again.
    Conflict,
    /// Look whether the operation took effect before calling again.
    CheckOutcome,
    /// Wait and call again.
    Retry,
    /// Get credentials or permission.
    Denied,
    /// Repair the table or the environment.
    Repair,
    /// Report it.
    Report,
}

impl ErrorKind {
    /// The `snake_case` name, as JSON output and spans carry it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Validation => "validation",
            Self::SchemaMismatch => "schema_mismatch",
            Self::IncompatibleSchemaChange => "incompatible_schema_change",
            Self::SchemaEvolution => "schema_evolution",
            Self::TableAlreadyExists => "table_already_exists",
            Self::NamespaceAlreadyExists => "namespace_already_exists",
            Self::NamespaceNotEmpty => "namespace_not_empty",
            Self::NoSuchTable => "no_such_table",
            Self::NoSuchNamespace => "no_such_namespace",
            Self::SnapshotNotFound => "snapshot_not_found",
            Self::NoSuchPlugin => "no_such_plugin",
            Self::FileNotFound => "file_not_found",
            Self::CommitConflict => "commit_conflict",
            Self::CommitStateUnknown => "commit_state_unknown",
            Self::Write => "write",
            Self::Rollback => "rollback",
            Self::Compaction => "compaction",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission_denied",
            Self::StorageFull => "storage_full",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Corrupted => "corrupted",
            Self::Unsupported => "unsupported",
            Self::Io => "io",
            Self::Internal => "internal",
        }
    }

    /// What a caller does about an error of this kind.
    pub fn action(self) -> Action {
        match self {
            Self::Validation
            | Self::SchemaMismatch
            | Self::IncompatibleSchemaChange
            | Self::SchemaEvolution
            | Self::NamespaceNotEmpty
            | Self::Rollback => Action::MendInput,
            Self::TableAlreadyExists | Self::NamespaceAlreadyExists => Action::AlreadyExists,
            Self::NoSuchTable
            | Self::NoSuchNamespace
            | Self::SnapshotNotFound
            | Self::NoSuchPlugin
            | Self::FileNotFound => Action::NotFound,
            Self::CommitConflict => Action::Conflict,
            Self::CommitStateUnknown => Action::CheckOutcome,
            Self::Unauthenticated | Self::PermissionDenied => Action::Denied,
            Self::Unavailable | Self::Timeout => Action::Retry,
            Self::StorageFull
            | Self::Corrupted
            | Self::Write
            | Self::Compaction
            | Self::Unsupported
            | Self::Io => Action::Repair,
            Self::Internal => Action::Report,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happened, to which table, and what to do.
///
/// Carries no data values, credentials or tokens: messages name columns, types, files and counts only.
///
/// ```
/// use floe_core::{Action, Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::NoSuchTable, "there is no such table")
///     .with_table("sales.orders")
///     .with_hint("create it with `floe create`");
/// assert_eq!(error.kind().action(), Action::NotFound);
/// assert_eq!(
///     error.to_string(),
///     "sales.orders: there is no such table (create it with `floe create`)"
/// );
/// ```
#[derive(Clone)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    table: Option<String>,
    hint: Option<String>,
    source: Option<Arc<dyn std::error::Error + Send + Sync + 'static>>,
}

impl Error {
    /// An error of `kind`; `message` is a plain sentence without a final stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner { kind, message: message.into(), table: None, hint: None, source: None }),
        }
    }

    /// An error of kind [`ErrorKind::Validation`].
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Validation, message)
    }

    /// Names the table, unless one is named already; quoted where [`crate::names::render_table`] quotes it.
    pub fn with_table(mut self, table: impl crate::names::TableText) -> Self {
        self.inner.table.get_or_insert_with(|| table.table_text());
        self
    }

    /// Says what to do about it, unless that is said already.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.inner.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// Keeps the error that caused this one.
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.inner.source = Some(Arc::new(source));
        self
    }

    /// The same error with another kind.
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.inner.kind = kind;
        self
    }

    /// Puts what was being done before the message: `context: message`.
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.inner.message = format!("{context}: {}", self.inner.message);
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// What happened, without table and hint.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The table it happened to, as `namespace.table`.
    pub fn table(&self) -> Option<&str> {
        self.inner.table.as_deref()
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        self.inner.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(table) = &self.inner.table {
            write!(f, "{table}: ")?;
        }
        f.write_str(&self.inner.message)?;
        if let Some(hint) = &self.inner.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.inner.kind).field("message", &self.to_string());
        if let Some(source) = &self.inner.source {
            // Libraries put whole paths into their errors, and with them the values of partitions.
            out.field("source", &format_args!("{}", crate::location::mask_text(&format!("{source:?}"))));
        }
        out.finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_deref().map(|s| s as _)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Error::new(io_kind(&error), error.to_string()).with_source(error)
    }
}

/// Iceberg's own kinds are coarse: the chain of sources is searched for a floe error or an IO error first, so
/// that a full disk stays [`ErrorKind::StorageFull`] on its way through the crate.
impl From<iceberg::Error> for Error {
    fn from(error: iceberg::Error) -> Self {
        if let Some(floe) = find::<Error>(&error) {
            return floe.clone();
        }
        let kind = match find::<std::io::Error>(&error) {
            Some(io) => io_kind(io),
            None => match error.kind() {
                iceberg::ErrorKind::DataInvalid => ErrorKind::Corrupted,
                iceberg::ErrorKind::NamespaceAlreadyExists => ErrorKind::NamespaceAlreadyExists,
                iceberg::ErrorKind::TableAlreadyExists => ErrorKind::TableAlreadyExists,
                iceberg::ErrorKind::NamespaceNotFound => ErrorKind::NoSuchNamespace,
                iceberg::ErrorKind::TableNotFound => ErrorKind::NoSuchTable,
                iceberg::ErrorKind::FeatureUnsupported => ErrorKind::Unsupported,
                iceberg::ErrorKind::CatalogCommitConflicts => ErrorKind::CommitConflict,
                iceberg::ErrorKind::PreconditionFailed => ErrorKind::Validation,
                _ => ErrorKind::Internal,
            },
        };
        Error::new(kind, crate::location::mask_text(error.message())).with_source(error)
    }
}

/// Lets floe code run below an Iceberg trait (`Storage`, `FileRead`, …): the floe error travels as the source
/// and comes back whole on the other side.
impl From<Error> for iceberg::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Corrupted | ErrorKind::Validation | ErrorKind::SchemaMismatch => {
                iceberg::ErrorKind::DataInvalid
            }
            ErrorKind::Unsupported => iceberg::ErrorKind::FeatureUnsupported,
            _ => iceberg::ErrorKind::Unexpected,
        };
        iceberg::Error::new(kind, error.to_string()).with_source(error)
    }
}

fn io_kind(error: &std::io::Error) -> ErrorKind {
    use std::io::ErrorKind as Io;
    match error.kind() {
        Io::NotFound => ErrorKind::FileNotFound,
        Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::PermissionDenied,
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => ErrorKind::StorageFull,
        Io::TimedOut => ErrorKind::Timeout,
        Io::ConnectionRefused | Io::ConnectionReset | Io::ConnectionAborted | Io::NotConnected => {
            ErrorKind::Unavailable
        }
        Io::UnexpectedEof | Io::InvalidData => ErrorKind::Corrupted,
        _ => ErrorKind::Io,
    }
}

fn find<'a, T: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(e) = next {
        if let Some(found) = e.downcast_ref::<T>() {
            return Some(found);
        }
        next = e.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_keeps_its_kind_through_iceberg_and_back() {
        let io = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let floe = Error::from(io).with_hint("free some room");
        let iceberg = iceberg::Error::from(floe);
        let back = Error::from(iceberg);
        assert_eq!(back.kind(), ErrorKind::StorageFull);
        assert_eq!(back.hint(), Some("free some room"));
    }

    #[test]
    fn an_io_error_inside_an_iceberg_error_gives_the_kind() {
        let io = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let iceberg = iceberg::Error::new(iceberg::ErrorKind::Unexpected, "write failed").with_source(io);
        assert_eq!(Error::from(iceberg).kind(), ErrorKind::PermissionDenied);
    }

    #[test]
    fn the_first_table_and_hint_stay() {
        let error = Error::validation("no").with_table("a.b").with_table("c.d").with_hint("x").with_hint("y");
        assert_eq!(error.to_string(), "a.b: no (x)");
    }

    #[test]
    fn serialised_name_is_as_str() {
        let json = serde_json::to_string(&ErrorKind::CommitStateUnknown).expect("serialises");
        assert_eq!(json, format!("\"{}\"", ErrorKind::CommitStateUnknown.as_str()));
    }
}
