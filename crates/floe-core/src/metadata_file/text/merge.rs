//! A text with what a change of the model changes in it, and nothing else.
//!
//! The model of table metadata is narrower than the format: it drops fields that it does not know, and knows some only in
//! another form. So a text is never written from the model. What differs between the model before and after a change
//! is carried into the text that was read; the rest stays as it was written, to the letter.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::raw::{self, ObjectWriter};

/// `text` with what differs between `before`, the model of it, and `after`.
pub(super) fn merged(text: &str, before: &Value, after: &Value) -> String {
    merge("", text, before, after)
}

/// A part that is new, as a change of `before`, the model of the part `text` that it came from: with what the
/// model drops of that.
pub(super) fn derived(text: &str, before: &Value, new: &Value) -> String {
    merge("", text, before, new)
}

fn merge(name: &str, text: &str, before: &Value, after: &Value) -> String {
    if before == after {
        return text.to_owned();
    }
    let merged = match (before, after) {
        (Value::Object(before), Value::Object(after)) => object(text, before, after),
        (Value::Array(before), Value::Array(after)) => match name {
            "metadata-log" => log(text, before, after, "metadata-file"),
            "snapshot-log" => log(text, before, after, "snapshot-id"),
            "fields" => ordered(text, before, after),
            name => key_of(name).and_then(|key| keyed(text, before, after, key)),
        },
        _ => None,
    };
    merged.unwrap_or_else(|| after.to_string())
}

/// What tells the elements of an array apart.
fn key_of(array: &str) -> Option<&'static str> {
    Some(match array {
        "snapshots" | "statistics" | "partition-statistics" => "snapshot-id",
        "schemas" => "schema-id",
        "partition-specs" => "spec-id",
        "sort-orders" => "order-id",
        "encryption-keys" => "key-id",
        _ => return None,
    })
}

fn object(text: &str, before: &Map<String, Value>, after: &Map<String, Value>) -> Option<String> {
    let mut writer = ObjectWriter::new();
    let mut seen = HashSet::new();
    for (name, value) in raw::object(text)? {
        match (before.get(&name), after.get(&name)) {
            (Some(was), Some(is)) => writer.field(&name, &merge(&name, value.get(), was, is)),
            (Some(_), None) => {}
            // Unknown before: the change gives it a meaning.
            (None, Some(is)) => writer.field(&name, &fresh(&name, is)),
            (None, None) => writer.field(&name, value.get()),
        }
        seen.insert(name);
    }
    for (name, is) in after.iter().filter(|(name, _)| !seen.contains(*name)) {
        // What the model supplies for a field that is not there stays away as long as it is the same.
        if before.get(name) != Some(is) {
            writer.field(name, &fresh(name, is));
        }
    }
    Some(writer.finish())
}

/// What was not there; the model gives elements of lists in any order.
fn fresh(name: &str, is: &Value) -> String {
    match is {
        Value::Array(elements) => {
            merge(name, "[]", &Value::Array(Vec::new()), &Value::Array(elements.clone()))
        }
        other => other.to_string(),
    }
}

/// An array whose elements are told apart by `key` and have no order.
fn keyed(text: &str, before: &[Value], after: &[Value], key: &str) -> Option<String> {
    let of = |list: &[Value], id: &Value| list.iter().find(|element| element.get(key) == Some(id)).cloned();
    let mut elements = Vec::new();
    for element in raw::array(text)? {
        let id = serde_json::from_str::<Value>(element.get()).ok()?.get(key).cloned().unwrap_or_default();
        match (of(before, &id), of(after, &id)) {
            (Some(was), Some(is)) => elements.push(merge("", element.get(), &was, &is)),
            (Some(_), None) | (None, Some(_)) => {}
            (None, None) => elements.push(element.get().to_owned()),
        }
    }
    let mut new: Vec<&Value> =
        after.iter().filter(|e| e.get(key).is_none_or(|id| of(before, id).is_none())).collect();
    new.sort_by_key(|element| element.get(key).and_then(Value::as_i64));
    elements.extend(new.into_iter().map(Value::to_string));
    Some(joined(&elements))
}

