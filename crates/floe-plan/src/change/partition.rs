//! Partition values as they are compared.

use std::collections::HashMap;

use iceberg::spec::{Literal, PrimitiveLiteral, Struct, TableMetadata};

/// Partition values in the widest type of their kind: a column may have been promoted between two files of one
/// partition (Iceberg spec, "Schema Evolution").
///
/// ```
/// use floe_plan::change::widened;
/// use iceberg::spec::{Literal, Struct};
///
/// let of = |value| Struct::from_iter([Some(value)]);
/// assert_eq!(widened(&of(Literal::int(7))), widened(&of(Literal::long(7))));
/// ```
pub fn widened(partition: &Struct) -> Struct {
    let widen = |value: &Option<Literal>| match value {
        Some(Literal::Primitive(PrimitiveLiteral::Int(v))) => Some(Literal::long(*v)),
        Some(Literal::Primitive(PrimitiveLiteral::Float(v))) => Some(Literal::double(f64::from(v.0))),
        other => other.clone(),
    };
    partition.fields().iter().map(widen).collect()
}

/// The fields of partition specs whose source column the table does not have any more.
///
/// Iceberg's Java library does not know the type of such a field any more, and writes NULL for its value when it writes
/// a manifest anew. NULL there may be any value, so that it decides nothing about where deletes apply.
#[derive(Debug, Clone, Default)]
pub struct DroppedSources(HashMap<i32, Vec<usize>>);

impl DroppedSources {
    /// Those of a table.
    pub fn of(metadata: &TableMetadata) -> Self {
        let schema = metadata.current_schema();
        let dropped = metadata.partition_specs_iter().filter_map(|spec| {
            let fields = spec.fields().iter().enumerate();
            let gone: Vec<usize> = fields
                .filter(|(_, field)| schema.field_by_id(field.source_id).is_none())
                .map(|(position, _)| position)
                .collect();
            (!gone.is_empty()).then(|| (spec.spec_id(), gone))
        });
        Self(dropped.collect())
    }

    /// What is left of a partition without these fields, [`widened`]: equal for all files that may be in one partition.
    pub fn known_part(&self, spec_id: i32, partition: &Struct) -> Struct {
        let known = widened(partition);
        let Some(gone) = self.0.get(&spec_id) else { return known };
        let fields = known.fields().iter().enumerate();
        fields.map(|(position, value)| value.clone().filter(|_| !gone.contains(&position))).collect()
    }

    /// Whether two partitions of one spec, with equal known parts, are the same; `None` if that is not known.
    pub fn same(&self, spec_id: i32, one: &Struct, other: &Struct) -> Option<bool> {
        let (one, other) = (widened(one), widened(other));
        let gone = self.0.get(&spec_id).map_or(&[][..], Vec::as_slice);
        let lost = |position: usize| {
            let values = (one.fields().get(position), other.fields().get(position));
            matches!(values, (Some(a), Some(b)) if a.is_none() != b.is_none())
        };
        if gone.iter().any(|position| lost(*position)) { None } else { Some(one == other) }
    }
}

#[cfg(test)]
mod tests {
    use iceberg::spec::FormatVersion;

    use super::*;
    use crate::test_table::{metadata, without_category};

    fn category(value: Option<&str>) -> Struct {
        Struct::from_iter([value.map(Literal::string)])
    }

    #[test]
    fn a_value_counts_as_long_as_its_column_is_there() {
        let dropped = DroppedSources::of(&metadata(FormatVersion::V2));
        assert_ne!(dropped.known_part(0, &category(Some("x"))), dropped.known_part(0, &category(None)));
        assert_eq!(dropped.same(0, &category(Some("x")), &category(None)), Some(false));
    }

    #[test]
    fn null_for_a_dropped_column_may_be_any_value() {
        let dropped = DroppedSources::of(&without_category());
        assert_eq!(dropped.known_part(0, &category(Some("x"))), dropped.known_part(0, &category(None)));
        assert_eq!(dropped.same(0, &category(Some("x")), &category(None)), None);
        assert_eq!(dropped.same(0, &category(Some("x")), &category(Some("y"))), Some(false));
        assert_eq!(dropped.same(0, &category(None), &category(None)), Some(true));
        assert_eq!(dropped.known_part(7, &category(Some("x"))), category(Some("x")), "another spec");
    }
}
