//! Names of states: one rule for every command.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use support::Floe;

fn append(floe: &Floe, id: i64) -> String {
    floe.file("row.csv", format!("id\n{id}\n"));
    floe.line("append t.t row.csv --json").json()["snapshot_id"].as_str().unwrap().to_owned()
}

fn rows(floe: &Floe, at: &str) -> u64 {
    floe.run(&["scan", "t.t", "--at", at, "--json"]).json()["rows"].as_u64().unwrap()
}

/// The commands that take a state, with the state last.
const COMMANDS: [&str; 7] = [
    "scan t.t --json --at",
    "files t.t --json --at",
    "tag t.t new --json --at",
    "branch t.t new --json --at",
    "rollback t.t --json --to",
    "set-current t.t --json --to",
    "cherry-pick t.t --json",
];

fn run(floe: &Floe, command: &str, state: &str) -> support::Run {
    floe.run(&command.split(' ').chain([state]).collect::<Vec<_>>())
}

#[test]
fn a_number_that_is_no_snapshot_is_never_a_time() {
    let floe = Floe::with_table();
    append(&floe, 1);
    append(&floe, 2);
    let before = floe.files();
    for state in ["1714564800000", "99999999999999", "2024", "20240501", "0", "99999999999999999999999"] {
        for command in COMMANDS {
            let error = run(&floe, command, state).fails("snapshot_not_found", 3);
            let hint = error["hint"].as_str().unwrap();
            assert!(hint.contains("ms:"), "{command} {state}: {error}");
        }
    }
    assert_eq!(floe.files(), before);
    assert_eq!(rows(&floe, "ms:99999999999999"), 2);
    for command in COMMANDS {
        run(&floe, command, "ms:x").fails("validation", 2);
    }
}

#[test]
fn a_tag_named_like_a_date_wins_everywhere_and_is_noted() {
    let floe = Floe::with_table();
    let first = append(&floe, 1);
    append(&floe, 2);
    let made = floe.line(&format!("tag t.t 2199-12-31 --at {first} --json")).json();
    assert!(made["notes"][0].as_str().unwrap().contains("looks like a time"), "{made}");
    assert_eq!(rows(&floe, "2199-12-31"), 1);
    assert_eq!(rows(&floe, "2199-12-31T00:00:00Z"), 2, "written otherwise, it is a time");
    let scan = floe.line("scan t.t --at 2199-12-31 --json").json();
    assert!(scan["notes"][0].as_str().unwrap().contains("is the tag of that name"), "{scan}");
    let shown = floe.line("scan t.t --at 2199-12-31").ok();
    assert!(shown.stderr.contains("note: '2199-12-31' is the tag"), "{}", shown.stderr);
    let back = floe.line("rollback t.t --to 2199-12-31 --json").json();
    assert_eq!((&back["snapshot_id"], &back["changed"]), (&first.clone().into(), &true.into()));
    assert!(back["notes"][0].as_str().unwrap().contains("is the tag"), "{back}");

    let second = append(&floe, 3);
    let made = floe.line(&format!("branch t.t {second} --at {first} --json")).json();
    assert!(made["notes"][0].as_str().unwrap().contains("looks like a snapshot id"), "{made}");
    assert_eq!((rows(&floe, &second), rows(&floe, &format!("id:{second}"))), (1, 2));
}

#[test]
fn names_that_nobody_can_mean_are_refused() {
    let floe = Floe::with_table();
    append(&floe, 1);
    let before = floe.files();
    for name in ["", " ", " a", "a ", "a\nb", "a\tb", "a\u{200b}b"] {
        for kind in ["tag", "branch"] {
            floe.run(&[kind, "t.t", name, "--json"]).fails("validation", 2);
        }
        let plan = serde_json::json!({ "operations": [{ "tag": { "name": name } }] });
        floe.file("plan.json", plan.to_string());
        floe.line("transaction t.t plan.json --json").fails("validation", 2);
    }
    assert_eq!(floe.files(), before);
}

