//! A warehouse folder of a test, through the manager.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use floe::base::SnapshotSelector;
use floe::data::BatchStream;
use floe::execute::rows::RowMode;
use floe::execute::scan::ScanRequest;
use floe::iceberg::TableIdent;
use floe::model::{
    ChangeOptions, CommitStrategy, DeleteConfig, PartitionField, PartitionSpec, PartitionTransform,
    TableConfig, TableSchema, WriteConfig, WriteMode, WriteOutcome,
};
use floe::plan::expr::Expr;
use floe::{IcebergTableManager, Properties, Result, config};

/// A warehouse in a folder.
#[derive(Debug)]
pub struct Warehouse {
    /// The manager of the folder.
    pub manager: IcebergTableManager,
    path: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

impl Warehouse {
    /// A warehouse in a new folder, with the namespace `t`. The folder goes with the value.
    pub async fn temporary() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let warehouse = Self { _folder: Some(folder), ..Self::open(&path).await };
        warehouse.manager.ensure_namespace(&floe::iceberg::NamespaceIdent::new("t".into())).await.unwrap();
        warehouse
    }

    /// A warehouse in a new folder whose catalog is elsewhere: `name` and `properties` say where. With the namespace
    /// `t`.
    pub async fn with_catalog(name: &str, properties: &Properties) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let properties = properties.clone().with(config::WAREHOUSE, path.display().to_string());
        let manager = floe::connect(name, &properties).await.unwrap();
        manager.ensure_namespace(&floe::iceberg::NamespaceIdent::new("t".into())).await.unwrap();
        Self { manager, path, _folder: Some(folder) }
    }

    /// The warehouse of a folder that stays.
    pub async fn open(path: &Path) -> Self {
        Self { manager: floe::embedded(path).await.unwrap(), path: path.to_owned(), _folder: None }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The catalog as PyIceberg is told it.
    pub fn catalog_uri(&self) -> String {
        format!("sqlite:///{}", self.path.join("catalog.db").display())
    }

    /// Makes the table `t.NAME`.
    pub async fn create(&self, name: &str, schema: TableSchema, spec: Option<PartitionSpec>) -> TableIdent {
        self.create_with(name, schema, spec, &[]).await
    }

    /// Makes the table `t.NAME` with table properties.
    pub async fn create_with(
        &self,
        name: &str,
        schema: TableSchema,
        spec: Option<PartitionSpec>,
        properties: &[(&str, &str)],
    ) -> TableIdent {
        let mut config = TableConfig::new("t", name, schema);
        config.partition_spec = spec;
        config.properties =
            properties.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect::<BTreeMap<String, String>>();
        self.manager.create_table(&config, false).await.unwrap().ident
    }

    /// Appends; panics when that fails.
    pub async fn append(&self, table: &TableIdent, batches: Vec<RecordBatch>) -> WriteOutcome {
        self.try_append(table, batches, CommitStrategy::FastAppend).await.unwrap()
    }

    /// Appends.
    pub async fn try_append(
        &self,
        table: &TableIdent,
        batches: Vec<RecordBatch>,
        strategy: CommitStrategy,
    ) -> Result<WriteOutcome> {
        let data = BatchStream::from_batches(batches[0].schema(), batches);
        let options = ChangeOptions { commit_strategy: Some(strategy), ..ChangeOptions::default() };
        let config = WriteConfig { options, ..WriteConfig::default() };
        self.manager.write_data(table, data, &config).await
    }

    /// Writes rows as `config` says; panics when that fails.
    pub async fn write(&self, table: &TableIdent, batch: &RecordBatch, config: &WriteConfig) -> WriteOutcome {
        let data = BatchStream::from_batches(batch.schema(), vec![batch.clone()]);
        self.manager.write_data(table, data, config).await.unwrap()
    }

    /// Updates and inserts rows by the column `id`.
    pub async fn upsert(&self, table: &TableIdent, batch: &RecordBatch, mode: RowMode) -> WriteOutcome {
        let config = WriteConfig {
            mode: WriteMode::Upsert,
            join_columns: vec!["id".into()],
            options: with_mode(mode),
            ..WriteConfig::default()
        };
        self.write(table, batch, &config).await
    }

    /// Puts rows in the place of those that match `filter`.
    pub async fn overwrite(
        &self,
        table: &TableIdent,
        batch: &RecordBatch,
        filter: &str,
        mode: RowMode,
    ) -> WriteOutcome {
        let config = WriteConfig {
            mode: WriteMode::Overwrite,
            overwrite_filter: Some(filter.into()),
            allow_empty: true,
            options: with_mode(mode),
            ..WriteConfig::default()
        };
        self.write(table, batch, &config).await
    }

    /// Deletes the rows that match `filter`.
    pub async fn delete(&self, table: &TableIdent, filter: &str, mode: RowMode) -> WriteOutcome {
        let config = DeleteConfig { options: with_mode(mode) };
        self.manager.delete_data(table, &Expr::parse(filter).unwrap(), &config).await.unwrap()
    }

    /// Every row of a snapshot.
    pub async fn scan_at(&self, table: &TableIdent, at: &str) -> Vec<RecordBatch> {
        let request = ScanRequest { at: SnapshotSelector::from(at), ..ScanRequest::default() };
        self.manager.scan(table, &request).await.unwrap().data.collect().await.unwrap()
    }

    /// Every row that matches `filter`.
    pub async fn scan(&self, table: &TableIdent, filter: Option<&str>) -> Vec<RecordBatch> {
        self.try_scan(table, filter).await.unwrap()
    }

    /// Every row that matches `filter`.
    pub async fn try_scan(&self, table: &TableIdent, filter: Option<&str>) -> Result<Vec<RecordBatch>> {
        let filter = filter.map(Expr::parse).transpose()?;
        let request = ScanRequest { filter, ..ScanRequest::default() };
        self.manager.scan(table, &request).await?.data.collect().await
    }

    /// Where the table's metadata is now.
    pub async fn metadata_location(&self, table: &TableIdent) -> String {
        self.manager.load_table(table).await.unwrap().metadata_location
    }

    /// Every file of the warehouse except the catalog's own, with its size; sorted.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let mut files = Vec::new();
        let mut folders = vec![self.path.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else if !entry.file_name().to_string_lossy().starts_with("catalog.db") {
                    files.push((entry.path(), entry.metadata().unwrap().len()));
                }
            }
        }
        files.sort();
        files
    }
}

/// Options that choose how rows are removed.
pub fn with_mode(mode: RowMode) -> ChangeOptions {
    ChangeOptions { row_mode: Some(mode), ..ChangeOptions::default() }
}

/// A partition spec; each field is a source field id, a transform and the transform's number, if it has one.
pub fn spec(fields: &[(i32, PartitionTransform, Option<u32>)]) -> PartitionSpec {
    let field =
        |(id, (source, transform, number)): (i32, &(i32, PartitionTransform, Option<u32>))| PartitionField {
            source_field_id: *source,
            partition_field_id: id,
            name: format!("p{id}"),
            transform: *transform,
            num_buckets: number.filter(|_| *transform == PartitionTransform::Bucket),
            width: number.filter(|_| *transform == PartitionTransform::Truncate),
        };
    PartitionSpec { fields: (1000..).zip(fields).map(field).collect() }
}
