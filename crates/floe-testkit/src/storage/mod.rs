//! Storages for tests: one in memory, and one that fails as planned.

pub mod faults;
mod faulty;
mod faulty_io;
mod memory;
mod memory_io;

pub use faults::{Call, Fault, FaultPlan, FaultRule, Operation};
pub use faulty::FaultyStorage;
pub use memory::{MemoryStorage, MemoryStorageConfig, MemoryStoragePlugin};
