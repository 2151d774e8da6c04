//! `merge`: clauses, whole statements, columns that the table lacks, and what is refused.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::{Floe, SCHEMA};

/// `t.t` partitioned by name, with the ids 1 to 3 under `a`, 4 and 5 under `b`, and 6 without a name.
fn filled() -> Floe {
    let floe = Floe::new();
    floe.file("schema.json", SCHEMA);
    floe.line("create t.t --schema schema.json --partition name").ok();
    floe.file("rows.csv", "id,name\n1,a\n2,a\n3,a\n4,b\n5,b\n6,\n");
    floe.line("append t.t rows.csv").ok();
    floe
}

fn rows(floe: &Floe) -> Vec<(i64, Value)> {
    let scan = floe.run(&["scan", "t.t", "--json"]).json();
    let row = |row: &Value| (row["id"].as_i64().unwrap(), row["name"].clone());
    let mut rows: Vec<_> = scan["data"].as_array().unwrap().iter().map(row).collect();
    rows.sort_by_key(|row| row.0);
    rows
}

fn named(names: &[(i64, &str)]) -> Vec<(i64, Value)> {
    names.iter().map(|(id, name)| (*id, if name.is_empty() { Value::Null } else { json!(name) })).collect()
}

fn snapshots(floe: &Floe) -> usize {
    floe.line("snapshots t.t --json").json()["snapshots"].as_array().unwrap().len()
}

/// Changes with a column that the table lacks.
const CHANGES: &str = "op,id,name\nD,1,\nU,4,x\nU,9,new\nD,77,\n";

const CLAUSES: [&str; 6] = [
    "--when",
    "MATCHED AND source.op = 'D' THEN DELETE",
    "--when",
    "MATCHED THEN UPDATE SET name = target.name || source.name",
    "--when",
    "WHEN NOT MATCHED AND op <> 'D' THEN INSERT *",
];

#[test]
fn changes_with_an_operation_column_are_merged_in_one_snapshot_and_once_by_key() {
    for mode in ["copy-on-write", "merge-on-read"] {
        let floe = filled();
        floe.file("changes.csv", CHANGES);
        let mut words = vec!["merge", "t.t", "changes.csv", "--on", "id", "--mode", mode, "--json"];
        words.extend(CLAUSES);
        let dry = floe.run(&[&words[..], &["--dry-run"]].concat()).json();
        assert_eq!((&dry["rows_updated"], &dry["dry_run"]), (&1.into(), &true.into()));
        assert_eq!(snapshots(&floe), 1);

        words.extend(["--idempotency-key", "k"]);
        let done = floe.run(&words).json();
        for (what, count) in [("updated", 1), ("inserted", 1), ("deleted", 1), ("unchanged", 0)] {
            assert_eq!(done[format!("rows_{what}")], count, "{what}: {done}");
        }
        assert_eq!((&done["attempts"], &done["inputs"]), (&1.into(), &1.into()));
        let after = named(&[(2, "a"), (3, "a"), (4, "bx"), (5, "b"), (6, ""), (9, "new")]);
        assert_eq!((rows(&floe), snapshots(&floe)), (after.clone(), 2));

        let again = floe.run(&words).json();
        assert_eq!((&again["replayed"], &again["snapshot_id"]), (&true.into(), &done["snapshot_id"]));
        assert_eq!((rows(&floe), snapshots(&floe)), (after, 2));
    }
}

