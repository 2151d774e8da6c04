//! Values that JSON has no words for: NaN, infinite numbers, UUIDs.

use std::io::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float32Type, Float64Type};
use arrow_array::{Array, FixedSizeBinaryArray, PrimitiveArray};
use arrow_json::writer::NullableEncoder;
use arrow_json::{Encoder, EncoderFactory, EncoderOptions};
use arrow_schema::{ArrowError, DataType, FieldRef};

use super::uuid::{self, Uuids};

/// Encodes them as the strings `NaN`, `Infinity` and `-Infinity`, which are read back as what they are, and as the text of a
/// UUID.
#[derive(Debug)]
pub(super) struct Values {
    pub(super) uuids: Uuids,
}

impl EncoderFactory for Values {
    fn make_default_encoder<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder + 'a> = match array.data_type() {
            DataType::Float32 if has_infinite::<Float32Type>(array) => {
                Box::new(Floats(array.as_primitive::<Float32Type>()))
            }
            DataType::Float64 if has_infinite::<Float64Type>(array) => {
                Box::new(Floats(array.as_primitive::<Float64Type>()))
            }
            DataType::FixedSizeBinary(16) if self.uuids.have(field) => {
                Box::new(Texts { array: array.as_fixed_size_binary(), text: String::new() })
            }
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

fn has_infinite<T: ArrowPrimitiveType>(array: &dyn Array) -> bool
where
    T::Native: Into<f64>,
{
    array.as_primitive::<T>().values().iter().any(|value| !(*value).into().is_finite())
}

struct Floats<'a, T: ArrowPrimitiveType>(&'a PrimitiveArray<T>);

impl<T: ArrowPrimitiveType> Encoder for Floats<'_, T>
where
    T::Native: Into<f64> + serde::Serialize,
{
    fn encode(&mut self, idx: usize, out: &mut Vec<u8>) {
        let value = self.0.value(idx);
        let wide: f64 = value.into();
        // Memory takes everything.
        let _ = match wide {
            wide if wide.is_finite() => serde_json::to_writer(out, &value).map_err(Into::into),
            wide if wide.is_nan() => out.write_all(b"\"NaN\""),
            wide if wide > 0.0 => out.write_all(b"\"Infinity\""),
            _ => out.write_all(b"\"-Infinity\""),
        };
    }
}

struct Texts<'a> {
    array: &'a FixedSizeBinaryArray,
    text: String,
}

impl Encoder for Texts<'_> {
    fn encode(&mut self, idx: usize, out: &mut Vec<u8>) {
        self.text.clear();
        uuid::write(self.array.value(idx), &mut self.text);
        out.push(b'"');
        out.extend_from_slice(self.text.as_bytes());
        out.push(b'"');
    }
}
