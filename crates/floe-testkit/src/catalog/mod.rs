//! Catalogs for tests: one in memory, and one that fails on demand.

mod faulty;
mod memory;
mod scoped;

pub use faulty::{Fault, FaultPlan, FaultyCatalog, Method};
pub use memory::{MemoryCatalog, MemoryCatalogPlugin};
pub use scoped::ScopedCatalog;
