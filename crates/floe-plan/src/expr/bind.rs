//! Binding: names to field ids, literals to values.

use floe_core::{Error, Result};
use iceberg::spec::{NestedFieldRef, PrimitiveType, Schema, StructType, Type};

use super::{
    BoundExpr, BoundLeaf, CompareOp, Expr, Fit, Literal, MAX_DEPTH, Test, Value, fit_literal, parser,
};

pub(super) fn bind(expr: &Expr, schema: &Schema, case_sensitive: bool) -> Result<BoundExpr> {
    if parser::depth(expr) > MAX_DEPTH {
        return Err(parser::too_deep());
    }
    Binder { schema, case_sensitive }.expr(expr)
}

struct Binder<'a> {
    schema: &'a Schema,
    case_sensitive: bool,
}

impl Binder<'_> {
    fn expr(&self, expr: &Expr) -> Result<BoundExpr> {
        Ok(match expr {
            Expr::True => BoundExpr::True,
            Expr::False => BoundExpr::False,
            Expr::Not(inner) => !self.expr(inner)?,
            Expr::And(parts) => {
                // Every part is bound before any is dropped: a fault behind FALSE is still a fault.
                BoundExpr::all(parts.iter().map(|p| self.expr(p)).collect::<Result<Vec<_>>>()?)
            }
            Expr::Or(parts) => {
                BoundExpr::any(parts.iter().map(|p| self.expr(p)).collect::<Result<Vec<_>>>()?)
            }
            Expr::Column(column) => self.compare(column, CompareOp::Eq, &Literal::Boolean(true))?,
            Expr::IsNull(column) => {
                let leaf = self.leaf(column)?;
                if leaf.required { BoundExpr::False } else { with(leaf, Test::IsNull) }
            }
            Expr::IsNan(column) => {
                let leaf = self.leaf(column)?;
                match leaf.field_type {
                    PrimitiveType::Float | PrimitiveType::Double => with(leaf, Test::IsNan),
                    _ => BoundExpr::False,
                }
            }
            Expr::Compare { column, op, literal } => self.compare(column, *op, literal)?,
            Expr::In { column, literals } => self.is_in(column, literals)?,
            Expr::StartsWith { column, prefix } => {
                let leaf = self.leaf(column)?;
                if leaf.field_type != PrimitiveType::String {
                    return Err(misfit(&leaf, "cannot be tested for a prefix", "only string columns can"));
                }
                let test =
                    if prefix.is_empty() { Test::NotNullIs(true) } else { Test::StartsWith(prefix.clone()) };
                with(leaf, test)
            }
        })
    }

    fn compare(&self, column: &str, op: CompareOp, literal: &Literal) -> Result<BoundExpr> {
        let leaf = self.leaf(column)?;
        let test = match fit(&leaf, literal)? {
            Fit::Exact(value) => Test::Compare(op, value),
            Fit::Above(value) => match op {
                CompareOp::Eq => Test::NotNullIs(false),
                CompareOp::NotEq => Test::NotNullIs(true),
                CompareOp::Lt | CompareOp::LtEq => Test::Compare(CompareOp::LtEq, value),
                CompareOp::Gt | CompareOp::GtEq => Test::Compare(CompareOp::Gt, value),
            },
            Fit::AboveAll => {
                Test::NotNullIs(matches!(op, CompareOp::NotEq | CompareOp::Lt | CompareOp::LtEq))
            }
            Fit::BelowAll => {
                Test::NotNullIs(matches!(op, CompareOp::NotEq | CompareOp::Gt | CompareOp::GtEq))
            }
        };
        Ok(with(leaf, test))
    }

    fn is_in(&self, column: &str, literals: &[Literal]) -> Result<BoundExpr> {
        let leaf = self.leaf(column)?;
        let mut values: Vec<Value> = Vec::with_capacity(literals.len());
        for literal in literals {
            match fit(&leaf, literal)? {
                Fit::Exact(value) if !value.is_nan() => values.push(value),
                // Nothing equals it.
                _ => {}
            }
        }
        values.sort_unstable_by(Value::total_cmp);
        values.dedup();
        let test = match values.len() {
            0 => Test::NotNullIs(false),
            1 => Test::Compare(CompareOp::Eq, values.remove(0)),
            _ => Test::In(values.into()),
        };
        Ok(with(leaf, test))
    }

    /// The column as a leaf without a test.
    fn leaf(&self, name: &str) -> Result<BoundLeaf> {
        let id = self.resolve(name)?;
        let full = self.schema.name_by_field_id(id).unwrap_or(name).to_owned();
        let Some((field, required)) = find(self.schema.as_struct(), id, true) else {
            return Err(Error::validation(format!(
                "column {full} lies in a list or map and cannot be filtered by"
            ))
            .with_hint("filter by a column outside of lists and maps"));
        };
        let Type::Primitive(field_type) = field.field_type.as_ref() else {
            return Err(Error::validation(format!("column {full} is nested and cannot be filtered by"))
                .with_hint("name one of its fields with a dot, as in a.b"));
        };
        Ok(BoundLeaf {
            field_id: id,
            column: full,
            field_type: field_type.clone(),
            required,
            test: Test::IsNull,
        })
    }

    fn resolve(&self, name: &str) -> Result<i32> {
        if let Some(id) = self.schema.field_id_by_name(name) {
            return Ok(id);
        }
        let names = self.schema.field_id_to_name_map();
        if !self.case_sensitive {
            let wanted = name.to_lowercase();
            let mut ids = names.iter().filter(|(_, n)| n.to_lowercase() == wanted).map(|(id, _)| *id);
            match (ids.next(), ids.next()) {
                (Some(id), None) => return Ok(id),
                (Some(_), Some(_)) => {
                    return Err(Error::validation(format!("several columns are named {name} but for case"))
                        .with_hint("write the name exactly"));
                }
                _ => {}
            }
        }
        let near = near(name, names.values().map(String::as_str));
        let error = Error::validation(format!("there is no column {name}"));
        Err(if near.is_empty() {
            error.with_hint("list the columns of the table; text literals go in single quotes")
        } else {
            error.with_hint(format!("did you mean {}?", near.join(", ")))
        })
    }
}

