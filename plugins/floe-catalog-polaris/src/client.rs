//! The catalog client.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use floe_core::limits::{self, refusal};
use floe_core::{
    CatalogCapabilities, CatalogClient, CommitOutcome, Environment, Error, ErrorKind, LoadedTable, NameRules,
    PluginConfig, Result, StorageClient, TableChange, TablesOutcome, names,
};
use iceberg::spec::{FormatVersion, TableMetadata};
use iceberg::{Namespace, NamespaceIdent, TableCreation, TableIdent, TableRequirement, TableUpdate};
use percent_encoding::percent_decode_str;
use reqwest::Method;

use crate::commit::{Verdict, verdict};
use crate::connection::Connection;
use crate::endpoints::Endpoint;
use crate::error::{About, Failure, refused_write};
use crate::http::Call;
use crate::look::told;
use crate::tables::Tables;
use crate::types::{
    CommitRequest, CreateTableRequest, Identifier, NamespaceBody, Page, PropertiesRequest, RegisterRequest,
    RenameRequest, TableReply, TransactionRequest,
};

/// The property with which a request names a table's format version.
const FORMAT_VERSION: &str = "format-version";
/// So many pages in a row that bring nothing new end a listing: there is no end to them.
const IDLE_PAGES: usize = 100;

/// An open catalog on a server.
#[derive(Debug)]
pub struct RestCatalog {
    name: String,
    connection: Arc<Connection>,
    tables: Tables,
}

impl RestCatalog {
    pub(crate) async fn open(
        config: &PluginConfig,
        default_scope: &str,
        storage: Arc<dyn StorageClient>,
        env: Arc<dyn Environment>,
    ) -> Result<Self> {
        let connection = Connection::open(config, default_scope, env).await;
        let connection = Arc::new(connection.map_err(|e| e.context(format!("catalog '{}'", config.name())))?);
        let name = connection.properties.get("warehouse").unwrap_or(config.name()).to_owned();
        Ok(Self { name, tables: Tables::new(connection.clone(), storage), connection })
    }

    /// Has the server prepare a table that nobody sees until a commit with the requirement
    /// [`TableRequirement::NotExist`] makes it (Iceberg REST specification, `createTable` with `stage-create`).
    /// `NoSuchNamespace`, `TableAlreadyExists`.
    pub async fn stage_table(
        &self,
        namespace: &NamespaceIdent,
        creation: TableCreation,
    ) -> Result<TableMetadata> {
        let table = TableIdent::new(namespace.clone(), creation.name.clone());
        let staged = async {
            let call = self.creation(namespace, creation, true).await?;
            self.connection.write(call, About::NewTable).await
        };
        staged.await.map_err(|e| e.with_table(&table))?.json::<TableReply>()?.metadata()
    }

    /// The call that makes a table.
    async fn creation(
        &self,
        namespace: &NamespaceIdent,
        creation: TableCreation,
        stage: bool,
    ) -> Result<Call> {
        self.connection.endpoints.need(Endpoint::CreateTable)?;
        self.need_namespace(namespace).await?;
        // That the path can name the table is found out before it is made.
        self.connection.paths.table(&TableIdent::new(namespace.clone(), creation.name.clone()))?;
        let version = match creation.format_version {
            FormatVersion::V1 => "1",
            FormatVersion::V2 => "2",
            FormatVersion::V3 => "3",
        };
        let mut properties = creation.properties;
        properties.insert(FORMAT_VERSION.to_owned(), version.to_owned());
        let body = CreateTableRequest {
            name: creation.name,
            location: creation.location.map(|l| l.trim_end_matches('/').to_owned()),
            schema: creation.schema,
            partition_spec: creation.partition_spec,
            write_order: creation.sort_order,
            stage_create: stage,
            properties,
        };
        Call::post(self.connection.paths.tables(namespace)?, &body)
    }

