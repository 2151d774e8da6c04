//! The grammar of `MERGE`, which is Spark's, over the tokens and expressions of `sqlparser`.
//!
//! Errors tell where and what was expected. They never hold the text: it may have values.

mod dialect;
mod grammar;

pub(super) use grammar::{clauses, expression, name, statement};
