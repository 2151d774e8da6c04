//! What becomes of rows.

use std::collections::BTreeSet;

use arrow_array::{Array, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_buffer::BooleanBuffer;
use arrow_schema::SchemaRef;
use floe_core::{Error, ErrorKind, Result};

use super::evaluate::arrow;
use super::row_expr::{RowExpr, RowPair};

/// What becomes of the rows of a source and of a table that are joined. In each list, the first rule whose condition is
/// true decides about a row; a row that no rule decides about stays as it is, or is not inserted.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// For pairs of rows with the same key.
    pub matched: Vec<Rule>,
    /// For rows of the source whose key no row of the table has.
    pub not_matched: Vec<Rule>,
    /// For rows of the table whose key no row of the source has.
    pub not_matched_by_source: Vec<Rule>,
}

/// What becomes of the rows that a condition is true for.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The condition; true for every row if there is none. Unknown is not true.
    pub condition: Option<RowExpr>,
    /// What becomes of them.
    pub action: Action,
}

/// What becomes of a row.
#[derive(Debug, Clone)]
pub enum Action {
    /// The row of the table stays as it is.
    Keep,
    /// The row of the table is removed.
    Delete,
    /// A row of these values, one for each column of the table, is added; it takes the place of the table's row, if there
    /// is one.
    Write(Vec<RowExpr>),
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays as it is.
    Kept,
    /// It is removed.
    Deleted,
    /// A new row takes its place.
    Written,
}

/// What rules made of rows.
#[derive(Debug)]
pub struct Applied {
    /// For each row, in order.
    pub fates: Vec<Fate>,
    /// The new rows. Those of one rule are in order.
    pub written: Vec<RecordBatch>,
}

impl Rule {
    /// A rule without a condition.
    pub fn always(action: Action) -> Self {
        Self { condition: None, action }
    }

    /// Gives every column of the source another position.
    pub(super) fn move_source(&mut self, to: &dyn Fn(usize) -> usize) {
        if let Some(condition) = &mut self.condition {
            condition.move_source(to);
        }
        if let Action::Write(columns) = &mut self.action {
            for column in columns {
                column.move_source(to);
            }
        }
    }

    fn expressions(&self) -> impl Iterator<Item = &RowExpr> {
        let written = match &self.action {
            Action::Write(columns) => columns.as_slice(),
            Action::Keep | Action::Delete => &[],
        };
        self.condition.iter().chain(written)
    }

    /// The field ids of the table's columns that the rules look at.
    pub fn target_fields(rules: &[Self]) -> BTreeSet<i32> {
        let mut fields = BTreeSet::new();
        rules.iter().flat_map(Self::expressions).for_each(|expr| expr.target_fields(&mut fields));
        fields
    }

    /// Whether the rules look at columns of the source.
    pub fn read_source(rules: &[Self]) -> bool {
        rules.iter().flat_map(Self::expressions).any(RowExpr::reads_source)
    }
}

/// Applies rules to rows. An expression is evaluated only for rows that its rule decides about, so that it may rely on the
/// rules before. `schema` is that of the table.
///
/// # Errors
/// [`ErrorKind::SchemaMismatch`] when a new row has NULL in a required column; what an expression fails with.
pub fn apply(rules: &[Rule], pair: &RowPair, schema: &SchemaRef) -> Result<Applied> {
    let mut fates = vec![Fate::Kept; pair.rows];
    let mut written = Vec::new();
    let mut open = pair.clone();
    // Where the open pairs are among all; `None` while it is all of them.
    let mut places: Option<Vec<usize>> = None;
    for rule in rules {
        if open.rows == 0 {
            break;
        }
        let chosen = match &rule.condition {
            None => BooleanArray::new(BooleanBuffer::new_set(open.rows), None),
            Some(condition) => condition.is_true(&open)?,
        };
        let place = |row: usize| places.as_ref().map_or(row, |places| places[row]);
        let fate = match &rule.action {
            Action::Keep => Fate::Kept,
            Action::Delete => Fate::Deleted,
            Action::Write(_) => Fate::Written,
        };
        for row in chosen.values().set_indices() {
            fates[place(row)] = fate;
        }
        let count = chosen.true_count();
        if let Action::Write(columns) = &rule.action
            && count > 0
        {
            let rows = if count == open.rows { open.clone() } else { open.filter(&chosen)? };
            written.push(write(columns, &rows, schema)?);
        }
        if count == open.rows {
            break;
        }
        if count > 0 {
            let rest = BooleanArray::new(!chosen.values(), None);
            places = Some(rest.values().set_indices().map(place).collect());
            open = open.filter(&rest)?;
        }
    }
    Ok(Applied { fates, written })
}

