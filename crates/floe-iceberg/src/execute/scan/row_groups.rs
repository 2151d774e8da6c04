//! Which row groups of a file can hold a row that matches, by the statistics in its footer, of which those that are not
//! proven are left out already (see [`crate::footer`]).

use std::collections::HashMap;

use arrow_schema::{DataType, Field, Fields, TimeUnit};
use floe_plan::expr::BoundExpr;
use floe_plan::prune::{FileMetrics, MetricsPruner};
use iceberg::spec::{Datum, PrimitiveType};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use super::ids::field_id;
use crate::base::bound;

/// The row groups in which a row may match, in order: all but those that their statistics rule out. `fields` are the
/// file's columns, with ids.
pub(super) fn matching(filter: &BoundExpr, footer: &ParquetMetaData, fields: &Fields) -> Vec<usize> {
    let mut leaves = HashMap::new();
    let mut next = 0;
    for field in fields {
        find_leaves(field, true, &mut next, &mut leaves);
    }
    let pruner = MetricsPruner::new(filter);
    let groups = footer.row_groups().iter().enumerate();
    let matching = groups.filter(|(_, group)| pruner.may_match(&RowGroup { group, leaves: &leaves }));
    matching.map(|(index, _)| index).collect()
}

/// Leaves that have at most one value in a row, by field id. A leaf in a list or a map is counted and left out.
fn find_leaves<'f>(
    field: &'f Field,
    single: bool,
    next: &mut usize,
    leaves: &mut HashMap<i32, (usize, &'f DataType)>,
) {
    match field.data_type() {
        DataType::Struct(children) => {
            for child in children {
                find_leaves(child, single, next, leaves);
            }
        }
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => find_leaves(item, false, next, leaves),
        ty => {
            if let Some(id) = field_id(field).filter(|_| single) {
                leaves.insert(id, (*next, ty));
            }
            *next += 1;
        }
    }
}

struct RowGroup<'a> {
    group: &'a RowGroupMetaData,
    leaves: &'a HashMap<i32, (usize, &'a DataType)>,
}

impl RowGroup<'_> {
    fn statistics(&self, id: i32) -> Option<(&Statistics, &DataType)> {
        let (leaf, ty) = self.leaves.get(&id)?;
        Some((self.group.columns().get(*leaf)?.statistics()?, ty))
    }

    fn bound(&self, id: i32, ty: &PrimitiveType, which: Which) -> Option<Datum> {
        let (statistics, stored) = self.statistics(id)?;
        bound(statistics, stored, ty, which)
    }
}

impl FileMetrics for RowGroup<'_> {
    fn record_count(&self) -> u64 {
        u64::try_from(self.group.num_rows()).unwrap_or(u64::MAX)
    }

    fn value_count(&self, _: i32) -> Option<u64> {
        None
    }

    fn null_count(&self, field_id: i32) -> Option<u64> {
        self.statistics(field_id)?.0.null_count_opt()
    }

    fn nan_count(&self, _: i32) -> Option<u64> {
        None
    }

    fn lower(&self, field_id: i32, ty: &PrimitiveType) -> Option<Datum> {
        self.bound(field_id, ty, Which::Lower)
    }

    fn upper(&self, field_id: i32, ty: &PrimitiveType) -> Option<Datum> {
        self.bound(field_id, ty, Which::Upper)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Lower,
    Upper,
}

