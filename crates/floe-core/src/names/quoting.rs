//! Identifiers as text: `namespace.table`, with double quotes around a part that holds a dot.
//!
//! One grammar for every command, configuration, error and outcome. A part stands as it is, unless it would read
//! otherwise; then it stands in double quotes, and a double quote in it is doubled, as SQL, Trino and DuckDB have it.
//! Backticks, as Spark has them, are read too. See `docs/decisions/0037-one-quoting-of-names.md`.

use std::fmt;

use iceberg::{NamespaceIdent, TableIdent};

use crate::text::is_unseen;
use crate::{Error, Result};

/// How a name with special characters is written.
const QUOTING: &str = "a part that holds a dot or a slash stands in double quotes: ns.\"a.b\"";

/// Parts of a name as text; [`parse_parts`] gives the same parts back.
///
/// ```
/// use floe_core::names::{parse_parts, render_parts};
///
/// assert_eq!(render_parts(["sales", "orders"]), "sales.orders");
/// assert_eq!(render_parts(["web", "v1.2", "say \"hi\""]), r#"web."v1.2"."say ""hi""""#);
/// assert_eq!(parse_parts(r#"web."v1.2""#)?, ["web", "v1.2"]);
/// # Ok::<(), floe_core::Error>(())
/// ```
pub fn render_parts<S: AsRef<str>>(parts: impl IntoIterator<Item = S>) -> String {
    let mut text = String::new();
    for (i, part) in parts.into_iter().enumerate() {
        let part = part.as_ref();
        if i > 0 {
            text.push('.');
        }
        if stands_as_it_is(part) {
            text.push_str(part);
        } else {
            text.push('"');
            text.push_str(&part.replace('"', "\"\""));
            text.push('"');
        }
    }
    text
}

/// A namespace as text; [`parse_namespace`] reads it.
pub fn render_namespace(namespace: &NamespaceIdent) -> String {
    render_parts(namespace.iter())
}

/// A table's namespace and name as text; [`parse_table`] reads it.
pub fn render_table(table: &TableIdent) -> String {
    render_parts(table.namespace().iter().map(String::as_str).chain([table.name()]))
}

/// The parts of a name. `Validation` for an empty part, a quote that is not closed, a slash or a control character
/// outside of quotes.
pub fn parse_parts(text: &str) -> Result<Vec<String>> {
    let refused = |why: &str| {
        Error::validation(format!("'{}' is no name: {why}", text.escape_debug())).with_hint(QUOTING)
    };
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let (part, behind) = if let Some(quote @ ('"' | '`')) = rest.chars().next() {
            quoted(&rest[1..], quote).ok_or_else(|| refused("a quote is not closed"))?
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            let part = &rest[..end];
            if part.contains(['"', '`']) {
                return Err(refused("a quote stands inside of a part"));
            }
            if part.contains(['/', '\\']) || part.contains(char::is_control) {
                return Err(refused("it holds a slash or a control character"));
            }
            (part.to_owned(), &rest[end..])
        };
        if part.is_empty() {
            return Err(refused("a part of it is empty"));
        }
        parts.push(part);
        if behind.is_empty() {
            return Ok(parts);
        }
        rest = behind.strip_prefix('.').ok_or_else(|| refused("a dot must follow a quoted part"))?;
    }
}

/// Reads a namespace: `a`, `a.b`, `a."b.c"`. `Validation` as [`parse_parts`].
pub fn parse_namespace(text: &str) -> Result<NamespaceIdent> {
    Ok(NamespaceIdent::from_vec(parse_parts(text)?)?)
}

/// Reads `NAMESPACE.TABLE`: the last part is the table. `Validation` as [`parse_parts`], and where there is one
/// part only.
///
/// ```
/// let table = floe_core::names::parse_table(r#"a.b."c.d""#)?;
/// assert_eq!((table.namespace().len(), table.name()), (2, "c.d"));
/// # Ok::<(), floe_core::Error>(())
/// ```
pub fn parse_table(text: &str) -> Result<TableIdent> {
    let mut parts = parse_parts(text)?;
    let name = parts.pop().unwrap_or_default();
    if parts.is_empty() {
        return Err(Error::validation(format!("'{}' does not name a table", text.escape_debug()))
            .with_hint("write it as NAMESPACE.TABLE, with a dot between"));
    }
    Ok(TableIdent::new(NamespaceIdent::from_vec(parts)?, name))
}

/// Whether `name` needs no quotes in any engine: `^[a-zA-Z][a-zA-Z0-9_]*$`, 1 to 255 characters.
///
/// A recommendation: what catalogs take besides, floe takes.
pub fn is_plain(name: &str) -> bool {
    let mut chars = name.chars();
    name.len() <= 255
        && chars.next().is_some_and(|c| c.is_ascii_alphabetic())
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Why `name` is not given to anything new, if so: one that no terminal, URL or folder keeps.
pub fn unfit_for_new(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("it is empty"),
        "." | ".." => Some("it means a folder"),
        _ if name.trim() != name => Some("it begins or ends with a space"),
        _ if name.contains(is_unseen) => {
            Some("it holds a control character, or one that is not seen or turns the text's direction")
        }
        _ if name.chars().count() > 255 => Some("it has more than 255 characters"),
        _ => None,
    }
}

