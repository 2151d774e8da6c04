//! The loop against a catalog that fails in chosen ways.

mod layout;
mod outcome;
mod speed;
pub(crate) mod world;
