use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_schema::DataType;
use floe_core::ErrorKind;
use iceberg::spec::{NestedField, PrimitiveType, StructType, Type};
use proptest::prelude::*;

use super::*;
use crate::eval::{evaluate, keep};
use crate::merge::{MergeAction, RowPair, apply};

/// A value of a column, or of an expression.
#[derive(Debug, Clone, PartialEq)]
enum V {
    Null,
    Long(i64),
    Double(f64),
    Text(String),
    Bool(bool),
}

/// An expression, to be written as SQL and to be computed by hand.
#[derive(Debug, Clone)]
enum E {
    Source(&'static str),
    Target(&'static str),
    Long(i64),
    Text(String),
    Null,
    Arith(char, Box<E>, Box<E>),
    Minus(Box<E>),
    Cmp(&'static str, Box<E>, Box<E>),
    Distinct(bool, Box<E>, Box<E>),
    IsNull(Box<E>),
    IsNan(Box<E>),
    In(Box<E>, Vec<E>),
    Between(Box<E>, Box<E>, Box<E>),
    Like(Box<E>, String),
    Not(Box<E>),
    And(Box<E>, Box<E>),
    Or(Box<E>, Box<E>),
    Case(Vec<(E, E)>, Box<E>),
    Coalesce(Box<E>, Box<E>),
    NullIf(Box<E>, Box<E>),
    Extreme(bool, Box<E>, Box<E>),
    Upper(Box<E>),
    Concat(Box<E>, Box<E>),
    Abs(Box<E>),
}

impl E {
    fn sql(&self) -> String {
        match self {
            E::Source(name) => format!("source.{name}"),
            E::Target(name) => format!("target.{name}"),
            E::Long(v) => format!("CAST({v} AS BIGINT)"),
            E::Text(v) => format!("'{}'", v.replace('\'', "''")),
            E::Null => "NULL".into(),
            E::Arith(op, a, b) => format!("({} {op} {})", a.sql(), b.sql()),
            E::Minus(a) => format!("(- {})", a.sql()),
            E::Cmp(op, a, b) => format!("({} {op} {})", a.sql(), b.sql()),
            E::Distinct(true, a, b) => format!("({} IS DISTINCT FROM {})", a.sql(), b.sql()),
            E::Distinct(false, a, b) => format!("({} <=> {})", a.sql(), b.sql()),
            E::IsNull(a) => format!("({} IS NULL)", a.sql()),
            E::IsNan(a) => format!("isnan({})", a.sql()),
            E::In(a, list) => {
                format!("({} IN ({}))", a.sql(), list.iter().map(E::sql).collect::<Vec<_>>().join(", "))
            }
            E::Between(a, b, c) => format!("({} BETWEEN {} AND {})", a.sql(), b.sql(), c.sql()),
            E::Like(a, p) => format!("({} LIKE '{p}')", a.sql()),
            E::Not(a) => format!("(NOT {})", a.sql()),
            E::And(a, b) => format!("({} AND {})", a.sql(), b.sql()),
            E::Or(a, b) => format!("({} OR {})", a.sql(), b.sql()),
            E::Case(branches, other) => {
                let branches = branches.iter().map(|(c, v)| format!("WHEN {} THEN {}", c.sql(), v.sql()));
                format!("CASE {} ELSE {} END", branches.collect::<Vec<_>>().join(" "), other.sql())
            }
            E::Coalesce(a, b) => format!("coalesce({}, {})", a.sql(), b.sql()),
            E::NullIf(a, b) => format!("nullif({}, {})", a.sql(), b.sql()),
            E::Extreme(greatest, a, b) => {
                format!("{}({}, {})", if *greatest { "greatest" } else { "least" }, a.sql(), b.sql())
            }
            E::Upper(a) => format!("upper({})", a.sql()),
            E::Concat(a, b) => format!("({} || {})", a.sql(), b.sql()),
            E::Abs(a) => format!("abs({})", a.sql()),
        }
    }

    /// The value for one row; `Err` where there is none.
    fn value(&self, row: &Row) -> Result<V, ()> {
        let truth = |v: V| match v {
            V::Bool(b) => Some(b),
            _ => None,
        };
        let from = |v: Option<bool>| v.map_or(V::Null, V::Bool);
        Ok(match self {
            E::Source(name) => row.source.get(name),
            E::Target(name) => row.target.get(name),
            E::Long(v) => V::Long(*v),
            E::Text(v) => V::Text(v.clone()),
            E::Null => V::Null,
            E::Arith(op, a, b) => match (a.value(row)?, b.value(row)?) {
                (V::Long(a), V::Long(b)) => match op {
                    '+' => V::Long(a.checked_add(b).ok_or(())?),
                    '-' => V::Long(a.checked_sub(b).ok_or(())?),
                    '*' => V::Long(a.checked_mul(b).ok_or(())?),
                    _ if b == 0 => return Err(()),
                    // The least number has no quotient by -1, and a rest all the same.
                    '%' => V::Long(a.wrapping_rem(b)),
                    _ => V::Double(a as f64 / b as f64),
                },
                (V::Null, _) | (_, V::Null) => V::Null,
                (a, b) => {
                    let number = |v| match v {
                        V::Long(v) => v as f64,
                        V::Double(v) => v,
                        other => panic!("no number: {other:?}"),
                    };
                    let (a, b) = (number(a), number(b));
                    match op {
                        '+' => V::Double(a + b),
                        '-' => V::Double(a - b),
                        '*' => V::Double(a * b),
                        _ if b == 0.0 => return Err(()),
                        '%' => V::Double(a % b),
                        _ => V::Double(a / b),
                    }
                }
            },
            E::Minus(a) => match a.value(row)? {
                V::Long(v) => V::Long(v.checked_neg().ok_or(())?),
                V::Double(v) => V::Double(-v),
                _ => V::Null,
            },
            E::Abs(a) => match a.value(row)? {
                V::Long(v) => V::Long(v.checked_abs().ok_or(())?),
                V::Double(v) => V::Double(v.abs()),
                _ => V::Null,
            },
            E::Cmp(op, a, b) => from(compare(op, &a.value(row)?, &b.value(row)?)),
            E::Distinct(distinct, a, b) => V::Bool(same(&a.value(row)?, &b.value(row)?) != *distinct),
            E::IsNull(a) => V::Bool(a.value(row)? == V::Null),
            E::IsNan(a) => V::Bool(matches!(a.value(row)?, V::Double(v) if v.is_nan())),
            E::In(a, list) => {
                let a = a.value(row)?;
                let mut result = Some(false);
                for item in list {
                    match compare("=", &a, &item.value(row)?) {
                        Some(true) => return Ok(V::Bool(true)),
                        Some(false) => {}
                        None => result = None,
                    }
                }
                from(result)
            }
            E::Between(a, b, c) => {
                let a = a.value(row)?;
                let low = compare(">=", &a, &b.value(row)?);
                if low == Some(false) {
                    return Ok(V::Bool(false));
                }
                let high = compare("<=", &a, &c.value(row)?);
                from(match (low, high) {
                    (Some(false), _) | (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    _ => None,
                })
            }
            E::Like(a, pattern) => match a.value(row)? {
                V::Text(text) => {
                    V::Bool(like(&text.chars().collect::<Vec<_>>(), &pattern.chars().collect::<Vec<_>>()))
                }
                _ => V::Null,
            },
            E::Not(a) => from(truth(a.value(row)?).map(|v| !v)),
            E::And(a, b) => match truth(a.value(row)?) {
                Some(false) => V::Bool(false),
                a => match (a, truth(b.value(row)?)) {
                    (_, Some(false)) => V::Bool(false),
                    (Some(true), Some(true)) => V::Bool(true),
                    _ => V::Null,
                },
            },
            E::Or(a, b) => match truth(a.value(row)?) {
                Some(true) => V::Bool(true),
                a => match (a, truth(b.value(row)?)) {
                    (_, Some(true)) => V::Bool(true),
                    (Some(false), Some(false)) => V::Bool(false),
                    _ => V::Null,
                },
            },
            E::Case(branches, other) => {
                for (condition, value) in branches {
                    if truth(condition.value(row)?) == Some(true) {
                        return value.value(row);
                    }
                }
                other.value(row)?
            }
            E::Coalesce(a, b) => match a.value(row)? {
                V::Null => b.value(row)?,
                v => v,
            },
            E::NullIf(a, b) => {
                let a = a.value(row)?;
                if compare("=", &a, &b.value(row)?) == Some(true) { V::Null } else { a }
            }
            E::Extreme(greatest, a, b) => match (a.value(row)?, b.value(row)?) {
                (V::Null, v) | (v, V::Null) => v,
                (a, b) => {
                    let later = match (&a, &b) {
                        (V::Double(a), V::Double(b)) if a.is_nan() || b.is_nan() => b.is_nan() == *greatest,
                        _ => compare(if *greatest { ">" } else { "<" }, &b, &a) == Some(true),
                    };
                    if later { b } else { a }
                }
            },
            E::Upper(a) => match a.value(row)? {
                V::Text(text) => V::Text(text.to_uppercase()),
                _ => V::Null,
            },
            E::Concat(a, b) => match (a.value(row)?, b.value(row)?) {
                (V::Text(a), V::Text(b)) => V::Text(a + &b),
                _ => V::Null,
            },
        })
    }
}

fn compare(op: &str, a: &V, b: &V) -> Option<bool> {
    let ordering = match (a, b) {
        (V::Null, _) | (_, V::Null) => return None,
        (V::Long(a), V::Long(b)) => Some(a.cmp(b)),
        (V::Double(a), V::Double(b)) => a.partial_cmp(b),
        (V::Long(a), V::Double(b)) => (*a as f64).partial_cmp(b),
        (V::Double(a), V::Long(b)) => a.partial_cmp(&(*b as f64)),
        (V::Text(a), V::Text(b)) => Some(a.cmp(b)),
        (V::Bool(a), V::Bool(b)) => Some(a.cmp(b)),
        other => panic!("not comparable: {other:?}"),
    };
    use std::cmp::Ordering::{Equal, Greater, Less};
    Some(match op {
        "=" => ordering == Some(Equal),
        "<>" => ordering != Some(Equal),
        "<" => ordering == Some(Less),
        "<=" => matches!(ordering, Some(Less | Equal)),
        ">" => ordering == Some(Greater),
        _ => matches!(ordering, Some(Greater | Equal)),
    })
}

fn same(a: &V, b: &V) -> bool {
    match (a, b) {
        (V::Null, V::Null) => true,
        (V::Double(a), V::Double(b)) if a.is_nan() && b.is_nan() => true,
        _ => compare("=", a, b) == Some(true),
    }
}

fn like(text: &[char], pattern: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('%', rest)) => (0..=text.len()).any(|at| like(&text[at..], rest)),
        Some(('_', rest)) => !text.is_empty() && like(&text[1..], rest),
        Some((c, rest)) => text.first() == Some(c) && like(&text[1..], rest),
    }
}

#[derive(Debug, Clone)]
struct Half {
    k: Option<i64>,
    n: Option<i64>,
    d: Option<f64>,
    t: Option<String>,
    b: Option<bool>,
}

#[derive(Debug, Clone)]
struct Row {
    source: Half,
    target: Half,
}

impl Half {
    fn get(&self, name: &str) -> V {
        match name {
            "k" => self.k.map_or(V::Null, V::Long),
            "n" | "p.n" => self.n.map_or(V::Null, V::Long),
            "d" => self.d.map_or(V::Null, V::Double),
            "t" => self.t.clone().map_or(V::Null, V::Text),
            _ => self.b.map_or(V::Null, V::Bool),
        }
    }
}

fn half() -> impl Strategy<Value = Half> {
    use proptest::option::weighted;
    let long = prop_oneof![5 => -3_i64..4, 1 => Just(i64::MAX), 1 => Just(i64::MIN)];
    let double = prop_oneof![Just(f64::NAN), Just(0.0), Just(-0.0), (-2_i32..3).prop_map(f64::from)];
    (
        weighted(0.8, -2_i64..3),
        weighted(0.8, long),
        weighted(0.8, double),
        weighted(0.8, "[abA%_]{0,3}"),
        weighted(0.8, any::<bool>()),
    )
        .prop_map(|(k, n, d, t, b)| Half { k, n, d, t, b })
}

fn long() -> BoxedStrategy<E> {
    let leaf = prop_oneof![
        Just(E::Source("n")),
        Just(E::Source("p.n")),
        Just(E::Target("n")),
        Just(E::Target("p.n")),
        Just(E::Target("k")),
        (-3_i64..4).prop_map(E::Long),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        let pair = (inner.clone(), inner.clone()).prop_map(|(a, b)| (Box::new(a), Box::new(b)));
        prop_oneof![
            (proptest::sample::select(vec!['+', '-', '*', '%']), pair.clone())
                .prop_map(|(op, (a, b))| E::Arith(op, a, b)),
            inner.clone().prop_map(|a| E::Minus(Box::new(a))),
            inner.prop_map(|a| E::Abs(Box::new(a))),
            pair.clone().prop_map(|(a, b)| E::Coalesce(a, b)),
            pair.clone().prop_map(|(a, b)| E::NullIf(a, b)),
            (any::<bool>(), pair).prop_map(|(greatest, (a, b))| E::Extreme(greatest, a, b)),
        ]
    })
    .boxed()
}

fn double() -> BoxedStrategy<E> {
    let leaf = prop_oneof![Just(E::Source("d")), Just(E::Target("d"))];
    leaf.prop_recursive(2, 6, 2, |inner| {
        let pair = (inner.clone(), inner.clone()).prop_map(|(a, b)| (Box::new(a), Box::new(b)));
        prop_oneof![
            (proptest::sample::select(vec!['+', '-', '*', '/', '%']), pair.clone())
                .prop_map(|(op, (a, b))| E::Arith(op, a, b)),
            (inner, long()).prop_map(|(a, b)| E::Arith('+', Box::new(a), Box::new(b))),
            (long(), long()).prop_map(|(a, b)| E::Arith('/', Box::new(a), Box::new(b))),
            (any::<bool>(), pair).prop_map(|(greatest, (a, b))| E::Extreme(greatest, a, b)),
        ]
    })
    .boxed()
}

fn text() -> BoxedStrategy<E> {
    let leaf = prop_oneof![Just(E::Source("t")), Just(E::Target("t")), "[abA]{0,2}".prop_map(E::Text)];
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| E::Upper(Box::new(a))),
            (inner.clone(), inner).prop_map(|(a, b)| E::Concat(Box::new(a), Box::new(b))),
        ]
    })
    .boxed()
}

