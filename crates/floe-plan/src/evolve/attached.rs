//! What hangs on a schema: properties that name columns.

use std::collections::{BTreeMap, HashMap};

use floe_core::Result;
use iceberg::TableUpdate;
use iceberg::spec::{DEFAULT_SCHEMA_NAME_MAPPING, Schema};

use super::name_mapping;

/// Prefixes of properties that end in the path of a column.
const OF_A_COLUMN: [&str; 6] = [
    "write.metadata.metrics.column.",
    "write.parquet.stats-enabled.column.",
    "write.parquet.bloom-filter-enabled.column.",
    "write.parquet.bloom-filter-fpp.column.",
    "write.parquet.bloom-filter-ndv.column.",
    "write.parquet.bloom-filter-max-bytes.column.",
];

/// The updates that make `properties` of a table follow its schema from `before` to `after`, as Iceberg's Java library
/// does:
///
/// - the name mapping (`schema.name-mapping.default`), by which files without field ids are read, gets new columns,
///   with those nested in them, and new names of columns beside their old ones. A name that another column had goes to the
///   new one alone;
/// - settings of single columns (`write.metadata.metrics.column.*`, `write.parquet.bloom-filter-*.column.*`,
///   `write.parquet.stats-enabled.column.*`) go by the column's new path, be it that a struct around it was renamed, and
///   with a column that is deleted.
///
/// Columns are the same by their ids. None when nothing changes. Fails with `Validation` when the name mapping has to
/// change and cannot be read.
pub fn attached(
    before: &Schema,
    after: &Schema,
    properties: &HashMap<String, String>,
) -> Result<Vec<TableUpdate>> {
    let mut set = BTreeMap::new();
    let mut remove = Vec::new();
    if let Some(mapping) = properties.get(DEFAULT_SCHEMA_NAME_MAPPING)
        && let Some(mapping) = name_mapping::followed(mapping, before, after)?
    {
        set.insert(DEFAULT_SCHEMA_NAME_MAPPING.to_owned(), mapping);
    }
    for (key, value) in properties {
        let Some(prefix) = OF_A_COLUMN.iter().find(|prefix| key.starts_with(**prefix)) else { continue };
        // Settings of columns that are not there are left alone.
        let Some(id) = before.field_id_by_name(&key[prefix.len()..]) else { continue };
        match after.name_by_field_id(id) {
            Some(path) if before.name_by_field_id(id) == Some(path) => {}
            Some(path) => {
                set.insert(format!("{prefix}{path}"), value.clone());
                remove.push(key.clone());
            }
            None => remove.push(key.clone()),
        }
    }
    // Names that are exchanged: what one leaves the other takes.
    remove.retain(|key| !set.contains_key(key));
    remove.sort();
    let mut updates = Vec::new();
    if !set.is_empty() {
        updates.push(TableUpdate::SetProperties { updates: set.into_iter().collect() });
    }
    if !remove.is_empty() {
        updates.push(TableUpdate::RemoveProperties { removals: remove });
    }
    Ok(updates)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use iceberg::spec::{ListType, MapType, NestedField, NestedFieldRef, PrimitiveType, StructType, Type};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn int(id: i32, name: &str) -> NestedFieldRef {
        NestedField::optional(id, name, Type::Primitive(PrimitiveType::Int)).into()
    }

    fn of(id: i32, name: &str, fields: Vec<NestedFieldRef>) -> NestedFieldRef {
        NestedField::optional(id, name, Type::Struct(StructType::new(fields))).into()
    }

    fn schema(fields: Vec<NestedFieldRef>) -> Schema {
        Schema::builder().with_fields(fields).build().unwrap()
    }

    /// The properties after the updates.
    fn followed(properties: &[(&str, &str)], before: &Schema, after: &Schema) -> BTreeMap<String, String> {
        let mut properties: HashMap<String, String> =
            properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        for update in attached(before, after, &properties).unwrap() {
            match update {
                TableUpdate::SetProperties { updates } => properties.extend(updates),
                TableUpdate::RemoveProperties { removals } => {
                    for key in removals {
                        properties.remove(&key).unwrap();
                    }
                }
                _ => panic!("properties only"),
            }
        }
        properties.into_iter().collect()
    }

    fn mapping(text: &Value, before: &Schema, after: &Schema) -> Value {
        let properties = followed(&[(DEFAULT_SCHEMA_NAME_MAPPING, &text.to_string())], before, after);
        serde_json::from_str(&properties[DEFAULT_SCHEMA_NAME_MAPPING]).unwrap()
    }

    #[test]
    fn settings_of_columns_go_by_new_paths_and_with_deleted_columns() {
        let before = schema(vec![int(1, "a"), int(2, "b"), of(3, "s", vec![int(4, "x"), int(5, "y")])]);
        let after = schema(vec![int(1, "b"), int(6, "a"), of(3, "t", vec![int(4, "x")])]);
        for prefix in OF_A_COLUMN {
            let key = |column: &str| format!("{prefix}{column}");
            let keys: Vec<String> = ["a", "b", "s.x", "s.y", "gone"].iter().map(|c| key(c)).collect();
            let properties: Vec<(&str, &str)> =
                keys.iter().map(|key| (key.as_str(), key.as_str())).chain([("owner", "me")]).collect();
            let expected: BTreeMap<String, String> = [
                (key("b"), key("a")),
                (key("t.x"), key("s.x")),
                (key("gone"), key("gone")),
                ("owner".to_owned(), "me".to_owned()),
            ]
            .into();
            assert_eq!(followed(&properties, &before, &after), expected);
        }
        let unchanged =
            attached(&before, &before, &HashMap::from([(OF_A_COLUMN[0].to_owned() + "a", "x".into())]));
        assert!(unchanged.unwrap().is_empty());
    }

    #[test]
    fn names_that_are_exchanged_keep_both_settings() {
        let before = schema(vec![int(1, "a"), int(2, "b")]);
        let after = schema(vec![int(1, "b"), int(2, "a")]);
        let key = |column: &str| format!("write.metadata.metrics.column.{column}");
        let properties = followed(&[(&key("a"), "one"), (&key("b"), "two")], &before, &after);
        assert_eq!(properties, [(key("b"), "one".to_owned()), (key("a"), "two".to_owned())].into());
    }

    #[test]
    fn new_columns_are_mapped_with_those_in_them() {
        let list = Type::List(ListType::new(
            NestedField::list_element(5, Type::Struct(StructType::new(vec![int(6, "x")])), false).into(),
        ));
        let map = Type::Map(MapType::new(
            NestedField::map_key_element(8, Type::Primitive(PrimitiveType::String)).into(),
            NestedField::map_value_element(9, Type::Primitive(PrimitiveType::Int), false).into(),
        ));
        let before = schema(vec![int(1, "a"), of(2, "s", vec![int(3, "x")])]);
        let after = schema(vec![
            int(1, "a"),
            of(2, "s", vec![int(3, "x"), NestedField::optional(4, "l", list).into()]),
            NestedField::optional(7, "m", map).into(),
        ]);
        let text = json!([{"field-id": 1, "names": ["a"]}, {"field-id": 2, "names": ["s"], "fields": [{"field-id": 3, "names": ["x"], "note": 1}]}]);
        let expected = json!([
            {"field-id": 1, "names": ["a"]},
            {"field-id": 2, "names": ["s"], "fields": [
                {"field-id": 3, "names": ["x"], "note": 1},
                {"field-id": 4, "names": ["l"], "fields": [
                    {"field-id": 5, "names": ["element"], "fields": [{"field-id": 6, "names": ["x"]}]}]},
            ]},
            {"field-id": 7, "names": ["m"], "fields": [
                {"field-id": 8, "names": ["key"]}, {"field-id": 9, "names": ["value"]}]},
        ]);
        assert_eq!(mapping(&text, &before, &after), expected);
    }

    #[test]
    fn a_name_that_is_given_again_leaves_the_column_that_had_it() {
        let before = schema(vec![int(1, "a"), int(2, "b")]);
        let text = json!([{"field-id": 1, "names": ["a", "old"]}, {"field-id": 2, "names": ["b"]}]);
        // Deleted, and added again.
        let dropped = schema(vec![int(2, "b")]);
        assert_eq!(mapping(&text, &before, &dropped), text);
        let again = schema(vec![int(2, "b"), int(3, "a")]);
        let expected = json!([
            {"field-id": 1, "names": ["old"]}, {"field-id": 2, "names": ["b"]}, {"field-id": 3, "names": ["a"]}
        ]);
        assert_eq!(mapping(&text, &dropped, &again), expected);
        // Renamed, and the name given to another.
        let renamed = schema(vec![int(1, "c"), int(2, "a")]);
        let expected = json!([{"field-id": 1, "names": ["old", "c"]}, {"field-id": 2, "names": ["b", "a"]}]);
        assert_eq!(mapping(&text, &before, &renamed), expected);
    }

    #[test]
    fn a_mapping_that_cannot_be_read_is_told_only_when_it_has_to_change() {
        let before = schema(vec![int(1, "a"), int(2, "b")]);
        let properties = HashMap::from([(DEFAULT_SCHEMA_NAME_MAPPING.to_owned(), "{".to_owned())]);
        assert!(attached(&before, &schema(vec![int(1, "a")]), &properties).unwrap().is_empty());
        assert!(attached(&before, &schema(vec![int(1, "x")]), &properties).is_err());
    }

    proptest! {
        /// Names that were dropped and given again, in any order: no name is mapped twice, and every column of the schema is
        /// mapped by its name.
        #[test]
        fn a_mapping_stays_one_whatever_is_changed(steps in prop::collection::vec((0..3_u8, 0..6_usize, 0..4_usize), 1..24)) {
            let names = ["a", "b", "c", "d"];
            let mut columns: Vec<(i32, &str)> = vec![(1, "a"), (2, "b")];
            let mut last = 2;
            let build = |columns: &[(i32, &str)]| {
                let inner: Vec<_> = columns.iter().map(|(id, name)| int(*id, name)).collect();
                schema(vec![int(1000, "id"), of(1001, "s", inner.iter().cloned().chain([int(1002, "kept")]).collect())])
            };
            let mut text = json!([
                {"field-id": 1000, "names": ["id"]},
                {"field-id": 1001, "names": ["s"], "fields": [
                    {"field-id": 1, "names": ["a"]}, {"field-id": 2, "names": ["b"]}, {"field-id": 1002, "names": ["kept"]}]},
            ]);
            for (kind, at, name) in steps {
                let before = build(&columns);
                let name = names[name];
                let free = !columns.iter().any(|(_, taken)| *taken == name);
                let count = columns.len().max(1);
                match kind {
                    0 if free => { last += 1; columns.push((last, name)); }
                    1 if !columns.is_empty() => drop(columns.remove(at % count)),
                    2 if free && !columns.is_empty() => columns[at % count].1 = name,
                    _ => continue,
                }
                text = mapping(&text, &before, &build(&columns));
                let fields = text[1]["fields"].as_array().unwrap();
                let mapped: Vec<(&str, i64)> = fields.iter().flat_map(|field| {
                    let id = field["field-id"].as_i64().unwrap();
                    field["names"].as_array().unwrap().iter().map(move |n| (n.as_str().unwrap(), id))
                }).collect();
                for name in names {
                    prop_assert!(mapped.iter().filter(|(n, _)| *n == name).count() <= 1, "{text}");
                }
                for (id, name) in &columns {
                    prop_assert!(mapped.contains(&(name, i64::from(*id))), "{text}");
                }
            }
        }
    }
}
