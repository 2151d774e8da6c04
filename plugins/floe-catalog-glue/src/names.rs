//! What names Glue takes.

use floe_core::{Error, NameRules, Result, names};
use iceberg::{NamespaceIdent, TableIdent};

/// How many characters the name of a database or a table may have.
const LONGEST: usize = 255;

/// The rules for names of one catalog.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names {
    /// What new names may be: those that Athena and Hive take, or any that Glue does.
    pub(crate) rules: NameRules,
}

impl Names {
    pub(crate) fn new(skip_validation: bool) -> Self {
        Self { rules: if skip_validation { NameRules::LowerCase } else { NameRules::Plain } }
    }

    /// The database that a namespace is. `Validation` where none can have this name.
    pub(crate) fn database(namespace: &NamespaceIdent) -> Result<&str> {
        names::check_namespace(namespace, &[])?;
        match &namespace[..] {
            [name] => check(name, "database").map(|()| name.as_str()),
            _ => Err(Error::validation(format!("namespace '{namespace}' has {} parts", namespace.len()))
                .with_hint("Glue has databases only: a namespace has one part")),
        }
    }

    /// The database and the name of a table. `Validation` where none can have this name.
    pub(crate) fn table(table: &TableIdent) -> Result<(&str, &str)> {
        names::check_table(table, &[])?;
        let database = Self::database(table.namespace()).map_err(|e| e.with_table(table))?;
        check(table.name(), "table").map_err(|e| e.with_table(table))?;
        Ok((database, table.name()))
    }

    /// Fails with `Validation` where a new database or table of this name would be out of reach for Athena and Hive.
    pub(crate) fn check_new(self, name: &str) -> Result<()> {
        if !self.rules.takes(name) {
            return Err(Error::validation(format!(
                "'{name}' is more than lower-case ASCII letters, digits and underscores, which Athena and Hive need"
            ))
            .with_hint("choose another name, or set `glue.skip-name-validation`"));
        }
        Ok(())
    }
}

fn check(name: &str, what: &str) -> Result<()> {
    if name.chars().any(char::is_uppercase) {
        return Err(Error::validation(format!("'{name}' cannot be the name of a {what}"))
            .with_hint("Glue keeps names in lower case"));
    }
    if name.chars().count() > LONGEST {
        return Err(Error::validation(format!("the name of a {what} has more than {LONGEST} characters")));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::validation(format!("the name of a {what} holds a control character")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(skip: bool, parts: &[&str]) -> Result<String> {
        let namespace = NamespaceIdent::from_strs(parts).unwrap();
        let names = Names::new(skip);
        let name = Names::database(&namespace)?.to_owned();
        names.check_new(&name)?;
        Ok(name)
    }

    #[test]
    fn new_names_are_those_that_athena_takes() {
        assert_eq!(database(false, &["sales_2026"]).unwrap(), "sales_2026");
        for name in ["two words", "größe", "it's", "a-b", "a.b", "%"] {
            assert!(database(false, &[name]).unwrap_err().to_string().contains(name));
            assert_eq!(database(true, &[name]).unwrap(), name, "unless validation is skipped");
        }
    }

    #[test]
    fn what_glue_would_change_or_refuse_is_refused() {
        let long = "a".repeat(256);
        for parts in [&["Sales"][..], &["sales", "eu"], &["Ä"], &[&long], &["a\nb"]] {
            assert!(database(true, parts).is_err(), "{parts:?}");
        }
        assert!(database(true, &[&"ä".repeat(255)]).is_ok(), "characters are counted, not bytes");
    }
}
