//! What the tests across the crates of floe share: data, the comparison of rows, and the other engines.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

/// The examples of the README, run as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

pub mod contract;
pub mod data;
pub mod equality;
pub mod peers;
pub mod rows;
pub mod sim;
pub mod spark;
pub mod sts;
pub mod warehouse;
pub mod writers;
