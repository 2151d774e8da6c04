//! Functions, by name.

use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, TimestampMicrosecondArray};
use arrow_schema::DataType;
use floe_core::{Error, Result};
use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArguments, TrimWhereField};

use super::super::evaluate::{can_cast, is_number, type_name};
use super::super::row_expr::{Function, RowExpr};
use super::expr::{Binder, case, compare, null};
use super::types::{Typed, unify};
use crate::expr::CompareOp;

/// The functions there are.
const KNOWN: &str = "abs, coalesce, concat, current_date, current_timestamp, greatest, if, ifnull, isnan, least, length, \
                     lower, ltrim, nullif, nvl, rtrim, trim and upper";

/// A call of a function.
pub(super) fn call(binder: &Binder<'_>, function: &sqlparser::ast::Function) -> Result<Typed> {
    let name = function.name.to_string().to_lowercase();
    if function.over.is_some() || function.filter.is_some() || function.null_treatment.is_some() {
        return Err(Error::validation(format!("{name}: MERGE knows functions of one row only")));
    }
    let arguments = arguments(&name, &function.args)?;
    let count = arguments.len();
    let takes = |least: usize, most: usize| {
        if (least..=most).contains(&count) {
            return Ok(());
        }
        Err(Error::validation(format!("{name} does not take {count} arguments")))
    };
    let values = || arguments.iter().map(|argument| binder.expr(argument)).collect::<Result<Vec<_>>>();
    let text = |function: Function| -> Result<Typed> {
        takes(1, 1)?;
        let argument = binder.expr(arguments[0])?.text(&name)?;
        Ok(Typed::new(RowExpr::Call(function, vec![argument]), DataType::Utf8))
    };
    match name.as_str() {
        "upper" | "ucase" => text(Function::Upper),
        "lower" | "lcase" => text(Function::Lower),
        "trim" => text(Function::Trim),
        "ltrim" => text(Function::TrimStart),
        "rtrim" => text(Function::TrimEnd),
        "length" | "char_length" | "character_length" => {
            text(Function::Length).map(|length| Typed { ty: DataType::Int32, ..length })
        }
        "abs" => {
            takes(1, 1)?;
            let value = binder.number(arguments[0])?;
            Ok(Typed::new(RowExpr::Call(Function::Abs, vec![value.expr]), value.ty))
        }
        "concat" => {
            takes(1, usize::MAX)?;
            concat(values()?)
        }
        "coalesce" | "ifnull" | "nvl" => {
            takes(if name == "coalesce" { 1 } else { 2 }, if name == "coalesce" { usize::MAX } else { 2 })?;
            let (values, ty) = unify(values()?, &name)?;
            Ok(Typed::new(RowExpr::Coalesce(values), ty))
        }
        "greatest" | "least" => {
            takes(2, usize::MAX)?;
            let (values, ty) = unify(values()?, &name)?;
            if ty.is_nested() {
                return Err(Error::validation(format!("{name} cannot compare {}", type_name(&ty))));
            }
            let function = if name == "greatest" { Function::Greatest } else { Function::Least };
            Ok(Typed::new(RowExpr::Call(function, values), ty))
        }
        "nullif" => {
            takes(2, 2)?;
            let (a, b) = (binder.expr(arguments[0])?, binder.expr(arguments[1])?);
            let same = compare(CompareOp::Eq, a.clone(), b)?;
            case(vec![same], vec![null(), a])
        }
        "if" | "iff" => {
            takes(3, 3)?;
            let condition = binder.expr(arguments[0])?.condition("the condition of IF")?;
            case(vec![condition], vec![binder.expr(arguments[1])?, binder.expr(arguments[2])?])
        }
        "isnan" => {
            takes(1, 1)?;
            let value = binder.number(arguments[0])?;
            Ok(Typed::boolean(RowExpr::IsNan(Box::new(value.expr))))
        }
        "isnull" | "isnotnull" => {
            takes(1, 1)?;
            let test = RowExpr::IsNull(Box::new(binder.expr(arguments[0])?.expr));
            Ok(Typed::boolean(if name == "isnull" { test } else { RowExpr::Not(Box::new(test)) }))
        }
        "current_timestamp" | "now" => {
            takes(0, 0)?;
            let now = TimestampMicrosecondArray::from(vec![binder.scope.now_us]).with_timezone("+00:00");
            Ok(Typed::literal(Arc::new(now) as ArrayRef))
        }
        "current_date" => {
            takes(0, 0)?;
            let day = binder.scope.now_us.div_euclid(86_400_000_000) as i32;
            Ok(Typed::literal(Arc::new(Date32Array::from(vec![day])) as ArrayRef))
        }
        _ => Err(Error::validation(format!("MERGE does not know the function {name}"))
            .with_hint(format!("it knows {KNOWN}"))),
    }
}

fn arguments<'a>(name: &str, arguments: &'a FunctionArguments) -> Result<Vec<&'a Expr>> {
    let list = match arguments {
        FunctionArguments::None => return Ok(Vec::new()),
        FunctionArguments::List(list) if list.duplicate_treatment.is_none() && list.clauses.is_empty() => {
            list
        }
        _ => return Err(Error::validation(format!("{name} takes plain arguments"))),
    };
    let plain = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr),
        _ => Err(Error::validation(format!("{name} takes plain arguments"))),
    });
    plain.collect()
}

/// Texts put together; numbers, dates and the like are written out.
pub(super) fn concat(values: Vec<Typed>) -> Result<Typed> {
    let texts = values.into_iter().map(|value| {
        let written = is_number(&value.ty) || can_cast(&value.ty, &DataType::Utf8);
        if !written || value.ty == DataType::LargeBinary {
            return value.text("concat");
        }
        value.cast(&DataType::Utf8)
    });
    Ok(Typed::new(RowExpr::Call(Function::Concat, texts.collect::<Result<_>>()?), DataType::Utf8))
}

/// `TRIM([BOTH | LEADING | TRAILING] FROM text)`.
pub(super) fn trim(value: Typed, side: Option<TrimWhereField>) -> Result<Typed> {
    let function = match side {
        None | Some(TrimWhereField::Both) => Function::Trim,
        Some(TrimWhereField::Leading) => Function::TrimStart,
        Some(TrimWhereField::Trailing) => Function::TrimEnd,
    };
    Ok(Typed::new(RowExpr::Call(function, vec![value.text("trim")?]), DataType::Utf8))
}
