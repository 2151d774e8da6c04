//! Giving every row the number of its partition.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use floe_core::{Error, ErrorKind, Result};
use iceberg::spec::{
    Literal, PartitionSpec, PrimitiveLiteral, PrimitiveType, Schema, Struct, Transform, Type,
};

use super::hash::FastMap;
use super::transform::{self, byte_values};
use crate::eval::masked;

/// Numbers partitions in the order in which they are first seen.
///
/// Two rows are in one partition when their partition values are equal; NULL equals NULL, NaN equals NaN, and
/// the two zeros of a float differ, so that a reader may take the column's value from the partition.
#[derive(Debug)]
pub struct Partitioner {
    fields: Vec<Field>,
    /// The partition with the numbers (of the values before, of the value of the field), for each field.
    pairs: Vec<Interner<u64>>,
}

#[derive(Debug)]
struct Field {
    transform: Transform,
    /// Where the source column is: its top-level column, then children of structs.
    path: Vec<usize>,
    result: PrimitiveType,
    values: Values,
}

impl Partitioner {
    /// For a partition spec over `schema`; batches must have the columns of that schema, in its order and
    /// with the types of its Arrow schema.
    pub fn new(spec: &PartitionSpec, schema: &Schema) -> Result<Self> {
        let partition_type = spec.partition_type(schema)?;
        let fields = spec.fields().iter().zip(partition_type.fields()).map(|(field, result)| {
            let path = column_path(schema, field.source_id).ok_or_else(|| {
                Error::validation(format!("partition field '{}' has no source column", field.name))
            })?;
            let result = result.field_type.as_primitive_type().cloned().ok_or_else(|| {
                Error::validation(format!("partition field '{}' is not of a primitive type", field.name))
            })?;
            let values = Values::of(&result);
            Ok(Field { transform: field.transform, path, result, values })
        });
        let fields = fields.collect::<Result<Vec<_>>>()?;
        let pairs = fields.iter().map(|_| Interner::default()).collect();
        Ok(Self { fields, pairs })
    }

    /// How many partitions were seen.
    pub fn len(&self) -> usize {
        self.pairs.last().map_or(0, |pairs| pairs.keys.len())
    }

    /// Whether no partition was seen.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The partition of each row of `batch`.
    pub fn assign(&mut self, batch: &RecordBatch) -> Result<Vec<u32>> {
        let mut ids = vec![0_u32; batch.num_rows()];
        for (field, pairs) in self.fields.iter_mut().zip(&mut self.pairs) {
            let values = transform::apply(field.transform, &column_at(batch.columns(), &field.path))?;
            let (mut last, mut last_id) = (None, 0);
            field.values.number(&values, |row, code| {
                let key = u64::from(ids[row]) << 32 | u64::from(code);
                if last != Some(key) {
                    (last, last_id) = (Some(key), pairs.number(&key));
                }
                ids[row] = last_id;
            })?;
        }
        Ok(ids)
    }

    /// The values of a partition that [`Partitioner::assign`] gave.
    pub fn values(&self, partition: u32) -> Struct {
        let mut values = Vec::with_capacity(self.fields.len());
        let mut id = partition;
        for (field, pairs) in self.fields.iter().zip(&self.pairs).rev() {
            let key = pairs.keys[id as usize];
            values.push(field.values.literal(key as u32, &field.result));
            id = (key >> 32) as u32;
        }
        Struct::from_iter(values.into_iter().rev())
    }
}

/// Where the column `id` is in batches of `schema`: its top-level column, then children of structs. `None`
/// below lists and maps.
pub fn column_path(schema: &Schema, id: i32) -> Option<Vec<usize>> {
    fn find(fields: &[iceberg::spec::NestedFieldRef], id: i32, path: &mut Vec<usize>) -> bool {
        for (index, field) in fields.iter().enumerate() {
            path.push(index);
            let found = field.id == id
                || matches!(field.field_type.as_ref(), Type::Struct(inner) if find(inner.fields(), id, path));
            if found {
                return true;
            }
            path.pop();
        }
        false
    }
    let mut path = Vec::new();
    find(schema.as_struct().fields(), id, &mut path).then_some(path)
}