    /// Makes a table, and looks what became of it where the server does not say that it was made.
    async fn create(&self, table: &TableIdent, creation: TableCreation) -> Result<LoadedTable> {
        let call = self.creation(table.namespace(), creation, false).await?;
        let was_there = self.table_exists(table).await.unwrap_or(false);
        let reply = match self.connection.propose(call).await {
            Ok(reply) => reply,
            Err(Failure::NotSent(error)) => return Err(error),
            Err(lost) => return Err(told(&self.connection, table, lost.of_write(), None, was_there).await),
        };
        if !reply.is_success() {
            let error = refused_write(&reply, About::NewTable);
            return Err(told(&self.connection, table, error, Some(&reply), was_there).await);
        }
        let made = self.tables.take(table, &reply).map_err(|e| {
            let kind =
                if e.kind() == ErrorKind::Unsupported { e.kind() } else { ErrorKind::CommitStateUnknown };
            e.with_kind(kind).context("the table was made, but cannot be used as it is")
        })?;
        // Some servers decode the names of a path twice, and find another name then.
        if table.name().contains(['+', '%']) && !self.table_exists(table).await.unwrap_or(true) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "the server made the table at {}, but does not find it by this name",
                    made.metadata.location()
                ),
            )
            .with_hint(
                "choose a name without '+' and '%', and have the table removed with the server's own tools",
            ));
        }
        Ok(made)
    }

    /// `NoSuchNamespace` for one that is not there. Some servers (Iceberg's JDBC catalog) would make a table in it all
    /// the same, and with it a namespace that nobody asked for.
    async fn need_namespace(&self, namespace: &NamespaceIdent) -> Result<()> {
        match self.namespace_exists(namespace).await {
            Ok(false) => {}
            Ok(true) => return Ok(()),
            // Whoever may make tables in it need not be allowed to look at it.
            Err(e) if e.kind() == ErrorKind::PermissionDenied => return Ok(()),
            Err(e) => return Err(e),
        }
        Err(names::no_namespace(namespace).with_hint("create it first"))
    }

    /// Every page of a listing.
    async fn pages(&self, url: String, parent: Option<&NamespaceIdent>) -> Result<Vec<Page>> {
        let mut pages: Vec<Page> = Vec::new();
        let mut token = String::new();
        let (mut tokens, mut seen, mut idle) = (HashSet::new(), HashSet::new(), 0);
        loop {
            let mut call = Call::get(url.clone()).query("pageToken", &*token);
            if let Some(size) = self.connection.page_size {
                call = call.query("pageSize", size.to_string());
            }
            if let Some(parent) = parent {
                let parent = self.connection.paths.encoded(parent)?;
                call = call.query("parent", percent_decode_str(&parent).decode_utf8_lossy());
            }
            let page: Page = self.connection.read(&call, About::Namespace).await?.json()?;
            let next = page.next_page_token.clone().filter(|next| !next.is_empty());
            let before = seen.len();
            seen.extend(page.namespaces.iter().cloned());
            seen.extend(page.identifiers.iter().map(Identifier::parts));
            idle = if seen.len() > before { 0 } else { idle + 1 };
            pages.push(page);
            let limits = limits::current();
            let server = "the catalog's server lists";
            if pages.len() as u64 > limits.listing_pages {
                let what = format!("{server}, in pages,");
                return Err(refusal(ErrorKind::Corrupted, &what, "listing-pages", limits.listing_pages));
            }
            if seen.len() as u64 > limits.listing_names {
                let what = format!("{server}, in names,");
                return Err(refusal(ErrorKind::Corrupted, &what, "listing-names", limits.listing_names));
            }
            match next {
                None => return Ok(pages),
                Some(next) if idle < IDLE_PAGES && tokens.insert(next.clone()) => token = next,
                Some(_) => {
                    return Err(Error::new(
                        ErrorKind::Corrupted,
                        "the catalog's server gives the same page of a listing again and again",
                    )
                    .with_hint("report it to those who run the server"));
                }
            }
        }
    }

    async fn exists(&self, head: Endpoint, get: Endpoint, url: String, about: About) -> Result<bool> {
        let method = if self.connection.endpoints.has(head) {
            Method::HEAD
        } else {
            self.connection.endpoints.need(get)?;
            Method::GET
        };
        match self.connection.read(&Call::new(method, url), about).await {
            Ok(_) => Ok(true),
            Err(e) if matches!(e.kind(), ErrorKind::NoSuchTable | ErrorKind::NoSuchNamespace) => Ok(false),
            Err(e) => Err(e),
        }
    }

    async fn delete_table(&self, table: &TableIdent, purge: bool) -> Result<()> {
        let delete = async {
            self.connection.endpoints.need(Endpoint::DropTable)?;
            let call = Call::new(Method::DELETE, self.connection.paths.table(table)?)
                .query("purgeRequested", if purge { "true" } else { "false" });
            self.connection.write(call, About::Table).await
        };
        delete.await.map_err(|e| about_table(e, table))?;
        self.tables.forget(table);
        Ok(())
    }
}

