//! Bounds of the partition values in a manifest (Iceberg spec, "Manifest Lists", `field_summary`).

use floe_core::Result;
use iceberg::spec::{ByteBuf, FieldSummary, PrimitiveLiteral, PrimitiveType, Struct, StructType, Type};

use super::value::{encoded, fitting};

/// What is known of one partition field.
#[derive(Debug)]
struct Field {
    kind: PrimitiveType,
    contains_null: bool,
    contains_nan: bool,
    bounds: Option<(PrimitiveLiteral, PrimitiveLiteral)>,
    /// Readers differ about the order of UUIDs: some compare the halves as signed numbers.
    mixed: bool,
}

/// Collects the values of partition fields.
#[derive(Debug)]
pub(super) struct Summaries(Vec<Field>);

impl Summaries {
    pub(super) fn new(partition: &StructType) -> Self {
        let kinds = partition.fields().iter().filter_map(|field| match &*field.field_type {
            Type::Primitive(kind) => Some(kind.clone()),
            _ => None,
        });
        let field =
            |kind| Field { kind, contains_null: false, contains_nan: false, bounds: None, mixed: false };
        Self(kinds.map(field).collect())
    }

    /// Takes the values of one file. Fails when one has another type than its field.
    pub(super) fn add(&mut self, partition: &Struct) -> Result<()> {
        for (field, value) in self.0.iter_mut().zip(partition.fields()) {
            match value {
                None => field.contains_null = true,
                Some(value) => {
                    let value = fitting(value, &field.kind)?;
                    if is_nan(&value) {
                        field.contains_nan = true;
                    } else {
                        field.extend(value);
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Vec<FieldSummary> {
        self.0.into_iter().map(Field::finish).collect()
    }
}

impl Field {
    fn extend(&mut self, value: PrimitiveLiteral) {
        match &mut self.bounds {
            None => self.bounds = Some((value.clone(), value)),
            Some((lower, upper)) => {
                self.mixed |= differ_in_sign(lower, &value);
                if value < *lower {
                    *lower = value;
                } else if value > *upper {
                    *upper = value;
                }
            }
        }
    }

    fn finish(self) -> FieldSummary {
        let bounds = self.bounds.filter(|_| !self.mixed);
        let bytes = |value: PrimitiveLiteral| encoded(&value).map(ByteBuf::from);
        let (lower, upper) = match bounds {
            Some((lower, upper)) => (bytes(at_zero(lower, -0.0)), bytes(at_zero(upper, 0.0))),
            None => (None, None),
        };
        FieldSummary {
            contains_null: self.contains_null,
            contains_nan: Some(self.contains_nan),
            lower_bound: lower,
            upper_bound: upper,
        }
    }
}

/// Zero as a bound covers both zeros: readers differ about whether one is less than the other.
fn at_zero(bound: PrimitiveLiteral, zero: f32) -> PrimitiveLiteral {
    match bound {
        PrimitiveLiteral::Float(v) if v.0 == 0.0 => PrimitiveLiteral::Float(zero.into()),
        PrimitiveLiteral::Double(v) if v.0 == 0.0 => PrimitiveLiteral::Double(f64::from(zero).into()),
        other => other,
    }
}

fn is_nan(value: &PrimitiveLiteral) -> bool {
    match value {
        PrimitiveLiteral::Float(v) => v.is_nan(),
        PrimitiveLiteral::Double(v) => v.is_nan(),
        _ => false,
    }
}

fn differ_in_sign(a: &PrimitiveLiteral, b: &PrimitiveLiteral) -> bool {
    const SIGNS: u128 = (1 << 127) | (1 << 63);
    match (a, b) {
        (PrimitiveLiteral::UInt128(a), PrimitiveLiteral::UInt128(b)) => (a ^ b) & SIGNS != 0,
        _ => false,
    }
}
