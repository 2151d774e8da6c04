//! What every plugin must hold, as async functions that panic with the broken property.

pub mod catalog;
#[cfg(feature = "http")]
pub mod keys;
pub mod storage;
