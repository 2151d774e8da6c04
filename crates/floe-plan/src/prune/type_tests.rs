//! Tests of pruning for every primitive type and transform, with partitions as the writer lays them out.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch};
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{
    Datum, FieldSummary, Literal, NestedField, PartitionSpec, PrimitiveType, Schema, Struct, Transform, Type,
};
use proptest::prelude::*;

use super::*;
use crate::constant::repeat;
use crate::eval::evaluate;
use crate::expr::{BoundExpr, BoundLeaf, CompareOp, Test, Value};
use crate::rows::bounds::{truncate_bytes, truncate_bytes_up, truncate_str, truncate_str_up};
use crate::rows::partition::Partitioner;

fn types() -> Vec<PrimitiveType> {
    use PrimitiveType as T;
    vec![
        T::Boolean,
        T::Int,
        T::Long,
        T::Float,
        T::Double,
        T::Decimal { precision: 9, scale: 2 },
        T::Decimal { precision: 38, scale: 0 },
        T::Date,
        T::Time,
        T::Timestamp,
        T::Timestamptz,
        T::TimestampNs,
        T::TimestamptzNs,
        T::String,
        T::Uuid,
        T::Fixed(3),
        T::Binary,
    ]
}

fn value(ty: &PrimitiveType) -> BoxedStrategy<Value> {
    use PrimitiveType as T;
    let byte = || prop::sample::select(vec![0_u8, 1, 0x7f, 0x80, 0xff]);
    match ty {
        T::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        T::Int => prop_oneof![
            4 => -12..12_i64,
            1 => (0..9_i64).prop_map(|n| i64::from(i32::MIN) + n),
            1 => (0..9_i64).prop_map(|n| i64::from(i32::MAX) - n),
        ]
        .prop_map(Value::Integer)
        .boxed(),
        T::Long => prop_oneof![
            4 => -12..12_i64,
            1 => (-9..9_i64).prop_map(|n| i64::from(i32::MAX) + n),
            1 => (0..9_i64).prop_map(|n| i64::MIN + n),
            1 => (0..9_i64).prop_map(|n| i64::MAX - n),
        ]
        .prop_map(Value::Integer)
        .boxed(),
        T::Float | T::Double => {
            let some = vec![f64::NAN, f64::NEG_INFINITY, -1.5, -0.0, 0.0, 2.0, f64::INFINITY];
            prop::sample::select(some).prop_map(Value::Float).boxed()
        }
        T::Decimal { precision, .. } => {
            let most = 10_i128.pow(*precision) - 1;
            prop_oneof![
                -1300..1300_i128,
                (0..9_i128).prop_map(move |n| most - n),
                (0..9_i128).prop_map(move |n| n - most)
            ]
            .prop_map(Value::Decimal)
            .boxed()
        }
        T::Date => prop_oneof![4 => -900..900_i64, 1 => any::<i32>().prop_map(i64::from)]
            .prop_map(Value::Integer)
            .boxed(),
        T::Time => (0..86_400_000_000_i64).prop_map(Value::Integer).boxed(),
        T::Timestamp | T::Timestamptz | T::TimestampNs | T::TimestamptzNs => {
            let day = crate::expr::units_per_day(ty).unwrap();
            let far = if day == 86_400_000_000 { 200_000 * 365 * day } else { i64::MAX };
            prop_oneof![
                2 => (-900..900_i64, -2..2_i64).prop_map(move |(days, units)| days * day + units),
                2 => (-40..40_i64, -2..2_i64).prop_map(move |(hours, units)| hours * (day / 24) + units),
                1 => -far..far,
            ]
            .prop_map(Value::Integer)
            .boxed()
        }
        T::String => prop_oneof![
            4 => "[aøz\u{d7ff}\u{e000}\u{10ffff}]{0,4}",
            1 => ("[aøz\u{10ffff}]{15,17}", 50..80_usize).prop_map(|(s, n)| s + &"q".repeat(n)),
        ]
        .prop_map(Value::String)
        .boxed(),
        T::Uuid => (byte(), byte(), byte())
            .prop_map(|(a, b, c)| {
                let mut bytes = vec![0; 16];
                (bytes[0], bytes[8], bytes[15]) = (a, b, c);
                Value::Bytes(bytes)
            })
            .boxed(),
        T::Fixed(length) => prop::collection::vec(byte(), *length as usize).prop_map(Value::Bytes).boxed(),
        T::Binary => prop_oneof![
            4 => prop::collection::vec(byte(), 0..5),
            1 => prop::collection::vec(byte(), 15..30),
        ]
        .prop_map(Value::Bytes)
        .boxed(),
    }
}

