//! How much a table keeps about each column: the metrics modes.

use std::collections::{HashMap, HashSet};

use floe_core::{Error, Result};
use iceberg::spec::{Schema, SortOrder, Type};

/// The property with the mode of columns that have none of their own.
pub const DEFAULT: &str = "write.metadata.metrics.default";
/// The prefix of properties with the mode of one column; the column's full name follows.
pub const COLUMN_PREFIX: &str = "write.metadata.metrics.column.";
/// The property with the number of leaf columns that get metrics where no default is set.
pub const MAX_INFERRED: &str = "write.metadata.metrics.max-inferred-column-defaults";

/// What is kept about one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsMode {
    /// Nothing.
    None,
    /// Counts of values, NULLs and NaNs.
    Counts,
    /// Counts, and bounds shortened to so many code points or bytes.
    Truncate(usize),
    /// Counts and whole bounds.
    Full,
}

impl MetricsMode {
    /// The mode of columns where nothing else is said.
    pub const STANDARD: Self = Self::Truncate(16);

    /// Parses `none`, `counts`, `truncate(N)` or `full`; any case.
    ///
    /// ```
    /// use floe_plan::rows::mode::MetricsMode;
    ///
    /// assert_eq!(MetricsMode::parse("Truncate(4)").unwrap(), MetricsMode::Truncate(4));
    /// assert!(MetricsMode::parse("truncate(0)").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Self> {
        let lower = text.trim().to_ascii_lowercase();
        let width = lower.strip_prefix("truncate(").and_then(|rest| rest.strip_suffix(')'));
        match (lower.as_str(), width.map(str::parse)) {
            ("none", _) => Ok(Self::None),
            ("counts", _) => Ok(Self::Counts),
            ("full", _) => Ok(Self::Full),
            (_, Some(Ok(width))) if width > 0 => Ok(Self::Truncate(width)),
            _ => Err(Error::validation(format!("'{text}' is no metrics mode"))
                .with_hint("none, counts, truncate(N) or full")),
        }
    }
}

/// The mode of every leaf column, by field id, from the table's properties.
///
/// Without a default of its own a table with more than `max-inferred-column-defaults` (100) leaf columns
/// keeps metrics for the first of them only. Columns that the table is sorted by keep bounds, unless a
/// property of theirs says otherwise.
pub fn metrics_modes(
    schema: &Schema,
    sort_order: &SortOrder,
    properties: &HashMap<String, String>,
) -> Result<HashMap<i32, MetricsMode>> {
    let parse = |key: &str, text: &String| MetricsMode::parse(text).map_err(|e| e.context(key));
    let explicit = properties.get(DEFAULT).map(|text| parse(DEFAULT, text)).transpose()?;
    let inferred = match properties.get(MAX_INFERRED) {
        Some(text) => text
            .trim()
            .parse()
            .map_err(|_| Error::validation(format!("{MAX_INFERRED} must be a whole number, not '{text}'")))?,
        None => 100,
    };
    let sorted: HashSet<i32> = sort_order.fields.iter().map(|field| field.source_id).collect();
    let mut leaves = Vec::new();
    for field in schema.as_struct().fields() {
        leaf_ids(field.id, &field.field_type, &mut leaves);
    }
    let mut modes = HashMap::with_capacity(leaves.len());
    for (index, id) in leaves.into_iter().enumerate() {
        let key = format!("{COLUMN_PREFIX}{}", schema.name_by_field_id(id).unwrap_or_default());
        let mode = match (properties.get(&key), explicit) {
            (Some(text), _) => parse(&key, text)?,
            (None, explicit) => {
                let limited = if index < inferred { MetricsMode::STANDARD } else { MetricsMode::None };
                match explicit.unwrap_or(limited) {
                    MetricsMode::None | MetricsMode::Counts if sorted.contains(&id) => MetricsMode::STANDARD,
                    mode => mode,
                }
            }
        };
        modes.insert(id, mode);
    }
    Ok(modes)
}

fn leaf_ids(id: i32, field_type: &Type, leaves: &mut Vec<i32>) {
    match field_type {
        Type::Primitive(_) => leaves.push(id),
        Type::Struct(fields) => fields.fields().iter().for_each(|f| leaf_ids(f.id, &f.field_type, leaves)),
        Type::List(list) => leaf_ids(list.element_field.id, &list.element_field.field_type, leaves),
        Type::Map(map) => {
            leaf_ids(map.key_field.id, &map.key_field.field_type, leaves);
            leaf_ids(map.value_field.id, &map.value_field.field_type, leaves);
        }
    }
}

#[cfg(test)]
mod tests {
    use iceberg::spec::{NestedField, PrimitiveType};

    use super::*;

    fn schema(columns: i32) -> Schema {
        let long = Type::Primitive(PrimitiveType::Long);
        let fields = (1..=columns).map(|id| NestedField::optional(id, format!("c{id}"), long.clone()).into());
        Schema::builder().with_fields(fields).build().unwrap()
    }

    fn modes(columns: i32, properties: &[(&str, &str)]) -> HashMap<i32, MetricsMode> {
        let properties = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        metrics_modes(&schema(columns), &SortOrder::unsorted_order(), &properties).unwrap()
    }

    #[test]
    fn the_first_hundred_columns_have_metrics_unless_a_default_is_set() {
        let found = modes(101, &[]);
        assert_eq!((found[&100], found[&101]), (MetricsMode::STANDARD, MetricsMode::None));
        assert_eq!(modes(101, &[(DEFAULT, "full")])[&101], MetricsMode::Full);
    }

    #[test]
    fn a_column_has_its_own_mode() {
        let found = modes(2, &[(DEFAULT, "counts"), ("write.metadata.metrics.column.c2", "truncate(3)")]);
        assert_eq!((found[&1], found[&2]), (MetricsMode::Counts, MetricsMode::Truncate(3)));
    }
}
