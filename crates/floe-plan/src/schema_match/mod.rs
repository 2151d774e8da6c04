//! Fitting the schema of data to the schema of a table.