/// The fields of a struct, a partition spec or a sort order, in the order that they have after.
fn ordered(text: &str, before: &[Value], after: &[Value]) -> Option<String> {
    let key = |element: &Value| element.get("field-id").or_else(|| element.get("id")).cloned();
    let raw = raw::array(text)?;
    if raw.len() != before.len() {
        return None;
    }
    let elements: Vec<String> = after
        .iter()
        .map(|is| {
            let id = key(is);
            let was = before.iter().position(|was| id.is_some() && key(was) == id);
            match was {
                Some(at) => merge("", raw[at].get(), &before[at], is),
                None => is.to_string(),
            }
        })
        .collect();
    Some(joined(&elements))
}

/// A log: entries go at its beginning, or anywhere, and come at its end.
fn log(text: &str, before: &[Value], after: &[Value], id: &str) -> Option<String> {
    let of = |entry: &Value| (entry.get("timestamp-ms").cloned(), entry.get(id).cloned());
    let mut kept = before.iter().peekable();
    let mut gone = Vec::new();
    let mut new = Vec::new();
    for entry in after {
        let Some(at) = kept.clone().position(|was| of(was) == of(entry)) else {
            new.push(entry.to_string());
            continue;
        };
        gone.extend(kept.by_ref().take(at).map(of));
        kept.next();
    }
    gone.extend(kept.map(of));
    let mut elements = Vec::new();
    for element in raw::array(text)? {
        let entry: Value = serde_json::from_str(element.get()).ok()?;
        match gone.iter().position(|gone| *gone == of(&entry)) {
            Some(at) => drop(gone.swap_remove(at)),
            None => elements.push(element.get().to_owned()),
        }
    }
    elements.extend(new);
    Some(joined(&elements))
}

fn joined(elements: &[String]) -> String {
    format!("[{}]", elements.join(","))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn value(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_does_not_change_keeps_its_letters() {
        let text = r#"{"a": 1.50, "big": 123456789012345678901234567890, "z": {"k" : null}, "n": 1}"#;
        let changed = merged(text, &json!({"n": 1}), &json!({"n": 2}));
        for kept in ["1.50", "123456789012345678901234567890", r#"{"k" : null}"#, r#""n":2"#] {
            assert!(changed.contains(kept), "{changed}");
        }
    }

    #[test]
    fn fields_come_go_and_change_at_every_depth() {
        let text = r#"{"refs": {"main": {"snapshot-id": 1, "mine": true}, "old": {"snapshot-id": 1}}}"#;
        let before = json!({"refs": {"main": {"snapshot-id": 1}, "old": {"snapshot-id": 1}}, "supplied": 1});
        let after = json!({"refs": {"main": {"snapshot-id": 2}, "new": {"snapshot-id": 2}}, "supplied": 1});
        let expected = json!({"refs": {"main": {"snapshot-id": 2, "mine": true}, "new": {"snapshot-id": 2}}});
        assert_eq!(value(&merged(text, &before, &after)), expected);
    }

    #[test]
    fn elements_are_told_apart_by_their_ids() {
        let text = r#"{"snapshots": [{"snapshot-id": 3, "x": 1}, {"snapshot-id": 1, "x": 2}], "fields": [{"id": 1, "y": 1}]}"#;
        let before = json!({"snapshots": [{"snapshot-id": 1}, {"snapshot-id": 3}], "fields": [{"id": 1, "name": "a"}]});
        let after = json!({
            "snapshots": [{"snapshot-id": 9}, {"snapshot-id": 1}, {"snapshot-id": 5}],
            "fields": [{"id": 2, "name": "n"}, {"id": 1, "name": "b"}],
        });
        let expected = json!({
            "snapshots": [{"snapshot-id": 1, "x": 2}, {"snapshot-id": 5}, {"snapshot-id": 9}],
            "fields": [{"id": 2, "name": "n"}, {"id": 1, "name": "b", "y": 1}],
        });
        assert_eq!(value(&merged(text, &before, &after)), expected);
    }

    #[test]
    fn logs_lose_at_the_beginning_and_gain_at_the_end() {
        let entry = |n: i64| json!({"timestamp-ms": n, "metadata-file": format!("m{n}")});
        let text = json!({"metadata-log": [
            {"timestamp-ms": 1, "metadata-file": "m1", "x": 1},
            {"timestamp-ms": 2, "metadata-file": "m2", "x": 2},
        ]});
        let before = json!({"metadata-log": [entry(1), entry(2)]});
        let after = json!({"metadata-log": [entry(2), entry(3)]});
        let merged = value(&merged(&text.to_string(), &before, &after));
        assert_eq!(
            merged["metadata-log"],
            json!([{"timestamp-ms": 2, "metadata-file": "m2", "x": 2}, entry(3)])
        );
    }
}
