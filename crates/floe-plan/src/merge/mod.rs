//! Joining the rows of a source to the rows of a table by key: which parts of the table may hold a key at all, and what
//! becomes of rows that match and of those that do not.
//!
//! [`Rules`] say what becomes of rows. They are evaluated over Arrow batches by [`apply`], for pairs of rows that match,
//! for rows of the source alone and for rows of the table alone.

mod bind;
mod evaluate;
mod keys;
mod row_expr;
mod rules;
mod sql;
mod statement;

pub use bind::{BoundMerge, SourceRows, bind};
pub use evaluate::without_variants;
pub use keys::{KeyColumn, MAX_LISTED, key_filter};
pub use row_expr::{Arithmetic, Function, RowExpr, RowPair};
pub use rules::{Action, Applied, Fate, Rule, Rules, apply};
pub use statement::{JoinColumn, MergeAction, MergeClause, MergeSpec, MergeWhen};
