//! Tests of evaluation: against a plain model, in every Arrow layout a column may come in.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    BinaryArray, BinaryViewArray, Date32Array, Decimal128Array, DictionaryArray, FixedSizeBinaryArray,
    Float32Array, Float64Array, Int32Array, Int64Array, LargeBinaryArray, LargeStringArray, NullArray,
    RunArray, StringArray, StringViewArray, StructArray, TimestampMicrosecondArray, TimestampNanosecondArray,
    TimestampSecondArray,
};
use arrow_schema::{DataType, Field, Schema as ArrowSchema};
use iceberg::spec::{NestedField, PrimitiveType, Schema, StructType, Type};
use proptest::prelude::*;

use super::*;
use crate::expr::{CompareOp, Expr, Value};

fn schema_of(types: impl IntoIterator<Item = PrimitiveType>) -> Schema {
    let fields = types
        .into_iter()
        .zip(1..)
        .map(|(ty, id)| NestedField::optional(id, format!("c{id}"), Type::Primitive(ty)).into());
    Schema::builder().with_fields(fields).build().unwrap()
}

fn bound(text: &str, schema: &Schema) -> BoundExpr {
    Expr::parse(text).unwrap().bind(schema, true).unwrap()
}

fn run(filter: &BoundExpr, columns: &[ArrayRef]) -> Vec<Option<bool>> {
    evaluated(filter, columns).unwrap().iter().collect()
}

fn evaluated(filter: &BoundExpr, columns: &[ArrayRef]) -> Result<BooleanArray> {
    let named = columns.iter().enumerate().map(|(at, c)| (format!("c{}", at + 1), c.clone()));
    let batch = RecordBatch::try_from_iter_with_nullable(named.map(|(n, c)| (n, c, true))).unwrap();
    evaluate(filter, &batch, &|id| columns.get(id as usize - 1).cloned())
}

/// Runs `text` over a column of type `ty`.
fn one(text: &str, ty: PrimitiveType, column: impl Array + 'static) -> Vec<Option<bool>> {
    run(&bound(text, &schema_of([ty])), &[Arc::new(column)])
}

const YES: Option<bool> = Some(true);
const NO: Option<bool> = Some(false);

#[test]
fn nan_is_compared_as_ieee_754_says_and_null_is_unknown() {
    let values = || Float64Array::from(vec![Some(f64::NAN), None, Some(-0.0), Some(7.0)]);
    for (text, expected) in [
        ("c1 < 5", [NO, None, YES, NO]),
        ("NOT (c1 < 5)", [YES, None, NO, YES]),
        ("c1 != 7", [YES, None, YES, NO]),
        ("c1 = 0", [NO, None, YES, NO]),
        ("c1 IN (0, 7)", [NO, None, YES, YES]),
        ("c1 NOT IN (0, 7)", [YES, None, NO, NO]),
        ("c1 = DOUBLE 'NaN'", [NO, None, NO, NO]),
        ("c1 != DOUBLE 'NaN'", [YES, None, YES, YES]),
        ("c1 IN (DOUBLE 'NaN', 7, 8)", [NO, None, NO, YES]),
        ("c1 IS NAN", [YES, NO, NO, NO]),
        ("c1 IS NOT NAN", [NO, YES, YES, YES]),
        ("c1 IS NULL", [NO, YES, NO, NO]),
        ("c1 <= DOUBLE 'inf'", [NO, None, YES, YES]),
    ] {
        assert_eq!(one(text, PrimitiveType::Double, values()), expected, "{text}");
    }
    let narrow = Float32Array::from(vec![Some(f32::NAN), None, Some(0.1), Some(7.0)]);
    assert_eq!(one("c1 = 0.1", PrimitiveType::Float, narrow.clone()), [NO, None, YES, NO]);
    assert_eq!(one("c1 IS NAN", PrimitiveType::Double, narrow), [YES, NO, NO, NO]);
}

