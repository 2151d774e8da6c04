//! Tables whose files somebody changed, through the binary: it ends, soon, in bounded memory, and says what is wrong.
//!
//! `FLOE_TEST_ROUNDS=2000` runs more than the usual cases.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use floe_testkit::fuzz::Corpus;
use support::Floe;

/// Runs in a usual test.
const USUAL: u64 = 60;
const MIB: u64 = 1 << 20;
/// The setting, and what a run may take besides.
const MEMORY: &str = "64MiB";
const MOST: u64 = (64 + 200) * MIB;
const PATIENCE: Duration = Duration::from_secs(10);

/// How a run ended, and what it took.
struct Ended {
    code: Option<i32>,
    took: Duration,
    peak: u64,
    stderr: String,
}

/// The peak of the memory that a process holds, where the system tells.
fn peak_of(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}

fn run(floe: &Floe, words: &[&str]) -> Ended {
    let errors = floe.path().join("stderr");
    let mut command = floe.command();
    command.args(words).args(["--memory", MEMORY, "--quiet"]).stdin(Stdio::null()).stdout(Stdio::null());
    let begun = Instant::now();
    let mut child = command.stderr(std::fs::File::create(&errors).unwrap()).spawn().unwrap();
    let mut peak = 0;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        peak = peak.max(peak_of(child.id()));
        if begun.elapsed() > PATIENCE * 2 {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let stderr = String::from_utf8_lossy(&std::fs::read(&errors).unwrap()).into_owned();
    Ended { code: status.code(), took: begun.elapsed(), peak, stderr }
}

/// Refuses what no run may do, whatever the files hold.
fn check(ended: &Ended, case: &str) {
    let Ended { code, took, peak, stderr } = ended;
    assert!(matches!(code, Some(0 | 2 | 3 | 8 | 9)), "{case}: exit code {code:?}: {stderr}");
    assert!(!stderr.contains("panicked"), "{case}: {stderr}");
    assert!(*took < PATIENCE, "{case}: {took:?}");
    assert!(*peak < MOST, "{case}: {} MiB", peak / MIB);
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        match entry.path() {
            path if path.is_dir() => files(&path, found),
            path => found.push(path),
        }
    }
}