fn condition() -> BoxedStrategy<E> {
    let op = || proptest::sample::select(vec!["=", "<>", "<", "<=", ">", ">="]);
    let two = |s: BoxedStrategy<E>| (s.clone(), s).prop_map(|(a, b)| (Box::new(a), Box::new(b)));
    let leaf = prop_oneof![
        (op(), two(long())).prop_map(|(op, (a, b))| E::Cmp(op, a, b)),
        (op(), two(double())).prop_map(|(op, (a, b))| E::Cmp(op, a, b)),
        (op(), two(text())).prop_map(|(op, (a, b))| E::Cmp(op, a, b)),
        (op(), long(), double()).prop_map(|(op, a, b)| E::Cmp(op, Box::new(a), Box::new(b))),
        (any::<bool>(), two(long())).prop_map(|(d, (a, b))| E::Distinct(d, a, b)),
        (any::<bool>(), two(double())).prop_map(|(d, (a, b))| E::Distinct(d, a, b)),
        long().prop_map(|a| E::IsNull(Box::new(a))),
        double().prop_map(|a| E::IsNan(Box::new(a))),
        (long(), proptest::collection::vec(prop_oneof![long(), Just(E::Null)], 1..4))
            .prop_map(|(a, list)| E::In(Box::new(a), list)),
        (two(long()), long()).prop_map(|((a, b), c)| E::Between(a, b, Box::new(c))),
        (text(), "[ab%_]{0,3}").prop_map(|(a, p)| E::Like(Box::new(a), p)),
        Just(E::Source("b")),
        Just(E::Target("b")),
    ];
    leaf.prop_recursive(3, 16, 2, |inner| {
        let pair = (inner.clone(), inner.clone()).prop_map(|(a, b)| (Box::new(a), Box::new(b)));
        prop_oneof![
            inner.clone().prop_map(|a| E::Not(Box::new(a))),
            pair.clone().prop_map(|(a, b)| E::And(a, b)),
            pair.prop_map(|(a, b)| E::Or(a, b)),
            (proptest::collection::vec((inner.clone(), inner.clone()), 1..3), inner)
                .prop_map(|(branches, other)| E::Case(branches, Box::new(other))),
        ]
    })
    .boxed()
}