fn write(columns: &[RowExpr], pair: &RowPair, schema: &SchemaRef) -> Result<RecordBatch> {
    let mut arrays = Vec::with_capacity(columns.len());
    for (column, field) in columns.iter().zip(schema.fields()) {
        let array = column.evaluate(pair).map_err(|e| e.context(format!("column '{}'", field.name())))?;
        let nulls = array.logical_null_count();
        if nulls > 0 && !field.is_nullable() {
            return Err(Error::new(
                ErrorKind::SchemaMismatch,
                format!("{}: this required column would be NULL in {nulls} rows", field.name()),
            )
            .with_hint("give the column a value in these rows, or leave them out"));
        }
        arrays.push(array);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(pair.rows));
    RecordBatch::try_new_with_options(schema.clone(), arrays, &options).map_err(arrow)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float64Type, Int64Type};
    use arrow_array::{ArrayRef, Float64Array, Int64Array};
    use arrow_schema::{DataType, Field, Schema};

    use super::*;

    fn batch(ids: &[i64], values: &[Option<f64>]) -> RecordBatch {
        let field = |name: &str, ty, id: i32| {
            let id = ("PARQUET:field_id".to_owned(), id.to_string());
            Field::new(name, ty, true).with_metadata([id].into())
        };
        let schema = Schema::new(vec![field("id", DataType::Int64, 1), field("v", DataType::Float64, 2)]);
        let ids: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
        let values: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
        RecordBatch::try_new(Arc::new(schema), vec![ids, values]).unwrap()
    }

    fn pair() -> RowPair {
        let source = batch(&[1, 2, 3, 4, 5], &[Some(1.0), None, Some(f64::NAN), Some(0.0), Some(5.0)]);
        let target = batch(&[1, 2, 3, 4, 5], &[Some(1.5), None, Some(-f64::NAN), Some(-0.0), None]);
        RowPair { source: Some(source), target: Some(target), rows: 5 }
    }

    fn changed() -> RowExpr {
        RowExpr::Or(vec![
            RowExpr::Distinct(Box::new(RowExpr::Source(0)), Box::new(RowExpr::Target(1))),
            RowExpr::Distinct(Box::new(RowExpr::Source(1)), Box::new(RowExpr::Target(2))),
        ])
    }

    #[test]
    fn null_nan_and_zeros_do_not_differ_from_their_like() {
        let result = changed().evaluate(&pair()).unwrap();
        assert_eq!(result.as_boolean(), &vec![true, false, false, false, true].into());
    }

    #[test]
    fn the_first_rule_that_is_true_decides() {
        let write = Action::Write(vec![RowExpr::Source(0), RowExpr::Target(2)]);
        let rules = [
            Rule {
                condition: Some(RowExpr::Distinct(
                    Box::new(RowExpr::Target(2)),
                    Box::new(RowExpr::Target(2)),
                )),
                action: Action::Delete,
            },
            Rule { condition: Some(changed()), action: write },
            Rule::always(Action::Delete),
        ];
        let pair = pair();
        let applied = apply(&rules, &pair, &pair.source.as_ref().unwrap().schema()).unwrap();
        use Fate::{Deleted, Written};
        assert_eq!(applied.fates, [Written, Deleted, Deleted, Deleted, Written]);
        assert_eq!(applied.written.len(), 1);
        assert_eq!(applied.written[0].column(0).as_primitive::<Int64Type>().values(), &[1, 5]);
        assert_eq!(applied.written[0].column(1).as_primitive::<Float64Type>().value(0), 1.5);
        assert!(applied.written[0].column(1).is_null(1));
    }

    #[test]
    fn rows_that_no_rule_decides_about_are_kept() {
        let rules = [Rule { condition: Some(changed()), action: Action::Delete }];
        let pair = pair();
        let applied = apply(&rules, &pair, &pair.source.as_ref().unwrap().schema()).unwrap();
        use Fate::{Deleted, Kept};
        assert_eq!(applied.fates, [Deleted, Kept, Kept, Kept, Deleted]);
        assert!(applied.written.is_empty());
    }
}