#[test]
fn strings_are_compared_in_every_layout() {
    let values = [Some("Ångström"), None, Some(""), Some("z\u{10ffff}"), Some("Ångström")];
    let plain = StringArray::from(values.to_vec());
    let dictionary: DictionaryArray<Int32Type> = values.into_iter().collect();
    let runs: RunArray<Int32Type> = values.into_iter().collect();
    let layouts: [ArrayRef; 5] = [
        Arc::new(plain),
        Arc::new(LargeStringArray::from(values.to_vec())),
        Arc::new(StringViewArray::from(values.to_vec())),
        Arc::new(dictionary),
        Arc::new(runs),
    ];
    let long = (0..50).map(|n| format!("'{n}'")).collect::<Vec<_>>().join(", ");
    let schema = schema_of([PrimitiveType::String]);
    for (text, expected) in [
        ("c1 = 'Ångström'".to_owned(), [YES, None, NO, NO, YES]),
        ("c1 < 'a'".to_owned(), [NO, None, YES, NO, NO]),
        ("c1 >= 'z'".to_owned(), [YES, None, NO, YES, YES]),
        ("c1 STARTS WITH 'Ån'".to_owned(), [YES, None, NO, NO, YES]),
        ("NOT (c1 LIKE 'z%')".to_owned(), [YES, None, YES, NO, YES]),
        ("c1 LIKE '%'".to_owned(), [YES, None, YES, YES, YES]),
        (format!("c1 IN ('', {long})"), [NO, None, YES, NO, NO]),
        (format!("c1 NOT IN ('', {long})"), [YES, None, NO, YES, YES]),
        ("c1 IS NULL".to_owned(), [NO, YES, NO, NO, NO]),
    ] {
        let filter = bound(&text, &schema);
        for column in &layouts {
            assert_eq!(
                run(&filter, std::slice::from_ref(column)),
                expected,
                "{text} over {}",
                column.data_type()
            );
            let sliced = run(&filter, &[column.slice(1, 3)]);
            assert_eq!(sliced, expected[1..4], "{text} over a slice of {}", column.data_type());
        }
    }
}

#[test]
fn a_dictionary_with_null_among_its_values_gives_unknown() {
    let keys = Int32Array::from(vec![Some(0), Some(1), None, Some(0)]);
    let values: ArrayRef = Arc::new(Float64Array::from(vec![None, Some(f64::NAN)]));
    let column = || DictionaryArray::<Int32Type>::new(keys.clone(), values.clone());
    assert_eq!(one("c1 != 1", PrimitiveType::Double, column()), [None, YES, None, None]);
    assert_eq!(one("c1 IS NULL", PrimitiveType::Double, column()), [YES, NO, YES, YES]);
    assert_eq!(one("c1 IS NAN", PrimitiveType::Double, column()), [NO, YES, NO, NO]);
    assert_eq!(one("c1 IS NOT NAN", PrimitiveType::Double, column()), [YES, NO, YES, YES]);
}

#[test]
fn bytes_and_uuids_are_compared_by_their_bytes() {
    let raw: [Option<&[u8]>; 4] = [Some(&[0x80]), Some(&[]), None, Some(&[0x7f, 0xff])];
    let layouts: [ArrayRef; 3] = [
        Arc::new(BinaryArray::from(raw.to_vec())),
        Arc::new(LargeBinaryArray::from(raw.to_vec())),
        Arc::new(BinaryViewArray::from(raw.to_vec())),
    ];
    for column in layouts {
        let filter = bound("c1 > X'7fff'", &schema_of([PrimitiveType::Binary]));
        assert_eq!(run(&filter, &[column]), [YES, NO, None, NO]);
    }
    let uuids = || {
        let bytes = [[0xff; 16], [0x01; 16]];
        FixedSizeBinaryArray::try_from_iter(bytes.into_iter()).unwrap()
    };
    let text = "c1 > '01010101-0101-0101-0101-010101010101'";
    assert_eq!(one(text, PrimitiveType::Uuid, uuids()), [YES, NO]);
    assert_eq!(one(&text.replace('>', "="), PrimitiveType::Uuid, uuids()), [NO, YES]);
    assert_eq!(one("c1 = X'ffffffffffffffffffffffffffffffff'", PrimitiveType::Fixed(16), uuids()), [YES, NO]);
}

