//! Tests of pruning: against brute force over generated rows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use iceberg::arrow::arrow_primitive_to_literal;
use iceberg::spec::{
    Datum, FieldSummary, Literal, NestedField, PartitionSpec, PrimitiveType, Schema, Struct, Transform, Type,
};
use iceberg::transform::create_transform_function;
use proptest::prelude::*;

use super::*;
use crate::eval::evaluate;
use crate::expr::{BoundExpr, CompareOp, Expr, Value};

type Row = (Option<i64>, Option<f64>, Option<String>, Option<i64>);

fn schema() -> Schema {
    let fields = [
        NestedField::optional(1, "i", Type::Primitive(PrimitiveType::Long)),
        NestedField::optional(2, "f", Type::Primitive(PrimitiveType::Double)),
        NestedField::optional(3, "s", Type::Primitive(PrimitiveType::String)),
        NestedField::optional(4, "t", Type::Primitive(PrimitiveType::Timestamp)),
    ];
    Schema::builder().with_fields(fields.map(Arc::new)).build().unwrap()
}

fn numbers() -> impl Strategy<Value = i64> {
    prop_oneof![6 => -12..12_i64, 1 => any::<i64>(), 1 => Just(i64::MIN), 1 => Just(i64::MAX)]
}

fn floats() -> impl Strategy<Value = f64> {
    prop::sample::select(vec![f64::NAN, f64::NEG_INFINITY, -2.5, -0.0, 0.0, 1.0, 2.5, f64::INFINITY])
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[aøz\u{10ffff}]{0,3}",
        1 => ("[aøz]{15,17}", 50..80_usize).prop_map(|(s, n)| s + &"q".repeat(n)),
    ]
}

/// Around the epoch, down to the microsecond; far enough for months and years.
fn times() -> impl Strategy<Value = i64> {
    prop_oneof![
        (-40..40_i64, -2..2_i64).prop_map(|(hours, micros)| hours * 3_600_000_000 + micros),
        (-900..900_i64, 0..2_000_000_i64).prop_map(|(days, micros)| days * 86_400_000_000 + micros),
    ]
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (
        prop::option::weighted(0.8, numbers()),
        prop::option::weighted(0.8, floats()),
        prop::option::weighted(0.8, texts()),
        prop::option::weighted(0.8, times()),
    );
    prop::collection::vec(row, 1..5)
}

fn ops() -> impl Strategy<Value = CompareOp> {
    use CompareOp::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    prop::sample::select(vec![Eq, NotEq, Lt, LtEq, Gt, GtEq])
}

fn filters() -> impl Strategy<Value = Expr> {
    let at = |micros: i64| chrono::DateTime::from_timestamp_micros(micros).unwrap().naive_utc();
    let leaf = prop_oneof![
        (ops(), numbers()).prop_map(|(op, v)| Expr::column("i").compare(op, v)),
        (ops(), floats()).prop_map(|(op, v)| Expr::column("f").compare(op, v)),
        (ops(), texts()).prop_map(|(op, v)| Expr::column("s").compare(op, v)),
        (ops(), times()).prop_map(move |(op, v)| Expr::column("t").compare(op, at(v))),
        prop::collection::vec(numbers(), 1..12).prop_map(|v| Expr::column("i").is_in(v)),
        prop::collection::vec(texts(), 1..4).prop_map(|v| Expr::column("s").is_in(v)),
        texts().prop_map(|v| Expr::column("s").starts_with(v.chars().take(2).collect::<String>())),
        prop::sample::select(vec!["i", "f", "s", "t"]).prop_map(|c| Expr::column(c).is_null()),
        Just(Expr::column("f").is_nan()),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|e| !e),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::all),
            prop::collection::vec(inner, 2..4).prop_map(Expr::any),
        ]
    })
}

fn columns(rows: &[Row]) -> [ArrayRef; 4] {
    [
        Arc::new(rows.iter().map(|r| r.0).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|r| r.1).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|r| r.2.clone()).collect::<StringArray>()),
        Arc::new(rows.iter().map(|r| r.3).collect::<TimestampMicrosecondArray>()),
    ]
}

fn run(filter: &BoundExpr, rows: &[Row]) -> BooleanArray {
    let columns = columns(rows);
    let names = ["i", "f", "s", "t"];
    let batch = RecordBatch::try_from_iter(names.into_iter().zip(columns.clone())).unwrap();
    evaluate(filter, &batch, &|id| columns.get(id as usize - 1).cloned()).unwrap()
}