#[derive(Debug, Clone)]
struct Case {
    ty: PrimitiveType,
    values: Vec<Option<Value>>,
    filter: BoundExpr,
}

fn cases() -> impl Strategy<Value = Case> {
    prop::sample::select(types()).prop_flat_map(|ty| {
        let values = prop::collection::vec(prop::option::weighted(0.8, value(&ty)), 1..5);
        // Values of the filter are often values of the column.
        (values, Just(ty)).prop_flat_map(|(values, ty)| {
            let there: Vec<Value> = values.iter().flatten().cloned().collect();
            let with = match there.is_empty() {
                true => value(&ty),
                false => prop_oneof![value(&ty), prop::sample::select(there)].boxed(),
            };
            (filter(ty.clone(), with), Just(values), Just(ty)).prop_map(|(filter, values, ty)| Case {
                ty,
                values,
                filter,
            })
        })
    })
}

fn filter(ty: PrimitiveType, with: BoxedStrategy<Value>) -> impl Strategy<Value = BoundExpr> {
    use CompareOp::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    let ops = prop::sample::select(vec![Eq, NotEq, Lt, LtEq, Gt, GtEq]);
    let sorted = |mut list: Vec<Value>| {
        list.retain(|v| !v.is_nan());
        list.sort_by(|a, b| a.partial_cmp(b).unwrap());
        list.dedup();
        if list.is_empty() { Test::NotNullIs(false) } else { Test::In(list.into()) }
    };
    let mut tests = vec![
        (ops, with.clone()).prop_map(|(op, v)| Test::Compare(op, v)).boxed(),
        prop::collection::vec(with.clone(), 1..6).prop_map(sorted).boxed(),
        Just(Test::IsNull).boxed(),
        any::<bool>().prop_map(Test::NotNullIs).boxed(),
    ];
    match ty {
        PrimitiveType::String => tests.push(
            with.prop_map(|v| match v {
                Value::String(text) => Test::StartsWith(text.chars().take(2).collect()),
                other => panic!("{other:?} is no string"),
            })
            .boxed(),
        ),
        PrimitiveType::Float | PrimitiveType::Double => tests.push(Just(Test::IsNan).boxed()),
        _ => {}
    }
    let leaf = proptest::strategy::Union::new(tests).prop_map(move |test| {
        BoundExpr::Leaf(BoundLeaf {
            field_id: 1,
            column: "c".to_owned(),
            field_type: ty.clone(),
            required: false,
            test,
        })
    });
    leaf.prop_recursive(3, 6, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|e| !e),
            prop::collection::vec(inner.clone(), 2..4).prop_map(BoundExpr::all),
            prop::collection::vec(inner, 2..4).prop_map(BoundExpr::any),
        ]
    })
}

fn schema(ty: &PrimitiveType) -> Schema {
    let field = NestedField::optional(1, "c", Type::Primitive(ty.clone())).into();
    Schema::builder().with_fields([field]).build().unwrap()
}

fn literal(value: &Value, ty: &PrimitiveType) -> Literal {
    Literal::Primitive(value.to_datum(ty).unwrap().literal().clone())
}

fn batch(case: &Case) -> RecordBatch {
    let arrow = Arc::new(schema_to_arrow_schema(&schema(&case.ty)).unwrap());
    let one = |value: &Option<Value>| {
        let literal = value.as_ref().map(|v| literal(v, &case.ty));
        repeat(literal.as_ref(), arrow.field(0).data_type(), 1).unwrap()
    };
    let parts: Vec<ArrayRef> = case.values.iter().map(one).collect();
    let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    RecordBatch::try_new(arrow.clone(), vec![arrow_select::concat::concat(&parts).unwrap()]).unwrap()
}

fn run(filter: &BoundExpr, batch: &RecordBatch) -> BooleanArray {
    evaluate(filter, batch, &|id| (id == 1).then(|| batch.column(0).clone())).unwrap()
}

fn transforms(ty: &PrimitiveType, width: u32) -> Vec<Transform> {
    use Transform::{Bucket, Day, Hour, Identity, Month, Truncate, Void, Year};
    [Identity, Bucket(width), Truncate(width), Year, Month, Day, Hour, Void]
        .into_iter()
        .filter(|transform| transform.result_type(&Type::Primitive(ty.clone())).is_ok())
        .collect()
}

