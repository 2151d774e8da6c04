//! A seeded simulation: several writers, one at a time, with faults at every call.
//!
//! Each writer is an [`Actor`] with a catalog ([`SimCatalog`]) and a storage ([`SimHook`]) of its own over a shared one.
//! Calls that a writer makes one after the other (to the catalog, of manifest lists and metadata files, pauses) are
//! gates: there it waits until the [`Scheduler`] lets it go on. All but one writer wait at gates, so that the order of
//! events follows from the seed, whatever threads a writer uses between two gates. Faults of calls that a writer may
//! make side by side follow from the seed and the name of the file, not from their order.

mod catalog;
mod faults;
mod hook;
mod ledger;
mod scheduler;

pub use catalog::{Commit, SimCatalog, Tampered, Tampering};
pub use faults::{CommitFault, FaultRates, Moment, StorageFault};
pub use hook::SimHook;
pub use ledger::{CommitRecord, Ledger};
pub use scheduler::{Actor, Scheduler, SimEnvironment};
