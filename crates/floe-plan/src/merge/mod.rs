//! Joining the rows of a source to the rows of a table by key: which parts of the table may hold a key at all.

mod keys;

pub use keys::{KeyColumn, MAX_LISTED, key_filter};
