//! Judging files by partition and metrics together.

use iceberg::spec::{PartitionSpec, Struct};

use super::{FileMetrics, MetricsPruner, PartitionPruner, StrictMetrics};
use crate::expr::BoundExpr;

/// For which rows of a file a filter is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// None, as its partition shows.
    NoneByPartition,
    /// None, as its column metrics show.
    NoneByMetrics,
    /// Perhaps some: rows have to be tested.
    Some,
    /// All: no row needs to be tested.
    All,
}

impl Verdict {
    /// False only if no row of the file matches.
    pub fn may_match(self) -> bool {
        matches!(self, Self::Some | Self::All)
    }
}

/// Judges the files of one partition spec.
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
/// let judge = |text: &str| {
///     let filter = Expr::parse(text)?.bind(&schema, true)?;
///     Ok::<_, floe_core::Error>(FilePruner::new(&filter, &spec).judge(file.partition(), &file))
/// };
/// assert_eq!(judge("a > 20")?, Verdict::NoneByMetrics);
/// assert_eq!(judge("a >= 10")?, Verdict::All);
/// assert_eq!(judge("a > 15 AND a > 5")?, Verdict::Some);
/// # Ok::<(), floe_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct FilePruner {
    partition: PartitionPruner,
    /// What is left of the filter for files of the partition looked at last: files of one partition come together, as a
    /// rule.
    last: Option<(Struct, Residual)>,
}

#[derive(Debug, Clone)]
enum Residual {
    Nothing,
    All,
    Some(MetricsPruner, StrictMetrics),
}

impl FilePruner {
    /// For files of partition spec `spec`.
    pub fn new(filter: &BoundExpr, spec: &PartitionSpec) -> Self {
        Self { partition: PartitionPruner::new(filter, spec), last: None }
    }

    /// What the filter means for a file of this partition, which must be of the spec.
    pub fn judge<M: FileMetrics + ?Sized>(&mut self, partition: &Struct, metrics: &M) -> Verdict {
        // A file without rows is opened: old writers counted none in files that have some, and nothing must be hidden.
        if metrics.record_count() == 0 {
            return Verdict::Some;
        }
        if self.last.as_ref().is_none_or(|(known, _)| known != partition) {
            self.last = Some((partition.clone(), Residual::new(&self.partition, partition)));
        }
        match self.last.as_ref().map(|(_, residual)| residual) {
            Some(Residual::Nothing) => Verdict::NoneByPartition,
            Some(Residual::Some(possible, _)) if !possible.may_match(metrics) => Verdict::NoneByMetrics,
            Some(Residual::Some(_, certain)) if !certain.all_match(metrics) => Verdict::Some,
            _ => Verdict::All,
        }
    }
}

impl Residual {
    fn new(pruner: &PartitionPruner, partition: &Struct) -> Self {
        if !pruner.may_match(partition) {
            return Self::Nothing;
        }
        match pruner.residual(partition) {
            BoundExpr::True => Self::All,
            residual => Self::Some(MetricsPruner::new(&residual), StrictMetrics::new(&residual)),
        }
    }
}