/// Metrics as a good writer makes them: strings truncated to 16 characters, the upper bound rounded up.
#[derive(Default)]
struct Metrics {
    rows: u64,
    nulls: HashMap<i32, u64>,
    nans: HashMap<i32, u64>,
    bounds: HashMap<i32, (Option<Datum>, Option<Datum>)>,
}

impl FileMetrics for Metrics {
    fn record_count(&self) -> u64 {
        self.rows
    }
    fn value_count(&self, _: i32) -> Option<u64> {
        Some(self.rows)
    }
    fn null_count(&self, id: i32) -> Option<u64> {
        self.nulls.get(&id).copied()
    }
    fn nan_count(&self, id: i32) -> Option<u64> {
        self.nans.get(&id).copied()
    }
    fn lower(&self, id: i32, _: &PrimitiveType) -> Option<Datum> {
        self.bounds.get(&id)?.0.clone()
    }
    fn upper(&self, id: i32, _: &PrimitiveType) -> Option<Datum> {
        self.bounds.get(&id)?.1.clone()
    }
}

fn rounded_up(text: &str) -> Option<String> {
    let mut cut: Vec<char> = text.chars().take(16).collect();
    if cut.len() == text.chars().count() {
        return Some(text.to_owned());
    }
    while let Some(last) = cut.pop() {
        if let Some(next) = (last as u32 + 1..=char::MAX as u32).find_map(char::from_u32) {
            cut.push(next);
            return Some(cut.into_iter().collect());
        }
    }
    None
}

