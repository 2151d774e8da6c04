//! Waiting between attempts.
