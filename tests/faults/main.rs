//! Bad input and broken surroundings: each gives an error of its own kind, leaves no file behind, and the table
//! reads as before.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod disk;
mod files;
mod input;

use arrow_array::RecordBatch;
use floe::iceberg::TableIdent;
use floe_tests::data::{primitive_batch, primitive_schema};
use floe_tests::rows::{assert_same_rows, column_names, rows};
use floe_tests::warehouse::Warehouse;

/// A warehouse with one table of two appends, and what it holds.
struct Before {
    warehouse: Warehouse,
    table: TableIdent,
    batches: Vec<RecordBatch>,
    files: Vec<(std::path::PathBuf, u64)>,
}

fn batches() -> Vec<RecordBatch> {
    vec![primitive_batch(1, 0, 40), primitive_batch(2, 40, 40)]
}

impl Before {
    async fn new() -> Self {
        Self::within(Warehouse::temporary().await).await
    }

    async fn within(warehouse: Warehouse) -> Self {
        let table = warehouse.create("fine", primitive_schema(), None).await;
        for batch in batches() {
            warehouse.append(&table, vec![batch]).await;
        }
        Self::again(warehouse)
    }

    /// A warehouse that [`Before::within`] has filled already.
    fn again(warehouse: Warehouse) -> Self {
        let table = TableIdent::from_strs(["t", "fine"]).unwrap();
        Self { table, batches: batches(), files: warehouse.files(), warehouse }
    }

    /// Fails unless the warehouse holds the same files and the table the same rows, for a fresh process too.
    async fn assert_unchanged(&self) {
        assert_eq!(self.warehouse.files(), self.files, "files of the warehouse");
        let columns = column_names(&self.batches[0]);
        let wanted = rows(&self.batches, &columns);
        let fresh = Warehouse::open(self.warehouse.path()).await;
        for warehouse in [&self.warehouse, &fresh] {
            assert_same_rows("the table", &rows(&warehouse.scan(&self.table, None).await, &columns), &wanted);
        }
    }
}
