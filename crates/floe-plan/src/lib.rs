//! Pure decisions of floe: what an expression means, what can be pruned, how a commit is laid out, what may
//! conflict with what.
//!
//! Nothing here reads or writes files, asks the time or draws random numbers: all that comes in as arguments,
//! so that every decision can be tested against brute force and replayed.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod backoff;
pub mod change;
pub mod constant;
pub mod convert;
pub mod eval;
pub mod evolve;
pub mod expr;
pub mod guard;
pub mod layout;
pub mod lineage;
pub mod merge;
pub mod prune;
pub mod requirements;
pub mod rerun;
pub mod rows;
pub mod schema_match;
pub mod state;
pub mod summary;

#[cfg(test)]
mod test_table;
