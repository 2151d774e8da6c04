use std::sync::Arc;

use arrow_array::builder::{Int32Builder, MapBuilder, StringBuilder};
use arrow_array::{
    Array, ArrayRef, Float32Array, Int32Array, Int64Array, ListArray, StringArray, StructArray,
};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema};
use proptest::prelude::*;

use super::*;

/// A row: numbers, a text, a list, and a map of one entry.
type Row =
    (Option<i32>, Option<f32>, Option<String>, Option<Vec<Option<i32>>>, Option<(String, Option<i32>)>);

fn row() -> impl Strategy<Value = Row> {
    use proptest::option::of;
    (
        of(-2_i32..2),
        of(prop_oneof![Just(0.0_f32), Just(-0.0), Just(1.5), Just(f32::NAN)]),
        of("[ab]{0,3}"),
        of(proptest::collection::vec(of(0_i32..2), 0..3)),
        of(("[xy]", of(0_i32..2))),
    )
}

fn batch(rows: &[Row]) -> RecordBatch {
    let lists = rows.iter().map(|row| row.3.clone());
    let lists = ListArray::from_iter_primitive::<arrow_array::types::Int32Type, _, _>(lists);
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for row in rows {
        if let Some((key, value)) = &row.4 {
            maps.keys().append_value(key);
            maps.values().append_option(*value);
        }
        maps.append(row.4.is_some()).unwrap();
    }
    let inner: ArrayRef = Arc::new(rows.iter().map(|row| row.0).collect::<Int32Array>());
    let fields = vec![Field::new("inner", DataType::Int32, true)].into();
    let present: Vec<bool> = rows.iter().map(|row| row.2.is_some()).collect();
    let outer = StructArray::new(fields, vec![inner.clone()], Some(present.into()));
    let columns: [(&str, ArrayRef); 6] = [
        ("n", inner),
        ("x", Arc::new(rows.iter().map(|row| row.1).collect::<Float32Array>())),
        ("t", Arc::new(rows.iter().map(|row| row.2.clone()).collect::<StringArray>())),
        ("l", Arc::new(lists)),
        ("m", Arc::new(maps.finish())),
        ("s", Arc::new(outer)),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

/// The same rows with wider numbers and texts as dictionaries and views.
fn otherwise(batch: &RecordBatch) -> RecordBatch {
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        let of = match field.name().as_str() {
            "n" => DataType::Int64,
            "x" => DataType::Float64,
            "t" => dictionary.clone(),
            _ => column.data_type().clone(),
        };
        (field.name().clone(), cast(column, &of).unwrap(), true)
    });
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

async fn digest(batches: Vec<RecordBatch>) -> InputDigest {
    let mut input = Input::from_batches(batches[0].schema(), batches);
    input.open(true, 0).unwrap().collect().await.unwrap();
    input.digest().unwrap()
}

fn now<T>(future: impl Future<Output = T>) -> T {
    futures::executor::block_on(future)
}

/// Rows as what tells them apart: every NaN is one.
fn text(rows: &[Row]) -> String {
    format!("{rows:?}")
}

proptest! {
    #[test]
    fn the_same_rows_have_one_digest_however_they_are_cut_and_encoded(
        rows in proptest::collection::vec(row(), 0..20),
        cut in 0_usize..20,
    ) {
        let whole = batch(&rows);
        let cut = cut.min(rows.len());
        let parts = vec![whole.slice(0, cut), whole.slice(cut, rows.len() - cut)];
        let one = now(digest(vec![whole.clone()]));
        prop_assert_eq!(&one, &now(digest(parts)));
        prop_assert_eq!(&one, &now(digest(vec![otherwise(&whole)])));
    }

    #[test]
    fn other_rows_have_another_digest(
        rows in proptest::collection::vec(row(), 1..8),
        other in proptest::collection::vec(row(), 1..8),
        at in 0_usize..8,
        with in row(),
    ) {
        let mut changed = rows.clone();
        let at = at % rows.len();
        changed[at] = with;
        for other in [other, changed] {
            let same = now(digest(vec![batch(&rows)])) == now(digest(vec![batch(&other)]));
            prop_assert_eq!(same, text(&rows) == text(&other));
        }
    }

    #[test]
    fn whether_an_input_is_that_of_an_earlier_operation_is_told_rightly_and_unread_where_it_can_be(
        rows in proptest::collection::vec(row(), 1..6),
        other in proptest::collection::vec(row(), 1..6),
        again: bool,
        count_known: bool,
        once: bool,
    ) {
        let was = now(digest(vec![batch(&rows)]));
        let is = if again { rows.clone() } else { other };
        let batch = batch(&is);
        let input: Input =
            if once { BatchStream::from_batches(batch.schema(), vec![batch]).into() } else { batch.into() };
        let mut input = input.with_rows(count_known.then_some(is.len() as u64));
        let same = now(input.is_same(&was)).unwrap();
        prop_assert_eq!(same == Sameness::Same, text(&rows) == text(&is));
    }
}

#[test]
fn names_of_columns_are_part_of_the_rows() {
    let array: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let of = |name: &str| RecordBatch::try_from_iter([(name, array.clone())]).unwrap();
    assert_ne!(now(digest(vec![of("a")])), now(digest(vec![of("b")])));
}

fn fails_if_read() -> Input {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
    Input::repeatable(schema, || panic!("it is read"))
}

#[test]
fn files_that_are_untouched_and_what_the_caller_says_are_enough() {
    let was = |files: &str| InputDigest::Rows {
        rows: 3,
        content: "c".into(),
        files: Some(content::hash(files.as_bytes())),
    };
    let mut input = fails_if_read().with_files("f");
    assert_eq!(now(input.is_same(&was("f"))).unwrap(), Sameness::Same);
    let mut input = fails_if_read().with_files("f").with_rows(Some(4));
    assert_eq!(now(input.is_same(&was("g"))).unwrap(), Sameness::Other);
    let given = |text: &str| fails_if_read().with_digest(text);
    let told = given("v1").digest().unwrap();
    assert_eq!(now(given("v1").is_same(&told)).unwrap(), Sameness::Same);
    assert_eq!(now(given("v2").is_same(&told)).unwrap(), Sameness::Other);
    assert_eq!(now(fails_if_read().with_files("f").is_same(&told)).unwrap(), Sameness::Incomparable);
}

fn stream(batches: usize) -> BatchStream {
    let one = batch(&[(Some(1), None, Some("text".into()), None, None)]);
    BatchStream::from_batches(one.schema(), vec![one; batches])
}

#[test]
fn a_stream_is_read_once_unless_it_is_kept() {
    let mut plain: Input = stream(2).into();
    assert!(!plain.is_repeatable());
    now(plain.open(false, 0).unwrap().collect()).unwrap();
    assert!(!plain.is_repeatable() && plain.open(false, 0).is_err());

    let mut kept: Input = stream(2).into();
    let rows = kept.open(false, 1 << 20).unwrap();
    assert!(!kept.is_repeatable(), "nothing was read so far");
    assert_eq!(now(rows.collect()).unwrap().len(), 2);
    assert!(kept.is_repeatable());
    for _ in 0..2 {
        assert_eq!(now(kept.open(true, 1 << 20).unwrap().collect()).unwrap().len(), 2);
        assert!(kept.digest().is_some());
    }

    let mut large: Input = stream(50).into();
    now(large.open(false, 1000).unwrap().collect()).unwrap();
    assert!(!large.is_repeatable(), "more than may be kept");
}

#[test]
fn half_of_a_stream_is_not_taken_for_all_of_it() {
    let mut input: Input = stream(3).into();
    let mut rows = input.open(true, 1 << 20).unwrap();
    now(rows.stream.next()).unwrap().unwrap();
    drop(rows);
    assert!(!input.is_repeatable());
    assert_eq!(input.digest(), None);
}

#[test]
fn a_stream_that_fails_is_not_kept() {
    let BatchStream { schema, stream } = stream(1);
    let error = futures::stream::iter([Err(Error::new(ErrorKind::Io, "the disk is gone"))]);
    let mut input: Input = BatchStream::new(schema, stream.chain(error).boxed()).into();
    let mut rows = input.open(false, 1 << 20).unwrap();
    while let Some(batch) = now(rows.stream.next()) {
        let _ = batch;
    }
    assert!(!input.is_repeatable());
}
