//! Single partition values.

use floe_core::{Error, ErrorKind, Result};
use floe_plan::change::widened_to;
use iceberg::spec::{Literal, PrimitiveLiteral, PrimitiveType, Type};

use crate::base::bound;
use crate::commit::avro::{boolean, bytes, long};

/// The value as one of type `kind`, to which the column may have been widened since the value was written.
pub(super) fn fitting(value: &Literal, kind: &PrimitiveType) -> Result<PrimitiveLiteral> {
    value.as_primitive_literal().and_then(|literal| widened_to(kind, literal)).ok_or_else(misfit)
}

/// Appends the value in Avro's binary form (Iceberg spec, appendix A, "Avro").
pub(super) fn avro(out: &mut Vec<u8>, value: &PrimitiveLiteral, kind: &PrimitiveType) -> Result<()> {
    use PrimitiveLiteral as L;
    match value {
        L::Boolean(v) => boolean(out, *v),
        L::Int(v) => long(out, (*v).into()),
        L::Long(v) => long(out, *v),
        L::Float(v) => out.extend_from_slice(&v.to_le_bytes()),
        L::Double(v) => out.extend_from_slice(&v.to_le_bytes()),
        L::String(v) => bytes(out, v.as_bytes()),
        L::Binary(v) if matches!(kind, PrimitiveType::Fixed(_)) => out.extend_from_slice(v),
        L::Binary(v) => bytes(out, v),
        L::UInt128(v) => out.extend_from_slice(&v.to_be_bytes()),
        L::Int128(v) => {
            let PrimitiveType::Decimal { precision, .. } = kind else { return Err(misfit()) };
            let size = Type::decimal_required_bytes(*precision)? as usize;
            let all = v.to_be_bytes();
            let (sign, kept) = all.split_at(all.len().saturating_sub(size));
            let filler = if *v < 0 { 0xff } else { 0 };
            let negative = kept.first().is_some_and(|byte| byte & 0x80 != 0);
            if sign.iter().any(|byte| *byte != filler) || negative != (*v < 0) {
                return Err(misfit());
            }
            out.extend_from_slice(kept);
        }
        L::AboveMax | L::BelowMin => return Err(misfit()),
    }
    Ok(())
}

/// The single-value form of bounds: numbers of decimals are as short as they can be.
pub(super) fn encoded(value: &PrimitiveLiteral) -> Option<Vec<u8>> {
    let bytes = bound::encode(value)?;
    if !matches!(value, PrimitiveLiteral::Int128(_)) {
        return Some(bytes);
    }
    let mut start = 0;
    while start + 1 < bytes.len() {
        let next_negative = bytes[start + 1] & 0x80 != 0;
        match bytes[start] {
            0x00 if !next_negative => start += 1,
            0xff if next_negative => start += 1,
            _ => break,
        }
    }
    Some(bytes[start..].to_vec())
}

fn misfit() -> Error {
    Error::new(ErrorKind::Validation, "a partition value does not have the type of its partition field")
}
