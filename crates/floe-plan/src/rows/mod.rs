//! Rows on their way into data files: how large they are, when to cut row groups and files, which partition a row belongs
//! to, and what a file's metrics say about its columns.

pub mod bounds;
pub mod cut;
mod hash;
pub mod metrics;
pub mod mode;
pub mod partition;
pub mod path;
pub mod promote;
pub mod size;
pub mod sort;
pub mod transform;
