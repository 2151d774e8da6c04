//! Expressions over a row of a source and a row of a table, side by side.

use std::collections::BTreeSet;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::DataType;
use floe_core::Result;

use super::evaluate::{self, arrow};
use crate::expr::CompareOp;

/// An expression over a pair of rows, with all names resolved and all types fitted to each other: conversions are
/// written out as [`RowExpr::Cast`].
#[derive(Debug, Clone)]
pub enum RowExpr {
    /// A column of the source, by position.
    Source(usize),
    /// A column of the table, by field id.
    Target(i32),
    /// The same value for every pair: an array of one.
    Literal(ArrayRef),
    /// A field of a struct, by position; NULL where the struct is.
    Field(Box<RowExpr>, usize),
    /// A value of another type. A value that the type cannot hold is an error.
    Cast {
        /// The value.
        value: Box<RowExpr>,
        /// The type that it becomes.
        to: DataType,
    },
    /// Two numbers of one type, or two decimals. What the result's type cannot hold, and division by zero, are errors.
    Arithmetic(Arithmetic, Box<RowExpr>, Box<RowExpr>),
    /// The number with the other sign.
    Negate(Box<RowExpr>),
    /// Two values of one type, or two decimals, compared; unknown if one is NULL. NaN is neither less than, equal to, nor
    /// greater than anything.
    Compare(CompareOp, Box<RowExpr>, Box<RowExpr>),
    /// Whether two values differ. NULL does not differ from NULL, nor NaN from NaN. Never NULL itself.
    Distinct(Box<RowExpr>, Box<RowExpr>),
    /// Whether the value is NULL.
    IsNull(Box<RowExpr>),
    /// Whether the value is NaN; false for NULL.
    IsNan(Box<RowExpr>),
    /// Whether the value is one of a list of its type; unknown if it is NULL, or is none of them and NULL is.
    In(Box<RowExpr>, ArrayRef),
    /// Whether text is like a pattern of `%`, `_` and `\`.
    Like {
        /// The text.
        value: Box<RowExpr>,
        /// The pattern.
        pattern: Box<RowExpr>,
        /// Whether upper and lower case are the same.
        ignore_case: bool,
    },
    /// The opposite; unknown stays unknown.
    Not(Box<RowExpr>),
    /// Whether all of these are true; unknown if none is false, and one is unknown. Later ones are not evaluated for rows
    /// for which one is false.
    And(Vec<RowExpr>),
    /// Whether any of these is true; unknown if none is, and one is unknown. Later ones are not evaluated for rows for
    /// which one is true.
    Or(Vec<RowExpr>),
    /// The value of the first branch whose condition is true. A value is evaluated only for the rows it is taken for.
    Case {
        /// Conditions, each with the value that goes with it.
        branches: Vec<(RowExpr, RowExpr)>,
        /// The value if no condition is true.
        otherwise: Box<RowExpr>,
    },
    /// The first value that is not NULL. Later ones are not evaluated for rows that have it already.
    Coalesce(Vec<RowExpr>),
    /// A function of its arguments.
    Call(Function, Vec<RowExpr>),
}

/// Arithmetic of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`: the rest has the sign of the first number.
    Remainder,
}

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// The number without its sign.
    Abs,
    /// Text in upper case.
    Upper,
    /// Text in lower case.
    Lower,
    /// Text without spaces at both ends.
    Trim,
    /// Text without spaces at its start.
    TrimStart,
    /// Text without spaces at its end.
    TrimEnd,
    /// How many characters text has.
    Length,
    /// Texts put together; NULL if one is.
    Concat,
    /// The greatest value that is not NULL; NaN is greater than any number.
    Greatest,
    /// The least value that is not NULL; NaN is greater than any number.
    Least,
}

/// Rows of a source and of a table, as many of the one as of the other.
#[derive(Debug, Clone)]
pub struct RowPair {
    /// Rows of the source, if they are there.
    pub source: Option<RecordBatch>,
    /// Rows of the table, if they are there; fields carry field ids.
    pub target: Option<RecordBatch>,
    /// How many rows there are.
    pub rows: usize,
}

