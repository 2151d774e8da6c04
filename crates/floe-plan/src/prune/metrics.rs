//! Pruning by the metrics of a file.

use iceberg::spec::{DataFile, Datum, PrimitiveType};

use super::facts::Facts;
use super::outcomes::{Outcomes, of_expr, residual};
use crate::expr::{BoundExpr, BoundLeaf, Value};

/// Metrics of one file, or of a part of one such as a row group (spec, section "Manifests").
pub trait FileMetrics {
    /// Rows in the file.
    fn record_count(&self) -> u64;
    /// Values of a column, NULL and NaN included.
    fn value_count(&self, field_id: i32) -> Option<u64>;
    /// NULLs of a column.
    fn null_count(&self, field_id: i32) -> Option<u64>;
    /// NaNs of a column.
    fn nan_count(&self, field_id: i32) -> Option<u64>;
    /// No value that is neither NULL nor NaN is less. May be written in a type the column had earlier.
    fn lower(&self, field_id: i32, field_type: &PrimitiveType) -> Option<Datum>;
    /// No value that is neither NULL nor NaN is greater. May be written in a type the column had earlier.
    fn upper(&self, field_id: i32, field_type: &PrimitiveType) -> Option<Datum>;
}

impl FileMetrics for DataFile {
    fn record_count(&self) -> u64 {
        DataFile::record_count(self)
    }

    fn value_count(&self, field_id: i32) -> Option<u64> {
        self.value_counts().get(&field_id).copied()
    }

    fn null_count(&self, field_id: i32) -> Option<u64> {
        self.null_value_counts().get(&field_id).copied()
    }

    fn nan_count(&self, field_id: i32) -> Option<u64> {
        self.nan_value_counts().get(&field_id).copied()
    }

    fn lower(&self, field_id: i32, _: &PrimitiveType) -> Option<Datum> {
        self.lower_bounds().get(&field_id).cloned()
    }

    fn upper(&self, field_id: i32, _: &PrimitiveType) -> Option<Datum> {
        self.upper_bounds().get(&field_id).cloned()
    }
}

/// Tells which files may hold a matching row.
#[derive(Debug, Clone)]
pub struct MetricsPruner {
    filter: BoundExpr,
}

impl MetricsPruner {
    /// For this filter.
    pub fn new(filter: &BoundExpr) -> Self {
        Self { filter: filter.clone() }
    }

    /// False only if no row of the file can match.
    pub fn may_match<M: FileMetrics + ?Sized>(&self, metrics: &M) -> bool {
        metrics.record_count() > 0
            && of_expr(&self.filter, &|leaf| leaf_outcomes(leaf, metrics)).may_be_true()
    }

    /// The filter without the parts that come out the same for every row of the file.
    pub fn residual<M: FileMetrics + ?Sized>(&self, metrics: &M) -> BoundExpr {
        residual(&self.filter, &|leaf| leaf_outcomes(leaf, metrics))
    }
}

/// Tells which files match as a whole.
#[derive(Debug, Clone)]
pub struct StrictMetrics {
    filter: BoundExpr,
}

impl StrictMetrics {
    /// For this filter.
    pub fn new(filter: &BoundExpr) -> Self {
        Self { filter: filter.clone() }
    }

    /// True only if every row of the file surely matches.
    pub fn all_match<M: FileMetrics + ?Sized>(&self, metrics: &M) -> bool {
        of_expr(&self.filter, &|leaf| leaf_outcomes(leaf, metrics)).only_true()
    }
}

fn leaf_outcomes<M: FileMetrics + ?Sized>(leaf: &BoundLeaf, metrics: &M) -> Outcomes {
    let id = leaf.field_id;
    let lower = metrics.lower(id, &leaf.field_type).and_then(|d| Value::from_datum(&d, &leaf.field_type));
    let upper = metrics.upper(id, &leaf.field_type).and_then(|d| Value::from_datum(&d, &leaf.field_type));
    let mut facts = Facts::unknown(leaf).bounded(lower, upper);
    let nulls = metrics.null_count(id);
    let nans = metrics.nan_count(id).filter(|_| leaf.is_float());
    if let Some(nulls) = nulls {
        facts.null = nulls > 0;
    }
    if let Some(nans) = nans {
        facts.nan = nans > 0;
    }
    let values = metrics.value_count(id).unwrap_or_else(|| metrics.record_count());
    let others = nulls.unwrap_or(0).saturating_add(nans.unwrap_or(0));
    if others > 0 && others >= values {
        facts.plain = false;
    }
    if nulls.is_some_and(|nulls| nulls > 0 && nulls >= values) {
        facts.nan = false;
    }
    facts.outcomes(leaf)
}