/// The column at `path`; NULL wherever a struct around it is NULL.
pub(super) fn column_at(columns: &[ArrayRef], path: &[usize]) -> ArrayRef {
    let (first, rest) = path.split_first().expect("a path names a column");
    nested(&columns[*first], rest)
}

/// The array at `path` below `array`; NULL wherever a struct around it is NULL.
pub(super) fn nested(array: &ArrayRef, path: &[usize]) -> ArrayRef {
    let mut array = array.clone();
    for index in path {
        let parent = array.as_struct();
        array = masked(parent.column(*index), parent.nulls());
    }
    array
}

/// Numbers for keys, in the order in which they are first seen.
#[derive(Debug)]
struct Interner<K> {
    numbers: FastMap<K, u32>,
    keys: Vec<K>,
}

impl<K> Default for Interner<K> {
    fn default() -> Self {
        Self { numbers: FastMap::default(), keys: Vec::new() }
    }
}

impl<K: std::hash::Hash + Eq + Clone> Interner<K> {
    fn number<Q>(&mut self, key: &Q) -> u32
    where
        K: std::borrow::Borrow<Q>,
        Q: std::hash::Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(number) = self.numbers.get(key) {
            return *number;
        }
        let number = self.keys.len() as u32;
        self.keys.push(key.to_owned());
        self.numbers.insert(key.to_owned(), number);
        number
    }
}

/// The distinct values of one partition field, numbered from 1; 0 is NULL.
#[derive(Debug)]
enum Values {
    Small(Interner<i64>),
    Wide(Interner<i128>),
    Bytes(Interner<Vec<u8>>),
}

impl Values {
    fn of(result: &PrimitiveType) -> Self {
        match result {
            PrimitiveType::Decimal { .. } => Self::Wide(Interner::default()),
            PrimitiveType::String | PrimitiveType::Uuid | PrimitiveType::Fixed(_) | PrimitiveType::Binary => {
                Self::Bytes(Interner::default())
            }
            _ => Self::Small(Interner::default()),
        }
    }

