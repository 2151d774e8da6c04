use arrow_array::builder::{ListBuilder, MapBuilder, StringBuilder, StringViewBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{BinaryViewArray, DictionaryArray, Int64Array, StringArray, StringViewArray};
use arrow_select::concat::concat_batches;
use proptest::prelude::*;

use super::*;

/// Columns of every nesting, with values of these lengths and NULLs; `views` makes them views.
fn batch(lengths: &[Option<usize>], views: bool) -> RecordBatch {
    let text = |length: usize| "é".repeat(length / 2) + &"x".repeat(length % 2);
    let texts: Vec<Option<String>> = lengths.iter().map(|length| length.map(text)).collect();
    let flat: ArrayRef = if views {
        Arc::new(StringViewArray::from_iter(texts.iter().map(Option::as_deref)))
    } else {
        Arc::new(StringArray::from_iter(texts.iter().map(Option::as_deref)))
    };
    let list = |texts: &[Option<String>]| -> ArrayRef {
        let take = |row: usize| texts[..row.min(3)].iter();
        if views {
            let mut builder = ListBuilder::new(StringViewBuilder::new());
            for (row, text) in texts.iter().enumerate() {
                take(row).for_each(|text| builder.values().append_option(text.as_deref()));
                builder.append(text.is_some());
            }
            Arc::new(builder.finish())
        } else {
            let mut builder = ListBuilder::new(StringBuilder::new());
            for (row, text) in texts.iter().enumerate() {
                take(row).for_each(|text| builder.values().append_option(text.as_deref()));
                builder.append(text.is_some());
            }
            Arc::new(builder.finish())
        }
    };
    let map: ArrayRef = if views {
        let mut builder = MapBuilder::new(None, StringViewBuilder::new(), StringViewBuilder::new());
        for text in &texts {
            if let Some(text) = text {
                builder.keys().append_value(text);
                builder.values().append_value(text);
            }
            builder.append(true).unwrap();
        }
        Arc::new(builder.finish())
    } else {
        let mut builder = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        for text in &texts {
            if let Some(text) = text {
                builder.keys().append_value(text);
                builder.values().append_value(text);
            }
            builder.append(true).unwrap();
        }
        Arc::new(builder.finish())
    };
    let fields = Fields::from(vec![Field::new("text", flat.data_type().clone(), true)]);
    let within: ArrayRef = Arc::new(StructArray::new(fields, vec![flat.clone()], flat.nulls().cloned()));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..lengths.len() as i64));
    RecordBatch::try_from_iter_with_nullable([
        ("number", numbers, false),
        ("flat", flat, true),
        ("within", within, true),
        ("list", list(&texts), true),
        ("map", map, true),
    ])
    .unwrap()
}

proptest! {
    #[test]
    fn slices_are_the_rows_in_order_and_keep_to_the_bytes(
        lengths in prop::collection::vec(prop::option::weighted(0.8, 0_usize..300), 1..60),
        most in 1_u64..20_000, views in any::<bool>(), from in 0_usize..10,
    ) {
        let whole = batch(&lengths, views);
        // A slice of a larger batch counts for itself only.
        let from = from.min(lengths.len() - 1);
        let whole = whole.slice(from, lengths.len() - from);
        let slices = split(whole.clone(), most);
        for slice in &slices {
            prop_assert!(slice.num_rows() > 0);
            prop_assert!(slice.num_rows() == 1 || batch_bytes(slice) <= most);
        }
        prop_assert_eq!(&concat_batches(&whole.schema(), &slices).unwrap(), &whole);
        // Views count as what they show, and become it.
        let rows: Vec<_> = slices.iter().map(|slice| plain(slice).unwrap()).collect();
        let expected = batch(&lengths, false).slice(from, lengths.len() - from);
        prop_assert_eq!(concat_batches(&expected.schema(), &rows).unwrap(), expected);
        for (slice, row) in slices.iter().zip(&rows) {
            // But for the bits of NULLs, where there are none.
            let (before, after) = (batch_bytes(slice), batch_bytes(row));
            prop_assert!(after <= before && before <= after + 8 * (1 + row.num_rows() as u64));
        }
        prop_assert!(rows.iter().all(|row| row.get_array_memory_size() as u64 >= batch_bytes(row)));
        // Row by row it is the same, but for the bits of NULLs.
        for slice in &rows {
            let (each, all) = (row_bytes(slice), batch_bytes(slice));
            prop_assert_eq!(each.len(), slice.num_rows());
            let sum: u64 = each.iter().sum();
            prop_assert!(sum <= all + 8 * slice.num_rows() as u64 && all <= sum + 8 * slice.num_rows() as u64);
        }
    }
}

#[test]
fn types_go_to_views_and_back() {
    let schema = batch(&[Some(3), None], false).schema();
    let views = with_views(&schema);
    assert_eq!(&views, batch(&[Some(3), None], true).schema().as_ref());
    let back = views.fields().iter().map(|field| retyped(field, plain_type)).collect::<Fields>();
    assert_eq!(&back, schema.fields());
}

#[test]
fn a_value_of_a_dictionary_counts_wherever_it_is() {
    let values = StringArray::from(vec!["x".repeat(1000), "y".to_owned()]);
    let keys = arrow_array::Int32Array::from(vec![Some(0), Some(1), None, Some(0)]);
    let dictionary = DictionaryArray::<Int32Type>::new(keys, Arc::new(values));
    let bytes = array_bytes(&dictionary);
    assert!((2001..3100).contains(&bytes), "{bytes}");
}

#[test]
fn one_value_in_many_views_counts_many_times_and_overflows_no_column() {
    let value = vec![7_u8; 64 << 20];
    let mut builder = arrow_array::builder::BinaryViewBuilder::new();
    let block = builder.append_block(value.into());
    for _ in 0..40 {
        builder.try_append_view(block, 0, 64 << 20).unwrap();
    }
    let views: BinaryViewArray = builder.finish();
    let one = RecordBatch::try_from_iter([("doc", Arc::new(views) as ArrayRef)]).unwrap();
    assert_eq!(oversized(&one).as_deref(), Some("doc"));
    assert!(matches!(plain(&one), Err(ArrowError::OffsetOverflowError(_))), "an error, not a panic");
    let slices = split(one, 100 << 20);
    assert_eq!(slices.len(), 40);
    assert_eq!(plain(&slices[39]).unwrap().num_rows(), 1);
}
