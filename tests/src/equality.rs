//! Equality deletes, which floe reads and does not write: the files are made here.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema};
use floe::base::{ManifestCache, TableBase};
use floe::commit::{CommitRequest, commit};
use floe::env::SystemEnvironment;
use floe::iceberg::TableIdent;
use floe::iceberg::spec::{DataContentType, DataFileBuilder, DataFileFormat, Struct};
use floe::plan::change::{ChangeSet, OperationKind, TableFile};
use parquet::arrow::{ArrowWriter, PARQUET_FIELD_ID_META_KEY};

use crate::warehouse::Warehouse;

/// Commits a file that deletes the rows whose columns with the field ids `ids` equal those of a row of `keys`, in one
/// partition of the default spec; everywhere, if that has no fields.
pub async fn equality_delete(
    warehouse: &Warehouse,
    table: &TableIdent,
    ids: &[i32],
    keys: &RecordBatch,
    partition: Struct,
) {
    let loaded = warehouse.manager.load_table(table).await.unwrap();
    let with_id = |(field, id): (&Arc<Field>, &i32)| {
        let metadata = HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())]);
        field.as_ref().clone().with_metadata(metadata)
    };
    let schema = keys.schema();
    let fields: Vec<Field> = schema.fields().iter().zip(ids).map(with_id).collect();
    let keys = RecordBatch::try_new(Arc::new(Schema::new(fields)), keys.columns().to_vec()).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, keys.schema(), None).unwrap();
    writer.write(&keys).unwrap();
    writer.close().unwrap();
    let path = format!("{}/data/equality-{}.parquet", loaded.metadata.location(), uuid::Uuid::new_v4());
    let size = bytes.len() as u64;
    loaded.file_io.new_output(&path).unwrap().write(bytes.into()).await.unwrap();
    let spec_id = loaded.metadata.default_partition_spec_id();
    let file = DataFileBuilder::default()
        .content(DataContentType::EqualityDeletes)
        .equality_ids(Some(ids.to_vec()))
        .file_path(path)
        .file_format(DataFileFormat::Parquet)
        .partition(partition)
        .partition_spec_id(spec_id)
        .record_count(keys.num_rows() as u64)
        .file_size_in_bytes(size)
        .build()
        .unwrap();
    let added = vec![TableFile { spec_id, file }];
    let change = ChangeSet { operation: OperationKind::Delete, added, ..ChangeSet::default() };
    let base = TableBase::new(loaded, Arc::new(ManifestCache::default()));
    let catalog = warehouse.manager.catalog();
    commit(&**catalog, base, CommitRequest::new(change), &SystemEnvironment).await.unwrap();
}
