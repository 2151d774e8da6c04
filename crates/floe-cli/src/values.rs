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
        self.namespace_name().ident()
    }

    /// The namespace.
    pub(crate) fn namespace_name(&self) -> NamespaceName {
        NamespaceName(self.namespace.clone())
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

/// `NAMESPACE`, or `A.B` for one below another; a part that holds a dot stands in double quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamespaceName(Vec<String>);

impl NamespaceName {
    /// The namespace as the catalog takes it.
    pub(crate) fn ident(&self) -> NamespaceIdent {
        // The parser admits no empty namespace; the fall-back keeps this free of panics.
        NamespaceIdent::from_vec(self.0.clone()).unwrap_or_else(|_| NamespaceIdent::new(self.to_string()))
    }
}

impl From<&NamespaceIdent> for NamespaceName {
    fn from(namespace: &NamespaceIdent) -> Self {
        Self(namespace.as_ref().clone())
    }
}

impl FromStr for NamespaceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        namespace(text).map(|namespace| Self::from(&namespace))
    }
}

impl fmt::Display for NamespaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&names::render_parts(&self.0))
    }
}

/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// How long something is kept, in milliseconds: `90` or `90d` days, `12h`, `30min`, `45s`, `1500ms`.
pub(crate) fn age(text: &str) -> Result<i64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "" | "d" => DAY_MS,
        "h" => 60 * 60 * 1000,
        "min" => 60 * 1000,
        "s" => 1000,
        "ms" => 1,
        _ => return Err("a time is a number of days, or a number with d, h, min, s or ms".into()),
    };
    let number: i64 =
        number.parse().map_err(|_| "a time begins with a number, such as 90 (days)".to_owned())?;
    match number.checked_mul(unit) {
        Some(ms) if ms > 0 => Ok(ms),
        Some(_) => Err("it is kept for some time: 1 or more".into()),
        None => Err("a time of so many days is too much".into()),
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
    fn a_namespace_has_parts_with_something_in_them() {
        let name: NamespaceName = "a.b".parse().unwrap();
        assert_eq!((name.to_string().as_str(), name.ident().as_ref().len()), ("a.b", 2));
        let name: NamespaceName = "a.\"b.c\"".parse().unwrap();
        assert_eq!((name.to_string().as_str(), name.ident().as_ref().len()), ("a.\"b.c\"", 2));
        for text in ["", ".", "a.", "a..b", "a/b", "a\nb"] {
            assert!(text.parse::<NamespaceName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_age_is_in_days_unless_it_says_otherwise() {
        for (text, ms) in [
            ("1", DAY_MS),
            ("90d", 90 * DAY_MS),
            ("2h", 7_200_000),
            ("3min", 180_000),
            ("4s", 4000),
            ("5ms", 5),
        ] {
            assert_eq!(age(text), Ok(ms), "{text}");
        }
        for text in ["0", "0ms", "-1", "", "d", "1w", "1.5", "9223372036854775807"] {
            assert!(age(text).is_err(), "{text}");
        }
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