impl RowPair {
    /// The pairs for which `mask` is true.
    pub fn filter(&self, mask: &BooleanArray) -> Result<Self> {
        let filter = |batch: &Option<RecordBatch>| {
            batch.as_ref().map(|b| arrow_select::filter::filter_record_batch(b, mask)).transpose()
        };
        Ok(Self {
            source: filter(&self.source).map_err(arrow)?,
            target: filter(&self.target).map_err(arrow)?,
            rows: mask.true_count(),
        })
    }
}

/// Does something with each expression that another one, shared or not, is made of.
macro_rules! children {
    ($of:expr, |$child:ident| $each:expr) => {
        match $of {
            Self::Source(_) | Self::Target(_) | Self::Literal(_) => {}
            Self::Field($child, _)
            | Self::Cast { value: $child, .. }
            | Self::Negate($child)
            | Self::IsNull($child)
            | Self::IsNan($child)
            | Self::In($child, _)
            | Self::Not($child) => $each,
            Self::Arithmetic(_, a, b)
            | Self::Compare(_, a, b)
            | Self::Distinct(a, b)
            | Self::Like { value: a, pattern: b, .. } => {
                for $child in [a, b] {
                    $each;
                }
            }
            Self::And(parts) | Self::Or(parts) | Self::Coalesce(parts) | Self::Call(_, parts) => {
                for $child in parts {
                    $each;
                }
            }
            Self::Case { branches, otherwise } => {
                for (condition, value) in branches {
                    for $child in [condition, value] {
                        $each;
                    }
                }
                let $child = otherwise;
                $each;
            }
        }
    };
}

impl RowExpr {
    /// The value for each pair.
    ///
    /// # Errors
    /// [`floe_core::ErrorKind::Validation`] for a value that cannot be computed (a number too large for its type, a
    /// division by zero, text that is no date); the error does not show it.
    /// [`floe_core::ErrorKind::Internal`] when a column is not among the rows.
    pub fn evaluate(&self, pair: &RowPair) -> Result<ArrayRef> {
        evaluate::evaluate(self, pair)
    }

    /// Where the value, a boolean, is true: neither false nor unknown. Never NULL.
    ///
    /// # Errors
    /// As [`RowExpr::evaluate`].
    pub fn is_true(&self, pair: &RowPair) -> Result<BooleanArray> {
        use arrow_array::cast::AsArray;
        Ok(crate::eval::keep(self.evaluate(pair)?.as_boolean()))
    }

    /// The field ids of the table's columns that are looked at.
    pub fn target_fields(&self, out: &mut BTreeSet<i32>) {
        self.visit(&mut |expr| {
            if let Self::Target(id) = expr {
                out.insert(*id);
            }
        });
    }

    /// Whether columns of the source are looked at.
    pub fn reads_source(&self) -> bool {
        let mut reads = false;
        self.visit(&mut |expr| reads |= matches!(expr, Self::Source(_)));
        reads
    }

    /// Whether columns of the table are looked at.
    pub fn reads_target(&self) -> bool {
        let mut reads = false;
        self.visit(&mut |expr| reads |= matches!(expr, Self::Target(_)));
        reads
    }

    /// Whether evaluating it can fail for some value.
    pub(super) fn may_fail(&self) -> bool {
        let mut may = false;
        self.visit(&mut |expr| {
            may |= matches!(
                expr,
                Self::Cast { .. } | Self::Arithmetic(..) | Self::Negate(_) | Self::Call(Function::Abs, _)
            );
        });
        may
    }

    /// Gives every expression in this one, itself first, to `each`.
    fn visit(&self, each: &mut dyn FnMut(&Self)) {
        each(self);
        children!(self, |child| child.visit(each));
    }

    /// Gives every column of the source another position.
    pub(super) fn move_source(&mut self, to: &dyn Fn(usize) -> usize) {
        if let Self::Source(index) = self {
            *index = to(*index);
        }
        children!(self, |child| child.move_source(to));
    }
}
