//! Every `undo:` line is run, and the state before and after is compared.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::{Floe, SCHEMA};

/// Rows, schema, properties and references of every table, and the properties of every namespace.
fn state(floe: &Floe) -> Value {
    let list = floe.line("list --json").json();
    let names = |key: &str| -> Vec<String> {
        list[key].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let namespaces: BTreeMap<String, Value> = names("namespaces")
        .into_iter()
        .map(|name| {
            let shown = floe.run(&["namespace", "describe", &name, "--json"]).json();
            (name, shown["properties"].clone())
        })
        .collect();
    let tables: BTreeMap<String, Value> =
        names("tables").into_iter().map(|name| (name.clone(), table(floe, &name))).collect();
    json!({ "namespaces": namespaces, "tables": tables })
}

fn table(floe: &Floe, name: &str) -> Value {
    let described = floe.run(&["describe", name, "--json"]).json();
    let refs = floe.run(&["refs", name, "--json"]).json();
    let mut rows = BTreeMap::new();
    for reference in refs["refs"].as_array().unwrap() {
        let at = reference["name"].as_str().unwrap();
        rows.insert(at.to_owned(), rows_at(floe, name, at));
    }
    json!({
        "fields": described["schema"]["fields"],
        "properties": described["properties"],
        "uuid": described["table_uuid"],
        "refs": refs["refs"],
        "rows": rows,
    })
}

fn rows_at(floe: &Floe, table: &str, at: &str) -> Vec<String> {
    let scan = floe.run(&["scan", table, &format!("--at={at}"), "--json"]).json();
    let mut rows: Vec<String> = scan["data"].as_array().unwrap().iter().map(ToString::to_string).collect();
    rows.sort();
    rows
}

/// Runs a line as a user pastes it into a shell.
#[track_caller]
fn paste(floe: &Floe, line: &str) {
    let folder = Path::new(env!("CARGO_BIN_EXE_floe")).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).current_dir(floe.path()).env("HOME", floe.path()).env("PATH", path);
    for variable in ["FLOE_WAREHOUSE", "FLOE_CATALOG", "FLOE_DEFAULT_CATALOG", "XDG_CONFIG_HOME"] {
        shell.env_remove(variable);
    }
    let output = shell.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// The undo line of a command with `--json`.
#[track_caller]
fn undo_of(floe: &Floe, words: &[&str]) -> String {
    let done = floe.run(&[&["--json"], words].concat()).json();
    done["undo"].as_str().unwrap_or_else(|| panic!("{words:?}: no undo in {done}")).to_owned()
}

/// The undo line that people see.
#[track_caller]
fn undo_shown(floe: &Floe, words: &[&str]) -> String {
    let done = floe.run(words).ok();
    let line = done.stderr.lines().last().unwrap_or_default();
    line.strip_prefix("undo: ").unwrap_or_else(|| panic!("{words:?}: {}", done.stderr)).to_owned()
}

/// Runs a command, and takes it back by the line that it prints; first with `--json`, then without.
#[track_caller]
fn taken_back(floe: &Floe, words: &[&str]) -> String {
    let before = state(floe);
    let line = undo_of(floe, words);
    assert_ne!(state(floe), before, "{words:?} changes nothing");
    paste(floe, &line);
    assert_eq!(state(floe), before, "{words:?}\n{line}");
    let shown = undo_shown(floe, words);
    paste(floe, &shown);
    assert_eq!(state(floe), before, "{words:?}\n{shown}");
    line
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// Asserts that a command has no undo, and says why.
#[track_caller]
fn not_taken_back(floe: &Floe, words: &[&str], why: &str) {
    let done = floe.run(&[&["--json"], words].concat()).json();
    assert!(done["undo"].is_null(), "{done}");
    let note = done["notes"][0].as_str().unwrap_or_default();
    assert!(note.starts_with("no command takes this back") && note.contains(why), "{done}");
}

/// Asserts that a command changes nothing, has no undo, and needs no reason.
#[track_caller]
fn nothing_to_take_back(floe: &Floe, line: &str) {
    let done = floe.run(&[vec!["--json"], words(line)].concat()).json();
    assert!(done["undo"].is_null() && done.get("notes").is_none(), "{line}: {done}");
    let shown = floe.line(line).ok().stderr;
    assert!(!shown.contains("undo:"), "{line}: {shown}");
}

/// `t.t`, partitioned by name, with six rows of two snapshots.
fn filled() -> Floe {
    let floe = Floe::new();
    floe.file("schema.json", SCHEMA);
    floe.line("create t.t --schema schema.json --partition name").ok();
    floe.file("rows.csv", "id,name\n1,a\n2,a\n3,b\n4,b\n5,c\n");
    floe.line("append t.t rows.csv").ok();
    floe.file("one.csv", "id,name\n6,\n");
    floe.line("append t.t one.csv").ok();
    floe.file("new.csv", "id,name\n2,x\n7,a\n8,c\n");
    floe
}

#[test]
fn every_change_of_rows_is_taken_back() {
    let floe = filled();
    floe.line("branch t.t audit").ok();
    for line in [
        "append t.t new.csv",
        "append t.t new.csv --strategy merge_commit",
        "append t.t new.csv --idempotency-key k",
        "overwrite t.t new.csv --all",
        "overwrite t.t new.csv --dynamic",
        "overwrite t.t new.csv --filter id<4",
        "overwrite t.t new.csv --filter id<2 --mode merge-on-read",
        "upsert t.t new.csv --on id",
        "upsert t.t new.csv --on id --mode merge-on-read",
        "upsert t.t new.csv --on id --matched delete --not-matched ignore",
        "delete t.t --filter id<4",
        "delete t.t --filter id<2 --mode merge-on-read",
        "delete t.t --filter true",
    ] {
        if line.contains("idempotency") {
            // Under its key it is done once.
            let before = state(&floe);
            paste(&floe, &undo_of(&floe, &words(line)));
            assert_eq!(state(&floe), before);
            continue;
        }
        taken_back(&floe, &words(line));
        let on_branch = format!("{line} --branch audit");
        let undo = taken_back(&floe, &words(&on_branch));
        assert!(undo.contains("--branch audit"), "{undo}");
    }
    let merge = ["merge", "t.t", "new.csv", "--on", "id", "--when", "MATCHED THEN UPDATE SET *"];
    taken_back(&floe, &[&merge[..], &["--when", "NOT MATCHED THEN INSERT *"]].concat());
}

#[test]
fn a_delete_says_that_older_snapshots_hold_the_rows() {
    let floe = filled();
    let done = floe.line("delete t.t --filter id<4 --json").json();
    assert!(done["notes"][0].as_str().unwrap().contains("older snapshots still hold"), "{done}");
    let shown = floe.line("delete t.t --filter id<6").ok().stderr;
    assert!(shown.contains("note: older snapshots still hold"), "{shown}");
    assert_eq!(floe.line("delete t.t --filter id<7 --quiet").ok().stderr, "");
}

#[test]
fn what_changes_nothing_has_nothing_to_take_back() {
    let floe = filled();
    floe.line("tag t.t v1").ok();
    floe.file("none.csv", "id,name\n");
    for line in [
        "append t.t none.csv",
        "delete t.t --filter id>99",
        "delete t.t --filter id<4 --dry-run",
        "overwrite t.t new.csv --all --dry-run",
        "rollback t.t --to main",
        "set-current t.t --to v1",
        "fast-forward t.t main --to v1",
        "tag t.t v1",
        "properties t.t",
        "properties t.t --remove nothing",
        "evolve t.t --add x:int --dry-run",
        "drop t.none --if-exists",
        "namespace drop none --if-exists",
        "namespace create t --if-not-exists",
        "namespace properties t",
        "create t.t --schema schema.json --if-not-exists",
    ] {
        nothing_to_take_back(&floe, line);
    }
    let key = "append t.t new.csv --idempotency-key k";
    undo_of(&floe, &words(key));
    nothing_to_take_back(&floe, key);
}

/// A branch cannot be set back to before its first snapshot; its rows are taken away again.
#[test]
fn the_first_rows_of_a_table_are_taken_back() {
    for properties in [vec![], vec!["--property", "format-version=3"]] {
        let floe = Floe::new();
        floe.file("schema.json", SCHEMA);
        let create = [&["create", "t.t", "--schema", "schema.json", "--json"][..], &properties].concat();
        floe.run(&create).json();
        floe.file("new.csv", "id,name\n2,x\n");
        let lines = ["append t.t new.csv", "overwrite t.t new.csv --all", "upsert t.t new.csv --on id"];
        // Row changes in version 3 are not there yet.
        for line in &lines[..if properties.is_empty() { 3 } else { 2 }] {
            let undo = undo_of(&floe, &words(line));
            assert_eq!(floe.rows("t.t"), 1);
            paste(&floe, &undo);
            assert_eq!(floe.rows("t.t"), 0, "{undo}");
        }
    }
}

#[test]
fn moves_of_branches_are_taken_back() {
    let floe = filled();
    floe.line("branch t.t audit --keep 30 --keep-snapshots 2").ok();
    floe.line("append t.t new.csv --branch audit").ok();
    floe.line("append t.t new.csv").ok();
    let snapshots = floe.line("snapshots t.t --json").json();
    let of = |name: &str| -> String {
        let list = snapshots["snapshots"].as_array().unwrap();
        let found = list.iter().find(|s| s["refs"].as_array().unwrap().contains(&json!(name))).unwrap();
        found["snapshot_id"].as_str().unwrap().to_owned()
    };
    let first = snapshots["snapshots"].as_array().unwrap().last().unwrap()["snapshot_id"].clone();
    let (first, audit) = (first.as_str().unwrap(), of("audit"));
    taken_back(&floe, &["rollback", "t.t", "--to", first]);
    taken_back(&floe, &["rollback", "t.t", "--to", first, "--branch", "audit"]);
    taken_back(&floe, &["set-current", "t.t", "--to", "audit"]);
    taken_back(&floe, &["set-current", "t.t", "--to", &of("main"), "--branch", "audit"]);
    taken_back(&floe, &["cherry-pick", "t.t", &audit]);
    // A tag of that name would be meant by its number alone.
    floe.run(&["tag", "t.t", &of("main"), "--at", first]).ok();
    let undo = taken_back(&floe, &["rollback", "t.t", "--to", &format!("id:{first}")]);
    assert!(undo.contains(&format!("--to id:{}", of("main"))), "{undo}");
    floe.line("branch t.t ahead").ok();
    floe.line("append t.t new.csv --branch ahead").ok();
    taken_back(&floe, &words("fast-forward t.t main --to ahead"));
    floe.line("append t.t one.csv --staged --snapshot-property wap.id=w").ok();
    taken_back(&floe, &words("publish t.t w"));
    floe.line("append t.t one.csv").ok();
    taken_back(&floe, &words("publish t.t w"));
    not_taken_back(&floe, &words("append t.t one.csv --staged"), "until it is published");
}

#[test]
fn tags_and_branches_are_taken_back() {
    let floe = filled();
    let snapshots = floe.line("snapshots t.t --json").json();
    let first = snapshots["snapshots"][1]["snapshot_id"].as_str().unwrap().to_owned();
    for name in ["v1", "it's $HOME", "-x", "2024-05-01", "größe", "*"] {
        let option = |words: &[&str]| -> Vec<String> {
            let mut all: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            all.extend(["--".into(), "t.t".into(), name.into()]);
            all
        };
        for kind in ["tag", "branch"] {
            let branch = kind == "branch";
            let run = |words: &[&str]| {
                let words = option(&[&[kind], words].concat());
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                taken_back(&floe, &words)
            };
            run(&[]);
            run(&["--at", &first]);
            let kept = ["--keep", "1500ms", "--keep-snapshots", "3", "--keep-snapshots-for", "2h"];
            let kept = if branch { &kept[..] } else { &kept[..2] };
            run(kept);
            let made = option(&[&[kind], kept].concat());
            floe.run(&made.iter().map(String::as_str).collect::<Vec<_>>()).ok();
            run(&["--at", &first, "--replace"]);
            run(&["--keep", "7", "--replace"]);
            run(&["--drop"]);
            let drop = option(&[kind, "--drop"]);
            floe.run(&drop.iter().map(String::as_str).collect::<Vec<_>>()).ok();
        }
    }
}

#[test]
fn properties_are_taken_back() {
    let floe = filled();
    floe.line("properties t.t --set a=1 --set b=two").ok();
    for words in [
        &["--set", "a=3"][..],
        &["--set", "new=x y"],
        &["--remove", "a"],
        &["--set", "a=it's \"so\" $HOME `x` \\", "--set", "c=", "--remove", "b"],
        &["--set", "a==x"],
        &["--set", "-k=-v"],
    ] {
        // A value that begins with a hyphen is joined to its option.
        let joined: Vec<String> = words.chunks(2).map(|pair| format!("{}={}", pair[0], pair[1])).collect();
        let line: Vec<&str> =
            ["properties", "t.t"].into_iter().chain(joined.iter().map(String::as_str)).collect();
        taken_back(&floe, &line);
    }
    floe.run(&["properties", "t.t", "--set", "lines=a\nb"]).ok();
    not_taken_back(&floe, &["properties", "t.t", "--set", "lines=c"], "cannot be seen");
}

#[test]
fn changes_of_the_schema_are_taken_back_where_they_can_be() {
    let floe = Floe::new();
    let schema = r#"{"fields": [
        {"name": "id", "type": "int", "required": true},
        {"name": "name", "type": "string", "doc": "who"},
        {"name": "at", "type": {"type": "struct", "fields": [
            {"name": "x", "type": "int"}, {"name": "y", "type": "int"}
        ]}}
    ]}"#;
    floe.file("schema.json", schema);
    floe.line("create t.t --schema schema.json").ok();
    floe.file("rows.ndjson", "{\"id\": 1, \"name\": \"a\", \"at\": {\"x\": 1, \"y\": 2}}\n");
    floe.line("append t.t rows.ndjson").ok();
    for words in [
        &["--rename", "name=title"][..],
        &["--add", "note:string"],
        &["--add", "at.z:long"],
        &["--rename", "at=place", "--rename", "place.x=lon", "--add", "place.z:double", "--add", "more:date"],
        &["--doc", "name=what", "--doc", "id=the key"],
        &["--doc", "name="],
        &["--rename", "at.x=t", "--rename", "at.y=x", "--add", "more:int"],
        &["--rename", "name=a b"],
        &["--rename", "at.x=a", "--rename", "at.y=x", "--rename", "at.a=y"],
        &["--rename", "id=a", "--rename", "name=id", "--rename", "at=name", "--rename", "a=at"],
    ] {
        taken_back(&floe, &[&["evolve", "t.t"], words].concat());
    }
    for (words, why) in [
        (&["--widen", "id:long"][..], "widened"),
        (&["--optional", "id"], "may hold NULL"),
        (&["--delete", "name", "--allow-incompatible"], "deleted"),
    ] {
        not_taken_back(&floe, &[&["evolve", "t.t"], words].concat(), why);
    }
}

