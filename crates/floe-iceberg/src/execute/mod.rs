//! Doing what was planned: reading and writing data files.

pub mod scan;
pub mod write;
