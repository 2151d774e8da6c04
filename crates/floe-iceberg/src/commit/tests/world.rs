//! A catalog of one table in memory whose commits can be made to fail in chosen ways, and files that are only
//! known by name.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use floe_core::{
    CatalogCapabilities, CatalogClient, CommitOutcome, CommitTurn, Error, ErrorKind, LoadedTable, Result,
    metadata_file,
};
use floe_plan::change::ChangeSet;
use floe_testkit::SeededEnvironment;
use iceberg::io::FileIO;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, FormatVersion, ManifestEntryRef,
    ManifestFile, ManifestList, NestedField, PrimitiveType, Schema, Struct, TableMetadataBuilder, Type,
    UnboundPartitionSpec,
};
use iceberg::{Namespace, NamespaceIdent, TableCreation, TableIdent, TableRequirement, TableUpdate};

use crate::base::{ManifestCache, TableBase};
use crate::commit::{CommitRequest, Committed, commit};

/// What happens to a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is applied, and the reply is lost.
    LostAfter,
    /// It is not applied, and nobody says so.
    LostBefore,
    /// It is refused for good.
    Refused,
    /// It is not applied, and may be if it is tried again.
    Locked,
    /// It is applied, and then called a conflict, as after a repeat inside an HTTP client.
    FalseConflict,
}

#[derive(Debug)]
pub(crate) struct World {
    folder: tempfile::TempDir,
    table: Mutex<LoadedTable>,
    fates: Mutex<VecDeque<Fate>>,
    loads_that_fail: Mutex<u32>,
    /// What another writer does before the next load.
    before_load: Mutex<Vec<TableUpdate>>,
    /// Where writers queue, if they do.
    turns: Mutex<Option<Arc<tokio::sync::Mutex<()>>>>,
    proposals: Mutex<Vec<Vec<TableRequirement>>>,
    pub(crate) cache: Arc<ManifestCache>,
    pub(crate) env: SeededEnvironment,
}

impl World {
    pub(crate) fn new(version: FormatVersion, properties: &[(&str, &str)]) -> Arc<Self> {
        let schema = Schema::builder()
            .with_fields([NestedField::required(1, "id", Type::Primitive(PrimitiveType::Long)).into()])
            .build()
            .unwrap();
        Self::with(version, schema, UnboundPartitionSpec::default(), properties)
    }

    pub(crate) fn with(
        version: FormatVersion,
        schema: Schema,
        spec: UnboundPartitionSpec,
        properties: &[(&str, &str)],
    ) -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        let location = format!("file://{}", folder.path().display());
        let creation = TableCreation::builder()
            .name("t".into())
            .location(location.clone())
            .schema(schema)
            .partition_spec(spec)
            .format_version(version)
            .properties(properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
            .build();
        let metadata = TableMetadataBuilder::from_table_creation(creation).unwrap().build().unwrap().metadata;
        let env = SeededEnvironment::new(11);
        let table = LoadedTable {
            ident: TableIdent::from_strs(["ns", "t"]).unwrap(),
            metadata: Arc::new(metadata),
            metadata_location: format!("{location}/metadata/00000-a.metadata.json"),
            file_io: FileIO::new_with_fs(),
        };
        Arc::new(Self {
            folder,
            table: Mutex::new(table),
            fates: Mutex::default(),
            loads_that_fail: Mutex::default(),
            before_load: Mutex::default(),
            turns: Mutex::default(),
            proposals: Mutex::default(),
            cache: Arc::default(),
            env,
        })
    }

    pub(crate) fn base(&self) -> TableBase {
        TableBase::new(self.table(), self.cache.clone())
    }

    pub(crate) fn table(&self) -> LoadedTable {
        self.table.lock().unwrap().clone()
    }

    pub(crate) fn next_commits(&self, fates: &[Fate]) {
        self.fates.lock().unwrap().extend(fates);
    }

    /// Lets the writers queue from now on.
    pub(crate) fn take_turns(&self) {
        *self.turns.lock().unwrap() = Some(Arc::default());
    }

    pub(crate) fn next_loads_fail(&self, count: u32) {
        *self.loads_that_fail.lock().unwrap() = count;
    }

