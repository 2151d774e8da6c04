//! Data that comes with other keys is no conflict, and data with one of the keys always is: against brute force.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, StringArray};
use iceberg::TableCreation;
use iceberg::spec::{
    DataFileBuilder, DataFileFormat, Literal, NestedField, PrimitiveType, Schema, TableMetadataBuilder,
    Transform, Type, UnboundPartitionSpec,
};
use iceberg::transform::create_transform_function;
use proptest::prelude::*;

use super::*;
use crate::expr::Expr;
use crate::merge::{KeyColumn, MAX_LISTED, key_filter};

/// What a row is known by; either may be NULL.
type Key = (Option<i64>, Option<&'static str>);

fn schema() -> Schema {
    let optional = |id, name: &str, of| NestedField::optional(id, name, Type::Primitive(of)).into();
    let fields = [optional(1, "id", PrimitiveType::Long), optional(2, "name", PrimitiveType::String)];
    Schema::builder().with_fields(fields).build().unwrap()
}

fn table(by: Option<(i32, Transform)>) -> TableMetadata {
    let mut spec = UnboundPartitionSpec::builder();
    if let Some((column, transform)) = by {
        spec = spec.add_partition_field(column, "part", transform).unwrap();
    }
    let creation = TableCreation::builder()
        .name("t".into())
        .location("memory:///t".into())
        .schema(schema())
        .partition_spec(spec.build())
        .properties(HashMap::new())
        .build();
    TableMetadataBuilder::from_table_creation(creation).unwrap().build().unwrap().metadata
}

fn datums(key: Key) -> [Option<Datum>; 2] {
    [key.0.map(Datum::long), key.1.map(Datum::string)]
}

/// The value of a row for the one field of the spec.
fn partition(row: Key, by: Option<(i32, Transform)>) -> Struct {
    let Some((column, transform)) = by else { return Struct::empty() };
    let datum = datums(row)[column as usize - 1].clone();
    let value =
        datum.and_then(|d| create_transform_function(&transform).unwrap().transform_literal(&d).unwrap());
    Struct::from_iter([value.map(Literal::from)])
}

/// A file that an append adds, with all rows of the same partition as the first.
fn added(rows: &[Key], by: Option<(i32, Transform)>, bounds: bool) -> (Vec<Key>, OtherCommit) {
    let of = partition(rows[0], by);
    let rows: Vec<Key> = rows.iter().copied().filter(|row| partition(*row, by) == of).collect();
    let mut file = DataFileBuilder::default();
    file.content(DataContentType::Data).file_path("memory:///t/data/a".into()).file_size_in_bytes(1);
    file.file_format(DataFileFormat::Parquet).partition(of).record_count(rows.len() as u64);
    if bounds {
        let column = |at: usize| rows.iter().map(move |row| datums(*row)[at].clone());
        let (mut lower, mut upper, mut nulls) = (HashMap::new(), HashMap::new(), HashMap::new());
        let counts = HashMap::from([(1, rows.len() as u64), (2, rows.len() as u64)]);
        for at in 0..2 {
            let id = at as i32 + 1;
            nulls.insert(id, column(at).filter(Option::is_none).count() as u64);
            let least = column(at).flatten().min_by(|a, b| a.partial_cmp(b).unwrap());
            lower.extend(least.map(|datum| (id, datum)));
            let greatest = column(at).flatten().max_by(|a, b| a.partial_cmp(b).unwrap());
            upper.extend(greatest.map(|datum| (id, datum)));
        }
        file.lower_bounds(lower).upper_bounds(upper).null_value_counts(nulls).value_counts(counts);
    }
    let spec = table(by).default_partition_spec().clone();
    let new = NewFile { spec, file: file.build().unwrap() };
    (rows, OtherCommit { snapshot_id: 7, operation: Operation::Append, added: vec![new] })
}

/// The guard of an upsert of these keys, by both columns or by the first one.
fn guard(keys: &[Key], both: bool, listed: usize) -> Guard {
    let names: Vec<String> = if both { vec!["id".into(), "name".into()] } else { vec!["id".into()] };
    let columns = KeyColumn::resolve(&schema(), &names).unwrap();
    let ids: ArrayRef = Arc::new(keys.iter().map(|key| key.0).collect::<Int64Array>());
    let texts: ArrayRef = Arc::new(keys.iter().map(|key| key.1).collect::<StringArray>());
    Guard::NoNewDataMatching { filter: key_filter(&columns, &[vec![ids], vec![texts]], listed) }
}

fn key() -> impl Strategy<Value = Key> {
    use proptest::option::weighted;
    (weighted(0.9, 0_i64..30), weighted(0.9, proptest::sample::select(vec!["a", "b", "bb", "c"])))
}

fn spec() -> impl Strategy<Value = Option<(i32, Transform)>> {
    proptest::sample::select(vec![
        None,
        Some((1, Transform::Bucket(4))),
        Some((1, Transform::Truncate(5))),
        Some((1, Transform::Identity)),
        Some((2, Transform::Identity)),
        Some((2, Transform::Truncate(1))),
        Some((2, Transform::Bucket(3))),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn new_rows_with_one_of_the_keys_are_a_conflict_and_those_that_bounds_tell_apart_are_not(
        keys in proptest::collection::vec(key(), 1..6),
        rows in proptest::collection::vec(key(), 1..6),
        by in spec(),
        bounds: bool,
        both: bool,
        few in any::<bool>(),
    ) {
        let (rows, other) = added(&rows, by, bounds);
        let guard = guard(&keys, both, if few { 1 } else { MAX_LISTED });
        let passes = check(std::slice::from_ref(&guard), [&other], &table(by)).is_ok();
        let same = |key: &Key, row: &Key| key.0 == row.0 && (!both || key.1 == row.1);
        if rows.iter().any(|row| keys.iter().any(|key| same(key, row))) {
            prop_assert!(!passes, "a matching row is let through");
        }
        // No key between the least and the greatest id of the file: nothing but the bounds is needed.
        let ids: Vec<i64> = rows.iter().filter_map(|row| row.0).collect();
        let (least, greatest) = (ids.iter().min(), ids.iter().max());
        let inside = |id: &i64| least.is_some_and(|l| l <= id) && greatest.is_some_and(|g| g >= id);
        let nulls = ids.len() < rows.len() && keys.iter().any(|key| key.0.is_none());
        let known: Vec<i64> = keys.iter().filter_map(|key| key.0).collect();
        let apart = if few && known.len() > 1 {
            let range = known.iter().min().zip(known.iter().max());
            range.is_none_or(|(low, high)| greatest.is_none_or(|g| g < low) || least.is_none_or(|l| l > high))
        } else {
            !known.iter().any(inside)
        };
        if bounds && apart && !nulls {
            prop_assert!(passes, "bounds prove that no row matches");
        }
    }

    /// The same for deletes and overwrites, whose guard is their filter.
    #[test]
    fn new_rows_in_the_range_of_a_delete_are_a_conflict_and_those_outside_of_it_are_not(
        (from, length) in (0_i64..30, 1_i64..10),
        rows in proptest::collection::vec(key(), 1..6),
        by in spec(),
    ) {
        let (rows, other) = added(&rows, by, true);
        let text = format!("id >= {from} AND id < {}", from + length);
        let filter = Expr::parse(&text).unwrap().bind(&schema(), true).unwrap();
        let guard = Guard::NoNewDataMatching { filter };
        let passes = check(std::slice::from_ref(&guard), [&other], &table(by)).is_ok();
        let ids: Vec<i64> = rows.iter().filter_map(|row| row.0).collect();
        if ids.iter().any(|id| (from..from + length).contains(id)) {
            prop_assert!(!passes, "a matching row is let through");
        }
        let apart = ids.iter().all(|id| *id < from) || ids.iter().all(|id| *id >= from + length);
        if apart {
            prop_assert!(passes, "bounds prove that no row matches");
        }
    }
}
