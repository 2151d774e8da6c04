//! Workflows: what they run of others is pinned, and what they may do is said.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
struct Workflow {
    #[serde(default)]
    on: Value,
    permissions: Option<Value>,
    #[serde(default)]
    jobs: BTreeMap<String, Job>,
}

#[derive(Debug, Deserialize)]
struct Job {
    permissions: Option<Value>,
    uses: Option<String>,
    #[serde(default)]
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
struct Step {
    uses: Option<String>,
    run: Option<String>,
    #[serde(default)]
    with: BTreeMap<String, Value>,
}

/// Events that run with the rights of the repository on what strangers send.
const EVENTS: &[&str] = &["pull_request_target", "workflow_run", "issue_comment"];
/// What strangers choose: put into a script by the workflow, it is a part of the script.
const OF_STRANGERS: &[&str] = &["github.event.", "github.head_ref", "github.ref_name", "github.actor"];

/// What is wrong with a workflow, given as YAML.
pub(super) fn faults(text: &str) -> Vec<String> {
    let workflow: Workflow = match serde_saphyr::from_str(text) {
        Ok(workflow) => workflow,
        Err(e) => return vec![format!("it is not understood: {e}")],
    };
    let mut faults = Vec::new();
    let events = workflow.on.to_string();
    faults.extend(
        EVENTS
            .iter()
            .filter(|event| events.contains(&format!("\"{event}\"")))
            .map(|event| format!("it runs on {event}, with the repository's rights on what strangers send")),
    );
    match &workflow.permissions {
        None => faults.push("it does not say its `permissions`".to_owned()),
        Some(permissions) if grants(permissions).is_none_or(|granted| !granted.is_empty()) => {
            faults.push(
                "its `permissions` let every job write: give that to the one job that needs it".to_owned(),
            );
        }
        Some(_) => {}
    }
    if workflow.jobs.is_empty() {
        faults.push("it has no jobs".to_owned());
    }
    for (name, job) in &workflow.jobs {
        if job.permissions.as_ref().is_some_and(|permissions| grants(permissions).is_none()) {
            faults.push(format!("{name}: `permissions` must name each of them"));
        }
        faults
            .extend(job.uses.iter().filter_map(|uses| unpinned(uses, text)).map(|f| format!("{name}: {f}")));
        for step in &job.steps {
            faults.extend(step_faults(step, text).into_iter().map(|fault| format!("{name}: {fault}")));
        }
    }
    faults
}

/// What permissions let write; `None` where they are not listed one by one.
fn grants(permissions: &Value) -> Option<Vec<&String>> {
    let all = permissions.as_object()?;
    Some(
        all.iter()
            .filter(|(_, level)| !matches!(level.as_str(), Some("read" | "none")))
            .map(|(name, _)| name)
            .collect(),
    )
}

fn step_faults(step: &Step, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some(uses) = &step.uses {
        faults.extend(unpinned(uses, text));
        let keeps = step.with.get("persist-credentials");
        let forgets =
            keeps.is_some_and(|value| *value == Value::Bool(false) || value.as_str() == Some("false"));
        if uses.starts_with("actions/checkout@") && !forgets {
            faults.push("`actions/checkout` without `persist-credentials: false`".to_owned());
        }
    }
    let script = step.run.as_deref().unwrap_or_default();
    // What stands between `${{` and `}}` is put in before the shell reads the script.
    for expression in script.split("${{").skip(1) {
        let expression = expression.split("}}").next().unwrap_or_default();
        faults.extend(
            OF_STRANGERS
                .iter()
                .filter(|part| expression.contains(**part))
                .map(|part| format!("a script has `{part}` put into it: hand it over in `env`")),
        );
    }
    faults
}

/// Why an action is not pinned: by the hash of a commit, with the version behind it for people.
fn unpinned(uses: &str, text: &str) -> Option<String> {
    if uses.starts_with("./") {
        return None;
    }
    if let Some(image) = uses.strip_prefix("docker://") {
        let pinned = image.contains("@sha256:");
        return (!pinned).then(|| format!("the image {image} is not pinned by its digest"));
    }
    let hash = uses.rsplit_once('@').map_or("", |(_, hash)| hash);
    if hash.len() != 40 || !hash.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')) {
        return Some(format!("`{uses}` is not pinned by the hash of a commit"));
    }
    let said = text.lines().filter(|line| line.contains(uses)).all(|line| line.contains("# v"));
    (!said).then(|| format!("`{uses}` does not say its version: write `# v1.2.3` behind it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "11d5960a326750d5838078e36cf38b85af677262";

    fn workflow(permissions: &str, steps: &str) -> String {
        format!(
            "on:\n  push:\n    branches: [main]\n{permissions}\njobs:\n  test:\n    runs-on: ubuntu-latest\n    \
             steps:\n{steps}"
        )
    }

    fn checkout(reference: &str, more: &str) -> String {
        format!("      - uses: actions/checkout@{reference}\n{more}")
    }

    const READ: &str = "permissions:\n  contents: read";
    const FORGETS: &str = "        with:\n          persist-credentials: false\n";

    #[test]
    fn a_workflow_that_says_all_of_it_is_right() {
        let steps =
            checkout(&format!("{HASH} # v4.4.0"), FORGETS) + "      - uses: ./local\n      - run: make\n";
        assert_eq!(faults(&workflow(READ, &steps)), Vec::<String>::new());
        assert_eq!(faults(&workflow("permissions: {}", &steps)), Vec::<String>::new());
    }

    #[test]
    fn each_thing_that_is_left_out_is_a_fault() {
        let pinned = format!("{HASH} # v4.4.0");
        let good = checkout(&pinned, FORGETS);
        for (text, said) in [
            (workflow(READ, &checkout("v4", FORGETS)), "not pinned by the hash"),
            (workflow(READ, &checkout("main", FORGETS)), "not pinned by the hash"),
            (workflow(READ, &checkout(&HASH[..12], FORGETS)), "not pinned by the hash"),
            (workflow(READ, &checkout(HASH, FORGETS)), "does not say its version"),
            (workflow(READ, &checkout(&pinned, "")), "persist-credentials"),
            (
                workflow(READ, &checkout(&pinned, "        with:\n          persist-credentials: true\n")),
                "persist-credentials",
            ),
            (workflow(READ, "      - uses: docker://alpine:3\n"), "digest"),
            (workflow("", &good), "does not say its `permissions`"),
            (workflow("permissions: write-all", &good), "let every job write"),
            (workflow("permissions:\n  contents: write", &good), "let every job write"),
            (
                workflow(READ, &good).replace("  push:\n    branches: [main]", "  pull_request_target:"),
                "strangers",
            ),
            (
                workflow(READ, &good).replace("    runs-on", "    permissions: write-all\n    runs-on"),
                "name each",
            ),
            (workflow(READ, "      - run: echo ${{ github.event.pull_request.title }}\n"), "`env`"),
            ("jobs: [".to_owned(), "not understood"),
            (READ.to_owned(), "no jobs"),
        ] {
            let found = faults(&text);
            assert!(found.iter().any(|fault| fault.contains(said)), "{said}: {found:?}\n{text}");
        }
    }
}