/// The files of a table of two snapshots that a scan reads, by kind.
fn table() -> (Floe, Vec<(&'static str, Vec<PathBuf>)>) {
    let floe = Floe::with_table();
    floe.file("rows.csv", "id,name,at\n1,a,2020-01-01 00:00:00\n2,b,\n3,,2021-01-01 00:00:00\n");
    floe.line("append t.t rows.csv").ok();
    floe.line("append t.t rows.csv").ok();
    let mut all = Vec::new();
    files(&floe.warehouse(), &mut all);
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let newest = all.iter().filter(|p| name(p).ends_with(".metadata.json")).max_by_key(|p| name(p));
    let newest = newest.unwrap().clone();
    let of = |is: &dyn Fn(&str) -> bool| all.iter().filter(|p| is(&name(p))).cloned().collect::<Vec<_>>();
    let kinds = vec![
        ("metadata", vec![newest]),
        ("manifest-list", of(&|name| name.starts_with("snap-") && name.ends_with(".avro"))),
        ("manifest", of(&|name| !name.starts_with("snap-") && name.ends_with(".avro"))),
        ("parquet", of(&|name| name.ends_with(".parquet"))),
    ];
    assert!(kinds.iter().all(|(_, files)| !files.is_empty()), "{all:?}");
    (floe, kinds)
}

#[test]
fn changed_files_end_no_run_badly() {
    let rounds = std::env::var("FLOE_TEST_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(USUAL);
    let (floe, kinds) = table();
    let scan = ["scan", "t.t"];
    let sound = run(&floe, &scan);
    assert_eq!(sound.code, Some(0), "{}", sound.stderr);
    let mut codes = std::collections::BTreeMap::<i32, u64>::new();
    let (mut slowest, mut largest) = (Duration::ZERO, sound.peak);
    for (kind, paths) in &kinds {
        let read = |path: &PathBuf| (path.to_string_lossy().into_owned(), std::fs::read(path).unwrap());
        let corpus = Corpus::of(kind, paths.iter().map(read).collect());
        for seed in 0..rounds.div_ceil(kinds.len() as u64) {
            let (name, bytes) = corpus.case(seed);
            let before = std::fs::read(&name).unwrap();
            std::fs::write(&name, &bytes).unwrap();
            let ended = run(&floe, &scan);
            std::fs::write(&name, &before).unwrap();
            check(&ended, &format!("{kind}, seed {seed}"));
            *codes.entry(ended.code.unwrap()).or_default() += 1;
            (slowest, largest) = (slowest.max(ended.took), largest.max(ended.peak));
        }
    }
    println!("exit codes {codes:?}, slowest {slowest:?}, largest {} MiB", largest / MIB);
    assert!(rounds < 20 || codes.contains_key(&0) && codes.contains_key(&9), "{codes:?}");
}

/// Changes the newest metadata of the table.
fn edit(kinds: &[(&str, Vec<PathBuf>)], change: impl FnOnce(&mut serde_json::Value)) {
    let path = &kinds[0].1[0];
    let mut json = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    change(&mut json);
    std::fs::write(path, serde_json::to_vec(&json).unwrap()).unwrap();
}

#[test]
fn a_log_of_metadata_deletes_nothing_of_others() {
    let (floe, kinds) = table();
    let own = std::fs::canonicalize(kinds[0].1[0].parent().unwrap()).unwrap();
    floe.file("other/metadata/00001-a.metadata.json", "{}");
    floe.file("private.txt", "mine");
    std::fs::write(own.join("notes.txt"), "mine").unwrap();
    std::fs::write(own.join("00000-old.metadata.json"), "{}").unwrap();
    let at = |path: &Path| format!("file://{}", path.display());
    let (own_text, root) = (at(&own), at(&std::fs::canonicalize(floe.path()).unwrap()));
    let victims = [
        format!("{root}/private.txt"),
        format!("{root}/other/metadata/00001-a.metadata.json"),
        format!("{own_text}/notes.txt"),
        format!("{own_text}/../../../../other/metadata/00001-a.metadata.json"),
    ];
    edit(&kinds, |json| {
        let time = json["last-updated-ms"].as_i64().unwrap();
        let location = json["location"].as_str().unwrap().to_owned();
        let old = format!("{location}/metadata/00000-old.metadata.json");
        let log = victims.iter().chain([&old]);
        json["metadata-log"] =
            log.map(|file| serde_json::json!({"timestamp-ms": time - 1, "metadata-file": file})).collect();
        json["properties"]["write.metadata.delete-after-commit.enabled"] = "true".into();
        json["properties"]["write.metadata.previous-versions-max"] = "1".into();
    });
    floe.line("append t.t rows.csv").ok();
    for kept in ["private.txt", "other/metadata/00001-a.metadata.json"] {
        assert!(floe.path().join(kept).exists(), "{kept}");
    }
    assert!(own.join("notes.txt").exists());
    // What is an earlier version of the table goes, as its properties ask.
    assert!(!own.join("00000-old.metadata.json").exists());
}

#[test]
fn snapshots_that_come_from_each_other_end_no_run_never() {
    let (floe, kinds) = table();
    edit(&kinds, |json| {
        let current = json["current-snapshot-id"].clone();
        for snapshot in json["snapshots"].as_array_mut().unwrap() {
            if snapshot["parent-snapshot-id"].is_null() {
                snapshot["parent-snapshot-id"] = current.clone();
            }
        }
    });
    for words in [
        &["append", "t.t", "rows.csv", "--idempotency-key", "k"][..],
        &["scan", "t.t"],
        &["snapshots", "t.t"],
    ] {
        let ended = run(&floe, words);
        check(&ended, &words.join(" "));
        assert_eq!(ended.code == Some(9), words.len() > 2, "{words:?}: {}", ended.stderr);
        assert!(ended.code == Some(0) || ended.stderr.contains("circle"), "{}", ended.stderr);
    }
}

/// A number as Avro has it.
fn long(file: &mut Vec<u8>, number: usize) {
    let mut rest = number << 1;
    while rest > 0x7f {
        file.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    file.push(rest as u8);
}

#[test]
fn files_that_unfold_to_gigabytes_are_refused_by_the_limit() {
    let (floe, kinds) = table();
    let zeros = |size: u64| std::io::Read::take(std::io::repeat(b' '), size);
    // A manifest list of one block of 2 GiB.
    let list = &kinds[1].1;
    let before: Vec<_> = list.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let mut packed = Vec::new();
    let mut encoder = zstd::stream::write::Encoder::new(&mut packed, 1).unwrap();
    std::io::copy(&mut zeros(2 << 30), &mut encoder).unwrap();
    encoder.finish().unwrap();
    let mut bomb = b"Obj\x01\x04".to_vec();
    let schema = br#"{"type": "record", "name": "r", "fields": []}"#;
    for text in [&b"avro.schema"[..], schema, b"avro.codec", b"zstandard"] {
        long(&mut bomb, text.len());
        bomb.extend(text);
    }
    bomb.push(0);
    bomb.extend([7; 16]);
    long(&mut bomb, 1);
    long(&mut bomb, packed.len());
    bomb.extend(&packed);
    bomb.extend([7; 16]);
    for path in list {
        std::fs::write(path, &bomb).unwrap();
    }
    let ended = run(&floe, &["scan", "t.t"]);
    check(&ended, "a manifest list");
    assert!(ended.code == Some(9) && ended.stderr.contains("`limits.metadata-"), "{}", ended.stderr);
    for (path, bytes) in list.iter().zip(before) {
        std::fs::write(path, bytes).unwrap();
    }
    // Metadata of 1 GiB.
    let mut packed = Vec::new();
    let mut encoder = flate2::write::GzEncoder::new(&mut packed, flate2::Compression::fast());
    std::io::copy(&mut zeros(1 << 30), &mut encoder).unwrap();
    encoder.finish().unwrap();
    std::fs::write(&kinds[0].1[0], packed).unwrap();
    let ended = run(&floe, &["scan", "t.t"]);
    check(&ended, "metadata");
    assert!(ended.code == Some(9) && ended.stderr.contains("`limits.metadata-"), "{}", ended.stderr);
}

#[test]
fn limits_are_set_by_the_configuration_and_by_variables() {
    let (floe, _) = table();
    let small = |command: &mut std::process::Command| command.output().unwrap();
    let refused = small(floe.command().args(["scan", "t.t"]).env("FLOE_LIMITS__METADATA_BYTES", "100"));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(9) && said.contains("limits.metadata-bytes"), "{said}");
    floe.file("floe.toml", "[limits]\nmetadata-bytes = 100\n");
    let refused = floe.line("scan t.t");
    assert!(refused.code == 9 && refused.stderr.contains("limits.metadata-bytes"), "{}", refused.stderr);
    let allowed = small(floe.command().args(["scan", "t.t"]).env("FLOE_LIMITS__METADATA_BYTES", "1000000"));
    assert_eq!(allowed.status.code(), Some(0));
    floe.file("floe.toml", "[limits]\nmetadata-bites = 100\n");
    let refused = floe.line("scan t.t");
    assert!(refused.code == 2 && refused.stderr.contains("limits.metadata-bites"), "{}", refused.stderr);
}
