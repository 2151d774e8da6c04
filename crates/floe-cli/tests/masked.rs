//! FR-044: no data value in what the command says or logs, whatever goes wrong.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};

use serde_json::json;
use support::{Floe, Run};

/// What no message may hold: in partitions, first rows, cells, literals and keys.
const MARK: &str = "zqSECRETqz";

/// A table whose partitions, and so the keys of its files, are data.
fn table() -> Floe {
    let floe = Floe::new();
    let fields = json!([
        {"name": "id", "type": "long", "required": true},
        {"name": "name", "type": "string"},
        {"name": "at", "type": "timestamp"}
    ]);
    floe.file("schema.json", json!({"fields": fields}).to_string());
    floe.line("create t.t --schema schema.json --partition name").ok();
    let rows = format!("id,name\n1,{MARK}\n2,{MARK} b/c=d\n3,{MARK}.parquet\n");
    floe.with_input(&["append", "t.t", "-", "--input-format", "csv"], rows.as_bytes()).ok();
    floe
}

fn data_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => data_files(&path, found),
            false if path.extension().is_some_and(|e| e == "parquet") => found.push(path),
            false => {}
        }
    }
}

/// Runs words plainly, with JSON, and with every event of every library; none may show the mark. The last one's exit code.
#[track_caller]
fn silent(floe: &Floe, words: &[&str], input: &[u8]) -> Run {
    let mut last = None;
    for (extra, log) in [(None, ""), (Some("--json"), ""), (None, "trace")] {
        let mut words = words.to_vec();
        words.extend(extra);
        let mut command = floe.command();
        command.args(&words).env("FLOE_LOG", log);
        let mut child = support::piped(&mut command);
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input);
        let run = Run::of(child.wait_with_output().unwrap(), &words);
        let shown = format!("{}{}", run.text(), run.stderr);
        if let Some(line) = shown.lines().find(|line| line.contains("SECRET")) {
            panic!("{words:?} {log}: {line}");
        }
        last = Some(run);
    }
    last.unwrap()
}

#[test]
fn no_fault_of_input_or_arguments_shows_a_value() {
    let floe = table();
    let quoted = format!("'{MARK}'");
    let inputs = [
        format!("{MARK},1,2024-01-01\n7,x,\n"),
        format!("id,{MARK}x\n\"1\n"),
        format!("{MARK},{MARK}\n1,2\n"),
        format!("id,name\n{MARK},x\n"),
        format!("id,name\n1,x,{MARK}\n"),
        format!("id,at\n1,{MARK}\n"),
        format!("name\n{MARK}\n"),
        format!("id,name\n1,\"{MARK}\n"),
    ];
    for input in &inputs {
        let own = input.contains(&format!("id,{MARK}x"));
        for command in [&["append", "t.t", "-"][..], &["upsert", "t.t", "-", "--on", "id"]] {
            let mut words = command.to_vec();
            words.extend(["--input-format", "csv"]);
            // One column has a name of the table: then the others are names as well, and are said.
            if !own {
                assert_ne!(silent(&floe, &words, input.as_bytes()).code, 0, "{words:?} {input}");
            }
        }
    }
    for input in [
        json!({"id": MARK}).to_string(),
        json!({"id": 1, "at": MARK}).to_string(),
        json!({"id": 1, "name": [MARK]}).to_string(),
        format!("{{\"id\": 1, \"name\": \"{MARK}"),
    ] {
        let words = ["append", "t.t", "-", "--input-format", "json"];
        assert_ne!(silent(&floe, &words, input.as_bytes()).code, 0, "{input}");
    }
    // Two rows of one key.
    let twice = format!("id,name\n1,{MARK}\n2,{MARK}\n");
    assert_ne!(
        silent(&floe, &["upsert", "t.t", "-", "--on", "name", "--input-format", "csv"], twice.as_bytes())
            .code,
        0
    );
    for filter in [
        format!("id = {quoted}"),
        format!("name = '{MARK}"),
        format!("name = {quoted} and"),
        format!("id in (1, {quoted})"),
        format!("at > {quoted}"),
        format!("at > timestamp {quoted}"),
        format!("name like '%{MARK}%x'"),
        format!("name between {quoted}"),
        format!("nope = {quoted}"),
        format!("name = {quoted} {quoted}"),
        format!("id + {quoted} = 1"),
    ] {
        for words in [
            &["scan", "t.t", "--filter"][..],
            &["delete", "t.t", "--filter"],
            &["overwrite", "t.t", "-", "--filter"],
        ] {
            let mut words = words.to_vec();
            words.push(&filter);
            assert_ne!(silent(&floe, &words, b"id\n1\n").code, 0, "{words:?}");
        }
    }
    for matched in [
        format!("id = {quoted}"),
        format!("nope = {quoted}"),
        format!("name = '{MARK}"),
        format!("name = upper({quoted}"),
    ] {
        let statement = format!(
            "MERGE INTO t.t AS target USING source ON target.id = source.id WHEN MATCHED THEN UPDATE SET {matched}"
        );
        let words = ["merge", "t.t", "-", "--sql", &statement, "--input-format", "csv"];
        assert_ne!(silent(&floe, &words, format!("id,name\n1,{MARK}\n").as_bytes()).code, 0, "{words:?}");
    }
}

#[test]
fn no_damaged_or_missing_file_shows_the_values_of_its_partition() {
    for damage in 0..4 {
        let floe = table();
        let mut files = Vec::new();
        data_files(&floe.warehouse(), &mut files);
        assert!(files.iter().any(|path| path.to_string_lossy().contains(MARK)), "{files:?}");
        for path in &files {
            let bytes = std::fs::read(path).unwrap();
            match damage {
                0 => std::fs::remove_file(path).unwrap(),
                1 => std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap(),
                2 => std::fs::write(path, bytes.iter().map(|b| b ^ 0x55).collect::<Vec<_>>()).unwrap(),
                _ => {
                    std::fs::remove_file(path).unwrap();
                    std::fs::create_dir(path).unwrap();
                }
            }
        }
        for words in [
            &["scan", "t.t", "--columns", "id"][..],
            &["delete", "t.t", "--filter", "id = 1"],
            &["upsert", "t.t", "-", "--on", "id", "--input-format", "csv"],
            &["merge", "t.t", "-", "--on", "id", "--when", "MATCHED THEN DELETE", "--input-format", "csv"],
        ] {
            let run = silent(&floe, words, b"id\n1\n");
            if words[0] == "scan" {
                assert_ne!(run.code, 0, "{words:?}");
                let name = files[0].file_name().unwrap().to_string_lossy().into_owned();
                let named =
                    files.iter().any(|f| run.stderr.contains(&*f.file_name().unwrap().to_string_lossy()));
                assert!(named, "the file is found by its name {name}: {}", run.stderr);
            }
        }
    }
}
