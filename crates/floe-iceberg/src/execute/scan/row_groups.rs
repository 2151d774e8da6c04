//! Which row groups of a file can hold a row that matches, by the statistics in its footer.

use arrow_schema::Fields;
use floe_plan::expr::BoundExpr;
use iceberg::spec::Schema;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;

/// Whether a row of the row group may match. True whenever the statistics do not rule it out.
pub(super) fn may_match(
    _filter: &BoundExpr,
    _schema: &Schema,
    _metadata: &ArrowReaderMetadata,
    _fields: &Fields,
    _index: usize,
) -> bool {
    true
}
