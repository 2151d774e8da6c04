//! Which rows match: the ON of a merge.

use arrow_schema::DataType;
use floe_core::{Error, ErrorKind, Result};
use sqlparser::ast::{BinaryOperator, Expr as SqlExpr};

use super::scope::Scope;
use super::source::SourceKey;
use super::types::{Typed, common};
use super::{MergeBinder, expr, filter};
use crate::expr::Expr;
use crate::merge::evaluate::type_name;
use crate::merge::keys::KeyColumn;
use crate::merge::row_expr::RowExpr;
use crate::merge::sql;
use crate::merge::statement::{MergeSpec, MergeWhen};

/// Which rows match.
pub(super) struct Join {
    pub(super) keys: Vec<KeyColumn>,
    pub(super) source_keys: Vec<SourceKey>,
    pub(super) on: Option<RowExpr>,
    pub(super) matching: Expr,
    pub(super) condition: Option<RowExpr>,
}

impl MergeBinder<'_> {
    pub(super) fn join(&self, spec: &MergeSpec) -> Result<Join> {
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
                    .with_hint(self.columns.listed())
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
}
