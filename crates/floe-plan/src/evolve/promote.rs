//! Which types hold every value of another (Iceberg spec, "Schema Evolution").

use iceberg::spec::{FormatVersion, PrimitiveType};

/// Whether a column of type `from` may become one of type `to`.
pub(super) fn promotes(from: &PrimitiveType, to: &PrimitiveType, version: FormatVersion) -> bool {
    use PrimitiveType as P;
    match (from, to) {
        (P::Int, P::Long) | (P::Float, P::Double) => true,
        (P::Decimal { precision, scale }, P::Decimal { precision: wider, scale: same }) => {
            scale == same && precision < wider
        }
        // Not to a type with a time zone: a date has none.
        (P::Date, P::Timestamp | P::TimestampNs) => version >= FormatVersion::V3,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_widening_is_allowed() {
        use PrimitiveType as P;
        let decimal = |precision, scale| P::Decimal { precision, scale };
        let v2 = |from: &P, to: &P| promotes(from, to, FormatVersion::V2);
        assert!(v2(&P::Int, &P::Long) && v2(&P::Float, &P::Double) && v2(&decimal(9, 2), &decimal(18, 2)));
        assert!(!v2(&P::Long, &P::Int) && !v2(&P::Double, &P::Float) && !v2(&P::Int, &P::Double));
        assert!(!v2(&decimal(9, 2), &decimal(18, 3)) && !v2(&decimal(9, 2), &decimal(9, 2)));
        assert!(!v2(&P::Date, &P::Timestamp) && promotes(&P::Date, &P::Timestamp, FormatVersion::V3));
        assert!(!promotes(&P::Date, &P::Timestamptz, FormatVersion::V3));
    }
}
