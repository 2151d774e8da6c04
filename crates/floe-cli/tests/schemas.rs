//! One check of schemas at every door: what no table can have is refused by `create`, `evolve`, `transaction` and `register`
//! alike, at every depth, and leaves nothing behind.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::{Floe, Run};

/// Types that no table of this format version has.
fn impossible(version: &str) -> Vec<Value> {
    let mut all =
        vec![json!("decimal(40,2)"), json!("decimal(0,0)"), json!("decimal(5,6)"), json!("fixed[0]")];
    all.push(json!("fixed[2147483648]"));
    if version != "3" {
        all.extend([json!("timestamp_ns"), json!("timestamptz_ns")]);
    }
    all
}

/// A type alone, and within others.
fn places(of: &Value) -> [Value; 4] {
    [
        of.clone(),
        json!({"type": "struct", "fields": [{"id": 91, "name": "x", "required": false, "type": of}]}),
        json!({"type": "list", "element-id": 92, "element-required": false, "element": of}),
        json!({"type": "map", "key-id": 93, "key": "string", "value-id": 94, "value-required": false, "value": of}),
    ]
}

fn refused(run: &Run, what: &str) {
    let error: Value = serde_json::from_str(&run.stderr).unwrap_or_else(|_| panic!("{what}: {}", run.text()));
    // Metadata that is not even read is damaged.
    let codes: &[i32] = if what.starts_with("register") { &[2, 9] } else { &[2] };
    assert!(codes.contains(&run.code), "{what}: {error}");
    assert!(!run.stderr.contains("defect"), "{what}: {error}");
}

#[test]
fn what_no_table_can_have_is_refused_at_every_door() {
    for version in ["1", "2", "3"] {
        let floe = Floe::new();
        floe.file(
            "good.json",
            r#"{"fields": [{"name": "id", "type": "long"}, {"name": "d", "type": "decimal(5,2)"}]}"#,
        );
        floe.file("row.csv", "id,d\n1,1.25\n");
        floe.run(&[
            "create",
            "t.t",
            "--schema",
            "good.json",
            "--property",
            &format!("format-version={version}"),
        ])
        .ok();
        floe.line("append t.t row.csv").ok();
        let described = floe.line("describe t.t --json").json();
        let location =
            described["metadata_location"].as_str().unwrap().trim_start_matches("file://").to_owned();
        let sound: Value = serde_json::from_slice(&std::fs::read(&location).unwrap()).unwrap();
        let before = floe.files();
        let property = format!("format-version={version}");
        let mut doors = 0;
        for bad in impossible(version) {
            for ty in places(&bad) {
                let column = json!({"id": 90, "name": "bad", "required": false, "type": ty});
                floe.file(
                    "bad.json",
                    json!({"fields": [{"name": "id", "type": "long"}, column]}).to_string(),
                );
                let words = ["create", "t.new", "--schema", "bad.json", "--property", &property, "--json"];
                refused(&floe.run(&words), &format!("create {version} {ty}"));

                let change = json!({"add_column": {"column": "bad", "type": ty}});
                let plan = json!({"operations": [{"evolve_schema": {"changes": [change]}}]});
                floe.file("plan.json", plan.to_string());
                refused(
                    &floe.line("transaction t.t plan.json --json"),
                    &format!("transaction {version} {ty}"),
                );

                let mut foreign = sound.clone();
                for at in ["/schemas/0/fields", "/schema/fields"] {
                    if let Some(fields) = foreign.pointer_mut(at).and_then(Value::as_array_mut) {
                        fields.push(column.clone());
                    }
                }
                foreign["last-column-id"] = 94.into();
                let file = floe.file("foreign.metadata.json", foreign.to_string());
                let words = ["register", "t.new", file.to_str().unwrap(), "--json"];
                refused(&floe.run(&words), &format!("register {version} {ty}"));
                doors += 3;
            }
            let text = bad.as_str().unwrap();
            for words in [["--add", &format!("bad:{text}")], ["--widen", &format!("d:{text}")]] {
                let run = floe.run(&["evolve", "t.t", words[0], words[1], "--json"]);
                refused(&run, &format!("evolve {version} {words:?}"));
                doors += 1;
            }
        }
        assert!(doors >= 70, "{doors}");
        assert_eq!(floe.files(), before, "nothing is written");
        assert_eq!(floe.line("list --json").json()["tables"], json!(["t.t"]));
        assert_eq!(floe.rows("t.t"), 1);
    }
}

/// A struct without columns is valid, and no file can hold it.
#[test]
fn a_struct_without_columns_is_made_at_no_door_and_may_be_there() {
    let floe = Floe::new();
    let empty = json!({"type": "struct", "fields": []});
    let column = json!({"id": 2, "name": "e", "required": false, "type": empty});
    floe.file("bad.json", json!({"fields": [{"id": 1, "name": "id", "type": "long"}, column]}).to_string());
    refused(&floe.line("create t.t --schema bad.json --json"), "create");
    floe.file("good.json", r#"{"fields": [{"name": "id", "type": "long"}]}"#);
    floe.line("create t.t --schema good.json").ok();
    let plan = json!({"operations": [{"evolve_schema": {"changes": [{"add_column": {"column": "e", "type": empty}}]}}]});
    floe.file("plan.json", plan.to_string());
    refused(&floe.line("transaction t.t plan.json --json"), "transaction");
    let described = floe.line("describe t.t --json").json();
    let location = described["metadata_location"].as_str().unwrap().trim_start_matches("file://");
    let mut foreign: Value = serde_json::from_slice(&std::fs::read(location).unwrap()).unwrap();
    foreign["schemas"][0]["fields"].as_array_mut().unwrap().push(column);
    foreign["last-column-id"] = 2.into();
    let file = floe.file("foreign.metadata.json", foreign.to_string());
    floe.run(&["register", "t.foreign", file.to_str().unwrap()]).ok();
    floe.line("properties t.foreign --set a=b").ok();
}
