//! Names of tables and namespaces.

use floe_core::{Error, Result};
use iceberg::{NamespaceIdent, TableIdent};

/// Whether `name` may name a new table or namespace: `^[a-zA-Z][a-zA-Z0-9_]*$`, 1 to 255 characters.
///
/// Tables that other writers made may be called otherwise; floe reads and writes those all the same.
pub fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    name.len() <= 255
        && chars.next().is_some_and(|c| c.is_ascii_alphabetic())
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Reads `namespace.table` or `a.b.table`: the last part is the table.
///
/// ```
/// let ident = floe_iceberg::model::parse_identifier("sales.orders")?;
/// assert_eq!(ident.name(), "orders");
/// # Ok::<(), floe_core::Error>(())
/// ```
pub fn parse_identifier(text: &str) -> Result<TableIdent> {
    let refused = || {
        Error::validation(format!("'{text}' does not name a table")).with_hint("write it as NAMESPACE.TABLE")
    };
    let parts: Vec<&str> = text.split('.').collect();
    match parts.as_slice() {
        [namespace @ .., table] if !namespace.is_empty() && parts.iter().all(|p| !p.is_empty()) => {
            Ok(TableIdent::new(NamespaceIdent::from_strs(namespace)?, (*table).to_owned()))
        }
        _ => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_follow_the_pattern() {
        for good in ["a", "Orders_2024", &"x".repeat(255)] {
            assert!(is_identifier(good), "{good}");
        }
        for bad in ["", "1a", "_a", "a-b", "a b", "é", &"x".repeat(256)] {
            assert!(!is_identifier(bad), "{bad}");
        }
    }

    #[test]
    fn the_last_part_is_the_table() {
        let ident = parse_identifier("a.b.c").unwrap();
        assert_eq!(ident.namespace().as_ref(), &["a".to_owned(), "b".to_owned()]);
        assert_eq!(ident.name(), "c");
        for bad in ["", "a", ".a", "a.", "a..b"] {
            assert!(parse_identifier(bad).is_err(), "{bad}");
        }
    }
}