#[async_trait]
impl CatalogClient for RestCatalog {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> CatalogCapabilities {
        let has = |endpoint| self.connection.endpoints.has(endpoint);
        CatalogCapabilities {
            nested_namespaces: true,
            namespace_properties: has(Endpoint::UpdateProperties),
            rename_table: has(Endpoint::RenameTable),
            register_table: has(Endpoint::RegisterTable),
            shared: true,
            server_side_metadata: true,
            multi_table_commit: has(Endpoint::CommitTransaction),
            purge_table: has(Endpoint::DropTable),
            names: NameRules::Any,
        }
    }

    async fn list_namespaces(&self, parent: Option<&NamespaceIdent>) -> Result<Vec<NamespaceIdent>> {
        self.connection.endpoints.need(Endpoint::ListNamespaces)?;
        let pages = self.pages(self.connection.paths.namespaces(), parent).await?;
        let found: Vec<Vec<String>> = pages.into_iter().flat_map(|page| page.namespaces).collect();
        let found =
            found.into_iter().filter(|parts| !parts.is_empty() && !parts.iter().any(String::is_empty));
        let (below, others): (Vec<_>, Vec<_>) = found.partition(|parts| is_below(parts, parent));
        if !others.is_empty() {
            let parent = parent.map(names::render_namespace).unwrap_or_default();
            tracing::warn!(parent, count = others.len(), "the server lists namespaces that lie elsewhere");
        }
        names::children(parent, below)
    }

