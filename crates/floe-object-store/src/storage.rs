//! Iceberg's `Storage` over cached object stores.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use floe_core::location::masked;
use floe_core::{CredentialProvider, Error, ErrorKind, Result, limits};
use futures::stream::{BoxStream, StreamExt};
use iceberg::io::{
    FileIO, FileIOBuilder, FileMetadata, FileRead, FileWrite, InputFile, OutputFile, Storage, StorageConfig,
    StorageFactory,
};
use object_store::path::Path;
use object_store::{GetOptions, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};

use crate::error::{io_error, of_vended, storage_error};
use crate::keys::restored;
use crate::provider::{StoreOptions, StoreProvider};
use crate::read::ObjectReader;
use crate::uri::Uri;
use crate::vended::VendedStores;
use crate::write::ObjectWriter;

/// Iceberg storage over the stores of one [`StoreProvider`]. Each store is opened once and shared by all
/// clones. Serialises as its provider; stores are opened anew on the other side.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ObjectStoreStorage {
    provider: Arc<dyn StoreProvider>,
    #[serde(skip)]
    stores: Arc<RwLock<HashMap<String, Arc<dyn ObjectStore>>>>,
    /// Credentials of a catalog, which come before the provider's own.
    #[serde(skip)]
    vended: Option<VendedStores>,
}

/// A location, resolved.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) path: Path,
    /// The store was opened with credentials of a catalog.
    pub(crate) vended: bool,
}

impl Target {
    /// An error of the store, with what was done and where.
    pub(crate) fn failed(&self, error: object_store::Error, doing: &str, location: &str) -> Error {
        told(storage_error(error, doing, location), self.vended)
    }
}

/// The error as it is told to whom a catalog gave the credentials, if it did.
pub(crate) fn told(error: Error, vended: bool) -> Error {
    if vended { of_vended(error) } else { error }
}

impl ObjectStoreStorage {
    /// Storage over the stores that `provider` opens.
    pub fn new(provider: Arc<dyn StoreProvider>) -> Self {
        Self { provider, stores: Arc::default(), vended: None }
    }

    /// The same storage with the credentials of a catalog for the files of one table; nothing where this kind
    /// of storage takes none. Other locations are refused once the catalog gave credentials, unless
    /// [`CredentialProvider::allows_own`]; where it gave none, this storage's own stores serve them.
    pub fn with_credentials(&self, credentials: Arc<dyn CredentialProvider>) -> Option<Self> {
        self.provider
            .takes_credentials()
            .then(|| Self { vended: Some(VendedStores::new(credentials)), ..self.clone() })
    }

    /// A [`FileIO`] that shares this storage's stores.
    pub fn file_io(&self) -> FileIO {
        FileIOBuilder::new(Arc::new(ObjectStoreFactory { storage: self.clone() })).build()
    }

    /// How files are read and written.
    pub fn options(&self) -> StoreOptions {
        self.provider.options()
    }

    /// The store that serves `location`, opened at the first call, and the name of the object in it.
    ///
    /// `Validation` for a location that is no absolute URI, or whose scheme this storage does not serve.
    pub fn resolve(&self, location: &str) -> Result<(Arc<dyn ObjectStore>, Path)> {
        self.target(location).map(|t| (t.store, t.path))
    }

    pub(crate) fn target(&self, location: &str) -> Result<Target> {
        self.target_of(&Uri::parse(location)?, location)
    }

    fn target_of(&self, uri: &Uri<'_>, location: &str) -> Result<Target> {
        if !self.provider.schemes().contains(&uri.scheme) {
            return Err(Error::validation(format!(
                "the location '{}' is not served by this storage",
                masked(location)
            ))
            .with_hint(format!("it serves the schemes {}", self.provider.schemes().join(", "))));
        }
        if let Some(why) = self.provider.refuses(uri.path) {
            return Err(Error::validation(format!(
                "the location '{}' cannot be used: {why}",
                masked(location).escape_debug()
            )));
        }
        let path = uri.object_path()?;
        let (store, vended) = self.store(uri.authority, location)?;
        Ok(Target { store, path, vended })
    }

    /// Like `target`, for a location that names a folder: `a/b` and `a/b/` both stand for the files whose keys begin with
    /// `a/b/`. Credentials for those serve the folder `a/b`.
    pub(crate) fn folder(&self, location: &str) -> Result<Target> {
        let marked = match location.ends_with('/') {
            true => location.to_owned(),
            false => format!("{location}/"),
        };
        self.target_of(&Uri::parse(&marked)?.as_folder(), &marked)
    }

