//! The columns of a scan, from their names.

use std::collections::HashSet;
use std::sync::Arc;

use floe_core::{Error, Result};
use iceberg::spec::{NestedField, NestedFieldRef, Schema, SchemaRef, StructType, Type};

/// The part of `schema` that `columns` names, in their order. A field of a struct gives the struct with that field
/// alone. Fails with `Validation` for a name that is not there or comes twice.
pub(super) fn project(
    schema: &SchemaRef,
    columns: Option<&[String]>,
    case_sensitive: bool,
) -> Result<SchemaRef> {
    let Some(columns) = columns else {
        return Ok(schema.clone());
    };
    let mut chosen = HashSet::new();
    let mut tops: Vec<&NestedFieldRef> = Vec::new();
    for name in columns {
        let field = if case_sensitive {
            schema.field_by_name(name)
        } else {
            schema.field_by_name_case_insensitive(name)
        };
        let Some(field) = field else {
            let names: Vec<&str> = schema.as_struct().fields().iter().map(|f| f.name.as_str()).collect();
            return Err(Error::validation(format!("there is no column '{name}'"))
                .with_hint(format!("the columns are {}", names.join(", "))));
        };
        if !chosen.insert(field.id) {
            return Err(Error::validation(format!("column '{name}' is chosen twice")));
        }
        let top = schema.as_struct().fields().iter().find(|top| holds(top, field.id));
        if let Some(top) = top
            && !tops.iter().any(|t| t.id == top.id)
        {
            tops.push(top);
        }
    }
    let fields = tops.into_iter().filter_map(|top| prune(top, &chosen));
    Ok(Arc::new(Schema::builder().with_schema_id(schema.schema_id()).with_fields(fields).build()?))
}

/// The top-level columns that hold the fields with these ids.
pub(super) fn holding(schema: &Schema, ids: &[i32]) -> Result<SchemaRef> {
    let fields = schema.as_struct().fields().iter().filter(|top| ids.iter().any(|id| holds(top, *id)));
    Ok(Arc::new(Schema::builder().with_fields(fields.cloned()).build()?))
}

fn holds(field: &NestedField, id: i32) -> bool {
    field.id == id
        || match &*field.field_type {
            Type::Primitive(_) => false,
            Type::Struct(ty) => ty.fields().iter().any(|child| holds(child, id)),
            Type::List(ty) => holds(&ty.element_field, id),
            Type::Map(ty) => holds(&ty.key_field, id) || holds(&ty.value_field, id),
        }
}

fn prune(field: &NestedFieldRef, chosen: &HashSet<i32>) -> Option<NestedFieldRef> {
    if chosen.contains(&field.id) {
        return Some(field.clone());
    }
    match &*field.field_type {
        Type::Primitive(_) => None,
        Type::Struct(ty) => {
            let children: Vec<_> = ty.fields().iter().filter_map(|child| prune(child, chosen)).collect();
            if children.is_empty() {
                return None;
            }
            let mut pruned = NestedField::clone(field);
            pruned.field_type = Box::new(Type::Struct(StructType::new(children)));
            Some(Arc::new(pruned))
        }
        // A part of a list or a map cannot be given alone.
        Type::List(_) | Type::Map(_) => chosen.iter().any(|id| holds(field, *id)).then(|| field.clone()),
    }
}

#[cfg(test)]
mod tests {
    use floe_core::ErrorKind;
    use iceberg::spec::PrimitiveType;

    use super::*;

    fn schema() -> SchemaRef {
        let primitive =
            |id, name: &str| Arc::new(NestedField::optional(id, name, Type::Primitive(PrimitiveType::Long)));
        let inner = Type::Struct(StructType::new(vec![primitive(4, "x"), primitive(5, "y")]));
        let fields =
            vec![primitive(1, "Id"), primitive(2, "b"), Arc::new(NestedField::optional(3, "point", inner))];
        Arc::new(Schema::builder().with_fields(fields).build().unwrap())
    }

    fn names(schema: &Schema) -> Vec<String> {
        schema.as_struct().fields().iter().map(|f| f.name.clone()).collect()
    }

    fn columns(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn columns_come_in_the_order_asked() {
        let projected = project(&schema(), Some(&columns(&["b", "Id"])), true).unwrap();
        assert_eq!(names(&projected), ["b", "Id"]);
    }

    #[test]
    fn a_field_of_a_struct_leaves_the_others_out() {
        let projected = project(&schema(), Some(&columns(&["point.y"])), true).unwrap();
        assert!(projected.field_by_id(5).is_some());
        assert!(projected.field_by_id(4).is_none());
    }

    #[test]
    fn case_matters_only_if_asked() {
        assert_eq!(names(&project(&schema(), Some(&columns(&["id"])), false).unwrap()), ["Id"]);
        let error = project(&schema(), Some(&columns(&["id"])), true).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
        assert!(error.to_string().contains("'id'"));
    }

    #[test]
    fn a_column_chosen_twice_is_refused() {
        assert!(project(&schema(), Some(&columns(&["b", "b"])), true).is_err());
    }
}
