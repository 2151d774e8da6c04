//! The Iceberg schema of a new table for Arrow data.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema as ArrowSchema};
use floe_core::{Error, Result};
use iceberg::spec::{
    ListType, MapType, NestedField, NestedFieldRef, PrimitiveType, Schema, StructType, Type,
};

/// Gives the Iceberg schema for data of this Arrow schema, with fresh field ids and every column optional.
///
/// Types are the smallest that hold every value: unsigned 32-bit integers become `long`, unsigned 64-bit ones
/// `decimal(20, 0)`, half floats `float`, dictionaries their values' type. Timestamps become microseconds
/// (`timestamp`, `timestamptz`), also those in nanoseconds, which format version 2 does not have.
///
/// # Errors
/// [`floe_core::ErrorKind::Validation`] with all columns whose type Iceberg does not have.
///
/// ```
/// use arrow_schema::{DataType, Field, Schema as ArrowSchema};
/// use floe_plan::schema_match::infer;
///
/// let data = ArrowSchema::new(vec![Field::new("a", DataType::UInt32, false)]);
/// let schema = infer(&data)?;
/// assert_eq!(schema.field_by_name("a").expect("inferred").field_type.to_string(), "long");
/// # Ok::<(), floe_core::Error>(())
/// ```
pub fn infer(data: &ArrowSchema) -> Result<Schema> {
    let mut inference = Inference { next_id: 0, faults: Vec::new() };
    let fields = inference.fields(data.fields(), "");
    if !inference.faults.is_empty() {
        let message = format!("no table can be made for this data: {}", inference.faults.join("; "));
        return Err(Error::validation(message).with_hint("convert or leave out these columns"));
    }
    Schema::builder()
        .with_fields(fields)
        .build()
        .map_err(|error| Error::from(error).with_kind(floe_core::ErrorKind::Validation))
}

struct Inference {
    next_id: i32,
    faults: Vec<String>,
}

impl Inference {
    fn id(&mut self) -> i32 {
        self.next_id += 1;
        self.next_id
    }

    fn fields(&mut self, fields: &[Arc<Field>], prefix: &str) -> Vec<NestedFieldRef> {
        // The ids of one level first, as Iceberg assigns them.
        let ids: Vec<i32> = fields.iter().map(|_| self.id()).collect();
        let mut out = Vec::with_capacity(fields.len());
        for (i, (field, id)) in fields.iter().zip(ids).enumerate() {
            let name = format!("{prefix}{}", field.name());
            if fields[..i].iter().any(|f| f.name() == field.name()) {
                self.faults.push(format!("{name}: several columns have this name"));
                continue;
            }
            if let Some(ty) = self.ty(field.data_type(), &name) {
                out.push(NestedField::optional(id, field.name(), ty).into());
            }
        }
        out
    }

    fn ty(&mut self, ty: &DataType, name: &str) -> Option<Type> {
        use DataType as T;
        use PrimitiveType as P;
        let primitive = match ty {
            T::Dictionary(_, values) => return self.ty(values, name),
            T::RunEndEncoded(_, values) => return self.ty(values.data_type(), name),
            T::Struct(fields) => {
                let fields = self.fields(fields, &format!("{name}."));
                return Some(Type::Struct(StructType::new(fields)));
            }
            T::List(element)
            | T::LargeList(element)
            | T::FixedSizeList(element, _)
            | T::ListView(element)
            | T::LargeListView(element) => {
                let id = self.id();
                let element = self.ty(element.data_type(), &format!("{name}.element"))?;
                return Some(Type::List(ListType::new(NestedField::list_element(id, element, false).into())));
            }
            T::Map(entries, _) => {
                let T::Struct(pair) = entries.data_type() else { return self.fault(ty, name) };
                let [key, value] = pair.as_ref() else { return self.fault(ty, name) };
                let (key_id, value_id) = (self.id(), self.id());
                let key = self.ty(key.data_type(), &format!("{name}.key"));
                let value = self.ty(value.data_type(), &format!("{name}.value"));
                return Some(Type::Map(MapType::optional(key_id, key?, value_id, value?)));
            }
            T::Boolean => P::Boolean,
            T::Int8 | T::Int16 | T::Int32 | T::UInt8 | T::UInt16 => P::Int,
            T::Int64 | T::UInt32 => P::Long,
            T::UInt64 => P::Decimal { precision: 20, scale: 0 },
            T::Float16 | T::Float32 => P::Float,
            T::Float64 => P::Double,
            T::Decimal32(precision, scale)
            | T::Decimal64(precision, scale)
            | T::Decimal128(precision, scale)
                if *scale >= 0 && *scale as u8 <= *precision =>
            {
                P::Decimal { precision: u32::from(*precision), scale: *scale as u32 }
            }
            T::Date32 | T::Date64 => P::Date,
            T::Time32(_) | T::Time64(_) => P::Time,
            T::Timestamp(_, None) => P::Timestamp,
            T::Timestamp(_, Some(_)) => P::Timestamptz,
            T::Utf8 | T::LargeUtf8 | T::Utf8View => P::String,
            T::Binary | T::LargeBinary | T::BinaryView => P::Binary,
            T::FixedSizeBinary(width) => P::Fixed(u64::try_from(*width).ok()?),
            _ => return self.fault(ty, name),
        };
        Some(Type::Primitive(primitive))
    }

    fn fault(&mut self, ty: &DataType, name: &str) -> Option<Type> {
        self.faults.push(format!("{name}: Iceberg has no type for {ty}"));
        None
    }
}
