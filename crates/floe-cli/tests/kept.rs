//! Every command keeps of a table's metadata what it does not have to change: whoever wrote it, known fields and unknown
//! ones.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use floe_testkit::kept::{WRITERS, Writer, not_allowed, parse};
use serde_json::{Value, json};
use support::Floe;

/// What a command does to the metadata of the table that it names.
enum Effect {
    /// Writes the next version, with such changes; see [`not_allowed`].
    Changes(&'static [&'static str]),
    /// Writes none.
    Nothing,
}
use Effect::{Changes, Nothing};

/// A command line and what it does. `T` is the table; `FIRST`, `STAGED` and `AUDIT` are snapshots; `~` stands for a
/// space in a word.
struct Case(&'static str, Effect);

const MAPPING: &str =
    r#"[{"field-id":1,"names":["id"]},{"field-id":2,"names":["part"]},{"field-id":3,"names":["v"]}]"#;
const NAMES: &str = "/properties/schema.name-mapping.default";

const CASES: &[Case] = &[
    Case("append T new.csv", Changes(&["main"])),
    Case("append T new.csv --strategy merge_commit", Changes(&["main"])),
    Case("append T new.csv --staged", Changes(&["snapshot"])),
    Case("append T new.csv --branch audit", Changes(&["snapshot", "/refs/audit/snapshot-id"])),
    Case("append T new.csv --idempotency-key k --snapshot-property a=b", Changes(&["main"])),
    Case("append T none.csv", Nothing),
    Case("overwrite T new.csv --all", Changes(&["main"])),
    Case("overwrite T new.csv --dynamic", Changes(&["main"])),
    Case("overwrite T new.csv --filter id=1", Changes(&["main"])),
    Case("overwrite T new.csv --filter id=1 --dry-run", Nothing),
    Case("upsert T new.csv --on id", Changes(&["main"])),
    Case("upsert T new.csv --on id --mode merge-on-read", Changes(&["main"])),
    Case(
        "merge T new.csv --on id --when MATCHED~THEN~DELETE --when NOT~MATCHED~THEN~INSERT~*",
        Changes(&["main"]),
    ),
    Case("delete T --filter id=1", Changes(&["main"])),
    Case("delete T --filter id=1 --mode merge-on-read", Changes(&["main"])),
    Case("delete T --filter id=77", Nothing),
    Case(
        "transaction T plan.json",
        Changes(&["main", "schema", "/last-column-id", NAMES, "/refs/done +", "/properties/owner +"]),
    ),
    Case("transaction T plan.json --dry-run", Nothing),
    Case("evolve T --add note:string", Changes(&["schema", "/last-column-id", NAMES])),
    Case(
        "evolve T --rename v=w",
        Changes(&[
            "schema",
            NAMES,
            "/properties/write.metadata.metrics.column.v -",
            "/properties/write.metadata.metrics.column.w +",
        ]),
    ),
    Case("evolve T --widen v:long", Changes(&["schema"])),
    Case("evolve T --optional id", Changes(&["schema"])),
    Case("evolve T --doc v=what~it~is", Changes(&["schema"])),
    Case(
        "evolve T --delete v --allow-incompatible",
        Changes(&["schema", "/properties/write.metadata.metrics.column.v -"]),
    ),
    Case("evolve T --add note:string --dry-run", Nothing),
    Case("properties T --set owner=me", Changes(&["/properties/owner +"])),
    Case(
        "properties T --remove write.metadata.metrics.column.v",
        Changes(&["/properties/write.metadata.metrics.column.v -"]),
    ),
    Case("properties T", Nothing),
    Case("tag T now", Changes(&["/refs/now +"])),
    Case(
        "tag T first --at main --replace",
        Changes(&["/refs/first/snapshot-id", "/refs/first/max-ref-age-ms -"]),
    ),
    Case("tag T first --drop", Changes(&["/refs/first -"])),
    Case("branch T dev --at FIRST --keep 3", Changes(&["/refs/dev +"])),
    Case(
        "branch T audit --at FIRST --keep-snapshots 2 --replace",
        Changes(&[
            "/refs/audit/snapshot-id",
            "/refs/audit/min-snapshots-to-keep",
            "/refs/audit/min-snapshots-to-keep +",
        ]),
    ),
    Case("branch T audit --drop", Changes(&["/refs/audit -"])),
    Case("rollback T --to FIRST", Changes(&["move"])),
    Case("rollback T --to FIRST --branch audit", Changes(&["/refs/audit/snapshot-id"])),
    Case("set-current T --to STAGED", Changes(&["move"])),
    Case("fast-forward T main --to audit", Changes(&["move"])),
    Case("cherry-pick T AUDIT", Changes(&["move"])),
    Case("cherry-pick T STAGED --branch audit", Changes(&["snapshot", "/refs/audit/snapshot-id"])),
    Case("publish T w", Changes(&["move"])),
    Case("publish T w --branch audit", Changes(&["snapshot", "/refs/audit/snapshot-id"])),
    Case("scan T", Nothing),
    Case("scan T --at audit --format json", Nothing),
    Case("describe T", Nothing),
    Case("snapshots T", Nothing),
    Case("files T", Nothing),
    Case("refs T", Nothing),
    Case("list k", Nothing),
    Case("create T --schema schema.json --if-not-exists", Nothing),
    Case("catalog check", Nothing),
    Case("catalog check --write", Nothing),
    Case("catalog list", Nothing),
    Case("namespace create other.NAME", Nothing),
    Case("namespace list", Nothing),
    Case("namespace describe k", Nothing),
    Case("namespace properties k --set a=b", Nothing),
    Case("namespace drop none --if-exists", Nothing),
    Case("init", Nothing),
    Case("plugins", Nothing),
    Case("completions bash", Nothing),
    // These lose the name, so they are last: each gets a table of its own anyway.
    Case("rename T k.renamed_NAME", Nothing),
    Case("drop T", Nothing),
    Case("register k.second_NAME PLANTED", Nothing),
];

/// Commands that have no entry, and why.
const NO_ENTRY: [(&str, &str); 1] = [("quickstart", "makes tables of its own, and names no other")];

/// The commands that `--help` lists, with those below them.
fn commands(floe: &Floe, above: &[&str]) -> BTreeSet<String> {
    let help = floe.run(&[above, &["--help"]].concat()).ok().text();
    let Some((_, list)) = help.split_once("Commands:\n") else { return BTreeSet::new() };
    let lines = list.lines().take_while(|line| !line.is_empty());
    // Explanations that are broken over lines are indented further.
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .filter(|name| name != "help")
        .collect()
}

#[test]
fn every_command_has_an_entry() {
    let floe = Floe::new();
    let mut all = BTreeSet::new();
    for name in commands(&floe, &[]) {
        let below = commands(&floe, &[&name]);
        all.extend(below.iter().map(|sub| format!("{name} {sub}")));
        if below.is_empty() {
            all.insert(name);
        }
    }
    assert!(all.contains("append") && all.contains("namespace create") && all.len() > 30, "{all:?}");
    let begins = |line: &str, command: &str| line == command || line.starts_with(&format!("{command} "));
    for command in &all {
        let entry = CASES.iter().any(|Case(line, _)| begins(line, command));
        let none = NO_ENTRY.iter().any(|(name, _)| name == command);
        assert!(entry != none, "`floe {command}` has no entry in CASES");
    }
    for Case(line, _) in CASES {
        assert!(all.iter().any(|command| begins(line, command)), "{line} is no command");
    }
}

/// A table with two snapshots in `main`, a tag, a branch that is one ahead, and a staged snapshot.
struct Table {
    floe: Floe,
    /// The newest metadata.
    metadata: Value,
    folder: PathBuf,
}

fn prepared() -> Floe {
    let floe = Floe::new();
    floe.file(
        "schema.json",
        r#"{"fields": [{"name": "id", "type": "long", "required": true}, {"name": "part", "type": "string"},
            {"name": "v", "type": "int"}]}"#,
    );
    floe.file("new.csv", "id,part,v\n1,a,9\n9,b,9\n");
    floe.file("none.csv", "id,part,v\n");
    let plan = r#"{"operations": [
        {"evolve_schema": {"changes": [{"add_column": {"column": "note", "type": "string"}}]}},
        {"write": {"files": ["new.csv"]}}, {"write": {"files": ["new.csv"]}},
        {"tag": {"name": "done"}}, {"set_properties": {"owner": "me"}}
    ]}"#;
    floe.file("plan.json", plan);
    floe.line("namespace create k").ok();
    floe
}

