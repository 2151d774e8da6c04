//! Reading a table.
//!
//! [`plan_scan`] decides which files to read and which deletes apply to them, and gives a [`ScanPlan`], which is a value.
//! [`execute_scan`] runs a plan and gives a stream of record batches.

mod columns;
mod decode;
mod delete_index;
mod deletes;
mod equality;
mod execute;
mod filter;
#[cfg(test)]
pub(crate) mod fixture;
mod ids;
mod input;
mod metrics;
mod open;
mod plan;
mod project;
mod promise;
mod request;
mod row_groups;
pub(crate) mod rows;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod width_tests;

pub use execute::execute_scan;
pub use filter::PartitionSet;
pub(crate) use filter::{Probe, RowsWanted};
pub use metrics::{ScanMetrics, ScanSummary};
pub use plan::plan_scan;
pub(crate) use plan::{PlannedFiles, delete_columns, plan_files};
pub use request::{
    DEFAULT_BATCH_SIZE, DEFAULT_MEMORY_BYTES, DeleteFile, PlanStats, ScanPlan, ScanRequest, ScanTask,
};

pub use crate::base::SnapshotSelector;
