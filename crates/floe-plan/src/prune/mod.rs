//! Deciding from metadata which files a filter can match, and which it surely matches as a whole.
//!
//! Everything rests on one idea: metadata tells what *may* be among a column's values, and
//! from that follows what a test may come out as: true, false, unknown. NOT, AND and OR combine these sets.
//! A file is pruned when *true* is impossible, and matches as a whole when nothing else is possible. What is
//! not known is taken to be possible, so that a missing or unreadable metric never prunes and never proves.
//!
//! Partition values are read backwards: a file of partition `day = 3` holds values of that day, so no filter
//! has to be projected, and NOT needs no special care.

mod facts;
mod file;
mod metrics;
mod outcomes;
mod partition;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod type_tests;

pub use file::{FilePruner, Verdict};
pub use metrics::{FileMetrics, MetricsPruner, StrictMetrics};
pub use outcomes::Outcomes;
pub use partition::{ManifestPruner, PartitionPruner};