fn spec(ty: &PrimitiveType, transform: Transform) -> PartitionSpec {
    PartitionSpec::builder(schema(ty)).add_partition_field("c", "p", transform).unwrap().build().unwrap()
}

/// The order of plain values; `signed` for that of two signed numbers, as some writers order UUIDs.
fn order(a: &Value, b: &Value, signed: bool) -> Ordering {
    let numbers = |v: &Value| {
        let bytes = v.as_ordered_bytes().unwrap();
        let half = |at: usize| i64::from_be_bytes(bytes[at..at + 8].try_into().unwrap());
        (half(0), half(8))
    };
    if signed { numbers(a).cmp(&numbers(b)) } else { a.partial_cmp(b).unwrap() }
}

/// The partition summary of a manifest, as its writer makes it.
fn summary(partitions: &[Struct], ty: &PrimitiveType, signed: bool) -> FieldSummary {
    let values: Vec<Option<&Literal>> = partitions.iter().map(|p| p.fields()[0].as_ref()).collect();
    let read: Vec<Value> = values
        .iter()
        .flatten()
        .map(|v| Value::from_literal(&v.as_primitive_literal().unwrap(), None, ty).unwrap())
        .collect();
    let mut plain: Vec<&Value> = read.iter().filter(|v| !v.is_nan()).collect();
    plain.sort_by(|a, b| order(a, b, signed));
    let bytes = |v: Option<&&Value>| v.map(|v| v.to_datum(ty).unwrap().to_bytes().unwrap());
    FieldSummary {
        contains_null: values.iter().any(Option::is_none),
        contains_nan: Some(read.iter().any(Value::is_nan)),
        lower_bound: bytes(plain.first()),
        upper_bound: bytes(plain.last()),
    }
}

struct Metrics {
    rows: u64,
    nulls: Option<u64>,
    nans: Option<u64>,
    bounds: HashMap<bool, Datum>,
}

impl FileMetrics for Metrics {
    fn record_count(&self) -> u64 {
        self.rows
    }
    fn value_count(&self, _: i32) -> Option<u64> {
        self.nulls.map(|_| self.rows)
    }
    fn null_count(&self, _: i32) -> Option<u64> {
        self.nulls
    }
    fn nan_count(&self, _: i32) -> Option<u64> {
        self.nans
    }
    fn lower(&self, _: i32, _: &PrimitiveType) -> Option<Datum> {
        self.bounds.get(&false).cloned()
    }
    fn upper(&self, _: i32, _: &PrimitiveType) -> Option<Datum> {
        self.bounds.get(&true).cloned()
    }
}

