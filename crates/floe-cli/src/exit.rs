//! How the command ends: error messages and exit codes.

use std::borrow::Cow;
use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind as UsageKind;
use floe::text::{escape, escape_lines};
use floe::{Action, Error, ErrorKind};
use serde_json::{Map, Value};

use crate::output::stdout_is_closed;
use crate::ui::{Ui, identifier};

/// The exit code for what a caller does about an error; 0 and 130 (interrupted) come from elsewhere.
pub(crate) fn code(action: Action) -> u8 {
    match action {
        Action::Report => 1,
        Action::MendInput => 2,
        Action::NotFound => 3,
        Action::AlreadyExists => 4,
        Action::Conflict => 5,
        Action::CheckOutcome => 6,
        Action::Denied => 7,
        Action::Retry => 8,
        Action::Repair => 9,
    }
}

/// Tells an error, and gives its exit code. A reader of standard output that went away is no error.
pub(crate) fn failure(ui: &Ui, error: &Error) -> ExitCode {
    if stdout_is_closed() {
        return ExitCode::SUCCESS;
    }
    ui.clear();
    if ui.json {
        tell(&Value::Object(as_json(error)).to_string());
    } else {
        let table = error.table().map(|t| format!("{t}: ")).unwrap_or_default();
        tell(&format!("error: {table}{}", error.message()));
        if let Some(hint) = error.hint() {
            tell(&format!("hint: {hint}"));
        }
    }
    ExitCode::from(code(error.kind().action()))
}

/// The exit code of an interrupted command.
pub(crate) const INTERRUPTED: i32 = 130;

/// Tells that the user stopped the command.
pub(crate) fn interrupted(ui: &Ui) -> ExitCode {
    ui.clear();
    if ui.json {
        tell(r#"{"kind":"interrupted","message":"the command was interrupted","exit_code":130}"#);
    } else {
        tell("interrupted: a commit that was under way may still have happened; `floe snapshots` shows it");
    }
    ExitCode::from(INTERRUPTED as u8)
}

/// Prints help, or what is wrong with the command line.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let wanted = matches!(error.kind(), UsageKind::DisplayHelp | UsageKind::DisplayVersion);
    if !wanted && json_was_asked() {
        tell(&Value::Object(as_json(&usage_error(error))).to_string());
    } else {
        // What is wrong is quoted, and may come from the name of a file. A reader of the help that went away is no error.
        let text = error.render().to_string();
        let _ = match escape_lines(&text) {
            Cow::Owned(escaped) if !wanted => std::io::stderr().write_all(escaped.as_bytes()),
            _ => error.print(),
        };
    }
    if wanted { ExitCode::SUCCESS } else { ExitCode::from(code(Action::MendInput)) }
}

/// The command line did not parse, so that its options are not known: look for `--json` in it.
fn json_was_asked() -> bool {
    std::env::args_os().skip(1).take_while(|arg| arg != "--").any(|arg| arg == "--json")
}

fn usage_error(error: &clap::Error) -> Error {
    let text = error.render().to_string();
    let mut parts = text.splitn(2, "\n\n");
    let message = parts.next().unwrap_or_default().trim();
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let words: Vec<&str> = message.split_whitespace().collect();
    Error::validation(words.join(" ")).with_hint("`floe COMMAND --help` shows the grammar")
}

fn as_json(error: &Error) -> Map<String, Value> {
    let action = error.kind().action();
    let mut fields = Map::new();
    fields.insert("kind".into(), error.kind().as_str().into());
    fields.insert("message".into(), error.message().into());
    if let Some(table) = error.table() {
        fields.insert("table".into(), table.into());
        if let Some(identifier) = identifier(table) {
            fields.insert("identifier".into(), identifier);
        }
    }
    if let Some(hint) = error.hint() {
        fields.insert("hint".into(), hint.into());
    }
    fields.insert("exit_code".into(), code(action).into());
    fields
}

/// One line on standard error. Nothing can be done when that fails. JSON stays the same JSON.
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", escape(line));
}

/// A defect of this command.
pub(crate) fn internal(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Internal, message)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_action_has_a_code_of_its_own() {
        let actions = [
            Action::Report,
            Action::MendInput,
            Action::NotFound,
            Action::AlreadyExists,
            Action::Conflict,
            Action::CheckOutcome,
            Action::Denied,
            Action::Retry,
            Action::Repair,
        ];
        let codes: BTreeSet<u8> = actions.into_iter().map(code).collect();
        assert_eq!(codes.len(), actions.len());
        assert!(!codes.contains(&0));
    }
}
