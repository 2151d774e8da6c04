//! Text of others: no command sends a terminal what steers it, turns text around or cannot be seen.
#![allow(clippy::unwrap_used)]

mod support;

use floe::text::is_unseen;
use serde_json::{Value, json};
use support::{Floe, Run};

/// Numbers that look like random ones, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    /// A text with characters of every class that is not shown; `mark` tells it from others.
    fn hostile(&mut self, mark: &str) -> String {
        let ranges = [
            (0x01, 0x1f),
            (0x7f, 0x9f),
            (0x200b, 0x200b),
            (0x200e, 0x200f),
            (0x2028, 0x202e),
            (0x2060, 0x206f),
            (0xfeff, 0xfeff),
            (0xe0020, 0xe007f),
        ];
        let mut text = format!("{mark}\u{1b}]0;x\u{7}\n");
        for (from, to) in ranges {
            let c = char::from_u32(from + self.below((to - from + 1) as usize) as u32).unwrap();
            text.push(c);
            text.push(['a', 'é', '表', '\'', '.'][self.below(3)]);
        }
        text.push('z');
        text
    }
}

#[track_caller]
fn is_shown(run: &Run, what: &str) {
    for (stream, text) in
        [("output", String::from_utf8(run.stdout.clone()).unwrap()), ("error", run.stderr.clone())]
    {
        let bad = text.char_indices().find(|(_, c)| *c != '\n' && is_unseen(*c));
        if let Some((at, c)) = bad {
            let from = text[..at].rfind('\n').map_or(0, |at| at + 1);
            panic!("{what}: {c:?} on standard {stream}: {:?}", &text[from..(at + c.len_utf8())]);
        }
    }
}

/// A table whose metadata another program wrote, with texts of its own; and those texts.
fn hostile_table(floe: &Floe, numbers: &mut Numbers) -> Vec<String> {
    let value = numbers.hostile("value");
    let row = json!({"id": 1, "name": value});
    floe.with_input(&["append", "t.t", "-", "--input-format", "json"], row.to_string().as_bytes()).ok();
    let location = floe.line("describe t.t --json").json()["metadata_location"].as_str().unwrap().to_owned();
    let path = location.trim_start_matches("file://").to_owned();
    let mut metadata: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let [column, doc, key, text, tag, summary] =
        ["column", "doc", "key", "text", "tag", "summary"].map(|mark| numbers.hostile(mark));
    for schema in metadata["schemas"].as_array_mut().unwrap() {
        schema["fields"][1]["name"] = json!(column);
        schema["fields"][1]["doc"] = json!(doc);
    }
    metadata["properties"][&key] = json!(text);
    let head = metadata["current-snapshot-id"].clone();
    metadata["refs"][&tag] = json!({"snapshot-id": head, "type": "tag"});
    for snapshot in metadata["snapshots"].as_array_mut().unwrap() {
        snapshot["summary"][&summary] = json!(text);
    }
    std::fs::write(&path, metadata.to_string()).unwrap();
    vec![value, column, doc, key, text, tag]
}

