//! The calls to Glue, one function for each.
//!
//! The SDK repeats a call that only reads as often as is configured. A call that changes something is repeated only
//! where Glue refused it unseen because there were too many, UpdateTable, the commit, as well. Never after a lost reply:
//! a repetition would meet the version that the first call made, and report a conflict that is none.

use std::collections::HashSet;

use aws_sdk_glue::Client;
use aws_sdk_glue::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_glue::types::{Database, DatabaseInput, Table, TableInput};
use aws_smithy_runtime_api::client::interceptors::context::{Error as CallError, InterceptorContext};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_types::SdkConfig;
use floe_core::limits::{self, refusal};
use floe_core::{Error, ErrorKind, Result};

use crate::error::{certain, from_sdk, is_throttling};

/// How many databases or tables a page may hold.
const PAGE: i32 = 100;

/// A Data Catalog.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    client: Client,
    catalog: Option<String>,
    skip_archive: bool,
    /// For errors.
    address: String,
}

impl Service {
    /// The Data Catalog `catalog`, or that of the caller's account. Calls nothing yet.
    pub(crate) fn new(
        sdk: &SdkConfig,
        endpoint: Option<&str>,
        catalog: Option<String>,
        skip_archive: bool,
    ) -> Self {
        let mut config = aws_sdk_glue::config::Builder::from(sdk);
        let endpoint = endpoint.or(sdk.endpoint_url()).map(str::to_owned);
        let region = sdk.region().map_or("", |region| region.as_ref());
        let address = endpoint.clone().unwrap_or_else(|| format!("the endpoint of the region {region}"));
        config.set_endpoint_url(endpoint);
        Self { client: Client::from_conf(config.build()), catalog, skip_archive, address }
    }

    fn failed<E>(&self, error: SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        from_sdk(error, &self.address)
    }

    /// The region that is called.
    pub(crate) fn region(&self) -> &str {
        self.client.config().region().map_or("", |region| region.as_ref())
    }

    /// Every database, page after page.
    pub(crate) async fn databases(&self) -> Result<Vec<Database>> {
        let mut found = Vec::new();
        let call = self.client.get_databases().set_catalog_id(self.catalog.clone()).max_results(PAGE);
        let (mut pages, mut tokens) = (call.into_paginator().send(), Tokens::default());
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| certain(self.failed(e)))?;
            tokens.check(page.next_token.as_deref())?;
            found.extend(page.database_list);
        }
        Ok(found)
    }

    /// A database, if it is there.
    pub(crate) async fn database(&self, name: &str) -> Result<Option<Database>> {
        let call = self.client.get_database().set_catalog_id(self.catalog.clone()).name(name);
        or_none(call.send().await.map(|answer| answer.database).map_err(|e| certain(self.failed(e))))
    }

    /// Makes a database.
    pub(crate) async fn create_database(&self, input: DatabaseInput) -> Result<()> {
        let call = self.client.create_database().set_catalog_id(self.catalog.clone()).database_input(input);
        call.customize().config_override(once_seen()).send().await.map(drop).map_err(|e| self.failed(e))
    }

    /// Replaces a database.
    pub(crate) async fn update_database(&self, name: &str, input: DatabaseInput) -> Result<()> {
        let call = self
            .client
            .update_database()
            .set_catalog_id(self.catalog.clone())
            .name(name)
            .database_input(input);
        call.customize().config_override(once_seen()).send().await.map(drop).map_err(|e| self.failed(e))
    }

    /// Drops a database, and whatever is in it.
    pub(crate) async fn delete_database(&self, name: &str) -> Result<()> {
        let call = self.client.delete_database().set_catalog_id(self.catalog.clone()).name(name);
        call.customize().config_override(once_seen()).send().await.map(drop).map_err(|e| self.failed(e))
    }

    /// Whether a database holds any table.
    pub(crate) async fn has_tables(&self, database: &str) -> Result<bool> {
        let call = self.client.get_tables().set_catalog_id(self.catalog.clone()).database_name(database);
        let (mut pages, mut tokens) = (call.max_results(1).into_paginator().send(), Tokens::default());
        // A page may be empty and yet not be the last.
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| certain(self.failed(e)))?;
            tokens.check(page.next_token.as_deref())?;
            if !page.table_list().is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Every table of a database, page after page.
    pub(crate) async fn tables(&self, database: &str) -> Result<Vec<Table>> {
        let mut found = Vec::new();
        let call = self.client.get_tables().set_catalog_id(self.catalog.clone()).database_name(database);
        let (mut pages, mut tokens) = (call.max_results(PAGE).into_paginator().send(), Tokens::default());
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| certain(self.failed(e)))?;
            tokens.check(page.next_token.as_deref())?;
            found.extend(page.table_list.unwrap_or_default());
        }
        Ok(found)
    }

    /// A table, if it is there.
    pub(crate) async fn table(&self, database: &str, name: &str) -> Result<Option<Table>> {
        let call =
            self.client.get_table().set_catalog_id(self.catalog.clone()).database_name(database).name(name);
        or_none(call.send().await.map(|answer| answer.table).map_err(|e| certain(self.failed(e))))
    }

    /// Makes a table.
    pub(crate) async fn create_table(&self, database: &str, input: TableInput) -> Result<()> {
        let call = self
            .client
            .create_table()
            .set_catalog_id(self.catalog.clone())
            .database_name(database)
            .table_input(input);
        call.customize().config_override(once_seen()).send().await.map(drop).map_err(|e| self.failed(e))
    }

    /// Replaces a table that is still at `version`.
    pub(crate) async fn update_table(&self, database: &str, input: TableInput, version: &str) -> Result<()> {
        let call = self.client.update_table().set_catalog_id(self.catalog.clone()).database_name(database);
        let call = call.table_input(input).version_id(version).skip_archive(self.skip_archive);
        call.customize().config_override(once_seen()).send().await.map(drop).map_err(|e| self.failed(e))
    }

    /// Drops a table.
    pub(crate) async fn delete_table(&self, database: &str, name: &str) -> Result<()> {
        let call = self
            .client
            .delete_table()
            .set_catalog_id(self.catalog.clone())
            .database_name(database)
            .name(name);
        call.customize().config_override(once_seen()).send().await.map(drop).map_err(|e| self.failed(e))
    }
}

