//! Idempotency keys and their inputs, and changes that are run again.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, SystemTime};

use serde_json::Value;
use support::Floe;

/// The same rows in every way that a command can be given them.
fn ways(floe: &Floe, command: &str, of: &str) -> Vec<Value> {
    let csv = std::fs::read(floe.path().join(of)).unwrap();
    floe.file("copy.csv", &csv);
    let mut line: Vec<&str> = command.split_whitespace().collect();
    line.extend(["--idempotency-key", "k", "--json"]);
    let of_file = |file: &str| {
        let mut words = line.clone();
        words.push(file);
        floe.run(&words).json()
    };
    let mut done = vec![of_file(of), of_file("copy.csv")];
    let mut piped = line.clone();
    piped.extend(["-", "--input-format", "csv"]);
    done.push(floe.with_input(&piped, &csv).json());
    done
}

#[test]
fn a_key_with_the_same_rows_is_done_before_and_with_others_refused() {
    for command in ["append t.t", "upsert t.t --on id"] {
        let floe = Floe::with_table();
        floe.file("rows.csv", "id,name\n1,a\n2,b\n");
        let first = floe.line(&format!("{command} rows.csv --idempotency-key k --json")).json();
        assert_eq!(first["replayed"], false);
        let files = floe.files();
        for again in ways(&floe, command, "rows.csv") {
            assert_eq!((&again["replayed"], &again["snapshot_id"]), (&true.into(), &first["snapshot_id"]));
        }
        // As long as the first, and with as many rows.
        floe.file("other.csv", "id,name\n1,a\n2,c\n");
        floe.file("fewer.csv", "id,name\n1,a\n");
        for other in ["other.csv", "fewer.csv"] {
            let line = format!("{command} {other} --idempotency-key k --json");
            let error = floe.line(&line).fails("validation", 2);
            assert!(error["message"].as_str().unwrap().contains("another input"), "{error}");
            assert!(!error.to_string().contains(",c"), "no values in errors");
            let piped = format!("{command} - --input-format csv --idempotency-key k --json");
            let words: Vec<&str> = piped.split_whitespace().collect();
            let csv = std::fs::read(floe.path().join(other)).unwrap();
            floe.with_input(&words, &csv).fails("validation", 2);
            let any = floe.line(&format!("{line} --any-input")).json();
            assert_eq!(any["replayed"], true);
        }
        assert_eq!(floe.files(), files, "{command}");
        assert_eq!(floe.rows("t.t"), 2);
    }
}

#[test]
fn a_file_that_was_changed_in_place_is_another_input_even_if_its_time_is_set_back() {
    let floe = Floe::with_table();
    let path = floe.file("rows.csv", "id,name\n1,a\n");
    // Old enough for its times to be trusted.
    let old = SystemTime::now() - Duration::from_secs(3600);
    let set_back = || std::fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
    set_back();
    floe.line("append t.t rows.csv --idempotency-key k").ok();
    floe.file("rows.csv", "id,name\n2,a\n");
    set_back();
    floe.line("append t.t rows.csv --idempotency-key k --json").fails("validation", 2);
    assert_eq!(floe.rows("t.t"), 1);
}

#[test]
fn the_rows_of_parquet_count_however_they_are_stored() {
    let floe = Floe::with_table();
    floe.file("rows.csv", "id,name\n1,a\n2,b\n");
    floe.line("append t.t rows.csv --idempotency-key k").ok();
    floe.line("scan t.t --columns id,name --format parquet --out rows.parquet").ok();
    assert_eq!(floe.line("append t.t rows.parquet --idempotency-key k --json").json()["replayed"], true);
    let filter = [
        "scan",
        "t.t",
        "--columns",
        "id,name",
        "--filter",
        "id = 1",
        "--format",
        "parquet",
        "--out",
        "one.parquet",
    ];
    floe.run(&filter).ok();
    let error = floe.line("append t.t one.parquet --idempotency-key k --json").fails("validation", 2);
    assert!(error["message"].as_str().unwrap().contains("another input"), "{error}");
}

#[test]
fn a_transaction_with_other_files_is_refused_under_its_key() {
    let floe = Floe::with_table();
    floe.file("one.csv", "id,name\n1,a\n");
    floe.file("two.csv", "id,name\n2,b\n");
    let plan = r#"{"idempotency_key": "k", "operations": [
        {"write": {"files": ["one.csv"]}}, {"write": {"files": ["two.csv"]}}, {"set_properties": {"x": "y"}}]}"#;
    floe.file("plan.json", plan);
    assert_eq!(floe.line("transaction t.t plan.json --json").json()["replayed"], false);
    assert_eq!(floe.line("transaction t.t plan.json --json").json()["replayed"], true);
    floe.file("two.csv", "id,name\n3,b\n");
    floe.line("transaction t.t plan.json --json").fails("validation", 2);
    assert_eq!(floe.line("transaction t.t plan.json --any-input --json").json()["replayed"], true);
    assert_eq!(floe.rows("t.t"), 2);
}

#[test]
fn outcomes_tell_how_often_a_change_was_run_again() {
    let floe = Floe::with_table();
    floe.file("rows.csv", "id,name\n1,a\n2,b\n3,c\n");
    assert_eq!(floe.line("append t.t rows.csv --json").json()["reruns"], 0);
    let words = ["delete", "t.t", "--filter", "id = 1", "--reruns", "3", "--rerun-timeout", "60", "--json"];
    assert_eq!(floe.run(&words).json()["reruns"], 0);
    assert_ne!(floe.line("upsert t.t rows.csv --on id --reruns many").code, 0);
    assert_ne!(floe.line("append t.t rows.csv --any-input").code, 0, "it is for keys");
}

/// Eight commands at once that rewrite one file: without running again, only the first of them would succeed.
#[test]
fn commands_that_rewrite_one_file_at_once_all_succeed() {
    let floe = Floe::with_table();
    let rows: Vec<String> = (0..800).map(|id| format!("{id},n")).collect();
    floe.file("rows.csv", format!("id,name\n{}\n", rows.join("\n")));
    floe.line("append t.t rows.csv").ok();
    let running: Vec<_> = (0..8)
        .map(|n| {
            let filter = format!("id >= {} and id < {}", n * 100, n * 100 + 10);
            let mut command = floe.command();
            command.args(["delete", "t.t", "--filter", &filter, "--json"]);
            support::piped(&mut command)
        })
        .collect();
    let mut reruns = 0;
    for child in running {
        let run = support::Run::of(child.wait_with_output().unwrap(), &["delete"]);
        reruns += run.json()["reruns"].as_u64().unwrap();
    }
    assert_eq!(floe.rows("t.t"), 720, "after {reruns} reruns");
}
