//! Names of namespaces and tables: what every catalog checks, lists and says about them alike.

mod quoting;

use std::collections::{BTreeSet, HashMap};

use iceberg::{NamespaceIdent, TableIdent};

pub use quoting::{
    TableText, is_plain, parse_namespace, parse_parts, parse_table, render_namespace, render_parts,
    render_table, unfit_for_new,
};

use crate::{Error, ErrorKind, Result};

/// Fails with `Validation` when a part of a namespace is empty or holds a NUL, or one of `refused`: a catalog that
/// joins the parts by dots cannot keep a dot in one.
pub fn check_namespace(namespace: &NamespaceIdent, refused: &[char]) -> Result<()> {
    if namespace.is_empty() {
        return Err(Error::validation("a namespace needs a name"));
    }
    for part in namespace.iter() {
        if part.is_empty() {
            return Err(Error::validation("each part of a namespace needs a name"));
        }
        if let Some(bad) = part.chars().find(|c| *c == '\0' || refused.contains(c)) {
            return Err(Error::validation(format!("'{part}' cannot be part of a namespace"))
                .with_hint(format!("this catalog takes no {bad:?} in it")));
        }
    }
    Ok(())
}

/// Fails with `Validation` when the namespace does not pass [`check_namespace`], or the name is empty or holds a
/// NUL.
pub fn check_table(table: &TableIdent, refused: &[char]) -> Result<()> {
    check_namespace(table.namespace(), refused).map_err(|e| e.with_table(table))?;
    if table.name().is_empty() || table.name().contains('\0') {
        return Err(Error::validation(format!(
            "a table in '{}' needs a name",
            render_namespace(table.namespace())
        )));
    }
    Ok(())
}

/// Fails with `Validation` when no folder can be named after the table and its namespace: one outside of its own,
/// or one whose name other engines cut at `#` or `?`.
pub fn check_folder(table: &TableIdent) -> Result<()> {
    let outside = |part: &str| {
        part.contains(['/', '\\', '#', '?']) || part.contains(char::is_control) || part == "." || part == ".."
    };
    if outside(table.name()) || table.namespace().iter().any(|part| outside(part)) {
        return Err(Error::validation("no folder can be named after this table")
            .with_table(table)
            .with_hint("give the table a location"));
    }
    Ok(())
}

/// Fails with `Validation` when a new name, of `what` (`a column`), holds a character that
/// [`is_unseen`](crate::text::is_unseen). Names that are there already are used as they are.
pub fn check_seen(what: &str, name: &str) -> Result<()> {
    match name.contains(crate::text::is_unseen) {
        false => Ok(()),
        true => Err(Error::validation(format!("the name of {what} holds characters that cannot be seen"))
            .with_hint("leave away control characters, such as line breaks, and marks of direction")),
    }
}

/// Fails with `Validation` when a property is both set and removed.
pub fn check_properties(set: &HashMap<String, String>, remove: &[String]) -> Result<()> {
    match remove.iter().find(|key| set.contains_key(*key)) {
        Some(key) => Err(Error::validation(format!("property '{key}' is both set and removed"))),
        None => Ok(()),
    }
}

/// The namespaces directly below `parent`, or the top ones, sorted, where `found` are namespaces of any depth: one
/// that only has namespaces below it is there as well. A namespace with a part that has no name is left out.
///
/// ```
/// # use floe_core::names::children;
/// # use iceberg::NamespaceIdent;
/// let found = [vec!["a", "x", "deep"], vec!["a", "y"], vec!["b"]];
/// let below = children(Some(&NamespaceIdent::new("a".into())), found)?;
/// assert_eq!(below, [NamespaceIdent::from_strs(["a", "x"])?, NamespaceIdent::from_strs(["a", "y"])?]);
/// # Ok::<(), floe_core::Error>(())
/// ```
pub fn children<N, S>(
    parent: Option<&NamespaceIdent>,
    found: impl IntoIterator<Item = N>,
) -> Result<Vec<NamespaceIdent>>
where
    N: AsRef<[S]>,
    S: AsRef<str>,
{
    let above: &[String] = parent.map_or(&[], |parent| parent);
    let mut below = BTreeSet::new();
    for name in found {
        let name = name.as_ref();
        // A part without a name is none that a catalog could be asked for: a row that is odd, or a server that is.
        let named = name.iter().take(above.len() + 1).all(|part| !part.as_ref().is_empty());
        if named && name.len() > above.len() && name.iter().zip(above).all(|(a, b)| a.as_ref() == b) {
            below
                .insert(name[..=above.len()].iter().map(|part| part.as_ref().to_owned()).collect::<Vec<_>>());
        }
    }
    below.into_iter().map(|parts| Ok(NamespaceIdent::from_vec(parts)?)).collect()
}

