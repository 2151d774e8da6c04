//! Tags, branches, roll-back, and bringing changes into a branch.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::Floe;

/// Appends one row, and gives the snapshot.
fn append(floe: &Floe, id: i64, options: &str) -> String {
    floe.file("row.csv", format!("id\n{id}\n"));
    floe.line(&format!("append t.t row.csv {options} --json")).json()["snapshot_id"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// `t.t` with the rows 1, 2 and 3, each of a snapshot.
fn three() -> (Floe, [String; 3]) {
    let floe = Floe::with_table();
    let snapshots = [1, 2, 3].map(|id| append(&floe, id, ""));
    (floe, snapshots)
}

/// The ids, sorted, as of `at`.
fn ids(floe: &Floe, at: &str) -> Vec<i64> {
    let scan = floe.run(&["scan", "t.t", "--columns", "id", "--at", at, "--json"]).json();
    let mut ids: Vec<i64> =
        scan["data"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    ids
}

fn refs(floe: &Floe) -> Vec<Value> {
    floe.line("refs t.t --json").json()["refs"].as_array().unwrap().clone()
}

fn names(floe: &Floe) -> Vec<String> {
    refs(floe).iter().map(|r| r["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_tag_is_made_moved_listed_and_dropped() {
    let (floe, [first, second, third]) = three();
    let made = floe.line(&format!("tag t.t v1 --at {first} --keep 90 --json")).json();
    assert_eq!((&made["snapshot_id"], &made["ref"]["type"]), (&json!(first), &"tag".into()));
    assert_eq!(made["ref"]["max_ref_age_ms"], 90_i64 * 24 * 60 * 60 * 1000);
    assert_eq!(ids(&floe, "v1"), [1]);
    assert_eq!(floe.line("tag t.t newest --json").json()["snapshot_id"], third);
    floe.line(&format!("tag t.t v1 --at {second} --json")).fails("validation", 2);
    floe.line(&format!("tag t.t v1 --at {second} --replace")).ok();
    assert_eq!(ids(&floe, "v1"), [1, 2]);
    assert_eq!(floe.line("tag t.t v2 --at v1 --json").json()["snapshot_id"], second);
    assert_eq!(names(&floe), ["main", "newest", "v1", "v2"]);
    let text = floe.line("refs t.t").ok().text();
    assert!(text.contains("NAME") && text.contains("newest") && text.contains(&second), "{text}");
    let dropped = floe.line("tag t.t v1 --drop --json").json();
    assert_eq!((&dropped["dropped"], &dropped["snapshot_id"]), (&true.into(), &json!(second)));
    assert_eq!(names(&floe), ["main", "newest", "v2"]);
    floe.line("scan t.t --at v1 --json").fails("snapshot_not_found", 3);
}

#[test]
fn a_branch_is_made_moved_and_dropped() {
    let (floe, [first, _, third]) = three();
    let line = "branch t.t audit --keep 30 --keep-snapshots 5 --keep-snapshots-for 7 --json";
    let made = floe.line(line).json();
    assert_eq!((&made["snapshot_id"], &made["ref"]["type"]), (&json!(third), &"branch".into()));
    assert_eq!(made["ref"]["min_snapshots_to_keep"], 5);
    assert_eq!(made["ref"]["max_snapshot_age_ms"], 7_i64 * 24 * 60 * 60 * 1000);
    let audit = append(&floe, 10, "--branch audit");
    assert_eq!((ids(&floe, "audit"), ids(&floe, "main")), (vec![1, 2, 3, 10], vec![1, 2, 3]));
    let kept = refs(&floe).into_iter().find(|r| r["name"] == "audit").unwrap();
    assert_eq!((&kept["snapshot_id"], &kept["min_snapshots_to_keep"]), (&json!(audit), &5.into()));
    floe.line(&format!("branch t.t audit --at {first} --replace")).ok();
    assert_eq!(ids(&floe, "audit"), [1]);
    let text = floe.line("branch t.t audit --drop").ok().text();
    assert!(text.starts_with("Dropped branch audit"), "{text}");
    assert_eq!(names(&floe), ["main"]);
}

#[test]
fn names_that_are_not_there_or_not_of_the_kind_are_refused() {
    let (floe, _) = three();
    floe.line("tag t.t v1").ok();
    floe.line("branch t.t audit").ok();
    let before = floe.files();
    for (line, kind, code) in [
        ("tag t.t nope --drop", "snapshot_not_found", 3),
        ("tag t.t nope --replace", "snapshot_not_found", 3),
        ("tag t.t v2 --at 12345", "snapshot_not_found", 3),
        ("tag t.t v2 --at nope", "snapshot_not_found", 3),
        ("tag t.t audit --drop", "validation", 2),
        ("tag t.t audit --replace", "validation", 2),
        ("tag t.t v2 --drop --at v1", "validation", 2),
        ("tag t.t v2 --keep 0", "validation", 2),
        ("branch t.t main --drop", "validation", 2),
        ("branch t.t v1 --drop", "validation", 2),
        ("branch t.t nope --drop", "snapshot_not_found", 3),
        ("branch t.t v1", "validation", 2),
        ("rollback t.t --to v1 --branch nope", "snapshot_not_found", 3),
        ("rollback t.t --to 2100-01-01 --branch nope", "snapshot_not_found", 3),
        ("rollback t.t --to v1 --branch v1", "validation", 2),
        ("rollback t.t --to 12345", "snapshot_not_found", 3),
        ("rollback t.t --to nope", "snapshot_not_found", 3),
        ("rollback t.t --to 2001-01-01", "rollback", 2),
        ("set-current t.t --to 12345", "snapshot_not_found", 3),
        ("set-current t.t --to v1 --branch nope", "snapshot_not_found", 3),
        ("fast-forward t.t main --to nope", "snapshot_not_found", 3),
        ("fast-forward t.t nope --to audit", "snapshot_not_found", 3),
        ("cherry-pick t.t 12345", "snapshot_not_found", 3),
        ("cherry-pick t.t x", "snapshot_not_found", 3),
        ("publish t.t nope", "snapshot_not_found", 3),
        ("refs t.none", "no_such_table", 3),
    ] {
        floe.line(&format!("{line} --json")).fails(kind, code);
    }
    assert_eq!(floe.files(), before);
}

#[test]
fn a_rollback_shows_the_rows_of_then() {
    let (floe, [first, second, third]) = three();
    let back = floe.line(&format!("rollback t.t --to {second} --json")).json();
    assert_eq!((&back["previous_snapshot_id"], &back["snapshot_id"]), (&json!(third), &json!(second)));
    assert_eq!((&back["changed"], &back["total_rows"]), (&true.into(), &2.into()));
    assert_eq!(ids(&floe, "main"), [1, 2]);
    // Not in the history any more.
    floe.line(&format!("rollback t.t --to {third} --json")).fails("rollback", 2);
    let text = floe.line(&format!("set-current t.t --to {third}")).ok().text();
    assert!(text.contains("3 rows"), "{text}");
    assert_eq!(ids(&floe, "main"), [1, 2, 3]);
    assert_eq!(floe.line(&format!("set-current t.t --to {third} --json")).json()["changed"], false);
    floe.line(&format!("tag t.t v1 --at {first}")).ok();
    floe.line("rollback t.t --to v1").ok();
    assert_eq!(ids(&floe, "main"), [1]);
    append(&floe, 9, "");
    assert_eq!(ids(&floe, "main"), [1, 9]);
}

#[test]
fn a_rollback_to_a_time_finds_the_snapshot_of_then() {
    let (floe, [.., third]) = three();
    let list = floe.line("snapshots t.t --json").json();
    let second = &list["snapshots"][1];
    let time = second["timestamp"].as_str().unwrap();
    // Snapshots of one branch have rising times; of one millisecond, the newest counts.
    let tie = list["snapshots"][0]["timestamp"] == second["timestamp"];
    let back = floe.run(&["rollback", "t.t", "--to", time, "--json"]).json();
    assert_eq!(back["snapshot_id"], if tie { json!(third) } else { second["snapshot_id"].clone() });
    floe.line("branch t.t audit").ok();
    append(&floe, 10, "--branch audit");
    let head = ids(&floe, "main");
    floe.run(&["rollback", "t.t", "--to", time, "--branch", "audit"]).ok();
    assert_eq!((ids(&floe, "audit"), ids(&floe, "main")), (head.clone(), head));
}

#[test]
fn a_fast_forward_brings_main_up_to_a_branch() {
    let (floe, _) = three();
    floe.line("branch t.t audit").ok();
    let audit = append(&floe, 10, "--branch audit");
    let moved = floe.line("fast-forward t.t main --to audit --json").json();
    assert_eq!((&moved["snapshot_id"], &moved["total_rows"]), (&json!(audit), &4.into()));
    assert_eq!(ids(&floe, "main"), [1, 2, 3, 10]);
    append(&floe, 11, "");
    floe.line("fast-forward t.t main --to audit --json").fails("validation", 2);
    assert_eq!(ids(&floe, "main"), [1, 2, 3, 10, 11]);
}

#[test]
fn a_cherry_pick_applies_one_change_once() {
    let (floe, _) = three();
    floe.line("branch t.t audit").ok();
    append(&floe, 10, "--branch audit");
    let picked = append(&floe, 11, "--branch audit");
    let done = floe.line(&format!("cherry-pick t.t {picked} --json")).json();
    assert_eq!((&done["rows"], &done["files"]), (&1.into(), &1.into()));
    assert_eq!(done["source_snapshot_id"], picked);
    assert_eq!(ids(&floe, "main"), [1, 2, 3, 11]);
    let again = floe.line(&format!("cherry-pick t.t {picked} --json")).json();
    assert_eq!(again["snapshot_id"], done["snapshot_id"], "the same call again finds what was done");
    assert_eq!(ids(&floe, "main"), [1, 2, 3, 11]);
}

#[test]
fn a_staged_append_shows_when_it_is_published_and_only_once() {
    let (floe, _) = three();
    let staged = append(&floe, 10, "--staged --snapshot-property wap.id=one");
    append(&floe, 11, "--staged --snapshot-property wap.id=two");
    assert_eq!(ids(&floe, "main"), [1, 2, 3]);
    assert_eq!(ids(&floe, &staged), [1, 2, 3, 10]);
    for (wap_id, then) in [("one", vec![1, 2, 3, 10]), ("two", vec![1, 2, 3, 10, 11])] {
        let done = floe.line(&format!("publish t.t {wap_id} --json")).json();
        assert_eq!((&done["wap_id"], &done["rows"]), (&wap_id.into(), &1.into()));
        assert_eq!(ids(&floe, "main"), then);
        let again = floe.line(&format!("publish t.t {wap_id} --json")).json();
        assert_eq!(again["snapshot_id"], done["snapshot_id"], "the same call again finds what was done");
        assert_eq!(ids(&floe, "main"), then);
    }
    let text = floe.line("append t.t row.csv --staged --snapshot-property wap.id=three").ok().text();
    assert!(text.starts_with("Staged 1 row for t.t"), "{text}");
    floe.line("branch t.t audit").ok();
    floe.line("publish t.t three --branch audit").ok();
    assert_eq!((ids(&floe, "audit").len(), ids(&floe, "main").len()), (6, 5));
}

#[test]
fn an_empty_table_has_nothing_to_name() {
    let floe = Floe::with_table();
    assert_eq!(refs(&floe).len(), 0);
    for line in ["tag t.t v1", "branch t.t audit", "set-current t.t --to main"] {
        floe.line(&format!("{line} --json")).fails("snapshot_not_found", 3);
    }
}
