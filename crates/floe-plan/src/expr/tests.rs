//! Tests of parsing, display and binding.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveTime};
use floe_core::ErrorKind;
use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};
use proptest::prelude::*;

use super::*;

fn schema() -> Schema {
    let fields = [
        NestedField::optional(1, "Small", Type::Primitive(PrimitiveType::Int)),
        NestedField::optional(2, "name", Type::Primitive(PrimitiveType::String)),
        NestedField::optional(3, "price", Type::Primitive(PrimitiveType::Decimal { precision: 6, scale: 2 })),
        NestedField::optional(4, "at", Type::Primitive(PrimitiveType::Timestamptz)),
    ];
    Schema::builder().with_fields(fields.map(Arc::new)).build().unwrap()
}

fn test_of(text: &str) -> Test {
    match Expr::parse(text).unwrap().bind(&schema(), true).unwrap() {
        BoundExpr::Leaf(leaf) => leaf.test,
        other => panic!("{other:?} is no leaf"),
    }
}

#[test]
fn numbers_a_column_cannot_hold_are_decided_for_every_value() {
    assert!(test_of("Small < 3000000000") == Test::NotNullIs(true));
    assert!(test_of("Small = 3000000000") == Test::NotNullIs(false));
    assert!(test_of("Small > -3000000000") == Test::NotNullIs(true));
    assert!(test_of("Small > 1.5") == Test::Compare(CompareOp::Gt, Value::Integer(1)));
    assert!(test_of("Small < -1.5") == Test::Compare(CompareOp::LtEq, Value::Integer(-2)));
    assert!(test_of("price = 12.5") == Test::Compare(CompareOp::Eq, Value::Decimal(1250)));
    assert!(test_of("price >= 10000") == Test::NotNullIs(false));
    assert!(test_of("Small IN (1, 3000000000, 1)") == Test::Compare(CompareOp::Eq, Value::Integer(1)));
}