#[test]
fn decimals_dates_and_times_are_compared_in_the_unit_of_the_column() {
    let decimal = PrimitiveType::Decimal { precision: 9, scale: 2 };
    let values =
        || Decimal128Array::from(vec![Some(1050), Some(-1), None]).with_data_type(DataType::Decimal128(9, 2));
    assert_eq!(one("c1 = 10.5", decimal.clone(), values()), [YES, NO, None]);
    assert_eq!(one("c1 > 10.499", decimal.clone(), values()), [YES, NO, None]);
    assert_eq!(one("c1 < -0.005", decimal.clone(), values()), [NO, YES, None]);
    let list = (0..40).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    assert_eq!(one(&format!("c1 IN (10.5, {list})"), decimal, values()), [YES, NO, None]);
    let days = Date32Array::from(vec![Some(-1), Some(0), None]);
    assert_eq!(one("c1 < DATE '1970-01-01'", PrimitiveType::Date, days.clone()), [YES, NO, None]);
    // A column that was `date` before it became `timestamp`.
    assert_eq!(one("c1 < TIMESTAMP '1970-01-01T00:00:00'", PrimitiveType::Timestamp, days), [YES, NO, None]);
    let seconds = TimestampSecondArray::from(vec![Some(-1), Some(0), None]);
    let text = "c1 > TIMESTAMP '1969-12-31T23:59:59.5'";
    assert_eq!(one(text, PrimitiveType::Timestamp, seconds), [NO, YES, None]);
    let nanos = TimestampNanosecondArray::from(vec![Some(-1), Some(0), None]);
    let text = "c1 < TIMESTAMP '1970-01-01T00:00:00'";
    assert_eq!(one(text, PrimitiveType::Timestamp, nanos.clone()), [YES, NO, None]);
    assert_eq!(one(text, PrimitiveType::TimestampNs, nanos), [YES, NO, None]);
}

#[test]
fn a_column_of_nulls_is_unknown_whatever_its_type() {
    for ty in [PrimitiveType::Long, PrimitiveType::Timestamp, PrimitiveType::Float] {
        let schema = schema_of([ty]);
        for (text, expected) in [("c1 IS NULL", YES), ("c1 IS NOT NULL", NO)] {
            assert_eq!(run(&bound(text, &schema), &[Arc::new(NullArray::new(2))]), [expected; 2]);
        }
    }
    assert_eq!(one("NOT (c1 > 3)", PrimitiveType::Long, NullArray::new(2)), [None; 2]);
}

#[test]
fn a_field_of_a_null_struct_is_null_and_found_by_its_id() {
    let inner =
        StructType::new(vec![NestedField::required(2, "x", Type::Primitive(PrimitiveType::Long)).into()]);
    let schema = Schema::builder()
        .with_fields([NestedField::optional(1, "s", Type::Struct(inner)).into()])
        .build()
        .unwrap();
    let tagged = |name: &str, ty: DataType, id: i32| {
        let id = HashMap::from([("PARQUET:field_id".to_owned(), id.to_string())]);
        Field::new(name, ty, true).with_metadata(id)
    };
    let x = tagged("renamed", DataType::Int64, 2);
    let values: ArrayRef = Arc::new(Int64Array::from(vec![5, 5]));
    let s = StructArray::new(vec![x].into(), vec![values], Some(vec![true, false].into()));
    let arrow = ArrowSchema::new(vec![tagged("s", s.data_type().clone(), 1)]);
    let batch = RecordBatch::try_new(Arc::new(arrow), vec![Arc::new(s)]).unwrap();
    let result = |text: &str| evaluate(&bound(text, &schema), &batch, &|_| None).unwrap();
    assert_eq!(result("s.x = 5"), BooleanArray::from(vec![YES, None]));
    assert_eq!(result("s.x IS NULL"), BooleanArray::from(vec![NO, YES]));
    assert_eq!(result("s.x != 5"), BooleanArray::from(vec![NO, None]));
}

#[test]
fn a_list_of_a_hundred_thousand_values_is_searched_through_a_set() {
    let schema = schema_of([PrimitiveType::Long]);
    let filter = Expr::column("c1").is_in((0..100_000_i64).map(|n| n * 2)).bind(&schema, true).unwrap();
    let column: ArrayRef = Arc::new(Int64Array::from_iter((0..5_000).map(|n| (n % 7 != 0).then_some(n))));
    let expected: Vec<_> = (0..5_000).map(|n| (n % 7 != 0).then_some(n % 2 == 0)).collect();
    assert_eq!(run(&filter, &[column]), expected);
}

