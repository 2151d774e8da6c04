//! From the keys of a source to a filter over the metadata of a table.

use std::cmp::Ordering;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use floe_core::{Error, Result};
use iceberg::spec::{NestedFieldRef, PrimitiveType, Schema, StructType, Type};

use crate::expr::{BoundExpr, BoundLeaf, CompareOp, Test, Value};

/// So many different values of a key column are looked up one by one; of more, only the least and the greatest count.
pub const MAX_LISTED: usize = 200_000;

/// A column of a table that rows are joined by.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyColumn {
    /// The field id.
    pub field_id: i32,
    /// The full name, nested fields joined with dots.
    pub name: String,
    /// The type.
    pub field_type: PrimitiveType,
    /// Whether the column, and every struct around it, is required.
    pub required: bool,
}

impl KeyColumn {
    /// The columns of these names, in their order.
    ///
    /// # Errors
    /// [`floe_core::ErrorKind::Validation`] when there is no name, a name comes twice or is not there, or a column is
    /// not of a primitive type or lies in a list or a map.
    ///
    /// ```
    /// use floe_plan::merge::KeyColumn;
    /// # use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};
    ///
    /// # let id = NestedField::required(1, "id", Type::Primitive(PrimitiveType::Long)).into();
    /// # let schema = Schema::builder().with_fields([id]).build()?;
    /// assert_eq!(KeyColumn::resolve(&schema, &["id".into()])?[0].field_id, 1);
    /// assert!(KeyColumn::resolve(&schema, &[]).is_err());
    /// # Ok::<(), floe_core::Error>(())
    /// ```
    pub fn resolve(schema: &Schema, names: &[String]) -> Result<Vec<Self>> {
        if names.is_empty() {
            return Err(Error::validation("no column to join by is given")
                .with_hint("name the columns that identify a row"));
        }
        let mut columns: Vec<Self> = Vec::with_capacity(names.len());
        for name in names {
            let Some(id) = schema.field_id_by_name(name) else {
                let known: Vec<&str> = schema.as_struct().fields().iter().map(|f| f.name.as_str()).collect();
                return Err(Error::validation(format!("there is no column '{name}' to join by"))
                    .with_hint(format!("the columns are {}", known.join(", "))));
            };
            if columns.iter().any(|column| column.field_id == id) {
                return Err(Error::validation(format!("column '{name}' to join by is named twice")));
            }
            let Some((field, required)) = find(schema.as_struct(), id, true) else {
                return Err(Error::validation(format!(
                    "column '{name}' lies in a list or a map, and cannot be joined by"
                )));
            };
            let Some(field_type) = field.field_type.as_primitive_type().cloned() else {
                return Err(Error::validation(format!("column '{name}' is nested, and cannot be joined by"))
                    .with_hint("name one of its fields with a dot, as in a.b"));
            };
            columns.push(Self { field_id: id, name: name.clone(), field_type, required });
        }
        Ok(columns)
    }

    fn leaf(&self, test: Test) -> BoundExpr {
        BoundExpr::Leaf(BoundLeaf {
            field_id: self.field_id,
            column: self.name.clone(),
            field_type: self.field_type.clone(),
            required: self.required,
            test,
        })
    }
}

/// A filter that is true for every row whose key may be among `keys`: for pruning manifests, files and row groups, not
/// rows.
///
/// `keys` holds, for each column, its values in as many arrays as the source has batches. Columns are looked at one by
/// one: up to `max_listed` different values as a list, of more only the range. NULL equals NULL and NaN equals NaN
/// here, as keys do. An array of a type that is not known leaves its column out.
pub fn key_filter(columns: &[KeyColumn], keys: &[Vec<ArrayRef>], max_listed: usize) -> BoundExpr {
    let parts = columns.iter().zip(keys).map(|(column, arrays)| of_column(column, arrays, max_listed));
    BoundExpr::all(parts.collect::<Vec<_>>())
}

