//! `floe trust`.

use std::path::{Path, PathBuf};

use floe::{Error, ErrorKind, Result};
use serde_json::json;

use crate::args::TrustArgs;
use crate::configuration::trust::{Trusted, digest};
use crate::configuration::{Configuration, owner_of};
use crate::output::plain_table;
use crate::render::counted;
use crate::ui::{Report, Ui};
use crate::undo::{Line, Undo};
use crate::warehouse::environment;

/// Trusts a configuration file, or no longer; or lists the files that are trusted.
pub(super) fn run(command: &str, args: &TrustArgs, ui: &Ui) -> Result<()> {
    let env = environment();
    let mut trusted = Trusted::load(&env)?;
    if args.list {
        return list(command, &trusted, ui);
    }
    let here = std::env::current_dir()?;
    let path = match &args.path {
        Some(path) => Configuration::file_at(&here.join(path)),
        None => Configuration::of_project(&env, &here).ok_or_else(|| {
            Error::new(ErrorKind::FileNotFound, "there is no floe.toml in this folder or above it")
                .with_hint("name a file: floe trust PATH")
        })?,
    };
    if args.revoke {
        revoke(command, &mut trusted, &path, ui)
    } else {
        trust(command, &mut trusted, &path, ui)
    }
}

fn trust(command: &str, trusted: &mut Trusted, path: &Path, ui: &Ui) -> Result<()> {
    let in_path =
        |e: std::io::Error| Error::from(e).context(format!("configuration file {}", path.display()));
    let content = std::fs::read(path).map_err(in_path)?;
    let path = path.canonicalize().map_err(in_path)?;
    let references = Configuration::references_in(&path, &content)?;
    let owner = owner_of(&path);
    let changed = trusted.add(path.clone(), &content)?;
    let what: Vec<String> =
        references.iter().map(|(name, key, from)| format!("`{key}` of '{name}' from {from}")).collect();
    let of = owner.as_ref().map(|owner| format!(", a file of {owner}")).unwrap_or_default();
    let takes = match what.is_empty() {
        true => "it takes nothing from variables or files".to_owned(),
        false => format!("it takes {}", what.join(", ")),
    };
    let undo = match changed {
        true => Undo::by(Line::new("trust").name(path.display()).flag("revoke")),
        false => Undo::Nothing,
    };
    let entries =
        references.iter().map(|(name, key, from)| json!({"catalog": name, "property": key, "from": from}));
    let report = Report::new(command)
        .with("file", path.display().to_string())
        .with("owner", owner.clone())
        .with("changed", changed)
        .with("references", entries.collect::<Vec<_>>())
        .undo_by(&undo, "")
        .text(format!("Trusted as it is now: {}{of}; {takes}", path.display()));
    ui.print(&report)
}

fn revoke(command: &str, trusted: &mut Trusted, path: &Path, ui: &Ui) -> Result<()> {
    // One that is gone may still be on the list.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let was = trusted.files().get(&path).cloned();
    let changed = trusted.remove(&path)?;
    let same = std::fs::read(&path).is_ok_and(|content| Some(digest(&content)) == was);
    let undo = match changed && same {
        true => Undo::by(Line::new("trust").name(path.display())),
        false => Undo::Nothing,
    };
    let state = if changed { "No longer trusted" } else { "Was not trusted" };
    let report = Report::new(command)
        .with("file", path.display().to_string())
        .with("changed", changed)
        .undo_by(&undo, "")
        .text(format!("{state}: {}", path.display()));
    ui.print(&report)
}

fn list(command: &str, trusted: &Trusted, ui: &Ui) -> Result<()> {
    let mut table = plain_table(&["FILE", "STATE"], ui.layout());
    let mut entries = Vec::new();
    for (path, kept) in trusted.files() {
        let state = state(path, kept);
        table.add_row([path.display().to_string().as_str(), state]);
        entries.push(json!({"file": path.display().to_string(), "state": state}));
    }
    let count = entries.len() as u64;
    let text = match count {
        0 => "No file is trusted.".to_owned(),
        _ => format!("{}\n\n{}", table.trim_fmt(), counted(count, "file")),
    };
    ui.print(&Report::new(command).with("files", entries).lines(text))
}

/// What a file is beside the content that was trusted.
fn state(path: &PathBuf, kept: &str) -> &'static str {
    match std::fs::read(path) {
        Ok(content) if digest(&content) == kept => "trusted",
        Ok(_) => "changed since",
        Err(_) => "cannot be read",
    }
}
