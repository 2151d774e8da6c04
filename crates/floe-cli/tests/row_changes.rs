//! `overwrite`, `upsert`, `delete`, and `append` to branches, staged and repeated.
#![allow(clippy::unwrap_used)]

mod support;

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

/// The ids, sorted, as of `at`.
fn ids_at(floe: &Floe, at: &str) -> Vec<i64> {
    let scan = floe.run(&["scan", "t.t", "--columns", "id", "--at", at, "--json"]).json();
    let mut ids: Vec<i64> =
        scan["data"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    ids
}

fn ids(floe: &Floe) -> Vec<i64> {
    ids_at(floe, "main")
}

fn snapshots(floe: &Floe) -> usize {
    floe.line("snapshots t.t --json").json()["snapshots"].as_array().unwrap().len()
}

#[test]
fn an_overwrite_replaces_all_rows_in_one_snapshot() {
    let floe = filled();
    floe.file("new.csv", "id,name\n7,a\n8,c\n");
    let done = floe.line("overwrite t.t new.csv --all --snapshot-property job=nightly --json").json();
    assert_eq!((&done["rows"], &done["changes"]["rows_removed"]), (&2.into(), &6.into()));
    assert_eq!((&done["attempts"], &done["files"], &done["inputs"]), (&1.into(), &2.into(), &1.into()));
    assert_eq!((&done["dry_run"], &done["replayed"]), (&false.into(), &false.into()));
    assert!(done["bytes"].as_u64().unwrap() > 0 && done["snapshot_id"].is_string(), "{done}");
    assert_eq!(ids(&floe), [7, 8]);
    let list = floe.line("snapshots t.t --json").json();
    assert_eq!(list["snapshots"].as_array().unwrap().len(), 2);
    assert_eq!(list["snapshots"][0]["summary"]["job"], "nightly");
    assert_eq!(list["snapshots"][0]["operation"], "overwrite");
}

#[test]
fn an_overwrite_by_filter_replaces_the_rows_that_match() {
    let floe = filled();
    floe.file("new.csv", "id,name\n20,a\n");
    let line = ["overwrite", "t.t", "new.csv", "--filter", "id >= 2 and id <= 4", "--json"];
    let done = floe.run(&line).json();
    assert_eq!((&done["rows"], &done["changes"]["rows_removed"]), (&1.into(), &3.into()));
    assert_eq!(ids(&floe), [1, 5, 6, 20]);
}

#[test]
fn a_dynamic_overwrite_replaces_the_partitions_of_its_rows() {
    let floe = filled();
    floe.file("new.csv", "id,name\n40,b\n");
    let done = floe.line("overwrite t.t new.csv --dynamic --json").json();
    assert_eq!((&done["rows"], &done["changes"]["rows_removed"]), (&1.into(), &2.into()));
    assert_eq!(ids(&floe), [1, 2, 3, 6, 40]);
    assert_eq!(floe.with_input(&["overwrite", "t.t", "-", "--dynamic"], b"id,name\n41,b\n").code, 0);
    assert_eq!(ids(&floe), [1, 2, 3, 6, 41]);
}

#[test]
fn a_delete_takes_the_rows_that_match_in_either_mode() {
    for mode in ["copy-on-write", "merge-on-read"] {
        let floe = filled();
        let done = floe.run(&["delete", "t.t", "--filter", "id = 2", "--mode", mode, "--json"]).json();
        let changes = &done["changes"];
        assert_eq!((&done["rows"], &changes["rows_removed"]), (&0.into(), &1.into()), "{mode}");
        let marked = changes["delete_files_added"].as_u64().unwrap();
        let rewritten = changes["files_rewritten"].as_u64().unwrap();
        assert_eq!((marked, rewritten), if mode == "merge-on-read" { (1, 0) } else { (0, 1) });
        assert_eq!(ids(&floe), [1, 3, 4, 5, 6], "{mode}");
        // NULL is neither equal nor unequal: 6 stays.
        floe.run(&["delete", "t.t", "--filter", "name != 'a'", "--mode", mode]).ok();
        assert_eq!(ids(&floe), [1, 3, 6], "{mode}");
    }
}

#[test]
fn deleting_everything_has_to_be_said() {
    let floe = filled();
    floe.line("delete t.t --json").fails("validation", 2);
    assert_eq!(ids(&floe).len(), 6);
    let done = floe.line("delete t.t --filter true --json").json();
    assert_eq!((&done["changes"]["rows_removed"], &done["changes"]["files_read"]), (&6.into(), &0.into()));
    assert_eq!(floe.rows("t.t"), 0);
}

#[test]
fn nothing_that_matches_makes_no_snapshot() {
    let floe = filled();
    let before = floe.files();
    let done = floe.run(&["delete", "t.t", "--filter", "id > 1000", "--json"]).json();
    assert_eq!((&done["attempts"], &done["changes"]["rows_removed"]), (&0.into(), &0.into()));
    assert_eq!((floe.files(), snapshots(&floe)), (before, 1));
    let text = floe.run(&["delete", "t.t", "--filter", "id > 1000"]).ok().text();
    assert!(text.starts_with("Nothing to change"), "{text}");
}

#[test]
fn a_dry_run_counts_and_writes_nothing() {
    let floe = filled();
    floe.file("new.csv", "id,name\n7,a\n8,c\n");
    let before = floe.files();
    for (words, added, removed) in [
        (vec!["overwrite", "t.t", "new.csv", "--all"], 2, 6),
        (vec!["overwrite", "t.t", "new.csv", "--filter", "id < 3"], 2, 2),
        (vec!["overwrite", "t.t", "new.csv", "--dynamic"], 2, 3),
        (vec!["delete", "t.t", "--filter", "id in (1, 4)"], 0, 2),
        (vec!["delete", "t.t", "--filter", "id in (1, 4)", "--mode", "merge-on-read"], 0, 2),
    ] {
        let done = floe.run(&[words.clone(), vec!["--dry-run", "--json"]].concat()).json();
        let changes = &done["changes"];
        assert_eq!(
            (&changes["rows_added"], &changes["rows_removed"]),
            (&added.into(), &removed.into()),
            "{words:?}"
        );
        assert_eq!((&done["dry_run"], &done["attempts"]), (&true.into(), &0.into()), "{words:?}");
        let text = floe.run(&[words.clone(), vec!["--dry-run"]].concat()).ok().text();
        assert!(text.starts_with("Would ") && text.contains("nothing was written"), "{text}");
        assert_eq!(floe.files(), before, "{words:?}");
    }
    assert_eq!(ids(&floe), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn the_same_key_again_changes_nothing() {
    let floe = filled();
    floe.file("new.csv", "id,name\n7,a\n");
    for (line, then) in [
        ("append t.t new.csv --idempotency-key one --json", vec![1, 2, 3, 4, 5, 6, 7]),
        ("overwrite t.t new.csv --all --idempotency-key two --json", vec![7]),
        ("delete t.t --filter id=7 --idempotency-key three --json", vec![]),
    ] {
        let first = floe.line(line).json();
        assert_eq!(first["replayed"], false, "{line}");
        let before = floe.files();
        let again = floe.line(line).json();
        assert_eq!((&again["replayed"], &again["rows"]), (&true.into(), &0.into()), "{line}");
        assert_eq!(again["snapshot_id"], first["snapshot_id"], "{line}");
        assert_eq!((ids(&floe), floe.files()), (then, before), "{line}");
    }
    // The first is found behind the others too.
    let text = floe.line("append t.t new.csv --idempotency-key one").ok().text();
    assert!(text.starts_with("Done before"), "{text}");
    assert_eq!(floe.rows("t.t"), 0);
}

#[test]
fn a_staged_append_is_repeated_safely_before_and_after_it_is_published() {
    let floe = filled();
    floe.file("new.csv", "id,name\n7,a\n");
    let line = "append t.t new.csv --staged --snapshot-property wap.id=w --idempotency-key k --json";
    let first = floe.line(line).json();
    assert_eq!((&first["staged"], &first["replayed"]), (&true.into(), &false.into()));
    let before = floe.files().len();
    let again = floe.line(line).json();
    assert_eq!((&again["replayed"], &again["snapshot_id"]), (&true.into(), &first["snapshot_id"]));
    assert_eq!((floe.files().len(), ids(&floe).len()), (before, 6), "nothing stays behind");
    floe.line("publish t.t w").ok();
    assert_eq!(floe.line(line).json()["replayed"], true);
    assert_eq!(ids(&floe), [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn writes_to_a_branch_leave_main_alone() {
    let floe = filled();
    floe.file("new.csv", "id,name\n7,a\n");
    floe.line("branch t.t audit").ok();
    let done = floe.line("append t.t new.csv --branch audit --json").json();
    assert_eq!((&done["branch"], &done["rows"]), (&"audit".into(), &1.into()));
    floe.run(&["delete", "t.t", "--filter", "name = 'b'", "--branch", "audit"]).ok();
    assert_eq!(ids_at(&floe, "audit"), [1, 2, 3, 6, 7]);
    assert_eq!(ids(&floe), [1, 2, 3, 4, 5, 6]);
    floe.line("overwrite t.t new.csv --all --branch audit").ok();
    assert_eq!((ids_at(&floe, "audit").len(), ids(&floe).len()), (1, 6));
}

#[test]
fn what_is_unknown_or_malformed_is_refused_and_writes_nothing() {
    let floe = filled();
    floe.file("new.csv", "id,name\n7,a\n");
    floe.file("other.csv", "id,nope\n7,a\n");
    floe.line("tag t.t v1").ok();
    let before = floe.files();
    for filter in ["id = ", "(id = 1", "nope = 1", "id = 'hunter2'"] {
        for words in [vec!["delete", "t.t"], vec!["overwrite", "t.t", "new.csv"]] {
            let words = [words, vec!["--filter", filter, "--json"]].concat();
            let error = floe.run(&words).fails("validation", 2);
            assert!(!error.to_string().contains("hunter2"), "{error}");
            assert_eq!(error["table"], "t.t", "{error}");
        }
    }
    for command in ["append t.t new.csv", "overwrite t.t new.csv --all", "delete t.t --filter id=1"] {
        floe.line(&format!("{command} --branch nope --json")).fails("snapshot_not_found", 3);
        floe.line(&format!("{command} --branch v1 --json")).fails("validation", 2);
        // An empty key, as of a variable that is not set, would make the next delete look like this one.
        for option in ["--idempotency-key", "--branch"] {
            let words: Vec<_> = command.split(' ').chain([option, "", "--json"]).collect();
            floe.run(&words).fails("validation", 2);
        }
        floe.line(&format!("{command} --snapshot-property a=1 --snapshot-property a=2 --json"))
            .fails("validation", 2);
    }
    floe.line("overwrite t.t other.csv --all --json").fails("schema_mismatch", 2);
    floe.line("overwrite t.t nope.csv --all --json").fails("file_not_found", 3);
    floe.line("overwrite t.t new.csv --filter id=1 --dynamic --json").fails("validation", 2);
    floe.line("delete t.t --filter id=1 --mode both --json").fails("validation", 2);
    floe.line("delete t.t --filter id=1 --isolation none --json").fails("validation", 2);
    floe.line("delete t.none --filter id=1 --json").fails("no_such_table", 3);
    assert_eq!((floe.files(), snapshots(&floe)), (before, 1));
}

#[test]
fn each_isolation_level_is_taken() {
    for level in ["serializable", "snapshot"] {
        let floe = filled();
        floe.file("new.csv", "id,name\n7,a\n");
        floe.line(&format!("delete t.t --filter id=1 --isolation {level}")).ok();
        floe.line(&format!("overwrite t.t new.csv --filter id=2 --isolation {level}")).ok();
        assert_eq!(ids(&floe), [3, 4, 5, 6, 7], "{level}");
    }
}

#[test]
fn an_upsert_updates_and_adds_rows_in_one_snapshot_and_once_by_key() {
    let floe = filled();
    floe.file("changes.csv", "id,name\n3,z\n6,y\n9,c\n");
    let dry = floe.line("upsert t.t changes.csv --on id --dry-run --json").json();
    assert_eq!((&dry["rows_updated"], &dry["rows_inserted"]), (&2.into(), &1.into()));
    assert_eq!((snapshots(&floe), ids(&floe)), (1, vec![1, 2, 3, 4, 5, 6]));

    let line = "upsert t.t changes.csv --on id --mode merge-on-read --idempotency-key k --json";
    let done = floe.line(line).json();
    assert_eq!((&done["rows_updated"], &done["rows_inserted"]), (&2.into(), &1.into()));
    assert_eq!((snapshots(&floe), ids(&floe)), (2, vec![1, 2, 3, 4, 5, 6, 9]));
    let scan = floe.run(&["scan", "t.t", "--filter", "name in ('y', 'z')", "--json"]).json();
    assert_eq!(scan["rows"], 2);

    let again = floe.line(line).json();
    assert_eq!((&again["replayed"], &again["snapshot_id"]), (&true.into(), &done["snapshot_id"]));
    assert_eq!(snapshots(&floe), 2);

    floe.file("gone.csv", "id,name\n1,\n77,\n");
    let gone = floe.line("upsert t.t gone.csv --on id --matched delete --not-matched ignore --json").json();
    assert_eq!((&gone["rows_deleted"], &gone["rows_inserted"]), (&1.into(), &0.into()));
    assert_eq!(ids(&floe), [2, 3, 4, 5, 6, 9]);
}

#[test]
fn an_upsert_refuses_unknown_and_doubled_keys_and_writes_nothing() {
    let floe = filled();
    floe.file("twice.csv", "id,name\n3,x\n3,y\n");
    for line in ["upsert t.t twice.csv --on id --json", "upsert t.t rows.csv --on nme --json"] {
        let failed = floe.line(line);
        assert_eq!(failed.code, 2, "{line}");
    }
    assert_eq!(snapshots(&floe), 1);
}