#[test]
fn no_command_shows_what_a_terminal_would_obey() {
    let mut numbers = Numbers(7);
    for round in 0..4 {
        let floe = Floe::with_table();
        let texts = hostile_table(&floe, &mut numbers);
        let [value, column, .., tag] = texts.as_slice() else { panic!() };
        let odd = numbers.hostile("odd");
        let set = format!("{odd}=1");
        let add = format!("{odd}:long");
        let name = format!("t.\"{odd}\"");
        let file = format!("{}.csv", odd.replace(['/', '\n'], ""));
        floe.file(&file, format!("\"{column}\",\"{odd}\"\n1,2\n"));
        floe.file("schema.json", json!({"fields": [{"name": odd, "type": "long"}]}).to_string());
        let lines: &[&[&str]] = &[
            &["describe", "t.t"],
            &["scan", "t.t"],
            &["scan", "t.t", "--at", tag],
            &["scan", "t.t", "--at", &odd],
            &["scan", "t.t", "--columns", &odd],
            &["scan", "t.t", "--filter", &odd],
            &["scan", "t.t", "--filter", "nope = 1"],
            &["scan", "t.t", "--limit", &odd],
            &["scan", &name],
            &["snapshots", "t.t"],
            &["files", "t.t"],
            &["refs", "t.t"],
            &["list"],
            &["list", &odd],
            &["properties", "t.t"],
            &["properties", "t.t", "--set", &set],
            &["evolve", "t.t", "--add", &add],
            &["evolve", "t.t", "--delete", &odd],
            &["tag", "t.t", &odd],
            &["tag", "t.t", tag, "--drop"],
            &["branch", "t.t", &odd],
            &["rollback", "t.t", "--to", &odd],
            &["append", "t.t", &file],
            &["append", "t.t", &odd],
            &["upsert", "t.t", &file, "--on", &odd],
            &["merge", "t.t", &file, "--on", &odd, "--when", "MATCHED THEN DELETE"],
            &["delete", "t.t", "--filter", &odd, "--dry-run"],
            &["create", "t.new", "--schema", "schema.json"],
            &["create", "t.new", "--from", &file],
            &["create", &name, "--from", &file],
            &["namespace", "create", &odd],
            &["namespace", "describe", "t"],
            &["namespace", "list"],
            &["catalog", "check", &odd],
            &["catalog", "check"],
            &["catalog", "list"],
            &["completions", &odd],
            &["trust", &odd],
            &["trust", "--list"],
            &[&odd],
            &["--warehouse", &odd, "list"],
        ];
        for line in lines {
            for extra in [None, Some("--json"), Some("-vvv")] {
                // Rows are exact there.
                if line[0] == "scan" && extra == Some("--json") {
                    continue;
                }
                let mut words = line.to_vec();
                words.extend(extra);
                is_shown(&floe.run(&words), &format!("round {round}, {words:?}"));
            }
        }
        // It was there, and programs get it exactly.
        let shown = floe.run(&["scan", "t.t"]).ok().text();
        assert!(shown.contains("\\u001b]0;x\\u0007\\n"), "{shown}");
        let data = floe.line("scan t.t --json").json();
        assert_eq!(data["data"][0][column], json!(value));
        let lines = floe.line("scan t.t --format json").ok();
        let row: Value = serde_json::from_slice(&lines.stdout).unwrap();
        assert_eq!(row[column], json!(value));
        assert!(floe.line("scan t.t --format csv").ok().text().contains(value.as_str()));
        let described = floe.line("describe t.t --json").json();
        assert_eq!(described["schema"]["fields"][1]["name"], json!(column));
    }
}

#[test]
fn new_names_that_cannot_be_seen_are_refused_and_old_ones_work() {
    let mut numbers = Numbers(11);
    let floe = Floe::with_table();
    let texts = hostile_table(&floe, &mut numbers);
    for c in ['\n', '\u{1b}', '\u{9b}', '\u{202e}', '\u{2066}', '\u{feff}'] {
        let odd = format!("a{c}b");
        floe.file("schema.json", json!({"fields": [{"name": odd, "type": "long"}]}).to_string());
        floe.file(
            "inner.json",
            json!({"fields": [{"name": "s", "type": {"type": "struct",
            "fields": [{"name": odd, "type": "long"}]}}]})
            .to_string(),
        );
        floe.file("head.csv", format!("\"{odd}\",b\n1,2\n"));
        let (set, add, name) = (format!("{odd}=1"), format!("{odd}:long"), format!("t.\"{odd}\""));
        let lines: &[&[&str]] = &[
            &["create", "t.new", "--schema", "schema.json"],
            &["create", "t.new", "--schema", "inner.json"],
            &["create", "t.new", "--from", "head.csv"],
            &["create", "t.new", "--from", "head.csv", "--property", &set],
            &["create", &name, "--from", "head.csv"],
            &["properties", "t.t", "--set", &set],
            &["evolve", "t.t", "--add", &add],
            &["tag", "t.t", &odd],
            &["branch", "t.t", &odd],
            &["namespace", "create", &format!("\"{odd}\"")],
            &["namespace", "create", "other", "--property", &set],
        ];
        for line in lines {
            let mut words = line.to_vec();
            words.push("--json");
            floe.run(&words).fails("validation", 2);
        }
    }
    let (column, key) = (&texts[1], &texts[3]);
    floe.run(&["properties", "t.t", "--remove", key]).ok();
    floe.run(&["evolve", "t.t", "--rename", &format!("{column}=plain")]).ok();
    assert_eq!(floe.line("scan t.t --columns plain --json").json()["data"][0]["plain"], json!(texts[0]));
}
