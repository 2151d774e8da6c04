//! Where in a database a catalog's tables are, and which form they have.

/// The longest name, location or property that is believed, in bytes. The layout has 1000 characters at most; SQLite
/// keeps to no length, so that a file of somebody else could hold a text as big as the memory.
const LONGEST: usize = 65_536;

/// The tables of a catalog in a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The schema that they are in, where the database has schemas. Every statement names it, so that no table of
    /// another schema is taken for them.
    pub(crate) schema: Option<String>,
    /// Whether `iceberg_tables` has the column `iceberg_type`.
    pub(crate) typed: bool,
}

impl Layout {
    /// The table of tables, for a statement.
    pub(crate) fn tables(&self) -> String {
        self.named("iceberg_tables")
    }

    /// The table of namespaces, for a statement.
    pub(crate) fn namespaces(&self) -> String {
        self.named("iceberg_namespace_properties")
    }

    /// Views, which other engines keep in the same table, are no tables.
    pub(crate) fn only_tables(&self) -> &'static str {
        if self.typed { " AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)" } else { "" }
    }

    fn named(&self, table: &str) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{table}", quoted(schema)),
            None => table.to_owned(),
        }
    }
}

/// A name as SQL quotes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A column for a query, and whether it is too long to be believed, which its value is then left out for.
pub(crate) fn bounded(column: &str) -> String {
    format!(
        "CASE WHEN octet_length({column}) > {LONGEST} THEN NULL ELSE {column} END, \
         CASE WHEN octet_length({column}) > {LONGEST} THEN '1' END"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_named_whatever_it_is_called() {
        let of = |schema: Option<&str>| Layout { schema: schema.map(Into::into), typed: false }.tables();
        assert_eq!(of(None), "iceberg_tables");
        assert_eq!(of(Some("lake")), "\"lake\".iceberg_tables");
        assert_eq!(of(Some("a\"; DROP TABLE x; --")), "\"a\"\"; DROP TABLE x; --\".iceberg_tables");
    }
}