    /// Another writer does this right before the table is loaded next.
    pub(crate) fn before_next_load(&self, updates: Vec<TableUpdate>) {
        *self.before_load.lock().unwrap() = updates;
    }

    pub(crate) fn proposals(&self) -> Vec<Vec<TableRequirement>> {
        self.proposals.lock().unwrap().clone()
    }

    /// Appends files of these names on top of the head.
    pub(crate) async fn append(&self, names: &[&str]) -> Result<Committed> {
        self.commit_on(self.base(), self.request(names)).await
    }

    pub(crate) async fn commit_on(&self, base: TableBase, request: CommitRequest) -> Result<Committed> {
        commit(self, base, request, &self.env).await
    }

    /// Changes the table behind everybody's back.
    pub(crate) fn alter(&self, updates: &[TableUpdate]) {
        let mut table = self.table.lock().unwrap();
        Self::apply(&mut table, &[], updates).unwrap();
    }

    fn apply(
        table: &mut LoadedTable,
        requirements: &[TableRequirement],
        updates: &[TableUpdate],
    ) -> Result<LoadedTable> {
        let at = table.metadata_location.clone();
        let next = metadata_file::apply(&table.ident, &table.metadata, &at, requirements, updates)?;
        table.metadata_location = metadata_file::next_location(&next, Some(&at))?;
        table.metadata = Arc::new(next);
        Ok(table.clone())
    }

    /// The manifests of the head, read anew.
    pub(crate) async fn manifests(&self) -> Vec<ManifestFile> {
        let table = self.table();
        let Some(snapshot) = table.metadata.current_snapshot() else { return Vec::new() };
        let bytes = table.file_io.new_input(snapshot.manifest_list()).unwrap().read().await.unwrap();
        let list = ManifestList::parse_with_version(&bytes, table.metadata.format_version()).unwrap();
        list.entries().to_vec()
    }

    /// The live entries of the head by file name, read anew with the crate's reader. Panics on a duplicate.
    pub(crate) async fn live(&self) -> BTreeMap<String, ManifestEntryRef> {
        let mut live = BTreeMap::new();
        for manifest in self.manifests().await {
            let manifest = manifest.load_manifest(&self.table().file_io).await.unwrap();
            for entry in manifest.entries().iter().filter(|entry| entry.is_alive()) {
                let name = entry.file_path().rsplit('/').next().unwrap().to_owned();
                assert!(live.insert(name.clone(), entry.clone()).is_none(), "{name} is there twice");
            }
        }
        live
    }

    pub(crate) async fn names(&self) -> Vec<String> {
        self.live().await.into_keys().collect()
    }

    /// Where a data file of this name is, or would be.
    pub(crate) fn location(&self, name: &str) -> String {
        format!("{}/data/{name}", self.table().metadata.location())
    }

    /// Appends files of these names.
    pub(crate) fn request(&self, names: &[&str]) -> CommitRequest {
        let files = names.iter().map(|name| data_file(self.location(name), Struct::empty()));
        CommitRequest::new(ChangeSet::append(0, files.collect()))
    }

    /// How many manifests and manifest lists there are.
    pub(crate) fn metadata_files(&self) -> usize {
        let Ok(folder) = std::fs::read_dir(self.folder.path().join("metadata")) else { return 0 };
        folder.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|e| e == "avro")).count()
    }

    pub(crate) async fn exists(&self, location: &str) -> bool {
        self.table().file_io.exists(location).await.unwrap()
    }
}

/// A data file that is known by name only.
pub(crate) fn data_file(location: String, partition: Struct) -> DataFile {
    DataFileBuilder::default()
        .content(DataContentType::Data)
        .file_path(location)
        .file_format(DataFileFormat::Parquet)
        .partition(partition)
        .record_count(10)
        .file_size_in_bytes(100)
        .value_counts(HashMap::from([(1, 10)]))
        .build()
        .unwrap()
}

fn lost() -> Error {
    Error::new(ErrorKind::Timeout, "no reply")
}