/// Writers with other clocks leave the log out of order.
#[test]
fn time_travel_reads_the_log_by_its_times() {
    let floe = Floe::with_table();
    let ids: Vec<String> = (1..=3)
        .map(|id| {
            std::thread::sleep(std::time::Duration::from_millis(3));
            append(&floe, id)
        })
        .collect();
    let place = floe.line("describe t.t --json").json()["metadata_location"].as_str().unwrap().to_owned();
    let path = place.trim_start_matches("file://");
    let mut metadata: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let log = metadata["snapshot-log"].as_array_mut().unwrap();
    let times: Vec<i64> = log.iter().map(|entry| entry["timestamp-ms"].as_i64().unwrap()).collect();
    log.swap(0, 1);
    std::fs::write(path, metadata.to_string()).unwrap();
    for (n, time) in times.iter().enumerate() {
        assert_eq!(rows(&floe, &format!("ms:{time}")), n as u64 + 1);
        assert_eq!(rows(&floe, &ids[n]), n as u64 + 1);
        let files = floe.line(&format!("files t.t --at ms:{time} --json")).json();
        assert_eq!(files["snapshot_id"], ids[n]);
    }
    let early =
        floe.line(&format!("scan t.t --at ms:{} --json", times[0] - 1)).fails("snapshot_not_found", 3);
    assert!(early["message"].as_str().unwrap().contains("its log begins at"), "{early}");
    let back = floe.line(&format!("rollback t.t --to ms:{} --json", times[1])).json();
    assert_eq!(back["snapshot_id"], ids[1], "as a scan at that time");
    floe.line(&format!("rollback t.t --to ms:{} --json", times[0] - 1)).fails("rollback", 2);
}

/// What a scan at a time reads is what a rollback to it sets back to, or it is refused.
#[test]
fn a_rollback_to_a_time_takes_the_state_of_then_and_no_other() {
    let floe = Floe::with_table();
    let pause = || std::thread::sleep(std::time::Duration::from_millis(3));
    let first = append(&floe, 1);
    pause();
    append(&floe, 2);
    let then = floe.line("describe t.t --json").json()["last_updated_ms"].as_i64().unwrap();
    pause();
    floe.line(&format!("rollback t.t --to {first}")).ok();
    pause();
    append(&floe, 3);
    let seen: Vec<Value> = floe.line(&format!("scan t.t --at ms:{then} --json")).json()["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["id"].clone())
        .collect();
    assert_eq!(seen.len(), 2, "the snapshot that was rolled back was current then");
    let error = floe.line(&format!("rollback t.t --to ms:{then} --json")).fails("rollback", 2);
    assert!(error["hint"].as_str().unwrap().contains("current"), "{error}");
    floe.line(&format!("set-current t.t --to ms:{then}")).ok();
    assert_eq!(floe.rows("t.t"), 2);
}

/// Other tools leave entries of expired snapshots in the log.
#[test]
fn a_time_whose_snapshot_has_expired_is_an_error() {
    let floe = Floe::with_table();
    let first = append(&floe, 1);
    std::thread::sleep(std::time::Duration::from_millis(3));
    append(&floe, 2);
    let place = floe.line("describe t.t --json").json()["metadata_location"].as_str().unwrap().to_owned();
    let path = place.trim_start_matches("file://");
    let mut metadata: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let time = metadata["snapshot-log"][0]["timestamp-ms"].as_i64().unwrap();
    metadata["snapshots"].as_array_mut().unwrap().remove(0);
    std::fs::write(path, metadata.to_string()).unwrap();
    let gone = floe.line(&format!("scan t.t --at ms:{time} --json")).fails("snapshot_not_found", 3);
    assert!(gone["message"].as_str().unwrap().contains("has expired"), "{gone}");
    for command in COMMANDS {
        let error = run(&floe, command, &first).fails("snapshot_not_found", 3);
        assert!(error["message"].as_str().unwrap().contains("has expired"), "{command}: {error}");
    }
}
