//! Doing what was planned: reading and writing data files.

pub mod delete;
pub(crate) mod join;
pub mod merge;
#[cfg(test)]
mod old_files;
pub mod overwrite;
pub mod rewrite;
pub mod rows;
pub mod scan;
pub mod upsert;
pub mod write;
