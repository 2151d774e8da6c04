//! Building expressions in code.

use super::{CompareOp, Expr, Literal};

/// A column to build a comparison on; see [`Expr::column`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column(String);

impl Column {
    /// `column = literal`
    pub fn eq(self, literal: impl Into<Literal>) -> Expr {
        self.compare(CompareOp::Eq, literal)
    }

    /// `column != literal`
    pub fn not_eq(self, literal: impl Into<Literal>) -> Expr {
        self.compare(CompareOp::NotEq, literal)
    }

    /// `column < literal`
    pub fn lt(self, literal: impl Into<Literal>) -> Expr {
        self.compare(CompareOp::Lt, literal)
    }

    /// `column <= literal`
    pub fn lt_eq(self, literal: impl Into<Literal>) -> Expr {
        self.compare(CompareOp::LtEq, literal)
    }

    /// `column > literal`
    pub fn gt(self, literal: impl Into<Literal>) -> Expr {
        self.compare(CompareOp::Gt, literal)
    }

    /// `column >= literal`
    pub fn gt_eq(self, literal: impl Into<Literal>) -> Expr {
        self.compare(CompareOp::GtEq, literal)
    }

    /// `column op literal`
    pub fn compare(self, op: CompareOp, literal: impl Into<Literal>) -> Expr {
        Expr::Compare { column: self.0, op, literal: literal.into() }
    }

    /// `column BETWEEN low AND high`, both ends included.
    pub fn between(self, low: impl Into<Literal>, high: impl Into<Literal>) -> Expr {
        self.clone().gt_eq(low).and(self.lt_eq(high))
    }

    /// `column IN (…)`; an empty list matches nothing.
    pub fn is_in<L: Into<Literal>>(self, literals: impl IntoIterator<Item = L>) -> Expr {
        let literals: Vec<_> = literals.into_iter().map(Into::into).collect();
        if literals.is_empty() { Expr::False } else { Expr::In { column: self.0, literals } }
    }

    /// `column IS NULL`
    pub fn is_null(self) -> Expr {
        Expr::IsNull(self.0)
    }

    /// `column IS NOT NULL`
    pub fn is_not_null(self) -> Expr {
        !self.is_null()
    }

    /// `column IS NAN`
    pub fn is_nan(self) -> Expr {
        Expr::IsNan(self.0)
    }

    /// `column STARTS WITH 'prefix'`
    pub fn starts_with(self, prefix: impl Into<String>) -> Expr {
        Expr::StartsWith { column: self.0, prefix: prefix.into() }
    }

    /// A boolean column by itself.
    pub fn is_true(self) -> Expr {
        Expr::Column(self.0)
    }
}

impl Expr {
    /// A column to build on; nested fields are joined with dots.
    pub fn column(name: impl Into<String>) -> Column {
        Column(name.into())
    }

    /// Both.
    pub fn and(self, other: Expr) -> Expr {
        Expr::all([self, other])
    }

    /// Either.
    pub fn or(self, other: Expr) -> Expr {
        Expr::any([self, other])
    }

    /// All of `parts`; none at all is true.
    pub fn all(parts: impl IntoIterator<Item = Expr>) -> Expr {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Expr::And(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        if flat.len() > 1 { Expr::And(flat) } else { flat.pop().unwrap_or(Expr::True) }
    }

    /// Any of `parts`; none at all is false.
    pub fn any(parts: impl IntoIterator<Item = Expr>) -> Expr {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Expr::Or(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        if flat.len() > 1 { Expr::Or(flat) } else { flat.pop().unwrap_or(Expr::False) }
    }
}

impl std::ops::Not for Expr {
    type Output = Expr;

    fn not(self) -> Expr {
        Expr::Not(Box::new(self))
    }
}
