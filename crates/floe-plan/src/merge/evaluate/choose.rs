//! What is evaluated for some rows only.

use std::sync::Arc;

use arrow_arith::boolean::{and_kleene, or_kleene};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_buffer::BooleanBuffer;
use arrow_select::interleave::interleave;
use floe_core::Result;

use super::super::row_expr::{RowExpr, RowPair};
use super::{Values, arrow, evaluate, values};

/// AND (`neutral` is true) or OR of all parts. A part that may fail is evaluated only where those before do not settle the
/// result.
pub(super) fn fold(parts: &[RowExpr], neutral: bool, pair: &RowPair) -> Result<Values> {
    let combine = if neutral { and_kleene } else { or_kleene };
    let mut result = constant(neutral, pair.rows);
    for part in parts {
        let open = BooleanArray::new(!&settled(&result, neutral), None);
        match open.true_count() {
            0 => break,
            all if all == pair.rows || !part.may_fail() => {
                let next = evaluate(part, pair)?;
                result = combine(&result, next.as_boolean()).map_err(arrow)?;
            }
            _ => {
                let next = evaluate(part, &pair.filter(&open)?)?;
                let mut taken = 0;
                let places: Vec<(usize, usize)> = (0..pair.rows)
                    .map(|row| {
                        if open.value(row) {
                            taken += 1;
                            (1, taken - 1)
                        } else {
                            (0, 0)
                        }
                    })
                    .collect();
                let rest = constant(neutral, 1);
                let next = interleave(&[&rest, next.as_ref()], &places).map_err(arrow)?;
                result = combine(&result, next.as_boolean()).map_err(arrow)?;
            }
        }
    }
    Ok(Values::many(Arc::new(result)))
}

/// Where a result is false for AND, true for OR.
fn settled(result: &BooleanArray, neutral: bool) -> BooleanBuffer {
    let values = if neutral { !result.values() } else { result.values().clone() };
    match result.nulls() {
        None => values,
        Some(nulls) => &values & nulls.inner(),
    }
}

fn constant(value: bool, rows: usize) -> BooleanArray {
    let values = if value { BooleanBuffer::new_set(rows) } else { BooleanBuffer::new_unset(rows) };
    BooleanArray::new(values, None)
}

/// The value of the first branch whose condition is true.
pub(super) fn case(branches: &[(RowExpr, RowExpr)], otherwise: &RowExpr, pair: &RowPair) -> Result<Values> {
    let mut open = Open::new(pair);
    for (condition, value) in branches {
        if open.pair.rows == 0 {
            break;
        }
        let chosen = condition.is_true(&open.pair)?;
        open.take(&chosen, |pair| values(value, pair))?;
    }
    let rest = constant(true, open.pair.rows);
    open.take(&rest, |pair| values(otherwise, pair))?;
    open.finish(otherwise, pair)
}

/// The first value that is not NULL.
pub(super) fn coalesce(parts: &[RowExpr], pair: &RowPair) -> Result<Values> {
    let Some((last, before)) = parts.split_last() else {
        return Ok(Values::many(Arc::new(constant(false, 0))));
    };
    let mut open = Open::new(pair);
    for part in before {
        if open.pair.rows == 0 {
            break;
        }
        let found = evaluate(part, &open.pair)?;
        let valid = match found.logical_nulls() {
            None => constant(true, found.len()),
            Some(nulls) => BooleanArray::new(nulls.into_inner(), None),
        };
        let chosen = arrow_select::filter::filter(&found, &valid).map_err(arrow)?;
        open.take(&valid, |_| Ok(Values::many(chosen)))?;
    }
    let rest = constant(true, open.pair.rows);
    open.take(&rest, |pair| values(last, pair))?;
    open.finish(last, pair)
}

/// Rows that have no value yet, and the values of the others.
struct Open {
    pair: RowPair,
    /// Where the open rows are among all.
    rows: Vec<usize>,
    parts: Vec<Values>,
    /// For each row, the part that it has its value from, and where in it.
    places: Vec<(usize, usize)>,
}

impl Open {
    fn new(pair: &RowPair) -> Self {
        let rows = (0..pair.rows).collect();
        Self { pair: pair.clone(), rows, parts: Vec::new(), places: vec![(0, 0); pair.rows] }
    }

    /// Gives the chosen ones of the open rows their values.
    fn take(&mut self, chosen: &BooleanArray, value: impl FnOnce(&RowPair) -> Result<Values>) -> Result<()> {
        let count = chosen.true_count();
        if count == 0 {
            return Ok(());
        }
        let all = count == self.pair.rows;
        let values = if all { value(&self.pair)? } else { value(&self.pair.filter(chosen)?)? };
        let part = self.parts.len();
        for (taken, row) in chosen.values().set_indices().enumerate() {
            self.places[self.rows[row]] = (part, if values.one { 0 } else { taken });
        }
        self.parts.push(values);
        let rest = BooleanArray::new(!chosen.values(), None);
        self.rows = rest.values().set_indices().map(|row| self.rows[row]).collect();
        self.pair =
            if all { RowPair { rows: 0, source: None, target: None } } else { self.pair.filter(&rest)? };
        Ok(())
    }

    fn finish(self, any: &RowExpr, pair: &RowPair) -> Result<Values> {
        if self.parts.is_empty() {
            // No rows at all: of the type that any value has.
            return Ok(Values::many(evaluate(any, pair)?));
        }
        let arrays: Vec<&dyn Array> = self.parts.iter().map(|part| part.array.as_ref()).collect();
        let array: ArrayRef = interleave(&arrays, &self.places).map_err(arrow)?;
        Ok(Values::many(array))
    }
}