/// The page tokens of a listing: with one that comes back, or always another one, it would never end.
#[derive(Debug, Default)]
struct Tokens(HashSet<String>);

impl Tokens {
    fn check(&mut self, next: Option<&str>) -> Result<()> {
        self.check_within(next, limits::current().listing_pages)
    }

    fn check_within(&mut self, next: Option<&str>, most: u64) -> Result<()> {
        match next.filter(|next| !next.is_empty()) {
            Some(_) if self.0.len() as u64 >= most => {
                Err(refusal(ErrorKind::Corrupted, "Glue lists, in pages,", "listing-pages", most))
            }
            Some(next) if !self.0.insert(next.to_owned()) => {
                Err(Error::new(ErrorKind::Corrupted, "Glue gives the same page of a listing again and again")
                    .with_hint("check `glue.endpoint`; report it to those who run the service"))
            }
            _ => Ok(()),
        }
    }
}

fn or_none<T>(found: Result<Option<T>>) -> Result<Option<T>> {
    match found {
        Err(e) if e.kind() == ErrorKind::NoSuchTable => Ok(None),
        found => found,
    }
}

/// Settings of a call that must not take effect twice.
fn once_seen() -> aws_sdk_glue::config::Builder {
    aws_sdk_glue::config::Builder::new().retry_classifier(OnlyThrottled)
}

/// Lets a call be repeated only where Glue refused it unseen.
#[derive(Debug)]
struct OnlyThrottled;

impl ClassifyRetry for OnlyThrottled {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.output_or_error() {
            Some(Err(error)) => {
                let refused = error.as_operation_error().and_then(code);
                if refused.is_some_and(is_throttling) {
                    RetryAction::throttling_error()
                } else {
                    RetryAction::RetryForbidden
                }
            }
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "only throttled"
    }
}

/// The code of an error of a call that changes something.
fn code(error: &CallError) -> Option<&str> {
    use aws_sdk_glue::operation as of;
    fn of_type<E>(error: &CallError) -> Option<&str>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        error.downcast_ref::<E>()?.code()
    }
    of_type::<of::create_database::CreateDatabaseError>(error)
        .or_else(|| of_type::<of::update_database::UpdateDatabaseError>(error))
        .or_else(|| of_type::<of::delete_database::DeleteDatabaseError>(error))
        .or_else(|| of_type::<of::create_table::CreateTableError>(error))
        .or_else(|| of_type::<of::update_table::UpdateTableError>(error))
        .or_else(|| of_type::<of::delete_table::DeleteTableError>(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_that_comes_back_ends_the_listing() {
        let mut tokens = Tokens::default();
        for next in [Some("a"), Some("b"), Some(""), None] {
            tokens.check(next).unwrap();
        }
        assert_eq!(tokens.check(Some("a")).unwrap_err().kind(), ErrorKind::Corrupted);
    }

    #[test]
    fn page_tokens_that_are_always_new_end_the_listing() {
        let mut tokens = Tokens::default();
        let error = (0..).find_map(|page| tokens.check_within(Some(&page.to_string()), 50).err()).unwrap();
        assert!(error.message().contains("`limits.listing-pages`"), "{error}");
        assert_eq!((error.kind(), tokens.0.len()), (ErrorKind::Corrupted, 50));
    }
}