#[async_trait]
impl CatalogClient for World {
    async fn turn(&self, _: &TableIdent) -> CommitTurn {
        let queue = self.turns.lock().unwrap().clone();
        match queue {
            Some(queue) => CommitTurn::holding(queue.lock_owned().await),
            None => CommitTurn::none(),
        }
    }

    async fn commit(
        &self,
        _: &TableIdent,
        requirements: &[TableRequirement],
        updates: &[TableUpdate],
    ) -> Result<CommitOutcome> {
        self.proposals.lock().unwrap().push(requirements.to_vec());
        let fate = self.fates.lock().unwrap().pop_front();
        let mut table = self.table.lock().unwrap();
        match fate {
            Some(Fate::Refused) => return Err(Error::new(ErrorKind::PermissionDenied, "not allowed")),
            Some(Fate::Locked) => return Err(Error::new(ErrorKind::Unavailable, "locked")),
            Some(Fate::LostBefore) => return Ok(CommitOutcome::Unknown(lost())),
            _ => {}
        }
        let applied = match Self::apply(&mut table, requirements, updates) {
            Ok(applied) => applied,
            Err(e) if e.kind() == ErrorKind::CommitConflict => return Ok(CommitOutcome::Conflict(e)),
            Err(e) => return Err(e),
        };
        Ok(match fate {
            Some(Fate::LostAfter) => CommitOutcome::Unknown(lost()),
            Some(Fate::FalseConflict) => {
                CommitOutcome::Conflict(Error::new(ErrorKind::CommitConflict, "requirement failed"))
            }
            _ => CommitOutcome::Committed(applied),
        })
    }

    async fn load_table(&self, _: &TableIdent) -> Result<LoadedTable> {
        let mut failing = self.loads_that_fail.lock().unwrap();
        if *failing > 0 {
            *failing -= 1;
            return Err(Error::new(ErrorKind::Unavailable, "down"));
        }
        let updates = std::mem::take(&mut *self.before_load.lock().unwrap());
        if !updates.is_empty() {
            self.alter(&updates);
        }
        Ok(self.table())
    }

    fn name(&self) -> &'static str {
        "world"
    }

    fn capabilities(&self) -> CatalogCapabilities {
        CatalogCapabilities {
            nested_namespaces: false,
            namespace_properties: false,
            rename_table: false,
            register_table: false,
            shared: false,
            ..Default::default()
        }
    }

    async fn list_namespaces(&self, _: Option<&NamespaceIdent>) -> Result<Vec<NamespaceIdent>> {
        Ok(vec![self.table().ident.namespace().clone()])
    }

    async fn create_namespace(&self, _: &NamespaceIdent, _: HashMap<String, String>) -> Result<Namespace> {
        Err(unsupported())
    }

    async fn load_namespace(&self, namespace: &NamespaceIdent) -> Result<Namespace> {
        Ok(Namespace::new(namespace.clone()))
    }

    async fn namespace_exists(&self, namespace: &NamespaceIdent) -> Result<bool> {
        Ok(self.table().ident.namespace() == namespace)
    }

    async fn update_namespace(
        &self,
        _: &NamespaceIdent,
        _: HashMap<String, String>,
        _: Vec<String>,
    ) -> Result<()> {
        Err(unsupported())
    }

    async fn drop_namespace(&self, _: &NamespaceIdent) -> Result<()> {
        Err(unsupported())
    }

    async fn list_tables(&self, _: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        Ok(vec![self.table().ident])
    }

    async fn table_exists(&self, table: &TableIdent) -> Result<bool> {
        Ok(&self.table().ident == table)
    }

    async fn create_table(&self, _: &NamespaceIdent, _: TableCreation) -> Result<LoadedTable> {
        Err(unsupported())
    }

    async fn rename_table(&self, _: &TableIdent, _: &TableIdent) -> Result<()> {
        Err(unsupported())
    }

    async fn drop_table(&self, _: &TableIdent) -> Result<()> {
        Err(unsupported())
    }

    async fn register_table(&self, _: &TableIdent, _: &str) -> Result<LoadedTable> {
        Err(unsupported())
    }
}

fn unsupported() -> Error {
    Error::new(ErrorKind::Unsupported, "the test catalog has one table")
}
