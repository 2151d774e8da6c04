//! What is known of a leaf column over the row groups of a file, some of which were not looked into.

use floe_core::Result;
use floe_plan::rows::metrics::{LeafMetrics, MetricsField};
use floe_plan::rows::mode::MetricsMode;
use iceberg::spec::Datum;

/// Counts and bounds of a leaf column. The default knows nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct FieldMetrics {
    pub(super) values: Option<u64>,
    pub(super) nulls: Option<u64>,
    pub(super) nans: Option<u64>,
    pub(super) lower: Limit,
    pub(super) upper: Limit,
}

/// A bound of a column.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Limit {
    /// There may be values, and nothing is known of them.
    #[default]
    Unknown,
    /// There is no value to bound.
    NoValues,
    /// No value lies beyond it.
    Known(Datum),
}

impl Limit {
    /// What an absent or present bound of a column says that has values, or `none` at all.
    pub(super) fn new(bound: Option<Datum>, none: bool) -> Self {
        match bound {
            _ if none => Self::NoValues,
            Some(bound) => Self::Known(bound),
            None => Self::Unknown,
        }
    }

    /// The bound to record.
    pub(super) fn known(self) -> Option<Datum> {
        match self {
            Self::Known(bound) => Some(bound),
            Self::Unknown | Self::NoValues => None,
        }
    }

    /// The bound of both; `wider` tells whether the first of two bounds lies further out.
    fn merge(self, other: Self, wider: impl Fn(&Datum, &Datum) -> Option<bool>) -> Self {
        match (self, other) {
            (Self::NoValues, other) | (other, Self::NoValues) => other,
            (Self::Known(a), Self::Known(b)) => match wider(&a, &b) {
                Some(true) => Self::Known(a),
                Some(false) => Self::Known(b),
                None => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }
}

impl FieldMetrics {
    /// What was gathered while rows were encoded.
    pub(super) fn of(field: &MetricsField, metrics: &LeafMetrics) -> Result<Self> {
        let none = metrics.value_count == metrics.null_count + metrics.nan_count;
        let (lower, upper) = metrics.bounds(field)?;
        Ok(Self {
            values: Some(metrics.value_count),
            nulls: Some(metrics.null_count),
            nans: Some(metrics.nan_count),
            lower: Limit::new(lower, none),
            upper: Limit::new(upper, none),
        }
        .within(field.mode))
    }

    /// What `mode` keeps.
    pub(super) fn within(self, mode: MetricsMode) -> Self {
        match mode {
            MetricsMode::None => Self::default(),
            MetricsMode::Counts => Self { lower: Limit::Unknown, upper: Limit::Unknown, ..self },
            MetricsMode::Truncate(_) | MetricsMode::Full => self,
        }
    }

    /// What is known of both together. Counts are exact or absent, bounds hold for all values or are absent.
    pub(super) fn merge(self, other: Self) -> Self {
        let sum = |a: Option<u64>, b: Option<u64>| a?.checked_add(b?);
        Self {
            values: sum(self.values, other.values),
            nulls: sum(self.nulls, other.nulls),
            nans: sum(self.nans, other.nans),
            lower: self.lower.merge(other.lower, |a, b| a.partial_cmp(b).map(std::cmp::Ordering::is_le)),
            upper: self.upper.merge(other.upper, |a, b| a.partial_cmp(b).map(std::cmp::Ordering::is_ge)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(nulls: u64, range: Option<(i64, i64)>) -> FieldMetrics {
        FieldMetrics {
            values: Some(10),
            nulls: Some(nulls),
            nans: Some(0),
            lower: Limit::new(range.map(|r| Datum::long(r.0)), range.is_none()),
            upper: Limit::new(range.map(|r| Datum::long(r.1)), range.is_none()),
        }
    }

    #[test]
    fn bounds_hold_for_both_and_counts_add_up() {
        let both = known(1, Some((3, 9))).merge(known(2, Some((-1, 5))));
        assert_eq!((both.values, both.nulls), (Some(20), Some(3)));
        assert_eq!((both.lower.known(), both.upper.known()), (Some(Datum::long(-1)), Some(Datum::long(9))));
    }

    #[test]
    fn a_column_of_nulls_leaves_the_bounds_of_the_other() {
        let both = known(10, None).merge(known(0, Some((1, 2))));
        assert_eq!(both.lower.known(), Some(Datum::long(1)));
    }

    #[test]
    fn what_one_side_does_not_know_is_not_known_of_both() {
        let both = known(1, Some((3, 9))).merge(FieldMetrics::default());
        assert_eq!(both, FieldMetrics::default());
        let other_type = FieldMetrics { lower: Limit::Known(Datum::string("a")), ..known(0, Some((1, 2))) };
        assert_eq!(known(1, Some((3, 9))).merge(other_type).lower, Limit::Unknown);
    }
}
