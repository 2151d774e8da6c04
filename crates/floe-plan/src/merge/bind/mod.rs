//! Binding a merge to the schemas of a source and of a table: names resolved, types checked, before anything is read.

mod expr;
mod filter;
mod functions;
mod join;
mod literal;
mod rules;
mod scope;
mod source;
#[cfg(test)]
mod tests;
mod types;

use arrow_schema::{Schema as ArrowSchema, SchemaRef};
use floe_core::{Error, Result};
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::Schema;

pub use source::SourceRows;

use super::keys::KeyColumn;
use super::row_expr::RowExpr;
use super::rules::{Action, Rules};
use super::sql;
use super::statement::{MergeClause, MergeSpec, MergeWhen};
use crate::expr::Expr;
use join::Join;
use scope::{Names, Scope, Table};
use source::Columns;

/// A merge, bound.
#[derive(Debug, Clone)]
pub struct BoundMerge {
    /// The columns of the table by whose values rows are looked up.
    pub keys: Vec<KeyColumn>,
    /// What else is true for rows that match.
    pub on: Option<RowExpr>,
    /// True for every row of the table that can match; for pruning.
    pub matching: Expr,
    /// What becomes of rows.
    pub rules: Rules,
    /// True for every row of the table that changes if no row of the source matches it; for pruning.
    pub others: Expr,
    /// How rows of the source are made ready.
    pub source: SourceRows,
    /// The table's columns in Arrow form, with field ids.
    pub schema: SchemaRef,
}

/// Binds a merge of data with the schema `source` into a table with the schema `table`. `now_us` is the time that
/// `CURRENT_TIMESTAMP` gives, in microseconds since 1970.
///
/// # What expressions mean
/// As in Spark with ANSI mode on: logic has three values; what does not fit its type and division by zero are errors;
/// integers are divided as doubles; a value is stored in a column without a `CAST` if ANSI SQL's store assignment allows
/// it. Names are found whatever their case, unless that is ambiguous. NaN is as in filters (see [`crate::expr`]): it is not
/// equal to itself, but for `IS NOT DISTINCT FROM` and `<=>`, as NULL is. `greatest` and `least` take it for greater than
/// any number. Timestamps that are written without a zone are of UTC where an instant is needed.
///
/// # Errors
/// [`floe_core::ErrorKind::Validation`] for a name that is not there or is ambiguous, types that do not go together, clauses that
/// cannot be reached, a required column without a value; [`floe_core::ErrorKind::Unsupported`] when no column of the table must be
/// equal to something of the source for rows to match.
///
/// ```
/// use arrow_schema::{DataType, Field, Schema as ArrowSchema};
/// use floe_plan::merge::{MergeSpec, bind};
/// # use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};
///
/// # let field = |id, name: &str| NestedField::optional(id, name, Type::Primitive(PrimitiveType::Long)).into();
/// # let table = Schema::builder().with_fields([field(1, "id"), field(2, "n")]).build()?;
/// let source = ArrowSchema::new(vec![Field::new("id", DataType::Int64, false)]);
/// let sql = "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED AND t.n < 5 THEN UPDATE SET n = t.n + 1";
/// let merge = bind(&MergeSpec::parse(sql)?.1, &source, &table, 0)?;
/// assert_eq!(merge.keys[0].name, "id");
/// let misspelt = MergeSpec::parse(&sql.replace("t.n + 1", "t.m + 1"))?.1;
/// assert!(bind(&misspelt, &source, &table, 0).unwrap_err().message().contains("no column 'm'"));
/// # Ok::<(), floe_core::Error>(())
/// ```
pub fn bind(spec: &MergeSpec, source: &ArrowSchema, table: &Schema, now_us: i64) -> Result<BoundMerge> {
    if spec.clauses.is_empty() {
        return Err(Error::validation("a merge has no clauses")
            .with_hint("say what becomes of rows: WHEN MATCHED THEN …"));
    }
    let names = Names {
        source: sql::name(spec.source_name.as_deref().unwrap_or("source"), "the name of the source")?,
        target: sql::name(spec.target_name.as_deref().unwrap_or("target"), "the name of the table")?,
    };
    if names.source.last().map(|n| n.to_lowercase()) == names.target.last().map(|n| n.to_lowercase()) {
        return Err(Error::validation("the source and the table have the same name")
            .with_hint("give one of them another: MERGE INTO t USING u AS source ON …"));
    }
    let columns = Columns::new(source, table);
    let arrow = schema_to_arrow_schema(table)?;
    let table = Table { schema: table.clone(), arrow };
    let binder = MergeBinder { columns: &columns, table: &table, names: &names, now_us };
    let Join { keys, source_keys, mut on, matching, condition } = binder.join(spec)?;
    check_order(&spec.clauses)?;
    let mut rules = Rules::default();
    let mut others = Vec::new();
    for (number, clause) in spec.clauses.iter().enumerate() {
        let named = |e: Error| e.context(format!("clause {} (WHEN {})", number + 1, clause.when.as_str()));
        let rule = binder.rule(clause).map_err(named)?;
        if clause.when == MergeWhen::NotMatchedBySource && !matches!(rule.action, Action::Keep) {
            others.push(rule.condition.as_ref().map_or(Expr::True, |c| filter::weaker(c, &table.schema)));
        }
        match clause.when {
            MergeWhen::Matched => rules.matched.push(rule),
            MergeWhen::NotMatched => rules.not_matched.push(rule),
            MergeWhen::NotMatchedBySource => rules.not_matched_by_source.push(rule),
        }
    }
    if rules.not_matched_by_source.iter().all(|rule| matches!(rule.action, Action::Keep)) {
        rules.not_matched_by_source.clear();
    }
    let (source, place) = SourceRows::new(columns, source_keys, condition)?;
    let all = [&mut rules.matched, &mut rules.not_matched, &mut rules.not_matched_by_source];
    all.into_iter().flatten().for_each(|rule| rule.move_source(&place));
    if let Some(on) = &mut on {
        on.move_source(&place);
    }
    let others = filter::either(others.into_iter());
    let others = if others.bind(&table.schema, true).is_ok() { others } else { Expr::True };
    Ok(BoundMerge { keys, on, matching, rules, others, source, schema: table.arrow.into() })
}

/// A clause after one without a condition would never be asked.
fn check_order(clauses: &[MergeClause]) -> Result<()> {
    for (number, clause) in clauses.iter().enumerate() {
        let before = clauses[..number].iter().any(|c| c.when == clause.when && c.condition.is_none());
        if before {
            let when = clause.when.as_str();
            return Err(Error::validation(format!(
                "clause {} (WHEN {when}) comes after one for the same rows that has no condition",
                number + 1
            ))
            .with_hint("put the clause without a condition last"));
        }
    }
    Ok(())
}

struct MergeBinder<'a> {
    columns: &'a Columns,
    table: &'a Table,
    names: &'a Names,
    now_us: i64,
}

impl<'a> MergeBinder<'a> {
    fn scope(&self, when: MergeWhen) -> Scope<'a> {
        let (source, target, why) = match when {
            MergeWhen::Matched => (true, true, ""),
            MergeWhen::NotMatched => (true, false, "where no row of it matches"),
            MergeWhen::NotMatchedBySource => (false, true, "where no row of it matches"),
        };
        Scope {
            source: source.then_some(self.columns),
            target: target.then_some(self.table),
            names: self.names,
            now_us: self.now_us,
            why,
        }
    }
}
