//! The loop against a catalog that fails in chosen ways.

pub(crate) mod changes;
mod layout;
mod outcome;
mod speed;
pub(crate) mod world;