    /// Like `target`, for a location that must name a file.
    fn file(&self, location: &str) -> Result<Target> {
        let target = self.target(location)?;
        if target.path.is_root() || location.ends_with('/') {
            return Err(Error::validation(format!("the location '{}' names no file", masked(location))));
        }
        Ok(target)
    }

    /// Whether two authorities name the same store.
    pub(crate) fn same_store(&self, one: &str, other: &str) -> bool {
        self.provider.canonical(one) == self.provider.canonical(other)
    }

    /// The store, and whether a catalog gave the credentials for it.
    fn store(&self, authority: &str, location: &str) -> Result<(Arc<dyn ObjectStore>, bool)> {
        let authority = &*self.provider.canonical(authority);
        if let Some(vended) = &self.vended
            && let Some(store) = vended.store(&*self.provider, authority, location)?
        {
            return Ok((store, true));
        }
        if let Some(store) = self.stores.read().unwrap_or_else(PoisonError::into_inner).get(authority) {
            return Ok((Arc::clone(store), false));
        }
        let mut stores = self.stores.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = stores.get(authority) {
            return Ok((Arc::clone(store), false));
        }
        let store = self.provider.open(authority)?;
        stores.insert(authority.to_owned(), Arc::clone(&store));
        Ok((store, false))
    }

