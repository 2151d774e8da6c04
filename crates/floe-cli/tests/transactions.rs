//! `transaction`, `evolve`, `properties`, and the memory setting.
#![allow(clippy::unwrap_used)]

mod support;

use support::{Floe, SCHEMA};

/// `t.t` partitioned by name, with the ids 1 and 2 under `a`, and 3 under `b`.
fn filled() -> Floe {
    let floe = Floe::new();
    floe.file("schema.json", SCHEMA);
    floe.line("create t.t --schema schema.json --partition name").ok();
    floe.file("rows.csv", "id,name\n1,a\n2,a\n3,b\n");
    floe.line("append t.t rows.csv").ok();
    floe
}

fn ids(floe: &Floe) -> Vec<i64> {
    let scan = floe.line("scan t.t --columns id --json").json();
    let mut ids: Vec<i64> =
        scan["data"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn a_transaction_of_a_file_is_one_version_and_is_done_once() {
    let floe = filled();
    floe.file("new.csv", "id,name,note\n9,a,hello\n");
    floe.file(
        "plan.json",
        r#"{"idempotency_key": "load-1", "operations": [
            {"evolve_schema": {"changes": [{"add_column": {"column": "note", "type": "string"}}]}},
            {"write": {"files": ["new.csv"], "config": {"mode": "overwrite", "overwrite_filter": "name = 'a'"}}},
            {"delete": {"filter": "id = 77"}},
            {"set_properties": {"owner": "me"}},
            {"tag": {"name": "loaded"}}
        ]}"#,
    );
    let dry = floe.line("transaction t.t plan.json --dry-run --json").json();
    assert_eq!((&dry["dry_run"], &dry["attempts"]), (&true.into(), &0.into()));
    assert_eq!(ids(&floe), [1, 2, 3]);
    let done = floe.line("transaction t.t plan.json --json").json();
    assert_eq!((&done["attempts"], &done["replayed"]), (&1.into(), &false.into()), "{done}");
    assert_eq!(done["snapshot_ids"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&done["operations"][2]["unchanged"], &done["operations"][1]["operation"]),
        (&true.into(), &"overwrite".into())
    );
    assert_eq!(ids(&floe), [3, 9]);
    let properties = floe.line("properties t.t --json").json();
    assert_eq!(properties["properties"]["owner"], "me");
    let tagged = floe.line("scan t.t --at loaded --filter note='hello' --json").json();
    assert_eq!(tagged["data"].as_array().unwrap().len(), 1);
    assert_eq!(floe.line("transaction t.t plan.json --json").json()["replayed"], true);
    assert_eq!(ids(&floe), [3, 9]);
    floe.file("broken.json", r#"{"operations": [{"drop_everything": true}]}"#);
    floe.line("transaction t.t broken.json --json").fails("validation", 2);
}

#[test]
fn a_schema_evolves_and_what_would_break_data_is_refused() {
    let floe = filled();
    let done =
        floe.line("evolve t.t --rename id=key --add note:string --add price:decimal(9,2) --json").json();
    assert_eq!(done["changed"], true);
    let scan = floe.line("scan t.t --filter key=3 --json").json();
    assert_eq!((&scan["data"][0]["key"], scan["data"][0]["note"].is_null()), (&3.into(), true));
    floe.line("evolve t.t --delete note --json").fails("incompatible_schema_change", 2);
    floe.line("evolve t.t --delete note --allow-incompatible").ok();
    floe.line("evolve t.t --delete name --allow-incompatible --json").fails("incompatible_schema_change", 2);
    floe.line("evolve t.t --widen none:long --json").fails("schema_evolution", 2);
    floe.line("evolve t.t --add x:number --json").fails("validation", 2);
    let dry = floe.line("evolve t.t --add late:int --dry-run --json").json();
    assert_eq!((&dry["changed"], &dry["dry_run"]), (&false.into(), &true.into()));
}

#[test]
fn properties_are_set_and_removed_and_memory_has_a_least_size() {
    let floe = filled();
    let set = floe.line("properties t.t --set a=1 --set b=2 --json").json();
    assert_eq!((&set["properties"]["a"], &set["properties"]["b"]), (&"1".into(), &"2".into()));
    let removed = floe.line("properties t.t --remove a --json").json();
    assert!(removed["properties"]["a"].is_null() && removed["properties"]["b"] == "2");
    floe.line("properties t.t --set b=1 --remove b --json").fails("validation", 2);
    floe.file("more.csv", "id,name\n3,b\n4,b\n");
    floe.line("upsert t.t more.csv --on id --memory 64MB").ok();
    assert_eq!(ids(&floe), [1, 2, 3, 4]);
    floe.line("append t.t more.csv --memory 1MB --json").fails("validation", 2);
}

#[test]
fn a_staged_snapshot_is_published_together_with_other_operations() {
    let floe = filled();
    floe.file("more.csv", "id,name\n4,b\n");
    floe.line("append t.t more.csv --staged --snapshot-property wap.id=april").ok();
    floe.file(
        "plan.json",
        r#"{"operations": [
            {"publish": {"wap_id": "april"}},
            {"tag": {"name": "audited"}},
            {"delete": {"filter": "id = 1"}}
        ]}"#,
    );
    let done = floe.line("transaction t.t plan.json --json").json();
    assert_eq!(done["operations"][0]["operation"], "publish");
    assert_eq!(ids(&floe), [2, 3, 4]);
    assert_eq!(floe.line("scan t.t --at audited --json").json()["rows"], 4);
    let snapshots = floe.line("snapshots t.t --json").json();
    let published = snapshots["snapshots"][0]["snapshot_id"].as_str().unwrap();
    floe.file(
        "pick.json",
        format!(r#"{{"operations": [{{"cherry_pick": {{"snapshot_id": "{published}"}}}}]}}"#),
    );
    let again = floe.line("transaction t.t pick.json --json").json();
    assert_eq!(
        (&again["attempts"], &again["operations"][0]["unchanged"]),
        (&0.into(), &true.into()),
        "{again}"
    );
}
