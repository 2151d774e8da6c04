//! Configuration of others: what is read, what it may take, and `floe trust`.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;
use support::{Floe, Run};

const SECRET: &str = "hunter2-of-the-user";

/// A project below a home folder, whose configuration takes a variable and a file.
struct Project {
    floe: Floe,
}

impl Project {
    fn new() -> Self {
        let floe = Floe::new();
        floe.file("private", SECRET);
        let project = Self { floe };
        project.write(&format!(
            "[catalogs.plain]\ntype = 'local'\nwarehouse = 'w'\n\
             [catalogs.env]\ntype = 'local'\nwarehouse = 'w'\nuri = 'env:FLOE_TEST_SECRET'\n\
             [catalogs.file]\ntype = 'local'\nwarehouse = 'w'\nuri = 'file:{}'\n",
            project.floe.path().join("private").display()
        ));
        project
    }

    fn write(&self, toml: &str) -> std::path::PathBuf {
        self.floe.file("projects/p/floe.toml", toml)
    }

    fn run(&self, words: &[&str]) -> Run {
        let folder = self.floe.path().join("projects/p");
        let mut command = self.floe.command();
        let output =
            command.current_dir(folder).env("FLOE_TEST_SECRET", SECRET).args(words).output().unwrap();
        Run::of(output, words)
    }