    /// Calls `each` with every row and the number of its value.
    fn number(&mut self, values: &ArrayRef, mut each: impl FnMut(usize, u32)) -> Result<()> {
        match self {
            Self::Wide(interner) => {
                number(values.as_primitive::<Decimal128Type>().iter(), each, |v| interner.number(&v));
            }
            Self::Bytes(interner) => {
                let values = byte_values(values).ok_or_else(|| unexpected(values))?;
                let (mut last, mut last_number) = (None, 0);
                for (row, value) in values.enumerate() {
                    if let Some(value) = value
                        && last != Some(value)
                    {
                        (last, last_number) = (Some(value), interner.number(value) + 1);
                    }
                    each(row, if value.is_some() { last_number } else { 0 });
                }
            }
            Self::Small(interner) => {
                let intern = |v| interner.number(&v);
                match values.data_type() {
                    DataType::Boolean => {
                        number(values.as_boolean().iter().map(|v| v.map(i64::from)), each, intern);
                    }
                    DataType::Int32 => primitives::<Int32Type>(values, each, intern, i64::from),
                    DataType::Date32 => primitives::<Date32Type>(values, each, intern, i64::from),
                    DataType::Int64 => primitives::<Int64Type>(values, each, intern, |v| v),
                    DataType::Time64(TimeUnit::Microsecond) => {
                        primitives::<Time64MicrosecondType>(values, each, intern, |v| v);
                    }
                    DataType::Timestamp(TimeUnit::Microsecond, _) => {
                        primitives::<TimestampMicrosecondType>(values, each, intern, |v| v);
                    }
                    DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                        primitives::<TimestampNanosecondType>(values, each, intern, |v| v);
                    }
                    DataType::Float32 => primitives::<Float32Type>(values, each, intern, |v| {
                        let v = if v.is_nan() { f32::NAN } else { v };
                        i64::from(v.to_bits())
                    }),
                    DataType::Float64 => primitives::<Float64Type>(values, each, intern, |v| {
                        let v = if v.is_nan() { f64::NAN } else { v };
                        v.to_bits() as i64
                    }),
                    _ => return Err(unexpected(values)),
                }
            }
        }
        Ok(())
    }

    /// The value with a number, as a literal of `result`.
    fn literal(&self, number: u32, result: &PrimitiveType) -> Option<Literal> {
        let index = (number as usize).checked_sub(1)?;
        Some(Literal::Primitive(match self {
            Self::Wide(interner) => PrimitiveLiteral::Int128(interner.keys[index]),
            Self::Bytes(interner) => {
                let bytes = &interner.keys[index];
                match result {
                    PrimitiveType::String => {
                        PrimitiveLiteral::String(String::from_utf8_lossy(bytes).into_owned())
                    }
                    PrimitiveType::Uuid => {
                        PrimitiveLiteral::UInt128(bytes.iter().fold(0, |n, b| n << 8 | u128::from(*b)))
                    }
                    _ => PrimitiveLiteral::Binary(bytes.clone()),
                }
            }
            Self::Small(interner) => {
                let value = interner.keys[index];
                match result {
                    PrimitiveType::Boolean => PrimitiveLiteral::Boolean(value != 0),
                    PrimitiveType::Int | PrimitiveType::Date => PrimitiveLiteral::Int(value as i32),
                    PrimitiveType::Float => PrimitiveLiteral::Float(f32::from_bits(value as u32).into()),
                    PrimitiveType::Double => PrimitiveLiteral::Double(f64::from_bits(value as u64).into()),
                    _ => PrimitiveLiteral::Long(value),
                }
            }
        }))
    }
}

fn unexpected(values: &ArrayRef) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!("a partition value of type {} was not expected", values.data_type()),
    )
}

fn primitives<T: ArrowPrimitiveType>(
    values: &ArrayRef,
    each: impl FnMut(usize, u32),
    intern: impl FnMut(i64) -> u32,
    widen: impl Fn(T::Native) -> i64,
) {
    number(values.as_primitive::<T>().iter().map(|v| v.map(&widen)), each, intern);
}