#[test]
fn a_statement_does_the_same_as_clauses_from_text_and_from_a_file() {
    let sql = "MERGE INTO t.t AS tgt USING changes AS src ON tgt.id = src.id
        WHEN MATCHED AND src.op = 'D' THEN DELETE
        WHEN MATCHED THEN UPDATE SET tgt.name = tgt.name || src.name
        WHEN NOT MATCHED AND src.op <> 'D' THEN INSERT (id, name) VALUES (src.id, src.name)";
    let after = named(&[(2, "a"), (3, "a"), (4, "bx"), (5, "b"), (6, ""), (9, "new")]);
    for words in [["--sql", sql], ["--sql-file", "merge.sql"]] {
        let floe = filled();
        floe.file("changes.csv", CHANGES);
        floe.file("merge.sql", sql);
        let run = floe.run(&["merge", "t.t", "changes.csv", words[0], words[1]]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        let text = String::from_utf8(run.stdout).unwrap();
        assert!(text.contains("Updated 1 row, inserted 1, deleted 1 in t.t"), "{text}");
        assert_eq!(rows(&floe), after);
    }
}

#[test]
fn rows_that_the_source_lacks_are_changed_where_a_condition_says_so() {
    let floe = filled();
    floe.file("all.json", "{\"customer\": 1}\n{\"customer\": 4}\n");
    let line = ["merge", "t.t", "all.json", "--on", "id=customer", "--json", "--when"];
    let clause = "NOT MATCHED BY SOURCE AND target.name = 'a' THEN DELETE";
    let update = "NOT MATCHED BY SOURCE AND target.name IS NULL THEN UPDATE SET name = 'none'";
    let done = floe.run(&[&line[..], &[clause, "--when", update]].concat()).json();
    assert_eq!((&done["rows_deleted"], &done["rows_updated"]), (&2.into(), &1.into()), "{done}");
    assert_eq!(rows(&floe), named(&[(1, "a"), (4, "b"), (5, "b"), (6, "none")]));
}

#[test]
fn a_merge_goes_to_its_branch() {
    let floe = filled();
    floe.file("changes.csv", CHANGES);
    floe.line("branch t.t audit").ok();
    let mut words = vec!["merge", "t.t", "changes.csv", "--on", "id", "--branch", "audit", "--json"];
    words.extend(CLAUSES);
    floe.run(&words).ok();
    assert_eq!(rows(&floe).len(), 6);
    assert_eq!(floe.run(&["scan", "t.t", "--at", "audit", "--filter", "id = 9", "--json"]).json()["rows"], 1);
}

#[test]
fn what_is_wrong_is_refused_without_a_value_and_nothing_is_written() {
    let floe = filled();
    floe.file("changes.csv", CHANGES);
    floe.file("twice.csv", "id,name\n4,x\n4,hunter2\n");
    let before = (floe.files(), snapshots(&floe));
    let insert = "NOT MATCHED THEN INSERT *";
    let cases: &[(&[&str], &str, i32)] = &[
        (&["changes.csv", "--on", "id", "--when", "MATCHED AND op = 'hunter2 THEN DELETE"], "validation", 2),
        (
            &["changes.csv", "--on", "id", "--when", "MATCHED AND nope = 'hunter2' THEN DELETE"],
            "validation",
            2,
        ),
        (&["changes.csv", "--on", "id", "--when", "MATCHED THEN UPDATE SET id = name"], "validation", 2),
        (&["changes.csv", "--on", "id"], "validation", 2),
        (&["changes.csv", "--on", "nope", "--when", insert], "validation", 2),
        (&["changes.csv", "--on-condition", "target.id > source.id", "--when", insert], "unsupported", 9),
        (&["twice.csv", "--on", "id", "--when", "MATCHED THEN UPDATE SET *"], "validation", 2),
        (
            &["changes.csv", "--on", "id", "--when", "MATCHED THEN UPDATE SET id = target.id / 0"],
            "validation",
            2,
        ),
        (
            &["changes.csv", "--sql", "MERGE INTO u.u USING s ON u.id = s.id WHEN MATCHED THEN DELETE"],
            "validation",
            2,
        ),
        (&["changes.csv", "--sql-file", "nope.sql"], "file_not_found", 3),
        (&["changes.csv", "--when", insert], "validation", 2),
        (&["changes.csv", "--on", "id", "--when", insert, "--branch", "nope"], "snapshot_not_found", 3),
    ];
    for (words, kind, code) in cases {
        let error = floe.run(&[&["merge", "t.t"], *words, &["--json"]].concat()).fails(kind, *code);
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let error = floe.run(&[
        "merge",
        "t.t",
        "twice.csv",
        "--on",
        "id",
        "--when",
        "MATCHED THEN UPDATE SET *",
        "--json",
    ]);
    assert!(error.fails("validation", 2)["message"].as_str().unwrap().starts_with("1 rows of the table"));
    assert_eq!((floe.files(), snapshots(&floe)), before);
}
