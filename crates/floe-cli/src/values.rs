//! Small values of the command line: table names, `key=value` pairs, the CSV delimiter.

use std::fmt;
use std::str::FromStr;

use floe::names::{self, TableText};
use iceberg::{NamespaceIdent, TableIdent};

/// `NAMESPACE.TABLE`; the namespace may have several parts: `a.b.table`. A part that holds a dot stands in double
/// quotes: `a."b.c"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableName {
    pub(crate) namespace: Vec<String>,
    pub(crate) name: String,
}

impl TableName {
    /// The namespace as text, with quotes where they are needed.
    pub(crate) fn namespace_text(&self) -> String {
        names::render_parts(&self.namespace)
    }

    /// The namespace as the catalog takes it.
    pub(crate) fn namespace_ident(&self) -> NamespaceIdent {
        // The parser admits no empty namespace; the fall-back keeps this free of panics.
        NamespaceIdent::from_vec(self.namespace.clone())
            .unwrap_or_else(|_| NamespaceIdent::new(self.namespace_text()))
    }

    /// The identifier as the catalog takes it.
    pub(crate) fn ident(&self) -> TableIdent {
        TableIdent::new(self.namespace_ident(), self.name.clone())
    }
}

impl FromStr for TableName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let table = names::parse_table(text).map_err(|e| e.to_string())?;
        Ok(Self { namespace: table.namespace().as_ref().clone(), name: table.name().to_owned() })
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&names::render_table(&self.ident()))
    }
}

impl TableText for TableName {
    fn table_text(&self) -> String {
        self.to_string()
    }
}

/// A namespace: `a`, `a.b`, `a."b.c"`.
pub(crate) fn namespace(text: &str) -> Result<NamespaceIdent, String> {
    names::parse_namespace(text).map_err(|e| e.to_string())
}

/// `KEY=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyValue {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl FromStr for KeyValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                Ok(Self { key: key.trim().to_owned(), value: value.to_owned() })
            }
            _ => Err("a property is written KEY=VALUE".into()),
        }
    }
}

/// A number of bytes: `512MB`, `1GiB`, `268435456`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" | "k" => 1 << 10,
        "mib" | "m" => 1 << 20,
        "gib" | "g" => 1 << 30,
        _ => return Err("a size is a number with MB, GB, MiB or GiB".into()),
    };
    let number: u64 = number.parse().map_err(|_| "a size begins with a number, such as 512MB".to_owned())?;
    let bytes = number.checked_mul(unit).ok_or("a size of so many bytes is too much")?;
    if bytes < 16 << 20 { Err("a write needs 16 MiB or more".into()) } else { Ok(bytes) }
}

/// One ASCII character, or `\t`.
pub(crate) fn delimiter(text: &str) -> Result<u8, String> {
    match text {
        "\\t" | "tab" => Ok(b'\t'),
        _ => match text.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
            _ => Err("the delimiter is one ASCII character, or \\t".into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_dot_parts_namespace_and_table() {
        let name: TableName = "a.b.t".parse().unwrap();
        assert_eq!((name.namespace_text().as_str(), name.name.as_str()), ("a.b", "t"));
        assert_eq!(name.to_string(), "a.b.t");
        assert_eq!(name.ident().namespace().as_ref().len(), 2);
        let name: TableName = "a.\"b.c\"".parse().unwrap();
        assert_eq!((name.namespace.len(), name.name.as_str()), (1, "b.c"));
        assert_eq!(name.to_string(), "a.\"b.c\"");
        assert_eq!("a.`b.c`".parse::<TableName>().unwrap(), name);
    }

    #[test]
    fn half_names_are_refused() {
        for text in ["t", ".t", "a.", "a..t", "", "a/b.t"] {
            assert!(text.parse::<TableName>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_property_keeps_equal_signs_in_its_value() {
        let pair: KeyValue = "k=a=b".parse().unwrap();
        assert_eq!((pair.key.as_str(), pair.value.as_str()), ("k", "a=b"));
        assert!("k".parse::<KeyValue>().is_err());
        assert!("=v".parse::<KeyValue>().is_err());
    }

    #[test]
    fn a_delimiter_is_one_byte() {
        assert_eq!(delimiter(";"), Ok(b';'));
        assert_eq!(delimiter("\\t"), Ok(b'\t'));
        for text in ["", ";;", "\"", "é"] {
            assert!(delimiter(text).is_err(), "{text}");
        }
    }
}
