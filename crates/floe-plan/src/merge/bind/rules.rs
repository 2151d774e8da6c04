//! What becomes of rows: the clauses of a merge.

use std::collections::BTreeMap;

use arrow_schema::DataType;
use floe_core::{Error, ErrorKind, Result};
use iceberg::spec::NestedFieldRef;

use super::scope::Scope;
use super::types::{Typed, assign};
use super::{MergeBinder, expr};
use crate::constant::repeat;
use crate::merge::row_expr::RowExpr;
use crate::merge::rules::{Action, Rule};
use crate::merge::sql;
use crate::merge::statement::{MergeAction, MergeClause, MergeWhen};

impl<'a> MergeBinder<'a> {
    pub(super) fn rule(&self, clause: &MergeClause) -> Result<Rule> {
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
