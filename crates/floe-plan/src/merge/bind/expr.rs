//! Expressions of SQL as expressions over pairs of rows: names resolved, types checked.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use floe_core::{Error, Result};
use sqlparser::ast::{BinaryOperator as Op, CastKind, Expr, Ident, UnaryOperator, Value};

use super::super::evaluate::{can_cast, is_number, type_name};
use super::super::row_expr::{Arithmetic, RowExpr};
use super::scope::Scope;
use super::types::{Typed, decimals, named, unify};
use super::{functions, literal};
use crate::expr::CompareOp;

/// How deep an expression may nest.
const MAX_DEPTH: usize = 200;

pub(super) fn bind(expr: &Expr, scope: &Scope<'_>) -> Result<Typed> {
    Binder { scope, depth: 0 }.expr(expr)
}

/// The parts of a condition that all have to be true.
pub(super) fn conjuncts(expr: &Expr) -> Vec<&Expr> {
    operands(expr, &Op::And)
}

/// `a AND b AND c` as its parts; a chain is as long as the text, and is not walked down recursively.
fn operands<'a>(expr: &'a Expr, op: &Op) -> Vec<&'a Expr> {
    let (mut parts, mut open) = (Vec::new(), vec![expr]);
    while let Some(expr) = open.pop() {
        match expr {
            Expr::BinaryOp { left, op: this, right } if this == op => {
                open.push(right);
                open.push(left);
            }
            Expr::Nested(inner) => open.push(inner),
            other => parts.push(other),
        }
    }
    parts
}

pub(super) struct Binder<'a> {
    pub(super) scope: &'a Scope<'a>,
    depth: usize,
}