#[test]
fn transactions_are_taken_back_whole() {
    let floe = filled();
    floe.line("properties t.t --set owner=ann").ok();
    floe.line("tag t.t old --keep 3").ok();
    floe.line("branch t.t audit").ok();
    let plans = [
        r#"[{"write": {"files": ["new.csv"]}}, {"delete": {"filter": "id = 1"}}]"#,
        r#"[{"set_properties": {"owner": "bob", "x": "1"}}, {"tag": {"name": "loaded"}}, {"drop_tag": "old"}]"#,
        r#"[{"evolve_schema": {"changes": [{"add_column": {"column": "note", "type": "string"}}]}},
            {"set_properties": {"owner": "bob"}},
            {"write": {"files": ["new.csv"], "config": {"branch": "audit"}}},
            {"write": {"files": ["new.csv"], "config": {"mode": "overwrite", "overwrite_all": true}}},
            {"branch": {"name": "made"}}]"#,
    ];
    for plan in plans {
        floe.file("plan.json", format!(r#"{{"operations": {plan}}}"#));
        taken_back(&floe, &words("transaction t.t plan.json"));
    }
    floe.file(
        "plan.json",
        r#"{"operations": [{"write": {"files": ["new.csv"], "config": {"mode": "overwrite"}}}]}"#,
    );
    floe.line("transaction t.t plan.json --json").fails("validation", 2);
}

#[test]
fn tables_and_namespaces_are_taken_back() {
    let floe = filled();
    floe.line("namespace create u --property owner=ann").ok();
    for words in [
        &["create", "t.other", "--schema", "schema.json"][..],
        &["create", "a.b.other", "--schema", "schema.json"],
        &["drop", "t.t"],
        &["rename", "t.t", "t.renamed"],
        &["rename", "t.t", "u.t"],
        &["namespace", "create", "v", "--property", "k=it's $x", "--property", "owner=bob"],
        &["namespace", "create", "t.below"],
        &["namespace", "properties", "u", "--set", "owner=bob", "--set", "new=1"],
        &["namespace", "properties", "u", "--remove", "owner"],
        &["namespace", "drop", "u"],
    ] {
        if words[0] == "create" {
            // A new table has another identity each time.
            let before = state(&floe);
            paste(&floe, &undo_of(&floe, words));
            assert_eq!(state(&floe), before, "{words:?}");
            continue;
        }
        taken_back(&floe, words);
    }
    let dropped = floe.line("drop t.t --json").json();
    let metadata = dropped["metadata_location"].as_str().unwrap();
    taken_back(&floe, &["register", "u.again", metadata]);
    let path = metadata.trim_start_matches("file://");
    taken_back(&floe, &["register", "t.t", path]);
}

/// The line names the warehouse as the command did.
#[test]
fn a_line_works_for_a_warehouse_that_an_option_names() {
    let floe = Floe::new();
    floe.file("schema.json", SCHEMA);
    floe.file("new.csv", "id\n1\n");
    let lake = ["--warehouse", "my lake"];
    floe.run(&[&lake[..], &["create", "t.t", "--schema", "schema.json"]].concat()).ok();
    floe.run(&[&lake[..], &["append", "t.t", "new.csv"]].concat()).ok();
    let done = floe.run(&[&lake[..], &["append", "t.t", "new.csv", "--json"]].concat()).json();
    paste(&floe, done["undo"].as_str().unwrap());
    let rows = floe.run(&[&lake[..], &["scan", "t.t", "--json"]].concat()).json();
    assert_eq!(rows["rows"], 1);
}
