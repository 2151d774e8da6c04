//! The changes, one by one.

use floe_core::names::check_seen;
use floe_core::{Error, Result};
use iceberg::spec::{FormatVersion, NestedField, NestedFieldRef, PrimitiveType, Transform, Type};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::promote::promotes;
use super::tree::{self, Place};
use super::{Evolved, incompatible, unfit};

/// A change of a schema. Columns are named by their path, `address.city`; the elements of a list are `list.element`, the
/// keys and values of a map `map.key` and `map.value`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum SchemaChange {
    /// Adds a column after the others. Rows that are there have NULL in it (FR-017).
    AddColumn {
        /// Its path: that of a struct that is there, and a new name.
        column: String,
        /// Its type, in the form that table metadata has (Iceberg spec, "JSON serialization"): `"long"`,
        /// `"decimal(9,2)"`, or an object for nested types, whose field ids are given anew.
        #[serde(rename = "type")]
        #[schemars(with = "serde_json::Value")]
        field_type: Type,
        /// Whether NULL is refused. Only a column with a default could be so in a table that may have rows.
        #[serde(default)]
        required: bool,
        /// What the column means, at most 1000 characters.
        #[serde(default)]
        doc: Option<String>,
    },
    /// Gives a column another name. No file changes (FR-019).
    RenameColumn {
        /// The path of the column.
        column: String,
        /// The new name, without its parents.
        new_name: String,
    },
    /// Gives a column a type that holds every value of its own: int to long, float to double, a decimal more digits; in
    /// format version 3 also date to timestamp (FR-018).
    WidenType {
        /// The path of the column.
        column: String,
        /// The new type.
        #[schemars(with = "String")]
        to: PrimitiveType,
    },
    /// Allows NULL in a required column.
    MakeOptional {
        /// The path of the column.
        column: String,
    },
    /// Deletes a column; its data stays in the files, unread. Needs `allow_incompatible_changes` (FR-021).
    DeleteColumn {
        /// The path of the column.
        column: String,
    },
    /// Sets what is said about a column, or removes it.
    UpdateDoc {
        /// The path of the column.
        column: String,
        /// At most 1000 characters.
        #[serde(default)]
        doc: Option<String>,
    },
}

