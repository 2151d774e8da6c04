//! Doing what was planned: reading and writing data files.

pub mod delete;
pub(crate) mod join;
pub mod overwrite;
pub mod rewrite;
pub mod rows;
pub mod scan;
pub mod write;