#[test]
fn errors_name_column_and_type_and_quote_no_value() {
    let secret = 4_611_686_018_427_387_904;
    let cases: [(PrimitiveType, ArrayRef, &str); 4] = [
        (
            PrimitiveType::Timestamp,
            Arc::new(TimestampSecondArray::from(vec![secret])),
            "c1 > TIMESTAMP '2024-01-01T00:00:00'",
        ),
        (
            PrimitiveType::TimestampNs,
            Arc::new(TimestampMicrosecondArray::from(vec![secret])),
            "c1 > TIMESTAMP '2024-01-01T00:00:00'",
        ),
        (PrimitiveType::Long, Arc::new(StringArray::from(vec![secret.to_string()])), "c1 > 1"),
        (
            PrimitiveType::Decimal { precision: 9, scale: 2 },
            Arc::new(
                Decimal128Array::from(vec![i128::from(secret)]).with_data_type(DataType::Decimal128(38, 3)),
            ),
            "c1 > 1",
        ),
    ];
    for (ty, column, text) in cases {
        let error = evaluated(&bound(text, &schema_of([ty])), &[column]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
        let said = format!("{error} {error:?}");
        assert!(said.contains("c1") && !said.contains("4611686018427387904"), "{said}");
        assert!(std::error::Error::source(&error).is_none(), "{said}");
    }
}

#[test]
fn a_column_that_was_not_read_is_an_error() {
    let filter = bound("c2 = 1", &schema_of([PrimitiveType::Long, PrimitiveType::Long]));
    let error = evaluated(&filter, &[Arc::new(Int64Array::from(vec![1]))]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    let batch =
        RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)]).unwrap();
    let short = evaluate(&filter, &batch, &|_| Some(Arc::new(Int64Array::from(vec![1]))));
    assert_eq!(short.unwrap_err().kind(), ErrorKind::Internal);
}

#[test]
fn what_a_delete_leaves_is_all_that_is_not_kept() {
    let result = BooleanArray::from(vec![YES, NO, None]);
    assert_eq!(keep(&result), BooleanArray::from(vec![true, false, false]));
    assert_eq!(remain(&result), BooleanArray::from(vec![false, true, true]));
}

// A plain model of three-valued logic over single rows, to compare with.

type Row = (Option<i64>, Option<f64>, Option<String>);

fn test_of(leaf: &BoundLeaf, value: Option<&Value>) -> Option<bool> {
    use crate::expr::Test;
    match &leaf.test {
        Test::IsNull => return Some(value.is_none()),
        Test::IsNan => return Some(value.is_some_and(Value::is_nan)),
        _ => {}
    }
    let value = value?;
    Some(match &leaf.test {
        Test::NotNullIs(always) => *always,
        Test::Compare(op, with) => match op {
            CompareOp::Eq => value == with,
            CompareOp::NotEq => value != with,
            CompareOp::Lt => value < with,
            CompareOp::LtEq => value <= with,
            CompareOp::Gt => value > with,
            CompareOp::GtEq => value >= with,
        },
        Test::In(list) => list.iter().any(|one| one == value),
        Test::StartsWith(prefix) => matches!(value, Value::String(text) if text.starts_with(prefix)),
        Test::IsNull | Test::IsNan => unreachable!("handled above"),
    })
}

fn model(expr: &BoundExpr, row: &Row) -> Option<bool> {
    match expr {
        BoundExpr::True => Some(true),
        BoundExpr::False => Some(false),
        BoundExpr::Not(inner) => model(inner, row).map(|v| !v),
        BoundExpr::And(parts) => {
            let all: Vec<_> = parts.iter().map(|p| model(p, row)).collect();
            if all.contains(&Some(false)) { Some(false) } else { (!all.contains(&None)).then_some(true) }
        }
        BoundExpr::Or(parts) => {
            let all: Vec<_> = parts.iter().map(|p| model(p, row)).collect();
            if all.contains(&Some(true)) { Some(true) } else { (!all.contains(&None)).then_some(false) }
        }
        BoundExpr::Leaf(leaf) => {
            let value = match leaf.field_id {
                1 => row.0.map(Value::Integer),
                2 => row.1.map(Value::Float),
                _ => row.2.clone().map(Value::String),
            };
            test_of(leaf, value.as_ref())
        }
    }
}