    async fn head(&self, location: &str) -> Result<ObjectMeta> {
        let target = self.file(location)?;
        let Target { store, path, .. } = &target;
        let fail = |e| missing_below_file(target.failed(e, "looking at", location));
        let error = match store.head(path).await.map_err(fail) {
            Ok(meta) => return Ok(meta),
            Err(error) => error,
        };
        // The answer to HEAD has no body and so no reason: that to GET has one.
        if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Io) && !self.options().local_files
        {
            let options = GetOptions { range: Some((0_u64..1).into()), ..GetOptions::default() };
            return match store.get_opts(path, options).await.map_err(fail) {
                Ok(found) => Ok(found.meta),
                Err(e) if e.kind() == ErrorKind::Corrupted => Err(error),
                Err(e) => Err(e),
            };
        }
        Err(error)
    }

    async fn read_whole(&self, location: &str) -> Result<Bytes> {
        let target = self.file(location)?;
        let fail = |e| missing_below_file(target.failed(e, "reading", location));
        let got = target.store.get_opts(&target.path, GetOptions::default()).await.map_err(fail)?;
        let most = limits::current().metadata_bytes;
        if got.meta.size > most {
            let what = format!("{location} has, in bytes,");
            return Err(limits::refusal(ErrorKind::Corrupted, &what, "metadata-bytes", most));
        }
        match got.payload {
            GetResultPayload::File(mut file, _) => blocking(move || {
                let mut buffer = Vec::with_capacity(got.meta.size as usize);
                std::io::Read::read_to_end(&mut file, &mut buffer).map(|_| Bytes::from(buffer))
            })
            .await?
            .map_err(|e| io_error(&e, &format!("reading {location}"))),
            GetResultPayload::Stream(_) => got.bytes().await.map_err(fail),
        }
    }

    async fn write_whole(&self, location: &str, bytes: Bytes) -> Result<()> {
        let options = self.options();
        let target = self.file(location)?;
        if bytes.len() > options.part_bytes && !options.local_files {
            let mut writer = ObjectWriter::new(target, location.to_owned(), options);
            writer.write(bytes).await?;
            writer.close().await?;
            return Ok(());
        }
        let put = target.store.put(&target.path, bytes.into()).await;
        put.map_err(|e| target.failed(e, "writing", location))?;
        flush(&options, &target.path, location).await
    }

    /// Deletes one file; one that is not there counts as deleted.
    pub(crate) async fn delete_one(&self, location: &str) -> Result<()> {
        let target = self.file(location)?;
        match target.store.delete(&target.path).await {
            Ok(()) => Ok(()),
            Err(e) => match missing_below_file(target.failed(e, "deleting", location)) {
                e if e.kind() == ErrorKind::FileNotFound => Ok(()),
                e => Err(e),
            },
        }
    }

    /// Deletes many files, each with a result of its own.
    pub(crate) fn delete_each(
        &self,
        locations: BoxStream<'static, String>,
    ) -> BoxStream<'static, (String, Result<()>)> {
        let options = self.options();
        let (bulk, in_flight) = (options.deletes_per_request.max(1), options.deletes_in_flight.max(1));
        let storage = self.clone();
        if bulk == 1 {
            return locations
                .map(move |location| {
                    let storage = storage.clone();
                    async move {
                        let result = storage.delete_one(&location).await;
                        (location, result)
                    }
                })
                .buffer_unordered(in_flight)
                .boxed();
        }
        locations
            .chunks(bulk)
            .map(move |chunk| {
                let storage = storage.clone();
                async move { futures::stream::iter(storage.delete_chunk(chunk).await) }
            })
            .buffer_unordered(in_flight)
            .flatten()
            .boxed()
    }

    /// Deletes many files by few requests. What such a request did not report as deleted is deleted alone,
    /// so that each location gets its own answer; unless the store cannot be reached or refuses them all.
    async fn delete_chunk(&self, locations: Vec<String>) -> Vec<(String, Result<()>)> {
        let mut by_store: HashMap<usize, (Arc<dyn ObjectStore>, bool, Vec<(String, Path)>)> = HashMap::new();
        let mut results = Vec::with_capacity(locations.len());
        for location in locations {
            match self.file(&location) {
                Ok(Target { store, path, vended }) => {
                    let key = Arc::as_ptr(&store).cast::<()>() as usize;
                    by_store.entry(key).or_insert((store, vended, Vec::new())).2.push((location, path));
                }
                Err(e) => results.push((location, Err(e))),
            }
        }
        for (store, vended, files) in by_store.into_values() {
            let paths: Vec<_> = files.iter().map(|(_, path)| Ok(path.clone())).collect();
            let mut answers = store.delete_stream(futures::stream::iter(paths).boxed());
            let (mut deleted, mut for_all) = (HashSet::new(), None);
            while let Some(answer) = answers.next().await {
                match answer {
                    Ok(path) => drop(deleted.insert(path)),
                    Err(e) => for_all = for_all.or_else(|| concerns_all(e).map(|e| told(e, vended))),
                }
            }
            let (deleted, for_all, storage) = (&deleted, &for_all, self);
            let alone = futures::stream::iter(files).map(move |(location, path)| async move {
                let result = match for_all {
                    _ if deleted.contains(&path) => Ok(()),
                    Some(e) => Err(e.clone()),
                    None => storage.delete_one(&location).await,
                };
                (location, result)
            });
            let at_once = self.options().deletes_in_flight.max(1);
            results.extend(alone.buffer_unordered(at_once).collect::<Vec<_>>().await);
        }
        results
    }

    /// Deletes every file below `prefix`, and on a local file system the folder itself.
    pub(crate) async fn delete_below(&self, prefix: &str) -> Result<()> {
        let target = self.folder(prefix)?;
        if target.path.is_root() {
            return Err(Error::validation(format!("'{prefix}' is a whole store: it is not deleted")));
        }
        if self.options().local_files {
            let folder = local_path(&target.path);
            let removed = blocking(move || match std::fs::symlink_metadata(&folder) {
                Ok(found) if found.is_dir() => std::fs::remove_dir_all(&folder),
                Ok(_) => Ok(()),
                Err(e) => Err(e),
            })
            .await?;
            return match removed {
                Err(e) if !is_missing(e.kind()) => Err(io_error(&e, &format!("deleting {prefix}"))),
                _ => Ok(()),
            };
        }
        let uri = Uri::parse(prefix)?;
        let (scheme, authority) = (uri.scheme.to_owned(), uri.authority.to_owned());
        let local = self.options().local_files;
        let found = target.store.list(Some(&target.path));
        let found = found.filter(move |found| futures::future::ready(!is_marker(found, local)));
        let locations = found.map(move |found| {
            found.map(|meta| {
                Uri { scheme: &scheme, authority: &authority, path: "" }.render(&listed(&meta, local))
            })
        });
        let mut failure = None;
        let (send, receive) = futures::channel::mpsc::channel(1000);
        let forward = async move {
            let (mut send, mut failed) = (send, None);
            let mut locations = locations;
            while let Some(found) = locations.next().await {
                match found {
                    Ok(location) => {
                        if futures::SinkExt::send(&mut send, location).await.is_err() {
                            break;
                        }
                    }
                    Err(e) => {
                        failed = Some(e);
                        break;
                    }
                }
            }
            failed
        };
        let delete = self.delete_each(receive.boxed()).for_each(|(_, result)| {
            if let Err(e) = result {
                failure.get_or_insert(e);
            }
            futures::future::ready(())
        });
        let (listing, ()) = futures::future::join(forward, delete).await;
        match listing.map(|e| told(storage_error(e, "listing", prefix), target.vended)).or(failure) {
            Some(e) => Err(e),
            None => Ok(()),
        }
    }
}

