//! Properties of a table.

use std::collections::BTreeMap;

use floe_core::names::check_seen;
use floe_core::{Error, Result};
use iceberg::TableUpdate;
use iceberg::spec::{TableMetadata, TableProperties};

/// The updates that set properties and remove others. None when the table has them so already.
///
/// Fails with `Validation` for a property that is both set and removed, that has no name, or that tells a writer how to
/// make a table and is not kept (`format-version`, `uuid`, …).
pub(crate) fn update(
    table: &TableMetadata,
    set: &BTreeMap<String, String>,
    remove: &[String],
) -> Result<Vec<TableUpdate>> {
    for key in set.keys().chain(remove) {
        if key.is_empty() {
            return Err(Error::validation("a property needs a name"));
        }
        if TableProperties::RESERVED_PROPERTIES.contains(&key.as_str()) {
            return Err(Error::validation(format!("'{key}' is not a property of a table that can be set")));
        }
    }
    let now = table.properties();
    // One that is there already can be changed, whatever its name.
    set.keys().filter(|key| !now.contains_key(*key)).try_for_each(|key| check_seen("a property", key))?;
    if let Some(key) = remove.iter().find(|key| set.contains_key(*key)) {
        return Err(Error::validation(format!("the property '{key}' is both set and removed")));
    }
    let set: Vec<_> = set.iter().filter(|(key, value)| now.get(*key) != Some(value)).collect();
    let removals: Vec<String> = remove.iter().filter(|key| now.contains_key(*key)).cloned().collect();
    let mut updates = Vec::new();
    if !set.is_empty() {
        let updates_of = set.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        updates.push(TableUpdate::SetProperties { updates: updates_of });
    }
    if !removals.is_empty() {
        updates.push(TableUpdate::RemoveProperties { removals });
    }
    Ok(updates)
}

#[cfg(test)]
mod tests {
    use iceberg::spec::FormatVersion;

    use super::*;
    use crate::commit::tests::world::World;

    #[test]
    fn only_what_differs_is_updated_and_contradictions_are_refused() {
        let table = World::new(FormatVersion::V2, &[("a", "1"), ("b", "2")]).table();
        let set =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let remove = |keys: &[&str]| keys.iter().map(|k| (*k).to_owned()).collect::<Vec<_>>();
        let nothing = update(&table.metadata, &set(&[("a", "1")]), &remove(&["c"])).unwrap();
        assert!(nothing.is_empty());
        let updates = update(&table.metadata, &set(&[("a", "3")]), &remove(&["b"])).unwrap();
        assert_eq!(updates.len(), 2);
        for refused in [
            (set(&[("b", "3")]), remove(&["b"])),
            (set(&[("format-version", "3")]), vec![]),
            (set(&[("", "")]), vec![]),
        ] {
            assert!(update(&table.metadata, &refused.0, &refused.1).is_err());
        }
    }
}
