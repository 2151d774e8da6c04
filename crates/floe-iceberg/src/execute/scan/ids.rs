//! Field ids of the columns of a Parquet file (Iceberg spec, "Column Projection").

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields};
use iceberg::spec::{MappedField, NameMapping};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

/// The field id of a column, if the file or a name mapping gives it one.
pub(super) fn field_id(field: &Field) -> Option<i32> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY)?.parse().ok()
}

/// Whether one of the columns, or of the fields below them, has this id.
pub(super) fn contains_id(fields: &Fields, id: i32) -> bool {
    fields.iter().any(|field| has(field, &|field| field_id(field) == Some(id)))
}

/// The columns with an id on each that has one: as they are, if the file carries ids; else by name, if the table has a
/// name mapping; else by position, the first column being field 1.
pub(super) fn with_ids(fields: &Fields, mapping: Option<&NameMapping>) -> Fields {
    if fields.iter().any(|field| has(field, &|field| field_id(field).is_some())) {
        return fields.clone();
    }
    match mapping {
        Some(mapping) => {
            let mapped: Vec<&MappedField> = mapping.fields().iter().collect();
            fields.iter().map(|field| map_by_name(field, &mapped)).collect()
        }
        None => fields.iter().zip(1..).map(|(field, id)| set_id(field, Some(id), None)).collect(),
    }
}

fn has(field: &Field, test: &dyn Fn(&Field) -> bool) -> bool {
    test(field) || children(field.data_type()).iter().any(|child| has(child, test))
}

fn children(data_type: &DataType) -> Vec<&FieldRef> {
    match data_type {
        DataType::Struct(fields) => fields.iter().collect(),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => vec![item],
        _ => Vec::new(),
    }
}

/// Names of list elements, map keys and map values are `element`, `key` and `value` in a mapping, whatever the file
/// calls them.
fn map_by_name(field: &FieldRef, mapped: &[&MappedField]) -> FieldRef {
    let found = mapped.iter().find(|m| m.names().iter().any(|name| name == field.name()));
    map_to(field, found.copied())
}

fn map_to(field: &FieldRef, mapped: Option<&MappedField>) -> FieldRef {
    let below: Vec<&MappedField> =
        mapped.map(|m| m.fields().iter().map(|field| &**field).collect()).unwrap_or_default();
    let named = |name: &str| below.iter().copied().find(|m| m.names().iter().any(|n| n == name));
    let data_type = match field.data_type() {
        DataType::Struct(fields) => {
            Some(DataType::Struct(fields.iter().map(|field| map_by_name(field, &below)).collect()))
        }
        DataType::List(item) => Some(DataType::List(map_to(item, named("element")))),
        DataType::LargeList(item) => Some(DataType::LargeList(map_to(item, named("element")))),
        DataType::Map(entries, sorted) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                let pair =
                    Fields::from(vec![map_to(&pair[0], named("key")), map_to(&pair[1], named("value"))]);
                let entries = Field::clone(entries).with_data_type(DataType::Struct(pair));
                Some(DataType::Map(Arc::new(entries), *sorted))
            }
            _ => None,
        },
        _ => None,
    };
    set_id(field, mapped.and_then(MappedField::field_id), data_type)
}

fn set_id(field: &FieldRef, id: Option<i32>, data_type: Option<DataType>) -> FieldRef {
    let mut field = Field::clone(field);
    if let Some(data_type) = data_type {
        field = field.with_data_type(data_type);
    }
    if let Some(id) = id {
        field = field.with_metadata(HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())]));
    }
    Arc::new(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(fields: &Fields) -> Vec<Option<i32>> {
        fields.iter().map(|field| field_id(field)).collect()
    }

    #[test]
    fn a_mapping_gives_ids_by_name_at_every_level() {
        let inner = Field::new("Y", DataType::Int64, true);
        let fields = Fields::from(vec![
            Field::new("b", DataType::Struct(vec![inner].into()), true),
            Field::new("unknown", DataType::Int32, true),
        ]);
        let y = MappedField::new(Some(8), vec!["x".into(), "Y".into()], vec![]);
        let mapping = NameMapping::new(vec![MappedField::new(Some(4), vec!["b".into()], vec![y])]);
        let mapped = with_ids(&fields, Some(&mapping));
        assert_eq!(ids(&mapped), [Some(4), None]);
        let DataType::Struct(inner) = mapped[0].data_type() else { panic!("a struct") };
        assert_eq!(ids(inner), [Some(8)]);
    }

    #[test]
    fn without_a_mapping_the_position_is_the_id() {
        let fields = Fields::from(vec![
            Field::new("a", DataType::Int64, true),
            Field::new("b", DataType::Int64, true),
        ]);
        assert_eq!(ids(&with_ids(&fields, None)), [Some(1), Some(2)]);
    }

    #[test]
    fn ids_of_the_file_come_first() {
        let own = Field::new("a", DataType::Int64, true)
            .with_metadata(HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), "9".to_owned())]));
        let fields = Fields::from(vec![own, Field::new("b", DataType::Int64, true)]);
        assert_eq!(ids(&with_ids(&fields, None)), [Some(9), None]);
    }
}
