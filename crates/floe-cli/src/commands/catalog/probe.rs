//! What a check does to a catalog: it looks, and on demand it makes a table and removes it.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use floe::base::SnapshotSelector;
use floe::data::BatchStream;
use floe::execute::scan::ScanRequest;
use floe::model::{FieldType, SchemaField, TableConfig, TableSchema, WriteConfig};
use floe::names::{render_namespace, render_table};
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

/// Lists namespaces, and tables until one is found; in `only` alone where one is named, for callers who may not list
/// all of them.
pub(super) async fn namespaces(
    manager: &IcebergTableManager,
    only: Option<&NamespaceIdent>,
) -> Result<(Found, String)> {
    if let Some(namespace) = only {
        let tables = manager.list_tables(namespace).await?;
        let seen = format!("{} in {}", counted(tables.len() as u64, "table"), render_namespace(namespace));
        return Ok((Found { table: tables.into_iter().next() }, seen));
    }
    let namespaces = match manager.list_namespaces(None).await {
        Ok(found) => found,
        // An embedded catalog is made by the first write.
        Err(e) if e.kind() == ErrorKind::FileNotFound => {
            return Ok((Found { table: None }, "nothing was written yet".into()));
        }
        Err(e) if e.kind() == ErrorKind::PermissionDenied => {
            return Err(Error::new(e.kind(), e.message())
                .with_hint("name a namespace that you may look into: --namespace NAMESPACE"));
        }
        Err(e) => return Err(e),
    };
    let (mut table, mut closed) = (None, 0);
    for namespace in namespaces.iter().take(SEARCHED) {
        match manager.list_tables(namespace).await {
            Ok(tables) => table = tables.into_iter().next(),
            // Dropped since it was listed.
            Err(e) if e.kind() == ErrorKind::NoSuchNamespace => {}
            Err(e) if e.kind() == ErrorKind::PermissionDenied => closed += 1,
            Err(e) => return Err(e),
        }
        if table.is_some() {
            break;
        }
    }
    let mut seen = counted(namespaces.len() as u64, "namespace");
    if closed > 0 {
        let _ = write!(seen, ", {closed} of which may not be looked into");
    }
    Ok((Found { table }, seen))
}

/// Reads the metadata and the list of files of a table.
pub(super) async fn read(manager: &IcebergTableManager, table: &TableIdent) -> Result<((), String)> {
    let files = manager.list_files(table, &SnapshotSelector::Current).await?;
    let files = counted(files.len() as u64, "file");
    Ok(((), format!("metadata and manifests of {}, {files}", render_table(table))))
}

/// Makes a namespace and a table, or a table in `only`, writes a row, reads it, and removes everything, whatever
/// happened in between.
pub(super) async fn write(
    manager: &IcebergTableManager,
    only: Option<&NamespaceIdent>,
) -> Result<((), String)> {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map(|d| d.as_nanos())
        .unwrap_or_default();
    let name = format!("floe_check_{:x}", nanos ^ u128::from(std::process::id()) << 64);
    let (namespace, table) = match only {
        Some(namespace) => (namespace.clone(), name),
        None => (NamespaceIdent::new(name), "probe".to_owned()),
    };
    let table = TableIdent::new(namespace.clone(), table);
    if only.is_none() {
        let made = manager.catalog().create_namespace(&namespace, HashMap::new()).await;
        if let Err(e) = made {
            if e.kind() == ErrorKind::CommitStateUnknown {
                let _ = manager.catalog().drop_namespace(&namespace).await;
            }
            let e = e.context("a new namespace");
            return Err(match e.kind() {
                ErrorKind::PermissionDenied => Error::new(e.kind(), e.message())
                    .with_hint("name a namespace that you may write to: --namespace NAMESPACE"),
                _ => e,
            });
        }
    }
    let written = row(manager, &table).await;
    let removed = match remove(manager, &table).await {
        Ok(()) if only.is_none() => {
            let dropped = manager.catalog().drop_namespace(&namespace).await;
            dropped.map_err(|e| e.context(format!("the namespace {} is left", render_namespace(&namespace))))
        }
        removed => removed,
    };
    match (written, removed) {
        (Ok(()), Ok(())) => Ok(((), "a table was made, written, read and removed".into())),
        (Err(e), Ok(())) => Err(match e.kind() {
            // It was looked up whether the table is there: it was, and is no more.
            ErrorKind::CommitStateUnknown => {
                let told = Error::new(e.kind(), format!("{}; the check removed it", e.message()));
                match e.hint() {
                    Some(hint) => told.with_hint(hint),
                    None => told,
                }
            }
            _ => e,
        }),
        (Ok(()), Err(left)) => Err(left.context("removing what the check made")),
        (Err(e), Err(left)) => {
            let both = format!(
                "{}; and not all that the check made could be removed: {}",
                e.message(),
                left.message()
            );
            let hint =
                e.hint().or(left.hint()).unwrap_or("remove it with the catalog's own tools").to_owned();
            Err(Error::new(e.kind(), both).with_hint(hint))
        }
    }
}

