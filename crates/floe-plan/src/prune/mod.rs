//! Deciding which files a filter can match.