fn filters() -> impl Strategy<Value = Expr> {
    use CompareOp::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    let ops = || prop::sample::select(vec![Eq, NotEq, Lt, LtEq, Gt, GtEq]);
    let leaf = prop_oneof![
        (ops(), -3..3_i64).prop_map(|(op, v)| Expr::column("c1").compare(op, v)),
        (ops(), floats()).prop_map(|(op, v)| Expr::column("c2").compare(op, v)),
        (ops(), "[aø]{0,2}").prop_map(|(op, v)| Expr::column("c3").compare(op, v)),
        prop::collection::vec(-3..30_i64, 1..20).prop_map(|v| Expr::column("c1").is_in(v)),
        prop::collection::vec(floats(), 1..12).prop_map(|v| Expr::column("c2").is_in(v)),
        prop::collection::vec("[aø]{0,2}", 1..4).prop_map(|v| Expr::column("c3").is_in(v)),
        "[aø]{0,2}".prop_map(|v| Expr::column("c3").starts_with(v)),
        prop::sample::select(vec!["c1", "c2", "c3"]).prop_map(|c| Expr::column(c).is_null()),
        Just(Expr::column("c2").is_nan()),
        Just(Expr::True),
        Just(Expr::False),
    ];
    leaf.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|e| !e),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::all),
            prop::collection::vec(inner, 2..4).prop_map(Expr::any),
        ]
    })
}

fn floats() -> impl Strategy<Value = f64> {
    prop::sample::select(vec![f64::NAN, -f64::NAN, f64::NEG_INFINITY, -1.5, -0.0, 0.0, 2.0, f64::INFINITY])
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (
        prop::option::weighted(0.7, -4..4_i64),
        prop::option::weighted(0.7, floats()),
        prop::option::weighted(0.7, "[aø]{0,3}"),
    );
    prop::collection::vec(row, 0..20)
}

fn columns(rows: &[Row], layout: u8) -> [ArrayRef; 3] {
    let words = || rows.iter().map(|r| r.2.as_deref());
    let words: ArrayRef = match layout {
        0 => Arc::new(words().collect::<StringArray>()),
        1 => Arc::new(words().collect::<LargeStringArray>()),
        2 => Arc::new(words().collect::<StringViewArray>()),
        _ => Arc::new(words().collect::<DictionaryArray<Int32Type>>()),
    };
    let numbers = rows.iter().map(|r| r.0);
    let numbers: ArrayRef = match layout {
        // As the column was before it was widened.
        0 | 1 => Arc::new(numbers.map(|v| v.map(|v| v as i32)).collect::<Int32Array>()),
        _ => Arc::new(numbers.collect::<Int64Array>()),
    };
    [numbers, Arc::new(rows.iter().map(|r| r.1).collect::<Float64Array>()), words]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_row_comes_out_as_three_valued_logic_says(rows in rows(), filter in filters(), layout in 0..4_u8) {
        let schema = schema_of([PrimitiveType::Long, PrimitiveType::Double, PrimitiveType::String]);
        let filter = filter.bind(&schema, true).unwrap();
        let expected: Vec<_> = rows.iter().map(|row| model(&filter, row)).collect();
        prop_assert_eq!(run(&filter, &columns(&rows, layout)), expected);
    }

    #[test]
    fn de_morgan_holds_with_null_and_nan(rows in rows(), a in filters(), b in filters()) {
        let schema = schema_of([PrimitiveType::Long, PrimitiveType::Double, PrimitiveType::String]);
        let bind = |expr: Expr| expr.bind(&schema, true).unwrap();
        let columns = columns(&rows, 0);
        let (not_a, not_b) = (!a.clone(), !b.clone());
        let both = bind(!a.clone().and(b.clone()));
        prop_assert_eq!(run(&both, &columns), run(&bind(not_a.clone().or(not_b.clone())), &columns));
        let either = bind(!a.clone().or(b));
        prop_assert_eq!(run(&either, &columns), run(&bind(not_a.and(not_b)), &columns));
        prop_assert_eq!(run(&bind(!!a.clone()), &columns), run(&bind(a), &columns));
    }
}
