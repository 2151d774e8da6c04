//! Merging the rows of a source into a table.

mod counts;
mod engine;
#[cfg(test)]
pub(crate) mod fixture;
mod held;
mod pairs;
mod passes;
mod statement;
mod target;
#[cfg(test)]
mod tests;

pub use counts::{MergeChange, MergeCounts};
pub(crate) use engine::{MergeJob, merge_rows};
pub(crate) use held::HeldSource;
pub(crate) use statement::merge_held;
pub use statement::{MergeOptions, merge};