impl<'a> Binder<'a> {
    fn inner(&self) -> Result<Binder<'a>> {
        if self.depth >= MAX_DEPTH {
            return Err(Error::validation(format!("an expression nests deeper than {MAX_DEPTH} levels")));
        }
        Ok(Binder { scope: self.scope, depth: self.depth + 1 })
    }

    pub(super) fn expr(&self, expr: &Expr) -> Result<Typed> {
        let inner = self.inner()?;
        match expr {
            Expr::Nested(value) => inner.expr(value),
            Expr::Identifier(name) => self.scope.column(&parts(std::slice::from_ref(name))),
            Expr::CompoundIdentifier(names) => self.scope.column(&parts(names)),
            Expr::Value(value) => literal::value(&value.value, false).map(Typed::literal),
            Expr::TypedString(string) => literal::typed(string).map(Typed::literal),
            Expr::BinaryOp { left, op, right } => inner.binary(expr, left, op, right),
            Expr::UnaryOp { op, expr } => inner.unary(*op, expr),
            Expr::IsNull(value) => Ok(Typed::boolean(inner.is_null(value)?)),
            Expr::IsNotNull(value) => Ok(Typed::boolean(not(inner.is_null(value)?))),
            Expr::IsTrue(value) => inner.is(value, true, false),
            Expr::IsNotTrue(value) => inner.is(value, true, true),
            Expr::IsFalse(value) => inner.is(value, false, false),
            Expr::IsNotFalse(value) => inner.is(value, false, true),
            Expr::IsUnknown(value) => Ok(Typed::boolean(inner.is_null(value)?)),
            Expr::IsNotUnknown(value) => Ok(Typed::boolean(not(inner.is_null(value)?))),
            Expr::IsDistinctFrom(a, b) => distinct(inner.expr(a)?, inner.expr(b)?),
            Expr::IsNotDistinctFrom(a, b) => {
                Ok(Typed::boolean(not(distinct(inner.expr(a)?, inner.expr(b)?)?.expr)))
            }
            Expr::InList { expr, list, negated } => inner.in_list(expr, list, *negated),
            Expr::Between { expr, negated, low, high } => {
                let value = inner.expr(expr)?;
                let above = compare(CompareOp::GtEq, value.clone(), inner.expr(low)?)?;
                let below = compare(CompareOp::LtEq, value, inner.expr(high)?)?;
                Ok(Typed::boolean(negated_if(*negated, RowExpr::And(vec![above, below]))))
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                inner.like(expr, pattern, escape_char.as_ref(), *negated, false)
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char } => {
                inner.like(expr, pattern, escape_char.as_ref(), *negated, true)
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                let operand = operand.as_ref().map(|value| inner.expr(value)).transpose()?;
                let (mut tests, mut values) = (Vec::new(), Vec::new());
                for branch in conditions {
                    let condition = inner.expr(&branch.condition)?;
                    tests.push(match &operand {
                        None => condition.condition("a condition of CASE")?,
                        Some(operand) => compare(CompareOp::Eq, operand.clone(), condition)?,
                    });
                    values.push(inner.expr(&branch.result)?);
                }
                values.push(match else_result {
                    Some(value) => inner.expr(value)?,
                    None => null(),
                });
                case(tests, values)
            }
            Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr, data_type, format: None, .. } => {
                let (value, to) = (inner.expr(expr)?, named(data_type)?);
                if !can_cast(&value.ty, &to) {
                    let (from, to) = (type_name(&value.ty), type_name(&to));
                    return Err(Error::validation(format!("{from} cannot be CAST to {to}")));
                }
                Ok(Typed::new(value.cast(&to)?, to))
            }
            Expr::Trim { expr, trim_where, trim_what: None, trim_characters: None } => {
                functions::trim(inner.expr(expr)?, *trim_where)
            }
            Expr::Function(function) => functions::call(&inner, function),
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                Err(Error::validation("an expression of a MERGE cannot hold a query")
                    .with_hint("put what it gives into a column of the source"))
            }
            _ => Err(Error::validation("an expression of a kind that MERGE does not know").with_hint(
                "known are columns, literals, + - * / % ||, comparisons, IS [NOT] NULL, IS [NOT] DISTINCT FROM, IN, \
                 BETWEEN, LIKE, AND, OR, NOT, CASE, CAST and functions",
            )),
        }
    }

    fn binary(&self, whole: &Expr, left: &Expr, op: &Op, right: &Expr) -> Result<Typed> {
        if matches!(op, Op::And | Op::Or) {
            let parts = operands(whole, op).into_iter();
            let what = if *op == Op::And { "each side of AND" } else { "each side of OR" };
            let parts = parts.map(|part| self.expr(part)?.condition(what)).collect::<Result<Vec<_>>>()?;
            return Ok(Typed::boolean(if *op == Op::And { RowExpr::And(parts) } else { RowExpr::Or(parts) }));
        }
        let (a, b) = (self.expr(left)?, self.expr(right)?);
        let compared = |op| compare(op, a.clone(), b.clone()).map(Typed::boolean);
        let compute = |op| arithmetic(op, a.clone(), b.clone());
        match op {
            Op::Eq => compared(CompareOp::Eq),
            Op::NotEq => compared(CompareOp::NotEq),
            Op::Lt => compared(CompareOp::Lt),
            Op::LtEq => compared(CompareOp::LtEq),
            Op::Gt => compared(CompareOp::Gt),
            Op::GtEq => compared(CompareOp::GtEq),
            Op::Spaceship => Ok(Typed::boolean(not(distinct(a, b)?.expr))),
            Op::Plus => compute(Arithmetic::Add),
            Op::Minus => compute(Arithmetic::Subtract),
            Op::Multiply => compute(Arithmetic::Multiply),
            Op::Divide => compute(Arithmetic::Divide),
            Op::Modulo => compute(Arithmetic::Remainder),
            Op::StringConcat => functions::concat(vec![a, b]),
            other => Err(Error::validation(format!("MERGE does not know the operator {other}"))),
        }
    }

    fn unary(&self, op: UnaryOperator, value: &Expr) -> Result<Typed> {
        match (op, value) {
            // The least number of a type has no positive counterpart.
            (UnaryOperator::Minus, Expr::Value(value)) if matches!(value.value, Value::Number(..)) => {
                literal::value(&value.value, true).map(Typed::literal)
            }
            (UnaryOperator::Minus, value) => {
                let value = self.number(value)?;
                Ok(Typed::new(RowExpr::Negate(Box::new(value.expr)), value.ty))
            }
            (UnaryOperator::Plus, value) => self.number(value),
            (UnaryOperator::Not, value) => {
                Ok(Typed::boolean(not(self.expr(value)?.condition("what NOT is applied to")?)))
            }
            _ => Err(Error::validation("MERGE does not know a sign before an expression")),
        }
    }

    pub(super) fn number(&self, value: &Expr) -> Result<Typed> {
        let value = self.expr(value)?;
        if is_number(&value.ty) {
            return Ok(value);
        }
        Err(Error::validation(format!("a number is needed in place of {}", type_name(&value.ty))))
    }

    fn is_null(&self, value: &Expr) -> Result<RowExpr> {
        Ok(RowExpr::IsNull(Box::new(self.expr(value)?.expr)))
    }

    fn is(&self, value: &Expr, truth: bool, negated: bool) -> Result<Typed> {
        let value = self.expr(value)?.condition("what IS TRUE or IS FALSE is asked of")?;
        let literal = literal::value(&Value::Boolean(truth), false)?;
        let differs = RowExpr::Distinct(Box::new(value), Box::new(RowExpr::Literal(literal)));
        Ok(Typed::boolean(negated_if(!negated, differs)))
    }

    fn in_list(&self, value: &Expr, list: &[Expr], negated: bool) -> Result<Typed> {
        let mut values = vec![self.expr(value)?];
        for item in list {
            values.push(self.expr(item)?);
        }
        let (values, ty) = unify(values, "IN")?;
        no_nested(&ty)?;
        let mut values = values.into_iter();
        let Some(value) = values.next() else { return Err(Error::validation("IN has no list")) };
        let (mut literals, mut others): (Vec<ArrayRef>, Vec<RowExpr>) = (Vec::new(), Vec::new());
        for item in values {
            match item {
                RowExpr::Literal(array) => literals.push(array),
                other => others.push(other),
            }
        }
        let mut parts = Vec::new();
        if !literals.is_empty() {
            let arrays: Vec<&dyn Array> = literals.iter().map(|array| array.as_ref()).collect();
            let list = arrow_select::concat::concat(&arrays).map_err(super::super::evaluate::arrow)?;
            parts.push(RowExpr::In(Box::new(value.clone()), list));
        }
        let equals = |other| RowExpr::Compare(CompareOp::Eq, Box::new(value.clone()), Box::new(other));
        parts.extend(others.into_iter().map(equals));
        let any = if parts.len() == 1 { parts.remove(0) } else { RowExpr::Or(parts) };
        Ok(Typed::boolean(negated_if(negated, any)))
    }

    fn like(
        &self,
        value: &Expr,
        pattern: &Expr,
        escape: Option<&Value>,
        negated: bool,
        ignore_case: bool,
    ) -> Result<Typed> {
        let value = self.expr(value)?.text("LIKE")?;
        let mut pattern = self.expr(pattern)?.text("LIKE")?;
        if let Some(escape) = escape {
            pattern = escaped(&pattern, escape)?;
        }
        let like = RowExpr::Like { value: Box::new(value), pattern: Box::new(pattern), ignore_case };
        Ok(Typed::boolean(negated_if(negated, like)))
    }
}

