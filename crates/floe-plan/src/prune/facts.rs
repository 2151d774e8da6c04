//! What metadata tells about the values of one column, and what a test can come out as for them.

use std::cmp::Ordering;

use super::Outcomes;
use crate::expr::{BoundLeaf, CompareOp, Test, Value};
use crate::rows::transform::bucket_of;

/// Lists longer than this are not hashed value by value.
const MAX_HASHED: usize = 1000;

/// What may be among the values of a column. Built to allow everything; each known fact takes something away.
pub(super) struct Facts {
    /// The values are UUIDs, which some writers order as two signed numbers.
    uuid: bool,
    /// NULL may occur.
    pub(super) null: bool,
    /// NaN may occur.
    pub(super) nan: bool,
    /// A value that is neither may occur.
    pub(super) plain: bool,
    /// No plain value is less.
    pub(super) lower: Option<Value>,
    /// No plain value is greater.
    pub(super) upper: Option<Upper>,
    /// Every plain value falls into one of these buckets.
    pub(super) buckets: Option<Buckets>,
}

/// An upper limit.
pub(super) enum Upper {
    /// Values may be equal to it.
    Through(Value),
    /// Values are less, by their bytes.
    Below(Vec<u8>),
}

/// The buckets that occur, both ends included.
pub(super) struct Buckets {
    pub(super) count: u32,
    pub(super) first: i64,
    pub(super) last: i64,
}

impl Facts {
    /// Nothing is known.
    pub(super) fn unknown(leaf: &BoundLeaf) -> Self {
        let nan = leaf.is_float();
        let uuid = leaf.field_type == iceberg::spec::PrimitiveType::Uuid;
        Self { uuid, null: !leaf.required, nan, plain: true, lower: None, upper: None, buckets: None }
    }

    /// Sets bounds. NaN bounds, which old writers left, and bounds in the wrong order say nothing.
    pub(super) fn bounded(mut self, lower: Option<Value>, upper: Option<Value>) -> Self {
        let nan = |bound: &Option<Value>| bound.as_ref().is_some_and(Value::is_nan);
        let crossed = matches!((&lower, &upper), (Some(l), Some(u)) if !matches!(
            l.partial_cmp(u),
            Some(Ordering::Less | Ordering::Equal)
        ));
        if crossed || nan(&lower) || nan(&upper) {
            return self;
        }
        let (lower, upper) = if self.uuid { either_order(lower, upper) } else { (lower, upper) };
        self.lower = lower;
        self.upper = upper.map(Upper::Through);
        self
    }

    /// What the leaf's test can come out as.
    pub(super) fn outcomes(&self, leaf: &BoundLeaf) -> Outcomes {
        let mut out = Outcomes::NOTHING;
        if self.null {
            out = out.union(match leaf.test {
                Test::IsNull => Outcomes::only(true),
                Test::IsNan => Outcomes::only(false),
                _ => Outcomes::UNKNOWN,
            });
        }
        if self.nan {
            out = out.union(match leaf.test {
                Test::IsNan | Test::NotNullIs(true) | Test::Compare(CompareOp::NotEq, _) => {
                    Outcomes::only(true)
                }
                _ => Outcomes::only(false),
            });
        }
        if self.plain {
            out = out.union(match &leaf.test {
                Test::IsNull | Test::IsNan => Outcomes::only(false),
                Test::NotNullIs(value) => Outcomes::only(*value),
                Test::Compare(op, value) if value.is_nan() => Outcomes::only(*op == CompareOp::NotEq),
                Test::Compare(op, value) => self.compare(leaf, *op, value),
                Test::In(list) => self.is_in(leaf, list),
                Test::StartsWith(prefix) => self.starts_with(prefix.as_bytes()),
            });
        }
        if out == Outcomes::NOTHING { Outcomes::ANY } else { out }
    }

    fn compare(&self, leaf: &BoundLeaf, op: CompareOp, value: &Value) -> Outcomes {
        match op {
            CompareOp::Eq => Outcomes::either(
                self.may_hold(value) && self.bucket_holds(leaf, value),
                self.single() != Some(Ordering::Equal) || self.lower.as_ref() != Some(value),
            ),
            CompareOp::NotEq => {
                let equal = self.compare(leaf, CompareOp::Eq, value);
                let different = equal.may_be_true();
                Outcomes::either(!equal.only_true(), different)
            }
            CompareOp::Lt => Outcomes::either(self.may_be_less(value), self.may_be_at_least(value)),
            CompareOp::GtEq => Outcomes::either(self.may_be_at_least(value), self.may_be_less(value)),
            CompareOp::LtEq => Outcomes::either(self.may_be_at_most(value), self.may_be_greater(value)),
            CompareOp::Gt => Outcomes::either(self.may_be_greater(value), self.may_be_at_most(value)),
        }
    }

