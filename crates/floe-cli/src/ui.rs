//! What the user sees beside the result: notes, statistics, progress.

use std::io::{IsTerminal, Write};

use floe::Result;
use floe::text::{escape, escape_lines};
use serde_json::{Map, Value};

use crate::args::GlobalArgs;
use crate::output::{Layout, Target, stdout};
use crate::progress::Progress;
use crate::undo::{Line, Undo};
use crate::warehouse::Location;

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
    text: String,
    /// Fields for programs.
    pub(crate) fields: Map<String, Value>,
    /// What people are told beside the result.
    notes: Vec<String>,
    /// The commands that take the change back.
    undo: Option<String>,
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
            let _ = writeln!(std::io::stderr(), "{}", escape(line));
        }
    }

    /// A line on standard error that nobody should miss, unless the user wants none. With `--json`, notes are a field.
    pub(crate) fn tell(&self, line: &str) {
        if !self.json && !self.quiet {
            self.clear();
            let _ = writeln!(std::io::stderr(), "{}", escape(line));
        }
    }

    /// Prints the result of a command on standard output: its text, or one JSON object; then its notes and the line
    /// `undo:` on standard error.
    pub(crate) fn print(&self, report: &Report) -> Result<()> {
        let mut out = stdout();
        if self.json {
            writeln!(out, "{}", escape_lines(&Value::Object(report.fields.clone()).to_string()))?;
        } else {
            out.write_all(escape_lines(&report.text).as_bytes())?;
            if !report.text.is_empty() && !report.text.ends_with('\n') {
                out.write_all(b"\n")?;
            }
        }
        out.flush()?;
        for note in &report.notes {
            self.tell(&format!("note: {note}"));
        }
        if let Some(undo) = &report.undo {
            self.tell(&format!("undo: {undo}"));
        }
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
        Self { fields, ..Self::default() }
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

    /// Adds a JSON field with an id of 64 bits: a string, as many programs keep numbers with less.
    pub(crate) fn id(self, key: &str, id: impl Into<Option<i64>>) -> Self {
        let id: Option<i64> = id.into();
        self.with(key, id.map(|id| id.to_string()))
    }

    /// Adds what people and programs are told beside the result, as a sentence without a final stop.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self.fields.insert("notes".into(), self.notes.clone().into());
        self
    }

    /// Adds a note where there is one.
    pub(crate) fn maybe_note(self, note: Option<impl Into<String>>) -> Self {
        match note {
            Some(note) => self.note(note),
            None => self,
        }
    }

    /// Says how the change is taken back, by commands on the catalog of `location`; or why it cannot be.
    pub(crate) fn undo(self, undo: &Undo, location: &Location) -> Self {
        self.undo_by(undo, location.option())
    }

    /// As [`Report::undo`], with the options that choose the catalog, if any.
    pub(crate) fn undo_by(mut self, undo: &Undo, catalog: &str) -> Self {
        let by = match undo {
            Undo::By(lines) if lines.iter().all(Line::is_printable) => {
                let lines: Vec<String> = lines.iter().map(|line| line.render(catalog)).collect();
                Some(lines.join(" && "))
            }
            _ => None,
        };
        let why = match undo {
            Undo::By(_) if by.is_none() => {
                Some("a name or value has characters that cannot be seen".to_owned())
            }
            Undo::Not(why) => Some(why.clone()),
            _ => None,
        };
        self.fields.insert("undo".into(), by.clone().into());
        self.undo = by;
        self.maybe_note(why.map(|why| format!("no command takes this back: {why}")))
    }

    /// Sets the text for people, of one line: a line break in it is shown as `\n`.
    pub(crate) fn text(mut self, text: impl AsRef<str>) -> Self {
        self.text = escape(text.as_ref()).into_owned();
        self
    }

    /// Sets the text for people, of several lines; whoever puts them together escapes what is foreign in them.
    pub(crate) fn lines(mut self, text: impl Into<String>) -> Self {
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
