//! Binding a merge to the schemas of a source and of a table: names resolved, types checked, before anything is read.

mod expr;
mod filter;
mod functions;
mod literal;
mod scope;
mod source;
#[cfg(test)]
mod tests;
mod types;

use std::collections::BTreeMap;

use arrow_schema::{DataType, Schema as ArrowSchema, SchemaRef};
use floe_core::{Error, ErrorKind, Result};
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{NestedFieldRef, Schema};
use sqlparser::ast::{BinaryOperator, Expr as SqlExpr};

pub use source::SourceRows;

use super::evaluate::type_name;
use super::keys::KeyColumn;
use super::row_expr::RowExpr;
use super::rules::{Action, Rule, Rules};
use super::sql;
use super::statement::{MergeAction, MergeClause, MergeSpec, MergeWhen};
use crate::constant::repeat;
use crate::expr::Expr;
use scope::{Names, Scope, Table};
use source::{Columns, SourceKey};
use types::{Typed, assign, common};

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
/// [`ErrorKind::Validation`] for a name that is not there or is ambiguous, types that do not go together, clauses that
/// cannot be reached, a required column without a value; [`ErrorKind::Unsupported`] when no column of the table must be
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

/// Which rows match.
struct Join {
    keys: Vec<KeyColumn>,
    source_keys: Vec<SourceKey>,
    on: Option<RowExpr>,
    matching: Expr,
    condition: Option<RowExpr>,
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