/// What names a table in an error.
pub trait TableText {
    /// The table's name as text, quoted where it must be.
    fn table_text(&self) -> String;
}

impl TableText for TableIdent {
    fn table_text(&self) -> String {
        render_table(self)
    }
}

/// As text already.
impl TableText for str {
    fn table_text(&self) -> String {
        self.to_owned()
    }
}

/// As text already.
impl TableText for String {
    fn table_text(&self) -> String {
        self.clone()
    }
}

/// As text already.
impl TableText for fmt::Arguments<'_> {
    fn table_text(&self) -> String {
        self.to_string()
    }
}

impl<T: TableText + ?Sized> TableText for &T {
    fn table_text(&self) -> String {
        (**self).table_text()
    }
}

/// Whether [`parse_parts`] reads the part as it stands.
fn stands_as_it_is(part: &str) -> bool {
    !part.is_empty()
        && part.trim() == part
        && !part.contains(['.', '"', '`', '/', '\\'])
        && !part.contains(char::is_control)
}

/// The text up to the closing quote, with doubled quotes made one, and what follows.
fn quoted(rest: &str, quote: char) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut chars = rest.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != quote {
            part.push(c);
        } else if chars.next_if(|(_, next)| *next == quote).is_some() {
            part.push(quote);
        } else {
            return Some((part, &rest[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts over the characters that matter, up to five of them, counted out.
    fn odd_parts() -> Vec<String> {
        let letters = ['a', '.', '"', '`', ' ', '/', '\n', 'é', '%', '\u{1f}'];
        let mut all: Vec<String> = vec![String::new()];
        let mut last = all.clone();
        for _ in 0..3 {
            last = last.iter().flat_map(|s| letters.iter().map(move |c| format!("{s}{c}"))).collect();
            all.extend(last.clone());
        }
        all.retain(|s| !s.is_empty());
        all
    }

    #[test]
    fn what_is_rendered_is_read_back() {
        let parts = odd_parts();
        for (i, one) in parts.iter().enumerate() {
            let other = &parts[(i * 31 + 7) % parts.len()];
            let name = [one.as_str(), "plain", other.as_str()];
            let text = render_parts(name);
            assert_eq!(parse_parts(&text).expect("it reads"), name, "{text:?}");
            let table = parse_table(&text).expect("a table");
            assert_eq!(render_table(&table), text);
        }
    }

    #[test]
    fn no_two_names_have_one_text() {
        let mut seen = std::collections::HashMap::new();
        for one in odd_parts().iter().take(400) {
            for name in [vec!["n", one], vec![one, "n"], vec!["n", one, "n"]] {
                if let Some(before) = seen.insert(render_parts(name.clone()), name.clone()) {
                    assert_eq!(before.join("\u{0}"), name.join("\u{0}"));
                }
            }
        }
    }

    #[test]
    fn plain_names_stand_without_quotes() {
        for text in ["a.b", "ns.two words", "größe.表", "a-b.c+d", "x.y%20z"] {
            assert_eq!(render_table(&parse_table(text).expect("reads")), text);
        }
    }

    #[test]
    fn backticks_are_read() {
        assert_eq!(parse_parts("ns.`a.b`.`c``d`").expect("reads"), ["ns", "a.b", "c`d"]);
    }

    #[test]
    fn half_names_are_refused() {
        for text in ["", ".a", "a.", "a..b", "\"a", "\"a\"b", "a\"b\"", "\"\"", "a/b.t", "a\nb.t", "`a"] {
            let error = parse_parts(text).expect_err(text);
            assert!(error.hint().is_some_and(|hint| hint.contains("ns.\"a.b\"")), "{text:?}");
        }
        assert!(parse_table("a").is_err() && parse_table("\"a.b\"").is_err());
    }

    #[test]
    fn plain_names_follow_the_pattern() {
        for good in ["a", "Orders_2024", &"x".repeat(255)] {
            assert!(is_plain(good), "{good}");
        }
        for bad in ["", "1a", "_a", "a-b", "a b", "é", &"x".repeat(256)] {
            assert!(!is_plain(bad), "{bad}");
        }
    }

    #[test]
    fn new_names_are_those_that_can_be_kept() {
        for bad in
            ["", ".", "..", " a", "a ", "a\nb", "\u{1b}[0m", "a\u{202e}b", "a\u{9b}b", &"x".repeat(256)]
        {
            assert!(unfit_for_new(bad).is_some(), "{bad:?}");
        }
        for good in ["1a", "a-b", "a.b", "größe", "a b"] {
            assert!(unfit_for_new(good).is_none(), "{good}");
        }
    }
}
