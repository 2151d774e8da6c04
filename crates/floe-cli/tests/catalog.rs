//! `catalog list` and `catalog check`, and where catalogs come from.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use support::Floe;

const TOML: &str = r#"
default-catalog = "lake"

[catalogs.lake]
type = "local"
warehouse = "lake"

[catalogs.other]
type = "local"
warehouse = "file:///elsewhere"
uri = "sqlite:////elsewhere/catalog.db?key=hunter2"
busy-timeout-ms = 500
"#;

fn steps(report: &Value) -> Vec<(String, String)> {
    let text = |step: &Value, key: &str| step[key].as_str().unwrap().to_owned();
    let all = report["steps"].as_array().unwrap();
    all.iter().map(|step| (text(step, "step"), text(step, "status"))).collect()
}

fn named(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn the_list_shows_where_catalogs_come_from_and_no_secrets() {
    let floe = Floe::new();
    floe.file("floe.toml", TOML);
    let run = floe.line("catalog list").ok();
    let text = run.text();
    for part in ["lake (default)", "other", "floe.toml", "busy-timeout-ms", "sqlite:////elsewhere/catalog.db"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
    let json = floe.line("catalog list --json").ok().json();
    assert_eq!(json["catalogs"][0]["name"], "lake");
    assert_eq!(json["catalogs"][0]["default"], true);
    assert!(!json.to_string().contains("hunter2"));
}

#[test]
fn without_configuration_the_list_says_how_to_begin() {
    let text = Floe::new().line("catalog list").ok().text();
    assert!(text.contains("floe.toml") && text.contains("[catalogs.lake]"), "{text}");
}

#[test]
fn a_check_of_a_good_catalog_changes_nothing() {
    let floe = Floe::with_table();
    let before = floe.files();
    let report = floe.line("catalog check --json").ok().json();
    assert_eq!(report["ok"], true);
    let expected = [
        ("configuration", "ok"),
        ("connect", "ok"),
        ("list", "ok"),
        ("read", "ok"),
        ("storage", "ok"),
        ("write", "not_tried"),
    ];
    assert_eq!(steps(&report), named(&expected));
    assert_eq!(floe.files(), before, "nothing stays behind");
}

#[test]
fn a_check_with_write_leaves_nothing_behind() {
    let floe = Floe::with_table();
    let before = floe.files();
    let text = floe.line("catalog check --write").ok().text();
    assert!(text.contains("✓ write"), "{text}");
    let tables = |files: Vec<(std::path::PathBuf, u64)>| -> Vec<_> {
        files.into_iter().filter(|(path, _)| !path.to_string_lossy().contains("catalog.db-turns")).collect()
    };
    assert_eq!(tables(floe.files()), tables(before));
    assert_eq!(floe.line("list --json").ok().json()["namespaces"], serde_json::json!(["t"]));
}

#[test]
fn a_check_names_the_first_fault_and_has_its_exit_code() {
    let floe = Floe::new();
    floe.file(
        "floe.toml",
        "[catalogs.typo]\ntype='lokal'\nwarehouse='w'\n[catalogs.bare]\nwarehouse='w'\n\
         [catalogs.secret]\ntype='local'\nwarehouse='w'\nuri='env:FLOE_TEST_NOT_THERE'\n\
         [catalogs.blocked]\ntype='local'\nwarehouse='blocked/below'",
    );
    floe.file("blocked", "a file where a folder should be");
    floe.run(&["catalog", "check", "secret", "--json"]).fails("permission_denied", 7);
    floe.line("trust").ok();
    for (name, code, step, word) in [
        ("typo", 3, "configuration", "lokal"),
        ("bare", 2, "configuration", "has no type"),
        ("secret", 2, "configuration", "FLOE_TEST_NOT_THERE"),
        ("missing", 2, "", "missing"),
    ] {
        let run = floe.run(&["catalog", "check", name, "--json"]);
        assert_eq!(run.code, code, "{name}: {}", run.stderr);
        assert!(run.stderr.contains(word), "{name}: {}", run.stderr);
        if !step.is_empty() {
            let report: Value = serde_json::from_slice(&run.stdout).unwrap();
            assert_eq!(steps(&report), named(&[(step, "failed")]), "{name}");
            assert_eq!(report["ok"], false);
        }
    }
    let run = floe.run(&["catalog", "check", "blocked"]);
    assert_ne!(run.code, 0);
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(text.contains("✗ storage"), "{text}");
}

#[test]
fn pyicebergs_configuration_is_used_where_there_is_no_other() {
    let floe = Floe::with_table();
    let lake = floe.path().join("warehouse");
    floe.file(
        ".pyiceberg.yaml",
        format!(
            "catalog:\n  default:\n    type: sql\n    uri: sqlite:///{0}/catalog.db\n    warehouse: file://{0}\n    py-io-impl: x.Y\n",
            lake.display()
        ),
    );
    let below = floe.path().join("below");
    std::fs::create_dir(&below).unwrap();
    let output = floe.command().current_dir(&below).args(["list", "--json"]).output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["tables"], serde_json::json!(["t.t"]), "{}", String::from_utf8_lossy(&output.stderr));
    let json = floe.line("catalog list --json").ok().json();
    assert!(json["catalogs"][0]["from"][0].as_str().unwrap().ends_with(".pyiceberg.yaml"), "{json}");
    assert_eq!(json["catalogs"][0]["ignored_properties"], serde_json::json!(["py-io-impl"]));

    floe.file("floe.toml", TOML);
    let json = floe.line("catalog list --json").ok().json();
    assert_eq!(json["catalogs"].as_array().unwrap().len(), 2, "floe.toml is there: PyIceberg's is not read");
}
