//! What a check does to a catalog: it looks, and on demand it makes a table and removes it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use floe::base::SnapshotSelector;
use floe::data::BatchStream;
use floe::execute::scan::ScanRequest;
use floe::model::{FieldType, SchemaField, TableConfig, TableSchema, WriteConfig};
use floe::{Error, ErrorKind, IcebergTableManager, Result};
use futures::{StreamExt, TryStreamExt};
use iceberg::{NamespaceIdent, TableIdent};

use crate::render::counted;

/// Namespaces that are searched for a table.
const SEARCHED: usize = 5;

/// What a look into the catalog found.
pub(super) struct Found {
    /// A table.
    pub(super) table: Option<TableIdent>,
}

/// Lists namespaces, and tables until one is found.
pub(super) async fn namespaces(manager: &IcebergTableManager) -> Result<(Found, String)> {
    let namespaces = match manager.list_namespaces(None).await {
        Ok(found) => found,
        // An embedded catalog is made by the first write.
        Err(e) if e.kind() == ErrorKind::FileNotFound => {
            return Ok((Found { table: None }, "nothing was written yet".into()));
        }
        Err(e) => return Err(e),
    };
    let mut table = None;
    for namespace in namespaces.iter().take(SEARCHED) {
        match manager.list_tables(namespace).await {
            Ok(tables) => table = tables.into_iter().next(),
            // Dropped since it was listed.
            Err(e) if e.kind() == ErrorKind::NoSuchNamespace => {}
            Err(e) => return Err(e),
        }
        if table.is_some() {
            break;
        }
    }
    Ok((Found { table }, counted(namespaces.len() as u64, "namespace")))
}

/// Reads the metadata and the list of files of a table.
pub(super) async fn read(manager: &IcebergTableManager, table: &TableIdent) -> Result<((), String)> {
    let files = manager.list_files(table, &SnapshotSelector::Current).await?;
    Ok(((), format!("metadata and manifests of {table}, {}", counted(files.len() as u64, "file"))))
}

/// Makes a namespace and a table, writes a row, reads it, and removes everything.
pub(super) async fn write(manager: &IcebergTableManager) -> Result<((), String)> {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map(|d| d.as_nanos())
        .unwrap_or_default();
    let namespace =
        NamespaceIdent::new(format!("floe_check_{:x}", nanos ^ u128::from(std::process::id()) << 64));
    let catalog = manager.catalog();
    catalog.create_namespace(&namespace, HashMap::new()).await.map_err(|e| e.context("a new namespace"))?;
    let written = row(manager, &namespace).await;
    let removed = remove(manager, &namespace).await;
    written?;
    removed.map_err(|e| e.context(format!("removing the namespace {}", namespace.as_ref().join("."))))?;
    Ok(((), "a table was made, written, read and removed".into()))
}

async fn row(manager: &IcebergTableManager, namespace: &NamespaceIdent) -> Result<()> {
    let schema = TableSchema { fields: vec![SchemaField::new(1, "id", FieldType::Long, true)] };
    let config = TableConfig::new(namespace.as_ref().join("."), "probe", schema);
    let table = manager.create_table(&config, false).await.map_err(|e| e.context("a new table"))?.ident;
    if manager.storage().warehouse().is_empty() {
        // Where the server decides where tables go, this is the first location that is known.
        manager.check_table_storage(&table).await?;
    }
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![42]));
    let batch = RecordBatch::try_from_iter_with_nullable([("id", ids, false)])
        .map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
    let data = BatchStream::from_batches(batch.schema(), vec![batch]);
    manager.write_data(&table, data, &WriteConfig::default()).await?;
    let batches = manager.scan(&table, &ScanRequest::default()).await?.data.collect().await?;
    match batches.iter().map(RecordBatch::num_rows).sum::<usize>() {
        1 => Ok(()),
        rows => Err(Error::new(ErrorKind::Corrupted, format!("one row was written and {rows} were read"))),
    }
}

/// Removes the namespace with its tables, and the files of those.
async fn remove(manager: &IcebergTableManager, namespace: &NamespaceIdent) -> Result<()> {
    for table in manager.list_tables(namespace).await? {
        let location = manager.load_table(&table).await?.metadata.location().to_owned();
        // With the credentials that the catalog gives, which it gives for no table that is dropped.
        let storage = manager.catalog().table_storage(&table).await?;
        let storage = storage.unwrap_or_else(|| manager.storage().clone());
        manager.drop_table(&table).await?;
        let files: Vec<String> = storage
            .list(&format!("{}/", location.trim_end_matches('/')))
            .map_ok(|file| file.location)
            .try_collect()
            .await?;
        let mut deleted = storage.delete_many(futures::stream::iter(files).boxed());
        while let Some((_, result)) = deleted.next().await {
            result?;
        }
    }
    manager.catalog().drop_namespace(namespace).await
}
