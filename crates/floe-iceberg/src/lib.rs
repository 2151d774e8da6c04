//! The Iceberg table lifecycle over floe's catalog and storage plugins.
//!
//! Start at `IcebergTableManager`. Every write takes one path: intent, plan (pure, in `floe-plan`), execute
//! (IO, gives a change set), commit loop, outcome.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod base;
mod cleanup;
pub mod commit;
pub mod data;
pub mod execute;
pub mod footer;
mod input;
mod manager;
pub mod model;
mod properties;
pub mod refs;

pub use cleanup::settled;
pub use manager::{
    DroppedTable, IcebergTableManager, NamespaceListing, Scan, SkippedNamespace, StepOutcome, Transaction,
    TransactionOutcome,
};
