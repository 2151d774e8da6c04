//! Paths of the protocol, and names in them.

use floe_core::{Error, Result};
use iceberg::{NamespaceIdent, TableIdent};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// All that is not unreserved (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What joins the levels of a namespace where the server names nothing else.
const DEFAULT_SEPARATOR: &str = "%1F";

/// Makes the URLs of one catalog.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    root: String,
    separator: String,
}

impl Paths {
    /// Paths below `base` (the address before `/v1`). `separator` is percent-encoded.
    pub(crate) fn new(base: &str, prefix: Option<&str>, separator: Option<&str>) -> Self {
        let prefix = prefix.map(|p| p.trim_matches('/')).filter(|p| !p.is_empty());
        let prefix: String = prefix.into_iter().flat_map(|p| p.split('/')).map(segment).collect();
        Self {
            root: format!("{base}/v1{prefix}"),
            separator: separator.unwrap_or(DEFAULT_SEPARATOR).to_owned(),
        }
    }

    pub(crate) fn namespaces(&self) -> String {
        format!("{}/namespaces", self.root)
    }

    pub(crate) fn namespace(&self, namespace: &NamespaceIdent) -> Result<String> {
        Ok(format!("{}/{}", self.namespaces(), self.encoded(namespace)?))
    }

    pub(crate) fn properties(&self, namespace: &NamespaceIdent) -> Result<String> {
        Ok(format!("{}/properties", self.namespace(namespace)?))
    }

    pub(crate) fn tables(&self, namespace: &NamespaceIdent) -> Result<String> {
        Ok(format!("{}/tables", self.namespace(namespace)?))
    }

    pub(crate) fn register(&self, namespace: &NamespaceIdent) -> Result<String> {
        Ok(format!("{}/register", self.namespace(namespace)?))
    }

    pub(crate) fn table(&self, table: &TableIdent) -> Result<String> {
        check(table.name()).map_err(|e| e.with_table(table))?;
        Ok(format!("{}{}", self.tables(table.namespace())?, segment(table.name())))
    }

    pub(crate) fn credentials(&self, table: &TableIdent) -> Result<String> {
        Ok(format!("{}/credentials", self.table(table)?))
    }

    pub(crate) fn rename(&self) -> String {
        format!("{}/tables/rename", self.root)
    }

    pub(crate) fn transaction(&self) -> String {
        format!("{}/transactions/commit", self.root)
    }

    /// A namespace as one part of a path, or as a query parameter; its levels joined by the separator.
    pub(crate) fn encoded(&self, namespace: &NamespaceIdent) -> Result<String> {
        let between = percent_decode_str(&self.separator).decode_utf8_lossy();
        let mut parts = Vec::new();
        for part in namespace.as_ref() {
            check(part)?;
            if part.contains(&*between) && !between.is_empty() {
                return Err(Error::validation(format!(
                    "a level of the namespace '{}' holds the character that joins levels",
                    part.escape_debug()
                )));
            }
            parts.push(encode(part));
        }
        Ok(parts.join(&self.separator))
    }
}

/// A name in a path; nothing of it is taken for a slash, a query or an escape.
pub(crate) fn encode(name: &str) -> String {
    utf8_percent_encode(name, RESERVED).to_string()
}

fn segment(name: &str) -> String {
    format!("/{}", encode(name))
}

/// Names that a URL cannot hold: nothing, and the two that mean a folder (RFC 3986, section 5.2.4).
fn check(name: &str) -> Result<()> {
    match name {
        "" => Err(Error::validation("a name cannot be empty")),
        "." | ".." => Err(Error::validation(format!("a REST catalog cannot hold the name '{name}'"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths() -> Paths {
        Paths::new("http://host/api", Some("my cat"), None)
    }

    fn space(parts: &[&str]) -> NamespaceIdent {
        NamespaceIdent::from_strs(parts).unwrap()
    }

    #[test]
    fn levels_are_joined_and_names_survive_a_url() {
        for (parts, name, expected) in [
            (&["a", "b.c"][..], "t", "a%1Fb.c/tables/t"),
            (&["a/b"], "x?y#z", "a%2Fb/tables/x%3Fy%23z"),
            (&["größe"], "表", "gr%C3%B6%C3%9Fe/tables/%E8%A1%A8"),
            (&["two words"], "a%20b+c", "two%20words/tables/a%2520b%2Bc"),
        ] {
            let table = TableIdent::new(space(parts), name.into());
            let path = paths().table(&table).unwrap();
            assert_eq!(path, format!("http://host/api/v1/my%20cat/namespaces/{expected}"));
            let parsed = url::Url::parse(&path).unwrap();
            assert_eq!(parsed.as_str(), path, "a URL parser leaves it alone");
        }
    }

    #[test]
    fn a_server_may_join_levels_in_its_own_way() {
        let paths = Paths::new("http://host", None, Some("%2E"));
        assert_eq!(paths.encoded(&space(&["a", "b"])).unwrap(), "a%2Eb");
        assert!(paths.encoded(&space(&["a.b"])).is_err(), "it would be taken for two levels");
    }

    #[test]
    fn a_prefix_may_have_parts() {
        let paths = Paths::new("http://host", Some("/catalogs/a b/"), None);
        assert_eq!(paths.namespaces(), "http://host/v1/catalogs/a%20b/namespaces");
        assert_eq!(Paths::new("http://host", Some(""), None).rename(), "http://host/v1/tables/rename");
    }

    #[test]
    fn names_that_a_url_cannot_hold_are_refused() {
        for name in ["", ".", ".."] {
            assert!(paths().table(&TableIdent::new(space(&["a"]), name.into())).is_err(), "{name}");
        }
        assert!(paths().encoded(&space(&[".."])).is_err());
        assert!(paths().encoded(&space(&["a\u{1f}b"])).is_err());
    }
}
