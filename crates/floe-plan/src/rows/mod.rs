//! Row groups and file sizes: when to cut.
