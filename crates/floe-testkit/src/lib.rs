//! Test support of floe: memory and faulty plugins, a seeded environment, and the contract suites that every
//! catalog and storage plugin runs in its tests.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod catalog;
pub mod contract;
pub mod env;
pub mod services;
pub mod storage;

pub use env::SeededEnvironment;