    fn is_in(&self, leaf: &BoundLeaf, list: &[Value]) -> Outcomes {
        // Sorted, so that what lies within the bounds is one stretch.
        let start = list.partition_point(|v| !self.may_be_at_most(v));
        let inside = &list[start..];
        let end = inside.partition_point(|v| self.may_be_at_least(v));
        let inside = &inside[..end];
        let hashed = inside.len() > MAX_HASHED || inside.iter().any(|v| self.bucket_holds(leaf, v));
        let whole = self.single() == Some(Ordering::Equal)
            && self.lower.as_ref().is_some_and(|value| inside.iter().any(|v| v == value));
        Outcomes::either(!inside.is_empty() && hashed, !whole)
    }

    fn starts_with(&self, prefix: &[u8]) -> Outcomes {
        let lower = self.lower.as_ref().and_then(Value::as_ordered_bytes);
        let after = successor(prefix);
        let starts_below = match (lower, &after) {
            (Some(lower), Some(after)) => lower < after.as_slice(),
            _ => true,
        };
        let (reaches, within) = match &self.upper {
            Some(Upper::Through(value)) => match value.as_ordered_bytes() {
                Some(upper) => (upper >= prefix, upper.starts_with(prefix)),
                None => (true, false),
            },
            Some(Upper::Below(limit)) => {
                (limit.as_slice() > prefix, after.as_ref().is_some_and(|after| limit <= after))
            }
            None => (true, false),
        };
        let all = within && lower.is_some_and(|lower| lower.starts_with(prefix));
        Outcomes::either(starts_below && reaches, !all)
    }

    fn may_hold(&self, value: &Value) -> bool {
        self.may_be_at_most(value) && self.may_be_at_least(value)
    }

    /// Some value may be `<= value`.
    fn may_be_at_most(&self, value: &Value) -> bool {
        self.lower.as_ref().is_none_or(|lower| order(lower, value) != Some(Ordering::Greater))
    }

    /// Some value may be `< value`.
    fn may_be_less(&self, value: &Value) -> bool {
        self.lower.as_ref().is_none_or(|lower| matches!(order(lower, value), None | Some(Ordering::Less)))
    }

    /// Some value may be `>= value`.
    fn may_be_at_least(&self, value: &Value) -> bool {
        match &self.upper {
            None => true,
            Some(Upper::Through(upper)) => order(upper, value) != Some(Ordering::Less),
            Some(Upper::Below(limit)) => below_limit(value, limit),
        }
    }

    /// Some value may be `> value`.
    fn may_be_greater(&self, value: &Value) -> bool {
        match &self.upper {
            None => true,
            Some(Upper::Through(upper)) => matches!(order(upper, value), None | Some(Ordering::Greater)),
            Some(Upper::Below(limit)) => below_limit(value, limit),
        }
    }

    /// `Equal` if both bounds are the same value, so that no other can occur.
    fn single(&self) -> Option<Ordering> {
        match (&self.lower, &self.upper) {
            (Some(lower), Some(Upper::Through(upper))) => order(lower, upper),
            _ => None,
        }
    }

    fn bucket_holds(&self, leaf: &BoundLeaf, value: &Value) -> bool {
        let Some(buckets) = &self.buckets else { return true };
        bucket_of(value, &leaf.field_type, buckets.count)
            .is_none_or(|bucket| (buckets.first..=buckets.last).contains(&i64::from(bucket)))
    }
}

impl BoundLeaf {
    pub(super) fn is_float(&self) -> bool {
        use iceberg::spec::PrimitiveType;
        matches!(self.field_type, PrimitiveType::Float | PrimitiveType::Double)
    }
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    a.partial_cmp(b)
}

fn below_limit(value: &Value, limit: &[u8]) -> bool {
    value.as_ordered_bytes().is_none_or(|bytes| bytes < limit)
}

/// Bounds of UUIDs, in the right order as bytes, that hold whether they were found by comparing bytes or two signed
/// 64-bit numbers. Signed bounds across the sign of the first number are in the wrong order as bytes, so what differs
/// is the second number.
fn either_order(lower: Option<Value>, upper: Option<Value>) -> (Option<Value>, Option<Value>) {
    let widened = |value: &Value, with: u8| match value {
        Value::Bytes(bytes) => {
            let bytes = bytes.iter().enumerate();
            Value::Bytes(bytes.map(|(at, byte)| if at < 8 { *byte } else { with }).collect())
        }
        other => other.clone(),
    };
    match (lower, upper) {
        (Some(lower), Some(upper)) if lower == upper => (Some(lower), Some(upper)),
        (Some(lower), Some(upper)) => (Some(widened(&lower, 0)), Some(widened(&upper, 0xff))),
        _ => (None, None),
    }
}

/// The least byte string greater than everything that starts with `prefix`; `None` if there is none.
pub(super) fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|b| *b != 0xff)?;
    let mut out = prefix[..=last].to_vec();
    out[last] += 1;
    Some(out)
}
