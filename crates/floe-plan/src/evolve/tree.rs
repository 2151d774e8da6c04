//! Schemas with one field more, less or changed.

use std::collections::HashSet;

use floe_core::{Error, Result};
use iceberg::spec::{ListType, MapType, NestedField, NestedFieldRef, Schema, StructType, Type};

use super::unfit;

/// What a field is to the one above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Struct,
    Element,
    Key,
    Value,
}

/// `schema` with `field` in the place of the one with its id.
pub(super) fn replace(schema: &Schema, field: NestedField) -> Result<Schema> {
    let field = NestedFieldRef::new(field);
    let fields = rebuilt(schema.as_struct(), &mut |old| {
        Ok(Some(if old.id == field.id { field.clone() } else { old.clone() }))
    })?;
    with_fields(schema, fields)
}

/// `schema` with `field` after the others of the struct with the id `parent`, or of the schema itself.
pub(super) fn insert(schema: &Schema, parent: Option<i32>, field: NestedFieldRef) -> Result<Schema> {
    let Some(parent) = parent else {
        let fields = schema.as_struct().fields().iter().cloned().chain([field]);
        return with_fields(schema, fields.collect());
    };
    let fields = rebuilt(schema.as_struct(), &mut |old| {
        let Type::Struct(children) = &*old.field_type else { return Ok(Some(old.clone())) };
        if old.id != parent {
            return Ok(Some(old.clone()));
        }
        let children = children.fields().iter().cloned().chain([field.clone()]);
        Ok(Some(retyped(old, Type::Struct(StructType::new(children.collect())))))
    })?;
    with_fields(schema, fields)
}

/// `schema` without the field with this id; `None` when a struct would have no field left.
pub(super) fn remove(schema: &Schema, id: i32) -> Option<Result<Schema>> {
    let keep = |old: &NestedFieldRef| Ok((old.id != id).then(|| old.clone()));
    match rebuilt(schema.as_struct(), &mut { keep }) {
        Ok(fields) if fields.is_empty() || has_empty_struct(&fields) => None,
        Ok(fields) => Some(with_fields(schema, fields)),
        Err(e) => Some(Err(e)),
    }
}

/// The id of a field and of all fields in it.
pub(super) fn ids_of(field: &NestedFieldRef) -> HashSet<i32> {
    let mut ids = HashSet::from([field.id]);
    for child in children(&field.field_type) {
        ids.extend(ids_of(child));
    }
    ids
}

/// What the field with this id is to the one above it.
pub(super) fn place(schema: &Schema, id: i32) -> Place {
    let mut found = Place::Struct;
    walk(schema.as_struct().fields(), &mut |field| match &*field.field_type {
        Type::List(list) if list.element_field.id == id => found = Place::Element,
        Type::Map(map) if map.key_field.id == id => found = Place::Key,
        Type::Map(map) if map.value_field.id == id => found = Place::Value,
        _ => {}
    });
    found
}

/// Whether the field with this id is the key of a map, or in one.
pub(super) fn is_in_key(schema: &Schema, id: i32) -> bool {
    let mut found = false;
    walk(schema.as_struct().fields(), &mut |field| {
        if let Type::Map(map) = &*field.field_type {
            found |= ids_of(&map.key_field).contains(&id);
        }
    });
    found
}

/// A nested type with its direct children replaced; without those that became nothing. `None` when none is left.
pub(super) fn with_children(
    of: &Type,
    each: &mut impl FnMut(&NestedFieldRef) -> Result<Option<NestedFieldRef>>,
) -> Result<Option<Type>> {
    let lost = || unfit("elements, keys and values of a column cannot go");
    Ok(match of {
        Type::Primitive(_) => Some(of.clone()),
        Type::Struct(fields) => {
            let fields: Vec<_> =
                fields.fields().iter().filter_map(|f| each(f).transpose()).collect::<Result<_>>()?;
            (!fields.is_empty()).then(|| Type::Struct(StructType::new(fields)))
        }
        Type::List(list) => Some(Type::List(ListType::new(each(&list.element_field)?.ok_or_else(lost)?))),
        Type::Map(map) => {
            let key = each(&map.key_field)?.ok_or_else(lost)?;
            let value = each(&map.value_field)?.ok_or_else(lost)?;
            Some(Type::Map(MapType::new(key, value)))
        }
        #[allow(unreachable_patterns, reason = "a later version of the crate may know more types")]
        _ => Some(of.clone()),
    })
}

/// Every field below `fields` and themselves, as `each` makes them, from the leaves up.
fn rebuilt(
    of: &StructType,
    each: &mut dyn FnMut(&NestedFieldRef) -> Result<Option<NestedFieldRef>>,
) -> Result<Vec<NestedFieldRef>> {
    fn one(
        field: &NestedFieldRef,
        each: &mut dyn FnMut(&NestedFieldRef) -> Result<Option<NestedFieldRef>>,
    ) -> Result<Option<NestedFieldRef>> {
        // What is changed at all is changed once: below a field that changes nothing else does.
        let Some(changed) = each(field)? else { return Ok(None) };
        if changed != *field || changed.field_type.is_primitive() {
            return Ok(Some(changed));
        }
        let below = with_children(&changed.field_type, &mut |child| one(child, each))?;
        let below = below.unwrap_or_else(|| Type::Struct(StructType::new(Vec::new())));
        Ok(Some(if below == *changed.field_type { changed } else { retyped(&changed, below) }))
    }
    of.fields().iter().filter_map(|field| one(field, each).transpose()).collect()
}

fn has_empty_struct(fields: &[NestedFieldRef]) -> bool {
    fields.iter().any(|field| match &*field.field_type {
        Type::Struct(of) => of.fields().is_empty() || has_empty_struct(of.fields()),
        Type::List(list) => has_empty_struct(std::slice::from_ref(&list.element_field)),
        Type::Map(map) => has_empty_struct(&[map.key_field.clone(), map.value_field.clone()]),
        _ => false,
    })
}

fn retyped(field: &NestedFieldRef, of: Type) -> NestedFieldRef {
    NestedFieldRef::new(NestedField { field_type: Box::new(of), ..(**field).clone() })
}

fn with_fields(schema: &Schema, fields: Vec<NestedFieldRef>) -> Result<Schema> {
    let built = Schema::builder()
        .with_schema_id(schema.schema_id())
        .with_fields(fields)
        .with_identifier_field_ids(schema.identifier_field_ids())
        .build();
    built.map_err(|e: iceberg::Error| -> Error {
        unfit(format!("the schema would not be valid: {}", e.message())).with_source(e)
    })
}

fn walk(fields: &[NestedFieldRef], look: &mut dyn FnMut(&NestedFieldRef)) {
    for field in fields {
        look(field);
        for child in children(&field.field_type) {
            walk(std::slice::from_ref(child), look);
        }
    }
}

/// The fields directly in a nested type.
pub(super) fn children(of: &Type) -> Vec<&NestedFieldRef> {
    match of {
        Type::Struct(fields) => fields.fields().iter().collect(),
        Type::List(list) => vec![&list.element_field],
        Type::Map(map) => vec![&map.key_field, &map.value_field],
        _ => Vec::new(),
    }
}