/// There is no such table.
pub fn no_table(table: &TableIdent) -> Error {
    Error::new(ErrorKind::NoSuchTable, "there is no such table").with_table(table)
}

/// The name of a new table is taken.
pub fn table_exists(table: &TableIdent) -> Error {
    Error::new(ErrorKind::TableAlreadyExists, "the table is there already").with_table(table)
}

/// There is no such namespace.
pub fn no_namespace(namespace: &NamespaceIdent) -> Error {
    Error::new(ErrorKind::NoSuchNamespace, format!("there is no namespace '{}'", render_namespace(namespace)))
}

/// The name of a new namespace is taken.
pub fn namespace_exists(namespace: &NamespaceIdent) -> Error {
    Error::new(
        ErrorKind::NamespaceAlreadyExists,
        format!("namespace '{}' is there already", render_namespace(namespace)),
    )
}

/// A namespace that was to be dropped holds something.
pub fn namespace_not_empty(namespace: &NamespaceIdent) -> Error {
    Error::new(
        ErrorKind::NamespaceNotEmpty,
        format!("namespace '{}' is not empty", render_namespace(namespace)),
    )
    .with_hint("drop its tables, views and namespaces first")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace(parts: &[&str]) -> NamespaceIdent {
        NamespaceIdent::from_strs(parts).expect("parts are given")
    }

    #[test]
    fn children_are_direct_sorted_and_each_named_once() {
        let found =
            [vec!["b"], vec!["a_"], vec!["a", "y"], vec!["a", "x", "deep"], vec!["a", "x"], vec!["ab", "z"]];
        let top = children(None, found.clone()).expect("names");
        assert_eq!(top, [namespace(&["a"]), namespace(&["a_"]), namespace(&["ab"]), namespace(&["b"])]);
        let below = children(Some(&namespace(&["a"])), found.clone()).expect("names");
        assert_eq!(below, [namespace(&["a", "x"]), namespace(&["a", "y"])]);
        assert!(children(Some(&namespace(&["b"])), found).expect("names").is_empty());
        let odd = [vec![""], vec!["a", "", "b"], vec!["", "a"], vec!["a", "b", ""]];
        assert_eq!(children(None, odd.clone()).expect("names"), [namespace(&["a"])]);
        assert_eq!(children(Some(&namespace(&["a"])), odd).expect("names"), [namespace(&["a", "b"])]);
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        for parts in [&["a", ""][..], &["a\0"], &["a", "b.c"]] {
            let error = check_namespace(&namespace(parts), &['.']).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::Validation, "{parts:?}");
        }
        assert!(check_namespace(&namespace(&["a", "b.c"]), &[]).is_ok());
        let table = |name: &str| TableIdent::new(namespace(&["ns"]), name.into());
        assert!(check_table(&table(""), &[]).is_err() && check_table(&table("a\0"), &[]).is_err());
        assert!(check_table(&table("a.b"), &['.']).is_ok(), "a table's name is kept by itself");
    }

    #[test]
    fn no_table_is_placed_outside_of_its_folder() {
        let table = |space: &str, name: &str| TableIdent::new(namespace(&[space]), name.into());
        for (space, name) in
            [("ns", ".."), ("ns", "a/b"), ("..", "t"), ("ns", "a\\b"), ("n#s", "t"), ("ns", "a?b")]
        {
            assert!(check_folder(&table(space, name)).is_err(), "{space} {name}");
        }
        assert!(check_folder(&table("ns", "a..b")).is_ok());
    }

    #[test]
    fn a_property_is_not_both_set_and_removed() {
        let set = HashMap::from([("a".to_owned(), "1".to_owned())]);
        assert!(check_properties(&set, &["b".to_owned()]).is_ok());
        let error = check_properties(&set, &["a".to_owned()]).expect_err("both");
        assert!(error.to_string().contains("'a'"), "{error}");
    }
}