fn number<K: Copy + PartialEq>(
    values: impl Iterator<Item = Option<K>>,
    mut each: impl FnMut(usize, u32),
    mut intern: impl FnMut(K) -> u32,
) {
    let (mut last, mut last_number) = (None, 0);
    for (row, value) in values.enumerate() {
        if value != last {
            last = value;
            last_number = value.map_or(0, |value| intern(value) + 1);
        }
        each(row, last_number);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use arrow_array::{Float64Array, Int64Array, StringArray, StructArray};
    use arrow_schema::{Field, Schema as ArrowSchema};
    use iceberg::arrow::schema_to_arrow_schema;
    use iceberg::spec::NestedField;
    use proptest::prelude::*;

    use super::*;

    fn table() -> Schema {
        let fields = [
            NestedField::optional(1, "n", Type::Primitive(PrimitiveType::Long)).into(),
            NestedField::optional(2, "s", Type::Primitive(PrimitiveType::String)).into(),
            NestedField::optional(3, "d", Type::Primitive(PrimitiveType::Double)).into(),
        ];
        Schema::builder().with_fields(fields).build().unwrap()
    }

    fn spec(fields: &[(&str, Transform)]) -> PartitionSpec {
        let mut builder = PartitionSpec::builder(table());
        for (index, (column, transform)) in fields.iter().enumerate() {
            builder = builder.add_partition_field(*column, format!("p{index}"), *transform).unwrap();
        }
        builder.build().unwrap()
    }

    fn batch(rows: &[(Option<i64>, Option<String>, Option<f64>)]) -> RecordBatch {
        let schema = Arc::new(schema_to_arrow_schema(&table()).unwrap());
        let columns: Vec<ArrayRef> = vec![
            Arc::new(rows.iter().map(|r| r.0).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|r| r.1.clone()).collect::<StringArray>()),
            Arc::new(rows.iter().map(|r| r.2).collect::<Float64Array>()),
        ];
        RecordBatch::try_new(schema, columns).unwrap()
    }

    #[test]
    fn nan_is_one_partition_and_null_another() {
        let mut partitioner = Partitioner::new(&spec(&[("d", Transform::Identity)]), &table()).unwrap();
        let other_nan = f64::from_bits(f64::NAN.to_bits() | 1);
        let rows = [Some(f64::NAN), None, Some(other_nan), Some(0.0), Some(-0.0)].map(|d| (None, None, d));
        assert_eq!(partitioner.assign(&batch(&rows)).unwrap(), [0, 1, 0, 2, 3]);
        assert_eq!(partitioner.values(1), Struct::from_iter([None]));
    }

    #[test]
    fn a_source_inside_a_null_struct_is_null() {
        let inner = NestedField::optional(2, "x", Type::Primitive(PrimitiveType::Long)).into();
        let outer = Type::Struct(iceberg::spec::StructType::new(vec![inner]));
        let schema =
            Schema::builder().with_fields([NestedField::optional(1, "o", outer).into()]).build().unwrap();
        let spec = PartitionSpec::builder(schema.clone())
            .add_partition_field("o.x", "x", Transform::Identity)
            .unwrap()
            .build()
            .unwrap();
        let arrow: ArrowSchema = schema_to_arrow_schema(&schema).unwrap();
        let DataType::Struct(children) = arrow.field(0).data_type().clone() else { panic!("a struct") };
        let values: ArrayRef = Arc::new(Int64Array::from(vec![7, 8]));
        let column = StructArray::new(children, vec![values], Some(vec![true, false].into()));
        let arrow = ArrowSchema::new(vec![Field::new("o", column.data_type().clone(), true)]);
        let batch = RecordBatch::try_new(Arc::new(arrow), vec![Arc::new(column)]).unwrap();
        let mut partitioner = Partitioner::new(&spec, &schema).unwrap();
        assert_eq!(partitioner.assign(&batch).unwrap(), [0, 1]);
        assert_eq!(partitioner.values(0), Struct::from_iter([Some(Literal::long(7))]));
        assert_eq!(partitioner.values(1), Struct::from_iter([None]));
    }

    proptest! {
        #[test]
        fn rows_share_a_number_when_they_share_their_values(
            rows in proptest::collection::vec(
                (proptest::option::of(-20_i64..20), proptest::option::of("[ab]{0,3}"), Just(None)), 1..80),
        ) {
            let spec = spec(&[("n", Transform::Truncate(10)), ("s", Transform::Truncate(1)), ("n", Transform::Void)]);
            let mut partitioner = Partitioner::new(&spec, &table()).unwrap();
            let (first, second) = rows.split_at(rows.len() / 2);
            let mut ids = partitioner.assign(&batch(first)).unwrap();
            ids.extend(partitioner.assign(&batch(second)).unwrap());
            let mut expected = BTreeMap::new();
            for (row, id) in rows.iter().zip(ids) {
                let key = (
                    row.0.map(|n| n - n.rem_euclid(10)),
                    row.1.as_ref().map(|s| s.chars().take(1).collect::<String>()),
                );
                let next = expected.len() as u32;
                prop_assert_eq!(*expected.entry(key.clone()).or_insert(next), id);
                let values = [key.0.map(Literal::long), key.1.map(Literal::string), None];
                prop_assert_eq!(partitioner.values(id), Struct::from_iter(values));
            }
            prop_assert_eq!(partitioner.len(), expected.len());
        }
    }
}