fn table() -> Schema {
    let optional = |id, name: &str, ty| NestedField::optional(id, name, ty).into();
    let primitive = Type::Primitive;
    let inner = StructType::new(vec![optional(7, "n", primitive(PrimitiveType::Long))]);
    let fields = [
        optional(1, "k", primitive(PrimitiveType::Long)),
        optional(2, "n", primitive(PrimitiveType::Long)),
        optional(3, "d", primitive(PrimitiveType::Double)),
        optional(4, "t", primitive(PrimitiveType::String)),
        optional(5, "b", primitive(PrimitiveType::Boolean)),
        optional(6, "p", Type::Struct(inner)),
    ];
    Schema::builder().with_fields(fields).build().unwrap()
}

fn halves(rows: &[Half]) -> RecordBatch {
    let arrow = Arc::new(schema_to_arrow_schema(&table()).unwrap());
    let longs = |f: fn(&Half) -> Option<i64>| Arc::new(rows.iter().map(f).collect::<Int64Array>());
    let DataType::Struct(fields) = arrow.field(5).data_type().clone() else { panic!("a struct") };
    let point = StructArray::new(fields, vec![longs(|r| r.n)], None);
    RecordBatch::try_new(
        arrow,
        vec![
            longs(|r| r.k),
            longs(|r| r.n),
            Arc::new(rows.iter().map(|r| r.d).collect::<Float64Array>()),
            Arc::new(rows.iter().map(|r| r.t.clone()).collect::<StringArray>()),
            Arc::new(rows.iter().map(|r| r.b).collect::<BooleanArray>()),
            Arc::new(point),
        ],
    )
    .unwrap()
}

