//! Doing what was planned: reading and writing data files.

pub mod delete;
pub mod overwrite;
pub mod rewrite;
pub mod rows;
pub mod scan;
pub mod write;