pub(super) fn compare(op: CompareOp, a: Typed, b: Typed) -> Result<RowExpr> {
    let (a, b) = comparable("a comparison", a, b)?;
    Ok(RowExpr::Compare(op, Box::new(a), Box::new(b)))
}

fn distinct(a: Typed, b: Typed) -> Result<Typed> {
    if a.ty.is_nested() && (a.ty == b.ty || b.ty == DataType::Null) {
        let to = a.ty.clone();
        return Ok(Typed::boolean(RowExpr::Distinct(Box::new(a.expr), Box::new(b.cast(&to)?))));
    }
    let (a, b) = comparable("a comparison", a, b)?;
    Ok(Typed::boolean(RowExpr::Distinct(Box::new(a), Box::new(b))))
}

/// A pattern with another escape character, in the form in which it is `\`.
fn escaped(pattern: &RowExpr, escape: &Value) -> Result<RowExpr> {
    let escape = match escape {
        Value::SingleQuotedString(text) => {
            let mut chars = text.chars();
            chars.next().filter(|_| chars.next().is_none())
        }
        _ => None,
    };
    let escape = escape.ok_or_else(|| Error::validation("ESCAPE takes one character in single quotes"))?;
    let RowExpr::Literal(array) = pattern else {
        return Err(Error::validation("LIKE with ESCAPE takes a pattern in single quotes"));
    };
    let mut out = String::new();
    let mut chars = array.as_string::<i32>().value(0).chars();
    while let Some(c) = chars.next() {
        match c {
            c if c == escape => {
                out.push('\\');
                let next = chars.next();
                out.push(
                    next.ok_or_else(|| Error::validation("a LIKE pattern ends with its escape character"))?,
                );
            }
            '\\' => out.push_str("\\\\"),
            c => out.push(c),
        }
    }
    Ok(RowExpr::Literal(Arc::new(arrow_array::StringArray::from(vec![out]))))
}

