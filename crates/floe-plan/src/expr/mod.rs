//! Filter expressions: text, typed, and bound to a schema.
//!
//! An [`Expr`] is a filter over column names; [`Expr::parse`] reads one from SQL-like text, the functions of
//! [`Column`] build one in code. [`Expr::bind`] resolves the names against an Iceberg schema, converts every
//! literal to its column's type and gives a [`BoundExpr`], which [`crate::eval`] evaluates over rows and
//! [`crate::prune`] over metadata.
//!
//! # What a filter means
//! - Logic has three values (Kleene): comparing NULL gives *unknown*, and a row matches when the filter is
//!   *true*. Negation is kept where it was written, so `NOT (a < 5)` is unknown for a NULL.
//! - Floats compare as IEEE 754 says: NaN is equal to nothing and neither less nor greater than anything, so
//!   `a < 5` is false and `NOT (a < 5)` and `a != 5` are true for NaN; `-0.0 = 0.0`.
//! - `IS NULL` and `IS NAN` are never unknown: `IS NAN` is false for a NULL.

mod bind;
mod bound;
mod build;
mod convert;
mod display;
mod lexer;
mod literal;
mod parser;
#[cfg(test)]
mod tests;
mod value;

use floe_core::{Error, Result};
use iceberg::spec::Schema;
use serde::{Deserialize, Serialize};

pub use bound::{BoundExpr, BoundLeaf, Test};
pub use build::Column;
pub use convert::{Fit, fit_literal};
pub use literal::Literal;
pub use value::Value;
pub(crate) use value::units_per_day;

/// How deep an expression may nest: NOT, AND inside OR, and so on. Lists of any length are one level.
pub const MAX_DEPTH: usize = 48;

/// How a column is compared with a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompareOp {
    /// `=`
    Eq,
    /// `!=`
    NotEq,
    /// `<`
    Lt,
    /// `<=`
    LtEq,
    /// `>`
    Gt,
    /// `>=`
    GtEq,
}

impl CompareOp {
    /// The operator as it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::NotEq => "!=",
            Self::Lt => "<",
            Self::LtEq => "<=",
            Self::Gt => ">",
            Self::GtEq => ">=",
        }
    }

    /// The operator that says the same with both sides exchanged: `5 < a` is `a > 5`.
    pub fn mirrored(self) -> Self {
        match self {
            Self::Eq => Self::Eq,
            Self::NotEq => Self::NotEq,
            Self::Lt => Self::Gt,
            Self::LtEq => Self::GtEq,
            Self::Gt => Self::Lt,
            Self::GtEq => Self::LtEq,
        }
    }
}

/// A filter over column names, not bound to a schema.
///
/// Serialised as its text, the one that [`Expr::parse`] reads. Build it with [`Expr::column`], [`Expr::and`],
/// [`Expr::or`] and `!`, which keep the normal form: AND and OR hold at least two parts and never directly
/// one of their own kind.
///
/// ```
/// use floe_plan::expr::Expr;
///
/// let expr = Expr::column("country").eq("NO").and(Expr::column("amount").gt(5));
/// assert_eq!(expr.to_string(), "country = 'NO' AND amount > 5");
/// assert_eq!(Expr::parse("amount > 5 and not country is null")?.columns(), ["amount", "country"]);
/// # Ok::<(), floe_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Expr {
    /// Every row.
    True,
    /// No row.
    False,
    /// Not; unknown stays unknown.
    Not(Box<Expr>),
    /// All of these.
    And(Vec<Expr>),
    /// Any of these.
    Or(Vec<Expr>),
    /// A boolean column by itself.
    Column(String),
    /// The column is NULL.
    IsNull(String),
    /// The column is NaN (false for NULL).
    IsNan(String),
    /// The column compared with a literal.
    Compare {
        /// The full name, nested fields joined with dots.
        column: String,
        /// How.
        op: CompareOp,
        /// With what.
        literal: Literal,
    },
    /// The column is one of a list.
    In {
        /// The full name, nested fields joined with dots.
        column: String,
        /// The list.
        literals: Vec<Literal>,
    },
    /// The text starts with a prefix.
    StartsWith {
        /// The full name, nested fields joined with dots.
        column: String,
        /// The prefix.
        prefix: String,
    },
}

impl Expr {
    /// Reads a filter from text, SQL-like.
    ///
    /// Columns: `a`, `a.b` for nested fields, `"any name"`. Comparisons: `= == != <> < <= > >=`, `IN (…)`,
    /// `BETWEEN … AND …`, `IS [NOT] NULL`, `IS [NOT] NAN`, `STARTS WITH '…'`, `LIKE 'prefix%'`, each with `NOT`
    /// where SQL has it; `AND`, `OR`, `NOT`, parentheses; a boolean column by itself. Literals: numbers,
    /// `'text'` (a quote is written twice), `TRUE`, `FALSE`, `DATE '…'`, `TIME '…'`, `TIMESTAMP '…'` (with an
    /// offset for a zoned one), `DOUBLE 'NaN'`, `X'0af3'`.
    ///
    /// # Errors
    /// [`floe_core::ErrorKind::Validation`] with the position and what was expected. Values are never echoed.
    ///
    /// ```
    /// use floe_plan::expr::Expr;
    ///
    /// assert!(Expr::parse("a >= 5 AND (b IS NULL OR b LIKE 'x%')").is_ok());
    /// let error = Expr::parse("a >= AND").unwrap_err();
    /// assert_eq!(error.message(), "filter, character 6: a literal was expected, AND was found");
    /// ```
    pub fn parse(text: &str) -> Result<Self> {
        parser::parse(text)
    }

    /// Resolves names and literals against `schema`.
    ///
    /// A literal is converted to its column's type: text to date, time, timestamp, uuid or decimal, numbers to
    /// numbers. A number that the column cannot hold makes the comparison true or false for every value.
    /// With `case_sensitive` off, a name matches whatever its case, and must be unambiguous.
    ///
    /// # Errors
    /// [`floe_core::ErrorKind::Validation`] for a column that is not there (near names are given), a column
    /// that is not of a primitive type, a literal that does not fit, and nesting beyond [`MAX_DEPTH`].
    pub fn bind(&self, schema: &Schema, case_sensitive: bool) -> Result<BoundExpr> {
        bind::bind(self, schema, case_sensitive)
    }

    /// The names of all columns, each once, in order of appearance.
    pub fn columns(&self) -> Vec<&str> {
        fn walk<'a>(expr: &'a Expr, out: &mut Vec<&'a str>) {
            match expr {
                Expr::True | Expr::False => {}
                Expr::Not(inner) => walk(inner, out),
                Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|p| walk(p, out)),
                Expr::Column(column)
                | Expr::IsNull(column)
                | Expr::IsNan(column)
                | Expr::Compare { column, .. }
                | Expr::In { column, .. }
                | Expr::StartsWith { column, .. } => {
                    if !out.contains(&column.as_str()) {
                        out.push(column);
                    }
                }
            }
        }
        let mut out = Vec::new();
        walk(self, &mut out);
        out
    }
}

impl From<Expr> for String {
    fn from(expr: Expr) -> Self {
        expr.to_string()
    }
}

impl TryFrom<String> for Expr {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl std::str::FromStr for Expr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}
