//! Single values in their binary form (Iceberg spec, "Binary single-value serialization").

use iceberg::spec::{Datum, PrimitiveLiteral, PrimitiveType};

/// The field ids of `file_path` and `pos` in position delete files (Iceberg spec, "Reserved Field IDs").
pub(crate) const DELETE_FILE_PATH: i32 = 2_147_483_546;
pub(crate) const DELETE_POSITION: i32 = 2_147_483_545;

/// A value of type `ty`. The bytes may have been written when the column still had a narrower type. `None` when
/// they do not fit: then nothing is known, and nothing may be concluded.
pub(crate) fn decode(bytes: &[u8], ty: &PrimitiveType) -> Option<Datum> {
    use PrimitiveType as P;
    match ty {
        P::Boolean if bytes.len() != 1 => None,
        P::Fixed(length) if bytes.len() as u64 != *length => None,
        P::Decimal { .. } if bytes.is_empty() || bytes.len() > 16 => None,
        // A column of dates that became one of timestamps.
        P::Timestamp | P::TimestampNs | P::Timestamptz | P::TimestamptzNs if bytes.len() == 4 => {
            let days = i64::from(i32::from_le_bytes(bytes.try_into().ok()?));
            let per_day = match ty {
                P::Timestamp | P::Timestamptz => 86_400_000_000,
                _ => 86_400_000_000_000,
            };
            Datum::try_from_bytes(&days.checked_mul(per_day)?.to_le_bytes(), ty.clone()).ok()
        }
        _ => Datum::try_from_bytes(bytes, ty.clone()).ok(),
    }
}

/// The binary form of a value. `None` for what has none: a number beyond the range of its type.
pub(crate) fn encode(value: &PrimitiveLiteral) -> Option<Vec<u8>> {
    use PrimitiveLiteral as P;
    Some(match value {
        P::Boolean(v) => vec![u8::from(*v)],
        P::Int(v) => v.to_le_bytes().to_vec(),
        P::Long(v) => v.to_le_bytes().to_vec(),
        P::Float(v) => v.to_le_bytes().to_vec(),
        P::Double(v) => v.to_le_bytes().to_vec(),
        P::String(v) => v.clone().into_bytes(),
        P::Binary(v) => v.clone(),
        P::Int128(v) => v.to_be_bytes().to_vec(),
        P::UInt128(v) => v.to_be_bytes().to_vec(),
        P::AboveMax | P::BelowMin => return None,
    })
}

/// The type of a reserved column that has bounds in delete files.
pub(crate) fn metadata_column_type(field_id: i32) -> Option<&'static PrimitiveType> {
    match field_id {
        DELETE_FILE_PATH => Some(&PrimitiveType::String),
        DELETE_POSITION => Some(&PrimitiveType::Long),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_written_before_a_promotion_keep_their_meaning() {
        let four = 7_i32.to_le_bytes();
        assert_eq!(decode(&four, &PrimitiveType::Long), Some(Datum::long(7)));
        assert_eq!(decode(&1.5_f32.to_le_bytes(), &PrimitiveType::Double), Some(Datum::double(1.5)));
        assert_eq!(
            decode(&four, &PrimitiveType::Timestamp),
            Some(Datum::timestamp_micros(7 * 86_400_000_000))
        );
    }

    #[test]
    fn bytes_that_do_not_fit_bound_nothing() {
        assert_eq!(decode(&[1, 2, 3], &PrimitiveType::Int), None);
        assert_eq!(decode(&[], &PrimitiveType::Boolean), None);
        assert_eq!(decode(&[], &PrimitiveType::Decimal { precision: 9, scale: 2 }), None);
        assert_eq!(decode(&[0; 3], &PrimitiveType::Fixed(4)), None);
        assert_eq!(decode(&[0xff], &PrimitiveType::String), None);
    }
}