fn of_column(column: &KeyColumn, arrays: &[ArrayRef], max_listed: usize) -> BoundExpr {
    let (mut values, mut nulls, mut nans) = (Vec::new(), false, false);
    let (mut least, mut greatest): (Option<Value>, Option<Value>) = (None, None);
    let mut listed = true;
    for array in arrays {
        let Some(read) = reader(array) else { return BoundExpr::True };
        for row in 0..array.len() {
            if array.is_null(row) {
                nulls = true;
                continue;
            }
            let value = read(row);
            if value.is_nan() {
                nans = true;
            } else if listed {
                values.push(value);
            } else {
                widen(&mut least, &mut greatest, value);
            }
        }
        if listed && values.len() > max_listed {
            sort(&mut values);
            if values.len() > max_listed {
                listed = false;
                (least, greatest) = (values.first().cloned(), values.last().cloned());
                values = Vec::new();
            }
        }
    }
    let mut any = Vec::new();
    if listed {
        sort(&mut values);
        match values.len() {
            0 => {}
            1 => any.push(column.leaf(Test::Compare(CompareOp::Eq, values.remove(0)))),
            _ => any.push(column.leaf(Test::In(values.into()))),
        }
    } else if let (Some(least), Some(greatest)) = (least, greatest) {
        any.push(BoundExpr::all([
            column.leaf(Test::Compare(CompareOp::GtEq, least)),
            column.leaf(Test::Compare(CompareOp::LtEq, greatest)),
        ]));
    }
    if nulls {
        any.push(column.leaf(Test::IsNull));
    }
    if nans {
        any.push(column.leaf(Test::IsNan));
    }
    BoundExpr::any(any)
}

fn sort(values: &mut Vec<Value>) {
    // No NaN is among them, so that all can be compared.
    values.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
    values.dedup();
}

fn widen(least: &mut Option<Value>, greatest: &mut Option<Value>, value: Value) {
    if least.as_ref().is_none_or(|least| value < *least) {
        *least = Some(value.clone());
    }
    if greatest.as_ref().is_none_or(|greatest| value > *greatest) {
        *greatest = Some(value);
    }
}

/// Reads values of an array that are not NULL.
fn reader(array: &ArrayRef) -> Option<Box<dyn Fn(usize) -> Value + '_>> {
    macro_rules! integers {
        ($type:ty) => {{
            let values = array.as_primitive::<$type>().values();
            Box::new(move |row: usize| Value::Integer(i64::from(values[row])))
        }};
    }
    Some(match array.data_type() {
        DataType::Boolean => {
            let values = array.as_boolean();
            Box::new(move |row| Value::Boolean(values.value(row)))
        }
        DataType::Int32 => integers!(Int32Type),
        DataType::Int64 => integers!(Int64Type),
        DataType::Date32 => integers!(Date32Type),
        DataType::Time64(TimeUnit::Microsecond) => integers!(Time64MicrosecondType),
        DataType::Timestamp(TimeUnit::Microsecond, _) => integers!(TimestampMicrosecondType),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => integers!(TimestampNanosecondType),
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>().values();
            Box::new(move |row| Value::Float(values[row].into()))
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().values();
            Box::new(move |row| Value::Float(values[row]))
        }
        DataType::Decimal128(..) => {
            let values = array.as_primitive::<Decimal128Type>().values();
            Box::new(move |row| Value::Decimal(values[row]))
        }
        DataType::Utf8 => {
            let values = array.as_string::<i32>();
            Box::new(move |row| Value::String(values.value(row).to_owned()))
        }
        DataType::Binary => {
            let values = array.as_binary::<i32>();
            Box::new(move |row| Value::Bytes(values.value(row).to_vec()))
        }
        DataType::LargeBinary => {
            let values = array.as_binary::<i64>();
            Box::new(move |row| Value::Bytes(values.value(row).to_vec()))
        }
        DataType::FixedSizeBinary(_) => {
            let values = array.as_fixed_size_binary();
            Box::new(move |row| Value::Bytes(values.value(row).to_vec()))
        }
        _ => return None,
    })
}

