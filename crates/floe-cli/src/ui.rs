//! What the user sees beside the result: notes, statistics, progress.

use std::io::{IsTerminal, Write};

use floe::Result;
use serde_json::{Map, Value};

use crate::args::GlobalArgs;
use crate::output::{Layout, Target, stdout};
use crate::progress::Progress;

/// How to talk to the user.
#[derive(Debug, Clone)]
pub(crate) struct Ui {
    /// Results and errors are JSON objects.
    pub(crate) json: bool,
    quiet: bool,
    stderr_is_terminal: bool,
    progress: indicatif::MultiProgress,
}

/// The result of a command: what people read, and the fields of the JSON object.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Lines for people.
    pub(crate) text: String,
    /// Fields for programs.
    pub(crate) fields: Map<String, Value>,
}

impl Ui {
    pub(crate) fn new(global: &GlobalArgs) -> Self {
        Self {
            json: global.json,
            quiet: global.quiet,
            stderr_is_terminal: std::io::stderr().is_terminal(),
            progress: indicatif::MultiProgress::new(),
        }
    }

    /// A progress bar over rows; silent unless people watch.
    pub(crate) fn progress(&self, what: &str, total: Option<u64>) -> Progress {
        let watched = self.stderr_is_terminal && !self.json && !self.quiet;
        Progress::rows(what, total, watched.then_some(&self.progress))
    }

    /// Removes progress bars from the terminal.
    pub(crate) fn clear(&self) {
        let _ = self.progress.clear();
    }

    /// A line on standard error, for people at a terminal.
    pub(crate) fn note(&self, line: &str) {
        if self.stderr_is_terminal && !self.json && !self.quiet {
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }

    /// Prints the result of a command on standard output: its text, or one JSON object.
    pub(crate) fn print(&self, report: &Report) -> Result<()> {
        let mut out = stdout();
        if self.json {
            writeln!(out, "{}", Value::Object(report.fields.clone()))?;
        } else {
            out.write_all(report.text.as_bytes())?;
            if !report.text.is_empty() && !report.text.ends_with('\n') {
                out.write_all(b"\n")?;
            }
        }
        out.flush()?;
        Ok(())
    }

    /// How tables on standard output are laid out: cut to the width of a terminal, whole elsewhere.
    pub(crate) fn layout(&self) -> Layout {
        // A program that asked for JSON sees no table.
        let cut = !self.json && std::io::stdout().is_terminal();
        Layout { width: cut.then(terminal_width) }
    }

    /// How rows in `target` are laid out.
    pub(crate) fn layout_of(&self, target: &Target) -> Layout {
        if target.is_terminal() { self.layout() } else { Layout::default() }
    }
}

impl Report {
    /// A report for `command`.
    pub(crate) fn new(command: &str) -> Self {
        let mut fields = Map::new();
        fields.insert("command".into(), command.into());
        Self { text: String::new(), fields }
    }

    /// Adds a JSON field; beside `table` its parts, so that no program needs to know how names are quoted.
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        if let ("table", Some(identifier)) = (key, value.as_str().and_then(identifier)) {
            self.fields.insert("identifier".to_owned(), identifier);
        }
        self.fields.insert(key.to_owned(), value);
        self
    }

    /// Sets the text for people.
    pub(crate) fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }
}

/// The parts of a table's name: `{"namespace": ["a", "b"], "name": "t"}`.
pub(crate) fn identifier(table: &str) -> Option<Value> {
    let table = floe::names::parse_table(table).ok()?;
    Some(serde_json::json!({"namespace": table.namespace().as_ref(), "name": table.name()}))
}

fn terminal_width() -> u16 {
    comfy_table::Table::new().width().unwrap_or(120).max(40)
}