/// Metrics with bounds cut to `width`; `known` says, bit by bit, which there are.
fn metrics(case: &Case, known: u8, width: usize) -> Metrics {
    let signed = known & 16 != 0 && case.ty == PrimitiveType::Uuid;
    let plain = || case.values.iter().flatten().filter(|v| !v.is_nan());
    let least = plain().min_by(|a, b| order(a, b, signed)).map(|v| match v {
        Value::String(v) => Value::String(truncate_str(v, width).to_owned()),
        Value::Bytes(v) if case.ty == PrimitiveType::Binary => {
            Value::Bytes(truncate_bytes(v, width).to_vec())
        }
        other => other.clone(),
    });
    let greatest = plain().max_by(|a, b| order(a, b, signed)).and_then(|v| match v {
        Value::String(v) => truncate_str_up(v, width).map(Value::String),
        Value::Bytes(v) if case.ty == PrimitiveType::Binary => truncate_bytes_up(v, width).map(Value::Bytes),
        other => Some(other.clone()),
    });
    let nulls = case.values.iter().filter(|v| v.is_none()).count() as u64;
    let nans = case.values.iter().flatten().filter(|v| v.is_nan()).count() as u64;
    let mut bounds = HashMap::new();
    bounds.extend(least.filter(|_| known & 4 != 0).map(|v| (false, v.to_datum(&case.ty).unwrap())));
    bounds.extend(greatest.filter(|_| known & 8 != 0).map(|v| (true, v.to_datum(&case.ty).unwrap())));
    Metrics {
        rows: case.values.len() as u64,
        nulls: (known & 1 != 0).then_some(nulls),
        nans: (known & 2 != 0).then_some(nans),
        bounds,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn metrics_of_every_type_are_safe(case in cases(), known in 0..32_u8, width in 1..4_usize) {
        let batch = batch(&case);
        let result = run(&case.filter, &batch);
        let metrics = metrics(&case, known, width);
        let pruner = MetricsPruner::new(&case.filter);
        prop_assert!(result.true_count() == 0 || pruner.may_match(&metrics), "{:?} was pruned", case.ty);
        let all = StrictMetrics::new(&case.filter).all_match(&metrics);
        prop_assert!(!all || result.true_count() == batch.num_rows(), "{:?} was claimed", case.ty);
        prop_assert_eq!(&run(&pruner.residual(&metrics), &batch), &result);
    }

    #[test]
    fn partitions_of_every_type_and_transform_are_safe(case in cases(), width in 1..7_u32, signed: bool) {
        let batch = batch(&case);
        let result = run(&case.filter, &batch);
        for transform in transforms(&case.ty, width) {
            let spec = spec(&case.ty, transform);
            let mut partitioner = Partitioner::new(&spec, &schema(&case.ty)).unwrap();
            let ids = partitioner.assign(&batch).unwrap();
            let partitions: Vec<Struct> = ids.iter().map(|id| partitioner.values(*id)).collect();
            let pruner = PartitionPruner::new(&case.filter, &spec);
            for (row, partition) in partitions.iter().enumerate() {
                let matches = result.is_valid(row) && result.value(row);
                prop_assert!(!matches || pruner.may_match(partition), "{} {}: pruned", case.ty, transform);
                prop_assert!(matches || !pruner.all_match(partition), "{} {}: claimed", case.ty, transform);
                let one = run(&pruner.residual(partition), &batch.slice(row, 1));
                prop_assert_eq!(&one, &result.slice(row, 1), "{} {}", case.ty, transform);
            }
            let ty = transform.result_type(&Type::Primitive(case.ty.clone())).unwrap();
            let summary = summary(&partitions, ty.as_primitive_type().unwrap(), signed && transform == Transform::Identity && case.ty == PrimitiveType::Uuid);
            let may = ManifestPruner::new(&case.filter, &spec).may_match(Some(&[summary]));
            prop_assert!(result.true_count() == 0 || may, "{} {}: manifest pruned", case.ty, transform);
        }
    }
}

fn leaf(ty: &PrimitiveType, test: Test) -> BoundExpr {
    BoundExpr::Leaf(BoundLeaf {
        field_id: 1,
        column: "c".to_owned(),
        field_type: ty.clone(),
        required: false,
        test,
    })
}

/// Safety alone would hold for a pruner that never prunes: each transform has to prune what lies elsewhere.
#[test]
fn every_transform_prunes_the_partitions_of_other_values() {
    let day = 86_400_000_000_000;
    let cases = [
        (PrimitiveType::TimestampNs, Value::Integer(-day - 1), Value::Integer(900 * day)),
        (PrimitiveType::Timestamptz, Value::Integer(0), Value::Integer(900 * (day / 1000))),
        (PrimitiveType::Date, Value::Integer(-500), Value::Integer(500)),
        (PrimitiveType::Long, Value::Integer(-7), Value::Integer(78)),
        (PrimitiveType::Decimal { precision: 9, scale: 2 }, Value::Decimal(-7), Value::Decimal(78)),
        (PrimitiveType::String, Value::String("øa".into()), Value::String("xb".into())),
        (PrimitiveType::Binary, Value::Bytes(vec![0xff, 1]), Value::Bytes(vec![1, 1])),
    ];
    for (ty, here, elsewhere) in cases {
        let case = Case { ty: ty.clone(), values: vec![Some(here.clone())], filter: BoundExpr::True };
        let batch = batch(&case);
        for transform in transforms(&ty, 5).into_iter().filter(|t| *t != Transform::Void) {
            // Bucket 5 puts both of some pairs together; then there is nothing to prune.
            let transform =
                if let Transform::Bucket(_) = transform { Transform::Bucket(1 << 20) } else { transform };
            let transform =
                if let Transform::Truncate(_) = transform { Transform::Truncate(1) } else { transform };
            let spec = spec(&ty, transform);
            let mut partitioner = Partitioner::new(&spec, &schema(&ty)).unwrap();
            let id = partitioner.assign(&batch).unwrap()[0];
            let partition = partitioner.values(id);
            let may = |test| PartitionPruner::new(&leaf(&ty, test), &spec).may_match(&partition);
            assert!(may(Test::Compare(CompareOp::Eq, here.clone())), "{ty} {transform}");
            assert!(!may(Test::Compare(CompareOp::Eq, elsewhere.clone())), "{ty} {transform}");
            assert!(!may(Test::In([elsewhere.clone()].into())), "{ty} {transform}");
            assert!(!may(Test::IsNull), "{ty} {transform}");
        }
    }
}

#[test]
fn a_long_list_is_pruned_by_its_stretch_within_the_bounds() {
    let ty = PrimitiveType::Long;
    let list =
        |range: std::ops::Range<i64>| leaf(&ty, Test::In(range.map(|n| Value::Integer(n * 10)).collect()));
    let bounds = [(false, Datum::long(5)), (true, Datum::long(9))].into();
    let metrics = Metrics { rows: 2, nulls: Some(0), nans: None, bounds };
    assert!(!MetricsPruner::new(&list(0..100_000)).may_match(&metrics));
    let bounds = [(false, Datum::long(5)), (true, Datum::long(10))].into();
    let metrics = Metrics { rows: 2, nulls: Some(0), nans: None, bounds };
    assert!(MetricsPruner::new(&list(0..100_000)).may_match(&metrics));
    assert!(!MetricsPruner::new(&list(2..100_000)).may_match(&metrics));
    assert!(!StrictMetrics::new(&list(0..100_000)).all_match(&metrics));
}

/// iceberg-python #3498 and #3921: a file of NULL or NaN was taken to match as a whole.
#[test]
fn a_file_with_null_or_nan_is_never_claimed_by_a_comparison() {
    let ty = PrimitiveType::Double;
    let bounds: HashMap<bool, Datum> = [(false, Datum::double(1)), (true, Datum::double(2))].into();
    let claims = |test: Test, nulls, nans, bounded: bool| {
        let bounds = if bounded { bounds.clone() } else { HashMap::new() };
        let metrics = Metrics { rows: 3, nulls, nans, bounds };
        StrictMetrics::new(&leaf(&ty, test)).all_match(&metrics)
    };
    let less = || Test::Compare(CompareOp::Lt, Value::Float(5.0));
    assert!(claims(less(), Some(0), Some(0), true));
    for (nulls, nans) in
        [(Some(1), Some(0)), (Some(0), Some(1)), (None, Some(0)), (Some(0), None), (None, None)]
    {
        assert!(!claims(less(), nulls, nans, true), "{nulls:?} {nans:?}");
        assert!(!claims(Test::In([Value::Float(1.0), Value::Float(2.0)].into()), nulls, nans, true));
    }
    // All NULL, all NaN: nothing is less, and NULL is not unequal either.
    for (nulls, nans) in [(Some(3), Some(0)), (Some(0), Some(3)), (Some(2), Some(1))] {
        assert!(!claims(less(), nulls, nans, false), "{nulls:?} {nans:?}");
    }
    let unequal = || Test::Compare(CompareOp::NotEq, Value::Float(9.0));
    assert!(!claims(unequal(), Some(3), Some(0), false) && !claims(unequal(), Some(1), Some(0), true));
    assert!(claims(unequal(), Some(0), Some(3), false), "NaN is unequal to everything");
    assert!(claims(Test::IsNan, Some(0), Some(3), false) && !claims(Test::IsNan, Some(1), Some(2), false));
}

#[test]
fn bounds_of_uuids_compared_as_signed_numbers_hold() {
    let ty = PrimitiveType::Uuid;
    let uuid = |first: u8, second: u8| {
        let mut bytes = vec![0; 16];
        (bytes[0], bytes[8]) = (first, second);
        Value::Bytes(bytes)
    };
    // The file holds these and (1, 0), which is greater than the lower bound as signed numbers and less as bytes.
    let bounds = [(false, uuid(1, 0x80)), (true, uuid(3, 0))];
    let bounds = bounds.map(|(upper, v)| (upper, v.to_datum(&ty).unwrap())).into();
    let metrics = Metrics { rows: 3, nulls: Some(0), nans: None, bounds };
    let may = |op, value| MetricsPruner::new(&leaf(&ty, Test::Compare(op, value))).may_match(&metrics);
    assert!(may(CompareOp::Eq, uuid(1, 0)) && may(CompareOp::Lt, uuid(1, 0x80)));
    assert!(!may(CompareOp::Eq, uuid(0, 0x80)) && !may(CompareOp::Eq, uuid(4, 0)));
    let strict = StrictMetrics::new(&leaf(&ty, Test::Compare(CompareOp::GtEq, uuid(1, 0x80))));
    assert!(!strict.all_match(&metrics));
}
