//! What is remembered of the tables that were loaded: their files' storage, and the version the server named.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use floe_core::{Error, ErrorKind, LoadedTable, Result, StorageClient, VendedCredentials};
use iceberg::TableIdent;
use iceberg::io::FileIO;

use crate::connection::Connection;
use crate::credentials::{TableCredentials, is_credential, of_table, refuse_remote_signing};
use crate::http::Reply;
use crate::types::TableReply;

/// So many tables are remembered; all are forgotten when there are more.
const REMEMBERED: usize = 256;

/// Tables as last seen. A table keeps its file IO, and with it open connections, from one load to the next.
#[derive(Debug)]
pub(crate) struct Tables {
    connection: Arc<Connection>,
    storage: Arc<dyn StorageClient>,
    plain: FileIO,
    seen: Mutex<HashMap<TableIdent, Seen>>,
}

#[derive(Debug, Clone)]
struct Seen {
    /// The server's name for this version of the table (RFC 9110, section 8.8.3), with the table.
    version: Option<(String, LoadedTable)>,
    credentials: Option<Arc<TableCredentials>>,
    /// Of the credentials; a storage opened for one shape serves no other.
    shape: Vec<(String, Vec<(String, Option<String>)>)>,
    /// With the credentials, where there are any.
    storage: Option<Arc<dyn StorageClient>>,
    file_io: FileIO,
}

impl Tables {
    pub(crate) fn new(connection: Arc<Connection>, storage: Arc<dyn StorageClient>) -> Self {
        Self { connection, plain: storage.file_io(), storage, seen: Mutex::default() }
    }

    /// The table that a reply tells.
    pub(crate) fn take(&self, table: &TableIdent, reply: &Reply) -> Result<LoadedTable> {
        let told: TableReply = reply.json()?;
        let metadata = told.metadata()?;
        // The reply to a commit brings no credentials: those that came with the table stay.
        let came = told.config.is_some() || told.storage_credentials.is_some();
        let before = self.lock().get(table).cloned();
        let mut seen = match before {
            Some(before) if !came => before,
            before => self.opened(table, &told, before)?,
        };
        let loaded = LoadedTable {
            ident: table.clone(),
            metadata_location: told.metadata_location.ok_or_else(|| {
                Error::new(
                    ErrorKind::Corrupted,
                    "the catalog's server did not say where the table's metadata is",
                )
            })?,
            metadata: Arc::new(metadata),
            file_io: seen.file_io.clone(),
        };
        seen.version = reply.etag.clone().map(|etag| (etag, loaded.clone()));
        let mut all = self.lock();
        if all.len() >= REMEMBERED && !all.contains_key(table) {
            all.clear();
        }
        all.insert(table.clone(), seen);
        Ok(loaded)
    }

    /// The table as last seen, and the server's name for that version.
    pub(crate) fn known(&self, table: &TableIdent) -> Option<(String, LoadedTable)> {
        self.lock().get(table)?.version.clone()
    }

    /// The storage with the credentials that came with the table, where some did.
    pub(crate) fn storage(&self, table: &TableIdent) -> Option<Arc<dyn StorageClient>> {
        self.lock().get(table)?.storage.clone()
    }

    pub(crate) fn forget(&self, table: &TableIdent) {
        self.lock().remove(table);
    }

    /// The storage of a table's files, with the credentials that came with it; the one from before where it serves.
    fn opened(&self, table: &TableIdent, told: &TableReply, before: Option<Seen>) -> Result<Seen> {
        let vended = of_table(&self.connection, told);
        refuse_remote_signing(&vended, &self.connection.properties, table)?;
        let shape = shape(&vended);
        if let Some(before) = before.filter(|before| before.shape == shape) {
            if let Some(credentials) = &before.credentials {
                credentials.put(vended);
            }
            return Ok(before);
        }
        let file_io = self.plain.clone();
        let plain = Seen { version: None, credentials: None, shape, storage: None, file_io };
        if vended.is_empty() {
            return Ok(plain);
        }
        let credentials = Arc::new(TableCredentials::new(table.clone(), self.connection.clone(), vended));
        Ok(match self.storage.with_credentials(credentials.clone()) {
            Some(storage) => {
                let file_io = storage.file_io();
                Seen { credentials: Some(credentials), storage: Some(storage), file_io, ..plain }
            }
            None => plain,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TableIdent, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Prefixes and properties, without the values of those that make up credentials.
fn shape(vended: &[VendedCredentials]) -> Vec<(String, Vec<(String, Option<String>)>)> {
    let of = |entry: &VendedCredentials| {
        let property = |(key, value): (&String, &floe_core::SecretString)| {
            (key.clone(), (!is_credential(key)).then(|| value.expose().to_owned()))
        };
        (entry.prefix.clone(), entry.properties.iter().map(property).collect())
    };
    vended.iter().map(of).collect()
}
