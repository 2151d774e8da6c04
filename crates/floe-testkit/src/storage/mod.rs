//! Storages for tests: one in memory, one that fails as planned, and one that asks before each call.

pub mod faults;
mod faulty;
mod hooked;
mod hooked_io;
mod memory;
mod memory_io;

pub use faults::{Call, Fault, FaultPlan, FaultRule, Operation};
pub use faulty::FaultyStorage;
pub use hooked::{After, HookedStorage, StorageHook};
pub use memory::{MemoryStorage, MemoryStorageConfig, MemoryStoragePlugin};
