//! What comes from elsewhere: crates, actions of the workflows, Python packages. Checked without the network and
//! without other tools; cargo-deny checks licences and advisories besides, where it is installed.

mod locks;
mod workflows;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Fails with everything that is not as `deny.toml` and the rules for workflows have it.
pub(crate) fn check() -> Result<()> {
    let root = workspace::root();
    let read =
        |path: &Path| fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    let mut faults = Vec::new();
    let mut add = |path: &Path, found: Vec<String>| {
        let name = path.strip_prefix(&root).unwrap_or(path).display().to_string();
        faults.extend(found.into_iter().map(|fault| format!("{name}: {fault}")));
    };

    let deny = root.join("deny.toml");
    let policy = locks::Policy::read(&read(&deny)?)?;
    add(&deny, policy.faults());
    let (mut crates, mut files) = (0, 0);
    for path in files_below(&root, &|name| name == "Cargo.lock")? {
        let lock = locks::packages(&read(&path)?).with_context(|| path.display().to_string())?;
        crates += lock.len();
        add(&path, policy.refused(&lock));
    }
    for path in files_below(&root, &|name| name.starts_with("requirements") && name.ends_with(".txt"))? {
        add(&path, locks::unpinned(&read(&path)?));
    }
    for path in files_below(&root.join(".github"), &|name| name.ends_with(".yml") || name.ends_with(".yaml"))?
    {
        files += 1;
        add(&path, workflows::faults(&read(&path)?));
    }
    if crates == 0 || files == 0 {
        bail!("{crates} crates and {files} workflows were found: the check looks in the wrong place");
    }
    if !faults.is_empty() {
        bail!("not allowed (see CONTRIBUTING.md, deny.toml):\n  {}", faults.join("\n  "));
    }
    eprintln!("{crates} crates in lock files, {files} workflows: all as they must be");
    Ok(())
}

/// The files below `folder` whose names are wanted, sorted; what is built and what is hidden is left out.
fn files_below(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let (mut open, mut found) = (vec![folder.to_path_buf()], Vec::new());
    while let Some(folder) = open.pop() {
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type()?;
            if kind.is_dir() && !name.starts_with('.') && !["target", "node_modules"].contains(&name.as_str())
            {
                open.push(entry.path());
            } else if kind.is_file() && wanted(&name) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_is_as_it_must_be() {
        check().unwrap();
    }

    #[test]
    fn files_are_found_at_any_depth_but_not_among_what_is_built() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["Cargo.lock", "a/b/Cargo.lock", "target/Cargo.lock", ".git/Cargo.lock", "a/other"] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = files_below(folder.path(), &|name| name == "Cargo.lock").unwrap();
        let names: Vec<_> = found.iter().map(|path| path.strip_prefix(folder.path()).unwrap()).collect();
        assert_eq!(names, [Path::new("Cargo.lock"), Path::new("a/b/Cargo.lock")]);
    }
}
