//! Functions of text.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, Int32Array, StringArray};
use floe_core::Result;

/// Changes each text.
pub(super) fn each(array: &ArrayRef, change: impl for<'a> Fn(&'a str) -> Cow<'a, str>) -> ArrayRef {
    let texts = array.as_string::<i32>();
    let mut out = StringBuilder::with_capacity(texts.len(), texts.values().len());
    for text in texts {
        out.append_option(text.map(&change));
    }
    Arc::new(out.finish())
}

/// How many characters each text has.
pub(super) fn length(array: &ArrayRef) -> ArrayRef {
    let lengths = array.as_string::<i32>().iter().map(|text| text.map(|text| text.chars().count() as i32));
    Arc::new(lengths.collect::<Int32Array>())
}

/// Texts put together, row by row.
pub(super) fn concat(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let texts: Vec<&StringArray> = arrays.iter().map(|array| array.as_string::<i32>()).collect();
    let rows = texts[0].len();
    let mut out = StringBuilder::with_capacity(rows, texts.iter().map(|texts| texts.values().len()).sum());
    let mut whole = String::new();
    for row in 0..rows {
        if texts.iter().any(|texts| texts.is_null(row)) {
            out.append_null();
            continue;
        }
        whole.clear();
        for texts in &texts {
            whole.push_str(texts.value(row));
        }
        out.append_value(&whole);
    }
    Ok(Arc::new(out.finish()))
}
