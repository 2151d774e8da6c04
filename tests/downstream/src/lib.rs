//! An application outside floe's workspace: it keeps measurements in a table.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use floe::data::BatchStream;
use floe::execute::scan::ScanRequest;
use floe::iceberg::TableIdent;
use floe::model::{FieldType, SchemaField, TableConfig, TableSchema, WriteConfig};
use floe::{Error, IcebergTableManager, Result};

/// Measurements in a folder.
pub struct Measurements {
    manager: IcebergTableManager,
    table: TableIdent,
}

impl Measurements {
    /// Opens the folder, or makes it.
    pub async fn open(folder: &Path) -> Result<Self> {
        let manager = floe::embedded(folder).await?;
        let fields = vec![
            SchemaField::new(1, "sensor", FieldType::Long, true),
            SchemaField::new(2, "value", FieldType::Double, false),
        ];
        let config = TableConfig::new("plant", "measurements", TableSchema { fields });
        manager.ensure_namespace(config.ident()?.namespace()).await?;
        let table = manager.create_table(&config, true).await?.ident;
        Ok(Self { manager, table })
    }

    /// Adds measurements: a sensor and a value each.
    pub async fn add(&self, measured: &[(i64, f64)]) -> Result<u64> {
        let sensors: ArrayRef = Arc::new(Int64Array::from_iter_values(measured.iter().map(|m| m.0)));
        let values: ArrayRef = Arc::new(Float64Array::from_iter_values(measured.iter().map(|m| m.1)));
        let batch =
            RecordBatch::try_from_iter_with_nullable([("sensor", sensors, false), ("value", values, true)])
                .map_err(|e| Error::validation(e.to_string()))?;
        let data = BatchStream::from_batches(batch.schema(), vec![batch]);
        Ok(self.manager.write_data(&self.table, data, &WriteConfig::default()).await?.rows)
    }

    /// How many there are.
    pub async fn count(&self) -> Result<usize> {
        let scan = self.manager.scan(&self.table, &ScanRequest::default()).await?;
        Ok(scan.data.collect().await?.iter().map(RecordBatch::num_rows).sum())
    }
}
