//! What the schema of a table may be (Iceberg spec, "Schemas and Data Types"): one check for every way in which a
//! schema gets into a table.
//!
//! The crate's types can say more than the format allows, such as `decimal(40,2)`, and a table that has such a type once
//! cannot be read any more.

use std::collections::{HashMap, HashSet};

use iceberg::spec::{FormatVersion, Literal, NestedField, PrimitiveType, Schema, StructType, Type};

use crate::{Error, ErrorKind, Result};

/// Digits that a decimal has at most.
pub const MAX_PRECISION: u32 = 38;
/// Ids above are those of metadata columns (Iceberg spec, "Reserved Field IDs").
pub const MAX_FIELD_ID: i32 = i32::MAX - 200;

/// What is wrong with a column.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SchemaFault {
    /// The id of the column.
    pub field_id: i32,
    /// Its path, `address.city`.
    pub column: String,
    /// What is wrong, in words that follow on the column: `cannot be decimal(40, 2): …`.
    pub fault: String,
    /// Whether the format does not allow it. Otherwise it does, but no row can be written then.
    pub invalid: bool,
    /// What would do instead.
    pub hint: Option<&'static str>,
}

impl std::fmt::Display for SchemaFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "column '{}' {}", self.column, self.fault)
    }
}

/// Everything that is wrong with a schema of a table of this format version, in the order of its columns: types that
/// the format, or this version of it, does not have, ids and names that are not unique, defaults that are no values of
/// their column, structs without columns, which no Parquet file can hold.
pub fn schema_faults(schema: &Schema, version: FormatVersion) -> Vec<SchemaFault> {
    let mut look = Look { version, ids: HashMap::new(), faults: Vec::new() };
    look.fields("", schema.as_struct());
    look.faults
}

/// Whether a new table, or a table that takes this as a new schema, can have it.
///
/// Fails with `Validation`, naming every fault; see [`schema_faults`].
///
/// ```
/// use floe_core::schema::check_schema;
/// use iceberg::spec::{FormatVersion, NestedField, PrimitiveType, Schema, Type};
///
/// let of = |ty| Schema::builder().with_fields([NestedField::optional(1, "at", Type::Primitive(ty)).into()]).build();
/// assert!(check_schema(&of(PrimitiveType::TimestampNs)?, FormatVersion::V2).is_err());
/// assert!(check_schema(&of(PrimitiveType::TimestampNs)?, FormatVersion::V3).is_ok());
/// # Ok::<(), iceberg::Error>(())
/// ```
pub fn check_schema(schema: &Schema, version: FormatVersion) -> Result<()> {
    refuse(schema_faults(schema, version))
}

/// Whether a table of another writer with this schema is valid: one that floe can read, be it that no row can be
/// written to it. For tables that are there already, as when one is registered.
///
/// Fails with `Validation`, naming every fault that is against the format.
pub fn check_foreign_schema(schema: &Schema, version: FormatVersion) -> Result<()> {
    refuse(schema_faults(schema, version).into_iter().filter(|fault| fault.invalid).collect())
}

/// Whether a table with the schema `before` can take the schema `after`: what was wrong before may stay.
///
/// Fails with `Validation`, naming every fault that is new.
pub fn check_change(before: &Schema, after: &Schema, version: FormatVersion) -> Result<()> {
    let old: HashSet<(i32, String)> =
        schema_faults(before, version).into_iter().map(|fault| (fault.field_id, fault.fault)).collect();
    let new = schema_faults(after, version);
    refuse(new.into_iter().filter(|fault| !old.contains(&(fault.field_id, fault.fault.clone()))).collect())
}

