//! An application outside floe's workspace: it keeps measurements in a table.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use floe::data::BatchStream;
use floe::execute::scan::ScanRequest;
use floe::iceberg::TableIdent;
use floe::model::{FieldType, SchemaField, TableConfig, TableSchema, WriteConfig};
use floe::plan::expr::Expr;
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

    /// The measurements of a sensor, in the order of their values.
    pub async fn of_sensor(&self, sensor: i64) -> Result<Vec<f64>> {
        let filter = Expr::parse(&format!("sensor = {sensor}"))?;
        let request = ScanRequest { filter: Some(filter), ..ScanRequest::default() };
        let batches = self.manager.scan(&self.table, &request).await?.data.collect().await?;
        let columns = batches.iter().filter_map(|batch| batch.column_by_name("value"));
        let mut values: Vec<f64> =
            columns.flat_map(|c| c.as_primitive::<Float64Type>().values().to_vec()).collect();
        values.sort_by(f64::total_cmp);
        Ok(values)
    }
}
