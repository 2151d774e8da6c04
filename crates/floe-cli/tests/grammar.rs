//! The grammar of the command line: it is a promise.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Read;
use std::process::Stdio;

use support::{Floe, SCHEMA};

#[test]
fn global_options_stand_before_or_after_the_command() {
    let floe = Floe::new();
    floe.file("schema.json", SCHEMA);
    floe.line("--warehouse lake --json create t.t --schema schema.json").json();
    let list = floe.line("list --json --warehouse lake").json();
    assert_eq!(list["tables"][0], "t.t");
    assert!(floe.path().join("lake/catalog.db").is_file());
    assert!(!floe.warehouse().exists());
}

#[test]
fn environment_and_configuration_choose_the_catalog() {
    let floe = Floe::new();
    floe.file("schema.json", SCHEMA);
    let create = |vars: &[(&str, &str)], table: &str| {
        let mut command = floe.command();
        command.args(["create", table, "--schema", "schema.json"]).envs(vars.iter().copied());
        assert!(command.output().unwrap().status.success());
    };
    create(&[("FLOE_WAREHOUSE", "by_env")], "t.env");
    assert!(floe.path().join("by_env/t/env").is_dir());
    let config = "default-catalog = 'one'\n[catalogs.one]\ntype = 'local'\nwarehouse = 'first'\n\
        [catalogs.two]\ntype = 'local'\nwarehouse = 'second'\n";
    floe.file("floe.toml", config);
    create(&[], "t.default");
    assert!(floe.path().join("first/t/default").is_dir());
    create(&[("FLOE_CATALOG", "two")], "t.two");
    assert!(floe.path().join("second/t/two").is_dir());
    let list = floe.line("--catalog two list --json").json();
    assert_eq!(list["tables"].as_array().unwrap().len(), 1);
    floe.line("--catalog three list --json").fails("validation", 2);
    floe.line("--catalog two --warehouse w list --json").fails("validation", 2);
}

#[test]
fn init_sets_up_a_warehouse_and_may_be_run_again() {
    let floe = Floe::new();
    let first = floe.line("init --json").json();
    assert_eq!((&first["created"], &first["catalog"]), (&true.into(), &"default".into()));
    assert!(floe.warehouse().join("catalog.db").is_file());
    assert_eq!(floe.line("init --json").json()["created"], false);
    let list = floe.line("list --json").json();
    assert_eq!(list["namespaces"].as_array().unwrap().len(), 0, "init leaves no namespace behind");
}

#[test]
fn every_partition_transform_makes_a_table() {
    let floe = Floe::new();
    floe.file("schema.json", SCHEMA);
    let terms = [
        ("id", "identity", "id"),
        ("identity(name)", "identity", "name"),
        ("year(at)", "year", "at_year"),
        ("month(at)", "month", "at_month"),
        ("day(at)", "day", "at_day"),
        ("hour(at)", "hour", "at_hour"),
        ("bucket(16, id)", "bucket[16]", "id_bucket"),
        ("bucket[16](id)", "bucket[16]", "id_bucket"),
        ("truncate(8, name)", "truncate[8]", "name_trunc"),
    ];
    for (i, (term, transform, name)) in terms.iter().enumerate() {
        let table = format!("t.t{i}");
        let made =
            floe.run(&["create", &table, "--schema", "schema.json", "--partition", term, "--json"]).json();
        assert_eq!(made["partition"][0]["transform"], *transform, "{term}");
        assert_eq!(made["partition"][0]["name"], *name, "{term}");
    }
}

#[test]
fn create_takes_properties_and_leaves_what_is_there() {
    let floe = Floe::new();
    floe.file("schema.json", SCHEMA);
    let line = "create a.b.t --schema schema.json --property k=v --property x=y=z --if-not-exists --json";
    assert_eq!(floe.line(line).json()["created"], true);
    assert_eq!(floe.line(line).json()["created"], false);
    let described = floe.line("describe a.b.t --json").json();
    assert_eq!(described["properties"]["k"], "v");
    assert_eq!(described["properties"]["x"], "y=z");
    assert_eq!(
        (&described["rows"], &described["files"], &described["bytes"]),
        (&0.into(), &0.into(), &0.into())
    );
    assert!(described["snapshot_id"].is_null());
    assert_eq!(described["schema"]["fields"][0]["required"], true);
}

