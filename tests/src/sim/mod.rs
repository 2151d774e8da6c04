//! A seeded simulation of concurrent writers and faults over the real manager and its commit path.
//!
//! [`run`] lets several writers work on one table, at random, with faults at every call, and compares what became of the
//! table with a plain model: rows are a list, an operation removes some and adds some.

mod checks;
mod filter;
mod generate;
mod model;
mod mutant;
mod old_state;
mod perform;
mod row;
mod run;
mod transitions;
mod truth;

pub use mutant::Mutant;
pub use run::{Failure, Options, Report, run};