fn own(version: &str) -> Table {
    let floe = prepared();
    let (version, mapping) =
        (format!("format-version={version}"), format!("schema.name-mapping.default={MAPPING}"));
    let create = ["create", "k.t", "--schema", "schema.json", "--partition", "part", "--property", &version];
    let properties = ["--property", &mapping, "--property", "write.metadata.metrics.column.v=counts"];
    floe.run(&[&create[..], &properties].concat()).ok();
    for (id, options) in
        [(1, ""), (2, ""), (3, "--branch audit"), (4, "--staged --snapshot-property wap.id=w")]
    {
        floe.file("row.csv", format!("id,part,v\n{id},a,{id}\n{id}1,a,{id}\n"));
        floe.line(&format!("append k.t row.csv {options}")).ok();
        if id == 1 {
            floe.line("tag k.t first --keep 9").ok();
        }
        if id == 2 {
            floe.line("branch k.t audit --keep-snapshots 3").ok();
        }
    }
    table(floe)
}

/// The table `k.t` as PyIceberg writes it; `None` where PyIceberg is left out.
fn by_pyiceberg(version: &str) -> Option<Table> {
    // As `floe_tests::peers` has it: a test that did not run must not look like one that passed.
    if std::env::var("FLOE_SKIP_INTEROP").is_ok_and(|value| value == "1") {
        return None;
    }
    let python = std::env::var_os("FLOE_TEST_PYTHON")
        .expect("FLOE_TEST_PYTHON is not set: run `cargo xtask test`, or set FLOE_SKIP_INTEROP=1");
    let floe = prepared();
    let warehouse = floe.warehouse();
    let command = json!([{
        "do": "scenario", "name": "referenced", "table": "k.t", "version": version, "mapping": MAPPING,
        "uri": format!("sqlite:///{}/catalog.db", warehouse.display()),
        "warehouse": format!("file://{}", warehouse.display()),
    }]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/python/peers.py");
    let mut child = Command::new(python)
        .arg(script)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(command.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(answer[0]["ok"].is_object(), "{answer}");
    Some(table(floe))
}

fn table(floe: Floe) -> Table {
    let described = floe.line("describe k.t --json").json();
    let location =
        PathBuf::from(described["metadata_location"].as_str().unwrap().trim_start_matches("file://"));
    let metadata = parse(&text(&location)).unwrap();
    Table { floe, metadata, folder: location.parent().unwrap().to_owned() }
}

fn text(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return String::from_utf8(bytes).unwrap();
    }
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    text
}

fn id_of(metadata: &Value, is: impl Fn(&Value) -> bool) -> String {
    let snapshots = metadata["snapshots"].as_array().unwrap();
    snapshots.iter().find(|snapshot| is(snapshot)).unwrap()["snapshot-id"].to_string()
}

/// Of what stands in the first schema and nobody knows, what the newest one has lost. Columns may have been deleted.
fn lost_by_a_new_schema(metadata: &Value) -> BTreeSet<String> {
    let schemas = metadata["schemas"].as_array().unwrap();
    let columns = |schema: &Value| -> BTreeMap<i64, Value> {
        let fields = schema["fields"].as_array().unwrap().iter();
        fields.map(|field| (field["id"].as_i64().unwrap(), field["x-odd"].clone())).collect()
    };
    let first = columns(&schemas[0]);
    let newest = schemas.last().unwrap();
    let changed =
        columns(newest).into_iter().filter(|(id, odd)| first.get(id).is_some_and(|before| before != odd));
    let mut lost: BTreeSet<String> = changed.map(|(id, _)| format!("column {id}")).collect();
    if newest["x-odd"] != schemas[0]["x-odd"] {
        lost.insert("the schema".to_owned());
    }
    lost
}

impl Table {
    fn metadata_files(&self) -> BTreeSet<PathBuf> {
        let paths = std::fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path());
        paths.filter(|path| path.to_string_lossy().ends_with(".metadata.json")).collect()
    }

    /// Runs every command on documents in this writer's hand, each on a table of its own; `None` is the text as it is.
    fn run_all(&self, writer: Option<Writer>) {
        let mut metadata = self.metadata.clone();
        if let Some(writer) = writer {
            writer.dress(&mut metadata);
        }
        let (mut content, mut suffix) = (metadata.to_string().into_bytes(), "");
        if let Some(writer) = writer {
            content = writer.text(&metadata).into_bytes();
            if writer.compresses() {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&content).unwrap();
                (content, suffix) = (encoder.finish().unwrap(), ".gz");
            }
        }
        let version = metadata["format-version"].as_i64().unwrap();
        let words: [(&str, String); 3] = [
            ("FIRST", metadata["refs"]["first"]["snapshot-id"].to_string()),
            ("AUDIT", metadata["refs"]["audit"]["snapshot-id"].to_string()),
            ("STAGED", id_of(&metadata, |snapshot| snapshot["summary"]["wap.id"] == "w")),
        ];
        for (number, Case(line, effect)) in CASES.iter().enumerate() {
            let name =
                format!("{}_{number}", writer.map_or("real".to_owned(), |w| format!("{w:?}").to_lowercase()));
            let what = format!("version {version}, {writer:?}: floe {line}");
            let planted = self.folder.join(format!("9{number:04}-{name}{suffix}.metadata.json"));
            std::fs::write(&planted, &content).unwrap();
            let (ident, path) = (format!("k.{name}"), planted.to_str().unwrap());
            self.floe.run(&["register", &ident, path]).ok();
            let before = self.metadata_files();
            let mut command: Vec<String> = Vec::new();
            for word in line.split(' ') {
                let word = word.replace("NAME", &name);
                let known = words.iter().find(|(short, _)| *short == word).map(|(_, id)| id.clone());
                command.push(match word.as_str() {
                    "T" => ident.clone(),
                    "PLANTED" => path.to_owned(),
                    _ => known.unwrap_or(word).replace('~', " "),
                });
            }
            let command: Vec<&str> = command.iter().map(String::as_str).collect();
            let run = self.floe.run(&command);
            let new: Vec<PathBuf> = self.metadata_files().difference(&before).cloned().collect();
            assert!(
                std::fs::read(&planted).unwrap() == content,
                "{what}: the file that was there is as it was"
            );
            if run.code != 0 && refused(version, line) {
                assert!(new.is_empty(), "{what}");
                continue;
            }
            run.ok();
            assert!(!refused(version, line), "{what} is possible now: take it out of `refused`");
            match effect {
                Nothing => assert!(new.is_empty(), "{what}: {new:?}"),
                Changes(changes) => {
                    let [new] = &new[..] else { panic!("{what}: one new version, not {new:?}") };
                    let after = parse(&text(new)).unwrap();
                    let lost = not_allowed(&metadata, &after, changes);
                    assert!(lost.is_empty(), "{what}: {lost:?}");
                    assert!(after != metadata, "{what} changes something");
                    assert_eq!(lost_by_a_new_schema(&after), BTreeSet::new(), "{what}: the new schema");
                    // What was written can be read, with every reference.
                    let shown = self.floe.run(&["refs", &ident, "--json"]).json();
                    let read: BTreeSet<&str> = shown["refs"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|r| r["name"].as_str().unwrap())
                        .collect();
                    let written: BTreeSet<&str> =
                        after["refs"].as_object().unwrap().keys().map(String::as_str).collect();
                    assert_eq!(read, written, "{what}");
                }
            }
        }
    }
}

/// What the format version, or floe in it, does not have.
fn refused(version: i64, line: &str) -> bool {
    let rows_change = ["upsert", "merge ", "delete T --filter id=1", "overwrite T new.csv --filter"];
    match version {
        1 => line.ends_with("--mode merge-on-read"),
        2 => false,
        _ => rows_change.iter().any(|command| line.starts_with(command)),
    }
}

fn run_all(version: &str) {
    let table = own(version);
    table.run_all(None);
    for writer in WRITERS {
        table.run_all(Some(writer));
    }
}

#[test]
fn every_command_keeps_every_field_in_version_1() {
    run_all("1");
}

#[test]
fn every_command_keeps_every_field_in_version_2() {
    run_all("2");
}

#[test]
fn every_command_keeps_every_field_in_version_3() {
    run_all("3");
}

#[test]
fn every_command_keeps_every_field_that_pyiceberg_writes() {
    for version in ["1", "2"] {
        let Some(table) = by_pyiceberg(version) else { return };
        table.run_all(None);
        table.run_all(Some(Writer::Hand));
    }
}