#[async_trait]
#[typetag::serde(name = "floe-object-store")]
impl Storage for ObjectStoreStorage {
    async fn exists(&self, path: &str) -> iceberg::Result<bool> {
        match self.head(path).await {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == ErrorKind::FileNotFound => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    async fn metadata(&self, path: &str) -> iceberg::Result<FileMetadata> {
        Ok(FileMetadata { size: self.head(path).await?.size })
    }

    async fn read(&self, path: &str) -> iceberg::Result<Bytes> {
        Ok(self.read_whole(path).await?)
    }

    async fn reader(&self, path: &str) -> iceberg::Result<Box<dyn FileRead>> {
        let local = self.options().local_files;
        Ok(Box::new(ObjectReader::new(self.file(path)?, path.to_owned(), local)))
    }

    async fn write(&self, path: &str, bs: Bytes) -> iceberg::Result<()> {
        Ok(self.write_whole(path, bs).await?)
    }

    async fn writer(&self, path: &str) -> iceberg::Result<Box<dyn FileWrite>> {
        Ok(Box::new(ObjectWriter::new(self.file(path)?, path.to_owned(), self.options())))
    }

    async fn delete(&self, path: &str) -> iceberg::Result<()> {
        Ok(self.delete_one(path).await?)
    }

    async fn delete_prefix(&self, path: &str) -> iceberg::Result<()> {
        Ok(self.delete_below(path).await?)
    }

    async fn delete_stream(&self, paths: BoxStream<'static, String>) -> iceberg::Result<()> {
        let mut results = self.delete_each(paths);
        let mut failure = None;
        while let Some((_, result)) = results.next().await {
            if let Err(e) = result {
                failure.get_or_insert(e);
            }
        }
        failure.map_or(Ok(()), |e| Err(e.into()))
    }

    fn new_input(&self, path: &str) -> iceberg::Result<InputFile> {
        Ok(InputFile::new(Arc::new(self.clone()), path.to_owned()))
    }

    fn new_output(&self, path: &str) -> iceberg::Result<OutputFile> {
        Ok(OutputFile::new(Arc::new(self.clone()), path.to_owned()))
    }
}

/// Gives every [`FileIO`] the same [`ObjectStoreStorage`], so that they share connections.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ObjectStoreFactory {
    storage: ObjectStoreStorage,
}

#[typetag::serde(name = "floe-object-store")]
impl StorageFactory for ObjectStoreFactory {
    fn build(&self, _config: &StorageConfig) -> iceberg::Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.storage.clone()))
    }
}

/// The key of a listed object, as the store has it.
pub(crate) fn listed(meta: &ObjectMeta, local: bool) -> Cow<'_, str> {
    let key = meta.location.as_ref();
    if local { key.into() } else { restored(key) }
}

/// Whether a listed object is none of the files, but what some tools put in place of a folder: nothing, under a name
/// that ends with a slash.
pub(crate) fn is_marker(found: &object_store::Result<ObjectMeta>, local: bool) -> bool {
    found.as_ref().is_ok_and(|meta| meta.size == 0 && listed(meta, local).ends_with('/'))
}

/// The error of a request to delete many files, when it would be the error of each of them too.
fn concerns_all(error: object_store::Error) -> Option<Error> {
    let refused = matches!(error, object_store::Error::PermissionDenied { .. });
    let error = storage_error(error, "deleting", "several files");
    let unreachable =
        matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Unauthenticated);
    (refused || unreachable || error.kind() == ErrorKind::Validation).then_some(error)
}

/// Runs blocking IO beside the async tasks, or in place when there is no tokio runtime.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await.map_err(|e| {
            Error::new(ErrorKind::Internal, "a task that reads or writes files died").with_source(e)
        }),
        Err(_) => Ok(work()),
    }
}

/// Flushes a written file and its name in the folder to the device, where the options ask for it.
pub(crate) async fn flush(options: &StoreOptions, path: &Path, location: &str) -> Result<()> {
    if !(options.local_files && options.sync_files) {
        return Ok(());
    }
    let path = local_path(path);
    blocking(move || {
        std::fs::File::open(&path)?.sync_all()?;
        path.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
    })
    .await?
    .map_err(|e| io_error(&e, &format!("flushing {location}")))
}

/// The local path of an object in a store of local files.
pub(crate) fn local_path(path: &Path) -> std::path::PathBuf {
    std::path::Path::new("/").join(path.as_ref())
}

pub(crate) fn is_missing(kind: std::io::ErrorKind) -> bool {
    matches!(kind, std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// For reading, a path below a regular file is just not there.
pub(crate) fn missing_below_file(error: Error) -> Error {
    let below_file = std::error::Error::source(&error)
        .and_then(|e| e.downcast_ref::<std::io::Error>())
        .is_some_and(|e| is_missing(e.kind()));
    if below_file { error.with_kind(ErrorKind::FileNotFound) } else { error }
}
