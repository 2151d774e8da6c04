//! The storage client every plugin over `object_store` hands out.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use floe_core::{
    CredentialProvider, Error, ErrorKind, FileEntry, Result, StorageCapabilities, StorageClient,
};
use futures::stream::{BoxStream, StreamExt};
use iceberg::io::FileIO;

use crate::error::storage_error;
use crate::storage::{ObjectStoreStorage, is_marker, listed, missing_below_file, told};
use crate::uri::Uri;

/// A [`StorageClient`] over an [`ObjectStoreStorage`].
#[derive(Debug, Clone)]
pub struct ObjectStoreClient {
    storage: ObjectStoreStorage,
    file_io: FileIO,
    warehouse: String,
    capabilities: StorageCapabilities,
}

impl ObjectStoreClient {
    /// A client for the warehouse at this URI. Makes no request.
    ///
    /// `Validation` when the storage does not serve the warehouse.
    pub fn new(
        storage: ObjectStoreStorage,
        warehouse: &str,
        capabilities: StorageCapabilities,
    ) -> Result<Self> {
        if warehouse.is_empty() {
            // The catalog says where each table goes.
            return Ok(Self { file_io: storage.file_io(), storage, warehouse: String::new(), capabilities });
        }
        // Final slashes of a folder are no part of its name.
        let uri = Uri::parse(warehouse)?;
        let uri = Uri { path: uri.path.trim_end_matches('/'), ..uri };
        let target = storage.target(&uri.render(uri.path))?;
        let warehouse = uri.render(target.path.as_ref()).trim_end_matches('/').to_owned();
        Ok(Self { file_io: storage.file_io(), storage, warehouse, capabilities })
    }

    /// The storage below.
    pub fn storage(&self) -> &ObjectStoreStorage {
        &self.storage
    }

    /// Listed files are named as the warehouse is, whatever alias of scheme and store the prefix used.
    fn names_of_listed(&self, prefix: &str) -> (String, String) {
        let asked = Uri::parse(prefix).map_or(("file", ""), |uri| (uri.scheme, uri.authority));
        let own = Uri::parse(&self.warehouse).map_or(asked, |uri| (uri.scheme, uri.authority));
        let authority = if self.storage.same_store(asked.1, own.1) { own.1 } else { asked.1 };
        (own.0.to_owned(), authority.to_owned())
    }

    /// Writes a file, reads and lists it, and deletes it, whatever happens in between; the folder goes with it where
    /// there are folders.
    async fn probe(&self, folder: &str) -> Result<()> {
        let location = format!("{folder}/probe");
        let content = Bytes::from_static(b"floe checks that this location can be used");
        let written = self.file_io.new_output(&location)?.write(content.clone()).await.map_err(Error::from);
        match written {
            Ok(()) => {}
            // Most likely nothing is there, and asking again would take as long again.
            Err(e) if leaves_no_file(e.kind()) => return Err(e.context("no file can be written")),
            Err(e) => {
                let _ = self.remove_probe(folder, &location).await;
                return Err(e.context("no file can be written"));
            }
        }
        let used = self.use_probe(folder, &location, &content).await;
        let removed = self.remove_probe(folder, &location).await.map_err(|e| {
            e.context(format!(
                "files cannot be deleted, and {location}, which the check wrote, is still there"
            ))
        });
        used.and(removed)?;
        if self.file_io.exists(&location).await? {
            return Err(Error::new(ErrorKind::Io, format!("{location} is still there after its deletion")));
        }
        Ok(())
    }

    async fn use_probe(&self, folder: &str, location: &str, content: &Bytes) -> Result<()> {
        let read = self.file_io.new_input(location)?.read().await.map_err(Error::from);
        if read.map_err(|e| e.context("files can be written, but not read"))? != *content {
            return Err(Error::new(ErrorKind::Corrupted, format!("{location} reads back differently")));
        }
        let listed: Vec<_> = self.list(folder).collect().await;
        let listed: Result<Vec<_>> = listed.into_iter().collect();
        let listed = listed.map_err(|e| e.context("files can be written and read, but not listed"))?;
        if !listed.iter().any(|entry| entry.location == location) {
            return Err(Error::new(ErrorKind::Io, format!("{location} is there but is not listed")));
        }
        Ok(())
    }

    /// Deletes the one file; it is not looked for, which takes another permission.
    async fn remove_probe(&self, folder: &str, location: &str) -> Result<()> {
        self.storage.delete_one(location).await?;
        if self.storage.options().local_files {
            self.storage.delete_below(folder).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl StorageClient for ObjectStoreClient {
    fn file_io(&self) -> FileIO {
        self.file_io.clone()
    }

    fn with_credentials(&self, credentials: Arc<dyn CredentialProvider>) -> Option<Arc<dyn StorageClient>> {
        let storage = self.storage.with_credentials(credentials)?;
        Some(Arc::new(Self { file_io: storage.file_io(), storage, ..self.clone() }))
    }

    fn warehouse(&self) -> &str {
        &self.warehouse
    }

    fn capabilities(&self) -> StorageCapabilities {
        self.capabilities
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<FileEntry>> {
        let target = match self.storage.folder(prefix) {
            Ok(target) => target,
            Err(e) => return futures::stream::once(async { Err(e) }).boxed(),
        };
        let (scheme, authority) = self.names_of_listed(prefix);
        let prefix = prefix.to_owned();
        let path = (!target.path.is_root()).then_some(target.path);
        let (local, vended) = (self.storage.options().local_files, target.vended);
        target
            .store
            .list(path.as_ref())
            .filter(move |found| futures::future::ready(!is_marker(found, local)))
            .map(move |found| match found {
                Ok(meta) => Ok(FileEntry {
                    location: Uri { scheme: &scheme, authority: &authority, path: "" }
                        .render(&listed(&meta, local)),
                    size: meta.size,
                    last_modified: meta.last_modified,
                }),
                Err(e) => Err(missing_below_file(told(storage_error(e, "listing", &prefix), vended))),
            })
            // A prefix that is not there, or stands for a file, lists nothing.
            .filter(|found| {
                let missing = matches!(found, Err(e) if e.kind() == ErrorKind::FileNotFound);
                futures::future::ready(!missing)
            })
            .boxed()
    }

    fn delete_many(&self, locations: BoxStream<'static, String>) -> BoxStream<'static, (String, Result<()>)> {
        self.storage.delete_each(locations)
    }

    async fn check_at(&self, location: &str) -> Result<()> {
        let location = location.trim_end_matches('/');
        let folder = format!("{location}/.floe-check-{}", uuid::Uuid::new_v4().simple());
        let what = if location == self.warehouse { "warehouse" } else { "location" };
        self.probe(&folder).await.map_err(|e| {
            e.context(format!("the {what} {location} cannot be used"))
                .with_hint("check its address, the credentials and the permissions")
        })
    }
}

/// Whether a write that ended so has most likely left no file.
fn leaves_no_file(kind: ErrorKind) -> bool {
    use ErrorKind::{PermissionDenied, Unauthenticated, Unavailable, Validation};
    matches!(kind, Unavailable | Unauthenticated | PermissionDenied | Validation)
}
