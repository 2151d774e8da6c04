//! Fitting the schema of data to the schema of a table.
//!
//! [`match_schema`] decides once, from schemas alone, how each table column comes from the data: a
//! [`ColumnMapping`]. [`apply`] carries it out for each batch and [`check_required`] counts NULLs that must
//! not be there. [`infer`] goes the other way and gives the Iceberg schema of a new table for Arrow data.

mod apply;
mod check;
mod infer;
mod plan;
#[cfg(test)]
mod tests;

pub use apply::{apply, apply_from};
pub use check::check_required;
pub use infer::infer;
pub use plan::{
    ColumnMapping, Conversion, FieldMapping, Source, match_given, match_schema, match_schema_with,
};