/// Two values as they can be compared: of one type, or two decimals.
fn comparable(what: &str, a: Typed, b: Typed) -> Result<(RowExpr, RowExpr)> {
    let mut both = vec![a, b];
    decimals(&mut both)?;
    if both.iter().all(|value| matches!(value.ty, DataType::Decimal128(..))) {
        let mut both = both.into_iter().map(|value| value.expr);
        if let (Some(a), Some(b)) = (both.next(), both.next()) {
            return Ok((a, b));
        }
        return Err(Error::validation("a comparison has two sides"));
    }
    let (both, ty) = unify(both, what)?;
    no_nested(&ty)?;
    let both: [RowExpr; 2] = both.try_into().map_err(|_| Error::validation("a comparison has two sides"))?;
    let [a, b] = both;
    // Of NULL alone: compared as booleans, which gives NULL.
    let typed = |expr| {
        if ty == DataType::Null { Typed::new(expr, ty.clone()).cast(&DataType::Boolean) } else { Ok(expr) }
    };
    Ok((typed(a)?, typed(b)?))
}

fn no_nested(ty: &DataType) -> Result<()> {
    if ty.is_nested() {
        return Err(Error::validation(format!("{} cannot be compared so", type_name(ty)))
            .with_hint("compare its fields, or use IS [NOT] DISTINCT FROM"));
    }
    Ok(())
}

pub(super) fn case(tests: Vec<RowExpr>, values: Vec<Typed>) -> Result<Typed> {
    let (mut values, ty) = unify(values, "CASE")?;
    let otherwise = values.pop().unwrap_or_else(|| null().expr);
    let branches = tests.into_iter().zip(values).collect();
    Ok(Typed::new(RowExpr::Case { branches, otherwise: Box::new(otherwise) }, ty))
}

fn arithmetic(op: Arithmetic, a: Typed, b: Typed) -> Result<Typed> {
    let number = |value: &Typed| is_number(&value.ty) || value.ty == DataType::Null;
    if let Some(other) = [&a, &b].into_iter().find(|value| !number(value)) {
        return Err(Error::validation(format!("arithmetic takes numbers, not {}", type_name(&other.ty)))
            .with_hint("convert it with CAST(… AS …)"));
    }
    let mut both = vec![a, b];
    decimals(&mut both)?;
    let Ok([a, b]) = <[Typed; 2]>::try_from(both) else {
        return Err(Error::validation("arithmetic has two sides"));
    };
    if let (DataType::Decimal128(p1, s1), DataType::Decimal128(p2, s2)) = (&a.ty, &b.ty) {
        let (precision, scale) = super::super::evaluate::decimal_result(op, (*p1, *s1), (*p2, *s2));
        let ty = DataType::Decimal128(precision, scale);
        return Ok(Typed::new(RowExpr::Arithmetic(op, Box::new(a.expr), Box::new(b.expr)), ty));
    }
    let (values, ty) = unify(vec![a, b], "arithmetic")?;
    // A quotient of integers is not an integer, in Spark.
    let divides = op == Arithmetic::Divide && !matches!(ty, DataType::Decimal128(..));
    let to = match &ty {
        DataType::Null => DataType::Int32,
        _ if divides => DataType::Float64,
        ty => ty.clone(),
    };
    let mut sides = values
        .into_iter()
        .map(|value| Typed::new(value, ty.clone()).cast(&to))
        .collect::<Result<Vec<_>>>()?;
    match (sides.pop(), sides.pop()) {
        (Some(b), Some(a)) => {
            let ty = match (&to, op) {
                (DataType::Decimal128(p, s), op) => {
                    let (precision, scale) = super::super::evaluate::decimal_result(op, (*p, *s), (*p, *s));
                    DataType::Decimal128(precision, scale)
                }
                _ => to,
            };
            Ok(Typed::new(RowExpr::Arithmetic(op, Box::new(a), Box::new(b)), ty))
        }
        _ => Err(Error::validation("arithmetic has two sides")),
    }
}

pub(super) fn null() -> Typed {
    Typed::literal(Arc::new(arrow_array::NullArray::new(1)))
}

fn not(expr: RowExpr) -> RowExpr {
    match expr {
        RowExpr::Not(inner) => *inner,
        expr => RowExpr::Not(Box::new(expr)),
    }
}

fn negated_if(negated: bool, expr: RowExpr) -> RowExpr {
    if negated { not(expr) } else { expr }
}

fn parts(names: &[Ident]) -> Vec<String> {
    names.iter().map(|name| name.value.clone()).collect()
}
