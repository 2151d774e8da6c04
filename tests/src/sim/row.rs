//! Rows of the simulated table, and their Arrow form.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use floe::data::BatchStream;
use floe::model::{FieldType, SchemaField, TableSchema};
use rand::Rng;
use rand::rngs::StdRng;

/// A row: any column may be NULL, and `v` may be NaN. Ordered and equal by the bits of `v`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Row {
    pub(super) id: Option<i64>,
    pub(super) p: Option<i32>,
    v: Option<u64>,
    pub(super) t: Option<String>,
}

impl Row {
    /// The number of `v`.
    pub(super) fn v(&self) -> Option<f64> {
        self.v.map(f64::from_bits)
    }

    /// The same row with another `t`.
    pub(super) fn with_t(&self, t: &str) -> Self {
        Self { t: Some(t.to_owned()), ..self.clone() }
    }

    /// The value of a column, as text that equal values share.
    pub(super) fn key(&self, column: &str) -> String {
        match column {
            "id" => format!("{:?}", self.id),
            "p" => format!("{:?}", self.p),
            "v" => format!("{:?}", self.v),
            _ => format!("{:?}", self.t),
        }
    }
}

/// The columns.
pub(super) fn schema() -> TableSchema {
    let field = |id, name: &str, of| SchemaField::new(id, name, of, false);
    TableSchema {
        fields: vec![
            field(1, "id", FieldType::Long),
            field(2, "p", FieldType::Int),
            field(3, "v", FieldType::Double),
            field(4, "t", FieldType::String),
        ],
    }
}

/// A row; `tag` makes some rows differ from all others.
pub(super) fn random_row(random: &mut StdRng, tag: &str) -> Row {
    let null = |random: &mut StdRng| random.random_range(0..8) == 0;
    let v = match random.random_range(0..6) {
        0 => None,
        1 => Some(f64::NAN),
        n => Some(f64::from(n) - 2.5),
    };
    let t = match random.random_range(0..4) {
        0 => None,
        1 => Some("a".to_owned()),
        _ => Some(tag.to_owned()),
    };
    Row {
        id: (!null(random)).then(|| random.random_range(0..12)),
        p: (!null(random)).then(|| random.random_range(0..3)),
        v: v.map(f64::to_bits),
        t,
    }
}

/// Rows as a stream of one batch.
pub(super) fn stream(rows: &[Row]) -> BatchStream {
    let columns: [(&str, ArrayRef, bool); 4] = [
        ("id", Arc::new(rows.iter().map(|r| r.id).collect::<Int64Array>()), true),
        ("p", Arc::new(rows.iter().map(|r| r.p).collect::<Int32Array>()), true),
        ("v", Arc::new(rows.iter().map(Row::v).collect::<Float64Array>()), true),
        ("t", Arc::new(rows.iter().map(|r| r.t.as_deref()).collect::<StringArray>()), true),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    BatchStream::from_batches(batch.schema(), vec![batch])
}

/// The rows of batches, sorted.
pub(super) fn rows(batches: &[RecordBatch]) -> Vec<Row> {
    let mut rows = Vec::new();
    for batch in batches {
        let column = |name| batch.column_by_name(name).unwrap();
        let (id, p) = (column("id").as_primitive::<Int64Type>(), column("p").as_primitive::<Int32Type>());
        let (v, t) = (column("v").as_primitive::<Float64Type>(), column("t").as_string::<i32>());
        for row in 0..batch.num_rows() {
            rows.push(Row {
                id: id.is_valid(row).then(|| id.value(row)),
                p: p.is_valid(row).then(|| p.value(row)),
                v: v.is_valid(row).then(|| v.value(row)).map(canonical),
                t: t.is_valid(row).then(|| t.value(row).to_owned()),
            });
        }
    }
    rows.sort_unstable();
    rows
}

/// Every NaN is one.
fn canonical(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }
}