/// `known` says, bit by bit, which metrics are there at all.
fn metrics(rows: &[Row], known: u8) -> Metrics {
    let mut out = Metrics { rows: rows.len() as u64, ..Metrics::default() };
    for (id, column) in (1..).zip(columns(rows)) {
        if known & 1 != 0 {
            out.nulls.insert(id, column.null_count() as u64);
        }
    }
    let floats = || rows.iter().filter_map(|r| r.1);
    if known & 2 != 0 {
        out.nans.insert(2, floats().filter(|v| v.is_nan()).count() as u64);
    }
    if known & 4 != 0 {
        let i = || rows.iter().filter_map(|r| r.0);
        out.bounds.insert(1, (i().min().map(Datum::long), i().max().map(Datum::long)));
        let t = || rows.iter().filter_map(|r| r.3);
        out.bounds
            .insert(4, (t().min().map(Datum::timestamp_micros), t().max().map(Datum::timestamp_micros)));
        // An old writer leaves NaN as a bound.
        let old = known & 8 != 0;
        let f = || floats().filter(|v| old || !v.is_nan());
        let bound = |v: Option<f64>| v.map(Datum::double);
        out.bounds.insert(2, (bound(f().min_by(f64::total_cmp)), bound(f().max_by(f64::total_cmp))));
        let s = || rows.iter().filter_map(|r| r.2.clone());
        let lower = s().min().map(|v| Datum::string(v.chars().take(16).collect::<String>()));
        out.bounds.insert(3, (lower, s().max().and_then(|v| rounded_up(&v)).map(Datum::string)));
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn metrics_never_drop_a_matching_row_and_never_claim_another(
        rows in rows(), filter in filters(), known in 0..16_u8,
    ) {
        let filter = filter.bind(&schema(), true).unwrap();
        let result = run(&filter, &rows);
        let metrics = metrics(&rows, known);
        let pruner = MetricsPruner::new(&filter);
        prop_assert!(result.true_count() == 0 || pruner.may_match(&metrics));
        if StrictMetrics::new(&filter).all_match(&metrics) {
            prop_assert_eq!(result.true_count(), rows.len());
        }
        prop_assert_eq!(&run(&pruner.residual(&metrics), &rows), &result);
    }

    #[test]
    fn partitions_never_drop_a_matching_row_and_never_claim_another(
        rows in rows(), filter in filters(), width in 1..7_u32, known in 0..16_u8,
    ) {
        let filter = filter.bind(&schema(), true).unwrap();
        let result = run(&filter, &rows);
        let cases = [
            ("i", Transform::Identity), ("i", Transform::Bucket(width)), ("i", Transform::Truncate(width)),
            ("s", Transform::Identity), ("s", Transform::Bucket(width)), ("s", Transform::Truncate(width)),
            ("t", Transform::Identity), ("t", Transform::Bucket(width)), ("t", Transform::Year),
            ("t", Transform::Month), ("t", Transform::Day), ("t", Transform::Hour), ("i", Transform::Void),
            ("f", Transform::Identity),
        ];
        let columns = columns(&rows);
        for (name, transform) in cases {
            if matches!(transform, Transform::Truncate(_)) && rows.iter().any(|r| r.0.is_some_and(|v| v < i64::MIN + 9)) {
                // The library's own truncation panics there.
                continue;
            }
            let schema = schema();
            let source = schema.field_by_name(name).unwrap();
            let spec = PartitionSpec::builder(schema.clone())
                .add_partition_field(name, format!("{name}_p"), transform).unwrap().build().unwrap();
            let values: Vec<Option<Literal>> = if transform == Transform::Void {
                vec![None; rows.len()]
            } else {
                let array = create_transform_function(&transform).unwrap()
                    .transform(columns[source.id as usize - 1].clone()).unwrap();
                let ty = transform.result_type(&source.field_type).unwrap();
                arrow_primitive_to_literal(&array, &ty).unwrap()
            };
            let pruner = PartitionPruner::new(&filter, &spec);
            let mut of_files = FilePruner::new(&filter, &spec);
            for (row, value) in values.iter().enumerate() {
                let partition = Struct::from_iter([value.clone()]);
                let matches = result.is_valid(row) && result.value(row);
                prop_assert!(!matches || pruner.may_match(&partition), "{} {}", name, transform);
                prop_assert!(matches || !pruner.all_match(&partition), "{} {}", name, transform);
                let one = &rows[row..=row];
                let verdict = of_files.judge(&partition, &metrics(one, known));
                prop_assert!(!matches || verdict.may_match(), "{} {}", name, transform);
                prop_assert!(matches || verdict != Verdict::All, "{} {}", name, transform);
                prop_assert_eq!(&run(&pruner.residual(&partition), one), &result.slice(row, 1));
            }
            let ty = transform.result_type(&source.field_type).unwrap();
            let ty = ty.as_primitive_type().unwrap();
            let mut plain: Vec<(Value, Vec<u8>)> = values.iter().flatten().filter_map(|v| {
                let Literal::Primitive(v) = v else { return None };
                let value = Value::from_literal(v, None, ty)?;
                let bytes = value.to_datum(ty)?.to_bytes().unwrap().to_vec();
                (!value.is_nan()).then_some((value, bytes))
            }).collect();
            plain.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap());
            let summary = FieldSummary {
                contains_null: values.iter().any(Option::is_none),
                contains_nan: None,
                lower_bound: plain.first().map(|v| v.1.clone().into()),
                upper_bound: plain.last().map(|v| v.1.clone().into()),
            };
            prop_assert!(
                result.true_count() == 0 || ManifestPruner::new(&filter, &spec).may_match(Some(&[summary])),
                "manifest {} {}", name, transform
            );
        }
    }
}

#[test]
fn a_bound_written_before_the_column_was_widened_still_prunes() {
    let filter = Expr::column("i").gt(5).bind(&schema(), true).unwrap();
    let bounds = [(1, (Some(Datum::int(1)), Some(Datum::int(5))))].into();
    assert!(!MetricsPruner::new(&filter).may_match(&Metrics { rows: 1, bounds, ..Metrics::default() }));
}

#[test]
fn a_time_that_was_placed_a_day_late_is_found() {
    // Half a second before midnight: some writers round it up to the day after.
    let micros = -86_400_500_000;
    let spec = PartitionSpec::builder(schema())
        .add_partition_field("t", "d", Transform::Day)
        .unwrap()
        .build()
        .unwrap();
    let at = chrono::DateTime::from_timestamp_micros(micros).unwrap().naive_utc();
    let pruner = PartitionPruner::new(&Expr::column("t").eq(at).bind(&schema(), true).unwrap(), &spec);
    for (day, expected) in [(-3, false), (-2, true), (-1, true), (0, false), (1, false)] {
        assert_eq!(pruner.may_match(&Struct::from_iter([Some(Literal::date(day))])), expected, "{day}");
    }
}
