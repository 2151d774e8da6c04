//! Pruning by partition values: of one file, and of all files of a manifest.

use iceberg::spec::{FieldSummary, Literal, PartitionSpec, PrimitiveType, Struct, Transform};

use super::facts::{Buckets, Facts, Upper, successor};
use super::outcomes::{Outcomes, of_expr, residual};
use crate::expr::{BoundExpr, BoundLeaf, Value};

/// Tells which partitions may hold a matching row, and which surely match as a whole.
#[derive(Debug, Clone)]
pub struct PartitionPruner {
    filter: BoundExpr,
    fields: Vec<Field>,
}

/// Tells which manifests may list a file that holds a matching row.
#[derive(Debug, Clone)]
pub struct ManifestPruner {
    filter: BoundExpr,
    fields: Vec<Field>,
}

impl PartitionPruner {
    /// For partitions of `spec`.
    pub fn new(filter: &BoundExpr, spec: &PartitionSpec) -> Self {
        Self { filter: filter.clone(), fields: fields(spec) }
    }

    /// False only if no row of this partition can match.
    pub fn may_match(&self, partition: &Struct) -> bool {
        of_expr(&self.filter, &|leaf| self.leaf(leaf, partition)).may_be_true()
    }

    /// True only if every row of this partition surely matches.
    pub fn all_match(&self, partition: &Struct) -> bool {
        of_expr(&self.filter, &|leaf| self.leaf(leaf, partition)).only_true()
    }

    /// The filter without the parts that the partition settles; equivalent for every row of the partition.
    pub fn residual(&self, partition: &Struct) -> BoundExpr {
        residual(&self.filter, &|leaf| self.leaf(leaf, partition))
    }

    fn leaf(&self, leaf: &BoundLeaf, partition: &Struct) -> Outcomes {
        self.fields
            .iter()
            .filter(|field| field.source_id == leaf.field_id)
            .filter_map(|field| {
                // A struct that is too short does not belong to this spec: nothing is known.
                let value = partition.fields().get(field.position)?;
                Some(field.of_value(leaf, value.as_ref()))
            })
            .fold(Outcomes::ANY, Outcomes::intersect)
    }
}

impl ManifestPruner {
    /// For manifests of `spec`.
    pub fn new(filter: &BoundExpr, spec: &PartitionSpec) -> Self {
        Self { filter: filter.clone(), fields: fields(spec) }
    }

    /// False only if no file of the manifest can hold a matching row. Missing summaries never prune.
    pub fn may_match(&self, summaries: Option<&[FieldSummary]>) -> bool {
        let Some(summaries) = summaries else { return true };
        let leaf = |leaf: &BoundLeaf| {
            self.fields
                .iter()
                .filter(|field| field.source_id == leaf.field_id)
                .filter_map(|field| Some(field.of_summary(leaf, summaries.get(field.position)?)))
                .fold(Outcomes::ANY, Outcomes::intersect)
        };
        of_expr(&self.filter, &leaf).may_be_true()
    }
}

/// One field of a partition spec.
#[derive(Debug, Clone)]
struct Field {
    position: usize,
    source_id: i32,
    transform: Transform,
}

fn fields(spec: &PartitionSpec) -> Vec<Field> {
    spec.fields()
        .iter()
        .enumerate()
        // A void field is NULL whatever its source is.
        .filter(|(_, field)| !matches!(field.transform, Transform::Void | Transform::Unknown))
        .map(|(position, field)| Field { position, source_id: field.source_id, transform: field.transform })
        .collect()
}

impl Field {
    /// What can come out for rows whose partition value is `value`.
    fn of_value(&self, leaf: &BoundLeaf, value: Option<&Literal>) -> Outcomes {
        let mut facts = Facts::unknown(leaf);
        let Some(value) = value else {
            facts.null = true;
            facts.nan = false;
            facts.plain = false;
            return facts.outcomes(leaf);
        };
        facts.null = false;
        let Literal::Primitive(literal) = value else { return facts.outcomes(leaf) };
        let Some(value) = self.value_type(leaf).and_then(|ty| Value::from_literal(literal, None, &ty)) else {
            return facts.outcomes(leaf);
        };
        if matches!(self.transform, Transform::Identity) {
            facts.nan = value.is_nan();
            facts.plain = !facts.nan;
        }
        self.between(facts, leaf, Some(value.clone()), Some(value)).outcomes(leaf)
    }

    /// What can come out for rows of files whose partition values have this summary.
    fn of_summary(&self, leaf: &BoundLeaf, summary: &FieldSummary) -> Outcomes {
        let mut facts = Facts::unknown(leaf);
        facts.null = summary.contains_null;
        if matches!(self.transform, Transform::Identity) && summary.contains_nan == Some(false) {
            facts.nan = false;
        }
        let Some(ty) = self.value_type(leaf) else { return facts.outcomes(leaf) };
        let read = |bytes: Option<&[u8]>| bytes.and_then(|bytes| Value::from_bytes(bytes, &ty));
        let (lower, upper) = (
            read(summary.lower_bound.as_ref().map(|b| b.as_slice())),
            read(summary.upper_bound.as_ref().map(|b| b.as_slice())),
        );
        self.between(facts, leaf, lower, upper).outcomes(leaf)
    }

