//! Test support of floe: memory and faulty plugins, a seeded environment, and the contract suites that every
//! catalog and storage plugin runs in its tests.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod catalog;
pub mod contract;
pub mod env;
pub mod fuzz;
#[cfg(feature = "gcs-xml")]
pub mod gcs_xml;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod services;
pub mod sim;
pub mod storage;

pub use env::SeededEnvironment;
