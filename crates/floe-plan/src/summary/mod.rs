//! Snapshot summaries.
