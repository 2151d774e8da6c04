//! `docs/requirements.md` and `docs/security.md` are true: the places and tests that they name exist, and every requirement's
//! number in the code is listed.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::workspace;

/// A line of the list: the places and tests that it names.
#[derive(Debug, Default)]
struct Requirement {
    places: Vec<String>,
    tests: Vec<String>,
}

/// The requirements of the document, by number.
fn listed(document: &str) -> BTreeMap<String, Requirement> {
    let rows = document.lines().filter(|line| line.starts_with("| FR-"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [number, _, places, tests] = cells[..] else { panic!("{row} has not four columns") };
        (number.to_owned(), Requirement { places: quoted(places), tests: quoted(tests) })
    })
    .collect()
}

/// What stands in backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The numbers in a text: `FR-` and three digits.
fn numbers(text: &str) -> BTreeSet<String> {
    let after = text.split("FR-").skip(1);
    let digits = after.filter_map(|rest| rest.get(..3)).filter(|d| d.bytes().all(|b| b.is_ascii_digit()));
    digits.map(|digits| format!("FR-{digits}")).collect()
}

/// The names of the functions in a text.
fn functions(text: &str) -> BTreeSet<&str> {
    let after = text.split("fn ").skip(1);
    after.filter_map(|rest| rest.split(['(', '<']).next()).collect()
}

/// All Rust files of the workspace.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The texts of all Rust files of the workspace.
fn texts(root: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for folder in ["crates", "plugins", "tests", "xtask", "benches"] {
        sources(&root.join(folder), &mut files);
    }
    files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

#[test]
fn every_attack_is_played_by_tests_that_exist() {
    let root = workspace::root();
    let document = std::fs::read_to_string(root.join("docs/security.md")).unwrap();
    let texts = texts(&root);
    let functions: BTreeSet<&str> = texts.iter().flat_map(|text| functions(text)).collect();
    let attackers = ["S", "T", "L", "N"];
    let mut played = BTreeMap::new();
    for row in document.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        if !cells[0].split(", ").all(|attacker| attackers.contains(&attacker)) {
            continue;
        }
        let [attacker, _, _, _, tests] = cells[..] else { panic!("{row} has not five columns") };
        let tests = quoted(tests);
        assert!(!tests.is_empty(), "nobody plays {row}");
        for test in &tests {
            assert!(functions.contains(test.as_str()), "no test is called {test}");
        }
        *played.entry(attacker.split(", ").next().unwrap().to_owned()).or_insert(0) += tests.len();
    }
    assert!(attackers.iter().all(|attacker| played.contains_key(*attacker)), "{played:?}");
}

#[test]
fn every_requirement_is_listed_with_places_and_tests_that_exist() {
    let root = workspace::root();
    let listed = listed(&std::fs::read_to_string(root.join("docs/requirements.md")).unwrap());
    let expected: BTreeSet<String> = (1..=47).map(|n| format!("FR-{n:03}")).collect();
    assert_eq!(listed.keys().cloned().collect::<BTreeSet<_>>(), expected);

    let texts = texts(&root);
    let cited: BTreeSet<String> = texts.iter().flat_map(|text| numbers(text)).collect();
    assert!(cited.is_subset(&expected), "{:?}", cited.difference(&expected));
    let functions: BTreeSet<&str> = texts.iter().flat_map(|text| functions(text)).collect();
    for (number, requirement) in &listed {
        for place in &requirement.places {
            assert!(root.join(place).is_file(), "{number}: {place} is not there");
        }
        for test in &requirement.tests {
            assert!(functions.contains(test.as_str()), "{number}: no test is called {test}");
        }
    }
}
