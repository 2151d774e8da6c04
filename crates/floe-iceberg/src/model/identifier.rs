//! Names of tables and namespaces.

use floe_core::{Result, names};
use iceberg::TableIdent;

/// Whether `name` needs no quotes in any engine: `^[a-zA-Z][a-zA-Z0-9_]*$`, 1 to 255 characters.
///
/// Recommended for new tables and namespaces. What a catalog takes besides, floe makes, reads and writes all the same.
pub fn is_identifier(name: &str) -> bool {
    names::is_plain(name)
}

/// Reads `namespace.table` or `a.b.table`: the last part is the table. A part that holds a dot stands in double
/// quotes ([`names::parse_table`]).
///
/// ```
/// let ident = floe_iceberg::model::parse_identifier(r#"sales."orders.2024""#)?;
/// assert_eq!(ident.name(), "orders.2024");
/// # Ok::<(), floe_core::Error>(())
/// ```
pub fn parse_identifier(text: &str) -> Result<TableIdent> {
    names::parse_table(text)
}