    async fn create_namespace(
        &self,
        name: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<Namespace> {
        self.connection.endpoints.need(Endpoint::CreateNamespace)?;
        // That the path can name it is found out before it is made.
        self.connection.paths.namespace(name)?;
        let body = NamespaceBody { namespace: name.as_ref().clone(), properties: Some(properties) };
        let call = Call::post(self.connection.paths.namespaces(), &body)?;
        let made: NamespaceBody = self.connection.write(call, About::NewNamespace).await?.json()?;
        if !made.namespace.is_empty() && !is_same(&made.namespace, name) {
            let made = names::render_parts(&made.namespace);
            let why =
                format!("the server made the namespace {made} in place of {}", names::render_namespace(name));
            return Err(Error::new(ErrorKind::Unsupported, why).with_hint("choose another name"));
        }
        Ok(Namespace::with_properties(name.clone(), made.properties.unwrap_or_default()))
    }

    async fn load_namespace(&self, name: &NamespaceIdent) -> Result<Namespace> {
        self.connection.endpoints.need(Endpoint::LoadNamespace)?;
        let call = Call::get(self.connection.paths.namespace(name)?);
        let loaded: NamespaceBody = self.connection.read(&call, About::Namespace).await?.json()?;
        Ok(Namespace::with_properties(name.clone(), loaded.properties.unwrap_or_default()))
    }

    async fn namespace_exists(&self, name: &NamespaceIdent) -> Result<bool> {
        let url = self.connection.paths.namespace(name)?;
        self.exists(Endpoint::NamespaceExists, Endpoint::LoadNamespace, url, About::Namespace).await
    }

    async fn update_namespace(
        &self,
        name: &NamespaceIdent,
        set: HashMap<String, String>,
        remove: Vec<String>,
    ) -> Result<()> {
        self.connection.endpoints.need(Endpoint::UpdateProperties)?;
        if let Some(key) = remove.iter().find(|key| set.contains_key(*key)) {
            return Err(Error::validation(format!("the property '{key}' cannot be set and removed at once")));
        }
        let body = PropertiesRequest { removals: remove, updates: set };
        let call = Call::post(self.connection.paths.properties(name)?, &body)?;
        self.connection.write(call, About::Namespace).await.map(drop)
    }

    async fn drop_namespace(&self, name: &NamespaceIdent) -> Result<()> {
        self.connection.endpoints.need(Endpoint::DropNamespace)?;
        // Some servers (Iceberg's JDBC catalog) look for tables only.
        if self.connection.endpoints.has(Endpoint::ListNamespaces)
            && !self.list_namespaces(Some(name)).await?.is_empty()
        {
            let why = format!("the namespace '{}' has namespaces below it", names::render_namespace(name));
            return Err(Error::new(ErrorKind::NamespaceNotEmpty, why).with_hint("drop those first"));
        }
        let call = Call::new(Method::DELETE, self.connection.paths.namespace(name)?);
        self.connection.write(call, About::Namespace).await.map(drop)
    }

    async fn list_tables(&self, name: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        self.connection.endpoints.need(Endpoint::ListTables)?;
        let pages = self.pages(self.connection.paths.tables(name)?, None).await?;
        let found =
            pages.into_iter().flat_map(|page| page.identifiers).filter(|table| !table.name.is_empty());
        let (own, others): (Vec<_>, Vec<_>) = found.partition(|table| is_same(&table.namespace, name));
        if !others.is_empty() {
            let namespace = names::render_namespace(name);
            tracing::warn!(namespace, count = others.len(), "the server lists tables that lie elsewhere");
        }
        let mut found: Vec<_> = own.into_iter().map(|t| TableIdent::new(name.clone(), t.name)).collect();
        found.sort();
        found.dedup();
        Ok(found)
    }

    async fn table_exists(&self, table: &TableIdent) -> Result<bool> {
        let url = self.connection.paths.table(table)?;
        self.exists(Endpoint::TableExists, Endpoint::LoadTable, url, About::Table).await
    }

    async fn create_table(&self, namespace: &NamespaceIdent, creation: TableCreation) -> Result<LoadedTable> {
        let table = TableIdent::new(namespace.clone(), creation.name.clone());
        self.create(&table, creation).await.map_err(|e| e.with_table(&table))
    }

    async fn load_table(&self, table: &TableIdent) -> Result<LoadedTable> {
        let load = async {
            self.connection.endpoints.need(Endpoint::LoadTable)?;
            let known = self.tables.known(table);
            let mut call = Call::get(self.connection.paths.table(table)?);
            call.if_none_match = known.as_ref().map(|(etag, _)| etag.clone());
            let reply = self.connection.read(&call, About::Table).await?;
            match known {
                Some((_, known)) if reply.status == 304 => Ok(known),
                _ => self.tables.take(table, &reply),
            }
        };
        load.await.map_err(|e| about_table(e, table))
    }

    async fn table_storage(&self, table: &TableIdent) -> Result<Option<Arc<dyn StorageClient>>> {
        self.load_table(table).await?;
        Ok(self.tables.storage(table))
    }

    async fn rename_table(&self, from: &TableIdent, to: &TableIdent) -> Result<()> {
        let rename = async {
            self.connection.endpoints.need(Endpoint::RenameTable)?;
            self.connection.paths.table(to)?;
            let body = RenameRequest { source: from.into(), destination: to.into() };
            let call = Call::post(self.connection.paths.rename(), &body)?;
            self.connection.write(call, About::Rename).await
        };
        rename.await.map_err(|e| match e.kind() {
            ErrorKind::TableAlreadyExists => e.with_table(to),
            _ => e.with_table(from),
        })?;
        self.tables.forget(from);
        Ok(())
    }

    async fn drop_table(&self, table: &TableIdent) -> Result<()> {
        self.delete_table(table, false).await
    }

    async fn purge_table(&self, table: &TableIdent) -> Result<()> {
        self.delete_table(table, true).await
    }

    async fn register_table(&self, table: &TableIdent, metadata_location: &str) -> Result<LoadedTable> {
        let register = async {
            self.connection.endpoints.need(Endpoint::RegisterTable)?;
            self.need_namespace(table.namespace()).await?;
            self.connection.paths.table(table)?;
            let body = RegisterRequest { name: table.name(), metadata_location };
            let call = Call::post(self.connection.paths.register(table.namespace())?, &body)?;
            let reply = self.connection.write(call, About::Register).await;
            let reply = reply.map_err(|e| e.context(format!("registering {metadata_location}")))?;
            self.tables.take(table, &reply)
        };
        register.await.map_err(|e| e.with_table(table))
    }

    async fn commit(
        &self,
        table: &TableIdent,
        requirements: &[TableRequirement],
        updates: &[TableUpdate],
    ) -> Result<CommitOutcome> {
        let prepare = || {
            self.connection.endpoints.need(Endpoint::CommitTable)?;
            let body = CommitRequest::new(table, requirements, updates);
            Call::post(self.connection.paths.table(table)?, &body)
        };
        let call = prepare().map_err(|e| e.with_table(table))?;
        match verdict(self.connection.propose(call).await) {
            // It happened, even where the reply does not read.
            Verdict::Done(reply) => Ok(match self.tables.take(table, &reply) {
                Ok(table) => CommitOutcome::Committed(table),
                Err(e) => CommitOutcome::Unknown(e.with_table(table)),
            }),
            Verdict::Conflict(e) => Ok(CommitOutcome::Conflict(e.with_table(table))),
            Verdict::Unknown(e) => Ok(CommitOutcome::Unknown(e.with_table(table))),
            Verdict::Refused(e) => Err(about_table(e, table)),
        }
    }

    async fn commit_tables(&self, changes: &[TableChange]) -> Result<TablesOutcome> {
        self.connection.endpoints.need(Endpoint::CommitTransaction)?;
        for change in changes {
            self.connection.paths.table(&change.table)?;
        }
        let call = Call::post(self.connection.paths.transaction(), &TransactionRequest::new(changes))?;
        match verdict(self.connection.propose(call).await) {
            Verdict::Done(_) => Ok(TablesOutcome::Committed),
            Verdict::Conflict(e) => Ok(TablesOutcome::Conflict(e)),
            Verdict::Unknown(e) => Ok(TablesOutcome::Unknown(e)),
            Verdict::Refused(e) => Err(e),
        }
    }
}

/// Whether a namespace that a server listed lies below `parent`, or anywhere where all were asked for.
fn is_below(parts: &[String], parent: Option<&NamespaceIdent>) -> bool {
    parent.is_none_or(|parent| parts.len() > parent.len() && parts.starts_with(parent))
}

/// Whether a namespace that a server named is `own`: some write its levels as one, joined by dots.
fn is_same(parts: &[String], own: &NamespaceIdent) -> bool {
    *parts == **own || parts.join(".") == own.join(".")
}

/// A table in a namespace that is not there is not there either.
fn about_table(error: Error, table: &TableIdent) -> Error {
    let error = match error.kind() {
        ErrorKind::NoSuchNamespace => error.with_kind(ErrorKind::NoSuchTable),
        _ => error,
    };
    error.with_table(table)
}
