//! Deciding from metadata which files a filter can match, and which it surely matches as a whole.
//!
//! Everything rests on one idea: metadata tells what *may* be among a column's values, and
//! from that follows what a test may come out as: true, false, unknown. NOT, AND and OR combine these sets.
//! A file is pruned when *true* is impossible, and matches as a whole when nothing else is possible. What is
//! not known is taken to be possible, so that a missing or unreadable metric never prunes and never proves.
//!
//! Partition values are read backwards: a file of partition `day = 3` holds values of that day, so no filter
//! has to be projected, and NOT needs no special care.

mod facts;
mod metrics;
mod outcomes;
mod partition;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod type_tests;

use iceberg::spec::{DataFile, PartitionSpec};

use crate::expr::BoundExpr;

pub use metrics::{FileMetrics, MetricsPruner, StrictMetrics};
pub use outcomes::Outcomes;
pub use partition::{ManifestPruner, PartitionPruner, StrictPartition};

/// What a filter means for one file.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// No row can match: do not read it.
    None,
    /// Every row matches: no row needs to be tested.
    All,
    /// Rows have to be tested with this filter, which is equivalent to the whole one within this file.
    Some(BoundExpr),
}

/// Judges data files by partition and metrics together.
///
/// ```
/// # use iceberg::spec::{DataContentType, DataFileBuilder, DataFileFormat, Datum, NestedField, PartitionSpec};
/// # use iceberg::spec::{PrimitiveType, Schema, Type};
/// use floe_plan::expr::Expr;
/// use floe_plan::prune::{FilePruner, Verdict};
///
/// # let field = NestedField::required(1, "a", Type::Primitive(PrimitiveType::Long)).into();
/// # let schema = Schema::builder().with_fields([field]).build()?;
/// # let file = DataFileBuilder::default()
/// #     .content(DataContentType::Data).file_path("f".into()).file_format(DataFileFormat::Parquet)
/// #     .record_count(3).file_size_in_bytes(9)
/// #     .lower_bounds([(1, Datum::long(10))].into()).upper_bounds([(1, Datum::long(20))].into())
/// #     .build().expect("complete");
/// let spec = PartitionSpec::unpartition_spec();
/// let judge = |text: &str| Ok::<_, floe_core::Error>(
///     FilePruner::new(&Expr::parse(text)?.bind(&schema, true)?, &spec).judge(&file));
/// assert_eq!(judge("a > 20")?, Verdict::None);
/// assert_eq!(judge("a >= 10")?, Verdict::All);
/// assert!(matches!(judge("a > 15 AND a > 5")?, Verdict::Some(_)));
/// # Ok::<(), floe_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct FilePruner {
    filter: BoundExpr,
    partition: PartitionPruner,
}

impl FilePruner {
    /// For files of partition spec `spec`.
    pub fn new(filter: &BoundExpr, spec: &PartitionSpec) -> Self {
        Self { filter: filter.clone(), partition: PartitionPruner::new(filter, spec) }
    }

    /// What the filter means for `file`, which must belong to the spec.
    pub fn judge(&self, file: &DataFile) -> Verdict {
        let leaf = |leaf: &_| {
            self.partition.leaf(leaf, file.partition()).intersect(metrics::leaf_outcomes(leaf, file))
        };
        let outcomes = outcomes::of_expr(&self.filter, &leaf);
        if !outcomes.may_be_true() || file.record_count() == 0 {
            return Verdict::None;
        }
        if outcomes.only_true() {
            return Verdict::All;
        }
        Verdict::Some(outcomes::residual(&self.filter, &leaf))
    }
}
