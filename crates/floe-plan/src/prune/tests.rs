//! Tests of pruning.
