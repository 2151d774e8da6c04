//! Merging the rows of a source into a table.

mod counts;
mod engine;
#[cfg(test)]
pub(crate) mod fixture;
mod target;

pub use counts::{MergeChange, MergeCounts};
pub(crate) use engine::{MergeJob, merge_rows};
