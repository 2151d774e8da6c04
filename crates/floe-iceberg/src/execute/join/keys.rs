//! Keys: the join columns of rows, encoded so that equal keys have equal bytes.

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use arrow_row::{RowConverter, Rows, SortField};
use floe_core::{Error, ErrorKind, Result};
use floe_plan::eval::column_by_field_id;
use floe_plan::merge::{KeyColumn, without_variants};
use iceberg::arrow::type_to_arrow_type;
use iceberg::spec::Type;

use super::arrow_error;

/// Encodes the keys of batches. NULL equals NULL, NaN equals NaN, and `-0.0` equals `0.0`.
#[derive(Debug)]
pub(crate) struct KeyCodec {
    columns: Vec<KeyColumn>,
    converter: RowConverter,
    /// The column of a source that tells which of its rows can match at all; all can if there is none.
    mask: Option<usize>,
}

impl KeyCodec {
    pub(crate) fn new(columns: Vec<KeyColumn>) -> Result<Self> {
        let fields = columns.iter().map(|column| {
            let data_type = type_to_arrow_type(&Type::Primitive(column.field_type.clone()))?;
            Ok(SortField::new(data_type))
        });
        let converter = RowConverter::new(fields.collect::<Result<_>>()?).map_err(arrow_error)?;
        Ok(Self { columns, converter, mask: None })
    }

    /// Of a source, only rows for which the boolean column `mask` is true match anything.
    pub(crate) fn with_mask(self, mask: Option<usize>) -> Self {
        Self { mask, ..self }
    }

    /// Which rows of a batch of the source can match; `None` if all can.
    pub(crate) fn mask(&self, batch: &RecordBatch) -> Option<BooleanArray> {
        self.mask.map(|mask| batch.column(mask).as_boolean().clone())
    }

    pub(crate) fn columns(&self) -> &[KeyColumn] {
        &self.columns
    }

    /// The key columns of a batch whose fields carry field ids.
    pub(crate) fn arrays(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        let arrays = self.columns.iter().map(|column| {
            column_by_field_id(batch, column.field_id).ok_or_else(|| {
                Error::new(ErrorKind::Internal, format!("column '{}' was not read", column.name))
            })
        });
        arrays.collect()
    }

    /// The keys of arrays that [`KeyCodec::arrays`] gave.
    pub(crate) fn encode(&self, arrays: &[ArrayRef]) -> Result<Rows> {
        let plain: Vec<ArrayRef> = arrays.iter().map(without_variants).collect();
        self.converter.convert_columns(&plain).map_err(arrow_error)
    }
}

/// The hash of a key. `seed` keeps the hashes of chosen keys from being known beforehand.
pub(crate) fn hash(seed: u64, key: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = seed ^ (key.len() as u64).wrapping_mul(ODD);
    let mut words = key.chunks_exact(8);
    for word in &mut words {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(word);
        state = fold(state ^ u64::from_le_bytes(bytes), ODD);
    }
    let mut bytes = [0; 8];
    bytes[..words.remainder().len()].copy_from_slice(words.remainder());
    state = fold(state ^ u64::from_le_bytes(bytes), ODD ^ seed.rotate_left(32) | 1);
    fold(state, 0xd6e8_feb8_6659_fd93)
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Float64Array, Int64Array};
    use iceberg::spec::PrimitiveType;

    use super::*;

    fn column(field_id: i32, field_type: PrimitiveType) -> KeyColumn {
        KeyColumn { field_id, name: format!("c{field_id}"), field_type, required: false }
    }

    #[test]
    fn null_equals_null_nan_equals_nan_and_both_zeros_are_one() {
        let codec =
            KeyCodec::new(vec![column(1, PrimitiveType::Double), column(2, PrimitiveType::Long)]).unwrap();
        let odd_nan = f64::from_bits(f64::NAN.to_bits() | 1 | 1 << 63);
        let floats =
            Float64Array::from(vec![Some(f64::NAN), Some(odd_nan), Some(0.0), Some(-0.0), None, None]);
        let longs = Int64Array::from(vec![Some(1), Some(1), None, None, Some(0), Some(0)]);
        let rows = codec.encode(&[Arc::new(floats), Arc::new(longs)]).unwrap();
        assert_eq!(rows.row(0), rows.row(1));
        assert_eq!(rows.row(2), rows.row(3));
        assert_eq!(rows.row(4), rows.row(5));
        assert_ne!(rows.row(2), rows.row(4));
    }

    #[test]
    fn hashes_spread_over_high_and_low_bits() {
        for shift in [0, 58] {
            let mut seen = [0_u32; 64];
            for value in 0_u64..6400 {
                seen[(hash(7, &value.to_be_bytes()) >> shift & 63) as usize] += 1;
            }
            assert!(seen.iter().all(|count| (50..160).contains(count)), "{seen:?}");
        }
    }
}
