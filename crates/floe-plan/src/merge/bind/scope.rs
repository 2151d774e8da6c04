//! Names: columns of the source and of the table.

use arrow_schema::{DataType, FieldRef, Fields};
use floe_core::{Error, Result};
use iceberg::spec::{NestedFieldRef, Schema, Type};

use super::super::row_expr::RowExpr;
use super::source::Columns;
use super::types::Typed;

/// What an expression can name.
pub(super) struct Scope<'a> {
    /// The source, if its rows are there.
    pub(super) source: Option<&'a Columns>,
    /// The table, if its rows are there.
    pub(super) target: Option<&'a Table>,
    pub(super) names: &'a Names,
    /// The time that `CURRENT_TIMESTAMP` gives, in microseconds.
    pub(super) now_us: i64,
    /// Why one of the two is not there, for errors.
    pub(super) why: &'static str,
}

/// The names of the source and of the table, in their parts.
pub(super) struct Names {
    pub(super) source: Vec<String>,
    pub(super) target: Vec<String>,
}

/// The columns of a table, as Iceberg and as Arrow have them.
pub(super) struct Table {
    pub(super) schema: Schema,
    pub(super) arrow: arrow_schema::Schema,
}

enum Side {
    Source,
    Target,
}

impl Scope<'_> {
    /// A column, by the parts of its name.
    pub(super) fn column(&self, path: &[String]) -> Result<Typed> {
        let sides = [(Side::Source, &self.names.source), (Side::Target, &self.names.target)];
        // The table's name is known by its last parts: `t` names `db.t`.
        let qualified = sides.into_iter().find_map(|(side, name)| {
            let fits = |parts: &usize| {
                path.len() > *parts
                    && path[..*parts]
                        .iter()
                        .zip(&name[name.len() - parts..])
                        .all(|(a, b)| a.eq_ignore_ascii_case(b))
            };
            (1..=name.len()).rev().find(fits).map(|parts| (side, &path[parts..]))
        });
        match qualified {
            Some((Side::Source, path)) => match self.source {
                Some(columns) => columns.find(path)?.ok_or_else(|| columns.unknown(path)),
                None => Err(self.absent("source", path)),
            },
            Some((Side::Target, path)) => match self.target {
                Some(table) => table.find(path)?.ok_or_else(|| table.unknown(path)),
                None => Err(self.absent("table", path)),
            },
            None => self.unqualified(path),
        }
    }

    fn unqualified(&self, path: &[String]) -> Result<Typed> {
        let name = path.join(".");
        let of_target = self.target.map(|table| table.find(path)).transpose()?.flatten();
        let in_source = self.source.is_some_and(|columns| columns.has(path));
        match (in_source, of_target) {
            (true, Some(_)) => {
                let (source, target) = (self.names.source.join("."), self.names.target.join("."));
                Err(Error::validation(format!("column '{name}' is in the source and in the table"))
                    .with_hint(format!("write {source}.{name} or {target}.{name}")))
            }
            (true, None) => match self.source {
                Some(columns) => columns.find(path)?.ok_or_else(|| columns.unknown(path)),
                None => Err(self.absent("source", path)),
            },
            (false, Some(found)) => Ok(found),
            (false, None) => {
                let known: Vec<String> = self
                    .source
                    .iter()
                    .flat_map(|columns| columns.names().to_vec())
                    .chain(self.target.iter().flat_map(|table| table.names()))
                    .collect();
                let error = Error::validation(format!("there is no column '{name}'"));
                Err(error.with_hint(format!(
                    "text is written in single quotes; the columns are {}",
                    known.join(", ")
                )))
            }
        }
    }

    fn absent(&self, whose: &str, path: &[String]) -> Error {
        Error::validation(format!("column '{}' of the {whose} cannot be named {}", path.join("."), self.why))
    }
}

impl Table {
    pub(super) fn find(&self, path: &[String]) -> Result<Option<Typed>> {
        walk(self.schema.as_struct().fields(), self.arrow.fields(), path).map(|found| {
            found.map(|(field, arrow)| Typed::new(RowExpr::Target(field.id), arrow.data_type().clone()))
        })
    }

    /// The column of the table with this name, by position.
    pub(super) fn top(&self, name: &str) -> Result<Option<usize>> {
        position(self.schema.as_struct().fields().iter().map(|f| f.name.as_str()), name)
    }

    pub(super) fn unknown(&self, path: &[String]) -> Error {
        Error::validation(format!("the table has no column '{}'", path.join(".")))
            .with_hint(format!("its columns are {}", self.names().join(", ")))
    }

    fn names(&self) -> Vec<String> {
        self.arrow.fields().iter().map(|field| field.name().clone()).collect()
    }
}

fn walk<'a>(
    fields: &'a [NestedFieldRef],
    arrow: &'a Fields,
    path: &[String],
) -> Result<Option<(&'a NestedFieldRef, &'a FieldRef)>> {
    let Some((first, rest)) = path.split_first() else { return Ok(None) };
    let Some(at) = position(fields.iter().map(|f| f.name.as_str()), first)? else { return Ok(None) };
    let (field, arrow) = (&fields[at], &arrow[at]);
    if rest.is_empty() {
        return Ok(Some((field, arrow)));
    }
    match (field.field_type.as_ref(), arrow.data_type()) {
        (Type::Struct(inner), DataType::Struct(arrow)) => walk(inner.fields(), arrow, rest),
        _ => Ok(None),
    }
}

/// The position of a name; whatever its case, if none is written so and only one is meant.
pub(super) fn position<'a>(
    names: impl Iterator<Item = &'a str> + Clone,
    name: &str,
) -> Result<Option<usize>> {
    if let Some(at) = names.clone().position(|n| n == name) {
        return Ok(Some(at));
    }
    let lower = name.to_lowercase();
    let mut near = names.enumerate().filter(|(_, n)| n.to_lowercase() == lower);
    match (near.next(), near.next()) {
        (Some(_), Some(_)) => {
            Err(Error::validation(format!("several columns are called '{name}' but for their case")))
        }
        (first, _) => Ok(first.map(|(at, _)| at)),
    }
}