/// Why no column can have a type, in a table of this format version, and what would do instead; nothing for one that
/// can be.
pub fn type_fault(of: &PrimitiveType, version: FormatVersion) -> Option<(String, Option<&'static str>)> {
    match of {
        PrimitiveType::Decimal { precision, .. } if !(1..=MAX_PRECISION).contains(precision) => {
            Some((format!("cannot be {of}: the precision must be 1 to {MAX_PRECISION}"), None))
        }
        PrimitiveType::Decimal { precision, scale } if scale > precision => {
            Some((format!("cannot be {of}: the scale must not be above the precision"), None))
        }
        PrimitiveType::Fixed(length) if !(1..=i32::MAX as u64).contains(length) => Some((
            format!("cannot be fixed[{length}]: the length must be 1 to {}", i32::MAX),
            Some("use binary"),
        )),
        PrimitiveType::TimestampNs | PrimitiveType::TimestamptzNs if version < FormatVersion::V3 => {
            Some((format!("cannot be {of}: that needs format version 3"), Some("use microseconds")))
        }
        _ => None,
    }
}

fn refuse(faults: Vec<SchemaFault>) -> Result<()> {
    let error = match faults.as_slice() {
        [] => return Ok(()),
        [one] => Error::new(ErrorKind::Validation, one.to_string()),
        many => {
            let all: Vec<String> = many.iter().map(SchemaFault::to_string).collect();
            Error::new(
                ErrorKind::Validation,
                format!("the schema has {} faults: {}", many.len(), all.join("; ")),
            )
        }
    };
    Err(match faults.iter().find_map(|fault| fault.hint) {
        Some(hint) => error.with_hint(hint),
        None => error,
    })
}

struct Look {
    version: FormatVersion,
    ids: HashMap<i32, String>,
    faults: Vec<SchemaFault>,
}

impl Look {
    fn fields(&mut self, path: &str, of: &StructType) {
        let mut names = HashSet::new();
        for field in of.fields() {
            let column = format!("{path}{}", field.name);
            if !names.insert(field.name.as_str()) {
                self.add(field, &column, "has a name that another has too".to_owned(), None);
            }
            if field.name.is_empty() {
                self.add(field, &column, "has no name".to_owned(), None);
            }
            self.field(&column, field);
        }
    }

    fn field(&mut self, column: &str, field: &NestedField) {
        if !(1..=MAX_FIELD_ID).contains(&field.id) {
            let why = format!("has the field id {}, which must be 1 to {MAX_FIELD_ID}", field.id);
            self.add(field, column, why, None);
        }
        if let Some(other) = self.ids.insert(field.id, column.to_owned()) {
            self.add(field, column, format!("has the field id {} of '{other}'", field.id), None);
        }
        for (name, default) in [("initial", &field.initial_default), ("write", &field.write_default)] {
            let Some(default) = default else { continue };
            if self.version < FormatVersion::V3 {
                let why = format!("has an {name} default, which needs format version 3")
                    .replace("an write", "a write");
                self.add(field, column, why, None);
            } else if !is_value(&field.field_type, default) {
                let why = format!("has an {name} default that is no value of its type")
                    .replace("an write", "a write");
                self.add(field, column, why, None);
            }
        }
        match &*field.field_type {
            Type::Primitive(primitive) => {
                if let Some((why, hint)) = type_fault(primitive, self.version) {
                    self.add(field, column, why, hint);
                }
            }
            Type::Struct(of) if of.fields().is_empty() => self.faults.push(SchemaFault {
                field_id: field.id,
                column: column.to_owned(),
                fault: "is a struct without columns, which no file can hold".to_owned(),
                invalid: false,
                hint: None,
            }),
            Type::Struct(of) => self.fields(&format!("{column}."), of),
            Type::List(list) => self.field(&format!("{column}.element"), &list.element_field),
            Type::Map(map) => {
                let key = format!("{column}.key");
                if !map.key_field.required {
                    self.add(
                        &map.key_field,
                        &key,
                        "cannot be optional: keys of a map are not NULL".into(),
                        None,
                    );
                }
                self.field(&key, &map.key_field);
                self.field(&format!("{column}.value"), &map.value_field);
            }
            #[allow(unreachable_patterns, reason = "a later version of the crate may know more types")]
            _ => {}
        }
    }

    fn add(&mut self, field: &NestedField, column: &str, fault: String, hint: Option<&'static str>) {
        let column = column.to_owned();
        self.faults.push(SchemaFault { field_id: field.id, column, fault, invalid: true, hint });
    }
}