async fn row(manager: &IcebergTableManager, table: &TableIdent) -> Result<()> {
    let schema = TableSchema { fields: vec![SchemaField::new(1, "id", FieldType::Long, true)] };
    let config = TableConfig::new(render_namespace(table.namespace()), table.name(), schema);
    manager.create_table(&config, false).await.map_err(|e| e.context("a new table"))?;
    if manager.storage().warehouse().is_empty() {
        // Where the server decides where tables go, this is the first location that is known.
        manager.check_table_storage(table).await?;
    }
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![42]));
    let batch = RecordBatch::try_from_iter_with_nullable([("id", ids, false)])
        .map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
    let data = BatchStream::from_batches(batch.schema(), vec![batch]);
    manager.write_data(table, data, &WriteConfig::default()).await?;
    let batches = manager.scan(table, &ScanRequest::default()).await?.data.collect().await?;
    match batches.iter().map(RecordBatch::num_rows).sum::<usize>() {
        1 => Ok(()),
        rows => Err(Error::new(ErrorKind::Corrupted, format!("one row was written and {rows} were read"))),
    }
}

/// Removes the table that the check made, if it was made, with its files.
async fn remove(manager: &IcebergTableManager, table: &TableIdent) -> Result<()> {
    let left = |e: Error| e.context(format!("the table {} is left", render_table(table)));
    let location = match manager.load_table(table).await {
        Ok(loaded) => loaded.metadata.location().to_owned(),
        Err(e) if matches!(e.kind(), ErrorKind::NoSuchTable | ErrorKind::NoSuchNamespace) => return Ok(()),
        Err(_) => return remove_unseen(manager, table).await.map_err(left),
    };
    // With the credentials that the catalog gives, which it gives for no table that is dropped.
    let storage = match manager.catalog().table_storage(table).await {
        Ok(storage) => storage.unwrap_or_else(|| manager.storage().clone()),
        Err(_) => return remove_unseen(manager, table).await.map_err(left),
    };
    manager.drop_table(table).await.map_err(left)?;
    let files_left = |e: Error| e.context(format!("files below {location} are left"));
    let files: Vec<String> = storage
        .list(&format!("{}/", location.trim_end_matches('/')))
        .map_ok(|file| file.location)
        .try_collect()
        .await
        .map_err(files_left)?;
    let mut deleted = storage.delete_many(futures::stream::iter(files).boxed());
    while let Some((_, result)) = deleted.next().await {
        result.map_err(files_left)?;
    }
    Ok(())
}

/// Removes a table that cannot be loaded: the server deletes its files, where it does that; else its metadata file is
/// left, for nobody here knows where it is.
async fn remove_unseen(manager: &IcebergTableManager, table: &TableIdent) -> Result<()> {
    let gone = |result: Result<()>| match result {
        Err(e) if e.kind() == ErrorKind::NoSuchTable => Ok(()),
        other => other,
    };
    if manager.catalog().capabilities().purge_table
        && gone(manager.catalog().purge_table(table).await).is_ok()
    {
        return Ok(());
    }
    gone(manager.drop_table(table).await.map(drop))
}