/// A bound as a value of the column's present type. `None` for whatever could be understood in another way than its writer
/// meant it: unsigned numbers, other units, text that was compared by signed bytes.
fn bound(statistics: &Statistics, stored: &DataType, ty: &PrimitiveType, which: Which) -> Option<Datum> {
    use DataType as D;
    use PrimitiveType as P;
    let bytes = match which {
        Which::Lower => statistics.min_bytes_opt(),
        Which::Upper => statistics.max_bytes_opt(),
    }?;
    let is_bytes = matches!(statistics, Statistics::ByteArray(_) | Statistics::FixedLenByteArray(_));
    // The old fields of the footer did not say how bytes were compared.
    if is_bytes && statistics.is_min_max_deprecated() {
        return None;
    }
    match (ty, stored) {
        (P::Boolean, D::Boolean)
        | (P::Int, D::Int8 | D::Int16 | D::Int32)
        | (P::Long, D::Int8 | D::Int16 | D::Int32 | D::Int64)
        | (P::Date | P::Timestamp | P::TimestampNs, D::Date32)
        | (P::Time, D::Time64(TimeUnit::Microsecond))
        | (P::Timestamp | P::Timestamptz, D::Timestamp(TimeUnit::Microsecond, _))
        | (P::TimestampNs | P::TimestamptzNs, D::Timestamp(TimeUnit::Nanosecond, _))
        | (P::String, D::Utf8)
        | (P::Binary, D::Binary)
        | (P::Uuid | P::Fixed(_), D::FixedSizeBinary(_)) => {
            if matches!(statistics, Statistics::Int96(_)) {
                return None;
            }
            bound::decode(bytes, ty)
        }
        (P::Float, D::Float32) | (P::Double, D::Float32 | D::Float64) => {
            bound::decode(bytes, ty).filter(|datum| !datum.is_nan())
        }
        (P::Decimal { scale, .. }, D::Decimal128(_, stored)) if i64::from(*stored) == i64::from(*scale) => {
            let unscaled = match statistics {
                Statistics::Int32(_) => i128::from(i32::from_le_bytes(bytes.try_into().ok()?)),
                Statistics::Int64(_) => i128::from(i64::from_le_bytes(bytes.try_into().ok()?)),
                _ => return bound::decode(bytes, ty),
            };
            bound::decode(&unscaled.to_be_bytes(), ty)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use parquet::data_type::ByteArray;
    use parquet::file::statistics::ValueStatistics;

    use super::*;

    #[test]
    fn unsigned_numbers_bound_nothing() {
        let statistics = Statistics::int32(Some(-1), Some(5), None, Some(0), false);
        assert_eq!(bound(&statistics, &DataType::UInt32, &PrimitiveType::Long, Which::Lower), None);
        let lower = bound(&statistics, &DataType::Int32, &PrimitiveType::Long, Which::Lower);
        assert_eq!(lower, Some(Datum::long(-1)));
    }

    #[test]
    fn text_compared_in_an_unknown_way_bounds_nothing() {
        let text = |deprecated| {
            let (min, max) = (ByteArray::from("a"), ByteArray::from("b"));
            Statistics::ByteArray(ValueStatistics::new(Some(min), Some(max), None, Some(0), deprecated))
        };
        let upper = |s: &Statistics| bound(s, &DataType::Utf8, &PrimitiveType::String, Which::Upper);
        assert_eq!(upper(&text(true)), None);
        assert_eq!(upper(&text(false)), Some(Datum::string("b")));
    }

    #[test]
    fn nan_bounds_nothing() {
        let statistics = Statistics::double(Some(f64::NAN), Some(1.0), None, Some(0), false);
        assert_eq!(bound(&statistics, &DataType::Float64, &PrimitiveType::Double, Which::Lower), None);
    }

    #[test]
    fn another_unit_or_scale_bounds_nothing() {
        let statistics = Statistics::int64(Some(1), Some(5), None, Some(0), false);
        let millis = DataType::Timestamp(TimeUnit::Millisecond, None);
        assert_eq!(bound(&statistics, &millis, &PrimitiveType::Timestamp, Which::Lower), None);
        let decimal = PrimitiveType::Decimal { precision: 12, scale: 2 };
        assert_eq!(bound(&statistics, &DataType::Decimal128(10, 3), &decimal, Which::Lower), None);
        assert!(bound(&statistics, &DataType::Decimal128(10, 2), &decimal, Which::Lower).is_some());
    }
}