/// The field with this id, reached through structs only, and whether it and all structs around it are required.
fn find(fields: &StructType, id: i32, required: bool) -> Option<(&NestedFieldRef, bool)> {
    fields.fields().iter().find_map(|field| {
        let required = required && field.required;
        if field.id == id {
            return Some((field, required));
        }
        match field.field_type.as_ref() {
            Type::Struct(inner) => find(inner, id, required),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Float64Array, Int64Array, RecordBatch, StringArray};
    use iceberg::spec::NestedField;
    use proptest::prelude::*;

    use super::*;
    use crate::eval::{evaluate, keep};

    fn schema() -> Schema {
        let optional = |id, name: &str, ty| NestedField::optional(id, name, Type::Primitive(ty)).into();
        let inner = StructType::new(vec![optional(5, "x", PrimitiveType::Int)]);
        let fields = [
            optional(1, "a", PrimitiveType::Long),
            optional(2, "b", PrimitiveType::Double),
            optional(3, "c", PrimitiveType::String),
            NestedField::required(4, "d", Type::Struct(inner)).into(),
        ];
        Schema::builder().with_fields(fields).build().unwrap()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn columns_that_cannot_be_joined_by_are_refused() {
        for bad in [&[][..], &["z"], &["a", "a"], &["d"]] {
            assert!(KeyColumn::resolve(&schema(), &names(bad)).is_err(), "{bad:?}");
        }
        let nested = KeyColumn::resolve(&schema(), &names(&["d.x", "a"])).unwrap();
        assert_eq!(nested.iter().map(|c| c.field_id).collect::<Vec<_>>(), [5, 1]);
    }

    fn float() -> impl Strategy<Value = Option<f64>> {
        prop_oneof![
            Just(None),
            Just(Some(f64::NAN)),
            Just(Some(-0.0)),
            Just(Some(0.0)),
            (-3_i32..3).prop_map(|v| Some(v.into()))
        ]
    }

    proptest! {
        #[test]
        fn the_filter_is_true_for_every_row_of_a_key(
            rows in proptest::collection::vec(
                (proptest::option::of(-3_i64..3), float(), proptest::option::of("[a-c]{0,2}")), 1..30),
            max_listed in 0_usize..6,
            cut in 0_usize..30,
        ) {
            let a: ArrayRef = Arc::new(rows.iter().map(|r| r.0).collect::<Int64Array>());
            let b: ArrayRef = Arc::new(rows.iter().map(|r| r.1).collect::<Float64Array>());
            let c: ArrayRef = Arc::new(rows.iter().map(|r| r.2.clone()).collect::<StringArray>());
            let cut = cut.min(rows.len());
            let halves = |x: &ArrayRef| vec![x.slice(0, cut), x.slice(cut, rows.len() - cut)];
            let columns = KeyColumn::resolve(&schema(), &names(&["a", "b", "c"])).unwrap();
            let filter = key_filter(&columns, &[halves(&a), halves(&b), halves(&c)], max_listed);
            let batch = RecordBatch::try_from_iter([("a", a.clone())]).unwrap();
            let find = |id| match id { 1 => Some(a.clone()), 2 => Some(b.clone()), _ => Some(c.clone()) };
            let result = keep(&evaluate(&filter, &batch, &find).unwrap());
            prop_assert_eq!(result.true_count(), rows.len());
        }
    }

    #[test]
    fn values_between_listed_keys_do_not_match_and_those_between_ends_of_a_range_do() {
        let columns = KeyColumn::resolve(&schema(), &names(&["a"])).unwrap();
        let keys: ArrayRef = Arc::new(Int64Array::from(vec![1, 9, 5, 9]));
        let rows: ArrayRef = Arc::new(Int64Array::from(vec![Some(0), Some(1), Some(4), Some(9), None]));
        let batch = RecordBatch::try_from_iter([("a", rows.clone())]).unwrap();
        let matches = |max| {
            let filter = key_filter(&columns, &[vec![keys.clone()]], max);
            keep(&evaluate(&filter, &batch, &|_| Some(rows.clone())).unwrap())
        };
        assert_eq!(matches(3), vec![false, true, false, true, false].into());
        assert_eq!(matches(2), vec![false, true, true, true, false].into());
    }
}