#[test]
fn faults_name_columns_and_types_and_no_values() {
    for (text, part) in [
        ("name = 4711", "column name of type string cannot be compared with an integer"),
        ("nmae = 'secret'", "there is no column nmae"),
        ("at > TIMESTAMP '2024-01-01T00:00:00'", "with zone"),
        ("Small LIKE 'secret%'", "cannot be tested for a prefix"),
    ] {
        let error = Expr::parse(text).unwrap().bind(&schema(), true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
        let said = error.to_string();
        assert!(!said.contains("secret") && !said.contains("4711") && !said.contains("2024"), "{said}");
        assert!(said.contains(part) || part == "with zone" && said.contains("with a zone"), "{said}");
    }
    assert!(
        Expr::parse("nmae = 1").unwrap().bind(&schema(), true).unwrap_err().hint().unwrap().contains("name")
    );
    assert!(Expr::parse("SMALL = 1").unwrap().bind(&schema(), true).is_err());
    assert!(Expr::parse("SMALL = 1").unwrap().bind(&schema(), false).is_ok());
}

#[test]
fn malformed_text_is_refused_with_a_position() {
    for text in [
        "",
        "a >",
        "a = 'secret",
        "a = 1 b",
        "a IN ()",
        "(a = 1",
        "a LIKE '%secret'",
        "a = NULL",
        "a ! 1",
        "a BETWEEN 1",
        "a = 1.2.3",
        "X'abc' = a",
        "a IS 5",
        "= 1",
    ] {
        let error = Expr::parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation, "{text}");
        assert!(text.is_empty() || error.message().contains("character"), "{text}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn deep_nesting_is_refused_and_long_lists_are_not() {
    for text in ["(".repeat(100_000), "NOT ".repeat(100_000), "NOT ".repeat(60) + "a"] {
        assert_eq!(Expr::parse(&text).unwrap_err().kind(), ErrorKind::Validation);
    }
    let long = vec!["a = 1"; 20_000].join(" OR ");
    assert!(matches!(Expr::parse(&long).unwrap(), Expr::Or(parts) if parts.len() == 20_000));
}

#[test]
fn the_deepest_filter_survives_json() {
    let nested = |depth: usize| {
        let open = "(Small = 1 AND (Small = 2 OR ".repeat(depth / 2 - 1);
        Expr::parse(&(open + "NOT Small = 3" + &"))".repeat(depth / 2 - 1)))
    };
    let bound = nested(MAX_DEPTH).unwrap().bind(&schema(), true).unwrap();
    let json = serde_json::to_string(&bound).unwrap();
    assert!(serde_json::from_str::<BoundExpr>(&json).unwrap() == bound);
    assert_eq!(nested(MAX_DEPTH + 2).unwrap_err().kind(), ErrorKind::Validation);
}

fn literals() -> impl Strategy<Value = Literal> {
    prop_oneof![
        any::<bool>().prop_map(Literal::from),
        any::<i64>().prop_map(Literal::from),
        (any::<i64>(), 0..20_u8).prop_map(|(v, scale)| Literal::Decimal { unscaled: v.into(), scale }),
        any::<f64>().prop_filter("NaN is not itself", |v| !v.is_nan()).prop_map(Literal::from),
        ".{0,8}".prop_map(Literal::from),
        prop::collection::vec(any::<u8>(), 0..5).prop_map(Literal::from),
        (-900_000..900_000_i64).prop_map(|d| (NaiveDate::default() + chrono::Duration::days(d)).into()),
        (0..86_400_u32, 0..1_000_000_000_u32)
            .prop_map(|(s, n)| NaiveTime::from_num_seconds_from_midnight_opt(s, n).unwrap().into()),
        any::<i64>().prop_map(|n| DateTime::from_timestamp_nanos(n).naive_utc().into()),
        any::<i64>().prop_map(|n| DateTime::from_timestamp_nanos(n).into()),
    ]
}

fn exprs() -> impl Strategy<Value = Expr> {
    let name = prop_oneof![
        "[a-z_][a-z0-9_]{0,4}(\\.[a-z]{1,3})?",
        ".{1,6}",
        Just("not".to_owned()),
        Just("Date".to_owned())
    ];
    let op = prop::sample::select(vec![CompareOp::Eq, CompareOp::NotEq, CompareOp::Lt, CompareOp::GtEq]);
    let leaf = prop_oneof![
        (name.clone(), op, literals()).prop_map(|(n, op, l)| Expr::column(n).compare(op, l)),
        (name.clone(), prop::collection::vec(literals(), 1..4)).prop_map(|(n, l)| Expr::column(n).is_in(l)),
        (name.clone(), ".{0,5}").prop_map(|(n, p)| Expr::column(n).starts_with(p)),
        name.clone().prop_map(|n| Expr::column(n).is_null()),
        name.clone().prop_map(|n| Expr::column(n).is_nan()),
        name.prop_map(|n| Expr::column(n).is_true()),
        Just(Expr::True),
        Just(Expr::False),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|e| !e),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::all),
            prop::collection::vec(inner, 2..4).prop_map(Expr::any),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_displayed_parses_to_the_same(expr in exprs()) {
        let text = expr.to_string();
        prop_assert!(Expr::parse(&text).unwrap() == expr, "{}", text);
    }

    #[test]
    fn any_text_parses_or_is_refused(text in "[a1'\"() .<=!%,-]{0,20}|.{0,20}") {
        if let Err(error) = Expr::parse(&text) {
            prop_assert_eq!(error.kind(), ErrorKind::Validation);
        }
    }
}

#[test]
fn an_integer_between_two_floats_equals_none_of_them() {
    for (integer, ty, expected) in [
        (
            9_007_199_254_740_992_i128,
            PrimitiveType::Double,
            Fit::Exact(Value::Float(9_007_199_254_740_992.0)),
        ),
        (9_007_199_254_740_993, PrimitiveType::Double, Fit::Above(Value::Float(9_007_199_254_740_992.0))),
        (9_007_199_254_740_995, PrimitiveType::Double, Fit::Above(Value::Float(9_007_199_254_740_994.0))),
        (-9_007_199_254_740_993, PrimitiveType::Double, Fit::Above(Value::Float(-9_007_199_254_740_994.0))),
        (16_777_217, PrimitiveType::Float, Fit::Above(Value::Float(16_777_216.0))),
        (7, PrimitiveType::Float, Fit::Exact(Value::Float(7.0))),
    ] {
        assert_eq!(fit_literal(&Literal::Integer(integer), &ty), Ok(expected), "{integer}");
    }
}