    /// Whether the catalog's secrets are given out: the value is no URI of a catalog, which the error shows.
    fn takes(&self, words: &[&str]) -> bool {
        let run = self.run(words);
        let shown = format!("{}{}", run.text(), run.stderr);
        assert_ne!(run.code, 0, "{shown}");
        if run.code == 7 {
            assert!(shown.contains("floe trust") && shown.contains("floe.toml"), "{shown}");
            assert!(!shown.contains(SECRET));
        }
        run.code != 7
    }
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn secrets_are_taken_for_a_project_that_is_trusted_as_it_is_now() {
    let project = Project::new();
    project.run(&["--catalog", "plain", "init"]).ok();
    for name in ["env", "file"] {
        assert!(!project.takes(&["--catalog", name, "list"]), "{name}");
    }
    project.run(&["catalog", "list"]).ok();

    let told = project.run(&["trust", "--json"]).json();
    assert_eq!(told["changed"], true);
    assert_eq!(
        told["references"][0],
        json!({"catalog": "env", "property": "uri", "from": "env:FLOE_TEST_SECRET"})
    );
    let list = project.floe.path().join(".config/floe/trusted.json");
    assert_eq!(std::fs::metadata(&list).unwrap().permissions().mode() & 0o777, 0o600);
    for name in ["env", "file"] {
        assert!(project.takes(&["--catalog", name, "list"]), "{name}");
    }
    let listed = project.run(&["trust", "--list", "--json"]).json();
    assert_eq!(listed["files"][0]["state"], "trusted");

    // Other content, other file: no trust.
    let file = project.floe.path().join("projects/p/floe.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    project.write(&format!("{before}# more\n"));
    assert!(!project.takes(&["--catalog", "env", "list"]));
    assert_eq!(project.run(&["trust", "--list", "--json"]).json()["files"][0]["state"], "changed since");
    project.write(&before);
    assert!(project.takes(&["--catalog", "env", "list"]));

    let undo = project.run(&["trust", "--revoke", "."]).ok();
    assert!(undo.stderr.contains("undo: floe trust "), "{}", undo.stderr);
    assert!(!project.takes(&["--catalog", "env", "list"]));
    assert_eq!(project.run(&["trust", "--revoke", "--json"]).json()["changed"], false);
}

#[test]
fn a_file_that_is_named_is_trusted_and_so_is_the_users_own() {
    let project = Project::new();
    assert!(project.takes(&["--config", "floe.toml", "--catalog", "env", "list"]));
    let toml = std::fs::read(project.floe.path().join("projects/p/floe.toml")).unwrap();
    project.write("");
    project.floe.file(".config/floe/floe.toml", toml);
    assert!(project.takes(&["--catalog", "env", "list"]));
}

#[test]
fn a_project_does_not_send_the_users_own_secrets_elsewhere() {
    let project = Project::new();
    project.floe.file(
        ".config/floe/floe.toml",
        format!("[catalogs.mine]\ntype = 'local'\nwarehouse = '/w'\ncredential = '{SECRET}'\n[catalogs.bare]\ntype = 'local'\n"),
    );
    project.write("[catalogs.mine]\nuri = 'sqlite:////elsewhere'\n[catalogs.bare]\nwarehouse = 'w'\n");
    assert!(!project.takes(&["--catalog", "mine", "list"]));
    project.run(&["--catalog", "bare", "init"]).ok();
}

#[test]
fn what_others_may_write_is_not_read() {
    let project = Project::new();
    let file = project.floe.path().join("projects/p/floe.toml");
    let folder = file.parent().unwrap().to_owned();
    for (file_mode, folder_mode, read) in [
        (0o644, 0o755, true),
        (0o666, 0o755, false),
        (0o646, 0o755, false),
        (0o644, 0o777, false),
        (0o644, 0o1777, true),
    ] {
        mode(&file, file_mode);
        mode(&folder, folder_mode);
        let run = project.run(&["--catalog", "plain", "list"]);
        assert_eq!(run.code != 7, read, "{file_mode:o} {folder_mode:o}: {}", run.stderr);
        assert!(read || (run.code == 7 && run.stderr.contains("floe trust")), "{}", run.stderr);
    }
    mode(&file, 0o666);
    let named = project.run(&["--config", "floe.toml", "--catalog", "plain", "list"]);
    assert_eq!(named.code, 7, "{}", named.stderr);
    project.run(&["trust"]).ok();
    project.run(&["--catalog", "plain", "init"]).ok();
}

#[test]
fn a_list_that_others_may_write_trusts_nothing() {
    let project = Project::new();
    project.run(&["trust"]).ok();
    let list = project.floe.path().join(".config/floe/trusted.json");
    mode(&list, 0o666);
    assert!(!project.takes(&["--catalog", "env", "list"]));
    project.run(&["trust", "--list", "--json"]).fails("permission_denied", 7);
}

#[test]
fn nothing_above_the_home_is_read() {
    let project = Project::new();
    let home = project.floe.path().join("projects/p");
    project.floe.file("projects/floe.toml", "[catalogs.above]\ntype = 'local'\nwarehouse = 'w'\n");
    std::fs::remove_file(home.join("floe.toml")).unwrap();
    let below = project.floe.path().join("projects/p/q");
    std::fs::create_dir(&below).unwrap();
    let run = |home: &Path| {
        let words = ["catalog", "list"];
        Run::of(
            project.floe.command().current_dir(&below).env("HOME", home).args(words).output().unwrap(),
            &words,
        )
    };
    assert!(run(project.floe.path()).ok().text().contains("above"));
    let told = run(&home).ok();
    assert!(
        !told.text().contains("above") && told.stderr.contains("--config"),
        "{} {}",
        told.text(),
        told.stderr
    );
}

#[test]
fn pyicebergs_file_of_a_folder_is_no_better() {
    let project = Project::new();
    std::fs::remove_file(project.floe.path().join("projects/p/floe.toml")).unwrap();
    let yaml =
        "catalog:\n  default:\n    type: sql\n    warehouse: file:///w\n    uri: env:FLOE_TEST_SECRET\n";
    project.floe.file("projects/p/.pyiceberg.yaml", yaml);
    let run = project.run(&["list"]);
    assert_eq!(run.code, 7, "{}", run.stderr);
    assert!(run.stderr.contains("floe trust") && run.stderr.contains(".pyiceberg.yaml"), "{}", run.stderr);
    project.run(&["trust"]).ok();
    assert_ne!(project.run(&["list"]).code, 7);
    project.run(&["trust", "--revoke"]).ok();
    // In the home it is the user's own.
    std::fs::remove_file(project.floe.path().join("projects/p/.pyiceberg.yaml")).unwrap();
    project.floe.file(".pyiceberg.yaml", yaml);
    assert_ne!(project.run(&["list"]).code, 7);
}

#[test]
fn a_file_with_secrets_that_all_can_read_is_warned_of_once() {
    let project = Project::new();
    let text = format!(
        "[catalogs.c]\ntype = 'local'\nwarehouse = 'w'\ns3.secret-access-key = '{SECRET}'\ns3.session-token = 'x'\n"
    );
    let file = project.write(&text);
    for (permissions, notes) in [(0o644, 1), (0o600, 0), (0o640, 0)] {
        mode(&file, permissions);
        let run = project.run(&["catalog", "list"]).ok();
        assert_eq!(run.stderr.matches("chmod 600").count(), notes, "{permissions:o}: {}", run.stderr);
        assert!(!run.stderr.contains(SECRET));
    }
    project.write("[catalogs.c]\ntype = 'local'\nwarehouse = 'w'\ns3.secret-access-key = 'env:X'\n");
    mode(&file, 0o644);
    assert!(!project.run(&["catalog", "list"]).ok().stderr.contains("chmod"));
}