impl Evolved<'_> {
    pub(super) fn apply(&mut self, change: &SchemaChange) -> Result<()> {
        match change {
            SchemaChange::AddColumn { column, field_type, required, doc } => {
                self.add(column, field_type, *required, doc.as_deref())
            }
            SchemaChange::RenameColumn { column, new_name } => self.rename(column, new_name),
            SchemaChange::WidenType { column, to } => self.widen(column, to),
            SchemaChange::MakeOptional { column } => {
                let field = self.field(column)?;
                if self.schema.identifier_field_ids().any(|id| id == field.id) {
                    return Err(incompatible(format!(
                        "column '{column}' cannot become optional: it identifies rows (identifier field)"
                    )));
                }
                self.set(NestedField { required: false, ..(*field).clone() })
            }
            SchemaChange::DeleteColumn { column } => self.delete(column),
            SchemaChange::UpdateDoc { column, doc } => {
                check_doc(column, doc.as_deref())?;
                let field = self.field(column)?;
                self.set(NestedField { doc: doc.clone(), ..(*field).clone() })
            }
        }
    }

    fn add(&mut self, column: &str, field_type: &Type, required: bool, doc: Option<&str>) -> Result<()> {
        check_doc(column, doc)?;
        let (parent, name) = match column.rsplit_once('.') {
            Some((parent, name)) => (Some(parent), name),
            None => (None, column),
        };
        check_name(name)?;
        let parent = match parent {
            None => None,
            Some(path) => {
                let field = self.field(path)?;
                self.check_not_key(field.id, path)?;
                if !field.field_type.is_struct() {
                    return Err(unfit(format!(
                        "column '{column}' cannot be added: '{path}' is no struct, it has no columns"
                    )));
                }
                Some(field.id)
            }
        };
        self.check_free(column)?;
        if required {
            return Err(incompatible(format!(
                "column '{column}' cannot be added as required: the rows that are there have no value for it"
            ))
            .with_hint("add it as optional"));
        }
        let mut last = self.last_column_id;
        let id = next(&mut last)?;
        let field_type = Self::with_new_ids(column, field_type, &mut last)?;
        let field = NestedField::optional(id, name, field_type);
        let field = match doc {
            Some(doc) => field.with_doc(doc),
            None => field,
        };
        self.schema = tree::insert(&self.schema, parent, field.into())?;
        self.last_column_id = last;
        Ok(())
    }

    fn rename(&mut self, column: &str, new_name: &str) -> Result<()> {
        check_name(new_name)?;
        let field = self.field(column)?;
        match tree::place(&self.schema, field.id) {
            Place::Struct => {}
            Place::Element | Place::Key | Place::Value => {
                return Err(unfit(format!(
                    "'{column}' cannot be renamed: elements, keys and values have no names of their own"
                )));
            }
        }
        if field.name == new_name {
            return Ok(());
        }
        let path = match column.rsplit_once('.') {
            Some((parent, _)) => format!("{parent}.{new_name}"),
            None => new_name.to_owned(),
        };
        self.check_free(&path)?;
        self.set(NestedField { name: new_name.to_owned(), ..(*field).clone() })
    }

    fn widen(&mut self, column: &str, to: &PrimitiveType) -> Result<()> {
        let field = self.field(column)?;
        let Type::Primitive(from) = &*field.field_type else {
            return Err(incompatible(format!("column '{column}' cannot become {to}: it is nested")));
        };
        if from == to {
            return Ok(());
        }
        self.check_not_key(field.id, column)?;
        let version = self.table.format_version();
        if !promotes(from, to, version) {
            let error = incompatible(format!(
                "column '{column}' is {from} and cannot become {to}: values could be lost"
            ));
            return Err(match promotes(from, to, FormatVersion::V3) {
                true => error.with_hint("tables of format version 3 allow it"),
                false => {
                    error.with_hint("int to long, float to double, and decimals with more digits are allowed")
                }
            });
        }
        if *from == PrimitiveType::Date {
            // The partition value of a timestamp would be another one than that of its date.
            let same = |transform: &Transform| {
                matches!(transform, Transform::Year | Transform::Month | Transform::Day | Transform::Void)
            };
            let specs = self.table.partition_specs_iter();
            let used =
                specs.flat_map(|spec| spec.fields()).find(|f| f.source_id == field.id && !same(&f.transform));
            if let Some(used) = used {
                return Err(incompatible(format!(
                    "column '{column}' cannot become {to}: the partition field '{}' would have other values",
                    used.name
                )));
            }
        }
        let field_type = Box::new(Type::Primitive(to.clone()));
        self.set(NestedField { field_type, ..(*field).clone() })
    }

    fn delete(&mut self, column: &str) -> Result<()> {
        let field = self.field(column)?;
        if !self.allow_incompatible {
            return Err(incompatible(format!(
                "column '{column}' is deleted, which readers of it do not survive"
            ))
            .with_hint("allow incompatible changes, if that is what you want"));
        }
        if tree::place(&self.schema, field.id) != Place::Struct {
            return Err(incompatible(format!(
                "'{column}' cannot be deleted: a list has elements, and a map keys and values"
            )));
        }
        self.check_not_key(field.id, column)?;
        let gone = tree::ids_of(&field);
        let spec = self.table.default_partition_spec();
        if let Some(used) = spec.fields().iter().find(|used| gone.contains(&used.source_id)) {
            return Err(incompatible(format!(
                "column '{column}' cannot be deleted: the partition field '{}' comes from it",
                used.name
            )));
        }
        let sorted = &self.table.default_sort_order().fields;
        if sorted.iter().any(|used| gone.contains(&used.source_id)) {
            return Err(incompatible(format!(
                "column '{column}' cannot be deleted: the sort order of the table needs it"
            )));
        }
        if self.schema.identifier_field_ids().any(|id| gone.contains(&id)) {
            return Err(incompatible(format!(
                "column '{column}' cannot be deleted: it identifies rows (identifier field)"
            )));
        }
        self.schema = tree::remove(&self.schema, field.id).ok_or_else(|| {
            incompatible(format!("column '{column}' cannot be deleted: no other would be left"))
        })??;
        Ok(())
    }

    fn field(&self, path: &str) -> Result<NestedFieldRef> {
        self.schema.field_by_name(path).cloned().ok_or_else(|| {
            unfit(format!("there is no column '{path}'")).with_hint("list the columns of the table")
        })
    }

    fn set(&mut self, field: NestedField) -> Result<()> {
        self.schema = tree::replace(&self.schema, field)?;
        Ok(())
    }

    /// Keys of a map are what their entries are told apart by.
    fn check_not_key(&self, id: i32, path: &str) -> Result<()> {
        match tree::is_in_key(&self.schema, id) {
            true => {
                Err(incompatible(format!("'{path}' is part of the keys of a map, which cannot be changed")))
            }
            false => Ok(()),
        }
    }

    fn check_free(&self, path: &str) -> Result<()> {
        match self.schema.field_by_name(path) {
            Some(_) => Err(unfit(format!("there is a column '{path}' already"))),
            None => Ok(()),
        }
    }

    /// The type with new ids for all its fields.
    fn with_new_ids(column: &str, of: &Type, last: &mut i32) -> Result<Type> {
        let mut renumber = |field: &NestedFieldRef| {
            check_seen("a column", &field.name)?;
            let id = next(last)?;
            let field_type = Box::new(Self::with_new_ids(column, &field.field_type, last)?);
            Ok::<_, Error>(NestedFieldRef::new(NestedField { id, field_type, ..(**field).clone() }))
        };
        Ok(match of {
            Type::Primitive(primitive) => Type::Primitive(primitive.clone()),
            nested => tree::with_children(nested, &mut |field| renumber(field).map(Some))?
                .ok_or_else(|| unfit(format!("column '{column}' has a struct without columns")))?,
        })
    }
}

fn next(last: &mut i32) -> Result<i32> {
    *last = last.checked_add(1).ok_or_else(|| unfit("the table has used up its column ids"))?;
    Ok(*last)
}

fn check_name(name: &str) -> Result<()> {
    check_seen("a column", name)?;
    match name.chars().count() {
        1..=255 if !name.contains('.') => Ok(()),
        1..=255 => Err(Error::validation(format!("a column cannot be called '{name}': a dot parts a path"))),
        _ => Err(Error::validation("the name of a column must have 1 to 255 characters")),
    }
}

fn check_doc(column: &str, doc: Option<&str>) -> Result<()> {
    match doc {
        Some(doc) if doc.chars().count() > 1000 => {
            Err(Error::validation(format!("the doc of column '{column}' has more than 1000 characters")))
        }
        _ => Ok(()),
    }
}