#[test]
fn drop_forgets_a_table_and_keeps_its_files() {
    let floe = Floe::with_table();
    let before = floe.files();
    assert_eq!(floe.line("drop t.t --json").json()["dropped"], true);
    assert_eq!(floe.files(), before);
    floe.line("drop t.t --json").fails("no_such_table", 3);
    assert_eq!(floe.line("drop t.t --if-exists --json").json()["dropped"], false);
}

#[test]
fn plugins_tell_their_configuration() {
    let floe = Floe::new();
    let plugins = floe.line("plugins --json").json();
    let local: Vec<_> =
        plugins["plugins"].as_array().unwrap().iter().filter(|p| p["name"] == "local").collect();
    assert_eq!(local.len(), 2, "a catalog and a storage: {plugins}");
    for plugin in local {
        assert!(plugin["config_schema"]["properties"].is_object(), "{plugin}");
        assert!(plugin["version"].is_string() && plugin["summary"].is_string());
    }
    let text = floe.line("plugins").ok().text();
    assert!(text.contains("catalog") && text.contains("storage") && text.contains("file"), "{text}");
}

#[test]
fn completions_exist_for_every_shell() {
    let floe = Floe::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = floe.run(&["completions", shell]).ok().text();
        assert!(script.contains("floe") && script.contains("quickstart"), "{shell}");
    }
}

#[test]
fn help_shows_examples_and_exit_codes() {
    let floe = Floe::new();
    let help = floe.line("--help").ok().text();
    for part in ["FLOE_WAREHOUSE", "FLOE_CATALOG", "Exit codes", "5 conflict", "floe quickstart"] {
        assert!(help.contains(part), "{part}:\n{help}");
    }
    for command in [
        "init",
        "create",
        "append",
        "overwrite",
        "upsert",
        "delete",
        "refs",
        "tag",
        "branch",
        "rollback",
        "set-current",
        "fast-forward",
        "cherry-pick",
        "publish",
        "scan",
        "describe",
        "snapshots",
        "files",
        "list",
        "drop",
        "plugins",
        "quickstart",
        "completions",
    ] {
        let help = floe.run(&[command, "--help"]).ok().text();
        assert!(help.contains(&format!("floe {command}")) || command == "init", "{command}:\n{help}");
        assert!(help.contains("--warehouse"), "{command} shows the global options");
    }
}

#[test]
fn usage_errors_are_one_json_object_with_json() {
    let floe = Floe::new();
    for line in [
        "--json",
        "--json frobnicate",
        "scan --json",
        "scan t --json",
        "scan t.t --json --format xml",
        "append t.t --json",
        "create t.t --json",
        "create t.t --from a --schema b --json",
        "create t.t --from a --partition week(x) --json",
        "create t.t --from a --property novalue --json",
        "completions tcsh --json",
    ] {
        floe.line(line).fails("validation", 2);
    }
    let plain = floe.line("scan");
    assert_eq!(plain.code, 2);
    assert!(plain.stderr.contains("error"), "{}", plain.stderr);
    assert!(!floe.warehouse().exists());
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let floe = Floe::with_table();
    let rows = (0..200_000).map(|i| format!("{i},name {i}\n")).collect::<Vec<_>>().concat();
    floe.file("rows.csv", format!("id,name\n{rows}"));
    floe.line("append t.t rows.csv").ok();
    for words in [
        vec!["scan", "t.t"],
        vec!["scan", "t.t", "--format", "csv"],
        vec!["scan", "t.t", "--format", "json"],
        vec!["scan", "t.t", "--format", "arrow"],
        vec!["scan", "t.t", "--json"],
        vec!["completions", "bash"],
    ] {
        let mut child =
            floe.command().args(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut start = [0_u8; 16];
        child.stdout.take().unwrap().read_exact(&mut start).unwrap();
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let status = child.wait().unwrap();
        assert!(status.success() && stderr.is_empty(), "{words:?}: {status} {stderr}");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_command_and_commits_nothing() {
    use std::io::Write;

    let floe = Floe::with_table();
    let before = floe.files();
    let words = ["append", "t.t", "-", "--input-format", "csv", "--json"];
    let mut child = support::piped(floe.command().args(words));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"id\n").unwrap();
    // More than a pipe holds: when this is written, the command is there and reading.
    stdin.write_all("1\n".repeat(1 << 20).as_bytes()).unwrap();
    let output = support::signal(child, "-INT");
    assert_eq!(output.status.code(), Some(130));
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["kind"], "interrupted");
    assert_eq!(floe.files(), before);
    drop(stdin);
}
