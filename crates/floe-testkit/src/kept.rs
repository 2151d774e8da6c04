//! What a change of a table must leave as it was: documents of metadata with more in them than the crate's model holds, and
//! the comparison of two of them.

mod writers;

use std::collections::BTreeSet;

use serde_json::{Value, json};

pub use self::writers::{WRITERS, Writer, parse};

/// Puts fields that nobody knows into every object that is no map of texts; and known fields that the crate has no room for.
///
/// # Panics
///
/// When the value is no metadata with a snapshot.
pub fn strew(value: &mut Value) {
    strewn_below(value);
    let version = value["format-version"].as_i64();
    for snapshot in value["snapshots"].as_array_mut().into_iter().flatten() {
        snapshot["summary"]["engine-build"] = 7.into();
        snapshot["summary"]["nothing"] = Value::Null;
    }
    let first = value["snapshots"][0]["snapshot-id"].clone();
    assert!(first.is_i64(), "no snapshot");
    value["statistics"] = json!([
        {"snapshot-id": first, "statistics-path": "memory:///s", "file-size-in-bytes": 1, "file-footer-size-in-bytes": 1,
         "blob-metadata": [{"type": "t", "snapshot-id": 1, "sequence-number": 1, "fields": [1], "x-odd": 1}], "x-odd": 1},
        {"snapshot-id": first, "form": "new"},
    ]);
    value["partition-statistics"] = json!([{"snapshot-id": first, "statistics-path": "memory:///s", "file-size-in-bytes": 1, "x-odd": 1}]);
    if version < Some(3) {
        value["next-row-id"] = 12.into();
        value["encryption-keys"] = json!([{"key-id": "k", "encrypted-key-metadata": "aGk=", "x-odd": 1}]);
    }
    if version == Some(1) {
        value["last-sequence-number"] = 9.into();
    }
}

fn strewn_below(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match (name.as_str(), value) {
                    ("properties" | "summary", _) => {}
                    // A map of names.
                    ("refs", Value::Object(refs)) => refs.values_mut().for_each(strewn_below),
                    (_, value) => strewn_below(value),
                }
            }
            fields.insert("x-odd".into(), json!({"deep": [1.5, null, "]"], "snapshot-id": 3}));
        }
        Value::Array(elements) => elements.iter_mut().for_each(strewn_below),
        _ => {}
    }
}

/// Where two documents differ: paths, in which elements of lists stand under their number; ` +` is what is new, ` -` what
/// is gone.
#[must_use]
pub fn differences(before: &Value, after: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    differences_below("", before, after, &mut found);
    found
}

fn differences_below(path: &str, before: &Value, after: &Value, found: &mut BTreeSet<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (name, value) in before {
                match after.get(name) {
                    Some(is) => differences_below(&format!("{path}/{name}"), value, is, found),
                    None => drop(found.insert(format!("{path}/{name} -"))),
                }
            }
            let new = after.keys().filter(|name| !before.contains_key(*name));
            found.extend(new.map(|name| format!("{path}/{name} +")));
        }
        (Value::Array(before), Value::Array(after)) => {
            // Elements keep their order, and new ones come at the end.
            for (number, value) in before.iter().enumerate() {
                match after.get(number) {
                    Some(is) => differences_below(&format!("{path}/{number}"), value, is, found),
                    None => drop(found.insert(format!("{path}/{number} -"))),
                }
            }
            if after.len() > before.len() {
                found.insert(format!("{path}/+"));
            }
        }
        _ if before == after => {}
        _ => drop(found.insert(path.to_owned())),
    }
}

/// What every commit changes.
const ALWAYS: [&str; 2] = ["/last-updated-ms", "/metadata-log/+"];
/// What a new snapshot changes, where the format version has it.
const SNAPSHOT: [&str; 3] = ["/snapshots/+", "/last-sequence-number", "/next-row-id"];
/// What a move of the main branch changes.
const MAIN: [&str; 3] = ["/current-snapshot-id", "/refs/main/snapshot-id", "/snapshot-log/+"];
/// What a change of the schema changes; `schema` is of version 1.
const SCHEMA: [&str; 3] = ["/schemas/+", "/current-schema-id", "/schema/*"];

/// Whether an operation may change what stands at a path of [`differences`]. `changes` are such paths, those that end
/// with `*` with everything below; or one of these words: `snapshot` for what a new snapshot changes, `move` for a move of
/// the main branch, `main` for both, `schema` for a new schema.
#[must_use]
pub fn allowed(path: &str, changes: &[&str]) -> bool {
    let is = |change: &&str| match change.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => path == *change,
    };
    ALWAYS.iter().any(is)
        || changes.iter().any(|change| match *change {
            "snapshot" => SNAPSHOT.iter().any(is),
            "move" => MAIN.iter().any(is),
            "main" => SNAPSHOT.iter().chain(&MAIN).any(is),
            "schema" => SCHEMA.iter().any(is),
            _ => is(change),
        })
}

/// The differences that an operation must not make.
#[must_use]
pub fn not_allowed(before: &Value, after: &Value, changes: &[&str]) -> Vec<String> {
    differences(before, after).into_iter().filter(|path| !allowed(path, changes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_changed_lost_and_new_is_found() {
        let before = json!({"a": {"b": [1, {"c": 2}]}, "d": null, "e": 1});
        let after = json!({"a": {"b": [1, {"c": 3}, 4]}, "d": 0, "f": 1});
        let found: Vec<String> = differences(&before, &after).into_iter().collect();
        assert_eq!(found, ["/a/b/+", "/a/b/1/c", "/d", "/e -", "/f +"]);
        assert_eq!(not_allowed(&before, &after, &["/a/*", "/d"]), ["/e -", "/f +"]);
        assert!(differences(&before, &before).is_empty());
        assert!(allowed("/snapshots/+", &["main"]) && !allowed("/snapshots/0", &["main", "schema", "move"]));
    }
}