fn with(leaf: BoundLeaf, test: Test) -> BoundExpr {
    match test {
        // A required column is never NULL, so nothing is left to look at.
        Test::NotNullIs(true) if leaf.required => BoundExpr::True,
        Test::NotNullIs(false) if leaf.required => BoundExpr::False,
        test => BoundExpr::Leaf(BoundLeaf { test, ..leaf }),
    }
}

fn fit(leaf: &BoundLeaf, literal: &Literal) -> Result<Fit> {
    fit_literal(literal, &leaf.field_type)
        .map_err(|hint| misfit(leaf, &format!("cannot be compared with {}", literal.kind()), hint))
}

fn misfit(leaf: &BoundLeaf, what: &str, hint: &str) -> Error {
    Error::validation(format!("column {} of type {} {what}", leaf.column, leaf.field_type)).with_hint(hint)
}

/// The field with this id, reached through structs only, and whether it and all structs around it are required.
fn find(fields: &StructType, id: i32, required: bool) -> Option<(&NestedFieldRef, bool)> {
    fields.fields().iter().find_map(|field| {
        let required = required && field.required;
        if field.id == id {
            return Some((field, required));
        }
        match field.field_type.as_ref() {
            Type::Struct(inner) => find(inner, id, required),
            _ => None,
        }
    })
}

/// Up to three names near `wanted`, nearest first.
fn near<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = wanted.to_lowercase();
    let mut scored: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let lower = name.to_lowercase();
            let distance = distance(&wanted, &lower);
            let close = distance <= 1 + wanted.chars().count() / 4
                || lower.rsplit('.').next() == Some(&wanted)
                || (wanted.len() > 2 && lower.contains(&wanted));
            close.then_some((distance, name))
        })
        .collect();
    scored.sort_unstable();
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