    fn join(&self, spec: &MergeSpec) -> Result<Join> {
        let scope = self.scope(MergeWhen::Matched);
        let mut join = Join {
            keys: Vec::new(),
            source_keys: Vec::new(),
            on: None,
            matching: Expr::True,
            condition: None,
        };
        for column in &spec.on {
            // As upserts name columns: with dots.
            let path = |name: &str| name.split('.').map(str::to_owned).collect::<Vec<_>>();
            let (name, path_target) = (column.source(), path(column.target()));
            let target = self.table.find(&path_target)?.ok_or_else(|| self.table.unknown(&path_target))?;
            let value = self.columns.find(&path(name))?.ok_or_else(|| {
                Error::validation(format!("the source lacks column '{name}' to join by"))
                    .with_hint(format!("its columns are {}", self.columns.names().join(", ")))
            })?;
            if !self.add_key(&mut join, value, &target, true)? {
                return Err(Error::validation(format!(
                    "column '{}' to join by is named twice",
                    column.target()
                )));
            }
        }
        let text = spec.on_condition.as_deref();
        let on = text.map(|text| sql::expression(text, "the condition of ON")).transpose()?;
        let (mut both, mut source_only) = (Vec::new(), Vec::new());
        for part in on.iter().flat_map(expr::conjuncts) {
            if self.equality(part, &scope, &mut join).map_err(|e| e.context("the condition of ON"))? {
                continue;
            }
            let condition = expr::bind(part, &scope)?.condition("the condition of ON")?;
            match (condition.reads_source(), condition.reads_target()) {
                (true, false) => source_only.push(condition),
                _ => both.push(condition),
            }
        }
        if join.keys.is_empty() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "a merge needs a column of the table that equals something of the source in rows that match",
            )
            .with_hint(
                "join by a key, as in ON target.id = source.id; other conditions may follow with AND",
            ));
        }
        join.matching =
            filter::both(both.iter().map(|condition| filter::weaker(condition, &self.table.schema)));
        if join.matching.bind(&self.table.schema, true).is_err() {
            join.matching = Expr::True;
        }
        let together = |parts: Vec<RowExpr>| (!parts.is_empty()).then_some(RowExpr::And(parts));
        join.on = together(both);
        join.condition = together(source_only);
        Ok(join)
    }

    /// Takes `target.column = <something of the source>` as a key.
    fn equality(&self, part: &SqlExpr, scope: &Scope<'_>, join: &mut Join) -> Result<bool> {
        let (a, b, null_safe) = match part {
            SqlExpr::BinaryOp { left, op: BinaryOperator::Eq, right } => (left, right, false),
            SqlExpr::BinaryOp { left, op: BinaryOperator::Spaceship, right } => (left, right, true),
            SqlExpr::IsNotDistinctFrom(left, right) => (left, right, true),
            _ => return Ok(false),
        };
        let (a, b) = (expr::bind(a, scope)?, expr::bind(b, scope)?);
        let of_source = |value: &Typed| value.expr.reads_source() && !value.expr.reads_target();
        let plain = |value: &Typed| matches!(value.expr, RowExpr::Target(_)) && !value.ty.is_nested();
        match (plain(&a) && of_source(&b), plain(&b) && of_source(&a)) {
            (true, _) => self.add_key(join, b, &a, null_safe),
            (_, true) => self.add_key(join, a, &b, null_safe),
            _ => Ok(false),
        }
    }

    /// False if the column is a key already.
    fn add_key(&self, join: &mut Join, value: Typed, target: &Typed, null_safe: bool) -> Result<bool> {
        let RowExpr::Target(id) = &target.expr else { return Ok(false) };
        if join.keys.iter().any(|key| key.field_id == *id) {
            return Ok(false);
        }
        let name = self.table.schema.name_by_field_id(*id).unwrap_or_default().to_owned();
        let key = KeyColumn::resolve(&self.table.schema, std::slice::from_ref(&name))?;
        let to = target.ty.clone();
        let both = common(&value.ty, &to).filter(|_| !value.ty.is_nested() && value.ty != DataType::Null);
        let Some(both) = both else {
            let (from, to) = (type_name(&value.ty), type_name(&to));
            return Err(Error::validation(format!("column '{name}' is {to}, and is joined by {from}"))
                .with_hint("convert the source's side with CAST(… AS …)"));
        };
        // In the column's type if it has all the values, else in a wider one: then most values are in the column's.
        let from = if both == to { to.clone() } else { value.ty.clone() };
        let value = value.cast(&from)?;
        join.source_keys.push(SourceKey { field_id: *id, value, from, to, null_safe });
        join.keys.extend(key);
        Ok(true)
    }

    fn rule(&self, clause: &MergeClause) -> Result<Rule> {
        let scope = self.scope(clause.when);
        let condition = clause.condition.as_deref().map(|text| {
            let condition = sql::expression(text, "a condition")?;
            expr::bind(&condition, &scope)?.condition("a condition")
        });
        let action = match (&clause.action, clause.when) {
            (MergeAction::Nothing, _) => Action::Keep,
            (MergeAction::Delete, MergeWhen::Matched | MergeWhen::NotMatchedBySource) => Action::Delete,
            (MergeAction::Update(columns), MergeWhen::Matched | MergeWhen::NotMatchedBySource) => {
                Action::Write(self.update(columns, &scope)?)
            }
            (MergeAction::UpdateAll, MergeWhen::Matched) => Action::Write(self.all(true)?),
            (MergeAction::Insert(columns), MergeWhen::NotMatched) => {
                Action::Write(self.insert(columns, &scope)?)
            }
            (MergeAction::InsertAll, MergeWhen::NotMatched) => Action::Write(self.all(false)?),
            (action, when) => {
                let action = match action {
                    MergeAction::Delete => "DELETE",
                    MergeAction::UpdateAll => "UPDATE SET *",
                    MergeAction::Update(_) => "UPDATE",
                    _ => "INSERT",
                };
                return Err(Error::validation(format!("{action} cannot follow WHEN {}", when.as_str())));
            }
        };
        Ok(Rule { condition: condition.transpose()?, action })
    }

    /// The source's columns of the names of the table's. What the source lacks stays as it is, or takes its default.
    fn all(&self, update: bool) -> Result<Vec<RowExpr>> {
        let mut any = false;
        let columns =
            self.fields().map(|(field, to)| match self.columns.find(std::slice::from_ref(&field.name))? {
                Some(value) => {
                    any = true;
                    stored(value, field, to)
                }
                None if update => Ok(RowExpr::Target(field.id)),
                None => default(field, to),
            });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        if any {
            return Ok(columns);
        }
        Err(Error::validation("the source has no column of the table"))
    }

    fn update(&self, columns: &BTreeMap<String, String>, scope: &Scope<'_>) -> Result<Vec<RowExpr>> {
        let mut given = self.given(columns, scope)?;
        let all = self.fields().enumerate().map(|(at, (field, to))| match given.remove(&at) {
            Some(value) => stored(value, field, to),
            None => Ok(RowExpr::Target(field.id)),
        });
        all.collect()
    }

    fn insert(&self, columns: &BTreeMap<String, String>, scope: &Scope<'_>) -> Result<Vec<RowExpr>> {
        let mut given = self.given(columns, scope)?;
        let all = self.fields().enumerate().map(|(at, (field, to))| match given.remove(&at) {
            Some(value) => stored(value, field, to),
            None => default(field, to),
        });
        all.collect()
    }

    fn fields(&self) -> impl Iterator<Item = (&'a NestedFieldRef, &'a DataType)> {
        let arrow = self.table.arrow.fields().iter().map(|field| field.data_type());
        self.table.schema.as_struct().fields().iter().zip(arrow)
    }

    /// Values by the position of their column.
    fn given(&self, columns: &BTreeMap<String, String>, scope: &Scope<'_>) -> Result<BTreeMap<usize, Typed>> {
        if columns.is_empty() {
            return Err(Error::validation("no column is given a value"));
        }
        let mut given = BTreeMap::new();
        for (column, text) in columns {
            let mut path = sql::name(column, "the name of a column")?;
            // The table's own name may stand before the column's.
            let own = (1..path.len().min(self.names.target.len() + 1)).rev().find(|parts| {
                let name = &self.names.target[self.names.target.len() - parts..];
                path[..*parts].iter().zip(name).all(|(a, b)| a.eq_ignore_ascii_case(b))
            });
            path.drain(..own.unwrap_or(0));
            let Some(at) = self.table.top(&path[0])? else { return Err(self.table.unknown(&path)) };
            if path.len() > 1 {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("column '{}': a field of a struct cannot be given a value alone", path.join(".")),
                )
                .with_hint("give the whole struct, from a column of the source"));
            }
            let named = |e: Error| e.context(format!("column '{}'", path[0]));
            let value = sql::expression(text, "an expression").map_err(named)?;
            let value = expr::bind(&value, scope).map_err(named)?;
            if given.insert(at, value).is_some() {
                return Err(Error::validation(format!(
                    "column '{}' is given two values in one clause",
                    path[0]
                )));
            }
        }
        Ok(given)
    }
}

/// The value as a column has it.
fn stored(value: Typed, field: &NestedFieldRef, to: &DataType) -> Result<RowExpr> {
    if field.required && value.ty == DataType::Null {
        return Err(Error::validation(format!("column '{}' is required, and cannot be NULL", field.name)));
    }
    assign(value, &field.name, to)
}

/// What a new row has in a column that is given no value.
fn default(field: &NestedFieldRef, to: &DataType) -> Result<RowExpr> {
    if field.required && field.write_default.is_none() {
        return Err(Error::validation(format!("column '{}' is required, and is given no value", field.name)));
    }
    Ok(RowExpr::Literal(repeat(field.write_default.as_ref(), to, 1)?))
}