fn is_value(of: &Type, default: &Literal) -> bool {
    match (of, default) {
        (Type::Primitive(of), Literal::Primitive(value)) => of.compatible(value),
        (Type::Struct(_), Literal::Struct(_)) => true,
        (Type::List(_), Literal::List(_)) | (Type::Map(_), Literal::Map(_)) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use iceberg::spec::{ListType, MapType, NestedFieldRef};

    use super::*;

    fn prim(of: PrimitiveType) -> Type {
        Type::Primitive(of)
    }

    fn field(id: i32, name: &str, of: Type) -> NestedFieldRef {
        NestedField::optional(id, name, of).into()
    }

    /// A type at every place that a column can be in.
    fn places(of: &Type) -> Vec<Schema> {
        let inner = |of| Type::Struct(StructType::new(vec![field(3, "x", of)]));
        let list = |of| Type::List(ListType::new(NestedField::list_element(4, of, false).into()));
        let map = |key, value| {
            Type::Map(MapType::new(
                NestedField::map_key_element(5, key).into(),
                NestedField::map_value_element(6, value, false).into(),
            ))
        };
        let text = || prim(PrimitiveType::String);
        [
            of.clone(),
            inner(of.clone()),
            list(of.clone()),
            map(of.clone(), text()),
            map(text(), of.clone()),
            list(inner(map(text(), of.clone()))),
        ]
        .into_iter()
        .map(|ty| Schema::builder().with_fields([field(1, "id", text()), field(2, "c", ty)]).build().unwrap())
        .collect()
    }

    #[test]
    fn types_that_cannot_be_are_refused_wherever_they_stand() {
        let decimal = |precision, scale| prim(PrimitiveType::Decimal { precision, scale });
        let fixed = |length| prim(PrimitiveType::Fixed(length));
        let ns = [prim(PrimitiveType::TimestampNs), prim(PrimitiveType::TimestamptzNs)];
        for version in [FormatVersion::V1, FormatVersion::V2, FormatVersion::V3] {
            for bad in [
                decimal(0, 0),
                decimal(39, 2),
                decimal(40, 2),
                decimal(5, 6),
                fixed(0),
                fixed(1 << 31),
                fixed(u64::MAX),
            ] {
                for schema in places(&bad) {
                    let error = check_schema(&schema, version).unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::Validation);
                    assert!(error.message().contains("column 'c"), "{error}");
                    assert!(check_foreign_schema(&schema, version).is_err());
                }
            }
            for good in [decimal(38, 38), decimal(1, 0), fixed(1), fixed((1 << 31) - 1)] {
                for schema in places(&good) {
                    check_schema(&schema, version).unwrap();
                }
            }
            for schema in ns.iter().flat_map(places) {
                assert_eq!(check_schema(&schema, version).is_ok(), version == FormatVersion::V3);
            }
        }
    }

    #[test]
    fn empty_structs_are_not_made_but_may_be_there() {
        for schema in places(&Type::Struct(StructType::new(Vec::new()))) {
            assert!(check_schema(&schema, FormatVersion::V2).is_err());
            check_foreign_schema(&schema, FormatVersion::V2).unwrap();
            check_change(&schema, &schema, FormatVersion::V2).unwrap();
        }
    }

    #[test]
    fn defaults_need_version_3_and_a_value_of_the_type() {
        let with = |of, default| {
            let field = NestedField::optional(1, "c", of).with_initial_default(default);
            Schema::builder().with_fields([field.into()]).build().unwrap()
        };
        let good = with(prim(PrimitiveType::Int), Literal::int(1));
        check_schema(&good, FormatVersion::V3).unwrap();
        assert!(check_schema(&good, FormatVersion::V2).is_err());
        assert!(
            check_schema(&with(prim(PrimitiveType::Int), Literal::string("x")), FormatVersion::V3).is_err()
        );
    }

    #[test]
    fn reserved_ids_are_refused() {
        for id in [0, -1, MAX_FIELD_ID + 1, i32::MAX] {
            let schema =
                Schema::builder().with_fields([field(id, "c", prim(PrimitiveType::Int))]).build().unwrap();
            assert!(check_schema(&schema, FormatVersion::V2).is_err(), "{id}");
        }
    }
}