fn values(array: &dyn Array) -> Vec<V> {
    let text = |row| match array.data_type() {
        _ if array.is_null(row) => V::Null,
        DataType::Int64 => V::Long(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => V::Double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => V::Text(array.as_string::<i32>().value(row).to_owned()),
        _ => V::Bool(array.as_boolean().value(row)),
    };
    (0..array.len()).map(text).collect()
}

/// The value of an expression for each row, as floe computes it: the column `column` of an update.
fn computed(column: &str, expr: &E, rows: &[Row]) -> Result<Vec<V>> {
    let update = MergeAction::Update([(column.to_owned(), expr.sql())].into());
    let spec = MergeSpec {
        on: vec!["k".into()],
        clauses: vec![MergeClause::new(MergeWhen::Matched, update)],
        ..MergeSpec::default()
    };
    let source = halves(&rows.iter().map(|r| r.source.clone()).collect::<Vec<_>>());
    let target = halves(&rows.iter().map(|r| r.target.clone()).collect::<Vec<_>>());
    let merge = bind(&spec, &source.schema(), &table(), 0).unwrap();
    let pair =
        RowPair { source: Some(merge.source.prepare(&source)?), target: Some(target), rows: rows.len() };
    let applied = apply(&merge.rules.matched, &pair, &merge.schema)?;
    Ok(values(applied.written[0].column_by_name(column).unwrap()))
}

fn check(column: &str, expr: &E, rows: &[Row]) -> Result<(), TestCaseError> {
    let expected: Result<Vec<V>, ()> = rows.iter().map(|row| expr.value(row)).collect();
    match (computed(column, expr, rows), expected) {
        (Ok(computed), Ok(expected)) => {
            let same = computed.iter().zip(&expected).all(|(a, b)| same(a, b));
            prop_assert!(same, "{}: {:?} is not {:?}", expr.sql(), computed, expected);
        }
        (Err(error), Err(())) => prop_assert_eq!(error.kind(), ErrorKind::Validation, "{}", error),
        (computed, expected) => prop_assert!(false, "{}: {:?} is not {:?}", expr.sql(), computed, expected),
    }
    Ok(())
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    proptest::collection::vec((half(), half()).prop_map(|(source, target)| Row { source, target }), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn conditions_are_those_of_a_plain_interpreter(expr in condition(), rows in rows()) {
        check("b", &expr, &rows)?;
    }

    #[test]
    fn numbers_and_texts_are_those_of_a_plain_interpreter(
        long in long(), double in double(), text in text(), rows in rows(),
    ) {
        check("n", &long, &rows)?;
        check("d", &double, &rows)?;
        check("t", &text, &rows)?;
    }

    /// Pruning leaves no row out that a clause would change.
    #[test]
    fn filters_over_metadata_are_true_wherever_the_condition_is(expr in condition(), rows in rows()) {
        // About the table alone.
        let rows: Vec<Row> =
            rows.into_iter().map(|row| Row { source: row.target.clone(), target: row.target }).collect();
        let sql = expr.sql().replace("source.", "target.");
        let expected: Result<Vec<V>, ()> = rows.iter().map(|row| expr.value(row)).collect();
        let Ok(expected) = expected else { return Ok(()) };
        let spec = MergeSpec {
            on: vec!["k".into()],
            clauses: vec![
                MergeClause::new(MergeWhen::NotMatchedBySource, MergeAction::Delete).with_condition(sql.clone()),
            ],
            ..MergeSpec::default()
        };
        let target = halves(&rows.iter().map(|r| r.target.clone()).collect::<Vec<_>>());
        let merge = bind(&spec, &target.schema(), &table(), 0).unwrap();
        let filter = merge.others.bind(&table(), true).unwrap();
        let kept = keep(&evaluate(&filter, &target, &|_| None).unwrap());
        for (row, value) in expected.iter().enumerate() {
            prop_assert!(kept.value(row) || *value != V::Bool(true), "{} as {}", sql, merge.others);
        }
    }
}

fn parse(sql: &str) -> Result<BoundMerge> {
    let (_, spec) = MergeSpec::parse(&format!("MERGE INTO target USING source ON {sql}"))?;
    bind(&spec, &halves(&[]).schema(), &table(), 1_700_000_000_000_000)
}

#[test]
fn conditions_of_on_are_divided_into_keys_and_the_rest() {
    let merge = parse("target.k = source.n AND target.p.n <=> source.k AND target.t = 'x' AND source.b AND source.d < target.d WHEN MATCHED THEN DELETE").unwrap();
    assert_eq!(merge.keys.iter().map(|k| k.name.as_str()).collect::<Vec<_>>(), ["k", "p.n"]);
    assert_eq!(merge.matching.to_string(), "t = 'x'");
    assert!(merge.on.is_some() && merge.source.mask() == Some(2));
    for unsupported in ["target.k < source.k", "FALSE", "target.k = 5", "target.k = target.n"] {
        let error = parse(&format!("{unsupported} WHEN MATCHED THEN DELETE")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{unsupported}");
    }
}

#[test]
fn null_and_nan_match_only_where_the_operator_says_so() {
    let rows = [
        Half { k: None, n: Some(1), d: Some(f64::NAN), t: None, b: None },
        Half { k: Some(1), n: Some(1), d: Some(1.0), t: None, b: None },
    ];
    let can_match = |on: &str| {
        let merge = parse(&format!("{on} WHEN MATCHED THEN DELETE")).unwrap();
        let ready = merge.source.prepare(&halves(&rows)).unwrap();
        merge.source.mask().map(|mask| ready.column(mask).as_boolean().clone())
    };
    assert_eq!(can_match("target.k <=> source.k"), None);
    assert_eq!(can_match("target.d IS NOT DISTINCT FROM source.d"), None);
    assert_eq!(can_match("target.k = source.k"), Some(vec![false, true].into()));
    assert_eq!(can_match("target.d = source.d"), Some(vec![false, true].into()));
    // A value that the column cannot hold equals none of its values.
    assert_eq!(can_match("target.k = source.d + 0.5"), Some(vec![false, false].into()));
    assert_eq!(can_match("target.k = source.d"), Some(vec![false, true].into()));
}

#[test]
fn what_is_wrong_is_told_before_anything_is_read() {
    let cases = [
        ("target.k = source.k WHEN MATCHED AND x = 1 THEN DELETE", "no column 'x'"),
        ("target.k = source.k WHEN MATCHED AND k = 1 THEN DELETE", "in the source and in the table"),
        (
            "target.k = source.k WHEN MATCHED AND source.t > 1 THEN DELETE",
            "string and int do not go together",
        ),
        ("target.k = source.k WHEN MATCHED AND source.k THEN DELETE", "must be a boolean, and is long"),
        ("target.k = source.k WHEN MATCHED THEN UPDATE SET n = source.t", "is long, and cannot take string"),
        ("target.k = source.k WHEN MATCHED THEN UPDATE SET z = 1", "no column 'z'"),
        ("target.k = source.k WHEN MATCHED THEN UPDATE SET p.n = 1", "field of a struct"),
        ("target.k = source.k WHEN MATCHED THEN DELETE WHEN MATCHED THEN UPDATE SET *", "has no condition"),
        ("target.k = source.k WHEN MATCHED THEN INSERT *", "INSERT cannot follow WHEN MATCHED"),
        ("target.k = source.k WHEN NOT MATCHED THEN INSERT (k) VALUES (target.k)", "cannot be named"),
        ("target.k = source.k WHEN NOT MATCHED BY SOURCE THEN UPDATE SET n = source.n", "cannot be named"),
        ("target.k = source.t WHEN MATCHED THEN DELETE", "is long, and is joined by string"),
        (
            "target.k = source.k WHEN MATCHED AND sqrt(target.d) > 1 THEN DELETE",
            "does not know the function sqrt",
        ),
        (
            "target.k = source.k WHEN MATCHED AND DATE 'secret' > DATE '2024-01-01' THEN DELETE",
            "read as date",
        ),
        (
            "target.k = source.k WHEN MATCHED AND CAST('secret' AS INT) > 1 THEN DELETE",
            "cannot be read as int",
        ),
    ];
    for (sql, part) in cases {
        let error = parse(sql).unwrap_err();
        assert!(error.to_string().contains(part), "{sql}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn values_are_stored_as_ansi_sql_allows() {
    let table = {
        let optional = |id, name: &str, ty| NestedField::optional(id, name, Type::Primitive(ty)).into();
        let fields = [
            optional(1, "k", PrimitiveType::Long),
            optional(2, "i", PrimitiveType::Int),
            optional(3, "m", PrimitiveType::Decimal { precision: 5, scale: 2 }),
            optional(4, "day", PrimitiveType::Date),
            optional(5, "at", PrimitiveType::Timestamptz),
            optional(6, "u", PrimitiveType::Uuid),
            optional(7, "s", PrimitiveType::String),
        ];
        Schema::builder().with_fields(fields).build().unwrap()
    };
    let source: RecordBatch = RecordBatch::try_from_iter([
        ("k", Arc::new(Int64Array::from(vec![1, 3_000_000_000])) as Arc<dyn Array>),
        ("text", Arc::new(StringArray::from(vec!["7", "x"]))),
    ])
    .unwrap();
    let insert = |column: &str, value: &str, rows: usize| {
        let action = MergeAction::Insert([(column.to_owned(), value.to_owned())].into());
        let clauses = vec![MergeClause::new(MergeWhen::NotMatched, action)];
        let spec = MergeSpec { on: vec!["k".into()], clauses, ..MergeSpec::default() };
        let merge = bind(&spec, &source.schema(), &table, 1_700_000_000_000_000)?;
        let source = merge.source.prepare(&source.slice(0, rows))?;
        let pair = RowPair { source: Some(source), target: None, rows };
        let applied = apply(&merge.rules.not_matched, &pair, &merge.schema)?;
        let written = applied.written[0].column_by_name(column).unwrap().clone();
        Ok::<_, Error>(arrow_cast::display::array_value_to_string(&written, rows - 1).unwrap())
    };
    let good = [
        ("i", "source.k", "1"),
        ("i", "CAST(source.text AS INT) + 1", "8"),
        ("m", "source.k + 0.555", "1.56"),
        ("m", "1.5 / 4", "0.38"),
        ("day", "'2024-02-29'", "2024-02-29"),
        ("day", "TIMESTAMP '2024-02-29 13:00:00'", "2024-02-29"),
        ("at", "'2024-02-29 12:00:00'", "2024-02-29T12:00:00Z"),
        ("at", "current_timestamp", "2023-11-14T22:13:20Z"),
        ("at", "now()", "2023-11-14T22:13:20Z"),
        ("u", "'00000000-0000-0000-0000-0000000000ff'", "000000000000000000000000000000ff"),
        ("s", "source.k", "1"),
        ("s", "concat(source.k, '-', DATE '2024-01-02')", "1-2024-01-02"),
        ("s", "CASE WHEN source.k > 1 THEN 'many' WHEN source.k = 1 THEN trim('  one ') END", "one"),
    ];
    for (column, value, expected) in good {
        assert_eq!(insert(column, value, 1).unwrap(), expected, "{column} = {value}");
    }
    for (column, value) in [
        ("i", "source.k"),
        ("i", "source.k * 9223372036854775807"),
        ("i", "CAST(source.text AS INT)"),
        ("m", "source.k"),
        ("i", "2147483647 + CAST(source.k AS INT)"),
        ("i", "10 / (source.k - 3000000000)"),
    ] {
        let error = insert(column, value, 2).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation, "{value}");
        assert!(error.message().starts_with(&format!("column '{column}'")), "{error}");
        assert!(!error.to_string().contains("3000000000"), "{error}");
    }
    for (column, value) in [("day", "source.k"), ("at", "DATE '2024-01-01'"), ("u", "'abc'"), ("i", "TRUE")] {
        assert!(insert(column, value, 1).is_err(), "{column} = {value}");
    }
}