    /// The type that partition values of this field have.
    fn value_type(&self, leaf: &BoundLeaf) -> Option<PrimitiveType> {
        match self.transform {
            Transform::Identity | Transform::Truncate(_) => Some(leaf.field_type.clone()),
            Transform::Bucket(_) | Transform::Year | Transform::Month | Transform::Day | Transform::Hour => {
                Some(PrimitiveType::Int)
            }
            _ => None,
        }
    }

    /// Narrows `facts` to the source values whose partition value lies in `lower..=upper`.
    fn between(
        &self,
        mut facts: Facts,
        leaf: &BoundLeaf,
        lower: Option<Value>,
        upper: Option<Value>,
    ) -> Facts {
        match self.transform {
            Transform::Identity => facts.bounded(lower, upper),
            Transform::Bucket(count) => {
                if let (Some(Value::Integer(first)), Some(Value::Integer(last))) = (lower, upper) {
                    facts.buckets = Some(Buckets { count, first, last });
                }
                facts
            }
            Transform::Truncate(width) => truncated(facts, width, lower, upper),
            Transform::Year | Transform::Month | Transform::Day | Transform::Hour => {
                let Some(unit) = Unit::of(leaf) else { return facts };
                let start = |value: Option<Value>, offset: i64| match value {
                    Some(Value::Integer(v)) => unit.start(self.transform, v.checked_add(offset)?),
                    _ => None,
                };
                // Values before 1970 were written one too high by some writers, which rounded towards zero.
                let early = matches!(&lower, Some(Value::Integer(v)) if *v <= 0);
                let lower = start(lower, if early { -1 } else { 0 }).map(Value::Integer);
                let upper = start(upper, 1).map(|next| Value::Integer(next.saturating_sub(1)));
                facts.bounded(lower, upper)
            }
            _ => facts,
        }
    }
}

/// Source values that are truncated to `lower..=upper`.
fn truncated(mut facts: Facts, width: u32, lower: Option<Value>, upper: Option<Value>) -> Facts {
    let reach = i64::from(width) - 1;
    match (&lower, &upper) {
        (Some(Value::Integer(first)), Some(Value::Integer(last))) => {
            // Truncating a value near the least one overflows, and comes out near the greatest: that of `long`,
            // or of `int`, which the column may have been once.
            let int = i64::from(i32::MAX);
            match last.checked_add(reach).filter(|end| *first > int || *end <= int) {
                Some(end) => facts.bounded(lower, Some(Value::Integer(end))),
                None => facts,
            }
        }
        (Some(Value::Decimal(_)), Some(Value::Decimal(last))) => {
            let end = last.checked_add(i128::from(reach)).map(Value::Decimal);
            facts.bounded(lower, end)
        }
        (Some(Value::String(_) | Value::Bytes(_)), Some(last)) => {
            let length = match last {
                Value::String(text) => text.chars().count(),
                other => other.as_ordered_bytes().map_or(0, <[u8]>::len),
            };
            if length < width as usize {
                // Shorter than the width: nothing was cut off.
                return facts.bounded(lower, upper);
            }
            facts.upper = last.as_ordered_bytes().and_then(successor).map(Upper::Below);
            facts.lower = lower;
            facts
        }
        _ => facts,
    }
}

/// How a source column counts time.
#[derive(Clone, Copy)]
struct Unit {
    per_hour: Option<i64>,
    per_day: i64,
}

impl Unit {
    fn of(leaf: &BoundLeaf) -> Option<Self> {
        if leaf.field_type == PrimitiveType::Date {
            Some(Self { per_hour: None, per_day: 1 })
        } else {
            let per_day = crate::expr::units_per_day(&leaf.field_type)?;
            Some(Self { per_hour: Some(per_day / 24), per_day })
        }
    }

    /// The first source value of the period with this number, counted from 1970; `None` if out of range.
    fn start(self, transform: Transform, period: i64) -> Option<i64> {
        let first_of = |year: i64, month: i64| {
            let date = chrono::NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month as u32, 1)?;
            let days = date.signed_duration_since(chrono::NaiveDate::default()).num_days();
            days.checked_mul(self.per_day)
        };
        match transform {
            Transform::Year => first_of(period.checked_add(1970)?, 1),
            Transform::Month => first_of(1970 + period.div_euclid(12), period.rem_euclid(12) + 1),
            Transform::Day => period.checked_mul(self.per_day),
            Transform::Hour => period.checked_mul(self.per_hour?),
            _ => None,
        }
    }
}
